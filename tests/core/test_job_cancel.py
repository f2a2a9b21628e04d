"""`Job.cancel`: at once, once, and never a lie about how the job ended."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import trio
import trio.testing
from outcome import Error, Value

from tests.support.jobs import Boom, Scripted, appending, fail, succeed
from triojob import JobCancelled, JobGroup, Status, report
from triojob._core.messages import Interrupt, WholeOutput
from triojob._core.sink import ChannelSink


async def test_job_cancelled_before_it_starts_never_starts() -> None:
    started: list[bool] = []

    async def work() -> None:
        started.append(True)

    async def stream() -> AsyncIterator[int]:
        started.append(True)
        yield 1

    async with JobGroup() as group:
        jobs = [group.submit(work), group.submit(stream)]
        for job in jobs:
            job.cancel()
    assert not started
    assert all(job.cancelled for job in jobs)


async def test_a_call_that_never_ran_is_discarded() -> None:
    script = appending(3)
    async with JobGroup() as group:
        group.submit(script).cancel()
    assert script.discarded == 1


@pytest.mark.parametrize("steps", range(6))
async def test_cancelled_job_never_starts_or_cleans_up(steps):
    events: list[str] = []

    async def work() -> None:
        events.append("start")
        try:
            await trio.sleep_forever()
        finally:
            events.append("end")

    for _ in range(10):
        events.clear()
        async with JobGroup(limit=1) as group:
            job = group.submit(work)
            for _ in range(steps):
                await trio.lowlevel.checkpoint()
            starting = job.status().code is Status.STARTING
            job.cancel()
        assert events in ([], ["start", "end"])
        assert not (starting and events)
        assert job.cancelled


async def test_the_first_reason_is_kept() -> None:
    async with JobGroup() as group:
        job = group.submit(trio.sleep_forever)
        job.cancel("first")
        job.cancel("second")
        with pytest.raises(JobCancelled, match=r"sleep_forever was cancelled: first") as caught:
            await job.result()
    assert caught.value.reason == "first"
    job.cancel("third")
    assert caught.value.reason == "first"


async def test_without_a_reason_there_is_none() -> None:
    async with JobGroup() as group:
        job = group.submit(trio.sleep_forever)
        job.cancel()
        job.cancel("too late")
    error = job.exception()
    assert isinstance(error, JobCancelled)
    assert error.reason is None


@pytest.mark.parametrize("where", ["group", "around"])
async def test_a_cancellation_from_around_brings_its_reason(where: str) -> None:
    with trio.CancelScope() as around:
        async with JobGroup() as group:
            job = group.submit(trio.sleep_forever)
            of_its_own = group.submit(trio.sleep_forever)
            await trio.testing.wait_all_tasks_blocked()
            of_its_own.cancel("no need")
            (group.cancel_scope if where == "group" else around).cancel(reason="closing time")
    error, other = job.exception(), of_its_own.exception()
    assert isinstance(error, JobCancelled)
    assert error.reason == "closing time"
    assert error.__cause__ is None
    assert isinstance(other, JobCancelled)
    assert other.reason == "no need"


async def test_jobs_reason_precedes_its_groups() -> None:
    async with JobGroup() as group:
        job = group.submit(trio.sleep_forever)
        await trio.testing.wait_all_tasks_blocked()
        group.cancel_scope.cancel(reason="closing time")
        job.cancel("no need")
    error = job.exception()
    assert isinstance(error, JobCancelled)
    assert error.reason == "no need"


async def test_the_reason_reaches_the_function() -> None:
    reasons: list[str] = []

    async def work() -> None:
        try:
            await trio.sleep_forever()
        except trio.Cancelled as cancelled:
            reasons.append(str(cancelled))
            raise

    async with JobGroup() as group:
        job = group.submit(work)
        await trio.testing.wait_all_tasks_blocked()
        job.cancel("enough of this")
    assert "enough of this" in reasons[0]


async def test_cancelling_an_ended_job_does_nothing() -> None:
    async with JobGroup() as group:
        good, bad = group.submit(succeed), group.submit(fail)
        await good.wait()
        await bad.wait()
        good.cancel("late")
        bad.cancel("late")
        assert await good.result() == "value"
        assert isinstance(bad.exception(), Boom)
    assert not good.cancelled
    assert not bad.cancelled
    assert good.status().code is Status.FINISHED


async def test_job_ended_before_cancel_keeps_end() -> None:
    """The function has returned, but the job's own task has not heard of it yet."""
    returned = trio.Event()

    async def work() -> str:
        await trio.lowlevel.checkpoint()
        returned.set()
        return "value"

    for _ in range(20):
        returned = trio.Event()
        async with JobGroup() as group:
            job = group.submit(work)
            await returned.wait()
            job.cancel()
        assert await job.result() == "value"
        assert not job.cancelled


