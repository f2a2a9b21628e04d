"""`gather`: several calls, all results, all failures."""

from __future__ import annotations

import sys
from functools import partial
from typing import Any

import pytest
import trio
import trio.testing
from outcome import Value

from tests.support.jobs import (
    Boom,
    Scripted,
    count,
    fail,
    fail_after,
    leaves,
    sleep,
    succeed,
    tasks_living,
)
from triojob import Job, JobCancelled, JobGroup, first_completed, first_success, gather

if sys.version_info < (3, 11):
    from exceptiongroup import ExceptionGroup


async def test_results_come_in_order_of_calls(autojump_clock):
    calls = [partial(sleep, seconds, seconds) for seconds in (3, 1, 2)]
    assert await gather(*calls) == (3, 1, 2)
    assert trio.current_time() == 3  # at once, not one after the other


async def test_all_kinds_of_calls_can_be_mixed(autojump_clock: trio.testing.MockClock) -> None:
    async def produce(sink: Any) -> None:
        sink.finish(Value("remote"))

    async with JobGroup() as group:
        results = await gather(
            succeed,
            lambda: succeed("lambda"),
            partial(count, 3),
            Scripted(produce),
            group.submit(succeed, "job"),
        )
    assert results == ("value", "lambda", 2, "remote", "job")


async def test_no_calls_at_all_give_no_results() -> None:
    with trio.testing.assert_checkpoints():
        assert await gather() == ()


async def test_ended_jobs_still_make_a_checkpoint() -> None:
    async with JobGroup() as group:
        job = group.submit(succeed)
        await job.wait()
    with trio.testing.assert_checkpoints():
        assert await gather(job) == ("value",)


async def test_at_most_limit_calls_run_at_once(autojump_clock: trio.testing.MockClock) -> None:
    running = peak = 0

    async def work() -> None:
        nonlocal running, peak
        running += 1
        peak = max(peak, running)
        await trio.sleep(1)
        running -= 1

    await gather(*[work] * 10, limit=3)
    assert peak == 3
    assert trio.current_time() == 4


async def test_one_failure_lets_others_end(autojump_clock):
    ended: list[str] = []

    async def slow() -> None:
        await trio.sleep(5)
        ended.append("slow")

    with pytest.RaisesGroup(pytest.RaisesExc(Boom, match="one")) as caught:
        await gather(partial(fail, "one"), slow)
    assert ended == ["slow"]
    assert str(caught.value).startswith("1 of 2 gathered calls failed")
    assert trio.current_time() == 5


async def test_all_failures_come_in_order(autojump_clock):
    with pytest.RaisesGroup(Boom, Boom, Boom) as caught:
        await gather(
            partial(fail_after, 3, "a"), succeed, partial(fail, "b"), partial(fail_after, 1, "c")
        )
    assert [str(error) for error in caught.value.exceptions] == ["a", "b", "c"]


async def test_failure_that_is_itself_group_stays_whole() -> None:
    async def nested() -> None:
        raise ExceptionGroup("inner", [Boom("x"), Boom("y")])

    with pytest.RaisesGroup(pytest.RaisesGroup(Boom, Boom), Boom):
        await gather(nested, fail)


async def test_same_job_twice_fails_once() -> None:
    async with JobGroup() as group:
        good, bad = group.submit(succeed), group.submit(fail)
        assert await gather(good, good) == ("value", "value")
        with pytest.RaisesGroup(Boom):
            await gather(bad, good, bad)


async def test_the_same_function_twice_is_called_twice() -> None:
    calls: list[int] = []

    async def call() -> int:
        calls.append(0)
        return len(calls)

    assert sorted(await gather(call, call)) == [1, 2]


async def test_given_jobs_failure_counts_as_retrieved() -> None:
    async with JobGroup() as group:
        bad = group.submit(fail)
        with pytest.RaisesGroup(Boom):
            await gather(bad)


async def test_cancelled_job_counts_as_failure() -> None:
    async with JobGroup() as group:
        job = group.submit(trio.sleep_forever)
        job.cancel("not needed")
        with pytest.RaisesGroup(pytest.RaisesExc(JobCancelled, match="not needed")):
            await gather(job, succeed)


