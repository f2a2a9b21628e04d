"""A fast server that says what the real app says, so that a client's own cost can be measured.

It speaks Gradio 6.31's wire (`sse_v3`) from what ``recorded/`` holds, with the endpoints of
`_real_app.py`.  HTTP is parsed by hand, on asyncio's protocols, and an answer is a template with
its blanks filled in: one call takes it a fraction of what any client takes for it.  It is no
server for anything else: it believes whatever it is told.

Run as ``python -m benchmarks._replay``: it serves on 127.0.0.1 and prints ``READY <port>``, and ends
when its stdin is closed.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
import os
import re
import socket
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any
from urllib.parse import unquote

HERE = Path(__file__).parent
PREFIX = b"/gradio_api"
MIB = 2**20
BLOCK = 2**16
"""A stream is written in pieces of about so many bytes, each with whole messages."""
MESSAGE_STEPS = 50
"""After so many steps a chat has a new message; as in `_real_app.py`."""
ENDLESS_INTERVAL = 0.01
BACKLOG = 16_384
REMEMBERED = 2000
"""So many sessions are known after their calls have ended."""

SERVER = f"date: {formatdate(usegmt=True)}\r\nserver: uvicorn\r\n".encode()
STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\n"
    + SERVER
    + b"content-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
)
CLOSE_STREAM = b'{"msg":"close_stream","event_id":null}'
NOT_FOUND = (
    b'{"msg":"unexpected_error","event_id":null,"message":"Session not found",'
    b'"session_not_found":true,"success":false}'
)

# The measured times are those of one recorded run.
ESTIMATION = b'{"msg":"estimation","event_id":"%b","rank":0,"queue_size":1,"rank_eta":null}'
STARTS = b'{"msg":"process_starts","event_id":"%b","eta":null}'
GENERATING = (
    b'{"msg":"process_generating","event_id":"%b","output":{"data":[%b],"is_generating":true,'
    b'"duration":0.000030517578125,"average_duration":0.00044337908426920575,'
    b'"render_config":null,"changed_state_ids":[],"used_cache":null},"success":true,'
    b'"time_limit":null}'
)
COMPLETED = (
    b'{"msg":"process_completed","event_id":"%b","output":{"data":[%b],"is_generating":false,'
    b'"duration":0.0003807544708251953,"average_duration":0.0003807544708251953,'
    b'"render_config":null,"changed_state_ids":[],"used_cache":null},"success":true,"title":null,'
    b'"used_cache":null,"cache_duration":0.0003807544708251953,"avg_time":0.0003807544708251953}'
)
CANCELLED = (
    b'{"msg":"process_completed","event_id":"%b","output":{},"success":true,"title":null,'
    b'"used_cache":null,"cache_duration":null,"avg_time":null}'
)


def dumps(value: Any) -> bytes:
    """Write JSON as the real server does: compact, and not escaped."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def frame(message: bytes) -> bytes:
    """Wrap a message as an event of the stream, in an HTTP chunk of its own."""
    return b"%x\r\ndata: %b\n\n\r\n" % (len(message) + 8, message)


def text_steps(n: int) -> Iterator[bytes]:
    """Give the outputs of `text`: the first as a whole, then what is added; last of all, all."""
    for step in range(n):
        word = b"word%d " % step
        yield b'"%b"' % word if step == 0 else b'[["append",[],"%b"]]' % word
    whole = b"".join(b"word%d " % step for step in range(n))
    yield b'"%b"' % whole if n else b"null"


def chat_steps(n: int) -> Iterator[bytes]:
    """Give the outputs of `chat`: as `text_steps`, one level deeper."""
    message = (
        b'{"role":"%b","metadata":null,"content":[{"text":"%b","type":"text"}],"options":null}'
    )
    roles = (b"user", b"assistant")
    for step in range(n):
        number, place = divmod(step, MESSAGE_STEPS)
        word = b"word%d " % step
        if place:
            yield b'[["append",[%d,"content",0,"text"],"%b"]]' % (number, word)
        elif number:
            yield b'[["add",[%d],%b]]' % (number, message % (roles[number % 2], word))
        else:
            yield b"[%b]" % (message % (roles[0], word))
    words = [b"word%d " % step for step in range(n)]
    messages = [
        message % (roles[number % 2], b"".join(words[start : start + MESSAGE_STEPS]))
        for number, start in enumerate(range(0, n, MESSAGE_STEPS))
    ]
    yield b"[%b]" % b",".join(messages) if n else b"null"


