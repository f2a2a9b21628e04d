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


async def test_the_group_raises_a_failure_that_no_thread_has_seen() -> None:
    with pytest.raises(BaseExceptionGroup) as caught:
        async with JobGroup() as group:
            await in_thread(submit, group, fail)
    assert [type(error) for error in leaves(caught.value)] == [Boom]


@pytest.mark.parametrize("ask", [Job.result, Job.exception])
async def test_the_group_does_not_raise_what_a_thread_has_seen(ask: Any) -> None:
    def work(group: JobGroup) -> None:
        job = submit(group, fail)
        with contextlib.suppress(Boom):
            assert isinstance(ask(job), Boom)

    async with JobGroup() as group:
        await in_thread(work, group)


@pytest.mark.parametrize("ask", [Job.result, Job.exception])
async def test_who_waits_when_the_last_job_of_a_group_fails_sees_it(ask: Any) -> None:
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


async def test_iterating_does_not_see_the_failure_that_ends_the_loop() -> None:
    with pytest.raises(BaseExceptionGroup) as caught:
        async with JobGroup() as group:
            job = await in_thread(submit, group, count_and_fail, 2)
            assert await in_thread(list, job) == [0, 1]
    assert [type(error) for error in leaves(caught.value)] == [Boom]


async def test_a_failure_cancels_the_others_of_a_group_that_fails_fast() -> None:
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
