"""The messages between a server and a client: one driver for each protocol of Gradio.

- `messages`: decodes events to messages, which are similar in all protocols; no I/O
- `diff`: applies edits to values; no I/O
- `properties`: applies property updates to values; no I/O
- `translator`: converts one call's messages for its job's memory channel; no I/O
- `file_marks`: how servers mark files in outputs; no I/O
- `traits`: the properties of a protocol: streams, diffs, files, cancellation
- `base`: the interface of drivers
- `refusals`: maps HTTP responses that are refusals to exceptions
- `event_stream`: streams of accepted calls, and the errors that end a stream for all of them
- `cancel`: sends cancel requests, and their substitutes in old releases
- `ws`: Gradio 3, one WebSocket for each call
- `sse`: the protocol of that name, Gradio 4.0 to 4.8: one event stream for each call
- `sse_session`: ``sse_v1`` to ``sse_v3``, one event stream for a whole session
- `call`: ``/call``, without the session's stream
- `run`: ``/run``, without the queue
- `registry`: the protocols by name; to add one, add a file like `sse_session`, and a line here
"""
