"""Trio's sockets and httptools, and nothing else."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import httptools
import trio

from ._floor import floor


class Connection:
    """A socket, and the response that comes on it."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self.parser = httptools.HttpResponseParser(self)
        self.body: list[bytes] = []
        self.complete = False

    def on_body(self, piece: bytes) -> None:
        """Keep a piece of the body."""
        self.body.append(piece)

    def on_message_complete(self) -> None:
        """Note the end of the response."""
        self.complete = True


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
        head = f"{method} {path} HTTP/1.1\r\nhost: {self.host}:{self.port}\r\n"
        if body:
            head += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n"
        await connection.stream.send_all(head.encode() + b"\r\n" + body)
        connection.complete = False
        while not connection.complete:
            connection.parser.feed_data(await connection.stream.receive_some(65536))
            for piece in connection.body:
                yield piece
            connection.body.clear()
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
