"""Sessions: which calls share one, how many are in flight, and how one is cancelled.

- `window`: decides how many calls of one function are in flight; no I/O
- `window_limiter`: admits calls up to the size of the window, in the order of submission
- `pending_call`: one call, from its first request to its last message
- `session`: a session hash, its calls and its end
- `stream_reader`: reads a session's event stream, and finds the events of lost joins
- `function_calls`: the calls of one function in one session
- `event_ids`: which call each event of a session belongs to; no I/O
- `joiner`: puts calls into the server's queue, and retries refused joins
- `backoff`: which errors are refusals, and how long to wait after one
- `conversations`: calls that use a connection each
- `cancel_policy`: decides which cancel requests to send when calls are cancelled; no I/O
- `canceller`: sends the cancel requests that `cancel_policy` decides on
- `input_stream`: calls whose inputs are sent while outputs come back
- `heartbeat`: the open request that keeps a session alive in the app
- `restart`: detects app restarts, and refuses calls that were meant for the old process
- `open_calls`: the unfinished calls, which closing the client cancels
- `stream_budget`: limits how many event streams are open at once
- `registry`: what the sessions of one client share
"""
