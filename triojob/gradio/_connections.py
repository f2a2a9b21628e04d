"""HTTP/1.1 connections of our own, and a pool of those that are idle.

A call is two small requests.  By httpx and httpcore most of their cost is what those do around
h11, for any client of any server; here is what one client of one server needs, and no more.
h11 reads the answers that are not plain.

Nothing waits in the pool: it makes a connection whenever none is idle, and the limiters in front
of it bound how many there are.  A request is sent once, whatever becomes of it: so none may go out
on a connection that the server is about to close, see `Connections`.
"""

from __future__ import annotations

import math
import re
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import cache

import h11
import trio

from ._chunked import ChunkedDecoder
from ._plain_answers import BodyDecoder, PlainHead, plain_head
from ._wires import Broken, TimedOut, Wire

_LARGEST_HEAD = 100 * 1024
"""Bytes that the head of an answer may have, as in httpcore, with the interim ones before it."""
_MOST_INTERIM = 100
"""How many interim responses (status 1xx) may stand before an answer."""
_STATED = re.compile(r"timeout *= *([0-9]{1,9})", re.IGNORECASE)
"""In a header ``Keep-Alive``: for how many seconds the server keeps an idle connection."""


class _Connection:
    """One connection and where it stands."""

    __slots__ = ("heard", "http", "idle_since", "kept", "number", "wire")

    def __init__(self, wire: Wire, number: int) -> None:
        self.wire = wire
        self.number = number
        """How many had been opened by then, with this one."""
        self.http: h11.Connection | None = None
        """What reads the answer, if that is not plain."""
        self.heard = False
        """Whether anything has come of the answer."""
        self.idle_since: float | None = None
        """When its last answer ended; None for a new connection."""
        self.kept = math.inf
        """For how many seconds the server says that it keeps it while it is idle."""

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

    async def head(self, method: str) -> PlainHead | h11.Response:
        """Wait for the head of the answer."""
        self.http = None
        self.heard = False
        data = await self.receive()
        self.heard = bool(data)
        if method != "HEAD":
            plain = plain_head(data)
            if plain is not None:
                return plain
        http = self.http = _new_http(method)
        come = interim = 0
        while True:
            if not data and http.their_state is h11.SEND_RESPONSE:
                raise Broken("the server hung up without an answer")
            come += len(data)
            http.receive_data(data)
            while isinstance(event := next_event(http), h11.InformationalResponse):
                interim += 1
                if interim > _MOST_INTERIM:
                    raise Broken(f"more than {_MOST_INTERIM} interim responses before the answer")
            if isinstance(event, h11.Response):
                come -= len(http.trailing_data[0])
            if come > _LARGEST_HEAD:
                raise Broken(f"more than {_LARGEST_HEAD} bytes before the end of the head")
            if isinstance(event, h11.Response):
                return event
            data = await self.receive()

    async def receive(self) -> bytes:
        """Wait for what the server says next; return it, nothing if it hung up."""
        try:
            return await self.wire.receive_some()
        except trio.BrokenResourceError as exc:
            raise Broken(str(exc)) from exc

    def can_go_on(self, body: BodyDecoder | None) -> bool:
        """Return whether it is ready for the next request, after an answer that has ended.

        Args:
            body: What decoded the body, if that was not h11.
        """
        http = self.http
        if http is not None and http.our_state is not h11.DONE:
            return False  # the server will close it
        # What came after the answer would be taken for the one to the next request.
        if body is not None:
            return not body.rest
        assert http is not None
        return http.their_state is h11.DONE and http.trailing_data == (b"", False)


def next_event(http: h11.Connection) -> h11.Event | type[h11.NEED_DATA | h11.PAUSED]:
    """Return what the server has said next, `h11.NEED_DATA` if there is nothing yet."""
    try:
        return http.next_event()
    except h11.RemoteProtocolError as exc:
        raise Broken(str(exc)) from exc


