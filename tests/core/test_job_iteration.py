"""Iteration: each loop sees every output in order, whenever it starts and however slow it is."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import trio
import trio.testing

from tests.support.jobs import (
    Boom,
    Thing,
    appending,
    collect,
    count,
    count_and_fail,
    fail,
    succeed,
    tasks_living,
    watchers,
)
from triojob import Job, JobCancelled, JobGroup, OutputIterator, report


async def gather_into(seen: list[Any], job: Job[Any], start: float, pace: float) -> None:
    await trio.sleep(start)
    async for output in job:
        seen.append(output)
        await trio.sleep(pace)


async def test_each_loop_sees_everything_in_order(autojump_clock):
    paces = list(itertools.product((0, 1.5, 4.5, 50), (0, 0.3, 3)))
    seen: list[list[int]] = [[] for _ in paces]
    async with JobGroup() as group, trio.open_nursery() as nursery:
        job = group.submit(count, 6, 1)
        for (start, pace), into in zip(paces, seen, strict=True):
            nursery.start_soon(gather_into, into, job, start, pace)
    assert seen == [list(range(6))] * len(paces)


async def test_edited_outputs_are_whole_in_loops(autojump_clock):
    paces = list(itertools.product((0, 2.5, 50), (0, 3)))
    seen: list[list[Any]] = [[] for _ in paces]
    async with JobGroup() as group, trio.open_nursery() as nursery:
        job = group.submit(appending(5))
        for (start, pace), into in zip(paces, seen, strict=True):
            nursery.start_soon(gather_into, into, job, start, pace)
    assert seen == [[list(range(n + 1)) for n in range(5)]] * len(paces)


async def test_output_is_seen_as_yielded(autojump_clock):
    times: list[float] = []
    async with JobGroup() as group:
        async for _ in group.submit(count, 3, 1):
            times.append(trio.current_time())
    assert times == pytest.approx([1, 2, 3])


async def test_plain_job_yields_its_one_output() -> None:
    async with JobGroup() as group:
        assert await collect(group.submit(succeed)) == ["value"]


async def test_the_final_output_is_not_yielded_twice() -> None:
    async def work() -> str:
        report.output(1)
        report.output(2)
        return "result"

    async with JobGroup() as group:
        job = group.submit(work)
        assert await collect(job) == [1, 2]
        assert await job.result() == "result"


@pytest.mark.parametrize("late", [False, True])
async def test_a_failure_is_raised_after_the_outputs(late: bool) -> None:
    seen: list[int] = []
    async with JobGroup() as group:
        job = group.submit(count_and_fail, 3)
        if late:
            await job.wait()
        with pytest.raises(Boom):
            async for output in job:
                seen.append(output)  # the loop raises
    assert seen == [0, 1, 2]


@pytest.mark.parametrize("late", [False, True])
async def test_a_cancellation_is_raised_after_the_outputs(autojump_clock, late):
    seen: list[int] = []
    async with JobGroup() as group:
        job = group.submit(count, 10, 1)

        async def cancel() -> None:
            await trio.sleep(3.5)
            job.cancel("too long")

        group.submit(cancel)
        if late:
            await job.wait()
        with pytest.raises(JobCancelled, match="too long"):
            async for output in job:
                seen.append(output)  # the loop raises
    assert seen == [0, 1, 2]


@pytest.mark.parametrize("fn", [count, count_and_fail])
async def test_an_iterator_at_its_end_stays_there(fn: Any) -> None:
    async with JobGroup() as group:
        iterator = aiter_of(group.submit(fn, 1))
        assert await iterator.__anext__() == 0
        if fn is count_and_fail:
            with pytest.raises(Boom):
                await iterator.__anext__()
        for _ in range(3):
            with pytest.raises(StopAsyncIteration):
                await iterator.__anext__()


def aiter_of(job: Job[Any]) -> OutputIterator[Any]:
    iterator = job.__aiter__()
    assert iterator.__aiter__() is iterator
    return iterator


async def test_a_failure_raised_by_each_loop() -> None:
    async with JobGroup() as group:
        job = group.submit(fail)
        for _ in range(3):
            with pytest.raises(Boom):
                await collect(job)


async def test_stop_async_iteration_ends_no_loop_silently() -> None:
    """``await anext(it)`` without a guard raises one; a loop over the job must not end well."""

    async def work() -> None:
        raise StopAsyncIteration

    async with JobGroup() as group:
        job = group.submit(work)
        await job.wait()
        assert not job.status().success
        with pytest.raises((RuntimeError, pytest.fail.Exception)) as caught:
            async for _ in job:
                pass
            pytest.fail("the loop ended as if the job had ended well")
        assert caught.type is RuntimeError


async def test_leaving_a_loop_early_leaves_nothing_behind(autojump_clock):
    async with JobGroup() as group:
        job = group.submit(count, 5, 1)
        await trio.testing.wait_all_tasks_blocked()
        before = tasks_living()
        async for output in job:
            if output == 1:
                break
        assert tasks_living() == before
        assert watchers(job) == 0
        assert await job.result() == 4


async def test_an_iterator_can_be_gone_on_with(autojump_clock: trio.testing.MockClock) -> None:
    async with JobGroup() as group:
        iterator = aiter_of(group.submit(count, 5, 1))
        async for output in iterator:
            if output == 1:
                break
        assert await collect(iterator) == [2, 3, 4]


async def test_two_tasks_that_share_iterator_share_outputs(autojump_clock):
    seen: list[int] = []
    async with JobGroup() as group, trio.open_nursery() as nursery:
        iterator = aiter_of(group.submit(count, 20, 1))

        async def consume() -> None:
            async for output in iterator:
                seen.append(output)

        nursery.start_soon(consume)
        nursery.start_soon(consume)
    assert sorted(seen) == list(range(20))


async def test_slow_loop_does_not_delay_job(autojump_clock: trio.testing.MockClock) -> None:
    async with JobGroup() as group:
        job = group.submit(count, 3, 1)
        job.on_result(lambda _: ended.append(trio.current_time()))
        ended: list[float] = []
        async for _ in job:
            await trio.sleep(10)
    assert ended == pytest.approx([3])


async def test_outputs_are_the_yielded_objects_themselves() -> None:
    things = [Thing(), Thing()]

    async def work() -> Any:
        for thing in things:
            yield thing

    async with JobGroup() as group:
        seen = await collect(group.submit(work))
    assert [id(thing) for thing in seen] == [id(thing) for thing in things]


async def test_what_was_sent_before_cancellation_is_seen() -> None:
    async def work() -> None:
        report.output("before")
        try:
            await trio.sleep_forever()
        finally:
            report.output("in the clean-up")

    async with JobGroup() as group:
        job = group.submit(work)
        await trio.testing.wait_all_tasks_blocked()
        job.cancel()
    seen = []
    with pytest.raises(JobCancelled):
        async for output in job:
            seen.append(output)  # the loop raises
    assert seen == ["before", "in the clean-up"]
