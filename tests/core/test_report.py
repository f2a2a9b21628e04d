"""`triojob.report`: what a function tells of the job that it runs in."""

from __future__ import annotations

import math
import threading
from typing import Any

import pytest
import trio
import trio.testing
from outcome import Value

from tests.support.hanging import SECONDS
from tests.support.jobs import collect, count, succeed
from triojob import (
    Job,
    JobGroup,
    LogMessage,
    OutputUpdate,
    ProgressUnit,
    Status,
    StatusUpdate,
    report,
)
from triojob._core.messages import Finished, WholeOutput
from triojob._core.sink import ChannelSink


async def progress_of(*args: Any, **kwargs: Any) -> list[ProgressUnit] | None:
    async def work() -> None:
        report.progress(*args, **kwargs)

    async with JobGroup() as group:
        updates = await collect(group.submit(work).updates())
    (update,) = (u for u in updates if isinstance(u, StatusUpdate) and u.code is Status.PROGRESS)
    data: list[ProgressUnit] | None = update.progress_data
    return data


FORMS = [
    ((0.5,), {}, [ProgressUnit(progress=0.5)]),
    ((0,), {}, [ProgressUnit(progress=0.0)]),
    ((1,), {}, [ProgressUnit(progress=1.0)]),
    ((0.25, "loading"), {}, [ProgressUnit(progress=0.25, desc="loading")]),
    ((0.25,), {"unit": "MB"}, [ProgressUnit(progress=0.25, unit="MB")]),
    (((3, 10),), {}, [ProgressUnit(3, 10)]),
    (((3, None),), {}, [ProgressUnit(3, None)]),
    (((3, 10), "epoch"), {"unit": "epochs"}, [ProgressUnit(3, 10, "epochs", None, "epoch")]),
    (([3, 10],), {}, [ProgressUnit(3, 10)]),
    ((3,), {"total": 10}, [ProgressUnit(3, 10)]),
    ((3, "epoch"), {"total": 10}, [ProgressUnit(3, 10, desc="epoch")]),
    ((300,), {"total": 1000, "unit": "bytes"}, [ProgressUnit(300, 1000, "bytes")]),
    ((ProgressUnit(1, 2),), {}, [ProgressUnit(1, 2)]),
    ((ProgressUnit(1, 2), "now"), {}, [ProgressUnit(1, 2, desc="now")]),
    ((ProgressUnit(1, 2, desc="now"),), {}, [ProgressUnit(1, 2, desc="now")]),
    (([ProgressUnit(1, 2)],), {}, [ProgressUnit(1, 2)]),
    (((ProgressUnit(1, 2), ProgressUnit(3, 4)),), {}, [ProgressUnit(1, 2), ProgressUnit(3, 4)]),
    (
        ([ProgressUnit(1, 2), ProgressUnit(3, 4), ProgressUnit(5, 6)],),
        {},
        [ProgressUnit(1, 2), ProgressUnit(3, 4), ProgressUnit(5, 6)],
    ),
]


@pytest.mark.parametrize("args, kwargs, expected", FORMS)
async def test_progress_comes_in_many_forms(args, kwargs, expected):
    assert await progress_of(*args, **kwargs) == expected


@pytest.mark.parametrize("share", [-0.1, 1.1, 2, -1, math.nan, math.inf, -math.inf])
async def test_a_share_that_is_none_is_refused(share: float) -> None:
    async def work() -> None:
        with pytest.raises(ValueError, match="between 0 and 1"):
            report.progress(share)

    async with JobGroup() as group:
        await group.submit(work).result()


async def test_share_is_checked_outside_job_too() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        report.progress(2)


async def test_outputs_are_reported_as_outputs() -> None:
    async def work() -> str:
        report.output("a")
        await trio.lowlevel.checkpoint()
        report.output("b")
        return "result"

    async with JobGroup() as group:
        job = group.submit(work)
        assert await collect(job) == ["a", "b"]
        assert await job.result() == "result"
    assert job.outputs() == ["a", "b"]


async def test_a_generator_may_report_too() -> None:
    async def work() -> Any:
        report.progress(0.5)
        yield 1
        report.output(2)
        yield 3

    async with JobGroup() as group:
        job = group.submit(work)
        assert await collect(job) == [1, 2, 3]
        assert await job.result() == 3


async def test_log_line_is_in_updates_and_status() -> None:
    async def work() -> None:
        report.log("hello")
        report.log("careful", "warning")

    async with JobGroup() as group:
        job = group.submit(work)
        logs = [u async for u in job.updates() if isinstance(u, LogMessage)]
    assert logs == [LogMessage("hello"), LogMessage("careful", "warning")]
    assert job.status().log == logs[-1]


async def test_a_status_is_the_jobs_status() -> None:
    async def work() -> None:
        report.status(Status.IN_QUEUE, rank=3, queue_size=7, eta=2.5)
        await trio.sleep_forever()

    async with JobGroup() as group:
        job = group.submit(work)
        await trio.testing.wait_all_tasks_blocked()
        assert job.status() == StatusUpdate(Status.IN_QUEUE, rank=3, queue_size=7, eta=2.5)
        assert "rank=3" in repr(job)
        job.cancel()


@pytest.mark.parametrize("code", [Status.FINISHED, Status.CANCELLED, Status.LOG])
async def test_how_a_job_ends_cannot_be_reported(code: Status) -> None:
    async def work() -> None:
        with pytest.raises(ValueError, match=f"can't report {code.name}"):
            report.status(code)

    async with JobGroup() as group:
        await group.submit(work).result()


async def test_reporting_is_no_checkpoint() -> None:
    async def work() -> None:
        with trio.testing.assert_no_checkpoints():
            report.progress(0.5)
            report.status(Status.PROCESSING)
            report.output(1)
            report.log("text")

    async with JobGroup() as group:
        await group.submit(work).result()


