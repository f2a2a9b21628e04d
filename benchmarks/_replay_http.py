"""The HTTP of the replay server: requests parsed by hand, uploads counted as they come."""

from __future__ import annotations

import asyncio
import json
import re
import socket
from collections.abc import Callable, Mapping
from email.utils import formatdate
from typing import Any, Protocol
from urllib.parse import unquote

from ._replay_wire import CLOSE_STREAM, NOT_FOUND, dumps, frame

PREFIX = b"/gradio_api"
SERVER = f"date: {formatdate(usegmt=True)}\r\nserver: uvicorn\r\n".encode()
STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\n"
    + SERVER
    + b"content-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
)


class StreamSource(Protocol):
    """What writes an event stream: a session."""

    stream: Connection | None
    """Where it writes, if a client listens."""

    def flush(self) -> None:
        """Write what there is."""

    def lose(self) -> None:
        """Stop all calls: the client has closed the stream."""


class Handler(Protocol):
    """What requests are for: the app."""

    config: bytes
    info: bytes
    block: bytes
    """What files are made of."""

    @property
    def sessions(self) -> Mapping[str, StreamSource]:
        """The sessions that are known, by session hash."""
        ...

    def join(self, body: dict[str, Any]) -> bytes:
        """Take a call, and return the id of its event."""
        ...

    def cancel(self, body: dict[str, Any]) -> None:
        """Stop what a cancel request names."""


