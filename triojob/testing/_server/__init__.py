"""The server of a `ScriptedApp`: it implements Gradio's protocol, on sockets or in memory.

- `network`: connections in memory, for clients
- `http`: HTTP/1.1 over any Trio stream
- `listener`: the server's connections: on a loopback socket, or in memory
- `log`: the requests that the server received
- `description`: the app's `/config` and `/info`, its endpoints
- `checks`: validation of requests to join the queue
- `login`: the login form and its cookies
- `storage`: uploaded and served files
- `messages`: messages of a session's event stream, and the queue of unsent ones
- `session`: the app's data of one session: messages, State
- `durations`: mean durations, for estimates
- `edits`: the difference between two outputs, as Gradio sends it
- `inputs`: the inputs of an event
- `outputs`: the outputs of an event, whole or as edits
- `event`: one call of an endpoint, as its script uses it
- `queue`: events that wait and run, and their cancellation
- `streams`: long responses: messages and heartbeats
- `server`: the routes
"""
