"""Cancelling the fan-out helpers at every step, and Ctrl-C while they wait."""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest
import trio
import trio.testing

import triojob
from tests.support.jobs import BaseExceptionGroup, collect, leaves, tasks_living
from triojob import JobGroup, as_completed, first_completed, first_success, gather

from .mapping import Source, Worker


async def use_gather(worker: Worker) -> None:
    await gather(*[partial(worker.work, number) for number in range(5)], limit=2)


async def use_first_success(worker: Worker) -> None:
    await first_success(partial(worker.work, 0), partial(worker.work, 1))


async def use_first_completed(worker: Worker) -> None:
    await first_completed(partial(worker.work, 0), partial(worker.work, 1))


async def use_as_completed(worker: Worker) -> None:
    async with JobGroup(limit=2) as group:
        await collect(as_completed([group.submit(worker.work, number) for number in range(4)]))


async def use_map(worker: Worker, **options: Any) -> None:
    items = Source(6, interval=0.25).aitems()
    async with triojob.map(worker.work, items, limit=2, **options) as results:
        await collect(results)


USES = pytest.mark.parametrize(
    "use",
    [
        use_gather,
        use_first_success,
        use_first_completed,
        use_as_completed,
        use_map,
        partial(use_map, ordered=False),
        partial(use_map, rate=3, return_jobs=True),
    ],
)


class Step(trio.abc.Instrument):
    """Cancels a scope before the given step of any task, of those that run in the scope."""

    def __init__(self, scope: trio.CancelScope, step: int) -> None:
        self.scope = scope
        self.left = step

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.left -= 1
        if self.left == 0:
            self.scope.cancel()


@USES
async def test_cancelling_before_any_step_leaves_nothing(autojump_clock, use):
    before = tasks_living()
    step = cancelled = 0
    reached = True
    while reached:
        step += 1
        worker = Worker(seconds=0.75)
        with trio.CancelScope() as scope:
            stepping = Step(scope, step)
            trio.lowlevel.add_instrument(stepping)
            try:
                await use(worker)
            finally:
                trio.lowlevel.remove_instrument(stepping)
        reached = stepping.left <= 0
        cancelled += scope.cancelled_caught
        assert worker.running == 0
        assert tasks_living() == before
    assert cancelled >= 4


@USES
def test_ctrl_c_during_wait_ends_calls(use: Callable[[Worker], Awaitable[None]]) -> None:
    worker = Worker(seconds=1000)

    async def interrupt() -> None:
        # A task of the system is safe from Ctrl-C, so it goes to the main task, which waits.
        await trio.sleep(10)
        signal.raise_signal(signal.SIGINT)

    async def main() -> None:
        trio.lowlevel.spawn_system_task(interrupt)
        await use(worker)

    with pytest.raises((KeyboardInterrupt, BaseExceptionGroup)) as caught:
        trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    assert [type(error) for error in leaves(caught.value)] == [KeyboardInterrupt]
    assert worker.started
    assert worker.running == 0
