"""Instruments and statistics: what a group tells of its jobs to those who look on."""

from __future__ import annotations

import dataclasses
import logging
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from triojob import (
    GroupStatistics,
    Instrument,
    Job,
    JobGroup,
    LogMessage,
    ProgressUnit,
    StatusUpdate,
    report,
)


class Diary(Instrument):
    """Writes down all that it hears."""

    def __init__(self) -> None:
        self.lines: list[Any] = []

    def job_submitted(self, job: Job[Any]) -> None:
        self.lines.append(("submitted", job.name.rpartition(".")[2]))

    def job_notice(self, job: Job[Any], notice: Any) -> None:
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


async def test_the_life_of_a_job_is_told_in_order():
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


async def test_hearing_of_a_failure_is_not_seeing_it():
    diary = Diary()
    with pytest.raises(BaseException) as caught:  # noqa: PT011 - a group
        async with JobGroup(instruments=[diary]) as group:
            group.submit(fails)
    assert diary.lines[-1] == ("ended", False)
    assert "unhandled errors" in str(caught.value)


async def test_an_instrument_that_raises_is_logged_and_harms_nobody(
    caplog: pytest.LogCaptureFixture,
):
    class Broken(Instrument):
        calls = 0

        def job_notice(self, job: Job[Any], notice: Any) -> None:
            self.calls += 1
            raise RuntimeError("broken")

    broken, diary = Broken(), Diary()
    async with JobGroup(instruments=[broken, diary]) as group:
        assert await group.submit(talks).result() == "b"
    assert broken.calls == 1
    assert diary.lines[-1] == ("ended", False)
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert "is not called again" in caplog.text


async def test_statistics_add_up(autojump_clock: MockClock):
    async with JobGroup(limit=2) as group:

        def counts() -> GroupStatistics:
            return dataclasses.replace(group.statistics(), limited=0, oldest=None, quiet=None)

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
