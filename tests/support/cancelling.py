"""What the tests of cancelling share: clients that must leave nothing, and moments to cancel at."""

from __future__ import annotations

import operator
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import trio
import trio.testing

from tests.servers.faults import Hold
from tests.servers.scripted import Event, ScriptedServer
from tests.support.jobs import tasks_living
from triojob import Client, ClientSession, Endpoint, Job, JobCancelled, JobGroup, Limits, Status
from triojob.testing.components import state

SECONDS = 100_000
"""On the mock clock it costs nothing; only a test that hangs gets there."""

ROUNDS = 20
"""How often to repeat what depends on the order in which Trio runs tasks, a coin flip each."""

SHORT_REQUESTS = 48
"""How many short requests a client makes at once; see "How it works"."""

SPARE = 64
"""How many connections a client needs beside those of its streams; see `Client`."""

MINE, OTHER = "mine", "other"
"""What the call that is cancelled says to the server, and what those say that must not be."""


# --- Clients ---


def pool(
    server: ScriptedServer, *, streams: int, keep_alive: bool = True
) -> httpx.AsyncHTTPTransport:
    """Make a transport whose pool has exactly as many places as triojob asks for.

    Its connections don't grow old: httpcore would judge that by the real clock.
    """
    places = streams + SPARE
    limits = httpx.Limits(
        max_connections=places,
        max_keepalive_connections=places if keep_alive else 0,
        keepalive_expiry=None,
    )
    return server.transport(limits=limits)


def new_client(
    server: ScriptedServer,
    *,
    streams: int = 100,
    in_flight: int | None = None,
    keep_alive: bool = True,
    **options: Any,
) -> Client:
    """Make a client of a server in memory."""
    transport = pool(server, streams=streams, keep_alive=keep_alive)
    limits = Limits(streams=streams, in_flight=in_flight)
    return Client(server.url, transport=transport, limits=limits, **options)


@asynccontextmanager
async def nothing_left(server: ScriptedServer) -> AsyncIterator[None]:
    """Show that what the body opens leaves nothing behind, neither here nor on the server."""
    before = tasks_living()
    with trio.fail_after(SECONDS):
        yield
    await server.settled()
    await trio.sleep(0.01)  # a run on a server that isn't eager is over a millisecond after its end
    await trio.testing.wait_all_tasks_blocked()
    assert server.open_connections == 0
    assert server.streams.open == 0
    assert not server.running
    assert not server.waiting
    assert tasks_living() == before


@asynccontextmanager
async def opened(server: ScriptedServer, **options: Any) -> AsyncIterator[Client]:
    """Open a client that must leave nothing behind."""
    async with nothing_left(server), new_client(server, **options) as client:
        yield client


async def assert_idle(server: ScriptedServer, client: Client) -> None:
    """Show that no place for a stream is taken any more, and that the client still works."""
    await server.settled()
    await trio.testing.wait_all_tasks_blocked()
    assert f" 0/{client.limits.streams} streams" in repr(client)
    assert await client.predict("again", api_name="/echo") == "again"


async def assert_cancelled(job: Job[Any], reason: str | None = None) -> None:
    """Show that a job has ended once, as cancelled."""
    assert job.done
    assert job.cancelled
    with pytest.raises(JobCancelled) as caught:
        await job.result()
    assert reason is None or caught.value.reason == reason
    codes = [update.code async for update in job.updates() if hasattr(update, "code")]
    ends = [code for code in codes if code in (Status.CANCELLED, Status.FINISHED)]
    assert ends == [Status.CANCELLED] == codes[-1:]


# --- Apps ---


def add_functions(server: ScriptedServer, end: trio.Event) -> None:
    """Make an app of functions that return their text when ``end`` is set; of `MINE`, never."""
    never = trio.Event()

    async def held(event: Event) -> None:
        text = event.data[-1]
        await (never if text == MINE else end).wait()
        await event.completed([text] * len(event.endpoint.outputs))

    async def ticks(event: Event) -> None:
        text = event.data[0]
        number = 0
        while text == MINE or not end.is_set():
            await event.generating([f"{text} {number}"])
            await trio.sleep(1)
            number += 1

    kept = state("")
    app = server.app
    app.endpoints.clear()
    app.add("echo", inputs=["text"])
    app.add("held", held, inputs=["text"])
    app.add("queued", held, inputs=["text"], concurrency_limit=1)
    app.add("ticks", ticks, inputs=["text"], generator=True)
    app.add("kept", held, inputs=[kept, "text"], outputs=[kept, "out"])


def sent(server: ScriptedServer, text: str = MINE) -> list[Event]:
    """Return the calls with a text that came to the server, in order."""
    return [event for event in server.events.values() if text in event.inputs.body["data"]]


def cancel_of(event: Event) -> dict[str, Any]:
    """Return what a request says that cancels one call."""
    return {
        "session_hash": event.session_hash,
        "fn_index": event.endpoint.fn_index,
        "event_id": event.event_id,
    }


def assert_told(server: ScriptedServer, events: Iterable[Event]) -> None:
    """Show that the server was told once of each of these that it is cancelled, and of no other."""
    by_id = operator.itemgetter("event_id")
    assert sorted(server.cancels, key=by_id) == sorted(map(cancel_of, events), key=by_id)


# --- Stages ---


