"""Has any one step of what calls share raise an exception, and shows whom that harms.

A step is a call of a Python function, or of a built-in one from triojob's own code, in one of the
tasks that a client keeps for calls.
"""

from __future__ import annotations

import inspect
import json
import re
import ssl
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import cache
from types import FrameType
from typing import Any

import httpx
import trio
import trio.testing

from tests.drivers.peer import Peer, SocketPeer, Stream, reply
from tests.servers.scripted import Event, open_server
from tests.support.files import file_data
from tests.support.sessions import ROOMY
from triojob import Client, ConnectionLost, Job, JobGroup, Timeouts, TriojobError
from triojob._exceptions import direct_exceptions
from triojob.testing.components import state

if sys.version_info < (3, 11):
    from exceptiongroup import ExceptionGroup

Step = tuple[str, str, str, str]
"""A task, a file, a function in it, and what that is about to call."""

EXCEPTIONS: list[Callable[[], Exception]] = [
    lambda: ValueError("odd"),
    lambda: KeyError("odd"),
    lambda: TypeError("odd"),
    lambda: RecursionError("odd"),
    lambda: UnicodeDecodeError("idna", b"\xff", 0, 1, "odd"),
    lambda: UnicodeEncodeError("utf-8", "\ud800", 0, 1, "odd"),
    lambda: httpx.InvalidURL("odd"),
    lambda: AttributeError("odd"),
    lambda: OSError(28, "odd"),
    MemoryError,
    lambda: OverflowError("odd"),
    lambda: AssertionError("odd"),
    lambda: StopIteration("odd"),
    lambda: StopAsyncIteration("odd"),
    lambda: ssl.SSLError("odd"),
    lambda: json.JSONDecodeError("odd", "", 0),
    lambda: trio.BrokenResourceError("odd"),
    lambda: trio.TooSlowError("odd"),
    lambda: ExceptionGroup("odd", [ValueError("odd"), KeyError("odd")]),
]

_SHARED = re.compile(r"<(event stream|join|call|files|input|close|cancel|heartbeat)\b")
_LOOKED_AT = re.compile(
    r".*?((?:triojob/_exceptions|triojob/_core/containment|triojob/gradio/|/json/|urllib/parse"
    r"|httpx/_url|/idna/|/wsproto/|/trio_websocket/).*)\.py"
)
_BOOKKEEPING = re.compile(
    r"triojob/(_core/containment|_exceptions split$"
    r"|gradio/(session/(?!heartbeat|restart|input_stream)"
    r"|session/heartbeat _keep$|http/sockets|http/connection send$"
    r"|protocol/base has_session_stream$"
    r"|protocol/messages (completes|is_cancel_answer)$))"
)
"""What counts calls and places, what the rest of this is about, and sockets."""
_WAY_TO_ALL = re.compile(r"triojob/gradio/(http/|protocol/event_stream)")
"""Of a stream that calls share: before an event is in one piece, it is nobody's."""
_CAN_WAIT = inspect.CO_COROUTINE | inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR
"""Of functions that go on later only what they call is a step: CPython 3.11 may crash otherwise."""
_DOORS = {
    *("feed", "take", "read_message", "run", "post", "_close_quietly", "receive_some"),
    *("__enter__", "__exit__", "__aenter__", "__aexit__", "__aiter__"),
    *("aclose", "close", "release"),
}
"""Functions that begin with a guard, or are one; what they do is looked at."""


def is_step(step: Step, *, shared: bool) -> bool:
    _, file, function, called = step
    if _BOOKKEEPING.match(f"{file} {function}"):
        return False
    if shared and (_WAY_TO_ALL.match(file) or function in ("open", "__anext__")):
        return False
    return function not in _DOORS or bool(called)


class Saboteur(trio.abc.Instrument):
    """Notes each step while it is at work, and has one of them raise, once."""

    def __init__(self, step: Step | None = None, error: Exception | None = None) -> None:
        self.step = step
        self.error = error
        self.steps: dict[Step, None] = {}
        self.struck = False
        self._task = ""

    @contextmanager
    def at_work(self) -> Iterator[None]:
        trio.lowlevel.add_instrument(self)
        try:
            yield
        finally:
            trio.lowlevel.remove_instrument(self)

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self._task = _shared(task)
        if self._task:
            # Not by sys.settrace, which is for those that measure coverage.
            sys.setprofile(self._look)

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        sys.setprofile(None)

    def _look(self, frame: FrameType, event: str, arg: Any) -> None:
        if event not in ("call", "c_call"):
            return
        file = _file_of(frame.f_code.co_filename)
        if file is None or (event == "c_call" and "triojob/" not in file):
            return
        if event == "call" and frame.f_code.co_flags & _CAN_WAIT:
            return
        called = "" if event == "call" else f"{arg.__name__} in line {frame.f_lineno}"
        step = (self._task, file, frame.f_code.co_name, called)
        self.steps[step] = None
        if step == self.step and not self.struck:
            self.struck = True
            assert self.error is not None
            raise self.error