class Event:
    """One call that is under way."""

    __slots__ = ("fn", "id", "key", "session", "timer")

    def __init__(self, session: Session, event_id: bytes, fn: str, key: str) -> None:
        self.session = session
        self.id = event_id
        self.fn = fn
        self.key = key
        self.timer: asyncio.TimerHandle | None = None


class Session:
    """What is to be told to one session, and its event stream if it has one."""

    __slots__ = ("completed", "events", "flushing", "hash", "queue", "server", "stream")

    def __init__(self, server: Server, session_hash: str) -> None:
        self.server = server
        self.hash = session_hash
        self.events: dict[bytes, Event] = {}
        self.queue: deque[bytes | Iterator[bytes]] = deque()
        self.stream: Connection | None = None
        self.flushing = False
        self.completed = False
        """Whether a call has been completed since the stream was last ended: then it is ended
        once no other is under way.  A stream that is opened later stays open until the next."""

    def tell(self, *items: bytes | Iterator[bytes]) -> None:
        """Put messages, or iterators of them, into the queue, and have it written out."""
        self.queue.extend(items)
        self.wake()

    def wake(self) -> None:
        """Write what there is once all else that came with it was handled."""
        if self.stream is not None and not self.flushing:
            self.flushing = True
            self.server.loop.call_soon(self.flush)

    def flush(self) -> None:
        """Write until nothing is left or the socket takes no more; then end the stream if done."""
        self.flushing = False
        stream = self.stream
        while stream is not None and self.queue and not stream.paused:
            block, size = [], 0
            while self.queue and size < BLOCK:
                item = self.queue[0]
                if isinstance(item, bytes):
                    message: bytes | None = self.queue.popleft()  # type: ignore[assignment]
                else:
                    message = next(item, None)
                    if message is None:
                        self.queue.popleft()
                        continue
                block.append(frame(message))  # type: ignore[arg-type]
                size += len(block[-1])
            stream.write(b"".join(block))
        if stream is not None and self.completed and not self.queue and not self.events:
            stream.write(frame(CLOSE_STREAM) + b"0\r\n\r\n")
            self.completed = False
            stream.listening = None
            self.stream = None
            self.server.finished(self)

    def lose(self) -> None:
        """Stop all calls: the client has closed the stream."""
        for event in list(self.events.values()):
            self.server.stop(event)
        self.server.sessions.pop(self.hash, None)
        self.server.idle.pop(self.hash, None)


