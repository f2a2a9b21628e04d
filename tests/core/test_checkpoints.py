"""Each public `await` is a checkpoint each time; each can be cancelled and leaves nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import assert_checkpoints

from tests.support.jobs import (
    Boom,
    count,
    count_and_fail,
    fail,
    sleep,
    succeed,
    tasks_living,
    watchers,
)
from triojob import Job, JobCancelled, JobGroup, JobTimeout

Await = Callable[[Job[Any]], Awaitable[Any]]


async def await_result(job: Job[Any]) -> Any:
    return await job.result()


async def await_result_for_long(job: Job[Any]) -> Any:
    return await job.result(timeout=1000)


async def await_result_for_no_time(job: Job[Any]) -> Any:
    return await job.result(timeout=0)


async def await_end(job: Job[Any]) -> None:
    await job.wait()


async def await_output(job: Job[Any]) -> Any:
    return await job.__aiter__().__anext__()


async def await_update(job: Job[Any]) -> Any:
    return await job.updates().__anext__()


AWAITS = [
    await_result,
    await_result_for_long,
    await_result_for_no_time,
    await_end,
    await_output,
    await_update,
]
each_await = pytest.mark.parametrize("wait", AWAITS)


@each_await
async def test_on_a_job_that_ended_well(wait: Await) -> None:
    async with JobGroup() as group:
        job = group.submit(succeed)
        await trio.testing.wait_all_tasks_blocked()
        with assert_checkpoints():
            await wait(job)


@each_await
async def test_on_a_job_that_failed(wait: Await) -> None:
    async with JobGroup() as group:
        job = group.submit(fail)
        await trio.testing.wait_all_tasks_blocked()
        with assert_checkpoints(), contextlib.suppress(Boom):
            await wait(job)
        job.exception()


@each_await
async def test_on_a_job_that_was_cancelled(wait: Await) -> None:
    async with JobGroup() as group:
        job = group.submit(trio.sleep_forever)
        job.cancel()
        await trio.testing.wait_all_tasks_blocked()
        with assert_checkpoints(), contextlib.suppress(JobCancelled):
            await wait(job)


@each_await
async def test_on_a_job_that_runs(autojump_clock: trio.testing.MockClock, wait: Await) -> None:
    async with JobGroup() as group:
        job = group.submit(sleep, 1)
        with assert_checkpoints():
            try:
                await wait(job)
            except JobTimeout:
                assert wait is await_result_for_no_time


@pytest.mark.parametrize("fn", [count, count_and_fail])
async def test_each_step_of_an_iteration(fn: Any) -> None:
    async with JobGroup() as group:
        job = group.submit(fn, 3)
        await trio.testing.wait_all_tasks_blocked()
        iterator = job.__aiter__()
        for number in range(3):
            with assert_checkpoints():
                assert await iterator.__anext__() == number
        for _ in range(3):
            with assert_checkpoints(), pytest.raises((StopAsyncIteration, Boom)):
                await iterator.__anext__()


@pytest.mark.parametrize("fn", [count, count_and_fail])
async def test_each_step_of_the_updates(fn: Any) -> None:
    async with JobGroup() as group:
        job = group.submit(fn, 3)
        await job.wait()
        updates = job.updates()
        for _ in range(7):
            with assert_checkpoints():
                await updates.__anext__()
        for _ in range(3):
            with assert_checkpoints(), pytest.raises(StopAsyncIteration):
                await updates.__anext__()
        job.exception()


async def test_leaving_a_group_is_a_schedule_point() -> None:
    group = JobGroup()
    await group.__aenter__()
    before = trio.lowlevel.current_task()._schedule_points
    await group.__aexit__(None, None, None)
    assert trio.lowlevel.current_task()._schedule_points > before


@each_await
async def test_ended_job_survives_cancellation(wait: Await) -> None:
    async with JobGroup() as group:
        job = group.submit(succeed)
        await job.wait()
        with trio.CancelScope() as scope:
            scope.cancel()
            await wait(job)
        assert scope.cancelled_caught
        assert await job.result() == "value"


@pytest.mark.parametrize("wait", [wait for wait in AWAITS if wait is not await_result_for_no_time])
async def test_cancelled_wait_leaves_job_running(autojump_clock, wait):
    async with JobGroup(limit=1) as group:
        job = group.submit(sleep, 10)
        # Take what is there already, so that each way of waiting has to wait.
        updates = job.updates()
        await trio.sleep(1)
        for _ in range(2):
            await updates.__anext__()
        before = tasks_living()
        with trio.move_on_after(1) as scope:
            await (updates.__anext__() if wait is await_update else wait(job))
        assert scope.cancelled_caught
        assert trio.current_time() == pytest.approx(2)
        assert tasks_living() == before
        assert watchers(job) == 0
        assert not job.done
        assert await job.result() == "value"
    assert trio.current_time() == pytest.approx(10)


async def test_cancelled_step_leaves_its_output_to_next(autojump_clock):
    async with JobGroup() as group:
        iterator = group.submit(count, 3, 10).__aiter__()
        seen = []
        while True:
            with trio.move_on_after(3) as scope:
                try:
                    seen.append(await iterator.__anext__())
                except StopAsyncIteration:
                    break
            assert len(seen) <= 3
            assert scope.cancel_called or seen
    assert seen == [0, 1, 2]


async def test_step_cancelled_beside_output_loses_nothing() -> None:
    async with JobGroup() as group:
        job = group.submit(count, 2)
        await job.wait()
        iterator, updates = job.__aiter__(), job.updates()
        for step in (iterator.__anext__, updates.__anext__):
            with trio.CancelScope() as scope:
                scope.cancel()
                await step()
            assert scope.cancelled_caught
        assert [output async for output in iterator] == [0, 1]
        assert len([update async for update in updates]) == 6


async def test_a_failure_survives_a_cancelled_wait() -> None:
    async with JobGroup() as group:
        job = group.submit(fail)
        await job.wait()
        iterator = job.__aiter__()
        with trio.CancelScope() as scope:
            scope.cancel()
            await iterator.__anext__()
        with pytest.raises(Boom):
            await iterator.__anext__()


async def test_wait_can_be_cancelled_as_job_ends(autojump_clock):
    """Either the value or the cancellation wins; nothing else comes of it."""
    for _ in range(20):
        async with JobGroup() as group:
            job = group.submit(sleep, 1)
            with trio.move_on_after(1) as scope:
                assert await job.result() == "value"
            assert job.done or scope.cancelled_caught
            assert await job.result() == "value"


async def test_wait_with_timeout_lets_outer_cancellation_through(autojump_clock):
    async with JobGroup() as group:
        job = group.submit(sleep, 10)
        with trio.move_on_after(1) as scope:
            await job.result(timeout=1)
        assert scope.cancelled_caught


async def test_wait_for_slot_can_be_cancelled(autojump_clock):
    before = tasks_living()
    with trio.move_on_after(1):
        async with JobGroup(limit=1) as group:
            jobs = [group.submit(trio.sleep_forever) for _ in range(5)]
    assert tasks_living() == before
    assert all(job.cancelled for job in jobs)
