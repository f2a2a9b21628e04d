"""The bytes of a connection, over TCP or TLS, and what can go wrong with them."""

from __future__ import annotations

import math
import select
import socket
import ssl
from abc import ABC, abstractmethod
from typing import Generic, Literal, TypeVar

import trio

Phase = Literal["connect", "write", "read"]

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
