"""Instruments and statistics: what a group tells of its jobs to those who look on."""

from __future__ import annotations

import dataclasses
import logging
from contextvars import ContextVar
from datetime import timedelta
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tests.support.jobs import Scripted
from triojob import (
    GroupStatistics,
    Instrument,
    Job,
    JobGroup,
    LogMessage,
    ProgressUnit,
    Status,
    StatusUpdate,
    report,
)
from triojob._core.messages import WholeOutput, now
from triojob._core.sink import ChannelSink


class Diary(Instrument):
    """Writes down all that it hears."""

    def __init__(self) -> None:
        self.lines: list[Any] = []

    def job_submitted(self, job: Job[Any]) -> None:
        self.lines.append(("submitted", job.name.rpartition(".")[2]))

    def job_update(self, job: Job[Any], notice: Any) -> None:
        if isinstance(notice, StatusUpdate):
            self.lines.append(notice.code.name)
        else:
            assert isinstance(notice, LogMessage)
            self.lines.append(("log", notice.text))

    def job_output(self, job: Job[Any], index: int) -> None:
        self.lines.append(("output", index, job.outputs()[index]))

    def job_ended(self, job: Job[Any]) -> None:
        assert job.done
        self.lines.append(("ended", job.cancelled))


async def talks() -> str:
    report.progress([ProgressUnit(1, 2)])
    report.log("hello")
    report.output("a")
    return "b"


async def fails() -> None:
    raise ValueError("no")


async def test_life_of_job_is_told_in_order():
    diary = Diary()
    async with JobGroup(instruments=[diary]) as group:
        await group.submit(talks).wait()
    assert diary.lines == [
        ("submitted", "talks"),
        "PROCESSING",
        "PROGRESS",
        ("log", "hello"),
        "ITERATING",
        ("output", 0, "a"),
        "FINISHED",
        ("ended", False),
    ]


async def test_an_end_by_cancellation_is_told_too():
    diary = Diary()
    async with JobGroup(instruments=[diary]) as group:
        job = group.submit(trio.sleep_forever)
        await wait_all_tasks_blocked()
        job.cancel()
    assert diary.lines[-2:] == ["CANCELLED", ("ended", True)]


async def test_hearing_of_failure_is_not_seeing_it():
    diary = Diary()
    with pytest.raises(BaseException) as caught:  # noqa: PT011 - a group
        async with JobGroup(instruments=[diary]) as group:
            group.submit(fails)
    assert diary.lines[-1] == ("ended", False)
    assert "unhandled errors" in str(caught.value)


async def test_instrument_does_not_retrieve_failures():
    class Looks(Instrument):
        found: BaseException | None = None

        def job_ended(self, job: Job[Any]) -> None:
            self.found = self.failure_of(job)

    looks = Looks()
    with pytest.raises(BaseException) as caught:  # noqa: PT011 - a group
        async with JobGroup(instruments=[looks]) as group:
            job = group.submit(fails)
            assert looks.failure_of(job) is None
            await job.wait()
    assert isinstance(looks.found, ValueError)
    assert caught.value.exceptions == (looks.found,)


async def test_settings_at_start_belong_to_job(autojump_clock: MockClock):
    number: ContextVar[int] = ContextVar("number", default=0)

    class Numbers(Instrument):
        def job_started(self, job: Job[Any]) -> None:
            number.set(job.id)

    async def tells() -> set[int]:
        found = {number.get()}
        await trio.sleep(1)
        return found | {await trio.to_thread.run_sync(number.get)}

    async with JobGroup(instruments=[Numbers()]) as group:
        jobs = [group.submit(tells) for _ in range(5)]
    assert [await job.result() for job in jobs] == [{job.id} for job in jobs]
    assert number.get() == 0


async def test_start_is_reported_at_the_turn(autojump_clock):
    class Starts(Instrument):
        def __init__(self) -> None:
            self.starts: list[tuple[int, float]] = []

        def job_started(self, job: Job[Any]) -> None:
            self.starts.append((job.id, trio.current_time()))

    starts, begin = Starts(), trio.current_time()
    async with JobGroup(limit=1, instruments=[starts]) as group:
        jobs = [group.submit(trio.sleep, 1) for _ in range(3)]
        jobs[1].cancel()
    assert starts.starts == [(jobs[0].id, begin), (jobs[2].id, begin + 1)]


async def test_broken_instrument_is_dropped_once(caplog):
    class Reentrant(Instrument):
        calls = 0

        def job_submitted(self, job: Job[Any]) -> None:
            self.calls += 1
            if self.calls == 1:
                group.submit(talks)
            raise RuntimeError("broken")

    reentrant = Reentrant()
    async with JobGroup(instruments=[reentrant]) as group:
        await group.submit(talks).result()
        await group.submit(talks).result()
    assert reentrant.calls == 2
    assert len(caplog.records) == 2


