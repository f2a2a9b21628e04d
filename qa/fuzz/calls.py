"""Targets that play a whole app: a call with strange data, beside one that must get its value."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import cache
from tempfile import TemporaryDirectory
from typing import Any

import httpcore
import httpx
import pytest
import trio
import trio.testing
import wsproto
import wsproto.events
from wsproto.connection import Connection, ConnectionType

from qa.fuzz.common import check_error, decoded
from qa.fuzz.strategies import RECORDED
from tests.drivers.peer import Stream
from triojob import Client, Job, JobCancelled, JobGroup, TriojobError
from triojob.gradio.protocol.messages import is_object

VERSIONS = {"queue": "6.31.0", "call": "6.31.0", "run": "6.31.0", "sse": "4.0.2", "ws": "3.50.2"}
"""The ways that calls take, and a release that has them."""
SECONDS = 10**6
"""On the mock clock; what hangs gets there."""
SIBLING = {
    "msg": "process_completed",
    "event_id": "sibling",
    "output": {"data": ["sibling"]},
    "success": True,
}


class App(httpx.AsyncBaseTransport):
    """An app that has strange answers for one call, and proper ones for the other.

    Args:
        way: How the calls come.
        named: What it answers to the request that makes the strange call.
        messages: What it has to say of it.
        file: What it answers to a request for a file.
    """

    def __init__(self, way: str, named: Any, messages: list[Any], file: Any) -> None:
        self.description = recorded_description(VERSIONS[way])
        self.way = way
        self.named = named
        self.messages = messages
        self.file = file
        self.next_description: list[Any] = []
        """``/config`` and ``/info`` after a restart."""
        self.release = trio.Event()
        self.streams: list[Stream] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        path = request.url.path.removeprefix("/gradio_api")
        if path in ("/config", "/info"):
            return answer(self.description[path == "/info"])
        if path == "/app_id":
            return answer({"app_id": self.description[0].get("app_id")})
        if path.startswith(("/queue/", "/run/", "/call/")):
            return await self._call(request, path)
        if path.startswith("/file"):
            return answer(self.file)
        return answer({"success": True})

    async def _call(self, request: httpx.Request, path: str) -> httpx.Response:
        ours = "slow" in path
        body: Any = json.loads(request.content) if request.content else request.url.params
        if path == "/queue/join" and "upgrade" in request.headers:
            key = request.headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
            proof = base64.b64encode(hashlib.sha1(key.encode()).digest())
            headers = {"upgrade": "websocket", "sec-websocket-accept": proof.decode()}
            return httpx.Response(101, headers=headers, extensions={"network_stream": Socket(self)})
        if path == "/queue/join" and self.way == "sse":
            return self._stream(ours=body["fn_index"] == "4")
        if path == "/queue/join":
            return answer({"event_id": "sibling"} if body["fn_index"] == 4 else self.named)
        if path == "/queue/data" and self.way == "sse":
            return answer(None if body["event_id"] == "sibling" else self.named)
        if path == "/queue/data":
            return self._stream(ours=True)
        if path.startswith("/run/"):
            if ours:
                await self.release.wait()
                return answer({"data": ["sibling"]})
            return answer(self.named)
        if request.method == "POST":
            return answer({"event_id": "sibling"} if ours else self.named)
        return self._stream(ours=ours)

    def _stream(self, *, ours: bool) -> httpx.Response:
        stream = Stream()
        if self.way == "sse" and ours:
            stream.send({"msg": "send_data", "event_id": "sibling"})
        if ours:
            self.streams.append(stream)
        else:
            for message in self.messages:
                self.say(stream, message)
            stream.end()
        headers = {"content-type": "text/event-stream"}
        return httpx.Response(200, headers=headers, stream=stream)

    def say(self, stream: Stream, message: Any) -> None:
        if self.way == "call" and is_object(message):
            output = message.get("output")
            data = output.get("data") if is_object(output) else output
            kind = {"process_completed": "complete"}.get(str(message.get("msg")), "generating")
            stream.raw(f"event: {kind}\ndata: {json.dumps(data)}\n\n".encode())
        else:
            stream.send(message)

    def restart(self) -> None:
        self.description = self.next_description

    def finish(self) -> None:
        """Let the other call have its value."""
        self.release.set()
        for stream in self.streams:
            self.say(stream, SIBLING)
            stream.send({"msg": "close_stream", "event_id": None})
            stream.end()


@cache
def recorded_description(version: str) -> list[Any]:
    """Return ``/config`` and ``/info`` of a release."""
    folder = RECORDED / version
    return [json.loads((folder / f"{name}.json").read_bytes()) for name in ("config", "info")]


def answer(value: Any) -> httpx.Response:
    """Make an answer; of a pair of a status and another value, with that status."""
    status = 200
    if isinstance(value, list) and len(value) == 2 and type(value[0]) is int:
        status = value[0] if 200 <= value[0] < 600 else 500
        value = value[1]
    return httpx.Response(
        status,
        headers={"content-type": "application/json"},
        stream=httpx.ByteStream(json.dumps(value).encode()),
    )


class Socket(httpcore.AsyncNetworkStream):
    """The server's end of a WebSocket."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._protocol = Connection(ConnectionType.SERVER)
        self._send, self._receive = trio.open_memory_channel[bytes](1000)
        self._say({"msg": "send_hash"})

    def _say(self, message: Any) -> None:
        text = wsproto.events.TextMessage(json.dumps(message))
        self._send.send_nowait(self._protocol.send(text))

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._protocol.receive_data(buffer)
        for event in self._protocol.events():
            if isinstance(event, wsproto.events.TextMessage):
                await self._take(json.loads(event.data))
            elif isinstance(event, wsproto.events.CloseConnection):
                self._send.send_nowait(self._protocol.send(event.response()))

    async def _take(self, body: Any) -> None:
        if "data" not in body:
            if body["fn_index"] == 4:
                self._say({"msg": "send_data"})
            else:
                for message in self._app.messages:
                    self._say(message)
                self._send.close()
        else:
            await self._app.release.wait()
            self._say(SIBLING)

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        try:
            return await self._receive.receive()
        except trio.EndOfChannel:
            return b""

    async def aclose(self) -> None:
        self._receive.close()

    def get_extra_info(self, info: str) -> Any:
        return None