async def test_failure_racing_cancel_is_kept() -> None:
    raised = trio.Event()

    async def work() -> None:
        await trio.lowlevel.checkpoint()
        raised.set()
        raise Boom

    for _ in range(20):
        raised = trio.Event()
        with pytest.RaisesGroup(Boom):
            async with JobGroup() as group:
                job = group.submit(work)
                await raised.wait()
                job.cancel()
        assert not job.cancelled


@pytest.mark.parametrize("ended", [False, True])
async def test_message_racing_cancellation_is_kept(ended: bool) -> None:
    sinks: list[ChannelSink] = []

    async def produce(sink: ChannelSink) -> None:
        sinks.append(sink)
        await trio.sleep_forever()

    async with JobGroup() as group:
        job = group.submit(Scripted(produce))
        await trio.testing.wait_all_tasks_blocked()
        job.cancel()
        sinks[0].put(Interrupt())  # there is nothing to be done beside it any more
        sinks[0].output(WholeOutput("just before"))
        if ended:
            sinks[0].finish(Value("the end"))
        await job.wait()
    assert job.outputs() == ["just before"]
    if ended:
        assert job.outcome == Value("the end")
    else:
        assert job.cancelled


async def test_call_cancelled_elsewhere_is_no_failure() -> None:
    async def produce(sink: ChannelSink) -> None:
        sink.finish(Error(JobCancelled("by the server")), cancelled=True)

    async def produce_all(sink: ChannelSink) -> None:
        sink.finish(Value("all"))

    async with JobGroup(fail_fast=True) as group:
        job, other = group.submit(Scripted(produce)), group.submit(Scripted(produce_all))
    assert job.cancelled is True
    assert job.status().code is Status.CANCELLED
    assert other.cancelled is False
    assert other.status().code is Status.FINISHED


async def test_function_that_swallows_cancellation_gives_its_value() -> None:
    async def work() -> str:
        with trio.CancelScope() as inner:
            try:
                await trio.sleep_forever()
            finally:
                inner.shield = True
                report.output("saved")
                return "swallowed"  # noqa: B012  # this is what is tested

    async with JobGroup() as group:
        job = group.submit(work)
        await trio.testing.wait_all_tasks_blocked()
        job.cancel()
    assert await job.result() == "swallowed"
    assert not job.cancelled
    assert job.status().code is Status.FINISHED
    assert job.status().success is True


async def test_swallowed_outer_cancellation_gives_the_value() -> None:
    async def work() -> str:
        try:
            await trio.sleep_forever()
        finally:
            return "swallowed"  # noqa: B012  # this is what is tested

    with trio.CancelScope() as scope:
        async with JobGroup() as group:
            job = group.submit(work)
            await trio.testing.wait_all_tasks_blocked()
            scope.cancel()
    assert await job.result() == "swallowed"


async def test_a_shielded_clean_up_is_waited_for(autojump_clock: trio.testing.MockClock) -> None:
    async def work() -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.move_on_after(2, shield=True):
                await trio.sleep(1)

    async with JobGroup() as group:
        job = group.submit(work)
        await trio.sleep(1)
        job.cancel()
        assert not job.done
    assert job.cancelled
    assert trio.current_time() == pytest.approx(2)


async def test_a_job_may_cancel_itself() -> None:
    async with JobGroup() as group:

        async def work() -> None:
            job.cancel("by itself")
            await trio.lowlevel.checkpoint()

        job = group.submit(work)
    error = job.exception()
    assert isinstance(error, JobCancelled)
    assert error.reason == "by itself"


async def test_cancel_returns_without_a_checkpoint() -> None:
    async with JobGroup() as group:
        job = group.submit(trio.sleep_forever)
        await trio.testing.wait_all_tasks_blocked()
        with trio.testing.assert_no_checkpoints():
            job.cancel()
        assert not job.done
        assert not job.cancelled
        assert "being cancelled" in repr(job)


async def test_all_who_wait_hear_of_the_cancellation() -> None:
    heard: list[str] = []

    async def wait() -> None:
        with pytest.raises(JobCancelled):
            await job.result()
        heard.append("result")

    async def iterate() -> None:
        with pytest.raises(JobCancelled):
            async for _ in job:
                pass
        heard.append("iteration")

    async with JobGroup() as group, trio.open_nursery() as nursery:
        job = group.submit(trio.sleep_forever)
        nursery.start_soon(wait)
        nursery.start_soon(iterate)
        await trio.testing.wait_all_tasks_blocked()
        job.cancel()
    assert sorted(heard) == ["iteration", "result"]


async def test_inner_scopes_cancelled_is_not_the_jobs() -> None:
    async def work() -> str:
        with trio.move_on_after(0):
            await trio.sleep_forever()
        return "value"

    async with JobGroup() as group:
        assert await group.submit(work).result() == "value"
