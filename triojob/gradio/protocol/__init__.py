"""What a server and a client say to each other: one driver for each protocol of Gradio's.

- `messages`: events to messages, much the same in all protocols; no I/O
- `diff`: edits to values; no I/O
- `properties`: property updates to values; no I/O
- `translator`: one call's messages to what its job's memory channel carries; no I/O
- `file_marks`: how servers mark files in outputs; no I/O
- `traits`: what a protocol is like: streams, diffs, files, cancelling
- `base`: what sessions ask of a driver
- `refusals`: HTTP responses that are refusals, to exceptions
- `event_stream`: streams of accepted calls, and what ends one for all of them
- `cancel`: sends cancel requests, and what stands for them in old releases
- `ws`: Gradio 3, one WebSocket for each call
- `sse`: the protocol of that name, Gradio 4.0 to 4.8: one event stream for each call
- `sse_session`: ``sse_v1`` to ``sse_v3``, one event stream for a whole session
- `call`: ``/call``, around the session's stream
- `run`: ``/run``, around the queue
- `registry`: the protocols by name; a new one is a file like `sse_session`, and a line here
"""
