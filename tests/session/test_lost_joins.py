"""Joins whose response is lost: the server may have the call, and the stream says as which event.

The call fails at once, or was cancelled; the server is told of it with the id that it gave.
"""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests.servers.faults import Answer, Hold, Lose
from tests.servers.scripted import Event, ScriptedServer
from tests.support.cancelling import (
    MINE,
    OTHER,
    add_functions,
    cancel_of,
    new_client,
    nothing_left,
    opened,
    sent,
)
from tests.support.sessions import hashes
from triojob import ConnectionLost, Job, Timeouts

BOUND = 1000
JOIN = ("POST", "/queue/join")
surfaces = pytest.mark.parametrize("shared", [False, True], ids=["isolated", "session"])


@pytest.fixture
def end(memory_app: ScriptedServer) -> trio.Event:
    """The functions of all calls but `MINE` end when it is set."""
    add_functions(memory_app, end := trio.Event())

    async def chapters(event: Event) -> None:
        await event.generating([event.data[0]])
        await (trio.Event() if event.data[0] == MINE else end).wait()

    memory_app.app.add("chapters", chapters, inputs=["text"], generator=True, concurrency_limit=1)
    return end


async def lose(server: ScriptedServer, surface: Any, api_name: str) -> Job[Any]:
    """Make a call that the server takes, and whose response is lost."""
    server.fault(*JOIN, Lose(), times=1)
    job = surface.submit(MINE, api_name=api_name)
    now = trio.current_time()
    await job.wait()
    assert isinstance(job.exception(), ConnectionLost)
    assert trio.current_time() == now
    return job


@surfaces
@pytest.mark.parametrize("api_name", ["/queued", "/chapters"])
@pytest.mark.parametrize("version", ["6.31.0", "6.13.1"])
async def test_one_that_waits_never_runs(
    memory_app, autojump_clock, end, shared, api_name, version
):
    memory_app.app.version = version
    async with opened(memory_app) as client, client.session() as session:
        other = client.submit(OTHER, api_name=api_name)
        await wait_all_tasks_blocked()
        await lose(memory_app, session if shared else client, api_name)
        await trio.sleep(1)
        (event,) = sent(memory_app)
        assert event.state == "removed"
        assert event.outputs.count == 0
        assert cancel_of(event) in memory_app.cancels
        end.set()
        assert await other.result() == OTHER


@surfaces
@pytest.mark.parametrize("api_name", ["/held", "/ticks"])
@pytest.mark.sse_v3
async def test_one_that_runs_is_stopped(memory_app, autojump_clock, end, shared, api_name):
    async with opened(memory_app) as client, client.session() as session:
        await lose(memory_app, session if shared else client, api_name)
        await wait_all_tasks_blocked()
        (event,) = sent(memory_app)
        assert event.state == "cancelled"
        assert memory_app.cancels == [cancel_of(event)]


@pytest.mark.sse_v3
async def test_siblings_go_on(memory_app, autojump_clock, end):
    async with opened(memory_app) as client, client.session() as session:
        running = session.submit(OTHER, api_name="/queued")
        await wait_all_tasks_blocked()
        behind = session.submit(OTHER, api_name="/queued")
        await wait_all_tasks_blocked()
        await lose(memory_app, session, "/queued")
        await wait_all_tasks_blocked()
        (event,) = sent(memory_app)
        assert event.state == "removed"
        assert memory_app.cancels == []
        end.set()
        assert [await job.result() for job in (running, behind)] == [OTHER] * 2
    assert [event.state for event in sent(memory_app, OTHER)] == ["finished"] * 2


async def test_one_that_has_ended_needs_no_request(memory_app, autojump_clock, end):
    """The stream has told of all of it before its loss is known."""
    async with opened(memory_app) as client, client.session() as session:
        others = [session.submit(OTHER, api_name="/held")]
        await wait_all_tasks_blocked()
        memory_app.fault(*JOIN, Hold(gate := trio.Event()), Lose(), times=1)
        mine = session.submit(MINE, api_name="/echo")
        await wait_all_tasks_blocked()
        gate.set()
        await mine.wait()
        assert isinstance(mine.exception(), ConnectionLost)
        await wait_all_tasks_blocked()
        assert memory_app.cancels == memory_app.dequeues == []
        end.set()
        others.append(session.submit(OTHER, api_name="/echo"))
        assert {await job.result() for job in others} == {OTHER}
    assert len(set(hashes(memory_app))) == 1


@pytest.mark.sse_v3
async def test_several_at_once(memory_app, autojump_clock, end):
    """Of two functions, beside calls of both: which of the ids is whose nobody can tell."""
    names = ["/queued", "/chapters"]
    async with opened(memory_app) as client, client.session() as session:
        others = []
        for name in names * 2:
            others.append(session.submit(OTHER, api_name=name))
            await wait_all_tasks_blocked()
        gate = trio.Event()
        memory_app.fault(*JOIN, Hold(gate), Lose(), times=4)
        mine = [session.submit(MINE, api_name=name) for name in names * 2]
        await wait_all_tasks_blocked()
        assert [event.state for event in sent(memory_app)] == ["waiting"] * 4
        gate.set()
        for job in mine:
            await job.wait()
            assert isinstance(job.exception(), ConnectionLost)
        await wait_all_tasks_blocked()
        assert [event.state for event in sent(memory_app)] == ["removed"] * 4
        end.set()
        assert [await job.result() for job in others] == [OTHER] * 4
    assert [event.state for event in sent(memory_app, OTHER)] == ["finished"] * 4


