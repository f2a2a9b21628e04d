"""`Limits.streams`: calls over the budget of streams wait on this side, visibly and in order."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests.servers.faults import Cut, Hold
from tests.support.sessions import (
    ROUNDS,
    Streams,
    add_notebook,
    add_sleeper,
    hashes,
    opened,
    quiet,
)
from triojob import ConnectionLost, Job, JobGroup, Limits


def codes(jobs: list[Job[Any]]) -> list[str]:
    return [job.status().code.name for job in jobs]


async def test_jobs_over_budget_wait_and_finish(autojump_clock, memory_app):
    add_sleeper(memory_app)
    async with opened(memory_app, limits=Limits(streams=3)) as client:
        jobs = [client.submit(n, api_name="/sleep") for n in range(1, 11)]
        await wait_all_tasks_blocked()
        assert sorted(codes(jobs)) == ["PROCESSING"] * 3 + ["STARTING"] * 7
        assert len(hashes(memory_app)) == 3
        assert "3/3 streams" in repr(client)
        assert [await job.result() for job in jobs] == list(range(1, 11))
    assert memory_app.streams.max_open == 3
    assert memory_app.streams.made == 10


async def test_plain_calls_keep_to_the_budget_too(autojump_clock, memory_app):
    add_sleeper(memory_app)
    async with (
        opened(memory_app, limits=Limits(streams=2)) as client,
        trio.open_nursery() as nursery,
    ):
        for _ in range(7):
            nursery.start_soon(client.endpoint("/sleep"), 1)
    assert memory_app.streams.max_open == 2
    assert memory_app.streams.made == 7


async def test_jobs_over_budget_keep_their_order(autojump_clock, memory_app):
    add_sleeper(memory_app)
    for _ in range(ROUNDS):
        before = len(memory_app.joins)
        async with opened(memory_app, limits=Limits(streams=1)) as client:
            for number in range(4):
                client.submit(number, api_name="/sleep")
        assert [join["data"] for join in memory_app.joins[before:]] == [[0], [1], [2], [3]]


async def test_cancelled_waiting_job_frees_nothing(autojump_clock, memory_app):
    add_sleeper(memory_app)
    async with opened(memory_app, limits=Limits(streams=1)) as client:
        first = client.submit(100, api_name="/sleep")
        await wait_all_tasks_blocked()
        waiting = [client.submit(n, api_name="/sleep") for n in range(1, 6)]
        await wait_all_tasks_blocked()
        for job in waiting[:3]:
            job.cancel()
            await job.wait()
        await wait_all_tasks_blocked()
        assert codes(waiting) == ["CANCELLED"] * 3 + ["STARTING"] * 2
        assert len(hashes(memory_app)) == 1
        assert await first.result() == 100
        assert [await job.result() for job in waiting[3:]] == [4, 5]
        await quiet(memory_app)
        assert "0/1 streams" in repr(client)
    # The app never heard of those, neither of the calls nor of their cancellations.
    assert sorted(join["data"] for join in memory_app.joins) == [[4], [5], [100]]
    assert memory_app.cancels == []
    assert memory_app.streams.max_open == 1


async def test_cancelled_running_job_frees_its_slot(autojump_clock, memory_app):
    add_sleeper(memory_app)
    async with opened(memory_app, limits=Limits(streams=1)) as client:
        first = client.submit(10**9, api_name="/sleep")
        await wait_all_tasks_blocked()
        others = [client.submit(n, api_name="/sleep") for n in (1, 2)]
        await wait_all_tasks_blocked()
        first.cancel()
        assert [await job.result() for job in others] == [1, 2]
        await quiet(memory_app)
        assert "0/1 streams" in repr(client)
    assert memory_app.streams.max_open == 1


async def test_cancelled_call_holds_slot_until_answered(autojump_clock, memory_app):
    add_sleeper(memory_app)
    answer = trio.Event()
    memory_app.fault("POST", "/cancel", Hold(answer, handled=False))
    async with opened(memory_app, limits=Limits(streams=1)) as client:
        first = client.submit(10**9, api_name="/sleep")
        await wait_all_tasks_blocked()
        second = client.submit(1, api_name="/sleep")
        first.cancel()
        await first.wait()
        await wait_all_tasks_blocked()
        # Here it is over; there it still runs, and its stream is still open.
        assert memory_app.streams.open == 1
        assert codes([first, second]) == ["CANCELLED", "STARTING"]
        answer.set()
        assert await second.result() == 1
    assert memory_app.streams.max_open == 1


async def test_broken_stream_gives_its_place_to_next(autojump_clock, memory_app):
    add_sleeper(memory_app)
    memory_app.fault("GET", "/queue/data", Cut(100), times=3)
    async with opened(memory_app, limits=Limits(streams=1)) as client:
        for _ in range(3):
            with pytest.raises(ConnectionLost):
                await client.predict(1, api_name="/sleep")
        assert await client.predict(1, api_name="/sleep") == 1


async def test_calls_of_session_need_one_place(autojump_clock, memory_app):
    add_sleeper(memory_app)
    async with (
        opened(memory_app, limits=Limits(streams=1, in_flight=3)) as client,
        client.session() as session,
    ):
        inside = [session.submit(n, api_name="/sleep") for n in (5, 6, 7)]
        await wait_all_tasks_blocked()
        assert codes(inside) == ["PROCESSING"] * 3
        outside = client.submit(1, api_name="/sleep")
        await inside[1].wait()
        # One rides on still: the place is taken, though other calls of the session have ended.
        await wait_all_tasks_blocked()
        assert codes([*inside, outside]) == ["FINISHED", "FINISHED", "PROCESSING", "STARTING"]
        assert await outside.result() == 1
        assert inside[2].done
    assert memory_app.streams.max_open == 1


async def test_sessions_calls_wait_for_its_one_place(autojump_clock, memory_app):
    add_sleeper(memory_app)
    streams = Streams(memory_app)
    async with (
        opened(memory_app, limits=Limits(streams=1, in_flight=3)) as client,
        client.session() as session,
    ):
        isolated = client.submit(50, api_name="/sleep")
        await wait_all_tasks_blocked()
        inside = [session.submit(n, api_name="/sleep") for n in (5, 6, 7)]
        await wait_all_tasks_blocked()
        assert codes(inside) == ["STARTING"] * 3
        # Not even the one who asked for the place has to live for the others to get it.
        for job in inside[:2]:
            job.cancel()
        assert await inside[2].result() == 7
        assert isolated.done
    assert memory_app.streams.max_open == streams.most_at_once == 1


async def test_clients_own_session_needs_place_too(autojump_clock, memory_app):
    add_sleeper(memory_app)
    add_notebook(memory_app, "note", "remark", seconds=5)
    async with opened(memory_app, limits=Limits(streams=1)) as client:
        stateful = [client.submit("a", api_name=name) for name in ("/note", "/remark")]
        await wait_all_tasks_blocked()
        isolated = client.submit(1, api_name="/sleep")
        await wait_all_tasks_blocked()
        assert codes([*stateful, isolated]) == ["PROCESSING", "PROCESSING", "STARTING"]
        assert await isolated.result() == 1
        assert await client.predict("b", api_name="/note") == "ab"
    assert memory_app.streams.max_open == 1


@pytest.mark.parametrize("limit", [1, 3, 5])
async def test_limit_and_budget_go_together(autojump_clock, memory_app, limit):
    add_sleeper(memory_app)
    async with opened(memory_app, limits=Limits(streams=3)) as client:
        async with JobGroup(limit=limit) as group:
            jobs = [group.submit(client.endpoint("/sleep"), 1) for _ in range(10)]
            await wait_all_tasks_blocked()
            assert codes(jobs).count("PROCESSING") == min(limit, 3)
        assert [await job.result() for job in jobs] == [1] * 10
    assert memory_app.streams.max_open == min(limit, 3)


async def test_callers_can_bound_their_wait(autojump_clock, memory_app):
    add_sleeper(memory_app)
    async with opened(memory_app, limits=Limits(streams=1)) as client:
        first = client.submit(100, api_name="/sleep")
        await wait_all_tasks_blocked()
        with trio.move_on_after(5) as scope:
            await client.predict(1, api_name="/sleep")
        assert scope.cancelled_caught
        assert not first.done
    assert len(hashes(memory_app)) == 1
