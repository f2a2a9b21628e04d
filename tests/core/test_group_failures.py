"""Failures that nobody retrieved are raised at the end of the group: all of them, each once."""

from __future__ import annotations

import traceback
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest
import trio
import trio.testing

import triojob
from tests.support.jobs import (
    ROUNDS,
    BaseExceptionGroup,
    Boom,
    count_and_fail,
    fail,
    fail_after,
    leaves,
)
from triojob import Job, JobGroup, first_success, gather


async def test_failure_is_raised_in_exception_group() -> None:
    with pytest.RaisesGroup(pytest.RaisesExc(Boom, match="only")) as caught:
        async with JobGroup() as group:
            group.submit(fail, "only")
    assert str(caught.value).startswith("unhandled errors in a JobGroup")


async def test_all_failures_are_raised() -> None:
    with pytest.RaisesGroup(
        *(pytest.RaisesExc(Boom, match=rf"^{n}\n") for n in range(5)),
    ):
        async with JobGroup(limit=2) as group:
            for n in range(5):
                group.submit(fail, str(n))


async def test_failure_does_not_disturb_other_jobs(autojump_clock):
    with pytest.RaisesGroup(Boom):
        async with JobGroup() as group:
            group.submit(fail)
            other = group.submit(trio.sleep, 5)
            await trio.sleep(3)
    assert not other.cancelled
    assert trio.current_time() >= 5


async def test_what_the_body_raises_comes_first() -> None:
    with pytest.raises(BaseExceptionGroup) as caught:
        async with JobGroup() as group:
            await group.submit(fail).wait()
            raise ZeroDivisionError
    assert [type(error) for error in caught.value.exceptions] == [ZeroDivisionError, Boom]


async def test_failure_survives_cancelled_waiting_group(autojump_clock):
    with pytest.RaisesGroup(Boom, Boom):
        with trio.move_on_after(5):
            async with JobGroup() as group:
                group.submit(fail)
                group.submit(fail)
                group.submit(trio.sleep_forever)


async def test_cancelled_beside_failure_keeps_its_scope(autojump_clock):
    reached = False
    with pytest.RaisesGroup(Boom), trio.CancelScope() as scope:
        async with JobGroup() as group:
            await group.submit(fail).wait()
            scope.cancel()
            await trio.sleep_forever()
        reached = True
    assert scope.cancelled_caught
    assert not reached


async def test_failure_survives_groups_own_cancellation() -> None:
    with pytest.RaisesGroup(Boom):
        async with JobGroup() as group:
            await group.submit(fail).wait()
            group.cancel_scope.cancel()


async def test_failure_while_cancelled_is_kept() -> None:
    async def work() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise Boom("in the clean-up")

    with pytest.RaisesGroup(pytest.RaisesExc(Boom, match="in the clean-up")):
        async with JobGroup() as group:
            job = group.submit(work)
            await trio.testing.wait_all_tasks_blocked()
            job.cancel()
    assert not job.cancelled


async def test_failure_while_all_is_cancelled_is_kept(autojump_clock):
    async def work() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise Boom("in the clean-up")

    with pytest.RaisesGroup(Boom, Boom):
        with trio.move_on_after(1):
            async with JobGroup() as group:
                group.submit(work)
                group.submit(work)


@pytest.mark.parametrize("where", ["job", "group", "around"])
async def test_failure_mixed_with_cancelled_is_kept(where: str) -> None:
    """A nursery in the job raises the failure and Trio's `Cancelled` in one group."""

    async def clean_up() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise Boom("in the clean-up")

    async def work() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(clean_up)
            await trio.sleep_forever()

    with pytest.RaisesGroup(Boom, flatten_subgroups=True), trio.CancelScope() as around:
        async with JobGroup() as group:
            job = group.submit(work)
            await trio.testing.wait_all_tasks_blocked()
            if where == "job":
                job.cancel()
            else:
                (group.cancel_scope if where == "group" else around).cancel()
    assert job.done


async def by_result(job: Job[Any]) -> None:
    with pytest.raises(Boom):
        await job.result()


async def by_result_with_timeout(job: Job[Any]) -> None:
    with pytest.raises(Boom):
        await job.result(timeout=100)


