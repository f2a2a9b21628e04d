"""What is no `Exception` goes straight through the group, and is never lost."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing

from tests.support.jobs import BaseExceptionGroup, Boom, Quit, fail, leaves
from triojob import Job, JobCancelled, JobGroup, Status, StatusUpdate
from triojob._core.record import JobRecord
from triojob._core.runner import JobRunner

KINDS = pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, Quit])


def cancel(where: str, job: Job[Any], group: JobGroup, around: trio.CancelScope) -> None:
    """Cancel the job itself, its group, or what is around that."""
    if where == "job":
        job.cancel()
    else:
        (group.cancel_scope if where == "group" else around).cancel()


@KINDS
async def test_it_goes_through_once_and_cancels_rest(kind: type[BaseException]) -> None:
    error = kind()

    async def work() -> None:
        await trio.lowlevel.checkpoint()
        raise error

    with pytest.RaisesGroup(kind) as caught:
        async with JobGroup() as group:
            group.submit(work)
            sibling = group.submit(trio.sleep_forever)
    assert caught.value.exceptions == (error,)
    assert sibling.cancelled


@KINDS
async def test_whoever_waits_learns_that_job_is_gone(kind: type[BaseException]) -> None:
    async def work() -> None:
        await trio.lowlevel.checkpoint()
        raise kind

    async def waiter(job: Job[None]) -> None:
        with pytest.raises(JobCancelled) as caught:
            await job.result()
        assert isinstance(caught.value.__cause__, kind)

    with trio.CancelScope(), pytest.RaisesGroup(kind, flatten_subgroups=True):
        async with trio.open_nursery() as nursery, JobGroup() as group:
            job = group.submit(work)
            nursery.start_soon(waiter, job)
    assert job.cancelled


@KINDS
async def test_it_comes_next_to_unseen_failures(kind: type[BaseException]) -> None:
    async def work() -> None:
        raise kind

    with pytest.RaisesGroup(kind, Boom):
        async with JobGroup() as group:
            await group.submit(fail).wait()
            group.submit(work)


@KINDS
@pytest.mark.parametrize("where", ["job", "group", "around"])
async def test_it_survives_the_jobs_cancellation(kind, where):
    async def work() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise kind

    with pytest.RaisesGroup(kind, flatten_subgroups=True), trio.CancelScope() as around:
        async with JobGroup() as group:
            job = group.submit(work)
            await trio.testing.wait_all_tasks_blocked()
            cancel(where, job, group, around)
    assert job.cancelled


@KINDS
@pytest.mark.parametrize("where", ["job", "group", "around"])
async def test_it_survives_beside_cancellations(kind, where):
    async def raise_when_cancelled() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise kind

    async def work() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            nursery.start_soon(raise_when_cancelled)

    with pytest.RaisesGroup(kind, flatten_subgroups=True), trio.CancelScope() as around:
        async with JobGroup() as group:
            job = group.submit(work)
            await trio.testing.wait_all_tasks_blocked()
            cancel(where, job, group, around)
    assert job.cancelled
    ends = [update async for update in job.updates() if isinstance(update, StatusUpdate)][2:]
    assert [update.code for update in ends] == [Status.CANCELLED], "it has ended once"


@KINDS
async def test_it_goes_through_in_group_with_others(kind: type[BaseException]) -> None:
    async def raise_kind() -> None:
        raise kind

    async def work() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(raise_kind)
            nursery.start_soon(fail)

    with pytest.raises(BaseExceptionGroup) as caught:
        async with JobGroup() as group:
            group.submit(work)
    assert any(isinstance(leaf, kind) for leaf in leaves(caught.value))


@KINDS
async def test_under_fail_fast_it_is_not_doubled(kind: type[BaseException]) -> None:
    async def work() -> None:
        raise kind

    with pytest.RaisesGroup(kind):
        async with JobGroup(fail_fast=True) as group:
            group.submit(work)


@KINDS
async def test_from_the_body_it_cancels_the_jobs(kind: type[BaseException]) -> None:
    with pytest.RaisesGroup(kind):
        async with JobGroup() as group:
            job = group.submit(trio.sleep_forever)
            raise kind
    assert job.cancelled


@KINDS
async def test_listeners_exception_ends_job_and_wakes_waiters(kind):
    seen: list[str] = []

    def listener(_: object) -> None:
        raise kind

    async def iterate(job: Job[str]) -> None:
        try:
            async for _ in job:
                pass
        except JobCancelled:
            pass
        seen.append("iteration ended")

    async def work() -> str:
        await trio.testing.wait_all_tasks_blocked()
        return "value"

    with trio.CancelScope(), pytest.RaisesGroup(kind, flatten_subgroups=True):
        async with trio.open_nursery() as outside:
            with trio.CancelScope(shield=True):
                async with trio.open_nursery() as shielded, JobGroup() as group:
                    job = group.submit(work)
                    job.on_result(listener)
                    shielded.start_soon(iterate, job)
            outside.cancel_scope.cancel()
    assert job.done


@KINDS
async def test_listeners_exception_is_the_jobs_reason(kind: type[BaseException]) -> None:
    def listener(_: object) -> None:
        raise kind

    with pytest.RaisesGroup(kind):
        async with JobGroup() as group:
            job = group.submit(trio.sleep_forever)
            job.on_status(listener)
    error = job.exception()
    assert isinstance(error, JobCancelled)
    assert error.reason == f"{kind.__name__} in a job group"


@KINDS
async def test_cause_of_a_call_that_never_ran(kind: type[BaseException]) -> None:
    """As an interrupt does while a job waits for its group's limiter."""
    record = JobRecord("early", None)
    error = kind()
    assert JobRunner(record).finish(None, error) is None
    with pytest.raises(JobCancelled) as caught:
        record.unwrap()
    assert caught.value.__cause__ is error
