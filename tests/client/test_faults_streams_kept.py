"""Streams that a server keeps open: they are closed when nobody needs them, and not before."""

from __future__ import annotations

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests.servers.faults import Answer, Hold, HoldFrame, Lose
from tests.servers.scripted import Event
from tests.support.faults import add_endpoints, clean_client, failures
from tests.support.sessions import add_sleeper
from triojob import Limits

LINGER = 1.0
FULL = Answer(503, {"detail": "Queue is full. Max size is 1 and size is 1."})


@pytest.mark.parametrize("broken", [False, True])
async def test_server_closes_a_sessions_stream(memory_app, autojump_clock, broken):
    add_endpoints(memory_app)
    async with clean_client(memory_app) as client:
        async with client.session() as session:
            if broken:
                job = session.submit(api_name="/story")
                await wait_all_tasks_blocked()
                memory_app.kill_connections()
                await failures([job])
            never = HoldFrame(trio.Event(), "close_stream")
            memory_app.fault("GET", "/queue/data", never, times=1)
            assert await session.predict("x", api_name="/echo") == "x"
            await trio.sleep(10 * LINGER)
            assert memory_app.streams.open == 1
        await wait_all_tasks_blocked()
        assert memory_app.streams.open == 1
        await trio.sleep(1.5 * LINGER)
        assert memory_app.streams.open == 0


async def test_stream_with_unnamed_event_closes_later(memory_app, autojump_clock):
    add_endpoints(memory_app)
    add_sleeper(memory_app)

    async def mute(_event: Event) -> None:
        await trio.sleep_forever()

    memory_app.app.add("mute", mute, manual=True)
    async with clean_client(memory_app) as client:
        async with client.session() as session:
            memory_app.fault("POST", "/queue/join", Lose(), times=1)
            await failures([session.submit(api_name="/mute")])
            assert await session.predict("x", api_name="/echo") == "x"
            await trio.sleep(LINGER / 2)
            # It would have been closed in the midst of this one.
            assert await session.predict(10, api_name="/sleep") == 10
            await trio.sleep(LINGER / 2)
            assert memory_app.streams.open == 1
            await trio.sleep(LINGER)
            assert memory_app.streams.open == 0
            assert await session.predict("x", api_name="/echo") == "x"
            assert memory_app.streams.open == 1
        # No call comes any more, and the server has nothing to say.
        await wait_all_tasks_blocked()
        assert memory_app.streams.open == 0


async def test_unnamed_event_beside_another_call_closes_later(memory_app, autojump_clock):
    add_endpoints(memory_app)
    add_sleeper(memory_app)
    async with (
        clean_client(memory_app, limits=Limits(streams=1, in_flight=3)) as client,
        client.session() as session,
    ):
        first = session.submit(5, api_name="/sleep")
        await wait_all_tasks_blocked()
        for fault in (Lose(), FULL):
            memory_app.fault("POST", "/queue/join", fault, times=1)
            await failures([session.submit(10**6, api_name="/sleep")])
        assert await first.result() == 5
        await trio.sleep(1.5 * LINGER)
        assert memory_app.cancels == []
        assert memory_app.streams.open == 0
        assert await client.predict("x", api_name="/echo") == "x"


async def test_refused_call_keeps_anothers_slot(memory_app, autojump_clock):
    add_endpoints(memory_app)
    gate = trio.Event()
    async with clean_client(memory_app) as client, client.session() as session:
        memory_app.fault("POST", "/queue/join", Hold(gate), times=1)
        sent = session.submit("x", api_name="/echo")
        await wait_all_tasks_blocked()
        memory_app.fault("POST", "/queue/join", FULL, times=1)
        await failures([session.submit("y", api_name="/echo")])
        assert client.statistics().streams == 1
        gate.set()
        assert await sent.result() == "x"


async def test_calls_wait_until_unnamed_one_is_cancelled(memory_app, autojump_clock):
    # A cancellation by any name would stop what is of the same function.
    add_endpoints(memory_app)
    told = trio.Event()
    async with clean_client(memory_app) as client, client.session() as session:
        memory_app.fault("POST", "/cancel", Hold(told, handled=False), times=1)
        memory_app.fault("POST", "/queue/join", Lose(), times=1)
        await failures([session.submit(api_name="/story")])
        following = session.submit(api_name="/story")
        await wait_all_tasks_blocked()
        assert len(memory_app.joins) == 1
        told.set()
        await wait_all_tasks_blocked()
        assert len(memory_app.joins) == 2
        assert following.outputs() == ["Once", "Once upon"]
        following.cancel()


async def test_calls_wait_for_a_request_slot(memory_app, autojump_clock):
    add_endpoints(memory_app)
    gate = trio.Event()
    async with clean_client(memory_app) as client:
        hub = client._registry
        assert hub is not None
        hub.http.requests.total_tokens = 1
        memory_app.fault("POST", "/queue/join", Hold(gate), times=1)
        jobs = [client.submit(text, api_name="/echo") for text in "abc"]
        await wait_all_tasks_blocked()
        assert len(memory_app.joins) == 1
        gate.set()
        assert [await job.result() for job in jobs] == ["a", "b", "c"]
