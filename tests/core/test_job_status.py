"""`Job.status`: what persists, what does not, and the final word."""

from __future__ import annotations

from datetime import timedelta

import pytest
import trio
import trio.testing
from outcome import Value

from tests.support.jobs import Scripted, count, fail, succeed
from triojob import JobGroup, LogMessage, ProgressUnit, Status, StatusUpdate, report
from triojob._core.sink import ChannelSink


async def test_job_starts_as_starting_without_verdict() -> None:
    async with JobGroup() as group:
        job = group.submit(succeed)
        assert job.status() == StatusUpdate(Status.STARTING)
        assert job.status().success is None


async def test_a_running_job_is_processing() -> None:
    async with JobGroup() as group:
        job = group.submit(trio.sleep_forever)
        await trio.testing.wait_all_tasks_blocked()
        assert job.status() == StatusUpdate(Status.PROCESSING)
        job.cancel()


async def test_stream_is_iterating_from_its_first_output(autojump_clock):
    async with JobGroup() as group:
        job = group.submit(count, 3, 1)
        await trio.sleep(0.5)
        assert job.status().code is Status.PROCESSING
        await trio.sleep(1)
        assert job.status().code is Status.ITERATING


async def test_final_status_tells_how_job_ended() -> None:
    async with JobGroup() as group:
        good, bad, gone = (group.submit(fn) for fn in (succeed, fail, trio.sleep_forever))
        gone.cancel()
        for job in (good, bad, gone):
            await job.wait()
            job.exception()
    assert [(job.status().code, job.status().success) for job in (good, bad, gone)] == [
        (Status.FINISHED, True),
        (Status.FINISHED, False),
        (Status.CANCELLED, False),
    ]
    assert [job.cancelled for job in (good, bad, gone)] == [False, False, True]


async def test_progress_and_log_persist_rank_does_not() -> None:
    statuses: list[StatusUpdate] = []

    async def produce(sink: ChannelSink) -> None:
        async def step() -> None:
            await trio.testing.wait_all_tasks_blocked()
            statuses.append(job.status())

        sink.status(StatusUpdate(Status.IN_QUEUE, rank=2, queue_size=5, eta=1.5))
        await step()
        sink.status(
            StatusUpdate(Status.PROGRESS, progress_data=[ProgressUnit(1, 2)]),
        )
        await step()
        sink.put(LogMessage("hello"))
        await step()
        sink.status(StatusUpdate(Status.PROCESSING, eta=9))
        await step()
        sink.finish(Value(None))

    async with JobGroup() as group:
        job = group.submit(Scripted(produce))
    statuses.append(job.status())

    units = [ProgressUnit(1, 2)]
    log = LogMessage("hello")
    assert statuses == [
        StatusUpdate(Status.IN_QUEUE, rank=2, queue_size=5, eta=1.5),
        StatusUpdate(Status.PROGRESS, progress_data=units),
        StatusUpdate(Status.PROGRESS, progress_data=units, log=log),
        StatusUpdate(Status.PROCESSING, progress_data=units, log=log, eta=9),
        StatusUpdate(Status.FINISHED, success=True, progress_data=units, log=log),
    ]


async def test_cancelled_jobs_status_has_no_rank() -> None:
    async def work() -> None:
        report.status(Status.IN_QUEUE, rank=3, queue_size=4, eta=5)
        await trio.sleep_forever()

    async with JobGroup() as group:
        job = group.submit(work)
        await trio.testing.wait_all_tasks_blocked()
        assert job.status().rank == 3
        job.cancel()
    assert job.status() == StatusUpdate(Status.CANCELLED, success=False)


async def test_final_status_has_time_of_its_own() -> None:
    async with JobGroup() as group:
        job = group.submit(succeed)
        first = job.status()
    assert job.status().time >= first.time
    assert job.status().time.utcoffset() == timedelta(0)


async def test_a_snapshot_does_not_change() -> None:
    async with JobGroup() as group:
        job = group.submit(succeed)
        snapshot = job.status()
        await job.wait()
        assert snapshot.code is Status.STARTING
        with pytest.raises(AttributeError):
            snapshot.code = Status.FINISHED  # type: ignore[misc]


async def test_whoever_sees_final_status_can_have_result() -> None:
    seen: list[bool] = []
    async with JobGroup() as group:
        job = group.submit(succeed)
        job.on_status(lambda s: seen.append(job.done) if s.code is Status.FINISHED else None)
    assert seen == [True]


async def test_outputs_after_progress_are_iterating_again() -> None:
    codes: list[Status] = []

    async def work() -> None:
        report.output(1)
        report.progress(0.5)
        report.output(2)
        report.output(3)

    async with JobGroup() as group:
        group.submit(work).on_status(lambda status: codes.append(status.code))
    assert codes == [
        Status.PROCESSING,
        Status.ITERATING,
        Status.PROGRESS,
        Status.ITERATING,
        Status.FINISHED,
    ]
