"""`first_completed` and `first_success`: the first of several calls, and the end of the others."""

from __future__ import annotations

from functools import partial

import pytest
import trio
import trio.testing

from tests.support.jobs import ROUNDS, Boom, count, fail, fail_after, sleep, succeed, tasks_living
from triojob import JobCancelled, JobGroup, first_completed, first_success


class Cancelled:
    """Counts the calls of `forever` that were cancelled."""

    def __init__(self) -> None:
        self.count = 0

    async def forever(self) -> None:
        try:
            await trio.sleep_forever()
        except trio.Cancelled:
            self.count += 1
            raise


async def test_first_result_cancels_the_others(autojump_clock):
    losers = Cancelled()
    before = tasks_living()
    assert await first_success(losers.forever, partial(sleep, 2, "won"), losers.forever) == "won"
    assert losers.count == 2
    assert tasks_living() == before
    assert trio.current_time() == 2


async def test_a_failure_is_out_of_the_race(autojump_clock: trio.testing.MockClock) -> None:
    assert await first_success(fail, partial(fail_after, 1), partial(sleep, 2, "won")) == "won"


async def test_all_failures_come_in_order_of_calls(autojump_clock):
    with pytest.RaisesGroup(Boom, Boom, Boom) as caught:
        await first_success(
            partial(fail_after, 3, "a"), partial(fail, "b"), partial(fail_after, 1, "c")
        )
    assert [str(error) for error in caught.value.exceptions] == ["a", "b", "c"]
    assert str(caught.value).startswith("all 3 calls failed")


async def test_one_call_alone_wins_or_fails() -> None:
    assert await first_success(succeed) == "value"
    with pytest.RaisesGroup(Boom):
        await first_success(fail)


async def test_given_jobs_race_and_lose(autojump_clock):
    async with JobGroup() as one, JobGroup() as other:
        slow, quick = one.submit(trio.sleep_forever), other.submit(sleep, 1, "won")
        assert await first_success(slow, quick, partial(sleep, 5)) == "won"
        assert slow.cancelled
        with pytest.raises(JobCancelled, match="sleep succeeded first"):
            await slow.result()


async def test_failed_given_job_before_winner_is_dropped(autojump_clock):
    async with JobGroup() as group:
        assert await first_success(group.submit(fail), group.submit(sleep, 1, "won")) == "won"


async def test_a_cancelled_job_has_no_result() -> None:
    async with JobGroup() as group:
        job = group.submit(trio.sleep_forever)
        job.cancel()
        assert await first_success(job, succeed) == "value"
        with pytest.RaisesGroup(JobCancelled):
            await first_success(job)


async def test_first_ended_job_wins() -> None:
    async with JobGroup() as group:
        jobs = [group.submit(succeed, number) for number in range(3)]
        for job in jobs:
            await job.wait()
    for _ in range(ROUNDS):
        assert await first_success(trio.sleep_forever, jobs[2], jobs[0]) == 2
        assert await first_completed(trio.sleep_forever, jobs[1], jobs[0]) is jobs[1]


async def test_losers_clean_up_is_waited_for(autojump_clock):
    async def careful() -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(3)

    assert await first_success(careful, partial(sleep, 1, "won")) == "won"
    assert trio.current_time() == 4


async def test_losers_failure_does_not_spoil_result(autojump_clock):
    async def bad_cleanup() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise Boom

    assert await first_success(bad_cleanup, partial(sleep, 1, "won")) == "won"
    job = await first_completed(bad_cleanup, partial(sleep, 1, "won"))
    assert await job.result() == "won"


async def test_a_generator_wins_by_its_end(autojump_clock: trio.testing.MockClock) -> None:
    assert await first_success(partial(count, 3, 1), partial(sleep, 2, "won")) == "won"
    assert await first_success(partial(count, 3, 1), partial(sleep, 4)) == 2


async def test_first_completed_returns_job_however_it_ended(autojump_clock):
    losers = Cancelled()
    good = await first_completed(losers.forever, partial(sleep, 1, "good"))
    assert await good.result() == "good"
    bad = await first_completed(losers.forever, partial(fail_after, 1), losers.forever)
    with pytest.raises(Boom):
        await bad.result()
    assert losers.count == 3


async def test_unviewed_first_failure_is_not_raised(autojump_clock):
    job = await first_completed(fail, trio.sleep_forever)
    assert job.done


async def test_failed_given_job_stays_unretrieved() -> None:
    with pytest.RaisesGroup(Boom):
        async with JobGroup() as group:
            bad = group.submit(fail)
            assert await first_completed(bad, trio.sleep_forever) is bad


async def test_given_losers_failures_are_dropped() -> None:
    async with JobGroup() as group:
        good, bad = group.submit(succeed), group.submit(fail)
        await bad.wait()
        assert await first_completed(good, bad) is good


async def test_cancellation_cancels_functions_not_given_jobs(autojump_clock):
    losers = Cancelled()
    async with JobGroup() as group:
        given = group.submit(sleep, 10)
        for helper in (first_success, first_completed):
            with trio.move_on_after(1) as scope:
                await helper(losers.forever, given)
            assert scope.cancelled_caught
        assert losers.count == 2
        assert not given.done
    assert await given.result() == "value"


async def test_they_are_checkpoints() -> None:
    async with JobGroup() as group:
        job = group.submit(succeed)
        await job.wait()
    with trio.testing.assert_checkpoints():
        await first_success(job)
    with trio.testing.assert_checkpoints():
        await first_completed(job)