def _shared(task: trio.lowlevel.Task | None) -> str:
    """Return which of the tasks that calls share it is, or a child of; nothing for another one."""
    while task is not None:
        if shared := _SHARED.match(task.name):
            return shared[1]
        nursery = task.parent_nursery
        task = None if nursery is None else nursery.parent_task
    return ""


@cache
def _file_of(path: str) -> str | None:
    """Return the name of a file whose functions are steps, or None for another one."""
    found = _LOOKED_AT.match(path)
    return None if found is None else found[1]


async def in_this_thread(function: Callable[..., Any], *args: Any, **_: Any) -> Any:
    """Take the place of `trio.to_thread.run_sync`: nothing here takes long."""
    await trio.lowlevel.checkpoint()
    return function(*args)


# --- Scenes ---


@dataclass
class Scene:
    """A call that can be made again and again, beside one that is under way."""

    client: Client
    call: Callable[[str], Job[Any]]
    """Takes "wait" for a call that does not end by itself."""
    sibling: Job[Any]
    value: str
    """The call's value; of a file, the name."""
    release: trio.Event
    """Lets the sibling end, which then has the value "sibling"."""
    shared: bool = False
    """Whether both ride on one event stream."""
    task: str = ""
    """Which task it is about, if it is not about all."""
    taken: list[float] = field(init=False)
    """Places in the limiters that the sibling has."""

    def places_taken(self) -> list[float]:
        registry = self.client._registry
        assert registry is not None
        http = registry.http
        limiters = (http.requests, http.transfers, http.cancel_requests, http.heartbeats)
        return [limiter.borrowed_tokens for limiter in limiters]

    def have_id_asked(self) -> None:
        """Forget that the app's id was unreadable, after which no call asks for it again."""
        registry = self.client._registry
        assert registry is not None
        registry.watch._answers = True

    def fits(self, value: str) -> bool:
        return value.rpartition("/")[2] == self.value


FILE = "/srv/a.txt"


@asynccontextmanager
async def queue(*, shared: bool) -> AsyncIterator[Scene]:
    """``sse_v3``: a generator whose messages are of every kind, the last one with a file."""
    release = trio.Event()
    async with open_server(memory=True) as server:
        server.files[FILE] = b"content"

        @server.app.endpoint(inputs=["text"], generator=True)
        async def victim(event: Event) -> None:
            await event.progress([(1, 3)])
            await event.log("hello")
            await event.generating(["Once"])
            await event.generating(["Once upon"])
            if event.data == ["wait"]:
                await trio.sleep_forever()
            event.outputs.render_config = {"render_id": 1, "components": [], "dependencies": []}
            await event.completed([file_data(FILE)])

        @server.app.endpoint(generator=True)
        async def sibling(event: Event) -> None:
            await event.generating(["begun"])
            await release.wait()
            await event.completed(["sibling"])

        transport = server.transport(limits=ROOMY)
        async with Client(server.url, transport=transport) as client, client.session() as session:
            surface = session if shared else client
            other = surface.submit(api_name="/sibling")
            yield Scene(
                client,
                lambda text: surface.submit(text, api_name="/victim"),
                other,
                "a.txt",
                release,
                shared=shared,
            )


@asynccontextmanager
async def state_and_inputs() -> AsyncIterator[Scene]:
    """``sse_v3``: a function that takes a stream of inputs, in sessions that have a heartbeat."""
    release = trio.Event()
    async with open_server(memory=True) as server:

        async def take(event: Event) -> None:
            await event.streaming([f"took {event.data[0]}"])
            if event.data == ["wait"]:
                await trio.sleep_forever()
            await event.next_input(30)
            await event.completed(["taken"])

        kept = state("")

        async def sibling(event: Event) -> None:
            await release.wait()
            await event.completed(["", "sibling"])

        server.app.add("take", take, inputs=["text"], extra={"connection": "stream"})
        server.app.add("sibling", sibling, inputs=[kept], outputs=[kept, "out"])
        async with Client(server.url, transport=server.transport(limits=ROOMY)) as client:
            other = client.submit(api_name="/sibling")
            yield Scene(
                client, lambda text: client.submit(text, api_name="/take"), other, "taken", release
            )


