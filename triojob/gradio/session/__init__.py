"""Sessions: which calls share one, how many are in flight, and how one is cancelled.

- `window`: decides how many calls of one function are in flight; no I/O
- `window_limiter`: lets that many be in flight, in the order of submission
- `pending_call`: one call, from its first request to its last message
- `session`: a session hash, its calls and its end
- `stream_reader`: reads a session's event stream, and finds the events of lost joins
- `function_calls`: the calls of one function in one session
- `event_ids`: which call each event of a session belongs to; no I/O
- `joiner`: puts calls into the server's queue, and retries what is refused
- `backoff`: what counts as refused, and how long to wait after it
- `conversations`: calls on connections of their own
- `cancel_policy`: decides what to ask of the server when calls are cancelled; no I/O
- `canceller`: sends the cancel requests that `cancel_policy` decides on
- `input_stream`: calls whose inputs are sent while outputs come back
- `heartbeat`: the open request by which an app knows that a session lives
- `restart`: detects app restarts, and refuses calls that were meant for the old process
- `open_calls`: the calls that have not ended, which the client's end cancels
- `stream_budget`: how many event streams are open at once
- `registry`: what the sessions of one client share
"""