def _new_http(method: str) -> h11.Connection:
    """Return what reads the answer to a request that was sent."""
    http = h11.Connection(h11.CLIENT, max_incomplete_event_size=_LARGEST_HEAD)
    http.send(_stand_in(method))
    http.send(h11.EndOfMessage())
    return http


@cache
def _stand_in(method: str) -> h11.Request:
    """Return a request for h11 to know of: the one sent was put together before.

    How the answer is framed depends on the method alone.
    """
    return h11.Request(method=method, target="/", headers=[("host", "app")])


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

    __slots__ = (
        "_body",
        "_connection",
        "_give_back",
        "_over",
        "_rest",
        "_silence",
        "headers",
        "status",
    )

    def __init__(
        self,
        connection: _Connection,
        head: PlainHead | h11.Response,
        silence: float,
        give_back: Callable[[_Connection, str | None], None],
    ) -> None:
        self._connection: _Connection | None = connection
        self._silence = silence
        self._give_back = give_back
        self._over = False
        self._rest = b""
        """What came of the body with the head, if that is not for h11 to decode."""
        self._body: BodyDecoder | None = None
        """What decodes the body, if that is not h11."""
        self.status: int
        self.headers: list[tuple[bytes, bytes]]
        """Their names are in lower case."""
        if isinstance(head, PlainHead):
            self.status, self.headers = head.status, head.headers
            self._body, self._rest = head.body, head.rest
        else:
            self.status = head.status_code
            # Not by iterating over h11's headers, which takes ten times as long.
            self.headers = [(name.lower(), value) for name, value in head.headers.raw_items()]
            if head.status_code == 200 and self.header("transfer-encoding") is not None:
                # h11 lets no other coding pass, and makes an event of each chunk.
                assert connection.http is not None
                self._body, self._rest = ChunkedDecoder(), connection.http.trailing_data[0]

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
        reading = Reading()
        begun, self._rest = self._rest, b""
        if self._take_body(connection, begun, take, reading):
            return
        with trio.CancelScope() as scope:
            while True:
                scope.deadline = min(trio.current_time() + self._silence, reading.until)
                data = await connection.receive()
                if self._body is None:
                    assert connection.http is not None
                    connection.http.receive_data(data)
                elif not data:
                    raise Broken("the server hung up in the middle of its answer")
                if self._take_body(connection, data, take, reading):
                    return
        if trio.current_time() < reading.until:
            raise TimedOut("read")

    def _take_body(
        self,
        connection: _Connection,
        data: bytes,
        take: Callable[[bytes, Reading], None],
        reading: Reading,
    ) -> bool:
        """Take what came; return whether that was all, or enough."""
        body = self._body
        if body is None:
            assert connection.http is not None
            return self._take_events(connection.http, take, reading)
        piece = body.feed(data)
        if piece:
            take(piece, reading)
        if body.error is not None and not reading.stopped:
            raise Broken(body.error)
        self._over = body.over
        return self._over or reading.stopped

    def _take_events(
        self, http: h11.Connection, take: Callable[[bytes, Reading], None], reading: Reading
    ) -> bool:
        pieces: list[bytes | bytearray] = []
        error: Broken | None = None
        while True:
            try:
                event = next_event(http)
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

    def never_again(self) -> None:
        """See to it that the connection is not used again."""
        self._over = False

    async def aclose(self) -> None:
        """Close it; never waits.  Read to its end, the connection may be used again."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if self._over and connection.can_go_on(self._body):
            self._give_back(connection, self.header("keep-alive"))
        else:
            connection.wire.close()


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


class Connections:
    """The connections to one server.

    A server may close an idle connection while a request is on its way there, which is lost then:
    nobody can tell whether the server has seen it.  So a connection is used again only while that
    can't be, for half of the time that remains of ``kept`` when a request has gone there and its
    answer back.  Where a connection is found closed earlier than that, ``kept`` becomes less.

    Args:
        connect: Makes one.
        kept: For how many seconds servers keep an idle connection, at least.
    """

    def __init__(self, connect: Callable[[], Awaitable[Wire]], kept: float) -> None:
        self.opened: int = 0
        """How many connections there have been."""
        self._connect = connect
        self._usual = kept
        self._kept = kept
        """What is known of this server: less, if it has closed one sooner."""
        self._round_trip = math.inf
        """Seconds from a request to the head of its answer, the fewest so far: no less than the way
        there and back."""
        self._idle: deque[_Connection] = deque()
        """Those used last are at the end."""
        self._closed = False

    async def send(
        self,
        method: str,
        data: bytes,
        *,
        write: float | None,
        read: float | None,
        ready: Callable[[int], Awaitable[bytes]] | None = None,
        fresh: bool = False,
    ) -> Answer:
        """Send a request, once; return the answer when its head has come.

        Args:
            data: All of the request: line, headers and body.
            ready: Awaited with the number of the connection before anything is sent on it; what it
                returns is sent in the place of ``data``.
            fresh: Whether to open a connection for it.
            write, read: How many seconds the server may take to take it; and until the head of
                the answer has come, and between the parts of the body.

        Raises:
            NotConnected: The server never heard of it.
            TimedOut: The server took too long.
            Broken: The connection broke, or the answer can't be.
        """
        connection = await self._get(fresh=fresh)
        silence = math.inf if read is None else read
        start = trio.current_time()
        answer: Answer | None = None
        try:
            if ready is not None:
                data = await ready(connection.number)
                while connection.wire.is_stale():  # the server has closed it meanwhile
                    connection.wire.close()
                    connection = await self._get(fresh=fresh)
                    data = await ready(connection.number)
                start = trio.current_time()
            await connection.send(data, write)
            with trio.CancelScope(deadline=trio.current_time() + silence):
                head = await connection.head(method)
                self._round_trip = min(self._round_trip, trio.current_time() - start)
                answer = Answer(connection, head, silence, self._give_back)
            if answer is None:
                raise TimedOut("read")
            return answer
        except Broken:
            if not connection.heard and connection.idle_since is not None:
                self._note_closed(start - connection.idle_since)
            raise
        finally:
            if answer is None:
                connection.wire.close()

    async def _get(self, *, fresh: bool) -> _Connection:
        usable = None if fresh else self._usable()
        if usable is not None:
            return usable
        wire = await self._connect()
        self.opened += 1
        return _Connection(wire, self.opened)

    def _usable(self) -> _Connection | None:
        """Return an idle connection that can be used again, if there is one."""
        self._drop_expired()
        idle = self._idle
        while idle:
            connection = idle.pop()
            if not self._is_expired(connection):
                if not connection.wire.is_stale():
                    return connection
                assert connection.idle_since is not None
                self._note_closed(trio.current_time() - connection.idle_since)
            connection.wire.close()
        return None

    def _drop_expired(self) -> None:
        while self._idle and self._is_expired(self._idle[0]):
            self._idle.popleft().wire.close()

    def _is_expired(self, connection: _Connection) -> bool:
        assert connection.idle_since is not None
        seconds = (min(self._kept, connection.kept) - self._round_trip) / 2
        return trio.current_time() >= connection.idle_since + seconds

    def _note_closed(self, seconds: float) -> None:
        """Learn that the server has closed a connection that was idle for so many seconds."""
        self._kept = min(self._kept, seconds)

    def forget(self) -> None:
        """Forget what is known of the server: another one has taken its place."""
        self._kept = self._usual

    def _give_back(self, connection: _Connection, stated: str | None) -> None:
        if self._closed:
            connection.wire.close()
            return
        said = _STATED.search(stated or "")
        connection.kept = math.inf if said is None else int(said[1])
        connection.idle_since = trio.current_time()
        self._drop_expired()
        self._idle.append(connection)

    def close(self) -> None:
        """Close all idle connections, and each other one when its answer is closed."""
        self._closed = True
        self.close_idle()

    def close_idle(self) -> None:
        """Close all idle connections."""
        while self._idle:
            self._idle.pop().wire.close()