async def by_exception(job: Job[Any]) -> None:
    await job.wait()
    assert isinstance(job.exception(), Boom)


async def by_outcome(job: Job[Any]) -> None:
    await job.wait()
    assert job.outcome is not None


async def by_iteration(job: Job[Any]) -> None:
    with pytest.raises(Boom):
        async for _ in job:
            pass


RETRIEVALS = [by_result, by_result_with_timeout, by_exception, by_outcome, by_iteration]
Watch = Callable[[Job[Any]], Awaitable[None]]


@pytest.mark.parametrize("retrieve", RETRIEVALS)
@pytest.mark.parametrize("fn", [fail, count_and_fail])
async def test_a_retrieved_failure_is_not_raised_again(autojump_clock, retrieve, fn):
    async with JobGroup() as group:
        job = group.submit(fn, 2)
        await retrieve(job)
        assert group.jobs == ()


@pytest.mark.parametrize("retrieve", RETRIEVALS)
async def test_failure_retrieved_outside_is_not_raised(autojump_clock, retrieve):
    """That task waits as the last job fails: it must not race with the end of the group."""
    for _ in range(ROUNDS):
        async with trio.open_nursery() as nursery, JobGroup() as group:
            job = group.submit(fail_after, 1)
            nursery.start_soon(retrieve, job)


@pytest.mark.parametrize("retrieve", RETRIEVALS)
async def test_retrieved_failure_leaves_others_to_be_raised(autojump_clock, retrieve):
    with pytest.RaisesGroup(pytest.RaisesExc(Boom, match="unseen")):
        async with JobGroup() as group:
            group.submit(fail, "unseen")
            await retrieve(group.submit(fail, "seen"))


async def by_wait(job: Job[Any]) -> None:
    await job.wait()


async def by_updates(job: Job[Any]) -> None:
    async for _ in job.updates():
        pass


async def by_on_result(job: Job[Any]) -> None:
    job.on_result(lambda _: None)
    await job.wait()


async def by_listeners(job: Job[Any]) -> None:
    job.on_status(lambda _: None)
    job.on_output(lambda _: None)
    await job.wait()


async def by_snapshots(job: Job[Any]) -> None:
    await job.wait()
    assert job.done
    assert not job.cancelled
    assert job.status().success is False
    assert job.outputs() == []
    assert "Boom" in repr(job)


async def by_leaving_the_loop_before_the_failure(job: Job[Any]) -> None:
    iterator = job.__aiter__()
    with trio.move_on_after(0):
        await iterator.__anext__()
    await job.wait()


async def by_giving_up_the_wait(job: Job[Any]) -> None:
    with trio.move_on_after(0):
        await job.result()
    await job.wait()


@pytest.mark.parametrize(
    "watch",
    [
        by_wait,
        by_updates,
        by_on_result,
        by_listeners,
        by_snapshots,
        by_leaving_the_loop_before_the_failure,
        by_giving_up_the_wait,
    ],
)
async def test_watching_is_not_retrieving(watch: Watch) -> None:
    with pytest.RaisesGroup(Boom):
        async with JobGroup() as group:
            await watch(group.submit(fail))


async def test_failure_retrieved_in_listener_is_retrieved() -> None:
    seen: list[BaseException | None] = []
    async with JobGroup() as group:
        group.submit(fail).on_result(lambda job: seen.append(job.exception()))
    assert isinstance(seen[0], Boom)


class Racing(dict[Any, Job[Any]]):
    """Jobs, of which another thread retrieves the first while the group looks at them."""

    def copy(self) -> dict[Any, Job[Any]]:
        before = super().copy()
        if len(before) == 2:
            next(iter(before.values())).exception()
        return before


async def test_group_leaves_what_threads_retrieve() -> None:
    with pytest.RaisesGroup(pytest.RaisesExc(Boom, match="second")):
        async with JobGroup() as group:
            jobs = [group.submit(fail, text) for text in ("first", "second")]
            for job in jobs:
                await job.wait()
            group._jobs = Racing(group._jobs)


