"""The answers of a scripted app that go on: a session's messages, and its heartbeat."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Generator
from typing import TYPE_CHECKING

import trio

from .event import frame
from .http import BrokenOff

if TYPE_CHECKING:
    from .server import AppServer


class SessionStream:
    """GET /queue/data."""

    def __init__(self, server: AppServer, session_hash: str) -> None:
        self.server = server
        self.session_hash = session_hash

    @contextlib.contextmanager
    def counted(self) -> Generator[None, None, None]:
        server = self.server
        server.open_streams += 1
        server.streams_made += 1
        server.max_open_streams = max(server.max_open_streams, server.open_streams)
        try:
            yield
        finally:
            server.open_streams -= 1

    async def frames(self) -> AsyncGenerator[tuple[str, bytes], None]:
        server = self.server
        while True:
            try:
                message = await server.next_message(self.session_hash)
            except KeyError:
                not_found = {
                    "msg": "unexpected_error",
                    "event_id": None,
                    "message": "404: Not Found",
                    "session_not_found": True,
                    "success": False,
                }
                yield "unexpected_error", frame(not_found)
                raise BrokenOff from None
            if message is None:
                continue
            if isinstance(message, bytes):
                yield "", message
                continue
            yield message["msg"], frame(message)
            if server.delivered(self.session_hash, message):
                if server.app.sends_close_stream:
                    yield "close_stream", frame({"msg": "close_stream", "event_id": None})
                return

    async def heartbeats(self) -> None:
        while True:
            await trio.sleep(self.server.app.heartbeat_interval)
            self.server.post(self.session_hash, {"msg": "heartbeat", "event_id": None})

    def disconnected(self) -> None:
        self.server.clean_session(self.session_hash)


class Heartbeats:
    """GET /heartbeat/{session_hash}."""

    def __init__(self, server: AppServer, session_hash: str) -> None:
        self.server = server
        self.session_hash = session_hash

    @contextlib.contextmanager
    def counted(self) -> Generator[None, None, None]:
        self.server.open_heartbeats += 1
        try:
            yield
        finally:
            self.server.open_heartbeats -= 1

    async def frames(self) -> AsyncGenerator[tuple[str, bytes], None]:
        while True:
            yield "", b"data: ALIVE\n\n"
            await trio.sleep(self.server.app.heartbeat_interval)

    async def heartbeats(self) -> None:
        """Nothing: the frames are heartbeats."""

    def disconnected(self) -> None:
        self.server.unloads.append(self.session_hash)