class Server:
    """All that connections share."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.config = (HERE / "recorded" / "config.json").read_bytes()
        self.info = (HERE / "recorded" / "info.json").read_bytes()
        self.names = [dep["api_name"] for dep in json.loads(self.config)["dependencies"]]
        self.sessions: dict[str, Session] = {}
        self.idle: dict[str, Session] = {}
        self.stopped: dict[str, float] = {}
        self.numbers = itertools.count(int.from_bytes(os.urandom(15), "big") << 4)
        self.block = os.urandom(4 * BLOCK)
        self.url = ""

    def finished(self, session: Session) -> None:
        """Remember a session without calls, as Gradio does, unless there are too many."""
        self.idle[session.hash] = session
        if len(self.idle) > REMEMBERED:
            oldest = next(iter(self.idle))
            del self.idle[oldest], self.sessions[oldest]

    def join(self, body: dict[str, Any]) -> bytes:
        """Take a call, and return the id of its event."""
        session_hash, fn, data = body["session_hash"], self.names[body["fn_index"]], body["data"]
        session = self.sessions.get(session_hash)
        if session is None:
            session = self.sessions[session_hash] = Session(self, session_hash)
        self.idle.pop(session_hash, None)
        event_id = b"%032x" % (next(self.numbers) % 2**128)
        event = Event(session, event_id, fn, data[0] if isinstance(data[0], str) else "")
        session.events[event_id] = event
        session.queue.extend((ESTIMATION % event_id, STARTS % event_id))
        self.start(event, data[0])
        return event_id

    def start(self, event: Event, value: Any) -> None:
        """Do what the endpoint does."""
        if event.fn == "echo":
            self.complete(event, dumps(value))
        elif event.fn == "second":
            event.timer = self.loop.call_later(1, self.complete, event, dumps(value))
            event.session.wake()
        elif event.fn in {"text", "chat"}:
            steps = text_steps if event.fn == "text" else chat_steps
            event.session.tell(self.generate(event, steps(int(value))))
        elif event.fn == "endless":
            self.tick(event, 0)
        elif event.fn == "stopped":
            self.complete(event, dumps(self.stopped.get(value)))
        elif event.fn == "size_of":
            self.complete(event, value["path"].split("/")[2].encode())
        else:
            self.complete(event, dumps(self.made(int(value))))

    def complete(self, event: Event, data: bytes) -> None:
        """End a call well."""
        event.session.events.pop(event.id, None)
        event.session.completed = True
        event.session.tell(COMPLETED % (event.id, data))

    def generate(self, event: Event, steps: Iterator[bytes]) -> Iterator[bytes]:
        """Give the messages of a generator, as fast as they are written; it can be stopped."""
        data = next(steps)
        for following in steps:
            if event.id not in event.session.events:
                return
            yield GENERATING % (event.id, data)
            data = following
        event.session.events.pop(event.id, None)
        event.session.completed = True
        yield COMPLETED % (event.id, data)

    def tick(self, event: Event, step: int) -> None:
        """Tell the next number of an `endless`."""
        data = b'"%d"' % step if step == 0 else b'[["replace",[],"%d"]]' % step
        event.session.tell(GENERATING % (event.id, data))
        event.timer = self.loop.call_later(ENDLESS_INTERVAL, self.tick, event, step + 1)

    def made(self, mib: int) -> dict[str, Any]:
        """Describe a file that `file` sends."""
        path = f"/replay/{mib * MIB}/{mib}.bin"
        return {
            "path": path,
            "url": f"{self.url}/gradio_api/file={path}",
            "size": mib * MIB,
            "orig_name": f"{mib}.bin",
            "mime_type": None,
            "is_stream": False,
            "meta": {"_type": "gradio.FileData"},
        }

    def stop(self, event: Event) -> None:
        """Stop a call that runs, and note when that was."""
        event.session.events.pop(event.id, None)
        if event.timer is not None:
            event.timer.cancel()
        if event.fn == "endless":
            self.stopped[event.key] = time.monotonic()

    def cancel(self, body: dict[str, Any]) -> None:
        """Stop all calls of a function in a session; only the one named is told, as in Gradio."""
        session = self.sessions.get(body["session_hash"])
        if session is None:
            return
        fn, wanted = self.names[body["fn_index"]], body["event_id"].encode()
        for event in list(session.events.values()):
            if event.fn == fn or event.id == wanted:
                self.stop(event)
                if event.id == wanted:
                    session.completed = True
                    session.tell(CANCELLED % wanted)


class Connection(asyncio.Protocol):
    """One connection: requests one after the other, each answered before the next is read."""

    __slots__ = ("_buffer", "_feed", "_transport", "listening", "on_drain", "paused", "server", "write")

    def __init__(self, server: Server) -> None:
        self.server = server
        self.paused = False
        self.listening: Session | None = None
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
            self._answer(b'{"app_id":5468139927354323123}')
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


async def serve(port: int = 0) -> None:
    """Serve until stdin is closed."""
    server = Server()
    listener = socket.create_server(("127.0.0.1", port), backlog=BACKLOG)
    ended = asyncio.Event()
    server.loop.add_reader(sys.stdin.fileno(), lambda: os.read(0, 1) or ended.set())
    await server.loop.create_server(lambda: Connection(server), sock=listener, backlog=BACKLOG)
    number = listener.getsockname()[1]
    server.url = f"http://127.0.0.1:{number}"
    print("READY", number, flush=True)
    # What is there now stays; what is made by calls is freed without the collector.
    gc.collect()
    gc.freeze()
    gc.disable()
    await ended.wait()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]) if len(sys.argv) > 1 else 0))