async def test_fail_fast_cancels_the_other_functions(autojump_clock):
    cancelled: list[str] = []

    async def slow() -> None:
        try:
            await trio.sleep_forever()
        except trio.Cancelled:
            cancelled.append("slow")
            raise

    with pytest.RaisesGroup(Boom):
        await gather(slow, partial(fail_after, 1), fail_fast=True)
    assert cancelled == ["slow"]
    assert trio.current_time() == 1


async def test_fail_fast_keeps_failures_of_cancelled(autojump_clock):
    async def bad_cleanup() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise Boom("clean-up")

    with pytest.RaisesGroup(Boom, Boom) as caught:
        await gather(bad_cleanup, partial(fail_after, 1, "first"), fail_fast=True)
    assert [str(error) for error in caught.value.exceptions] == ["clean-up", "first"]


async def test_fail_fast_leaves_given_jobs_alone(autojump_clock: trio.testing.MockClock) -> None:
    async with JobGroup() as group:
        given = group.submit(sleep, 10)
        with pytest.RaisesGroup(Boom):
            await gather(given, fail, fail_fast=True)
        assert not given.done
    assert await given.result() == "value"


async def test_failing_given_job_cancels_functions_fast(autojump_clock):
    async with JobGroup() as group:
        given = group.submit(fail_after, 1)
        with pytest.RaisesGroup(Boom):
            await gather(trio.sleep_forever, given, fail_fast=True)
    assert trio.current_time() == 1


async def test_cancelled_given_job_cancels_functions_too(autojump_clock):
    async with JobGroup() as group:
        given = group.submit(trio.sleep_forever)
        given.cancel()
        with pytest.RaisesGroup(JobCancelled):
            await gather(partial(sleep, 10), given, fail_fast=True)
    assert trio.current_time() == 0


async def test_fail_fast_without_a_failure_changes_nothing() -> None:
    assert await gather(succeed, partial(succeed, 2), fail_fast=True) == ("value", 2)


async def test_return_jobs_raises_nothing(autojump_clock):
    good, bad = await gather(partial(sleep, 1), fail, return_jobs=True)
    assert isinstance(good, Job)
    assert await good.result() == "value"
    assert isinstance(bad.exception(), Boom)


async def test_returned_given_job_stays_unretrieved() -> None:
    with pytest.RaisesGroup(Boom):
        async with JobGroup() as group:
            bad = group.submit(fail)
            assert await gather(bad, return_jobs=True) == (bad,)


async def test_cancellation_spares_given_jobs(autojump_clock):
    cancelled: list[str] = []

    async def slow() -> None:
        try:
            await trio.sleep_forever()
        except trio.Cancelled:
            cancelled.append("slow")
            raise

    async with JobGroup() as group:
        given = group.submit(sleep, 10)
        before = tasks_living()
        with trio.move_on_after(2) as scope:
            await gather(slow, given, slow)
        assert scope.cancelled_caught
        assert cancelled == ["slow", "slow"]
        assert tasks_living() == before
        assert not given.done
    assert await given.result() == "value"


async def test_failure_survives_cancellation(autojump_clock):
    with pytest.RaisesGroup(Boom), trio.move_on_after(2):
        await gather(trio.sleep_forever, fail)


@pytest.mark.parametrize("helper", [gather, first_success, first_completed])
async def test_what_is_no_exception_goes_straight_through(helper: Any) -> None:
    async def interrupted() -> None:
        await trio.lowlevel.checkpoint()
        raise KeyboardInterrupt

    with pytest.raises(BaseException) as caught:  # noqa: PT011 - a group, or bare
        await helper(trio.sleep_forever, interrupted)
    assert [type(error) for error in leaves(caught.value)] == [KeyboardInterrupt]


@pytest.mark.parametrize("helper", [gather, first_success, first_completed])
async def test_helpers_can_be_nested(helper: Any, autojump_clock: trio.testing.MockClock) -> None:
    async def inner() -> Any:
        return await gather(partial(sleep, 1, "a"), partial(sleep, 2, "b"))

    result = await helper(inner)
    if helper is first_completed:
        result = await result.result()
    assert result in (("a", "b"), (("a", "b"),))
