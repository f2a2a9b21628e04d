"""Trio's sockets and h11, and nothing else."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import h11
import trio

from ._floor import floor


class Connection:
    """A socket and its HTTP state."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self.http = h11.Connection(h11.CLIENT)

    async def event(self) -> h11.Event:
        """Return what the server said next."""
        while True:
            event = self.http.next_event()
            if event is h11.NEED_DATA:
                self.http.receive_data(await self.stream.receive_some(65536))
                continue
            assert not isinstance(event, type)
            return event


class Wire:
    """Requests over connections that are kept open."""

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port
        self.idle: list[Connection] = []

    async def _request(self, method: str, path: str, body: bytes) -> AsyncGenerator[bytes, None]:
        connection = (
            self.idle.pop()
            if self.idle
            else Connection(await trio.open_tcp_stream(self.host, self.port))
        )
        http = connection.http
        headers = [("host", f"{self.host}:{self.port}")]
        if body:
            headers += [("content-type", "application/json"), ("content-length", str(len(body)))]
        sent = http.send(h11.Request(method=method, target=path, headers=headers))
        if body:
            sent += http.send(h11.Data(data=body))
        sent += http.send(h11.EndOfMessage())
        await connection.stream.send_all(sent)
        while not isinstance(event := await connection.event(), h11.EndOfMessage):
            if isinstance(event, h11.Data):
                yield bytes(event.data)
        http.start_next_cycle()
        self.idle.append(connection)

    async def post(self, path: str, body: Any) -> Any:
        """Send JSON, and return the JSON of the answer."""
        pieces = [piece async for piece in self._request("POST", path, json.dumps(body).encode())]
        return json.loads(b"".join(pieces))

    def stream(self, path: str) -> AsyncGenerator[bytes, None]:
        """Get the pieces of an answer, as they come."""
        return self._request("GET", path, b"")


@asynccontextmanager
async def opened(url: str) -> AsyncGenerator[Wire, None]:
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    wire = Wire(parts.hostname, parts.port)
    yield wire
    for connection in wire.idle:
        await connection.stream.aclose()


if __name__ == "__main__":
    floor(opened, {})