class Connection(asyncio.Protocol):
    """One connection: requests one after the other, each answered before the next is read."""

    __slots__ = (
        "_buffer",
        "_feed",
        "_transport",
        "listening",
        "on_drain",
        "paused",
        "server",
        "write",
    )

    def __init__(self, server: Handler) -> None:
        self.server = server
        self.paused = False
        self.listening: StreamSource | None = None
        self.on_drain: Callable[[], None] | None = None
        self._buffer = b""
        self._feed: Upload | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        # As every server does; asyncio itself leaves it to us for a socket that we made.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.write = transport.write

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop what this connection listened to, as Gradio does."""
        self.on_drain = None
        if self.listening is not None and self.listening.stream is self:
            self.listening.lose()

    def pause_writing(self) -> None:
        """Wait for the client."""
        self.paused = True

    def resume_writing(self) -> None:
        """Go on."""
        self.paused = False
        if self.on_drain is not None:
            self.on_drain()
        if self.listening is not None:
            self.listening.flush()

    def data_received(self, data: bytes) -> None:
        """Answer each request that is there as a whole; uploads are read as they come."""
        if self._feed is not None:
            data = self._feed.feed(data)
            if not self._feed.done:
                return
            self._answer_upload(self._feed)
            self._feed = None
        buffer = self._buffer + data if self._buffer else data
        while True:
            head, separator, rest = buffer.partition(b"\r\n\r\n")
            if not separator:
                break
            line, _, headers = head.partition(b"\r\n")
            method, target, _ = line.split(b" ")
            if method != b"POST":
                buffer = rest
                self._get(method, target, headers)
                continue
            if target.startswith(PREFIX + b"/upload"):
                self._feed = Upload(headers)
                self._buffer = b""
                self.data_received(rest)
                return
            length = body_length(headers)
            if len(rest) < length:
                break
            buffer = rest[length:]
            self._post(target, rest[:length])
        self._buffer = buffer

    def _post(self, target: bytes, body: bytes) -> None:
        if target == PREFIX + b"/queue/join":
            event_id = self.server.join(json.loads(body))
            self._answer(b'{"event_id":"%b"}' % event_id)
        elif target == PREFIX + b"/cancel":
            self.server.cancel(json.loads(body))
            self._answer(b'{"success":true}')
        elif target == PREFIX + b"/reset":
            self._answer(b'{"success":true}')
        else:
            self._answer(b'{"detail":"Not Found"}', status=b"404 Not Found")

    def _get(self, method: bytes, target: bytes, headers: bytes) -> None:
        path, _, query = target.partition(b"?")
        if path == PREFIX + b"/queue/data":
            self._listen(query)
        elif path == b"/config":
            self._answer(self.server.config.replace(b"http://ROOT", self._root(headers)))
        elif path == PREFIX + b"/info":
            self._answer(self.server.info.replace(b"http://ROOT", self._root(headers)))
        elif path.startswith(PREFIX + b"/file="):
            self._send_file(unquote(path.decode()))
        elif path.startswith(PREFIX + b"/heartbeat/"):
            self.write(STREAM_HEAD + b"d\r\ndata: ALIVE\n\n\r\n")
        elif path in {PREFIX + b"/app_id", b"/app_id"}:
            self._answer(b'{"app_id":4223042683156668777}')
        elif path == b"/":
            self._answer(b"" if method == b"HEAD" else b"<!doctype html>", b"text/html")
        else:
            self._answer(b'{"detail":"Not Found"}', status=b"404 Not Found")

    def _listen(self, query: bytes) -> None:
        session_hash = query.partition(b"session_hash=")[2].partition(b"&")[0].decode()
        session = self.server.sessions.get(session_hash)
        self.write(STREAM_HEAD)
        if session is None:
            self.write(frame(NOT_FOUND) + frame(CLOSE_STREAM) + b"0\r\n\r\n")
            return
        session.stream = self
        self.listening = session
        session.flush()

    def _root(self, headers: bytes) -> bytes:
        found = re.search(rb"(?i)(?:^|\n)host: *([^\r\n]+)", headers)
        return b"http://" + (found[1] if found else b"127.0.0.1")

    def _answer(
        self, body: bytes, kind: bytes = b"application/json", *, status: bytes = b"200 OK"
    ) -> None:
        self.write(
            b"HTTP/1.1 %b\r\n%bcontent-length: %d\r\ncontent-type: %b\r\n\r\n%b"
            % (status, SERVER, len(body), kind, body)
        )

    def _answer_upload(self, upload: Upload) -> None:
        path = f"/replay/{upload.file_size}/{upload.file_name}"
        self._answer(dumps([path]))

    def _send_file(self, path: str) -> None:
        _, _, size, name = path.partition("file=")[2].split("/")
        left = int(size)
        self.write(
            b"HTTP/1.1 200 OK\r\n%baccept-ranges: bytes\r\n"
            b"content-type: application/octet-stream\r\n"
            b'content-disposition: attachment; filename="%b"\r\ncontent-length: %d\r\n\r\n'
            % (SERVER, name.encode(), left)
        )
        block = self.server.block

        def send() -> None:
            nonlocal left
            while left and not self.paused:
                piece = block if left >= len(block) else block[:left]
                left -= len(piece)
                self.write(piece)
            if not left:
                self.on_drain = None

        self.on_drain = send
        send()


class Upload:
    """Reads a form with one file in it, and keeps its name and size only."""

    def __init__(self, headers: bytes) -> None:
        boundary = re.search(rb'(?i)boundary="?([^"\r\n;]+)', headers)
        assert boundary is not None
        self._tail = len(b"\r\n--%b--\r\n" % boundary[1])
        self._chunked = b"chunked" in headers.lower()
        self._left = 0 if self._chunked else body_length(headers)
        self._size = 0
        self._start = b""
        self._line = b""
        self._in_chunk = False
        self.done = False

    def feed(self, data: bytes) -> bytes:
        """Take some of the body; return what came after its end."""
        if not self._chunked:
            body, rest = data[: self._left], data[self._left :]
            self._left -= len(body)
            self._take(body)
            self.done = not self._left
            return rest
        return self._feed_chunks(data)

    def _feed_chunks(self, data: bytes) -> bytes:
        while data and not self.done:
            if self._in_chunk:
                body, data = data[: self._left], data[self._left :]
                self._left -= len(body)
                self._take(body)
                self._in_chunk = self._left > 0
                continue
            line, separator, rest = (self._line + data).partition(b"\n")
            if not separator:
                self._line = line
                return b""
            self._line, data = b"", rest
            if not line.strip():
                # The end of a chunk; after the last one, of the body.
                self.done = self._left < 0
            else:
                self._left = int(line.split(b";")[0], 16) or -1
                self._in_chunk = self._left > 0
        return data

    def _take(self, body: bytes) -> None:
        self._size += len(body)
        if len(self._start) < 4096:
            self._start += body[:4096]

    @property
    def file_name(self) -> str:
        """The file's name as it was sent."""
        found = re.search(rb'filename="([^"]*)"', self._start)
        return found[1].decode() if found else "file"

    @property
    def file_size(self) -> int:
        """How many bytes the file has."""
        return self._size - (self._start.index(b"\r\n\r\n") + 4) - self._tail


def body_length(headers: bytes) -> int:
    """Return what Content-Length says."""
    found = re.search(rb"(?i)content-length: *(\d+)", headers)
    return int(found[1]) if found else 0
