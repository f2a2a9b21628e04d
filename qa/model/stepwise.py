"""A Trio run that goes on only while a synchronous caller waits for one of its steps.

Hypothesis' state machines are synchronous, and what they do next may depend on what has happened.
So the run is a guest of the state machine: each rule hands one async function to the run's main
task and then lets Trio tick until that has returned.
Between two rules the run stands still, in the middle of whatever its other tasks do.

The other way, one run that interprets a program made up before, can't look before it draws: it
would be full of steps that do nothing, and a failing program would not shrink to its core.

The clock is Trio's mock clock, and the scheduler draws its coin flips from a seed: the same rules
give the same run, without a thread and without waiting.
"""

from __future__ import annotations

import queue
import random
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import outcome
import trio
import trio.testing

Step = Callable[[], Awaitable[Any]]

REAL_SECONDS = 60
"""For which nothing may happen at all; only a run that waits for the outside gets there."""


class Stepwise:
    """Runs Trio step by step, inside an async context manager.

    Args:
        around: Entered at the beginning, and left at the end.
        seed: Decides in which order Trio runs tasks that could run at once.
    """

    def __init__(self, around: AbstractAsyncContextManager[None], *, seed: int = 0) -> None:
        self._around = around
        self._ticks: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()
        self._next: Step | None = None
        self._result: outcome.Outcome[Any] | None = None
        self._over: outcome.Outcome[Any] | None = None
        scheduler: random.Random = trio._core._run._r  # type: ignore[attr-defined]
        scheduler.seed(seed)
        self.clock = trio.testing.MockClock(autojump_threshold=0)
        trio.lowlevel.start_guest_run(
            self._main,
            run_sync_soon_threadsafe=self._ticks.put,
            done_callback=self._done,
            clock=self.clock,
        )
        self.do(trio.lowlevel.checkpoint)

    async def _main(self) -> None:
        async with self._around:
            while self._next is not None:
                self._result = await outcome.acapture(self._next)
                # The caller stops ticking here, until there is another step.
                await trio.lowlevel.checkpoint()

    def _done(self, result: outcome.Outcome[Any]) -> None:
        self._over = result

    def do(self, step: Step) -> Any:
        """Let the main task run ``step``, and the other tasks beside it; return what it returns.

        Raises:
            BaseException: What the step raised, or what has ended the run.
        """
        self._next, self._result = step, None
        self._tick(lambda: self._result is not None)
        if self._result is None:
            assert self._over is not None
            self._over.unwrap()
            raise AssertionError("the run ended in the middle of a step")
        result: outcome.Outcome[Any] = self._result
        return result.unwrap()

    def end(self) -> None:
        """Leave the context manager and end the run; raise what that raises."""
        self._next = None
        self._tick(lambda: False)
        assert self._over is not None
        self._over.unwrap()

    def _tick(self, enough: Callable[[], bool]) -> None:
        while self._over is None and not enough():
            self._ticks.get(timeout=REAL_SECONDS)()
