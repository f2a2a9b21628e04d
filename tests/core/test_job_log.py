"""What the log tells of the lives of jobs, at DEBUG; and that it costs nothing otherwise."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests.support.jobs import BaseExceptionGroup, fail, sleep, succeed
from triojob import Instrument, Job, JobGroup
from triojob._core.group import follow
from triojob._core.logs import JobLog, log_job


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG, "triojob")
    return caplog


def lines_of(job: Job[Any], log: pytest.LogCaptureFixture) -> list[str]:
    """Return what the log says of a job, without its number; each line has it in both forms."""
    records = [record for record in log.records if getattr(record, "job", None) == job.id]
    start = f"#{job.id} {job.name}: "
    assert all(record.getMessage().startswith(start) for record in records)
    assert {getattr(record, "endpoint", None) for record in records} <= {job.name}
    return [record.getMessage().removeprefix(start) for record in records]


async def test_each_step_is_logged_with_its_time(autojump_clock, log):
    async with JobGroup(limit=1) as group:
        first, second = group.submit(sleep, 1.5), group.submit(sleep, 2)
    assert lines_of(first, log) == [
        "submitted",
        "started after 0.000 s",
        "succeeded after 1.500 s",
    ]
    assert lines_of(second, log) == [
        "submitted",
        "started after 1.500 s",
        "succeeded after 3.500 s",
    ]
    assert {record.levelno for record in log.records} == {logging.DEBUG}


async def test_it_tells_why_a_job_was_cancelled(autojump_clock, log):
    async with JobGroup(limit=2) as group:
        jobs = [group.submit(trio.sleep_forever) for _ in range(3)]
        await trio.sleep(1)
        jobs[0].cancel("not needed")
        jobs[2].cancel()
        await jobs[0].wait()
        await jobs[2].wait()
        await trio.sleep(1)
        group.cancel_scope.cancel(reason="all over")
    ends = [lines_of(job, log)[-1] for job in jobs]
    assert ends == [
        "cancelled after 1.000 s: not needed",
        "cancelled after 2.000 s: all over",
        "cancelled after 1.000 s: no reason given",
    ]
    assert len(lines_of(jobs[2], log)) == 2, "it was cancelled before its turn, so never started"


async def test_reason_is_logged_without_failures_words(autojump_clock, log):
    with pytest.raises(BaseExceptionGroup):
        async with JobGroup() as group:
            beside_failure = group.submit(trio.sleep_forever)
            await wait_all_tasks_blocked()
            raise ValueError("private words")
    with trio.move_on_after(1):
        async with JobGroup() as group:
            too_long = group.submit(trio.sleep_forever)
    end = lines_of(beside_failure, log)[-1]
    assert end == "cancelled after 0.000 s: an enclosing nursery or group has failed"
    end = lines_of(too_long, log)[-1]
    assert end == "cancelled after 1.000 s: the deadline of an enclosing cancel scope has passed"
    assert "private" not in log.text


async def test_failures_type_is_logged_without_words(log):
    with pytest.raises(BaseExceptionGroup, match="unhandled errors"):
        async with JobGroup() as group:
            job = group.submit(fail, "private words")
    assert lines_of(job, log)[-1].endswith(" s: Boom")
    assert "private" not in log.text


async def test_name_with_percent_signs_is_only_name(log: pytest.LogCaptureFixture) -> None:
    log_job(logging.DEBUG, 7, "/100%d%s", "did %s", "it")
    log_job(logging.DEBUG, None, "/100%d%s", "did %s", "it")
    assert log.messages == ["#7 /100%d%s: did it", "/100%d%s: did it"]


async def test_nobody_follows_a_job_where_nobody_asks(caplog, monkeypatch):
    caplog.set_level(logging.INFO, "triojob")
    checks: list[int] = []

    def checked(logger: logging.Logger, level: int) -> bool:
        if logger.name == "triojob":
            checks.append(level)
        return False

    monkeypatch.setattr(logging.Logger, "isEnabledFor", checked)
    async with JobGroup() as group:
        job = group.submit(succeed)
        assert job._record.emit is None
        assert checks == [logging.DEBUG], "the one check that a submission costs"
        await job.wait()
    assert checks == [logging.DEBUG]
    assert not caplog.records


async def test_a_level_that_changes_meanwhile_harms_nothing(caplog):
    caplog.set_level(logging.INFO, "triojob")
    async with JobGroup(instruments=[Instrument()]) as group:
        early = group.submit(trio.sleep_forever)
        await wait_all_tasks_blocked()
        caplog.set_level(logging.DEBUG, "triojob")
        late = group.submit(trio.sleep_forever)
        await wait_all_tasks_blocked()
        early.cancel()
        await early.wait()
        caplog.set_level(logging.INFO, "triojob")
        late.cancel()
    assert lines_of(early, caplog) == []
    assert [line.partition(" ")[0] for line in lines_of(late, caplog)] == ["submitted", "started"]


async def test_later_followers_leave_the_log_alone(autojump_clock, log):
    async with JobGroup() as group:
        job = group.submit(sleep, 3)
        await trio.sleep(1)
        follow(group, Instrument())
    assert lines_of(job, log) == ["submitted", "started after 0.000 s", "succeeded after 3.000 s"]


async def test_log_forgets_ended_jobs(log: pytest.LogCaptureFixture) -> None:
    async with JobGroup() as group:
        job = group.submit(succeed)
        assert job._record.emit is not None
        assert isinstance(job._record.emit.args[1], JobLog)
    assert job._record.emit is None
