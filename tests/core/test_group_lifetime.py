"""A job cannot outlive its group, and the group waits for its jobs."""

from __future__ import annotations

import contextlib

import outcome
import pytest
import trio
import trio.testing

from tests.support.jobs import Boom, fail, sleep, succeed, tasks_living
from triojob import GroupClosed, Job, JobCancelled, JobGroup, Status


async def test_leaving_the_block_waits_for_the_jobs(autojump_clock: trio.testing.MockClock) -> None:
    async with JobGroup() as group:
        jobs = [group.submit(sleep, seconds) for seconds in (1, 3, 2)]
    assert all(job.done for job in jobs)
    assert trio.current_time() >= 3


async def test_group_knows_its_end_and_run() -> None:
    group = JobGroup()
    assert group.closed is False
    async with group:
        assert group.closed is False
        assert group.trio_token is trio.lowlevel.current_trio_token()
    assert group.closed is True


async def test_jobs_submitted_while_ending_are_awaited(autojump_clock):
    jobs: list[Job[str]] = []
    async with JobGroup() as group:

        async def parent() -> None:
            await trio.sleep(1)
            jobs.append(group.submit(sleep, 1, "child"))

        group.submit(parent)
    assert await jobs[0].result() == "child"


async def test_listener_of_last_job_can_submit_another(autojump_clock):
    jobs: list[Job[str]] = []
    async with JobGroup() as group:
        last = group.submit(sleep, 1)
        last.on_result(lambda _: jobs.append(group.submit(sleep, 1, "another")))
    assert await jobs[0].result() == "another"


async def test_the_bodys_exception_cancels_the_jobs() -> None:
    with pytest.RaisesGroup(Boom):
        async with JobGroup() as group:
            jobs = [group.submit(trio.sleep_forever) for _ in range(3)]
            await trio.testing.wait_all_tasks_blocked()
            raise Boom
    assert all(job.cancelled for job in jobs)
    assert all(job.status().code is Status.CANCELLED for job in jobs)


async def test_cancellation_around_group_cancels_jobs(autojump_clock):
    with trio.move_on_after(1) as scope:
        async with JobGroup() as group:
            job = group.submit(trio.sleep_forever)
            await trio.sleep_forever()
    assert scope.cancelled_caught
    assert job.cancelled
    assert group.closed


async def test_the_cancel_scope_cancels_body_and_jobs() -> None:
    reached = False
    async with JobGroup() as group:
        job = group.submit(trio.sleep_forever)
        group.cancel_scope.cancel()
        await trio.lowlevel.checkpoint()
        reached = True
    assert not reached
    assert job.cancelled
    with pytest.raises(JobCancelled):
        await job.result()


async def test_program_continues_after_cancelled_group() -> None:
    async def run() -> str:
        async with JobGroup() as group:
            group.cancel_scope.cancel()
            await trio.sleep_forever()
        return "after the group"

    # Caught, as a test that is left by a cancellation says nothing.
    result = await outcome.acapture(run)
    assert result == outcome.Value("after the group")


async def test_job_submitted_to_cancelled_group_never_starts() -> None:
    started: list[bool] = []

    async def work() -> None:
        started.append(True)

    async with JobGroup() as group:
        group.cancel_scope.cancel()
        job = group.submit(work)
    assert job.cancelled
    assert not started


async def test_no_task_outlives_the_group() -> None:
    before = tasks_living()
    async with JobGroup(limit=2) as group:
        for _ in range(5):
            group.submit(succeed)
        group.submit(trio.sleep_forever).cancel()
    assert tasks_living() == before


async def test_submitting_after_the_end_is_refused() -> None:
    async with JobGroup() as group:
        pass
    with pytest.raises(GroupClosed, match="ended"):
        group.submit(succeed)


