"""HTTP over Trio: requests, responses, event streams and files; independent of Gradio's API.

- `settings`: `Timeouts` and `Limits`
- `urls`: URLs and headers: checked, compared, and shown without secrets
- `request`: a request, as both backends take it
- `response`: a response: open, with its body still to be read, or whole
- `traffic`: counts the bytes of bodies
- `sockets`: byte streams over TCP and TLS
- `reader`: parses HTTP/1.1 responses with httptools; no I/O
- `connection`: one HTTP/1.1 connection
- `pool`: the connections to one server, and which of them are idle
- `headers`: which requests use triojob's own connections, and their headers as bytes
- `direct_backend`: requests over triojob's own connections
- `httpx_backend`: requests over httpx: for proxies and the caller's own clients
- `errors`: maps network errors to triojob's exceptions
- `sse`: decodes server-sent events; no I/O
- `stream_watch`: checks silent event streams: is the app gone, or does a proxy buffer?
- `client`: `HTTP` chooses the backend and limits requests; `EventStream` yields events
- `files`: file transfers, sent and read in parts
"""
