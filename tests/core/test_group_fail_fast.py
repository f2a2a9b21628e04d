"""`JobGroup(fail_fast=True)`: a nursery's rule."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from tests.support.jobs import Boom, fail, fail_after
from triojob import JobGroup


async def test_the_first_failure_cancels_siblings_and_body(autojump_clock):
    reached = False
    with pytest.RaisesGroup(Boom):
        async with JobGroup(fail_fast=True) as group:
            sibling = group.submit(trio.sleep_forever)
            group.submit(fail_after, 1)
            await trio.sleep(100)
            reached = True
    assert not reached
    assert sibling.cancelled
    assert trio.current_time() < 100


async def test_waiting_jobs_never_start(autojump_clock: trio.testing.MockClock) -> None:
    started: list[bool] = []

    async def work() -> None:
        started.append(True)

    with pytest.RaisesGroup(Boom):
        async with JobGroup(limit=1, fail_fast=True) as group:
            group.submit(fail_after, 1)
            await trio.testing.wait_all_tasks_blocked()
            waiting = group.submit(work)
    assert waiting.cancelled
    assert not started


async def test_retrieved_failure_is_raised_all_the_same() -> None:
    with pytest.RaisesGroup(Boom):
        async with JobGroup(fail_fast=True) as group:
            job = group.submit(fail)
            job.on_result(lambda job: job.exception())


async def test_all_failures_are_raised() -> None:
    async def fail_when_cancelled() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise Boom("second")

    with pytest.RaisesGroup(
        pytest.RaisesExc(Boom, match="first"), pytest.RaisesExc(Boom, match="second")
    ):
        async with JobGroup(fail_fast=True) as group:
            group.submit(fail_when_cancelled)
            await trio.testing.wait_all_tasks_blocked()
            group.submit(fail, "first")


async def test_failure_raised_in_body_is_not_doubled() -> None:
    with pytest.RaisesGroup(Boom):
        async with JobGroup(fail_fast=True) as group:
            await group.submit(fail).result()


async def test_a_cancelled_job_cancels_nobody(autojump_clock: trio.testing.MockClock) -> None:
    async with JobGroup(fail_fast=True) as group:
        group.submit(trio.sleep_forever).cancel()
        sibling = group.submit(trio.sleep, 1)
    assert not sibling.cancelled


async def test_failure_survives_cancellation_from_around(autojump_clock):
    with pytest.RaisesGroup(Boom):
        with trio.move_on_after(2):
            async with JobGroup(fail_fast=True) as group:
                group.submit(fail_after, 1)
                with trio.CancelScope(shield=True):
                    await trio.sleep(3)


async def test_the_cancellation_names_the_failure() -> None:
    with pytest.RaisesGroup(Boom):
        async with JobGroup(fail_fast=True) as group:
            group.submit(fail)
            try:
                await trio.sleep_forever()
            except trio.Cancelled as cancelled:
                assert "Boom" in str(cancelled)  # noqa: PT017  # Trio's Cancelled must go on
                raise