async def test_submitting_before_the_start_is_refused() -> None:
    group = JobGroup()
    with pytest.raises(GroupClosed, match="enter the group first"):
        group.submit(succeed)
    with pytest.raises(GroupClosed, match="enter the group first"):
        _ = group.cancel_scope
    with pytest.raises(GroupClosed, match="enter the group first"):
        _ = group.trio_token
    assert not group.closed


async def test_a_group_is_entered_only_once() -> None:
    async with JobGroup() as group:
        with pytest.raises(GroupClosed, match="only once"):
            await group.__aenter__()
        job = group.submit(succeed)
    assert job.done
    with pytest.raises(GroupClosed, match="only once"):
        await group.__aenter__()


@pytest.mark.parametrize("steps", range(7))
async def test_outside_submit_runs_or_is_refused(steps: int) -> None:
    """Between the last job's end and the end of the group other tasks run."""
    for _ in range(10):
        group = JobGroup()
        jobs: list[Job[str]] = []

        async def outsider(group: JobGroup = group, jobs: list[Job[str]] = jobs) -> None:
            for _ in range(steps):
                await trio.lowlevel.checkpoint()
            with contextlib.suppress(GroupClosed):
                jobs.append(group.submit(succeed))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(outsider)
            async with group:
                await trio.lowlevel.checkpoint()
        assert group.closed
        for job in jobs:
            assert await job.result() == "value"


async def test_jobs_lists_unfinished_oldest_first(autojump_clock):
    async with JobGroup(limit=1) as group:
        jobs = tuple(group.submit(sleep, 1, number) for number in range(3))
        assert group.jobs == jobs
        await jobs[0].wait()
        await trio.testing.wait_all_tasks_blocked()
        remaining = set(group.jobs)
        assert len(remaining) < 3
        assert remaining <= set(jobs)
    assert group.jobs == ()


async def test_groups_nest(autojump_clock: trio.testing.MockClock) -> None:
    async def family(n: int) -> list[str]:
        async with JobGroup() as inner:
            jobs = [inner.submit(sleep, 1, f"{n}.{k}") for k in range(2)]
        return [await job.result() for job in jobs]

    async with JobGroup(limit=2) as outer:
        jobs = [outer.submit(family, n) for n in range(3)]
    assert [await job.result() for job in jobs] == [["0.0", "0.1"], ["1.0", "1.1"], ["2.0", "2.1"]]


async def test_cancelling_job_cancels_group_inside_it() -> None:
    inside: list[Job[None]] = []

    async def parent() -> None:
        async with JobGroup() as inner:
            inside.append(inner.submit(trio.sleep_forever))

    async with JobGroup() as outer:
        job = outer.submit(parent)
        await trio.testing.wait_all_tasks_blocked()
        job.cancel()
    assert job.cancelled
    assert inside[0].cancelled


async def test_inner_groups_failure_fails_outer_job() -> None:
    async def parent() -> None:
        async with JobGroup() as inner:
            inner.submit(_raise)

    async with JobGroup() as outer:
        job = outer.submit(parent)
        await job.wait()
        with pytest.RaisesGroup(Boom):
            await job.result()


async def _raise() -> None:
    raise Boom


async def test_inner_group_may_use_outer_one(autojump_clock):
    async with JobGroup() as outer:
        async with JobGroup() as inner:
            inner.cancel_scope.cancel()
            job = outer.submit(sleep, 1)
            await trio.sleep_forever()
        assert not job.done
    assert await job.result() == "value"


async def test_job_is_kept_until_failure_is_retrieved() -> None:
    async with JobGroup() as group:
        good, bad = group.submit(succeed), group.submit(fail)
        assert good._record.unretrieved
        await good.wait()
        await bad.wait()
        await trio.testing.wait_all_tasks_blocked()
        assert group.jobs == (bad,)
        # By this the bridge tells whether a failure would get lost in another thread.
        assert (good._record.unretrieved, bad._record.unretrieved) == (False, True)
        bad.exception()
        assert bad._record.unretrieved is False
    assert group.jobs == ()
