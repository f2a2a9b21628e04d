"""`Job.result`, `wait`, `outcome`, `exception`, `done`."""

from __future__ import annotations

import concurrent.futures
import math
import traceback
from typing import Any

import pytest
import trio
import trio.testing
from outcome import Error, Value

from tests.support.jobs import Boom, count, fail, fail_after, sleep, succeed
from triojob import Job, JobCancelled, JobGroup, JobNotDone, JobTimeout


def test_a_job_is_never_made_directly() -> None:
    with pytest.raises(TypeError, match=r"submit\(\) creates jobs"):
        Job()


async def test_many_tasks_wait_for_one_job(autojump_clock: trio.testing.MockClock) -> None:
    results: list[str] = []

    async def wait(job: Job[str]) -> None:
        results.append(await job.result())

    async with JobGroup() as group, trio.open_nursery() as nursery:
        job = group.submit(sleep, 1)
        for _ in range(100):
            nursery.start_soon(wait, job)
    assert results == ["value"] * 100


async def test_all_who_wait_get_the_failure(autojump_clock: trio.testing.MockClock) -> None:
    failures: list[BaseException] = []

    async def wait(job: Job[Any]) -> None:
        with pytest.raises(Boom) as caught:
            await job.result()
        failures.append(caught.value)

    async with JobGroup() as group, trio.open_nursery() as nursery:
        job = group.submit(fail_after, 1)
        for _ in range(10):
            nursery.start_soon(wait, job)
    assert len(failures) == 10
    assert all(failure is failures[0] for failure in failures)


async def test_the_result_can_be_had_many_times() -> None:
    async with JobGroup() as group:
        job = group.submit(succeed)
        assert await job.result() == await job.result() == "value"
    assert await job.result() == "value"


async def test_traceback_leads_into_function_each_time() -> None:
    async with JobGroup() as group:
        job = group.submit(fail)
        depths = []
        for _ in range(3):
            with pytest.raises(Boom) as caught:
                await job.result()
            names = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
            assert names[-1] == "fail"
            depths.append(len(names))
        error = job.exception()
    assert len(set(depths)) == 1, "no frames of earlier raises are left"
    assert error is not None
    assert traceback.extract_tb(error.__traceback__)[-1].name == "fail"


async def test_wait_raises_nothing_of_the_jobs() -> None:
    async with JobGroup() as group:
        failed, cancelled = group.submit(fail), group.submit(trio.sleep_forever)
        cancelled.cancel()
        await failed.wait()
        await cancelled.wait()
        assert failed.done
        assert cancelled.done
        failed.exception()


async def test_timeout_ends_wait_and_not_job(autojump_clock):
    async with JobGroup() as group:
        job = group.submit(sleep, 10)
        with pytest.raises(
            JobTimeout, match=r"sleep has not ended within 2\.5 s; it keeps running"
        ):
            await job.result(timeout=2.5)
        assert trio.current_time() == pytest.approx(2.5)
        assert not job.done
        assert await job.result(timeout=100) == "value"
    assert trio.current_time() == pytest.approx(10)


@pytest.mark.parametrize("kind", [trio.TooSlowError, TimeoutError, JobTimeout])
async def test_a_timeout_can_be_caught_as(autojump_clock, kind):
    async with JobGroup() as group:
        job = group.submit(trio.sleep_forever)
        with pytest.raises(kind):
            await job.result(timeout=1)
        job.cancel()


@pytest.mark.parametrize("timeout", [0, 0.0, 1, math.inf])
async def test_ended_job_has_its_result_at_once(autojump_clock, timeout):
    async with JobGroup() as group:
        good, bad = group.submit(succeed), group.submit(fail)
        await trio.testing.wait_all_tasks_blocked()
        assert await good.result(timeout=timeout) == "value"
        with pytest.raises(Boom):
            await bad.result(timeout=timeout)
        assert trio.current_time() == 0


async def test_zero_timeout_times_out_running_job() -> None:
    async with JobGroup() as group:
        job = group.submit(trio.sleep_forever)
        with pytest.raises(JobTimeout):
            await job.result(timeout=0)
        assert not job.done
        job.cancel()


async def test_a_timeout_may_be_infinite(autojump_clock: trio.testing.MockClock) -> None:
    async with JobGroup() as group:
        assert await group.submit(sleep, 1000).result(timeout=math.inf) == "value"


