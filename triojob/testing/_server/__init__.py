"""The server of a `ScriptedApp`: it speaks Gradio's protocol, on sockets or in memory.

- `network`: connections in memory, as a client makes them
- `http`: HTTP/1.1 over any Trio stream
- `listener`: the server's connections: on a loopback socket, or in memory
- `log`: what the server was asked for
- `description`: the app's `/config` and `/info`, its endpoints
- `checks`: validation of requests to join the queue
- `login`: the login form and its cookies
- `storage`: uploaded and served files
- `messages`: messages of a session's event stream, and those that wait to be sent
- `session`: what the app keeps of one session: messages, State
- `durations`: mean durations, for estimates
- `edits`: the difference between two outputs, as Gradio sends it
- `inputs`: the inputs of an event
- `outputs`: the outputs of an event, whole or as edits
- `event`: one call of an endpoint, as its script sees it
- `queue`: events that wait and run, and what cancels them
- `streams`: the responses that go on: messages and heartbeats
- `server`: the routes
"""
