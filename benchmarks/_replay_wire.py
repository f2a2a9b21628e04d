"""What the replay server says: the messages of Gradio 6.31, with blanks for what differs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

MESSAGE_STEPS = 50
"""After so many steps a chat has a new message; as in `_real_app.py`."""

CLOSE_STREAM = b'{"msg":"close_stream","event_id":null}'
NOT_FOUND = (
    b'{"msg":"unexpected_error","event_id":null,"message":"Session not found",'
    b'"session_not_found":true,"success":false}'
)

# The measured times are those of one recorded run.
ESTIMATION = b'{"msg":"estimation","event_id":"%b","rank":0,"queue_size":1,"rank_eta":null}'
STARTS = b'{"msg":"process_starts","event_id":"%b","eta":null}'
GENERATING = (
    b'{"msg":"process_generating","event_id":"%b","output":{"data":[%b],"is_generating":true,'
    b'"duration":0.000030517578125,"average_duration":0.00044337908426920575,'
    b'"render_config":null,"changed_state_ids":[],"used_cache":null},"success":true,'
    b'"time_limit":null}'
)
COMPLETED = (
    b'{"msg":"process_completed","event_id":"%b","output":{"data":[%b],"is_generating":false,'
    b'"duration":0.0003807544708251953,"average_duration":0.0003807544708251953,'
    b'"render_config":null,"changed_state_ids":[],"used_cache":null},"success":true,"title":null,'
    b'"used_cache":null,"cache_duration":0.0003807544708251953,"avg_time":0.0003807544708251953}'
)
CANCELLED = (
    b'{"msg":"process_completed","event_id":"%b","output":{},"success":true,"title":null,'
    b'"used_cache":null,"cache_duration":null,"avg_time":null}'
)


def dumps(value: Any) -> bytes:
    """Write JSON as the real server does: compact, and not escaped."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def frame(message: bytes) -> bytes:
    """Wrap a message as an event of the stream, in an HTTP chunk of its own."""
    return b"%x\r\ndata: %b\n\n\r\n" % (len(message) + 8, message)


def text_steps(n: int) -> Iterator[bytes]:
    """Give the outputs of `text`: the first as a whole, then what is added; last of all, all."""
    for step in range(n):
        word = b"word%d " % step
        yield b'"%b"' % word if step == 0 else b'[["append",[],"%b"]]' % word
    whole = b"".join(b"word%d " % step for step in range(n))
    yield b'"%b"' % whole if n else b"null"


def chat_steps(n: int) -> Iterator[bytes]:
    """Give the outputs of `chat`: as `text_steps`, one level deeper."""
    message = (
        b'{"role":"%b","metadata":null,"content":[{"text":"%b","type":"text"}],"options":null}'
    )
    roles = (b"user", b"assistant")
    for step in range(n):
        number, place = divmod(step, MESSAGE_STEPS)
        word = b"word%d " % step
        if place:
            yield b'[["append",[%d,"content",0,"text"],"%b"]]' % (number, word)
        elif number:
            yield b'[["add",[%d],%b]]' % (number, message % (roles[number % 2], word))
        else:
            yield b"[%b]" % (message % (roles[0], word))
    words = [b"word%d " % step for step in range(n)]
    messages = [
        message % (roles[number % 2], b"".join(words[start : start + MESSAGE_STEPS]))
        for number, start in enumerate(range(0, n, MESSAGE_STEPS))
    ]
    yield b"[%b]" % b",".join(messages) if n else b"null"
