"""Failures in a group: raised at its end, unless a thread has seen them."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
import trio
import trio.testing

from tests.support.jobs import (
    BaseExceptionGroup,
    Boom,
    count_and_fail,
    fail,
    leaves,
)
from tests.support.threads import Watched, wait_until_blocked
from triojob import JobCancelled, JobGroup
from triojob.sync import Job, submit

in_thread = trio.to_thread.run_sync


async def test_unretrieved_thread_failure_is_raised() -> None:
    with pytest.raises(BaseExceptionGroup) as caught:
        async with JobGroup() as group:
            await in_thread(submit, group, fail)
    assert [type(error) for error in leaves(caught.value)] == [Boom]


@pytest.mark.parametrize("ask", [Job.result, Job.exception])
async def test_retrieved_thread_failure_is_not_raised(ask: Any) -> None:
    def work(group: JobGroup) -> None:
        job = submit(group, fail)
        with contextlib.suppress(Boom):
            assert isinstance(ask(job), Boom)

    async with JobGroup() as group:
        await in_thread(work, group)


@pytest.mark.parametrize("ask", [Job.result, Job.exception])
async def test_last_waiter_retrieves_the_failure(ask: Any) -> None:
    """The group ends before the thread, which is not one of its tasks, runs again."""
    go_on = trio.Event()

    async def fail_later() -> None:
        await go_on.wait()
        raise Boom

    def wait(job: Job) -> None:
        with contextlib.suppress(Boom):
            assert isinstance(ask(job), Boom)

    async with JobGroup() as group:
        job = await in_thread(submit, group, fail_later)
        plain = Watched(wait, job)
        await in_thread(wait_until_blocked, plain)
        go_on.set()
    await in_thread(plain.get)


async def test_iteration_does_not_retrieve_failures() -> None:
    with pytest.raises(BaseExceptionGroup) as caught:
        async with JobGroup() as group:
            job = await in_thread(submit, group, count_and_fail, 2)
            assert await in_thread(list, job) == [0, 1]
    assert [type(error) for error in leaves(caught.value)] == [Boom]


async def test_fail_fast_failure_cancels_others() -> None:
    def work(group: JobGroup) -> None:
        job = submit(group, trio.sleep_forever)
        submit(group, fail)
        with pytest.raises(JobCancelled):
            job.result()

    with pytest.raises(BaseExceptionGroup) as caught:
        async with JobGroup(fail_fast=True) as group:
            # A thread of its own, as waiting inside this task is cancelled too.
            await in_thread(Watched(work, group).get)
    assert [type(error) for error in leaves(caught.value)] == [Boom]
