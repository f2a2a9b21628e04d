"""Cancelling all the time costs no place in the connection pool, as it does in httpcore alone.

Of httpcore 1.0.9 a place is lost for good if a request is cancelled while it waits in the pool
(httpcore issue 1093).  The limiters in front of the pool see to it that nothing ever waits there.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpcore
import httpx
import pytest
import trio
import trio.testing

from tests.servers.faults import Delay, Hold
from tests.servers.scripted import Event, ScriptedServer
from tests.support.cancelling import SHORT_REQUESTS, SPARE, nothing_left, pool
from tests.support.hanging import SECONDS
from triojob import Client, Limits, Timeouts
from triojob.testing.components import number

pytestmark = pytest.mark.usefixtures("either_way")

CANCEL_REQUESTS = SPARE - SHORT_REQUESTS
STREAMS = 4
LIMITS = Limits(streams=STREAMS, in_flight=200)
PLACES = STREAMS + SPARE
# More than there are places.
WORKERS = 2 * PLACES
ROUNDS = 3

Settle = Callable[[Callable[[], bool]], Awaitable[None]]


# --- What it is for ---


class NoticingBackend(httpcore.AsyncNetworkBackend):
    """A network that tells when a connection has just been closed."""

    def __init__(self, network: httpcore.AsyncNetworkBackend) -> None:
        self._network = network
        self.on_close: Callable[[], object] = lambda: None

    async def connect_tcp(self, *args: Any, **kwargs: Any) -> httpcore.AsyncNetworkStream:
        return NoticingStream(await self._network.connect_tcp(*args, **kwargs), self)


class NoticingStream(httpcore.AsyncNetworkStream):
    def __init__(self, stream: httpcore.AsyncNetworkStream, backend: NoticingBackend) -> None:
        self._stream = stream
        self._backend = backend

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return await self._stream.read(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()
        self._backend.on_close()

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


@pytest.mark.skipif(httpcore.__version__ > "1.0.9", reason="shown of the version that does it")
async def test_httpcore_alone_loses_a_place(memory_app, autojump_clock):
    url = memory_app.url + "/config"
    network = NoticingBackend(memory_app.network)
    scope = trio.CancelScope()

    async def wait_in_the_pool() -> None:
        with scope:
            await connections.request("GET", url)

    async with (
        httpcore.AsyncConnectionPool(max_connections=1, network_backend=network) as connections,
        trio.open_nursery() as nursery,
    ):
        async with connections.stream("GET", url):
            nursery.start_soon(wait_in_the_pool)
            await trio.testing.wait_all_tasks_blocked()
            # It is cancelled just before the place becomes free, and has not noticed by then.
            network.on_close = scope.cancel
        await trio.testing.wait_all_tasks_blocked()
        assert scope.cancelled_caught
        with pytest.raises(httpcore.PoolTimeout):
            await connections.request("GET", url, extensions={"timeout": {"pool": 1000}})


# --- What it does ---


class CountingTransport(httpx.AsyncBaseTransport):
    """Counts the requests that are under way, from their start until their answer is closed."""

    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        self._transport = transport
        self._now = 0
        self.most = 0
        """How many were under way at once."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self._now += 1
        self.most = max(self.most, self._now)
        try:
            response = await self._transport.handle_async_request(request)
        except BaseException:
            self.ended()
            raise
        assert isinstance(response.stream, httpx.AsyncByteStream)
        response.stream = CountedStream(response.stream, self)
        return response

    def ended(self) -> None:
        self._now -= 1

    async def aclose(self) -> None:
        await self._transport.aclose()


class CountedStream(httpx.AsyncByteStream):
    def __init__(self, stream: httpx.AsyncByteStream, counting: CountingTransport) -> None:
        self._stream = stream
        self._counting = counting

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._stream.__aiter__()

    async def aclose(self) -> None:
        await self._stream.aclose()
        self._counting.ended()


def add_functions(server: ScriptedServer, end: trio.Event) -> None:
    async def sleep(event: Event) -> None:
        await trio.sleep(event.data[0])
        await event.completed([event.data[0]])

    async def hold(event: Event) -> None:
        await end.wait()
        await event.completed(["held"])

    server.app.endpoints.clear()
    server.app.add("sleep", sleep, inputs=[number("seconds")])
    for place in range(CANCEL_REQUESTS):
        server.app.add(f"hold{place}", hold)


