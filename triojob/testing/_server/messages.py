"""The messages of a session's event stream, and the queue of unsent ones."""

from __future__ import annotations

import math
from typing import Any

import trio

from .http import compact_json

Message = dict[str, Any]


def frame(message: Message) -> bytes:
    """Put one message into one frame of an event stream."""
    return b"data: " + compact_json(message) + b"\n\n"


class MessageQueue:
    """A session's messages, each for only one of the streams that are open."""

    def __init__(self) -> None:
        self._sender, self._receiver = trio.open_memory_channel[Message | bytes](math.inf)

    def put(self, message: Message | bytes) -> None:
        self._sender.send_nowait(message)

    async def get(self, timeout: float) -> Message | bytes | None:
        """Take the next message; return None if none arrives within ``timeout`` seconds."""
        with trio.move_on_after(timeout):
            return await self._receiver.receive()
        return None