@pytest.mark.sse_v3
async def test_join_in_flight_is_kept(memory_app, autojump_clock, end):
    """Its event is told of first, and it is of the same function."""
    async with opened(memory_app) as client, client.session() as session:
        first = session.submit(OTHER, api_name="/queued")
        await wait_all_tasks_blocked()
        gate, lost = trio.Event(), trio.Event()
        memory_app.fault(*JOIN, Hold(gate), times=1)
        memory_app.fault(*JOIN, Hold(lost), Lose(), times=1)
        other = session.submit(OTHER, api_name="/queued")
        await wait_all_tasks_blocked()
        mine = session.submit(MINE, api_name="/queued")
        await wait_all_tasks_blocked()
        lost.set()
        await mine.wait()
        assert isinstance(mine.exception(), ConnectionLost)
        await wait_all_tasks_blocked()
        assert memory_app.dequeues == []
        gate.set()
        await wait_all_tasks_blocked()
        assert [event.state for event in sent(memory_app)] == ["removed"]
        end.set()
        assert [await job.result() for job in (first, other)] == [OTHER] * 2
    assert [event.state for event in sent(memory_app, OTHER)] == ["finished"] * 2


@surfaces
async def test_one_that_the_stream_never_names(memory_app, autojump_clock, end, shared):
    """A cancel request under a made-up id stops it if it runs, when it has been waited for."""

    async def mute(_event: Event) -> None:
        await trio.sleep_forever()

    memory_app.app.add("mute", mute, inputs=["text"], manual=True)
    timeouts = Timeouts(cancel=3)
    async with opened(memory_app, timeouts=timeouts) as client, client.session() as session:
        surface = session if shared else client
        await lose(memory_app, surface, "/mute")
        (event,) = sent(memory_app)
        following = surface.submit(OTHER, api_name="/echo")
        await trio.sleep(2.9)
        assert event.state == "running"
        assert following.done is not shared
        await trio.sleep(0.2)
        assert event.state == "cancelled"
        with trio.fail_after(BOUND):
            assert await following.result() == OTHER
            # What is late of that call is to meet no other.
            await client.predict(OTHER, api_name="/echo")
        assert shared or event.session_hash not in hashes(memory_app)[1:]


@pytest.mark.parametrize("known", [False, True])
async def test_one_that_never_came_harms_nobody(memory_app, autojump_clock, end, known):
    """Neither if the server knows the session, nor if it says that it does not."""
    async with opened(memory_app) as client, client.session() as session:
        if known:
            await session.predict(OTHER, api_name="/echo")
        gate = trio.Event()
        memory_app.fault(*JOIN, Hold(gate, handled=False), Lose(handled=False), times=1)
        mine = session.submit(MINE, api_name="/queued")
        await wait_all_tasks_blocked()
        memory_app.fault(*JOIN, Hold(gate, handled=False), times=1)
        others = [session.submit(OTHER, api_name="/echo")]
        await wait_all_tasks_blocked()
        gate.set()
        await mine.wait()
        others += [session.submit(OTHER, api_name="/echo") for _ in range(3)]
        with trio.fail_after(BOUND):
            assert [await job.result() for job in others] == [OTHER] * 4
        assert isinstance(mine.exception(), ConnectionLost)
    assert len(set(hashes(memory_app))) == 1


@pytest.mark.parametrize("fault", [Answer(502), Lose(handled=False), Lose()], ids=str)
async def test_the_search_for_it_harms_nobody(memory_app, autojump_clock, end, fault):
    """The stream that is opened to find it breaks: what joins afterwards is not lost too."""
    async with opened(memory_app) as client, client.session() as session:
        await session.predict(OTHER, api_name="/echo")
        memory_app.fault("GET", "/queue/data", fault, times=1)
        await lose(memory_app, session, "/held")
        jobs = [session.submit(OTHER, api_name="/echo") for _ in range(3)]
        with trio.fail_after(BOUND):
            assert [await job.result() for job in jobs] == [OTHER] * 3
    assert len(set(hashes(memory_app))) == 1


@surfaces
async def test_it_is_found_at_clients_end_too(memory_app, autojump_clock, end, shared):
    gate = trio.Event()
    async with nothing_left(memory_app), new_client(memory_app) as other:
        running = other.submit(OTHER, api_name="/queued")
        await wait_all_tasks_blocked()
        memory_app.fault(*JOIN, Hold(gate), Lose(), times=1)
        async with (
            trio.open_nursery() as nursery,
            new_client(memory_app) as client,
            client.session() as session,
        ):
            job = (session if shared else client).submit(MINE, api_name="/queued")
            await wait_all_tasks_blocked()
            nursery.start_soon(_set_later, gate)
            job.cancel()
        assert job.cancelled
        (event,) = sent(memory_app)
        assert event.state == "removed"
        end.set()
        assert await running.result() == OTHER


async def _set_later(gate: trio.Event) -> None:
    await trio.sleep(1)
    gate.set()


@pytest.mark.sse_v3
async def test_its_session_is_used_again(memory_app, autojump_clock, end):
    """The server has answered a cancel request that names its event, so it is as any other."""
    async with opened(memory_app) as client:
        await lose(memory_app, client, "/held")
        await trio.sleep(5)
        assert await client.predict(OTHER, api_name="/echo") == OTHER
    assert len(set(hashes(memory_app))) == 1
