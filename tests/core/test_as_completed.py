"""`as_completed`: jobs in the order in which they end."""

from __future__ import annotations

import gc
from typing import Any

import pytest
import trio
import trio.testing

from tests.support.jobs import ROUNDS, Boom, collect, fail, fail_after, listeners, sleep, succeed
from triojob import Job, JobCancelled, JobGroup, as_completed


async def test_jobs_come_in_order_of_ending(autojump_clock):
    async with JobGroup() as group:
        jobs = [group.submit(sleep, seconds, seconds) for seconds in (3, 1, 2)]
        times = []
        async for job in as_completed(jobs):
            times.append((await job.result(), trio.current_time()))
    assert times == [(1, 1), (2, 2), (3, 3)]


async def test_late_consumer_gets_the_same_order(autojump_clock):
    async with JobGroup() as group:
        jobs = [group.submit(sleep, seconds, seconds) for seconds in (3, 1, 2)]
        ended = as_completed(jobs)
        await trio.sleep(10)
        assert [await job.result() async for job in ended] == [1, 2, 3]


async def test_ended_jobs_come_first_as_given(autojump_clock):
    async with JobGroup() as group:
        late = group.submit(sleep, 5)
        done = [group.submit(succeed, number) for number in range(3)]
        await trio.sleep(1)
        order = [done[2], late, done[0], done[1]]
        assert await collect(as_completed(order)) == [done[2], done[0], done[1], late]


async def test_jobs_may_be_of_several_groups(autojump_clock: trio.testing.MockClock) -> None:
    async with JobGroup() as one, JobGroup() as other:
        jobs = [one.submit(sleep, 2), other.submit(sleep, 1)]
        assert await collect(as_completed(jobs)) == jobs[::-1]


async def test_failed_and_cancelled_jobs_come_too(autojump_clock):
    async with JobGroup() as group:
        bad, cancelled = group.submit(fail_after, 2), group.submit(trio.sleep_forever)
        cancelled.cancel()
        assert await collect(as_completed([bad, cancelled])) == [cancelled, bad]
        with pytest.raises(Boom):
            await bad.result()
        with pytest.raises(JobCancelled):
            await cancelled.result()


async def test_to_come_is_not_to_be_seen() -> None:
    with pytest.RaisesGroup(Boom):
        async with JobGroup() as group:
            bad = group.submit(fail)
            assert await collect(as_completed([bad])) == [bad]


async def test_a_job_given_twice_comes_once() -> None:
    async with JobGroup() as group:
        job = group.submit(succeed)
        assert await collect(as_completed([job, job])) == [job]
        assert await collect(as_completed([job, job])) == [job]


async def test_any_iterable_of_jobs_will_do() -> None:
    async with JobGroup() as group:
        results = [
            await job.result()
            async for job in as_completed(group.submit(succeed, number) for number in range(3))
        ]
    assert sorted(results) == [0, 1, 2]
    assert await collect(as_completed([])) == []


async def test_leaving_the_loop_early_leaves_nothing_behind(autojump_clock):
    async with JobGroup() as group:
        jobs = [group.submit(sleep, seconds) for seconds in (1, 5, 6)]
        gc.disable()
        try:
            async for job in as_completed(jobs):
                assert job is jobs[0]
                break
            assert [listeners(job) for job in jobs] == [0, 0, 0]
        finally:
            gc.enable()


async def test_unused_iterator_leaves_nothing() -> None:
    async with JobGroup() as group:
        job = group.submit(trio.sleep_forever)
        ended = as_completed([job])
        assert listeners(job) == 1
        del ended
        assert listeners(job) == 0
        job.cancel()


async def test_cancellation_ends_and_loses_no_job(autojump_clock):
    async with JobGroup() as group:
        jobs = [group.submit(sleep, 5), group.submit(sleep, 3)]
        ended = as_completed(jobs)
        with trio.move_on_after(1) as scope:
            await ended.__anext__()
        assert scope.cancelled_caught
        assert await collect(ended) == jobs[::-1]
        assert await collect(ended) == []


async def test_several_tasks_share_one_iterator(autojump_clock: trio.testing.MockClock) -> None:
    got: list[Job[Any]] = []
    async with JobGroup() as group:
        jobs = [group.submit(sleep, seconds) for seconds in (1, 2, 3)]
        ended = as_completed(jobs)

        async def consume() -> None:
            async for job in ended:
                got.append(job)

        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(consume)
    assert got == jobs


async def test_each_step_is_a_checkpoint() -> None:
    async with JobGroup() as group:
        job = group.submit(succeed)
        await job.wait()
        ended = as_completed([job])
        with trio.testing.assert_checkpoints():
            await ended.__anext__()
        with trio.testing.assert_checkpoints(), pytest.raises(StopAsyncIteration):
            await ended.__anext__()


async def test_many_that_end_at_once_all_come() -> None:
    for _ in range(ROUNDS):
        async with JobGroup(limit=7) as group:
            jobs = [group.submit(succeed, number) for number in range(50)]
            came = await collect(as_completed(jobs))
        assert sorted(job.id for job in came) == [job.id for job in jobs]


async def test_jobs_can_be_cancelled_in_the_loop(autojump_clock: trio.testing.MockClock) -> None:
    async with JobGroup() as group:
        jobs = [group.submit(sleep, seconds) for seconds in range(1, 6)]
        came = []
        async for job in as_completed(jobs):
            came.append(job)
            for other in jobs:
                other.cancel()
    assert len(came) == 5
    assert trio.current_time() == 1


async def test_its_repr_counts(autojump_clock: trio.testing.MockClock) -> None:
    async with JobGroup() as group:
        ended = as_completed([group.submit(sleep, 1), group.submit(sleep, 5)])
        await trio.sleep(2)
        assert repr(ended) == "<JobIterator: 1 running, 1 ended>"


async def test_non_jobs_are_refused_with_advice() -> None:
    for wrong in ([succeed], [fail()], [None]):
        with pytest.raises(TypeError, match=r"takes jobs, not .*triojob.map\(fn, items, ordered"):
            as_completed(wrong)  # type: ignore[arg-type]
    async with JobGroup() as group:
        job = group.submit(succeed)
        with pytest.raises(TypeError, match=r"such as as_completed\(\[job\]\)"):
            as_completed(job)  # type: ignore[arg-type]
