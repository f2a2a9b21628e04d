"""Long responses: a session's messages, and its heartbeat."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Callable, Generator

import trio

from .description import App
from .http import BrokenOff
from .log import RequestLog
from .messages import Message, frame
from .queue import Queue

POLL_SECONDS = 10.0
"""Seconds for which Gradio's stream waits for a message before its periodic checks."""


class StreamCount:
    """How many streams of one kind there are."""

    def __init__(self) -> None:
        self.open = 0
        self.made = 0
        self.max_open = 0

    @contextlib.contextmanager
    def counted(self) -> Generator[None, None, None]:
        """Count one as open."""
        self.open += 1
        self.made += 1
        self.max_open = max(self.max_open, self.open)
        try:
            yield
        finally:
            self.open -= 1


class MessageStream:
    """GET /queue/data: the messages of one session."""

    def __init__(
        self,
        session_hash: str,
        queue: Queue,
        app: App,
        count: StreamCount,
        encode: Callable[[Message], bytes] = frame,
    ) -> None:
        self.session_hash = session_hash
        self._queue = queue
        self._app = app
        self._count = count
        self._encode = encode

    def counted(self) -> contextlib.AbstractContextManager[None]:
        return self._count.counted()

    async def frames(self) -> AsyncGenerator[tuple[str, bytes], None]:
        while True:
            session = self._queue.sessions.get(self.session_hash)
            if session is None or session.messages is None:
                yield "unexpected_error", self._encode(_error("404: Not Found", not_found=True))
                raise BrokenOff
            message = await session.messages.get(POLL_SECONDS)
            if self._queue.stopped:
                message = _error("Server stopped unexpectedly.", not_found=False)
            if message is None:
                continue
            if isinstance(message, bytes):
                yield "", message
                continue
            yield message["msg"], self._encode(message)
            if session.delivered(message):
                if self._app.sends_close_stream:
                    yield "close_stream", self._encode({"msg": "close_stream", "event_id": None})
                return

    async def heartbeats(self) -> None:
        while True:
            await trio.sleep(self._app.heartbeat_interval)
            session = self._queue.sessions.get(self.session_hash)
            if session is not None:
                session.post({"msg": "heartbeat", "event_id": None})

    def disconnected(self) -> None:
        self._queue.clean_session(self.session_hash)


def _error(text: str, *, not_found: bool) -> Message:
    return {
        "msg": "unexpected_error",
        "event_id": None,
        "message": text,
        "session_not_found": not_found,
        "success": False,
    }


class HeartbeatStream:
    """GET /heartbeat/{session_hash}: shows the app that a client keeps a session."""

    def __init__(self, session_hash: str, app: App, count: StreamCount, log: RequestLog) -> None:
        self.session_hash = session_hash
        self._app = app
        self._count = count
        self._log = log

    def counted(self) -> contextlib.AbstractContextManager[None]:
        return self._count.counted()

    async def frames(self) -> AsyncGenerator[tuple[str, bytes], None]:
        while True:
            yield "", b"data: ALIVE\n\n"
            await trio.sleep(self._app.heartbeat_interval)

    async def heartbeats(self) -> None:
        """Do nothing: the frames are heartbeats."""

    def disconnected(self) -> None:
        self._log.unloads.append(self.session_hash)
