"""A server that says what it is told, byte for byte, over connections in memory."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import h11
import trio
import trio.testing

from triojob.gradio.http.pool import ConnectionPool
from triojob.gradio.http.reader import ResponseReader
from triojob.gradio.http.response import OpenResponse
from triojob.gradio.http.sockets import ByteStream

SECONDS = 5.0
"""How long a phase of a request may take here."""
KEPT = 1.0
"""For how long an idle connection is taken to be kept by the server."""

REQUEST = b"POST /queue/join HTTP/1.1\r\nhost: app\r\ncontent-length: 2\r\n\r\n{}"
PLAIN = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3\r\nhel\r\n2;name=value\r\nlo\r\n0\r\nx-trailer: 1\r\n\r\n"
)


class Line(ByteStream):
    """A connection in memory."""

    def __init__(self, peer: Peer) -> None:
        ours, theirs = trio.testing.memory_stream_pair()
        self._stream = ours
        self.peer_stream = theirs
        self.peer = peer
        self.closed = False
        self.hung_up = False
        """Whether the server has closed it."""
        self.clogged = False
        """Whether the server takes nothing."""

    async def send_all(self, data: bytes) -> None:
        await self.peer.step()
        if self.clogged:
            await trio.sleep_forever()
        await self._stream.send_all(data)
        await self.peer.step()

    async def receive_some(self) -> bytes:
        await self.peer.step()
        data = bytes(await self._stream.receive_some())
        await self.peer.step()
        return data

    def is_stale(self) -> bool:
        return self.hung_up and not self.peer.is_quick

    def close(self) -> None:
        self.closed = True
        self._stream.send_stream.close()
        self._stream.receive_stream.close()


@dataclass
class Peer:
    """What a server says: its answers, one for each request, whatever connection that comes on."""

    nursery: trio.Nursery
    answers: list[bytes | None] = field(default_factory=list)
    """An answer of None hangs up.  When all have been said, it is silent."""
    pieces: int | None = None
    """How many bytes it sends at once, or None for all."""
    hangs_up: bool = False
    """Whether it hangs up after each answer."""
    is_quick: bool = False
    """Whether it hangs up so shortly before a request that this goes unnoticed."""
    heard: list[bytes] = field(default_factory=list)
    """The requests, as they came."""
    lines: list[Line] = field(default_factory=list)
    step: Callable[[], Awaitable[None]] = trio.lowlevel.checkpoint
    """What is waited for at each step of the client's end of a connection."""

    async def connect(self) -> ByteStream:
        await self.step()
        line = Line(self)
        self.lines.append(line)
        self.nursery.start_soon(self._serve, line)
        return line

    def connections(self) -> ConnectionPool:
        return ConnectionPool(self.connect, KEPT)

    @property
    def open(self) -> int:
        """How many connections the client has open."""
        return sum(not line.closed for line in self.lines)

    async def _serve(self, line: Line) -> None:
        stream = line.peer_stream
        try:
            while request := bytes(await stream.receive_some()):
                self.heard.append(request)
                answer = self.answers.pop(0) if self.answers else b""
                size = self.pieces or max(len(answer or b""), 1)
                for start in range(0, len(answer or b""), size):
                    await stream.send_all((answer or b"")[start : start + size])
                    await trio.lowlevel.checkpoint()
                if answer is None or self.hangs_up:
                    break
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        line.hung_up = True
        await stream.aclose()


async def read(response: OpenResponse) -> bytes:
    """Return the body of a response."""
    return b"".join([piece async for piece in response])


async def ask(connections: ConnectionPool) -> tuple[int, bytes]:
    """Send the request; return the status and the body of the response."""
    response = await connections.send(REQUEST, write=SECONDS, read=SECONDS)
    try:
        return response.status, await read(response)
    finally:
        await response.aclose()


@dataclass
class Distant:
    """A server some way off that closes connections which are idle for too long."""

    keeps: float
    """For how many seconds it keeps an idle connection."""
    way: float
    """How many seconds bytes are under way, in each direction."""
    works: float = 0
    """How many seconds it takes to answer."""
    heard: int = 0
    """How many requests reached it in time."""
    made: int = 0
    """How many connections were made to it."""

    async def connect(self) -> ByteStream:
        await trio.sleep(2 * self.way)
        self.made += 1
        return DistantLine(self)

    def connections(self) -> ConnectionPool:
        return ConnectionPool(self.connect, KEPT)


