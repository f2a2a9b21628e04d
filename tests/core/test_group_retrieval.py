"""A failure is raised once, in whatever order Trio runs the tasks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
import trio
import trio.testing

from tests.support.jobs import (
    BaseExceptionGroup,
    Boom,
    Order,
    collect,
    fail,
    fail_after,
    leaves,
    run_in_all_orders,
    sleep,
)
from triojob import Job, JobGroup, as_completed, first_completed, first_success, gather

Jobs = Sequence[Job[Any]]
Got = list[BaseException]
STEPS = 5
"""How many steps after a failure are run in each order."""


@contextmanager
def catching(got: Got) -> Generator[None, None, None]:
    """Take failures, be they alone, together, or beside cancellations."""
    try:
        yield
    except Boom as error:
        got.append(error)
    except BaseExceptionGroup as error:
        failed, rest = error.split(Boom)
        got += leaves(failed) if failed else []
        if rest is not None:
            raise rest from None


async def ask(job: Job[Any], got: Got) -> None:
    with catching(got):
        await job.result()


async def use_result(jobs: Jobs, got: Got) -> None:
    async with trio.open_nursery() as nursery:
        for job in jobs:
            nursery.start_soon(ask, job, got)


async def use_results_in_turn(jobs: Jobs, got: Got) -> None:
    for job in jobs:
        await ask(job, got)


async def use_result_with_timeout(jobs: Jobs, got: Got) -> None:
    for job in jobs:
        with catching(got):
            await job.result(timeout=100)


async def use_wait(jobs: Jobs, got: Got) -> None:
    for job in jobs:
        await job.wait()
        await ask(job, got)


async def use_iteration(jobs: Jobs, got: Got) -> None:
    for job in jobs:
        with catching(got):
            await collect(job)


async def use_as_completed(jobs: Jobs, got: Got) -> None:
    async for job in as_completed(jobs):
        await ask(job, got)


async def use_as_completed_and_outcome(jobs: Jobs, got: Got) -> None:
    async for job in as_completed(jobs):
        got.append(job.outcome.error)  # type: ignore[union-attr]


async def use_as_completed_slowly(jobs: Jobs, got: Got) -> None:
    async for job in as_completed(jobs):
        await trio.sleep(1)
        await ask(job, got)


async def use_as_completed_first(jobs: Jobs, got: Got) -> None:
    for job in await collect(as_completed(jobs)):
        await ask(job, got)


async def use_as_completed_in_tasks(jobs: Jobs, got: Got) -> None:
    ended = as_completed(jobs)

    async def consume() -> None:
        async for job in ended:
            await trio.lowlevel.checkpoint()
            await ask(job, got)

    async with trio.open_nursery() as nursery:
        for _ in range(2):
            nursery.start_soon(consume)


async def use_gather(jobs: Jobs, got: Got, *more: Any, **options: Any) -> None:
    with catching(got):
        await gather(*jobs, *more, **options)


async def use_gather_of_jobs(jobs: Jobs, got: Got, *more: Any) -> None:
    for job in (await gather(*jobs, *more, return_jobs=True))[: len(jobs)]:
        await ask(job, got)


async def use_first_success(jobs: Jobs, got: Got, *more: Any) -> None:
    with catching(got):
        await first_success(*jobs, *more)


async def use_first_completed(jobs: Jobs, got: Got, *more: Any) -> None:
    await ask(await first_completed(*jobs, *more), got)
    # What the others failed with is of no interest.
    got += [Boom() for _ in jobs[1:]]


RETRIEVING = {
    "result": use_result,
    "results in turn": use_results_in_turn,
    "result with timeout": use_result_with_timeout,
    "wait": use_wait,
    "iteration": use_iteration,
    "as_completed": use_as_completed,
    "as_completed and outcome": use_as_completed_and_outcome,
    "as_completed slowly": use_as_completed_slowly,
    "as_completed first": use_as_completed_first,
    "as_completed in tasks": use_as_completed_in_tasks,
    "gather": use_gather,
    "gather with a long call": lambda jobs, got: use_gather(jobs, got, partial(sleep, 5)),
    "gather that fails fast": lambda jobs, got: use_gather(jobs, got, fail_fast=True),
    "gather of jobs": use_gather_of_jobs,
    "gather of jobs with a long call": (
        lambda jobs, got: use_gather_of_jobs(jobs, got, partial(sleep, 5))
    ),
    "first_success": use_first_success,
    "first_completed": use_first_completed,
    "first_completed with a long call": (
        lambda jobs, got: use_first_completed(jobs, got, partial(sleep, 5))
    ),
}
Consume = Callable[[Jobs, Got], Awaitable[None]]


async def end_with_failures(
    order: Order, consume: Consume, number: int, seconds: float = 1
) -> tuple[int, int]:
    """Have jobs fail after a second, while a task outside consumes them.

    Args:
        seconds: When their group ends, if there are none.

    Returns:
        How many failures the consumer and the group have raised.
    """

    async def fail() -> None:
        await trio.sleep(1)
        order.start()
        raise Boom

    got: Got = []
    raised: Got = []
    async with trio.open_nursery() as nursery:
        try:
            async with JobGroup() as group:
                jobs = [group.submit(fail) for _ in range(number)]
                nursery.start_soon(consume, jobs, got)
                await trio.sleep(seconds)
        except BaseExceptionGroup as error:
            raised += leaves(error)
    return len(got), len(raised)


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("name", RETRIEVING)
def test_who_waits_as_group_ends_has_failure(name: str, number: int) -> None:
    main = partial(end_with_failures, consume=RETRIEVING[name], number=number)
    assert set(run_in_all_orders(main, STEPS)) == {(number, 0)}


async def only_wait(jobs: Jobs, _: Got) -> None:
    for job in jobs:
        await job.wait()


async def only_follow(jobs: Jobs, _: Got) -> None:
    for job in jobs:
        await collect(job.updates())


async def only_complete(jobs: Jobs, _: Got) -> None:
    await collect(as_completed(jobs))


async def complete_and_leave(jobs: Jobs, _: Got) -> None:
    async for _ in as_completed(jobs):
        break
    await trio.sleep(1)


async def complete_and_do_something(jobs: Jobs, _: Got) -> None:
    """Keep the iterator, but leave nothing to come."""
    ended = as_completed(jobs)
    async for _ in ended:
        await trio.lowlevel.checkpoint()
    await trio.sleep(1)


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize(
    "consume",
    [only_wait, only_follow, only_complete, complete_and_leave, complete_and_do_something],
)
def test_who_only_looks_leaves_failure_to_group(consume: Consume, number: int) -> None:
    main = partial(end_with_failures, consume=consume, number=number)
    assert set(run_in_all_orders(main, STEPS)) == {(0, number)}


RACE = {"a long call besides": lambda jobs, got: use_first_success(jobs, got, trio.sleep_forever)}


@pytest.mark.parametrize("seconds", [0.5, 1, 2])
@pytest.mark.parametrize("name", [*(name for name in RETRIEVING if "slowly" not in name), *RACE])
def test_failure_survives_its_cancelled_consumer(name: str, seconds: float) -> None:
    """Even if its group ended before, and left it to the consumer."""

    async def consume(jobs: Jobs, got: Got) -> None:
        with trio.move_on_after(seconds), catching(got):
            await {**RETRIEVING, **RACE}[name](jobs, got)

    main = partial(end_with_failures, consume=consume, number=1)
    for got, raised in run_in_all_orders(main, STEPS):
        assert got + raised == 1


@pytest.mark.parametrize("seconds", [1, 3])
def test_given_job_failing_before_winner_is_dropped(seconds: float) -> None:
    """Whether its group ends before or after that."""

    async def consume(jobs: Jobs, _: Got) -> None:
        assert await first_success(*jobs, partial(sleep, 2, "won")) == "won"

    async def main(order: Order) -> tuple[int, int]:
        return await end_with_failures(order, consume, 2, seconds)

    assert set(run_in_all_orders(main, STEPS)) == {(0, 0)}


@pytest.mark.parametrize(
    "consume", [use_gather, use_gather_of_jobs, use_first_completed, use_first_success]
)
@pytest.mark.parametrize("steps", range(20))
async def test_helper_has_failure_until_it_returns(consume: Any, steps: int) -> None:
    """Whenever the group ends: here as the helper waits, as it leaves its own group, and later."""

    async def take_steps() -> None:
        for _ in range(steps):
            await trio.lowlevel.cancel_shielded_checkpoint()
        raise Boom

    got: Got = []
    async with trio.open_nursery() as nursery, JobGroup() as group:
        nursery.start_soon(consume, [group.submit(fail)], got, take_steps)
    # Of these calls only `first_completed` leaves one out.
    assert len(got) == 1 + (consume in (use_gather, use_first_success))


@pytest.mark.parametrize("helper", [gather, first_success])
async def test_cancelled_helper_raises_clean_up_failures(autojump_clock, helper):
    async def clean_up_slowly() -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(2)

    async def consume(jobs: Jobs, got: Got) -> None:
        with trio.move_on_after(1), catching(got):
            await helper(*jobs, clean_up_slowly)

    got: Got = []
    async with trio.open_nursery() as nursery, JobGroup() as group:
        nursery.start_soon(consume, [group.submit(fail_after, 2)], got)
    assert len(got) == 1
    assert trio.current_time() == 3


# Some of the above in one order, and fast.


async def test_asking_in_turn_is_fast_enough() -> None:
    got: Got = []
    async with trio.open_nursery() as nursery, JobGroup() as group:
        nursery.start_soon(use_results_in_turn, [group.submit(fail) for _ in range(30)], got)
    assert len(got) == 30


async def test_group_leaves_failure_to_busy_consumer(autojump_clock):
    got: Got = []
    async with trio.open_nursery() as nursery, JobGroup() as group:
        nursery.start_soon(use_as_completed_slowly, [group.submit(fail_after, 1)], got)
    assert len(got) == 1


async def test_busy_consumer_has_time_during_body(autojump_clock):
    got: Got = []
    async with trio.open_nursery() as nursery:
        with pytest.RaisesGroup(Boom):
            async with JobGroup() as group:
                nursery.start_soon(use_as_completed_slowly, [group.submit(fail)], got)
                await trio.sleep(0.5)
    assert len(got) == 1
