"""HTTP/1.1 connections of our own: h11 over Trio's streams, and a pool of those that are idle.

A call is two small requests.  By httpx and httpcore most of their cost is what those do around
h11, for any client of any server; here is what one client of one server needs, and no more.

Nothing waits in the pool: it makes a connection whenever none is idle, and the limiters in front
of it bound how many there are.  A request is sent once, whatever becomes of it.
"""

from __future__ import annotations

import math
import select
import socket
import ssl
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import cache
from typing import Generic, Literal, TypeVar

import h11
import trio

from ._chunked import ChunkedDecoder

Phase = Literal["connect", "write", "read"]

_LARGEST_HEAD = 100 * 1024
"""Bytes that the head of an answer may have, as in httpcore."""
_PIECE = 64 * 1024
"""Bytes to take from a socket at once, at most."""


class WireError(Exception):
    """The network failed, or the server sent what is no HTTP."""


class NotConnected(WireError):
    """There is no connection: the server never heard of the request."""


class TimedOut(WireError):
    """The server took longer than it may in one phase of a request."""

    def __init__(self, phase: Phase) -> None:
        super().__init__(phase)
        self.phase: Phase = phase


class Broken(WireError):
    """The connection broke, or what came through it can't be."""


class Wire(ABC):
    """The bytes of one connection."""

    def send_now(self, data: bytes | memoryview) -> int:
        """Send what can be sent without waiting; return how many bytes that were.

        Raises:
            trio.BrokenResourceError: The connection broke.
        """
        return 0

    @abstractmethod
    async def send_all(self, data: bytes) -> None:
        """Send; raise `trio.BrokenResourceError` if the connection broke."""

    @abstractmethod
    async def receive_some(self) -> bytes | bytearray:
        """Return what comes, nothing at the end; raise `trio.BrokenResourceError` if it broke."""

    @abstractmethod
    def is_stale(self) -> bool:
        """Tell whether an idle connection can't be used: it was closed, or speaks unasked."""

    @abstractmethod
    def close(self) -> None:
        """Close it at once, without a word to the server."""


S = TypeVar("S", socket.socket, trio.socket.SocketType)


class SocketWire(Wire, Generic[S]):
    """A socket of the system, however its bytes are sent and received."""

    _socket: S

    def is_stale(self) -> bool:
        return _is_readable(self._socket.fileno())

    def close(self) -> None:
        self._socket.close()