@asynccontextmanager
async def heartbeats() -> AsyncIterator[Scene]:
    """The heartbeat of a session, which is opened for each call."""
    release = trio.Event()
    async with open_server(memory=True) as server:
        kept = state("")

        async def victim(event: Event) -> None:
            await event.completed(["", "value"])

        async def sibling(event: Event) -> None:
            await release.wait()
            await event.completed(["", "sibling"])

        server.app.add("victim", victim, inputs=[kept], outputs=[kept, "out"])
        server.app.add("sibling", sibling, inputs=[kept], outputs=[kept, "out"])
        transport = server.transport(limits=ROOMY)
        async with Client(server.url, transport=transport) as client, JobGroup() as group:

            async def call(_: str) -> str:
                async with client.session() as session:
                    value: str = await session.predict(api_name="/victim")
                    await trio.sleep(1)  # the heartbeat has been opened by then
                return value

            other = client.submit(api_name="/sibling")
            yield Scene(
                client,
                lambda text: group.submit(call, text),
                other,
                "value",
                release,
                task="heartbeat",
            )


OLD_FILE = {"path": FILE, "url": None, "size": 7, "orig_name": "a.txt", "mime_type": None}
GRADIO_3_FILE = {"name": FILE, "is_file": True, "orig_name": "a.txt", "data": None}


def completed(*data: Any) -> dict[str, Any]:
    return {"msg": "process_completed", "output": {"data": list(data)}, "success": True}


@asynccontextmanager
async def run_route() -> AsyncIterator[Scene]:
    """``/run``: one request, whose answer is the output."""
    release, peer = trio.Event(), _with_file("4.31.5")

    async def victim(_peer: Peer, body: Any) -> httpx.Response:
        await _unless_it_waits(body)
        return reply({"data": [file_data(FILE)]})

    peer.answers["/run/greet"] = victim

    async def sibling(_peer: Peer, _body: Any) -> httpx.Response:
        await release.wait()
        return reply({"data": ["sibling"]})

    peer.answers["/run/slow"] = sibling
    async with _calling(peer, release, via="run") as scene:
        yield scene


@asynccontextmanager
async def call_route() -> AsyncIterator[Scene]:
    """``/call``: one POST, and then a stream."""
    release, peer = trio.Event(), _with_file("4.31.5")
    peer.says("/call/greet", {"event_id": "e1"})
    peer.says("/call/slow", {"event_id": "e2"})
    peer.says("/cancel", {"success": True})

    async def victim(_peer: Peer, _body: Any) -> httpx.Response:
        await _unless_it_waits(peer.bodies["/call/greet"][-1])
        answer = [("generating", ["Once"]), ("complete", [file_data(FILE)])]
        return _stream(*(f"event: {kind}\ndata: {json.dumps(data)}\n\n" for kind, data in answer))

    async def sibling(_peer: Peer, _body: Any) -> httpx.Response:
        await release.wait()
        return _stream('event: complete\ndata: ["sibling"]\n\n')

    peer.answers["/call/greet/e1"] = victim
    peer.answers["/call/slow/e2"] = sibling
    async with _calling(peer, release, via="call") as scene:
        yield scene


@asynccontextmanager
async def stream_for_each_call() -> AsyncIterator[Scene]:
    """``sse``: a stream for each call, which asks for the data."""
    release, peer, streams = trio.Event(), _with_file("4.0.2"), dict[str, Stream]()

    async def join(_peer: Peer, query: Any) -> httpx.Response:
        name = "sibling" if query["fn_index"] == "4" else f"e{len(streams)}"
        streams[name] = Stream()
        streams[name].send({"msg": "estimation", "rank": 0, "queue_size": 1, "rank_eta": None})
        streams[name].send({"msg": "send_data", "event_id": name})
        return httpx.Response(
            200, headers={"content-type": "text/event-stream"}, stream=streams[name]
        )

    async def data(_peer: Peer, body: Any) -> httpx.Response:
        stream = streams[body["event_id"]]
        if body["event_id"] == "sibling":
            await release.wait()
            stream.send(completed("sibling"))
        else:
            stream.send({"msg": "process_starts"})
            await _unless_it_waits(body)
            stream.send(completed(OLD_FILE))
        return reply({"success": True})

    peer.answers |= {"/queue/join": join, "/queue/data": data}
    peer.says("/reset", {"success": True})
    async with _calling(peer, release) as scene:
        yield scene