async def test_raising_instrument_is_logged_and_harmless(caplog):
    class Broken(Instrument):
        calls = 0

        def job_update(self, job: Job[Any], notice: Any) -> None:
            self.calls += 1
            raise RuntimeError("broken")

    broken, diary = Broken(), Diary()
    async with JobGroup(instruments=[broken, diary]) as group:
        assert await group.submit(talks).result() == "b"
    assert broken.calls == 1
    assert diary.lines[-1] == ("ended", False)
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert "it is disabled now" in caplog.text
    assert isinstance(vars(caplog.records[0])["job"], int)


async def test_statistics_add_up(autojump_clock: MockClock):
    async with JobGroup(limit=2) as group:

        def counts() -> GroupStatistics:
            return dataclasses.replace(
                group.statistics(), waiting_for_limit=0, oldest_seconds=None, idle_seconds=None
            )

        assert group.statistics() == GroupStatistics(0, 0, 0, 0, 0, 0, 0)
        jobs = [group.submit(trio.sleep, seconds) for seconds in (1, 2, 3, 4)]
        failed = group.submit(fails)
        assert counts() == GroupStatistics(5, 5, 0, 0, 0, 0, 0)
        await wait_all_tasks_blocked()
        assert counts() == GroupStatistics(5, 3, 2, 0, 0, 0, 0)
        jobs[1].cancel()
        await jobs[0].wait()
        await wait_all_tasks_blocked()
        assert counts() == GroupStatistics(5, 1, 2, 1, 0, 1, 0)
        await failed.wait()
        assert counts() == GroupStatistics(5, 0, 1, 2, 1, 1, 1)
        assert isinstance(failed.exception(), ValueError)
        assert counts() == GroupStatistics(5, 0, 1, 2, 1, 1, 0)


async def test_statistics_say_what_waits_and_where(autojump_clock, monkeypatch):
    async def queues(rank: int | None) -> None:
        report.status(Status.IN_QUEUE, rank=rank)
        await trio.sleep_forever()

    async def goes_on() -> None:
        report.output("x")
        report.log("y")
        await trio.sleep_forever()

    async with JobGroup(limit=5) as group:
        assert (group.statistics().oldest_seconds, group.statistics().idle_seconds) == (None, None)
        ended = group.submit(talks)
        await ended.wait()
        jobs = [group.submit(queues, rank) for rank in (3, 0, 3, None)]
        jobs += [group.submit(goes_on), group.submit(talks), group.submit(talks)]
        await wait_all_tasks_blocked()
        counts = group.statistics()
        assert (counts.waiting, counts.waiting_for_limit, counts.running, counts.queued) == (
            2,
            2,
            5,
            4,
        )
        assert list(counts.ranks.items()) == [(0, 1), (3, 2)]
        log = jobs[4].status().log
        assert log is not None
        assert jobs[4]._record.last_activity == log.time, "the last that came of it was no status"
        later = max(job._record.last_activity for job in jobs) + timedelta(seconds=90)
        monkeypatch.setattr("triojob._core.group.now", lambda: later)
        counts = group.statistics()
        assert counts.idle_seconds == 90
        assert counts.oldest_seconds == (later - jobs[0]._record.since).total_seconds()
        group.cancel_scope.cancel()
    counts = group.statistics()
    assert (counts.waiting_for_limit, counts.queued, counts.ranks, counts.oldest_seconds) == (
        0,
        0,
        {},
        None,
    )


async def test_statistics_count_each_ended_job_once():
    async with JobGroup() as group:
        jobs = [group.submit(fn) for fn in (talks, fails, trio.sleep_forever) for _ in range(3)]
        for job in jobs[6:]:
            job.cancel()
        for job in jobs:
            await job.wait()
        counts = group.statistics()
        assert (counts.succeeded, counts.failed, counts.cancelled, counts.unretrieved) == (
            3,
            3,
            3,
            3,
        )
        assert (counts.submitted, counts.running) == (9, 0)
        for job in jobs[3:6]:
            job.exception()


async def test_last_activity_is_the_last_output():
    first = now() + timedelta(hours=1)
    last = first + timedelta(hours=1)

    async def produce(sink: ChannelSink) -> None:
        sink.output(WholeOutput("a", first))
        sink.output(WholeOutput("b", last))
        await trio.sleep_forever()

    async with JobGroup() as group:
        job = group.submit(Scripted(produce))
        await wait_all_tasks_blocked()
        assert job._record.last_activity == last
        job.cancel()
