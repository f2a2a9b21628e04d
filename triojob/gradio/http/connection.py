"""One of triojob's own HTTP/1.1 connections: a byte stream, and the reader of its responses."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress

import trio

from .reader import ResponseReader
from .response import OpenResponse
from .sockets import Broken, ByteStream, TimedOut
from .traffic import Traffic


class Connection:
    """A connection, which carries one request at a time."""

    __slots__ = ("idle_since", "is_alive", "kept", "number", "reader", "stream")

    def __init__(self, stream: ByteStream, number: int) -> None:
        self.stream: ByteStream = stream
        self.number: int = number
        """How many connections had been opened by then, including this one."""
        self.reader: ResponseReader = ResponseReader()
        self.is_alive: bool = False
        """Whether any byte of the response has arrived."""
        self.idle_since: float | None = None
        """When its last response ended; None for a new connection."""
        self.kept: float = math.inf
        """How many seconds the server promises to keep the idle connection."""

    async def send(self, data: bytes, seconds: float | None) -> None:
        """Send a request; only the response shows whether the server accepted it.

        Raises:
            TimedOut: The server accepted no more bytes for ``seconds``.
        """
        # A server that breaks the connection may have responded before.
        with suppress(trio.BrokenResourceError):
            sent = self.stream.send_now(data)
            if sent == len(data):
                return
            limit = math.inf if seconds is None else seconds
            with trio.move_on_after(limit) as scope:
                await self.stream.send_all(data[sent:])
            if scope.cancelled_caught:
                raise TimedOut("write")

    async def receive_head(self) -> None:
        """Wait until the status line and the headers of the response have been read.

        Raises:
            Broken: The connection broke, or the response is invalid.
        """
        reader = self.reader
        if self.idle_since is not None:
            reader.begin()
        self.is_alive = False
        while not reader.status:
            if reader.error is not None:
                raise Broken(reader.error)
            await self.receive()

    async def receive(self) -> None:
        """Wait for bytes or for the end of the connection, and read them.

        Raises:
            Broken: The connection broke.
        """
        try:
            data = await self.stream.receive_some()
        except trio.BrokenResourceError as exc:
            raise Broken(str(exc)) from exc
        if data:
            self.is_alive = True
            self.reader.feed(data)
        else:
            self.reader.feed_eof()

    def close(self) -> None:
        """Close it immediately."""
        self.stream.close()
        self.reader.close()


class DirectResponse(OpenResponse):
    """A response on a `Connection`.

    Args:
        silence: How many seconds the server can be silent between two pieces of the body.
        release: Takes the connection back, with the value of its header ``Keep-Alive``.
        traffic: Counts the bytes of the body.
    """

    __slots__ = ("_connection", "_fields", "_is_discarded", "_release", "_silence", "_traffic",
                 "headers", "status")  # fmt: skip

    def __init__(
        self,
        connection: Connection,
        silence: float,
        release: Callable[[Connection, str | None], None],
        traffic: Traffic,
    ) -> None:
        self._connection: Connection | None = connection
        self._silence = silence
        self._release = release
        self._traffic = traffic
        self._is_discarded = False
        self.status: int = connection.reader.status
        self.headers: list[tuple[bytes, bytes]] = connection.reader.headers
        """Their names are in lower case."""
        self._fields = connection.reader.fields

    def header(self, name: str) -> str | None:
        value = self._fields.get(name.encode())
        return None if value is None else _text(value)

    async def __anext__(self) -> bytes:
        connection = self._connection
        assert connection is not None
        reader = connection.reader
        while not reader.body:
            if reader.error is not None:
                raise Broken(reader.error)
            if reader.complete:
                raise StopAsyncIteration
            if self._silence == math.inf:
                await connection.receive()
                continue
            with trio.move_on_after(self._silence) as scope:
                await connection.receive()
            if scope.cancelled_caught:
                raise TimedOut("read")
        body = reader.take_body()
        self._traffic.received += len(body)
        return body

    @property
    def has_ended(self) -> bool:
        reader = None if self._connection is None else self._connection.reader
        return reader is not None and reader.complete and not reader.body

    def discard(self) -> None:
        self._is_discarded = True

    async def aclose(self) -> None:
        has_ended = self.has_ended
        connection, self._connection = self._connection, None
        if connection is None:
            return
        reader = connection.reader
        if has_ended and reader.is_reusable and not self._is_discarded:
            self._release(connection, self.header("keep-alive"))
        else:
            connection.close()


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")
