"""Just enough HTTP/1.1 and WebSocket for a proxy: where a head, a body, a frame begins and ends."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import trio

Take = Callable[[bytes], Awaitable[None]]

_MESSAGE = re.compile(rb'"msg": ?"(\w+)"')


class Reader:
    """Reads a stream up to borders of what it carries."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self.buffer = bytearray()

    async def more(self) -> bool:
        """Receive something into the buffer; tell whether there was anything."""
        data = await self.stream.receive_some(65536)
        self.buffer += data
        return bool(data)

    async def until(self, border: bytes) -> bytes | None:
        """Return what comes up to a border, with it; None if the stream ends before."""
        while (place := self.buffer.find(border)) < 0:
            if not await self.more():
                return None
        return self.take(place + len(border))

    async def exactly(self, count: int) -> bytes | None:
        """Return so many bytes; None if the stream ends before."""
        while len(self.buffer) < count:
            if not await self.more():
                return None
        return self.take(count)

    def take(self, count: int) -> bytes:
        """Return what is in the buffer, up to so many bytes."""
        taken = bytes(self.buffer[:count])
        del self.buffer[:count]
        return taken


@dataclass(frozen=True)
class Head:
    """The head of a request or an answer."""

    raw: bytes
    first: list[str]
    """The first line's words."""
    fields: dict[str, str]

    @property
    def method(self) -> str:
        return self.first[0]

    @property
    def path(self) -> str:
        return self.first[1].partition("?")[0]

    @property
    def status(self) -> int:
        return int(self.first[1])

    @property
    def is_chunked(self) -> bool:
        return "chunked" in self.fields.get("transfer-encoding", "")

    @property
    def is_event_stream(self) -> bool:
        return self.fields.get("content-type", "").startswith("text/event-stream")

    def with_field(self, line: bytes) -> bytes:
        """Return it with one line more."""
        return self.raw[:-2] + line + b"\r\n\r\n"


async def read_head(reader: Reader) -> Head | None:
    """Return the next head; None if the stream ends before."""
    raw = await reader.until(b"\r\n\r\n")
    if raw is None:
        return None
    first, *lines = raw.decode("latin-1").split("\r\n")
    fields = dict(line.split(":", 1) for line in lines if line)
    return Head(raw, first.split(" "), {n.lower(): v.strip().lower() for n, v in fields.items()})


async def relay_body(head: Head, reader: Reader, take: Take, *, is_answer: bool) -> bool:
    """Hand each piece of a body to ``take``, as it comes; tell whether it came to its end.

    Chunks are handed on without their framing.
    """
    if head.is_chunked:
        return await _relay_chunks(reader, take)
    length = head.fields.get("content-length")
    if length is not None:
        left = int(length)
        while left:
            if not reader.buffer and not await reader.more():
                return False
            piece = reader.take(left)
            left -= len(piece)
            await take(piece)
        return True
    if not is_answer or head.status in {204, 304}:
        return True
    while reader.buffer or await reader.more():
        await take(reader.take(len(reader.buffer)))
    return True


async def _relay_chunks(reader: Reader, take: Take) -> bool:
    while True:
        line = await reader.until(b"\r\n")
        if line is None:
            return False
        size = int(line.split(b";")[0], 16)
        chunk = await reader.exactly(size + 2)
        if chunk is None:
            return False
        if not size:
            return True
        await take(chunk[:-2])


def chunk(data: bytes) -> bytes:
    """Wrap data as one HTTP chunk."""
    return b"%x\r\n%b\r\n" % (len(data), data)


async def read_socket_frame(reader: Reader) -> bytes | None:
    """Return one WebSocket frame of a server as it is: these are not masked."""
    start = await reader.exactly(2)
    if start is None:
        return None
    size, more = start[1] & 0x7F, b""
    if size >= 126:
        extended = await reader.exactly(2 if size == 126 else 8)
        if extended is None:
            return None
        more, size = extended, int.from_bytes(extended, "big")
    payload = await reader.exactly(size)
    return None if payload is None else start + more + payload


def message_name(frame: bytes) -> str:
    """Return which of Gradio's messages a frame is; empty for something else."""
    found = _MESSAGE.search(frame)
    return found[1].decode() if found else ""
