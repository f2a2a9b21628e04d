"""`JobGroup(limit=)`: how many jobs run at once, and whose turn it is."""

from __future__ import annotations

import math

import pytest
import trio
import trio.testing

from tests.support.jobs import ROUNDS, fail, sleep, succeed
from triojob import Job, JobGroup, Status


class Gauge:
    """Counts the jobs that run at once."""

    def __init__(self) -> None:
        self.running = 0
        self.peak = 0

    async def work(self, seconds: float = 1) -> None:
        self.running += 1
        self.peak = max(self.peak, self.running)
        await trio.sleep(seconds)
        self.running -= 1


@pytest.mark.parametrize("limit", [1, 3, 7])
async def test_at_most_limit_jobs_run_at_once(autojump_clock, limit):
    gauge = Gauge()
    async with JobGroup(limit=limit) as group:
        for _ in range(20):
            group.submit(gauge.work)
    assert gauge.peak == limit


async def test_all_slots_are_used(autojump_clock: trio.testing.MockClock) -> None:
    start = trio.current_time()
    async with JobGroup(limit=4) as group:
        for _ in range(12):
            group.submit(sleep, 1)
    assert trio.current_time() - start == pytest.approx(3)


@pytest.mark.parametrize("limit", [None, math.inf])
async def test_without_limit_all_jobs_run_at_once(autojump_clock, limit):
    gauge = Gauge()
    async with JobGroup(limit=limit) as group:
        for _ in range(50):
            group.submit(gauge.work)
    assert gauge.peak == 50


async def test_jobs_over_the_limit_are_starting(autojump_clock: trio.testing.MockClock) -> None:
    async with JobGroup(limit=1) as group:
        jobs = [group.submit(sleep, 1) for _ in range(3)]
        await trio.testing.wait_all_tasks_blocked()
        codes = sorted(job.status().code for job in jobs)
        assert codes == [Status.STARTING, Status.STARTING, Status.PROCESSING]
        assert len(group.jobs) == 3


async def test_jobs_start_in_order_of_submission() -> None:
    for _ in range(ROUNDS):
        order: list[int] = []

        async def work(number: int, order: list[int] = order) -> None:
            order.append(number)
            await trio.lowlevel.checkpoint()

        async with JobGroup(limit=1) as group:
            for number in range(5):
                group.submit(work, number)
        assert order == list(range(5))


async def test_later_jobs_wait_behind_waiting_ones(autojump_clock):
    for _ in range(ROUNDS):
        order: list[int] = []

        async def work(number: int, order: list[int] = order) -> None:
            order.append(number)
            await trio.sleep(1)

        async with JobGroup(limit=1) as group:
            for number in range(4):
                group.submit(work, number)
                await trio.sleep(0.1)
        assert order == list(range(4))


async def test_cancelled_waiting_job_never_starts(autojump_clock):
    started: list[str] = []

    async def work(name: str) -> None:
        started.append(name)
        await trio.sleep(1)

    async with JobGroup(limit=1) as group:
        group.submit(work, "first")
        await trio.testing.wait_all_tasks_blocked()
        second = group.submit(work, "second")
        third = group.submit(work, "third")
        await trio.testing.wait_all_tasks_blocked()
        second.cancel()
        with trio.fail_after(0.5):
            await second.wait()
        await third.result()
    assert second.cancelled
    assert started == ["first", "third"]


async def test_cancelled_waiters_free_no_slot(autojump_clock):
    gauge = Gauge()
    async with JobGroup(limit=2) as group:
        for _ in range(2):
            group.submit(gauge.work)
        waiting = [group.submit(gauge.work) for _ in range(3)]
        for _ in range(6):
            group.submit(gauge.work)
        await trio.testing.wait_all_tasks_blocked()
        for job in waiting:
            job.cancel()
    assert gauge.peak == 2


async def test_waiters_hear_before_next_job_starts() -> None:
    async def wait(job: Job[str], news: list[str]) -> None:
        await job.wait()
        news.append("the first has ended")

    async def start(news: list[str]) -> None:
        news.append("the second starts")

    for _ in range(ROUNDS):
        news: list[str] = []
        async with trio.open_nursery() as nursery, JobGroup(limit=1) as group:
            first = group.submit(succeed)
            group.submit(start, news)
            nursery.start_soon(wait, first, news)
        assert news == ["the first has ended", "the second starts"]


async def test_job_cancelled_at_its_turn_never_starts() -> None:
    """The slot is handed over before the waiting job's task runs again; a cancel fits between."""
    started: list[str] = []

    async def work(name: str) -> None:
        started.append(name)
        await trio.lowlevel.checkpoint()

    async with JobGroup(limit=1) as group:
        first = group.submit(work, "first")
        await trio.lowlevel.checkpoint()
        second = group.submit(work, "second")
        first.on_result(lambda _: second.cancel())
    assert second.cancelled
    assert started == ["first"]
    assert second.status().code is Status.CANCELLED


async def test_cancelling_the_group_ends_the_waiting_jobs() -> None:
    async with JobGroup(limit=1) as group:
        jobs = [group.submit(trio.sleep_forever) for _ in range(3)]
        await trio.testing.wait_all_tasks_blocked()
        group.cancel_scope.cancel()
    assert all(job.cancelled for job in jobs)


async def test_no_slot_stays_taken_however_jobs_end(autojump_clock):
    async with JobGroup(limit=3) as group:
        jobs = [group.submit(fn) for fn in (succeed, fail, trio.sleep_forever) for _ in range(4)]
        await trio.sleep(1)
        for job in jobs:
            job.cancel()
        for job in jobs:
            await job.wait()
            job.exception()
        jobs = [group.submit(trio.sleep_forever) for _ in range(4)]
        await trio.testing.wait_all_tasks_blocked()
        codes = [job.status().code for job in jobs]
        assert codes == [*[Status.PROCESSING] * 3, Status.STARTING]
        group.cancel_scope.cancel()


@pytest.mark.parametrize("limit", [0, -1, 1.5, math.nan, -math.inf])
def test_limit_that_is_no_count_is_refused(limit: float) -> None:
    with pytest.raises(ValueError, match="limit"):
        JobGroup(limit=limit)


def test_a_whole_number_may_be_a_float() -> None:
    assert JobGroup(limit=2.0).limit == 2


def test_settings_can_be_read_back() -> None:
    group = JobGroup(limit=5, fail_fast=True, history=7)
    assert (group.limit, group.fail_fast, group.history) == (5, True, 7)
    group = JobGroup()
    assert (group.limit, group.fail_fast, group.history) == (None, False, None)


def test_a_negative_history_is_refused() -> None:
    with pytest.raises(ValueError, match="history"):
        JobGroup(history=-1)