async def fill_all_places(server: ScriptedServer, client: Client, settle: Settle) -> None:
    """Have as many streams and requests under way as a client may have, all at one time."""
    await settle(lambda: f" 0/{STREAMS} streams" in repr(client))
    end, answers = trio.Event(), trio.Event()
    add_functions(server, end)
    server.requests.clear()
    # One stream, and as many calls as there can be cancel requests, each of a function of its own.
    async with client.session() as one, client.session() as two:
        stops = [one.submit(api_name=f"/hold{place}") for place in range(CANCEL_REQUESTS)]
        held = [two.submit(api_name="/hold0")]
        held += [client.submit(api_name="/hold0") for _ in range(STREAMS - 2)]
        await settle(lambda: server.streams.open == STREAMS)
        await settle(lambda: len(server.running) == CANCEL_REQUESTS + STREAMS - 1)
        server.fault("POST", "/cancel", Hold(answers, handled=False))
        server.fault("POST", "/queue/join", Hold(answers))
        for job in stops:
            job.cancel()
        held += [two.submit(api_name="/hold0") for _ in range(SHORT_REQUESTS)]
        joins = CANCEL_REQUESTS + STREAMS - 1 + SHORT_REQUESTS
        await settle(lambda: server.paths().count("POST /queue/join") == joins)
        await settle(lambda: server.paths().count("POST /cancel") == CANCEL_REQUESTS)
        assert server.streams.open == STREAMS
        # Over the one more, if there is one, the client has asked which app this is.
        assert server.open_connections in (PLACES, PLACES + 1)
        answers.set()
        end.set()
        assert [await job.result() for job in held] == ["held"] * len(held)
    server.clear_faults()


async def churn(client: Client, dice: random.Random, times: list[float]) -> None:
    """Make calls with less time than they need, more or less, over and over."""
    async with client.session() as session:
        endpoints = [surface.endpoint("/sleep") for surface in (client, client, session)]

        async def worker() -> None:
            for _ in range(ROUNDS):
                with trio.move_on_after(dice.choice(times)):
                    await dice.choice(endpoints)(dice.choice(times))

        async with trio.open_nursery() as nursery:
            for _ in range(WORKERS):
                nursery.start_soon(worker)


@pytest.mark.parametrize("keep_alive", [True, False])
async def test_all_places_are_left_after_much_cancelling(memory_app, autojump_clock, keep_alive):
    async def settle(condition: Callable[[], bool]) -> None:
        await trio.testing.wait_all_tasks_blocked()
        assert condition()

    add_functions(memory_app, trio.Event())
    # Of the same few lengths as the calls, so that ends and cancellations come together.
    times = [0, 1, 2, 3]
    transport = CountingTransport(pool(memory_app, streams=STREAMS, keep_alive=keep_alive))
    async with (
        nothing_left(memory_app),
        Client(memory_app.url, transport=transport, limits=LIMITS) as client,
    ):
        await fill_all_places(memory_app, client, settle)
        for method, path in [("POST", "/queue/join"), ("GET", "/queue/data"), ("POST", "/cancel")]:
            memory_app.fault(method, path, Delay(1))
        await churn(client, random.Random(1), times)
        memory_app.clear_faults()
        await trio.sleep(100)
        await fill_all_places(memory_app, client, settle)
        # None of them had to wait inside of the pool.
        assert transport.most == PLACES


async def test_cancelling_on_sockets_keeps_all_places(scripted):
    async def settle(condition: Callable[[], bool]) -> None:
        with trio.fail_after(SECONDS):
            while not condition():  # noqa: ASYNC110 - nothing tells when it holds
                await trio.sleep(0.005)

    add_functions(scripted, trio.Event())
    times = [0, 0.002, 0.004, 0.008]
    with trio.fail_after(SECONDS):
        # On a busy machine a cancel request takes as long as it takes.
        timeouts = Timeouts(cancel=100)
        async with Client(scripted.url, limits=LIMITS, timeouts=timeouts) as client:
            await fill_all_places(scripted, client, settle)
            await churn(client, random.Random(1), times)
            await fill_all_places(scripted, client, settle)
        await settle(lambda: not scripted.open_connections)
        assert not scripted.running
