"""What the tests of faults share: an app, damage on the wire, and a look at what is left."""

from __future__ import annotations

import gc
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import httpcore
import pytest
import trio
import trio.testing

from tests.servers.faults import Answer
from tests.servers.scripted import Event, ScriptedServer, frame
from tests.support.jobs import tasks_living
from tests.support.sessions import ROOMY
from triojob import Client, ClientSession, Job, Timeouts
from triojob.testing._server.network import MemoryNetwork, MemoryPeer

TIMES = Timeouts()
"""What the clients of these tests allow for: on the mock clock the longest wait takes no time."""

BOTH_WAYS = [
    pytest.mark.usefixtures("either_way"),
    pytest.mark.parametrize("either_way", ["httpx", "direct"], indirect=True),
]
"""Tests of how httpx's connections and those of clients break."""

BOUND = 5000
"""Seconds on that clock in which each test is over; only what hangs takes longer."""

CLOSE_STREAM = frame({"msg": "close_stream", "event_id": None})


def add_endpoints(server: ScriptedServer) -> None:
    """Add what the tests call: one that ends at once, and one that streams and never ends."""

    @server.app.endpoint(inputs=["text"])
    async def echo(event: Event) -> None:
        await event.completed(event.data)

    @server.app.endpoint(generator=True)
    async def story(event: Event) -> None:
        await event.generating(["Once"])
        await event.generating(["Once upon"])
        await trio.sleep_forever()


# --- Nothing is left ---


@asynccontextmanager
async def clean_client(
    server: ScriptedServer, *, bound: float = BOUND, **options: Any
) -> AsyncIterator[Client]:
    """Open a client, end whatever hangs in it, and show that it leaves nothing on either side."""
    transport = server.transport(limits=ROOMY)
    before = _tasks_of_ours(server)
    with trio.fail_after(bound):
        async with Client(server.url, transport=transport, **options) as client:
            yield client
            await assert_idle(client, server)
            busy = [c for c in transport._pool.connections if not (c.is_idle() or c.is_closed())]
            # A session that is kept has a heartbeat, to its end.
            assert client._registry is not None
            assert len(busy) == client._registry.http.heartbeats.borrowed_tokens
        await trio.testing.wait_all_tasks_blocked()
    assert server.open_connections == 0
    assert _tasks_of_ours(server) == before


async def assert_idle(client: Client, server: ScriptedServer) -> None:
    """Show that no stream, request or task is there any more, once the cancel requests are over."""
    # The longest that can be under way: a held cancellation, whose call was never answered.
    await trio.sleep(TIMES.read + TIMES.cancel + 5)
    await trio.testing.wait_all_tasks_blocked()
    assert f"0 jobs, 0/{client.limits.streams} streams" in repr(client)
    assert server.streams.open == 0
    hub = client._registry
    assert hub is not None
    assert {task.name for task in hub.background.child_tasks} == set()
    assert hub.joins == set()
    assert (hub.http.requests.borrowed_tokens, hub.http.cancel_requests.borrowed_tokens) == (0, 0)


@contextmanager
def nothing_left_to_collect() -> Iterator[None]:
    """Show that no async generator is left unfinished for the garbage collector to find."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
        gc.collect()
    assert [str(warning.message) for warning in caught] == []


def _tasks_of_ours(server: ScriptedServer) -> int:
    return tasks_living() - len(server.listener.nursery.child_tasks)


# --- Calls on their way ---


@dataclass
class Ride:
    """What calls are made through: a client, where each is isolated, or a session."""

    server: ScriptedServer
    client: Client
    surface: Client | ClientSession
    count: int
    """How many calls there are at once."""

    def start(self, *args: Any, api_name: str) -> list[Job[Any]]:
        """Start one call, or several that share a stream."""
        return [self.surface.submit(*args, api_name=api_name) for _ in range(self.count)]

    async def connect(self) -> None:
        """Have connections that the client knows, so that calls are sent at the same time."""
        for job in [self.client.submit("x", api_name="/echo") for _ in range(self.count)]:
            await job.result()
        await trio.testing.wait_all_tasks_blocked()
        self.server.requests.clear()

    async def under_way(self) -> list[Job[Any]]:
        """Start calls that never end by themselves, and wait until they have yielded twice."""
        jobs = self.start(api_name="/story")
        await trio.testing.wait_all_tasks_blocked()
        assert [job.outputs() for job in jobs] == [["Once", "Once upon"]] * self.count
        assert self.server.streams.open == 1
        return jobs

    async def assert_goes_on(self, *, stream_may_stay: bool = False) -> None:
        """Show that nothing is in use, and that the next calls work: here and on the client.

        Args:
            stream_may_stay: The server has an event in the session that it never named, and with
                it a reason to keep the session's stream open until the session ends.
        """
        if not stream_may_stay:
            await assert_idle(self.client, self.server)
        for surface in (self.surface, self.client):
            assert await surface.predict("again", api_name="/echo") == "again"
        if not stream_may_stay:
            await assert_idle(self.client, self.server)


RIDES = ("isolated", "session")


@asynccontextmanager
async def riding(server: ScriptedServer, how: str, **options: Any) -> AsyncIterator[Ride]:
    """Open a client and, for calls that share a stream, a session; see `clean_client`."""
    async with clean_client(server, **options) as client:
        if how == "isolated":
            yield Ride(server, client, client, 1)
        else:
            async with client.session() as session:
                yield Ride(server, client, session, 3)


async def failures(jobs: list[Job[Any]]) -> list[BaseException]:
    """Wait for jobs that fail; return what they failed with."""
    errors: list[BaseException] = []
    for job in jobs:
        await job.wait()
        error = job.exception()
        assert error is not None
        assert job.status().success is False
        errors.append(error)
    return errors


def kinds(errors: list[BaseException]) -> set[type[BaseException]]:
    return {type(error) for error in errors}


# --- Damage on the wire ---

Damage = Callable[[trio.abc.Stream, bytes], Awaitable[None]]
"""Sends an answer, or what becomes of it, over the server's end of a connection."""


