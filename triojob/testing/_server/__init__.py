"""The server of a `ScriptedApp`: it speaks Gradio's protocol, on sockets or in memory.

- `checks`: validation of requests to join the queue
- `description`: the app's `/config` and `/info`, its endpoints
- `edits`: the difference between two outputs, as Gradio sends it
- `event`: one call of an endpoint, as its script sees it
- `http`: HTTP/1.1 over any Trio stream
- `network`: connections in memory
- `queue`: events that wait for a run, messages that wait for a client
- `server`: the routes, the queue and the sessions
- `streams`: the two endless responses
"""
