"""A scripted server for one protocol, of which a test plays each answer itself.

`Peer` is a transport of httpx, so it takes no time; `SocketPeer` adds a real WebSocket on loopback.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import trio

from tests.support.hanging import SECONDS

TRACES = Path(__file__).resolve().parent.parent / "servers" / "traces"

Answer = Callable[["Peer", Any], Awaitable[httpx.Response]]


class Stream(httpx.AsyncByteStream):
    """An event stream that the test writes."""

    def __init__(self) -> None:
        self._send, self._receive = trio.open_memory_channel[Any](1000)
        self.closed = trio.Event()
        """Set when the client has closed it."""

    def send(self, message: Any) -> None:
        self.raw(f"data: {json.dumps(message)}\n\n".encode())

    def raw(self, data: bytes) -> None:
        self._send.send_nowait(data)

    def end(self) -> None:
        self._send.close()

    def breaks(self) -> None:
        self._send.send_nowait(httpx.ReadError("reset by peer"))

    def __aiter__(self) -> Stream:
        return self

    async def __anext__(self) -> bytes:
        try:
            item = await self._receive.receive()
        except trio.EndOfChannel:
            raise StopAsyncIteration from None
        if isinstance(item, Exception):
            raise item
        return item

    async def aclose(self) -> None:
        self._receive.close()
        self.closed.set()


def reply(value: Any, status: int = 200) -> httpx.Response:
    """Make an answer in JSON that is still to be read, as those of a network are."""
    return httpx.Response(
        status,
        headers={"content-type": "application/json"},
        stream=httpx.ByteStream(json.dumps(value).encode()),
    )


class Peer(httpx.AsyncBaseTransport):
    """Answers as Gradio of some version: its description, and what `answers` has for a path."""

    def __init__(self, version: str) -> None:
        folder = TRACES / version
        self.described: dict[str, Any] = {
            "/config": json.loads((folder / "config.json").read_text(encoding="utf-8")),
            "/info": json.loads((folder / "info.json").read_text(encoding="utf-8")),
        }
        self.url = "http://peer.test/"
        self.answers: dict[str, Answer] = {}
        self.bodies: dict[str, list[Any]] = {}
        """The bodies of the requests for a path, or their queries."""
        self.looks = 0
        """How often it was asked which app it is, beside those times that a test answers."""
        self._asked = trio.lowlevel.ParkingLot()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if path in self.described:
            return reply(self.described[path])
        if path.endswith("/app_id") and path not in self.answers:
            self.looks += 1
            return reply({"app_id": self.described["/config"].get("app_id")})
        await request.aread()
        body = json.loads(request.content) if request.content else dict(request.url.params)
        self.bodies.setdefault(path, []).append(body)
        self._asked.unpark_all()
        answer = self.answers.get(path)
        if answer is None:
            return reply({"detail": "Not Found"}, 404)
        return await answer(self, body)

    async def asked(self, path: str, times: int = 1) -> Any:
        """Wait until a path was asked for; return the body of the last request."""
        with trio.fail_after(SECONDS):
            while len(self.bodies.get(path, [])) < times:
                await self._asked.park()
        return self.bodies[path][times - 1]

    def says(self, path: str, value: Any, status: int = 200) -> None:
        async def answer(_peer: Peer, _body: Any) -> httpx.Response:
            return reply(value, status)

        self.answers[path] = answer

    def hangs(self, path: str) -> None:
        async def answer(_peer: Peer, _body: Any) -> httpx.Response:
            await trio.sleep_forever()
            raise AssertionError

        self.answers[path] = answer

    def streams(self, path: str) -> Stream:
        stream = Stream()

        async def answer(_peer: Peer, _body: Any) -> httpx.Response:
            return httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=stream)

        self.answers[path] = answer
        return stream


class SocketPeer(Peer):
    """A peer that speaks WebSocket too; the script gets each connection."""

    script: Callable[[Any], Awaitable[None]]

    def __init__(self, version: str) -> None:
        super().__init__(version)
        self.handshakes: list[dict[str, str]] = []
        """The headers of each connection, names in lower case."""
        limits = httpx.Limits(max_keepalive_connections=0)
        self._sockets = httpx.AsyncHTTPTransport(limits=limits)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if "upgrade" in request.headers:
            return await self._sockets.handle_async_request(request)
        return await super().handle_async_request(request)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        from trio_websocket import ConnectionClosed, serve_websocket

        async def handle(request: Any) -> None:
            self.handshakes.append(
                {name.decode().lower(): value.decode() for name, value in request.headers}
            )
            connection = await request.accept()
            try:
                await self.script(connection)
            except ConnectionClosed:
                # What the test wants to know stands in its own events.
                return

        async with self._sockets, trio.open_nursery() as nursery:
            server = await nursery.start(serve_websocket, handle, "127.0.0.1", 0, None)
            self.url = f"http://127.0.0.1:{server.port}/"
            yield
            nursery.cancel_scope.cancel()
