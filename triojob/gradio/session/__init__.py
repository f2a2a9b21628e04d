"""Sessions: which calls share one, how many are in flight, and who may be cancelled when.

- `window`: how many calls of one function are in flight; pure logic
- `limiter`: lets them be in flight, in the order of their numbers
- `pending_call`: one call on its way
- `session`: a session hash with its one event stream: messages, ends
- `function_calls`: the calls of one function in one session
- `event_ids`: which call each event of a session is; pure logic
- `joiner`: puts calls into the server's queue
- `conversations`: calls on connections of their own
- `cancelling`: what may be asked of the server when calls are cancelled; pure logic
- `canceller`: asks it
- `refusals`: what is sent again, and when
- `registry`: what the sessions of one client share
"""