class DistantLine(ByteStream):
    """A connection to a distant server."""

    def __init__(self, server: Distant) -> None:
        self.server = server
        self.closes = math.inf
        """When the server closes it, unless a request comes first."""
        self.comes = math.inf
        """When the answer comes here; or the end, if the request came too late."""
        self.lost = False

    async def send_all(self, data: bytes) -> None:
        await trio.lowlevel.checkpoint()
        server = self.server
        arrives = trio.current_time() + server.way
        self.lost = arrives >= self.closes
        if self.lost:
            self.comes = self.closes + server.way
            return
        server.heard += 1
        answered = arrives + server.works
        self.comes = answered + server.way
        self.closes = answered + server.keeps

    async def receive_some(self) -> bytes:
        await trio.sleep_until(self.comes)
        return b"" if self.lost else PLAIN

    def is_stale(self) -> bool:
        return trio.current_time() >= self.closes + self.server.way

    def close(self) -> None:
        pass


async def raw_responses(stream: trio.abc.Stream, name: str, data: list[Any]) -> list[bytes]:
    """Return the bytes of an app's responses: JSON, an error, and the event stream of a call.

    Args:
        stream: A connection to the app, which is closed.
        name: The endpoint's, without its slash, called with ``data``.
    """
    async with stream:
        described, missing = [await _raw(stream, "GET", path) for path in ("/config", "/nowhere")]
        config = json.loads(_body(described))
        prefix = config.get("api_prefix") or ""
        call = {"data": data, "session_hash": "raw"}
        for place, dependency in enumerate(config["dependencies"]):
            if dependency["api_name"] == name:
                call["fn_index"] = dependency.get("id", place)
        joined = await _raw(stream, "POST", f"{prefix}/queue/join", json.dumps(call))
        assert b"event_id" in joined
        events = await _raw(stream, "GET", f"{prefix}/queue/data?session_hash=raw")
        return [described, missing, joined, events]


def _body(response: bytes) -> bytes:
    reader = ResponseReader()
    reader.feed(response)
    reader.close()
    return reader.take_body()


async def _raw(stream: trio.abc.Stream, method: str, path: str, body: str = "") -> bytes:
    headers = "host: app\r\ncontent-type: application/json"
    request = f"{method} {path} HTTP/1.1\r\n{headers}\r\ncontent-length: {len(body)}\r\n\r\n{body}"
    await stream.send_all(request.encode())
    reader, response = ResponseReader(), b""
    while not reader.complete:
        piece = bytes(await stream.receive_some())
        assert piece, "the server closed the connection"
        response += piece
        reader.feed(piece)
        assert reader.error is None
    reader.close()
    return response


# --- What is read of a response ---


class Read(NamedTuple):
    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    complete: bool
    reusable: bool
    refused: bool


def read_by_us(pieces: Iterable[bytes]) -> Read:
    reader, body = ResponseReader(), b""
    for piece in pieces:
        if reader.complete or reader.error is not None:
            reader.is_reusable = False  # unasked bytes stay in the socket, where they are found
            break
        reader.feed(piece)
        body += reader.take_body()
    refused = reader.error is not None
    reusable = reader.complete and reader.is_reusable
    reader.close()
    return Read(reader.status, tuple(reader.headers), body, reader.complete, reusable, refused)


def read_by_h11(data: bytes) -> Read:
    """What h11 reads."""
    http, body, status = h11.Connection(h11.CLIENT), b"", 0
    headers: tuple[tuple[bytes, bytes], ...] = ()
    http.send(h11.Request(method="GET", target="/", headers=[("host", "app")]))
    http.send(h11.EndOfMessage())
    http.receive_data(data)
    try:
        while True:
            event = http.next_event()
            if isinstance(event, h11.Response):
                status = event.status_code
                headers = tuple((name.lower(), value) for name, value in event.headers.raw_items())
            elif isinstance(event, h11.Data):
                body += event.data
            elif not isinstance(event, h11.InformationalResponse):
                break
    except h11.RemoteProtocolError:
        return Read(status, headers, body, complete=False, reusable=False, refused=True)
    complete = isinstance(event, h11.EndOfMessage)
    reusable = complete and http.their_state is h11.DONE and not http.trailing_data[0]
    return Read(status, headers, body, complete, reusable, refused=False)


def in_pieces(data: bytes, places: Iterable[int]) -> list[bytes]:
    ends = sorted({place % (len(data) + 1) for place in places} | {0, len(data)})
    return [data[start:end] for start, end in itertools.pairwise(ends)]


def check_pieces(data: bytes) -> Read:
    """Return what is read of a response, having seen that it does not depend on the pieces."""
    whole = read_by_us([data])
    assert read_by_us([data[place : place + 1] for place in range(len(data))]) == whole
    for place in range(1, min(len(data), 1000)):
        assert read_by_us([data[:place], data[place:]]) == whole
    return whole
