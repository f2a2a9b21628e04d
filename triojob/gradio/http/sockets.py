"""Byte streams over TCP and TLS, and their errors."""

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

_RECEIVE_SIZE = 64 * 1024
"""The maximum number of bytes to take from a socket at once."""
_KEEP_ALIVE = {"TCP_KEEPIDLE": 30, "TCP_KEEPALIVE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}
"""Probe after 30 s of silence, then every 10 s; break the connection after three probes."""


class TransportError(Exception):
    """The network failed, or the server sent something that is not HTTP."""


class NotConnected(TransportError):
    """There is no connection, so the server never received the request."""


class TimedOut(TransportError):
    """The server exceeded the timeout of one phase of a request."""

    def __init__(self, phase: Phase) -> None:
        super().__init__(phase)
        self.phase: Phase = phase


class Broken(TransportError):
    """The connection broke, or the server sent something invalid through it."""


class ByteStream(ABC):
    """The bytes of one connection."""

    def send_now(self, data: bytes | memoryview) -> int:
        """Send what can be sent without waiting; return the number of bytes sent.

        Raises:
            trio.BrokenResourceError: The connection broke.
        """
        return 0

    @abstractmethod
    async def send_all(self, data: bytes) -> None:
        """Send ``data``; raise `trio.BrokenResourceError` if the connection broke."""

    @abstractmethod
    async def receive_some(self) -> bytes:
        """Return the next bytes, empty at the end; raise `trio.BrokenResourceError` if it broke."""

    @abstractmethod
    def is_stale(self) -> bool:
        """Return whether the idle connection is unusable: closed, or with stray bytes."""

    @abstractmethod
    def close(self) -> None:
        """Close it immediately, without notifying the server."""


class TCPStream(ByteStream):
    """A socket without TLS.

    `trio.SocketStream` passes a checkpoint in each call.  Here, a request that fits into the
    system's buffer is sent at once, and only larger requests wait.
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
        # A server that sends continuously must not starve other tasks.  While they run, more bytes
        # arrive, and taking them at once is cheaper than waiting for them.
        await trio.lowlevel.checkpoint()
        while True:
            try:
                return self._socket.recv(_RECEIVE_SIZE)
            except (BlockingIOError, InterruptedError):
                await trio.lowlevel.wait_readable(self._socket)
            except OSError as exc:
                raise trio.BrokenResourceError(str(exc)) from exc

    def is_stale(self) -> bool:
        return _is_readable(self._socket.fileno())

    def close(self) -> None:
        self._socket.close()


class TLSStream(ByteStream):
    """TLS over a `TCPStream`.

    `trio.SSLStream` hides bytes that it has received and not yet returned: stray bytes, which
    would be taken for the response to the next request.

    Args:
        tls: The TLS settings.
        host: The name that the server's certificate must have.
    """

    def __init__(self, stream: TCPStream, tls: ssl.SSLContext, host: str) -> None:
        self._stream = stream
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = tls.wrap_bio(self._incoming, self._outgoing, server_hostname=host)

    async def handshake(self) -> None:
        """Perform the handshake; raise `OSError` or `trio.BrokenResourceError` if it fails."""
        await self._run(self._tls.do_handshake)

    async def send_all(self, data: bytes) -> None:
        try:
            await self._run(lambda: self._tls.write(data))
        except ssl.SSLError as exc:
            raise trio.BrokenResourceError(str(exc)) from exc

    async def receive_some(self) -> bytes:
        await trio.lowlevel.checkpoint()  # decrypted bytes are returned without waiting
        try:
            return await self._run(lambda: self._tls.read(_RECEIVE_SIZE))
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            # Servers end connections with and without close_notify.  Where HTTP announces the end
            # of a body, the reader knows whether the body is whole.
            return b""
        except ssl.SSLError as exc:
            raise trio.BrokenResourceError(str(exc)) from exc

    async def _run(self, step: Callable[[], T]) -> T:
        """Take a step of the protocol; send and receive the bytes that it needs."""
        while True:
            try:
                result = step()
            except ssl.SSLWantReadError:
                await self._flush()
                data = await self._stream.receive_some()
                if data:
                    self._incoming.write(data)
                else:
                    self._incoming.write_eof()
            else:
                await self._flush()
                return result

    async def _flush(self) -> None:
        data = self._outgoing.read()
        sent = self._stream.send_now(data) if data else 0
        if sent < len(data):
            await self._stream.send_all(data[sent:])

    def is_stale(self) -> bool:
        return bool(self._incoming.pending or self._tls.pending()) or self._stream.is_stale()

    def close(self) -> None:
        self._stream.close()


def keep_alive(sock: socket.socket | trio.socket.SocketType) -> None:
    """Turn on TCP keep-alive, so that a vanished peer breaks the connection.

    Otherwise a connection whose peer is gone counts as silent, and the wait for it can take an hour
    (`Timeouts.max_stream_idle`).
    """
    with suppress(OSError):  # the connection has just broken; its next use raises
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _KEEP_ALIVE.items():
            option: int | None = getattr(socket, name, None)  # each system has some of them
            if option is not None:
                sock.setsockopt(socket.IPPROTO_TCP, option, value)


def _is_readable(fileno: int) -> bool:
    if fileno < 0:
        return True
    if not hasattr(select, "poll"):  # Windows, where select has no limit on descriptors' numbers
        return bool(select.select([fileno], [], [], 0)[0])
    poll = select.poll()
    poll.register(fileno, select.POLLIN)
    return bool(poll.poll(0))


async def connect(
    host: str, port: int, tls: ssl.SSLContext | None, seconds: float | None
) -> ByteStream:
    """Connect to a server.

    Args:
        tls: The TLS settings, or None for a connection without TLS.
        seconds: The timeout for connecting, and then for the TLS handshake.

    Raises:
        NotConnected: The server can't be reached, or its certificate is not trusted.
        TimedOut: It took too long.
    """
    limit = math.inf if seconds is None else seconds
    try:
        with trio.fail_after(limit):
            transport = await trio.open_tcp_stream(host, port)
        stream = TCPStream(transport)
        if tls is None:
            return stream
        done = False
        try:
            secure = TLSStream(stream, tls, host)
            with trio.fail_after(limit):
                await secure.handshake()
            done = True
        finally:
            if not done:
                stream.close()
    except trio.TooSlowError as exc:
        raise TimedOut("connect") from exc
    except (OSError, trio.BrokenResourceError) as exc:
        raise NotConnected(str(exc)) from exc
    return secure