class PlainWire(SocketWire[socket.socket]):
    """A socket without TLS.

    `trio.SocketStream` would let other tasks run at each call, before or after it; here a request
    goes out at once if the system takes it, and only what has to wait does.
    """

    def __init__(self, transport: trio.SocketStream) -> None:
        self._socket = socket.socket(fileno=transport.socket.detach())
        self._socket.setblocking(False)

    def send_now(self, data: bytes | memoryview) -> int:
        try:
            return self._socket.send(data)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError as exc:
            raise trio.BrokenResourceError(str(exc)) from exc

    async def send_all(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            await trio.lowlevel.wait_writable(self._socket)
            left = left[self.send_now(left) :]

    async def receive_some(self) -> bytes:
        # A server that never pauses must not keep other tasks waiting; and while those run it says
        # more, which costs less to take at once than to wait for.
        await trio.lowlevel.checkpoint()
        while True:
            try:
                return self._socket.recv(_PIECE)
            except (BlockingIOError, InterruptedError):
                await trio.lowlevel.wait_readable(self._socket)
            except OSError as exc:
                raise trio.BrokenResourceError(str(exc)) from exc


class SecureWire(SocketWire[trio.socket.SocketType]):
    """A socket with TLS."""

    def __init__(
        self, transport: trio.SocketStream, stream: trio.SSLStream[trio.SocketStream]
    ) -> None:
        self._socket = transport.socket
        self._stream = stream

    async def send_all(self, data: bytes) -> None:
        await self._stream.send_all(data)

    async def receive_some(self) -> bytes | bytearray:
        return await self._stream.receive_some()


def _is_readable(fileno: int) -> bool:
    if fileno < 0:
        return True
    if not hasattr(select, "poll"):  # Windows, where select takes any number of a file
        return bool(select.select([fileno], [], [], 0)[0])
    poll = select.poll()
    poll.register(fileno, select.POLLIN)
    return bool(poll.poll(0))


async def connect(host: str, port: int, tls: ssl.SSLContext | None, seconds: float | None) -> Wire:
    """Connect to a server.

    Args:
        tls: Its settings, or None for a plain connection.
        seconds: How long connecting may take, and then the TLS handshake.

    Raises:
        NotConnected: The server can't be reached, or its certificate is not trusted.
        TimedOut: It took too long.
    """
    limit = math.inf if seconds is None else seconds
    try:
        with trio.fail_after(limit):
            transport = await trio.open_tcp_stream(host, port)
        if tls is None:
            return PlainWire(transport)
        secure = trio.SSLStream(transport, tls, server_hostname=host, https_compatible=True)
        done = False
        try:
            with trio.fail_after(limit):
                await secure.do_handshake()
            done = True
        finally:
            if not done:
                transport.socket.close()
    except trio.TooSlowError as exc:
        raise TimedOut("connect") from exc
    except (OSError, trio.BrokenResourceError) as exc:
        raise NotConnected(str(exc)) from exc
    return SecureWire(transport, secure)


class _Connection:
    """One connection and where it stands."""

    __slots__ = ("expires", "http", "wire")

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.http = _new_http()
        self.expires = math.inf

    def event(self) -> h11.Event | type[h11.NEED_DATA | h11.PAUSED]:
        """Return what the server has said next, `h11.NEED_DATA` if there is nothing yet."""
        try:
            return self.http.next_event()
        except h11.RemoteProtocolError as exc:
            raise Broken(str(exc)) from exc

    async def send(self, data: bytes, seconds: float | None) -> None:
        """Send a request; whether the server takes it shows in what it says.

        Raises:
            TimedOut: The server took nothing more for so many seconds.
        """
        # A server that breaks it off may have answered before.
        with suppress(trio.BrokenResourceError):
            sent = self.wire.send_now(data)
            if sent == len(data):
                return
            limit = math.inf if seconds is None else seconds
            with trio.move_on_after(limit) as scope:
                await self.wire.send_all(data[sent:])
            if scope.cancelled_caught:
                raise TimedOut("write")

    async def head(self, scope: trio.CancelScope, silence: float) -> h11.Response:
        """Wait for the head of the answer, with a new deadline for ``scope`` at each word."""
        while True:
            await self.receive()
            while isinstance(event := self.event(), h11.InformationalResponse):
                pass
            if isinstance(event, h11.Response):
                return event
            scope.deadline = trio.current_time() + silence

    async def receive(self) -> None:
        """Wait for what the server says next."""
        data = await self._receive_some()
        if not data and self.http.their_state is h11.SEND_RESPONSE:
            raise Broken("the server hung up without an answer")
        self.http.receive_data(data)

    async def receive_coded(self) -> bytes:
        """Wait for more of a body that h11 does not read; return it."""
        data = await self._receive_some()
        if not data:
            raise Broken("the server hung up in the middle of its answer")
        return data

    async def _receive_some(self) -> bytes:
        try:
            return bytes(await self.wire.receive_some())
        except trio.BrokenResourceError as exc:
            raise Broken(str(exc)) from exc

    def can_go_on(self, chunks: ChunkedDecoder | None) -> bool:
        """Make it ready for the next request; return whether that can be.

        Args:
            chunks: What has read the body to its end, if that was not h11.
        """
        http = self.http
        if chunks is not None:
            if http.our_state is not h11.DONE or chunks.rest:
                return False
            self.http = _new_http()
            return True
        if http.our_state is not h11.DONE or http.their_state is not h11.DONE:
            return False
        if http.trailing_data != (b"", False):
            return False  # it would be taken for the answer to the next request
        http.start_next_cycle()
        return True


def _new_http() -> h11.Connection:
    return h11.Connection(h11.CLIENT, max_incomplete_event_size=_LARGEST_HEAD)


@cache
def _stand_in(method: str) -> h11.Request:
    """Return a request for h11 to know of: the one sent was put together before.

    How the answer is framed depends on the method alone.
    """
    return h11.Request(method=method, target="/", headers=[("host", "app")])


_END = h11.EndOfMessage()


class Reading:
    """How the reader of an answer ends the reading."""

    __slots__ = ("stopped", "until")

    def __init__(self) -> None:
        self.stopped = False
        self.until = math.inf

    def stop(self) -> None:
        """Read no further."""
        self.stopped = True

    def linger(self, seconds: float) -> None:
        """Read on for so long only; that there is more is no error then."""
        self.until = trio.current_time() + seconds


class Answer:
    """An answer whose head has come; close it, read to its end or not."""

    __slots__ = ("_chunks", "_connection", "_give_back", "_over", "_silence", "headers", "status")

    def __init__(
        self,
        connection: _Connection,
        head: h11.Response,
        silence: float,
        give_back: Callable[[_Connection], None],
    ) -> None:
        self._connection: _Connection | None = connection
        self._silence = silence
        self._give_back = give_back
        self._over = False
        self.status: int = head.status_code
        # Not by iterating over h11's headers, which takes ten times as long.
        self.headers: list[tuple[bytes, bytes]] = [
            (name.lower(), value) for name, value in head.headers.raw_items()
        ]
        """Their names are in lower case."""
        # As h11 says how it is framed: no other coding passes it.
        chunked = head.status_code == 200 and self.header("transfer-encoding") is not None
        self._chunks = ChunkedDecoder() if chunked else None

    def header(self, name: str) -> str | None:
        """Return the value of a header, or None; ``name`` is in lower case."""
        key = name.encode()
        values = [_text(value) for known, value in self.headers if known == key]
        return ", ".join(values) if values else None

    async def read(self, take: Callable[[bytes, Reading], None]) -> None:
        """Call ``take`` with each piece of the body, to its end or until ``take`` ends it.

        Raises:
            TimedOut: The server was silent for too long.
            Broken: The connection broke, or the answer can't be.
            Exception: What ``take`` raises.
        """
        connection = self._connection
        assert connection is not None
        reading, chunks = Reading(), self._chunks
        if chunks is None:
            done = self._take_what_came(connection, take, reading)
        else:
            begun = connection.http.trailing_data[0]
            done = self._take_chunks(begun, chunks, take, reading)
        if done:
            return
        with trio.CancelScope() as scope:
            while True:
                scope.deadline = min(trio.current_time() + self._silence, reading.until)
                if chunks is None:
                    await connection.receive()
                    done = self._take_what_came(connection, take, reading)
                else:
                    data = await connection.receive_coded()
                    done = self._take_chunks(data, chunks, take, reading)
                if done:
                    return
        if trio.current_time() < reading.until:
            raise TimedOut("read")

    def _take_what_came(
        self,
        connection: _Connection,
        take: Callable[[bytes, Reading], None],
        reading: Reading,
    ) -> bool:
        """Return whether that was all, or enough."""
        pieces: list[bytes | bytearray] = []
        error: Broken | None = None
        while True:
            try:
                event = connection.event()
            except Broken as exc:
                error = exc
                break
            if isinstance(event, h11.Data):
                pieces.append(event.data)
            else:
                self._over = isinstance(event, h11.EndOfMessage)
                break
        if pieces:
            take(b"".join(pieces), reading)
        if error is not None and not reading.stopped:
            raise error
        return self._over or reading.stopped

    def _take_chunks(
        self,
        data: bytes,
        chunks: ChunkedDecoder,
        take: Callable[[bytes, Reading], None],
        reading: Reading,
    ) -> bool:
        """Return whether that was all, or enough."""
        body = chunks.feed(data)
        if body:
            take(body, reading)
        if chunks.error is not None and not reading.stopped:
            raise Broken(chunks.error)
        self._over = chunks.over
        return self._over or reading.stopped

    def never_again(self) -> None:
        """See to it that the connection is not used again."""
        self._over = False

    async def aclose(self) -> None:
        """Close it; never waits.  Read to its end, the connection may be used again."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if self._over and connection.can_go_on(self._chunks):
            self._give_back(connection)
        else:
            connection.wire.close()


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


class Connections:
    """The connections to one server.

    Args:
        connect: Makes one.
        keepalive: For how many seconds an idle one may be used again.
    """

    def __init__(self, connect: Callable[[], Awaitable[Wire]], keepalive: float) -> None:
        self._connect = connect
        self._keepalive = keepalive
        self._idle: deque[_Connection] = deque()
        """Those used last are at the end."""
        self._closed = False

    async def send(
        self, method: str, data: bytes, *, write: float | None, read: float | None
    ) -> Answer:
        """Send a request, once; return the answer when its head has come.

        Args:
            data: All of the request: line, headers and body.
            write, read: How many seconds the server may take to take it, and be silent.

        Raises:
            NotConnected: The server never heard of it.
            TimedOut: The server took too long.
            Broken: The connection broke, or the answer can't be.
        """
        connection = self._usable() or _Connection(await self._connect())
        silence = math.inf if read is None else read
        answer: Answer | None = None
        try:
            connection.http.send(_stand_in(method))
            connection.http.send(_END)
            await connection.send(data, write)
            with trio.CancelScope(deadline=trio.current_time() + silence) as scope:
                head = await connection.head(scope, silence)
                answer = Answer(connection, head, silence, self._give_back)
            if answer is None:
                raise TimedOut("read")
            return answer
        finally:
            if answer is None:
                connection.wire.close()

    def _usable(self) -> _Connection | None:
        """Return an idle connection that the server has not closed, if there is one."""
        now = trio.current_time()
        idle = self._idle
        while idle and idle[0].expires <= now:
            idle.popleft().wire.close()
        while idle:
            connection = idle.pop()
            if not connection.wire.is_stale():
                return connection
            connection.wire.close()
        return None

    def _give_back(self, connection: _Connection) -> None:
        if self._closed:
            connection.wire.close()
            return
        connection.expires = trio.current_time() + self._keepalive
        self._idle.append(connection)

    def close(self) -> None:
        """Close all idle connections, and each other one when its answer is closed."""
        self._closed = True
        while self._idle:
            self._idle.pop().wire.close()