def cut_after(size: int) -> Damage:
    """Lose the connection in the midst of an answer."""

    async def damage(stream: trio.abc.Stream, data: bytes) -> None:
        await stream.send_all(data[:size])
        raise trio.BrokenResourceError

    return damage


def stall_after(size: int) -> Damage:
    """Go silent in the midst of an answer."""

    async def damage(stream: trio.abc.Stream, data: bytes) -> None:
        await stream.send_all(data[:size])
        try:
            while await stream.receive_some():
                pass
        except trio.BusyResourceError:  # an event stream watches for the client's end itself
            await trio.sleep_forever()
        raise trio.BrokenResourceError

    return damage


def replaced_by(answer: bytes, *, endless: bytes = b"", interval: float = 0) -> Damage:
    """Send something else in the place of an answer, and then ``endless`` for ever."""

    async def damage(stream: trio.abc.Stream, data: bytes) -> None:
        await stream.send_all(answer)
        while endless:
            await trio.sleep(interval)
            await stream.send_all(endless)
        raise trio.BrokenResourceError

    return damage


class Wire:
    """The way to a server in memory, on which answers of one kind are damaged."""

    def __init__(self, server: ScriptedServer, request: str, damage: Damage) -> None:
        """Damage the answers to ``request``, such as "POST /queue/join", as long as ``broken``."""
        self.server = server
        self.request = request
        self.damage = damage
        self.broken = True
        self.once = False
        """Whether it is broken for one answer only."""
        server.network.add("scripted.test", self)

    @property
    def refusing(self) -> bool:
        return self.server.listener.refusing

    @property
    def connect_gate(self) -> trio.Event | None:
        return self.server.listener.connect_gate

    def accept(self, stream: trio.abc.Stream, *, peer: MemoryPeer | None = None) -> None:
        self.server.listener.accept(_DamagedStream(stream, self), peer=peer)


class _DamagedStream(trio.abc.Stream):
    def __init__(self, stream: trio.abc.Stream, wire: Wire) -> None:
        self._stream = stream
        self._wire = wire
        self._request = ""

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        data = bytes(await self._stream.receive_some(max_bytes))
        line, end, _ = data.partition(b" HTTP/1.1\r\n")
        if end:
            method, _, target = line.decode().partition(" ")
            self._request = f"{method} {self._wire.server.split_target(target)[0]}"
        return data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        wire = self._wire
        if wire.broken and self._request == wire.request:
            wire.broken = not wire.once
            await wire.damage(self._stream, bytes(data))
        else:
            await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        await self._stream.aclose()


class SlowNetwork(MemoryNetwork):
    """A network to a server in memory that can be made to take nothing more from clients."""

    def __init__(self, server: ScriptedServer) -> None:
        super().__init__()
        self.add("scripted.test", server.listener)
        self.clogged = False
        """Take nothing, until the client gives up."""
        self.breaks_in: int | None = None
        """Break a connection at the write after so many."""

    async def connect_tcp(self, *args: Any, **kwargs: Any) -> httpcore.AsyncNetworkStream:
        return _SlowConnection(await super().connect_tcp(*args, **kwargs), self)


class _SlowConnection(httpcore.AsyncNetworkStream):
    def __init__(self, stream: httpcore.AsyncNetworkStream, network: SlowNetwork) -> None:
        self._stream = stream
        self._network = network

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return await self._stream.read(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        network = self._network
        if network.clogged:
            await trio.sleep(float("inf") if timeout is None else timeout)
            raise httpcore.WriteTimeout
        if network.breaks_in is not None:
            network.breaks_in -= 1
            if network.breaks_in < 0:
                network.breaks_in = None
                await self._stream.aclose()
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def name_of(fault: object) -> str | None:
    """Return what pytest calls a response that is a test's parameter."""
    return f"{fault.status} {fault.body!r:.20}" if isinstance(fault, Answer) else None