@dataclass(frozen=True)
class Moment:
    """A place on a call's way at which it waits, and in which it is cancelled."""

    name: str
    prepare: Callable[[Stage], Awaitable[object]]
    """Sees to it that the next call waits there until the stage's gate is opened."""
    status: Status
    """What the job says there."""
    before: str | None
    """What the server knows of the call there: the state of its event, if there is one."""
    after: str | None
    """What the server has made of it in the end."""
    endpoint: str
    surfaces: tuple[str, ...]
    options: Mapping[str, Any]
    """Of the client."""

    def __str__(self) -> str:
        return self.name


class Stage:
    """Brings a call to a moment, and looks at what its cancellation has done.

    What a moment holds back goes on only after the call has ended on this side.
    """

    def __init__(self, server: ScriptedServer, moment: Moment, surface: str = "client") -> None:
        self.server = server
        self.moment = moment
        self.surface = surface
        self.gate = trio.Event()
        """What is held on the way goes on when this is set."""
        self.end = trio.Event()
        """The functions end when this is set."""
        self.client: Client
        self.endpoint: Endpoint
        self.job: Job[Any] | None = None
        self.others: list[Job[Any]] = []
        """Jobs that are in the way of the call, and must not suffer."""
        self.around = JobGroup()
        self._ends: list[Job[Any]] = []
        self._cancelling = trio.Event()
        self._ended_here = False
        add_functions(server, self.end)

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Show that the body, a way of cancelling, ends the call at once and leaves nothing."""
        async with nothing_left(self.server), trio.open_nursery() as self._nursery:
            self._nursery.start_soon(self._release)
            async with self.around:
                yield
            self.end.set()
        await self._check()

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Client]:
        """Open a client in which the next call of `endpoint` will come to the moment."""
        async with self.opened_client() as client:
            if self.surface == "client":
                await self.prepare(client)
                yield client
            else:
                async with client.session() as session:
                    await self.prepare(session)
                    yield client

    @asynccontextmanager
    async def opened_client(self) -> AsyncIterator[Client]:
        """Open the client alone."""
        async with new_client(self.server, **self.moment.options) as self.client:
            yield self.client

    async def prepare(self, surface: Client | ClientSession) -> None:
        """See to it that the next call of ``surface`` comes to the moment."""
        self.endpoint = surface.endpoint(self.moment.endpoint)
        await self.moment.prepare(self)

    # For the moments.

    async def occupy(self, api_name: str, *, calls: int = 1) -> None:
        """Have other calls of the client run, or wait."""
        endpoint = self.client.endpoint(api_name)
        self.others += [self.around.submit(endpoint, OTHER) for _ in range(calls)]
        await trio.testing.wait_all_tasks_blocked()

    async def occupy_elsewhere(self, api_name: str) -> None:
        """Have a call of another client run."""

        async def other_client(task_status: trio.TaskStatus[None]) -> None:
            async with new_client(self.server) as client:
                job = client.submit(OTHER, api_name=api_name)
                await trio.testing.wait_all_tasks_blocked()
                task_status.started()
                assert await job.result() == OTHER

        await self._nursery.start(other_client)

    def hold(self, method: str, path: str, *, handled: bool, times: int = 1) -> None:
        self.server.fault(method, path, Hold(self.gate, handled=handled), times=times)

    # For the ways.

    async def submit(self, group: JobGroup) -> Job[Any]:
        """Start the call as a job, and wait until it has come to the moment."""
        return await self._reach(group.submit(self.endpoint, MINE))

    async def submit_to(self, surface: Client | ClientSession) -> Job[Any]:
        """Start the call as a job of the client or session itself."""
        return await self._reach(surface.submit(MINE, api_name=self.moment.endpoint))

    async def _reach(self, job: Job[Any]) -> Job[Any]:
        self.job = job
        job.on_result(self._ends.append)
        await trio.testing.wait_all_tasks_blocked()
        assert job.status().code is self.moment.status
        self.assert_event(self.moment.before)
        return job

    def cancelling(self) -> None:
        """Say that the call is cancelled now."""
        self._cancelling.set()

    def ended_here(self) -> None:
        """Say that the call, which is no job, has ended."""
        self._ended_here = True
        self._cancelling.set()

    async def assert_usable(self) -> None:
        """Show that the client goes on as if nothing had been."""
        await self.gate.wait()
        await trio.testing.wait_all_tasks_blocked()
        self.end.set()
        for job in self.others:
            assert await job.result() == OTHER
        await assert_idle(self.server, self.client)

    # What is looked at.

    async def _release(self) -> None:
        await self._cancelling.wait()
        now = trio.current_time()
        await trio.testing.wait_all_tasks_blocked()
        assert self._ended_here if self.job is None else self.job.done
        assert trio.current_time() == now
        self.server.listener.connect_gate = None
        self.gate.set()

    async def _check(self) -> None:
        if self.job is not None:
            await assert_cancelled(self.job)
            assert self._ends == [self.job]
        self.assert_event(self.moment.after)
        mine = sent(self.server)
        # Of the others only those that were cancelled with the client.
        others = [event for event in sent(self.server, OTHER) if event.state != "finished"]
        assert_told(self.server, [*mine, *others])

    def assert_event(self, expected: str | None) -> None:
        """Show what the server knows of the call."""
        assert [event.state for event in sent(self.server)] == ([expected] if expected else [])
