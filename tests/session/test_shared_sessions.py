"""Sessions that calls share: what is cancelled there, and what waits behind it."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import wait_all_tasks_blocked

from tests.servers.faults import Delay, Hold
from tests.servers.scripted import Event, ScriptedServer
from tests.support.cancelling import MINE, OTHER, add_functions, new_client, opened
from tests.support.sessions import hashes
from triojob import CallInterrupted, Job, JobGroup, gather, map as map_calls
from triojob.testing.components import state

BOUND = 1000


async def on_the_server(server: ScriptedServer) -> None:
    """Let everything happen that can."""
    await trio.sleep(10)
    await wait_all_tasks_blocked()


def codes(*jobs: Job[Any]) -> list[str]:
    return [job.status().code.name for job in jobs]


@pytest.fixture(params=["/queued", "/stories"])
def one_at_a_time(request: pytest.FixtureRequest, memory_app: ScriptedServer) -> str:
    """An endpoint that runs one call at a time, of `MINE` for ever."""
    add_functions(memory_app, end := trio.Event())
    end.set()

    async def stories(event: Event) -> None:
        await event.generating([event.data[0]])
        if event.data[0] == MINE:
            await trio.sleep_forever()

    memory_app.app.add("stories", stories, inputs=["text"], generator=True, concurrency_limit=1)
    return str(request.param)


@pytest.mark.sse_v3
async def test_those_that_wait_behind_cancelled_call_run(memory_app, autojump_clock, one_at_a_time):
    async with opened(memory_app) as client, client.session() as session:
        endless = session.submit(MINE, api_name=one_at_a_time)
        await wait_all_tasks_blocked()
        behind = [session.submit(f"{OTHER} {n}", api_name=one_at_a_time) for n in range(5)]
        await on_the_server(memory_app)
        endless.cancel()
        with trio.fail_after(BOUND):
            assert [await job.result() for job in behind] == [f"{OTHER} {n}" for n in range(5)]
        later = session.submit(OTHER, api_name=one_at_a_time)
        assert await later.result() == OTHER
    # Each was run once, and none but the cancelled one was stopped.
    states = [event.state for event in memory_app.events.values()]
    assert states.count("finished") == 6
    assert states.count("cancelled") == 1
    assert states.count("removed") == len(states) - 7


@pytest.mark.parametrize("how", ["job", "group", "timeout"])
async def test_next_call_never_waits_behind_cancelled_one(
    memory_app, autojump_clock, one_at_a_time, how
):
    async with opened(memory_app) as client, client.session() as session, JobGroup() as group:
        endpoint = session.endpoint(one_at_a_time)
        for _ in range(10):
            if how == "timeout":
                with trio.move_on_after(5):
                    await endpoint(MINE)
            else:
                async with JobGroup() as inner:
                    job = inner.submit(endpoint, MINE)
                    await on_the_server(memory_app)
                    if how == "job":
                        job.cancel()
                    else:
                        inner.cancel_scope.cancel()
                    # No checkpoint in between.
                    later = group.submit(endpoint, OTHER)
                with trio.fail_after(BOUND):
                    assert await later.result() == OTHER
                continue
            with trio.fail_after(BOUND):
                assert await endpoint(OTHER) == OTHER


@pytest.mark.parametrize("streams", [True, False])
@pytest.mark.sse_v3
async def test_meanwhile_started_call_is_told(memory_app, autojump_clock, streams):
    """It starts while the request to take it out of the queue is on its way."""
    gate = trio.Event()

    async def work(event: Event) -> None:
        if streams:
            await event.generating([event.data[0]])
        await (trio.Event() if event.data[0] == MINE else gate).wait()
        await event.completed([event.data[0]])

    memory_app.app.add("work", work, inputs=["text"], generator=streams, concurrency_limit=2)
    async with opened(memory_app) as client, client.session() as session:
        mine = session.submit(MINE, api_name="/work")
        first = client.submit(OTHER, api_name="/work")  # in a session of its own
        await wait_all_tasks_blocked()
        behind = session.submit(OTHER, api_name="/work")
        await on_the_server(memory_app)
        assert codes(mine, first, behind)[-1] == "IN_QUEUE"
        memory_app.fault("POST", "/cancel", Delay(3, handled=False), times=1)
        mine.cancel()
        await trio.sleep(1)
        first.cancel()  # its slot is free before the request comes
        await trio.sleep(5)
        gate.set()
        if streams:
            with pytest.raises(CallInterrupted, match="/work was stopped"):
                await behind.result()
        else:
            assert await behind.result() == OTHER
        await on_the_server(memory_app)
    assert not memory_app.running


async def test_deaf_server_keeps_nobody_waiting_for_ever(memory_app, autojump_clock):
    add_functions(memory_app, end := trio.Event())
    async with opened(memory_app) as client, client.session() as session:
        mine = session.submit(MINE, api_name="/queued")
        await wait_all_tasks_blocked()
        behind = session.submit(OTHER, api_name="/queued")
        await on_the_server(memory_app)
        memory_app.fault("POST", "/cancel", Hold(trio.Event()))
        mine.cancel()
        await trio.sleep(100)
        # It waits there as it did before: nothing is sent again and again.
        assert memory_app.paths().count("POST /cancel") <= 2
        memory_app.clear_faults()
        end.set()
        behind.cancel()
        with trio.fail_after(BOUND):
            await behind.wait()


# --- Batches ---


def add_sleepy(server: ScriptedServer) -> None:
    async def nap(event: Event) -> None:
        await trio.sleep(1)
        await event.completed([event.data[0]])

    server.app.add("nap", nap, inputs=["text"], concurrency_limit=10)


@pytest.mark.parametrize("how", ["map", "gather", "shared"])
async def test_calls_of_batch_share_session_for_while(memory_app, autojump_clock, how):
    add_sleepy(memory_app)
    names = [f"{n}" for n in range(300)]
    async with opened(memory_app) as client:
        nap = client.endpoint("/nap")
        if how == "map":
            async with map_calls(nap, names, limit=300) as results:
                found = [result async for result in results]
        elif how == "gather":
            found = list(await gather(*(partial(nap, name) for name in names)))
        else:
            with nap.in_shared_session() as shared:
                async with JobGroup() as group:
                    jobs = [group.submit(shared, name) for name in names]
            found = [await job.result() for job in jobs]
        assert found == names
        # Thirty seconds of work: a new session for each ten of them.
        used = len(set(hashes(memory_app)))
        assert used <= 4
        assert await nap("again") == "again"
        assert len(set(hashes(memory_app))) == used
    assert memory_app.paths().count("GET /queue/data") < 10


async def test_separately_cancellable_jobs_are_isolated(memory_app, autojump_clock):
    add_sleepy(memory_app)
    async with opened(memory_app) as client:
        nap = client.endpoint("/nap")
        await gather(*(partial(nap, "x") for _ in range(5)), return_jobs=True)
        assert len(set(hashes(memory_app))) == 5


@pytest.mark.sse_v3
async def test_left_batch_stops_all_calls(memory_app, autojump_clock):
    add_functions(memory_app, trio.Event())
    async with opened(memory_app) as client:
        with trio.move_on_after(5):
            async with map_calls(client.endpoint("/queued"), [MINE] * 10, limit=10) as results:
                async for _ in results:
                    pass
        await on_the_server(memory_app)
        assert not memory_app.running
        assert not memory_app.waiting
    # What waited was taken out first, so that only one of them ever ran.
    assert [event.state for event in memory_app.events.values()] == ["cancelled", *["removed"] * 9]


async def test_batches_keep_state_in_session(memory_app, autojump_clock):
    words = state("")

    async def note(event: Event) -> None:
        await event.completed([event.data[0] + event.data[1]] * 2)

    memory_app.app.add("note", note, inputs=[words, "word"], outputs=[words, "text"])
    async with opened(memory_app) as client:
        endpoint = client.endpoint("/note")
        assert await gather(*(partial(endpoint, word) for word in "abc")) == ("a", "ab", "abc")


async def test_calls_waiting_for_slot_keep_no_stream(memory_app, autojump_clock):
    """The call that has the slot waits for that stream."""
    add_sleepy(memory_app)
    memory_app.app.add("echo", inputs=["text"])
    async with (
        new_client(memory_app, streams=1, in_flight=1) as client,
        client.session() as one,
        client.session() as two,
    ):
        jobs: list[Job[Any]] = []
        for surface, name in ((one, "/nap"), (two, "/echo"), (one, "/echo")):
            jobs.append(surface.submit("x", api_name=name))
            await wait_all_tasks_blocked()
        assert codes(*jobs) == ["PROCESSING", "STARTING", "STARTING"]
        with trio.fail_after(BOUND):
            assert [await job.result() for job in jobs] == ["x"] * 3