async def test_child_tasks_report_for_the_job() -> None:
    async def child(n: int) -> None:
        report.output(n)

    async def work() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(child, 1)
            nursery.start_soon(child, 2)

    async with JobGroup() as group:
        assert sorted(await collect(group.submit(work))) == [1, 2]


async def test_each_job_reports_for_itself() -> None:
    async def work(n: int) -> None:
        report.output(n)
        await trio.lowlevel.checkpoint()
        report.output(n)

    async with JobGroup() as group:
        jobs = [group.submit(work, n) for n in range(5)]
    assert [job.outputs() for job in jobs] == [[n, n] for n in range(5)]


async def test_job_inside_job_reports_for_itself() -> None:
    inner: list[Job[None]] = []

    async def child() -> None:
        report.output("inner")

    async def work() -> None:
        report.output("before")
        async with JobGroup() as group:
            inner.append(group.submit(child))
        report.output("after")

    async with JobGroup() as group:
        outer = group.submit(work)
    assert outer.outputs() == ["before", "after"]
    assert inner[0].outputs() == ["inner"]


def all_reports() -> None:
    for call in (
        lambda: report.progress(0.5),
        lambda: report.status(Status.PROCESSING),
        lambda: report.output(1),
        lambda: report.log("text"),
    ):
        with pytest.raises(RuntimeError) as caught:
            call()
        assert "triojob.report works only in a function that runs as a job" in str(caught.value)


async def test_outside_a_job_it_says_so() -> None:
    all_reports()


def test_outside_trio_it_says_so() -> None:
    all_reports()


async def test_in_threads_outside_job_it_says_so() -> None:
    await trio.to_thread.run_sync(all_reports)


async def test_after_the_jobs_end_it_says_so() -> None:
    async def late() -> str:
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(RuntimeError, match="the job of this report has ended"):
            report.output("late")
        with pytest.raises(RuntimeError, match="has ended"):
            report.progress(0.5)
        with pytest.raises(RuntimeError, match="has ended"):
            report.log("late")
        with pytest.raises(RuntimeError, match="has ended"):
            report.status(Status.PROCESSING)
        return "checked"

    async with trio.open_nursery() as nursery:

        async def work() -> None:
            nursery.start_soon(late)

        async with JobGroup() as group:
            job = group.submit(work)
    assert job.outputs() == [None]


async def test_reporting_after_the_end_is_refused() -> None:
    ended = trio.Event()

    async def late() -> None:
        await ended.wait()
        with pytest.raises(RuntimeError, match="the job of this report has ended"):
            report.output("late")

    async with trio.open_nursery() as nursery:

        async def work() -> None:
            report.output("in time")
            nursery.start_soon(late)

        async with JobGroup() as group:
            job = group.submit(work)
        ended.set()
    assert job.outputs() == ["in time"]


async def test_thread_of_job_reports_in_order() -> None:
    def work() -> str:
        report.progress((1, 2), desc="half")
        report.output("a")
        report.log("between")
        report.output("b")
        return threading.current_thread().name

    async with JobGroup() as group:
        job = group.submit(trio.to_thread.run_sync, work)
        seen = [
            u.output if isinstance(u, OutputUpdate) else u.text
            async for u in job.updates()
            if not isinstance(u, StatusUpdate)
        ]
    assert seen == ["a", "between", "b"]
    assert job.status().progress_data == [ProgressUnit(1, 2, desc="half")]
    assert await job.result() != threading.current_thread().name


async def test_threads_errors_are_raised_in_thread() -> None:
    def work() -> str:
        with pytest.raises(ValueError, match="between 0 and 1"):
            report.progress(7)
        return "checked"

    async with JobGroup() as group:
        assert await group.submit(trio.to_thread.run_sync, work).result() == "checked"


async def test_abandoned_thread_learns_of_the_end() -> None:
    go_on, told = threading.Event(), threading.Event()
    messages: list[str] = []

    def blocking() -> None:
        go_on.wait(SECONDS)
        try:
            report.output("late")
        except RuntimeError as error:
            messages.append(str(error))
        finally:
            told.set()

    async def work() -> None:
        await trio.to_thread.run_sync(blocking, abandon_on_cancel=True)

    async with JobGroup() as group:
        job = group.submit(work)
        await trio.testing.wait_all_tasks_blocked()
        job.cancel()
    go_on.set()
    assert await trio.to_thread.run_sync(told.wait, 10)
    assert messages == ["the job of this report has ended"]


async def test_reporting_listener_does_not_report_itself() -> None:
    """A listener runs in the job's own task, which is not the function."""

    def listener(_: object) -> None:
        with pytest.raises(RuntimeError, match="works only in a function that runs as a job"):
            report.output("from a listener")

    async with JobGroup() as group:
        job = group.submit(succeed)
        job.on_result(listener)
    assert job.outputs() == ["value"]


async def test_child_task_may_outlive_its_reporter() -> None:
    """What comes after the return value is dropped or kept, but never reorders the outputs."""

    async def work() -> Any:
        async for number in count(3):
            yield number

    async with JobGroup() as group:
        job = group.submit(work)
    assert job.outputs() == [0, 1, 2]


async def test_only_end_reaches_call_without_readers() -> None:
    sink = ChannelSink(only_end=True)
    assert sink.status(StatusUpdate(Status.PROCESSING))
    assert sink.output(WholeOutput(1))
    assert sink.put(LogMessage("hello"))
    assert (sink.unread, sink.yielded) == (0, True)
    sink.finish(Value(2), output=WholeOutput(2))
    (end,) = sink.close()
    assert end == Finished(Value(2))
    assert not sink.put(LogMessage("late"))