def calls(data: bytes) -> None:
    """A way, the answer to the request that makes a call, its messages, and a file."""
    match decoded(data):
        case [str(way), named, list(messages), file] if way in VERSIONS:
            # Those are of the other call, or of both.
            theirs = [m for m in messages if not is_object(m) or m.get("event_id") != "sibling"]
            kept = [m for m in theirs if not (is_object(m) and m.get("msg") in _OF_ALL)]
            _run(_call_beside, App(way, named, [_of_call(m) for m in kept], file))
        case _:
            return


_OF_ALL = ("unexpected_error", "close_stream")


def _of_call(message: Any) -> Any:
    return {"event_id": "strange", **message} if is_object(message) else {"event_id": [message]}


def _run(play: Callable[[App], Any], app: App) -> None:
    with pytest.MonkeyPatch.context() as patch:
        # The mock clock would run on while a thread is at work.
        patch.setattr(trio.to_thread, "run_sync", _in_this_thread)
        trio.run(play, app, clock=trio.testing.MockClock(autojump_threshold=0))


async def _in_this_thread(function: Callable[..., Any], *args: Any, **_: Any) -> Any:
    await trio.lowlevel.checkpoint()
    return function(*args)


@asynccontextmanager
async def _opened(app: App) -> AsyncIterator[Client]:
    with trio.fail_after(SECONDS), TemporaryDirectory() as folder:
        async with Client("http://app.test/", transport=app, download_files=folder) as client:
            yield client


async def _call_beside(app: App) -> None:
    via: Any = app.way if app.way in ("call", "run") else None
    async with _opened(app) as client, client.session() as session, JobGroup() as group:
        sibling, strange = (session.endpoint(name, via=via) for name in ("/slow", "/greet"))
        ours = group.submit(sibling, 1)
        await trio.testing.wait_all_tasks_blocked()
        theirs = group.submit(strange, "Bob")
        await trio.testing.wait_all_tasks_blocked()
        if app.way == "queue":
            for message in app.messages:
                app.say(app.streams[0], message)
        with trio.move_on_after(100):  # some say nothing that would end it
            await theirs.wait()
        assert not ours.done
        app.finish()
        assert await ours.result() == "sibling"
        theirs.cancel()
        await theirs.wait()
        check_end(theirs)


def check_end(job: Job[Any]) -> None:
    """Show that a call ended in a way that is documented, and that its outputs can be looked at."""
    error = job.exception()
    assert error is None or isinstance(error, TriojobError), repr(error)
    if error is not None and not isinstance(error, JobCancelled):
        check_error(error)
    assert isinstance(job.outputs(), list)
    assert repr(job)


def descriptions(data: bytes) -> None:
    """A pair: ``/config`` and ``/info``, of an app at first, and then of one that restarts."""
    match decoded(data):
        case [description, info]:
            for play in (_opening, _restart_beside):
                app = App("queue", {"event_id": "strange"}, [], None)
                app.next_description = [description, info]
                _run(play, app)
        case _:
            return


async def _opening(app: App) -> None:
    app.restart()
    try:
        async with _opened(app) as client:
            for describe in (client.view_api, client.stubs):
                with suppress(TriojobError):
                    describe(all_endpoints=True)
            for name in ("/greet", "/count", "/bump"):
                await _try(client, name)
    except TriojobError as error:
        check_error(error)


async def _try(client: Client, name: str) -> None:
    """Call an endpoint with nothing."""
    try:
        job = client.submit(api_name=name)
    except (TriojobError, TypeError, ValueError):
        return
    with trio.move_on_after(1):
        await job.wait()
    job.cancel()
    await job.wait()
    check_end(job)


async def _restart_beside(app: App) -> None:
    async with _opened(app) as client:
        ours = client.submit(1, api_name="/slow")
        await trio.testing.wait_all_tasks_blocked()
        app.restart()
        registry = client._registry
        assert registry is not None
        registry.watch.mark_suspect()
        for name in ("/greet", "/count"):
            await _try(client, name)
        assert not ours.done
        app.finish()
        assert await ours.result() == "sibling"
