"""A server that says what it is told, byte for byte, over connections in memory."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import trio
import trio.testing

from triojob.gradio._connections import Connections, Reading
from triojob.gradio._wires import Wire

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


class Line(Wire):
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

    async def connect(self) -> Wire:
        await self.step()
        line = Line(self)
        self.lines.append(line)
        self.nursery.start_soon(self._serve, line)
        return line

    def connections(self) -> Connections:
        return Connections(self.connect, KEPT)

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


async def ask(connections: Connections, method: str = "POST") -> tuple[int, bytes]:
    """Send the request; return the status and the body of the answer."""
    answer = await connections.send(method, REQUEST, write=SECONDS, read=SECONDS)
    body = bytearray()

    def take(piece: bytes, _reading: Reading) -> None:
        body.extend(piece)

    try:
        await answer.read(take)
    finally:
        await answer.aclose()
    return answer.status, bytes(body)


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

    async def connect(self) -> Wire:
        await trio.sleep(2 * self.way)
        self.made += 1
        return DistantLine(self)

    def connections(self) -> Connections:
        return Connections(self.connect, KEPT)


class DistantLine(Wire):
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
