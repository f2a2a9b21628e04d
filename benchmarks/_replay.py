"""A fast server that says what the real app says, so that a client's own cost can be measured.

It speaks Gradio 6.31's wire (`sse_v3`) from what ``recorded/`` holds, with the endpoints of
`_real_app.py`.  HTTP is parsed by hand, on asyncio's protocols, and an answer is a template with
its blanks filled in: one call takes it a fraction of what any client takes for it.  It is no
server for anything else: it believes whatever it is told.

Run as ``python -m benchmarks._replay``: it serves on 127.0.0.1, prints ``READY <port>``, and ends
when its stdin is closed.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
import os
import socket
import sys
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ._replay_http import Connection
from ._replay_wire import (
    CANCELLED,
    CLOSE_STREAM,
    COMPLETED,
    ESTIMATION,
    GENERATING,
    STARTS,
    chat_steps,
    dumps,
    frame,
    text_steps,
)

HERE = Path(__file__).parent
MIB = 2**20
BLOCK = 2**16
"""A stream is written in pieces of about so many bytes, each with whole messages."""
ENDLESS_INTERVAL = 0.01
BACKLOG = 16_384
REMEMBERED = 2000
"""So many sessions are known after their calls have ended."""


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
            block: list[bytes] = []
            size = 0
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


async def serve(port: int = 0) -> None:
    """Serve until stdin is closed."""
    server = Server()
    listener = socket.create_server(("127.0.0.1", port), backlog=BACKLOG)
    ended = asyncio.Event()

    def watch_stdin() -> None:
        if not os.read(sys.stdin.fileno(), 1):
            ended.set()

    server.loop.add_reader(sys.stdin.fileno(), watch_stdin)
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