async def test_jobs_failure_in_body_is_not_doubled() -> None:
    with pytest.RaisesGroup(Boom):
        async with JobGroup() as group:
            await group.submit(fail).result()


async def test_shared_exception_is_raised_once() -> None:
    shared = Boom("shared")

    async def work() -> None:
        raise shared

    with pytest.RaisesGroup(Boom):
        async with JobGroup() as group:
            group.submit(work)
            group.submit(work)


async def test_failures_can_be_retrieved_after_group_too() -> None:
    with pytest.RaisesGroup(Boom):
        async with JobGroup() as group:
            job = group.submit(fail)
    with pytest.raises(Boom):
        await job.result()
    assert group.jobs == ()


async def test_exception_group_from_job_is_one_failure() -> None:
    async def raise_at_once() -> None:
        raise Boom

    async def work() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(raise_at_once)
            nursery.start_soon(raise_at_once)

    with pytest.RaisesGroup(pytest.RaisesGroup(Boom, Boom)):
        async with JobGroup() as group:
            group.submit(work)


async def test_failure_is_raised_with_its_cause() -> None:
    cause = ZeroDivisionError()
    error = Boom()

    async def work() -> None:
        raise error from cause

    with pytest.raises(BaseExceptionGroup) as caught:
        async with JobGroup() as group:
            group.submit(work)
    assert leaves(caught.value) == [error]
    assert error.__cause__ is cause


async def test_failure_shows_no_library_frames() -> None:
    with pytest.raises(BaseExceptionGroup) as caught:
        async with JobGroup() as group:
            group.submit(fail)
    (error,) = leaves(caught.value)
    assert [frame.name for frame in traceback.extract_tb(error.__traceback__)] == ["fail"]


async def test_unwrapping_does_not_lengthen_traceback() -> None:
    lengths: list[int] = []
    async with JobGroup() as group:
        job = group.submit(fail)
        await job.wait()
        for _ in range(5):
            assert job.outcome is not None
            with pytest.raises(Boom) as caught:
                job.outcome.unwrap()
            lengths.append(len(traceback.extract_tb(caught.value.__traceback__)))
    assert len(set(lengths)) == 1


class Odd:
    def __repr__(self) -> str:
        raise ValueError("no")


@pytest.mark.parametrize(
    "args, kwargs, shown",
    [
        (("bad",), {}, "('bad')"),
        ((), {"text": "bad", "n": 2}, "(text='bad', n=2)"),
        ((b"x" * 10_000, "y" * 10_000, *range(1000)), {}, None),
        ((Odd(),), {}, None),
    ],
)
async def test_a_raised_failure_names_its_job(args, kwargs, shown):
    async def work(*args: object, **kwargs: object) -> None:
        raise Boom("no")

    with pytest.RaisesGroup(Boom) as caught:
        async with JobGroup() as group:
            job = group.submit(partial(work, *args[:1]), *args[1:], **kwargs)
    [error] = caught.value.exceptions
    [note] = error.__notes__
    name, rest = note.split("(", 1)
    assert name == f"job #{job.id}: {job.name}"
    assert rest.endswith("job.exception() before the group ends")
    assert shown is None or f"({rest}".startswith(f"{shown}; ")
    assert len(note) < 500


async def test_each_helper_names_the_jobs_that_failed() -> None:
    async def work(n: int) -> None:
        raise Boom(n)

    def notes(error: BaseException) -> list[str]:
        return [note.rpartition(">.")[2] for note in error.__notes__]

    for helper in (gather, first_success):
        with pytest.RaisesGroup(Boom, Boom) as caught:
            await helper(partial(work, 1), partial(work, 2))
        assert [notes(error) for error in caught.value.exceptions] == [["work(1)"], ["work(2)"]]
    async with triojob.map(work, [3]) as results:
        with pytest.raises(Boom) as raised:
            await anext(results)
    assert notes(raised.value) == ["work(3)"]


async def test_failure_of_many_jobs_has_bounded_notes() -> None:
    same = Boom("same")

    async def work(n: int) -> None:
        raise same

    with pytest.RaisesGroup(Boom):
        async with JobGroup() as group:
            for n in range(1000):
                group.submit(work, n)
    assert len(same.__notes__) == 1
