"""A pool of HTTP/1.1 connections to one server.

No request waits in the pool: it opens a connection whenever none is idle, and the limiters in front
of it bound their number.  A request is sent only once, whatever the outcome, so it must not go out
on a connection that the server is about to close, see `ConnectionPool`.
"""

from __future__ import annotations

import math
import re
from collections import deque
from collections.abc import Awaitable, Callable

import trio

from .connection import Connection, DirectResponse
from .sockets import Broken, ByteStream, TimedOut
from .traffic import Traffic

_KEEP_ALIVE_TIMEOUT = re.compile(r"timeout *= *([0-9]{1,9})", re.IGNORECASE)
"""In a header ``Keep-Alive``: how many seconds the server keeps an idle connection."""

_SETTLING = 0.001
"""Seconds after a response in which other tasks run before its connection is reused."""


class ConnectionPool:
    """The connections to one server.

    A server may close an idle connection while a request is in flight.  Then the request is lost:
    the client can't know whether the server has received it.  So a connection is reused only while
    that can't happen, for half of the time that remains of ``kept`` after one round trip.  If a
    connection is found closed earlier than that, ``kept`` is reduced.

    Args:
        connect: Opens a connection.
        kept: The minimum number of seconds that servers keep an idle connection.
    """

    def __init__(self, connect: Callable[[], Awaitable[ByteStream]], kept: float) -> None:
        self.opened: int = 0
        """How many connections have been opened."""
        self.traffic: Traffic = Traffic()
        self._connect = connect
        self._usual = kept
        self._kept = kept
        """The value for this server: lower if it has closed a connection sooner."""
        self._round_trip = math.inf
        """The shortest time so far, in seconds, from a request to the headers of its response."""
        self._idle: deque[Connection] = deque()
        """The most recently used connections are at the end."""
        self._closed = False

    async def send(
        self,
        request: bytes | Callable[[int], Awaitable[bytes]],
        *,
        write: float | None,
        read: float | None,
        fresh: bool = False,
    ) -> DirectResponse:
        """Send a request, once; return the response when its headers have arrived.

        Args:
            request: The whole request: request line, headers and body; or a function that returns
                it, awaited with the number of the connection before anything is sent on it.
            fresh: Whether to open a connection for it.
            write: How many seconds the server can accept no bytes.
            read: How many seconds the server can take until the response's headers, and between two
                pieces of the body.

        Raises:
            NotConnected: The server never received it.
            TimedOut: The server took too long.
            Broken: The connection broke, or the response is invalid.
        """
        connection = await self._get(fresh=fresh)
        start = trio.current_time()
        response: DirectResponse | None = None
        try:
            if isinstance(request, bytes):
                data = request
            else:
                data = await request(connection.number)
                while connection.stream.is_stale():  # the server has closed it meanwhile
                    connection.close()
                    connection = await self._get(fresh=fresh)
                    data = await request(connection.number)
                start = trio.current_time()
            await connection.send(data, write)
            if read is None:
                await connection.receive_head()
            else:
                with trio.move_on_after(read) as scope:
                    await connection.receive_head()
                if scope.cancelled_caught:
                    raise TimedOut("read")
            self._round_trip = min(self._round_trip, trio.current_time() - start)
            silence = math.inf if read is None else read
            response = DirectResponse(connection, silence, self._release, self.traffic)
            return response
        except Broken:
            if not connection.is_alive and connection.idle_since is not None:
                self._note_closed(start - connection.idle_since)
            raise
        finally:
            if response is None:
                connection.close()

    async def _get(self, *, fresh: bool) -> Connection:
        now = trio.current_time()
        if self._idle and now - _idle_since(self._idle[-1]) < _SETTLING:
            # Stray bytes from the server after its response may be about to arrive.
            await trio.lowlevel.cancel_shielded_checkpoint()
            now = trio.current_time()
        usable = None if fresh else self._usable(now)
        if usable is not None:
            return usable
        return await self.open()

    async def open(self) -> Connection:
        """Open a connection, which the caller closes unless a response releases it to the pool.

        Raises:
            NotConnected, TimedOut: There is no connection.
        """
        stream = await self._connect()
        self.opened += 1
        return Connection(stream, self.opened)

    def _usable(self, now: float) -> Connection | None:
        """Return an idle connection that can be reused, or None."""
        self._close_expired(now)
        idle = self._idle
        while idle:
            connection = idle.pop()
            if not self._is_expired(connection, now):
                if not connection.stream.is_stale():
                    return connection
                self._note_closed(now - _idle_since(connection))
            connection.close()
        return None

    def _close_expired(self, now: float) -> None:
        while self._idle and self._is_expired(self._idle[0], now):
            self._idle.popleft().close()

    def _is_expired(self, connection: Connection, now: float) -> bool:
        seconds = (min(self._kept, connection.kept) - self._round_trip) / 2
        assert connection.idle_since is not None
        return now >= connection.idle_since + seconds

    def _note_closed(self, seconds: float) -> None:
        """Note that the server has closed a connection after it was idle for ``seconds``."""
        self._kept = min(self._kept, seconds)

    def forget(self) -> None:
        """Forget the learned properties of the server: another server has replaced it."""
        self._kept = self._usual

    def _release(self, connection: Connection, keep_alive: str | None) -> None:
        if self._closed:
            connection.close()
            return
        stated = _KEEP_ALIVE_TIMEOUT.search(keep_alive or "")
        connection.kept = math.inf if stated is None else int(stated[1])
        connection.idle_since = now = trio.current_time()
        self._close_expired(now)
        self._idle.append(connection)

    def close(self) -> None:
        """Close all idle connections, and each other connection when its response is closed."""
        self._closed = True
        self.close_idle()

    def close_idle(self) -> None:
        """Close all idle connections."""
        while self._idle:
            self._idle.pop().close()


def _idle_since(connection: Connection) -> float:
    assert connection.idle_since is not None
    return connection.idle_since