@asynccontextmanager
async def socket() -> AsyncIterator[Scene]:
    """``ws``: a WebSocket for each call, over a real connection, with its handshake."""
    release, peer = trio.Event(), SocketPeer("3.50.2")
    _add_file(peer)

    async def script(socket: Any) -> None:
        async def send(message: dict[str, Any]) -> None:
            await socket.send_message(json.dumps(message))

        await send({"msg": "send_hash"})
        asked = json.loads(await socket.get_message())
        await send({"msg": "estimation", "rank": 0, "queue_size": 1, "rank_eta": None})
        await send({"msg": "send_data"})
        call = json.loads(await socket.get_message())
        await send({"msg": "process_starts"})
        if asked["fn_index"] == 4:
            await release.wait()
            await send(completed("sibling"))
        else:
            await send({**completed("Once"), "msg": "process_generating"})
            await _unless_it_waits(call)
            await send(completed(GRADIO_3_FILE))
        await socket.get_message()  # until the client hangs up

    peer.script = script
    async with peer.serving(), _calling(peer, release) as scene:
        yield scene


def _with_file(version: str) -> Peer:
    peer = Peer(version)
    _add_file(peer)
    return peer


def _add_file(peer: Peer) -> None:
    async def answer(_peer: Peer, _body: Any) -> httpx.Response:
        return httpx.Response(200, stream=httpx.ByteStream(b"content"))

    peer.answers[f"/file={FILE}"] = peer.answers[f"/file/{FILE}"] = answer


async def _unless_it_waits(body: Any) -> None:
    if body["data"] == ["wait"]:
        await trio.sleep_forever()


def _stream(*events: str) -> httpx.Response:
    content = httpx.ByteStream("".join(events).encode())
    return httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=content)


@asynccontextmanager
async def _calling(peer: Peer, release: trio.Event, **options: Any) -> AsyncIterator[Scene]:
    async with Client(peer.url, transport=peer) as client, JobGroup() as group:
        greet, slow = (client.endpoint(name, **options) for name in ("/greet", "/slow"))
        sibling = group.submit(slow, 1)
        yield Scene(client, lambda text: group.submit(greet, text), sibling, "a.txt", release)


# --- The trial ---


async def record(scene: Scene, *, cancelling: bool) -> list[Step]:
    """Return the steps that one more call takes."""
    for _ in range(3):  # what is kept for the next request is made by the first
        saboteur = Saboteur()
        job = await _played(scene, saboteur, cancelling=cancelling)
        assert job.cancelled if cancelling else scene.fits(await job.result())
    scene.taken = scene.places_taken()
    steps = [step for step in saboteur.steps if is_step(step, shared=scene.shared)]
    return [step for step in steps if scene.task in ("", step[0])]


async def _played(scene: Scene, saboteur: Saboteur, *, cancelling: bool) -> Job[Any]:
    with saboteur.at_work():
        job = scene.call("wait" if cancelling else "go")
        if cancelling:
            await trio.testing.wait_all_tasks_blocked()
            job.cancel()
        await job.wait()
        await trio.testing.wait_all_tasks_blocked()
    return job


async def sabotage(scene: Scene, step: Step, error: Exception, *, cancelling: bool) -> bool:
    """Have one step of a call raise; show that it harms nothing but that call.

    Returns:
        Whether it came to that step.
    """
    scene.have_id_asked()
    saboteur = Saboteur(step, error)
    job = await _played(scene, saboteur, cancelling=cancelling)
    failure = job.exception()
    if job.cancelled:
        assert cancelling
    elif failure is None:
        assert scene.fits(await job.result())
    else:
        # What a file can't be written for is the system's own error.
        assert isinstance(failure, (TriojobError, OSError)), repr(failure)
        behind = [failure, *_behind(failure)]
        known = any(found in behind for found in _behind(error))
        # Of what json raises, which holds all of the text, only the name is kept.
        name = type(error).__name__
        named = isinstance(error, RecursionError) or any(name in str(each) for each in behind)
        assert known or named or isinstance(failure, ConnectionLost), repr(failure)
    assert not scene.sibling.done
    lost = saboteur.struck and step[0] == "join" and scene.shared
    if lost or scene.places_taken() != scene.taken:
        # What the server knows of a call is waited for so long, and so is its answer; meanwhile no
        # other call joins the session.
        await trio.sleep(2 * Timeouts().cancel)
    assert scene.places_taken() == scene.taken
    return saboteur.struck


def _behind(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an exception and all that it came from."""
    if error is not None:
        yield error
        for part in direct_exceptions(error):
            yield from _behind(part)
        yield from _behind(error.__cause__)
        yield from _behind(error.__context__)
