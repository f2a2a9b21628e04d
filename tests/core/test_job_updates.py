"""`Job.updates`: every message in the order in which it was sent."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing
from outcome import Value

from tests.support.jobs import (
    Boom,
    Scripted,
    collect,
    count,
    count_and_fail,
    succeed,
    tasks_living,
    watchers,
)
from triojob import (
    Job,
    JobGroup,
    LogMessage,
    OutputUpdate,
    ProgressUnit,
    Status,
    StatusUpdate,
    UpdateIterator,
    report,
)
from triojob._core.messages import WholeOutput
from triojob._core.sink import ChannelSink


def short(update: object) -> Any:
    match update:
        case StatusUpdate(code=code):
            return code.name
        case OutputUpdate(output=output, index=index):
            return index, output
        case LogMessage(text=text):
            return text
        case _:
            raise AssertionError(update)


async def short_updates(job: Job[Any]) -> list[Any]:
    return [short(update) async for update in job.updates()]


async def test_a_plain_functions_updates() -> None:
    async with JobGroup() as group:
        job = group.submit(succeed)
        assert await short_updates(job) == ["STARTING", "PROCESSING", (0, "value"), "FINISHED"]


async def test_a_streams_updates() -> None:
    async with JobGroup() as group:
        job = group.submit(count, 2)
        expected = ["STARTING", "PROCESSING", "ITERATING", (0, 0), (1, 1), "FINISHED"]
        assert await short_updates(job) == expected


async def mixed() -> str:
    report.log("first")
    report.progress(0.5)
    await trio.sleep(1)
    report.output("a")
    report.output("b")
    report.log("second")
    report.log("third")
    await trio.sleep(1)
    report.progress(1)
    report.output("c")
    return "end"


MIXED = [
    "STARTING",
    "PROCESSING",
    "first",
    "PROGRESS",
    "ITERATING",
    (0, "a"),
    (1, "b"),
    "second",
    "third",
    "PROGRESS",
    "ITERATING",
    (2, "c"),
    "FINISHED",
]


@pytest.mark.parametrize("start", [0, 0.5, 1.5, 10])
@pytest.mark.parametrize("pace", [0, 0.7, 5])
async def test_updates_come_in_order_of_sending(autojump_clock, start, pace):
    seen: list[Any] = []
    async with JobGroup() as group:
        job = group.submit(mixed)
        await trio.sleep(start)
        async for update in job.updates():
            seen.append(short(update))
            await trio.sleep(pace)
    assert seen == MIXED


async def test_a_failed_jobs_updates_end_without_raising() -> None:
    async with JobGroup() as group:
        job = group.submit(count_and_fail, 1)
        expected = ["STARTING", "PROCESSING", "ITERATING", (0, 0), "FINISHED"]
        assert await short_updates(job) == expected
        assert isinstance(job.exception(), Boom)


async def test_a_cancelled_jobs_updates_end_without_raising() -> None:
    async with JobGroup() as group:
        job = group.submit(trio.sleep_forever)
        await trio.testing.wait_all_tasks_blocked()
        job.cancel()
        assert await short_updates(job) == ["STARTING", "PROCESSING", "CANCELLED"]


async def test_a_job_that_never_started_says_so() -> None:
    async with JobGroup() as group:
        job = group.submit(succeed)
        job.cancel()
        assert await short_updates(job) == ["STARTING", "CANCELLED"]


async def test_updates_carry_their_times(autojump_clock):
    async with JobGroup() as group:
        updates = await collect(group.submit(mixed).updates())
    times = [update.time for update in updates]
    assert all(time.tzinfo is not None for time in times)
    assert times[0] == min(times)
    assert times[-1] == max(times)


async def test_leaving_early_leaves_nothing_behind(autojump_clock: trio.testing.MockClock) -> None:
    async with JobGroup() as group:
        job = group.submit(mixed)
        await trio.testing.wait_all_tasks_blocked()
        before = tasks_living()
        async for update in job.updates():
            if isinstance(update, OutputUpdate):
                break
        assert tasks_living() == before
        assert watchers(job) == 0


async def test_update_iterator_at_its_end_stays_there() -> None:
    async with JobGroup() as group:
        updates = group.submit(succeed).updates()
        assert isinstance(updates, UpdateIterator)
        assert updates.__aiter__() is updates
        await collect(updates)
        for _ in range(3):
            with pytest.raises(StopAsyncIteration):
                await updates.__anext__()


async def test_progress_update_is_snapshot_of_that_moment() -> None:
    async def work() -> None:
        report.progress(0.25)
        report.log("note")
        report.progress(0.75)

    async with JobGroup() as group:
        updates = await collect(group.submit(work).updates())
    first, second = (
        u for u in updates if isinstance(u, StatusUpdate) and u.code is Status.PROGRESS
    )
    assert first.progress_data == [ProgressUnit(progress=0.25)]
    assert first.log is None
    assert second.progress_data == [ProgressUnit(progress=0.75)]
    assert second.log == LogMessage("note")


async def test_outputs_sent_together_are_seen_together() -> None:
    """However much comes in one piece of a stream, whoever waits is woken once."""

    async def produce(sink: ChannelSink) -> None:
        await trio.testing.wait_all_tasks_blocked()
        for number in range(5):
            sink.output(WholeOutput(number))
        await trio.testing.wait_all_tasks_blocked()
        sink.finish(Value("end"))

    async with JobGroup() as group:
        job = group.submit(Scripted(produce))
        async for first in job:
            assert first == 0
            assert job.outputs() == [0, 1, 2, 3, 4]
            break
        await job.wait()


async def test_watchers_are_called_after_recording() -> None:
    rings: list[tuple[list[Any], bool]] = []

    async def produce(sink: ChannelSink) -> None:
        for batch in ("ab", "c"):
            for value in batch:
                sink.output(WholeOutput(value))
            await trio.testing.wait_all_tasks_blocked()
        sink.finish(Value("end"))

    async with JobGroup() as group:
        job = group.submit(Scripted(produce))
        job._record.observe().watchers.append(lambda: rings.append((job.outputs(), job.done)))
    news = dict.fromkeys((tuple(outputs), done) for outputs, done in rings if outputs)
    assert list(news) == [(("a", "b"), False), (("a", "b", "c"), False), (("a", "b", "c"), True)]
