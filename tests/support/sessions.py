"""What the tests of sessions, isolated sessions and messages share."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import httpx
import trio
import trio.testing

from tests.servers.scripted import Event, MessageStream, ScriptedServer
from triojob import (
    AppError,
    Client,
    ConnectionLost,
    Job,
    JobCancelled,
    LogMessage,
    OutputUpdate,
    Status,
    StatusUpdate,
)
from triojob.testing._server.description import AppEndpoint
from triojob.testing._server.http import ServerRequest, ServerResponse, StreamedResponse
from triojob.testing.components import number, state

SECONDS = 100_000
"""On the mock clock it costs nothing; only a test that hangs gets there."""

ROUNDS = 20
"""How often to repeat what depends on the order in which Trio runs tasks, a coin flip each."""

# More connections than any client here opens, and none that goes stale by the real clock.
ROOMY = httpx.Limits(max_connections=1000, max_keepalive_connections=1000, keepalive_expiry=None)


@asynccontextmanager
async def opened(server: ScriptedServer, **options: Any) -> AsyncIterator[Client]:
    """Open a client of a scripted app, and end whatever hangs in it."""
    with trio.fail_after(SECONDS):
        transport = server.transport(limits=ROOMY)
        async with Client(server.url, transport=transport, **options) as client:
            yield client


async def until(condition: Callable[[], object]) -> None:
    """Wait until a condition holds; on the mock clock that takes no time."""
    with trio.fail_after(SECONDS / 10):
        while not condition():  # noqa: ASYNC110 - a scripted server doesn't tell
            await trio.sleep(0.1)


# --- Apps ---


def add_sleeper(
    server: ScriptedServer, name: str = "sleep", *, stateful: bool = False, **options: Any
) -> AppEndpoint:
    """Add a function that sleeps for as many seconds as it is told, and returns their number."""
    kept = [state(0)] if stateful else []

    async def sleep(event: Event) -> None:
        await trio.sleep(event.data[-1])
        await event.completed([*[1 for _ in kept], event.data[-1]])

    if stateful:
        options["outputs"] = [*kept, number("slept")]
    return server.app.add(name, sleep, inputs=[*kept, number("seconds")], **options)


def add_counter(server: ScriptedServer) -> AppEndpoint:
    """Add a function that counts its calls in a State."""
    counter = state(0)

    async def bump(event: Event) -> None:
        value = event.data[0] + 1
        await event.completed([value, value])

    return server.app.add("bump", bump, inputs=[counter], outputs=[counter, number("count")])


def add_notebook(server: ScriptedServer, *names: str, seconds: float = 0) -> None:
    """Add functions with one State between them: each adds a word to what the session has."""
    words = state("")

    async def note(event: Event) -> None:
        text = event.data[0] + event.data[1]
        await trio.sleep(seconds)
        await event.completed([text, text])

    for name in names or ("note",):
        server.app.add(name, note, inputs=[words, "word"], outputs=[words, "text"])


# --- What a job was told ---


def short(update: StatusUpdate | OutputUpdate | LogMessage) -> Any:
    """Say in short what a message says, without its time."""
    match update:
        case StatusUpdate(code=Status.IN_QUEUE):
            return "IN_QUEUE", update.rank, update.queue_size, update.eta
        case StatusUpdate(code=Status.PROGRESS):
            return "PROGRESS", update.progress_data
        case StatusUpdate(code=code):
            return code.name
        case OutputUpdate(output=output):
            return "output", output
        case LogMessage(text=text):
            return "log", text


async def story(job: Job[Any]) -> list[Any]:
    """Follow a job to its end; return all that it was told, in short."""
    return [short(update) async for update in job.updates()]


async def follow(job: Job[Any]) -> tuple[list[Any], BaseException | None]:
    """Iterate over a job to its end; return its outputs and what the loop raised."""
    outputs: list[Any] = []
    try:
        async for output in job:
            outputs.append(output)
    except (AppError, JobCancelled, ConnectionLost) as error:
        return outputs, error
    return outputs, None


SENT = ["STARTING", "JOINING_QUEUE"]
"""How each story begins."""
QUEUED = [*SENT, ("IN_QUEUE", 0, 1, None), "PROCESSING"]
"""How the story of a call begins that need not wait."""


# --- What the server saw ---


def hashes(server: ScriptedServer, fn_index: int | None = None) -> list[str]:
    """Return the session of each call, in the order in which the calls came."""
    return [join["session_hash"] for join in server.joins if fn_index in (None, join["fn_index"])]


def heartbeats(server: ScriptedServer) -> list[str]:
    """List the sessions whose heartbeat was asked for, each time it was."""
    paths = [request.path for request in server.requests if request.method == "GET"]
    return [path.removeprefix("/heartbeat/") for path in paths if path.startswith("/heartbeat/")]


def states(server: ScriptedServer, name: str) -> list[str]:
    """Return how the runs of a function went, in the order in which they were asked for."""
    return [event.state for event in server.events.values() if event.endpoint.name == name]


def all_tasks() -> list[trio.lowlevel.Task]:
    """Return every task of this Trio run."""
    found = []
    tasks = [trio.lowlevel.current_root_task()]
    while tasks:
        task = tasks.pop()
        if task is not None:
            found.append(task)
            tasks += [child for nursery in task.child_nurseries for child in nursery.child_tasks]
    return found


async def quiet(server: ScriptedServer) -> None:
    """Wait until nothing runs or streams on the server, and the clients have noticed."""
    await server.settled()
    await trio.testing.wait_all_tasks_blocked()


class Streams:
    """Counts the event streams of each session of a server, from now on."""

    def __init__(self, server: ScriptedServer) -> None:
        self._handle = server.handle
        server.handle = self._watched_handle  # type: ignore[method-assign]
        self._open: Counter[str] = Counter()
        self.made: Counter[str] = Counter()
        """How many streams each session had, one after the other or not."""
        self.most_at_once = 0
        """How many streams were open on one session at once, at most."""

    async def _watched_handle(self, request: ServerRequest) -> ServerResponse | StreamedResponse:
        answer = await self._handle(request)
        return _WatchedStream(answer, self) if isinstance(answer, MessageStream) else answer

    @contextmanager
    def counting(self, session_hash: str) -> Iterator[None]:
        self.made[session_hash] += 1
        self._open[session_hash] += 1
        self.most_at_once = max(self.most_at_once, self._open[session_hash])
        try:
            yield
        finally:
            self._open[session_hash] -= 1


class _WatchedStream:
    """A session's event stream that is counted."""

    def __init__(self, stream: MessageStream, streams: Streams) -> None:
        self._stream = stream
        self._streams = streams

    @contextmanager
    def counted(self) -> Iterator[None]:
        with self._stream.counted(), self._streams.counting(self._stream.session_hash):
            yield

    def frames(self) -> AsyncGenerator[tuple[str, bytes], None]:
        return self._stream.frames()

    async def heartbeats(self) -> None:
        await self._stream.heartbeats()

    def disconnected(self) -> None:
        self._stream.disconnected()
