"""The bytes of a connection, over TCP or TLS, and what can go wrong with them."""

from __future__ import annotations

import math
import select
import socket
import ssl
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from typing import Literal, TypeVar

import trio

T = TypeVar("T")
Phase = Literal["connect", "write", "read"]

_PIECE = 64 * 1024
"""Bytes to take from a socket at once, at most."""
_KEEP_ALIVE = {"TCP_KEEPIDLE": 30, "TCP_KEEPALIVE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}
"""Ask after so many seconds of silence, then so often, and give up after so many questions."""


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
    async def receive_some(self) -> bytes:
        """Return what comes, nothing at the end; raise `trio.BrokenResourceError` if it broke."""

    @abstractmethod
    def is_stale(self) -> bool:
        """Tell whether an idle connection can't be used: it was closed, or speaks unasked."""

    @abstractmethod
    def close(self) -> None:
        """Close it at once, without a word to the server."""


class PlainWire(Wire):
    """A socket without TLS.

    `trio.SocketStream` would let other tasks run at each call, before or after it; here a request
    goes out at once if the system takes it, and only what has to wait does.
    """

    def __init__(self, transport: trio.SocketStream) -> None:
        self._socket = socket.socket(fileno=transport.socket.detach())
        self._socket.setblocking(False)
        keep_alive(self._socket)

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

    def is_stale(self) -> bool:
        return _is_readable(self._socket.fileno())

    def close(self) -> None:
        self._socket.close()


class SecureWire(Wire):
    """A connection with TLS over one without.

    `trio.SSLStream` does not show what it has received and not yet returned: bytes that nobody
    asked for, which would be taken for the response to the next request.

    Args:
        tls: The settings.
        host: The name that the server's certificate must have.
    """

    def __init__(self, wire: PlainWire, tls: ssl.SSLContext, host: str) -> None:
        self._wire = wire
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = tls.wrap_bio(self._incoming, self._outgoing, server_hostname=host)

    async def handshake(self) -> None:
        """Agree on keys; raise `OSError` or `trio.BrokenResourceError` if that fails."""
        await self._run(self._tls.do_handshake)

    async def send_all(self, data: bytes) -> None:
        try:
            await self._run(lambda: self._tls.write(data))
        except ssl.SSLError as exc:
            raise trio.BrokenResourceError(str(exc)) from exc

    async def receive_some(self) -> bytes:
        await trio.lowlevel.checkpoint()  # what is here already is returned without waiting
        try:
            return await self._run(lambda: self._tls.read(_PIECE))
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            # Servers end connections with and without a word in TLS; HTTP itself tells whether
            # the response is whole.
            return b""
        except ssl.SSLError as exc:
            raise trio.BrokenResourceError(str(exc)) from exc

    async def _run(self, step: Callable[[], T]) -> T:
        """Take a step of the protocol, with what has to be sent and received for it."""
        while True:
            try:
                result = step()
            except ssl.SSLWantReadError:
                await self._flush()
                data = await self._wire.receive_some()
                if data:
                    self._incoming.write(data)
                else:
                    self._incoming.write_eof()
            else:
                await self._flush()
                return result

    async def _flush(self) -> None:
        data = self._outgoing.read()
        sent = self._wire.send_now(data) if data else 0
        if sent < len(data):
            await self._wire.send_all(data[sent:])

    def is_stale(self) -> bool:
        return bool(self._incoming.pending or self._tls.pending()) or self._wire.is_stale()

    def close(self) -> None:
        self._wire.close()


def keep_alive(sock: socket.socket | trio.socket.SocketType) -> None:
    """Have the system ask now and then whether the peer is there, and break the connection if not.

    A connection whose other end is gone without a word would else be waited on for as long as a
    silent one: up to an hour, see `Timeouts`.
    """
    with suppress(OSError):  # it has just broken, which the next use of it will say
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _KEEP_ALIVE.items():
            option: int | None = getattr(socket, name, None)  # each system has some of them
            if option is not None:
                sock.setsockopt(socket.IPPROTO_TCP, option, value)


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
        wire = PlainWire(transport)
        if tls is None:
            return wire
        done = False
        try:
            secure = SecureWire(wire, tls, host)
            with trio.fail_after(limit):
                await secure.handshake()
            done = True
        finally:
            if not done:
                wire.close()
    except trio.TooSlowError as exc:
        raise TimedOut("connect") from exc
    except (OSError, trio.BrokenResourceError) as exc:
        raise NotConnected(str(exc)) from exc
    return secure
