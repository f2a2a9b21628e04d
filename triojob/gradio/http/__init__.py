"""HTTP over Trio: requests, responses, event streams and files; it knows nothing of Gradio's API.

- `settings`: `Timeouts` and `Limits`
- `urls`: URLs and headers: checked, compared, and shown without secrets
- `request`: a request, as both backends take it
- `response`: a response: open, with its body still to be read, or whole
- `sockets`: byte streams over TCP and TLS
- `reader`: HTTP/1.1 responses from bytes, read by httptools; no I/O
- `connection`: one HTTP/1.1 connection
- `pool`: the connections to one server, and those that are idle
- `headers`: which requests go over these connections, and their heads as bytes
- `direct_backend`: requests over these connections
- `httpx_backend`: requests over httpx: for proxies and the caller's own clients
- `errors`: the network's exceptions as triojob's
- `sse`: bytes to server-sent events; no I/O
- `stream_watch`: event streams that fall silent: is the app gone, or does a proxy buffer?
- `client`: `HTTP` chooses the backend and limits requests; `EventStream` yields events
- `files`: bodies that are sent and read piece by piece
"""