@pytest.mark.parametrize("timeout", [-1, -0.001, math.nan, -math.inf])
@pytest.mark.parametrize("fn", [succeed, trio.sleep_forever])
async def test_timeout_that_is_no_duration_is_refused(fn: Any, timeout: float) -> None:
    async with JobGroup() as group:
        job = group.submit(fn)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(ValueError, match="must"):
            await job.result(timeout=timeout)
        group.cancel_scope.cancel()


async def test_timeout_around_wait_is_not_jobs_timeout(autojump_clock):
    async with JobGroup() as group:
        job = group.submit(trio.sleep_forever)
        with trio.move_on_after(1) as scope:
            await job.result(timeout=2)
        assert scope.cancelled_caught
        with trio.move_on_after(2) as scope, pytest.raises(JobTimeout):
            await job.result(timeout=1)
        assert not scope.cancelled_caught
        job.cancel()


async def test_timeout_error_of_function_is_not_waits(autojump_clock):
    async def work() -> None:
        with trio.fail_after(1):
            await trio.sleep_forever()

    async with JobGroup() as group:
        with pytest.raises(trio.TooSlowError) as caught:
            await group.submit(work).result(timeout=5)
    assert not isinstance(caught.value, JobTimeout)


async def test_a_cancelled_job_raises_job_cancelled() -> None:
    async with JobGroup() as group:
        job = group.submit(trio.sleep_forever)
        job.cancel()
        with pytest.raises(concurrent.futures.CancelledError) as caught:
            await job.result()
    assert isinstance(caught.value, JobCancelled)
    assert str(caught.value) == "sleep_forever was cancelled"
    assert job.exception() is caught.value


async def test_exception_is_what_result_raises() -> None:
    async with JobGroup() as group:
        good, bad = group.submit(succeed), group.submit(fail)
        await good.wait()
        await bad.wait()
        assert good.exception() is None
        with pytest.raises(Boom) as caught:
            await bad.result()
        assert bad.exception() is caught.value


async def test_exception_of_running_job_is_error() -> None:
    async with JobGroup() as group:
        job = group.submit(trio.sleep_forever)
        with pytest.raises(JobNotDone, match=r"await job\.wait"):
            job.exception()
        with pytest.raises(concurrent.futures.InvalidStateError):
            job.exception()
        job.cancel()


async def test_outcome_is_none_while_job_runs() -> None:
    async with JobGroup() as group:
        job = group.submit(succeed)
        assert job.outcome is None
        assert not job.done
        await job.wait()
        assert job.outcome == Value("value")
        assert job.done


async def test_each_outcome_can_be_unwrapped() -> None:
    async with JobGroup() as group:
        good, bad = group.submit(succeed), group.submit(fail)
        await good.wait()
        await bad.wait()
        for _ in range(3):
            assert good.outcome is not None
            assert good.outcome.unwrap() == "value"
            assert isinstance(bad.outcome, Error)
            with pytest.raises(Boom):
                bad.outcome.unwrap()
        assert good.outcome is not good.outcome


async def test_what_a_failed_stream_yielded_is_kept() -> None:
    async def work() -> Any:
        yield 1
        yield 2
        raise Boom

    async with JobGroup() as group:
        job = group.submit(work)
        with pytest.raises(Boom):
            await job.result()
    assert job.outputs() == [1, 2]


async def test_outputs_is_list_of_callers_own() -> None:
    async with JobGroup() as group:
        job = group.submit(count, 2)
        await job.wait()
        job.outputs().clear()
        assert job.outputs() == [0, 1]


async def test_outputs_so_far_need_no_wait(autojump_clock: trio.testing.MockClock) -> None:
    async with JobGroup() as group:
        job = group.submit(count, 3, 1)
        assert job.outputs() == []
        await trio.sleep(1.5)
        assert job.outputs() == [0]
        await trio.sleep(1)
        assert job.outputs() == [0, 1]


async def test_waiting_for_cancelled_job_is_a_failure() -> None:
    async def second(first: Job[None]) -> None:
        await first.result()

    async with JobGroup() as group:
        first = group.submit(trio.sleep_forever)
        job = group.submit(second, first)
        first.cancel()
        with pytest.raises(JobCancelled):
            await job.result()
        assert not job.cancelled
        assert job.status().success is False
