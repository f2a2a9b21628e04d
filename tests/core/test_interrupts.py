"""Ctrl-C at any line leaves nothing half done: neither lost nor twice nor registered for ever."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import trio
import trio.testing

import triojob
from tests.support.jobs import BaseExceptionGroup, count, leaves, listeners, sleep, succeed
from triojob import (
    JobGroup,
    as_completed,
    first_completed,
    first_success,
    gather,
    report,
)

PACKAGE = Path(triojob.__file__).parent
CORE = {str(PACKAGE / name) for name in ("", "_core", "_fanout")}
MOST_LINES = 5_000


class Interrupter:
    """Sends SIGINT at one line of triojob's core that the task runs which has entered this."""

    def __init__(self, line: int) -> None:
        self.left = line
        self._before = sys.gettrace()

    def __enter__(self) -> None:
        self._task = trio.lowlevel.current_task()
        sys.settrace(self._trace)

    def __exit__(self, *_: object) -> None:
        sys.settrace(self._before)

    def _is_own(self) -> bool:
        return trio.lowlevel.in_trio_task() and trio.lowlevel.current_task() is self._task

    def _trace(self, frame: FrameType, event: str, _: object) -> Any:
        if frame.f_code.co_filename.rpartition(os.sep)[0] not in CORE:
            return None
        # What other tasks run is theirs to raise.
        if event == "line" and self._is_own():
            self.left -= 1
            if self.left == 0:
                signal.raise_signal(signal.SIGINT)
        return self._trace


Interrupted = Callable[[Callable[[], Awaitable[object]]], Awaitable[bool]]


def interrupt_at_each_line(main: Callable[[Interrupted], Awaitable[None]]) -> None:
    """Run ``main`` once for each line of triojob's core that its argument runs.

    The argument is an async function, which runs another one and tells whether that was
    interrupted.
    """
    line = 0
    while line < MOST_LINES:
        line += 1
        interrupter = Interrupter(line)

        async def interrupted(use: Callable[[], Awaitable[object]]) -> bool:
            raised: list[type[BaseException]] = []
            try:
                with interrupter:  # noqa: B023 - it is used within this round
                    await use()
                # One that came too late for all that is shielded from it comes here.
                await trio.lowlevel.checkpoint()
            except (KeyboardInterrupt, BaseExceptionGroup) as error:
                raised += map(type, leaves(error))
            await trio.lowlevel.checkpoint()  # Trio holds the exception until then
            assert raised in ([], [KeyboardInterrupt])
            return bool(raised)

        trio.run(main, interrupted, clock=trio.testing.MockClock(autojump_threshold=0))
        if interrupter.left > 0:
            assert line > 10, "these lines are not of the core"
            return
    raise AssertionError("there is no end of it")


async def consume(source: Any, target: list[Any]) -> None:
    async for item in source:
        target.append(item)


def test_completing_jobs_leaves_no_listener() -> None:
    async def main(interrupted: Interrupted) -> None:
        async with JobGroup() as group:
            jobs = [group.submit(sleep, seconds) for seconds in (1, 2, 3)]
            await interrupted(lambda: consume(as_completed(jobs[:2]), []))
            assert [listeners(job) for job in jobs] == [0, 0, 0]

    interrupt_at_each_line(main)


def test_iterations_go_on_where_they_were() -> None:
    async def main(interrupted: Interrupted) -> None:
        async with JobGroup() as group:
            job = group.submit(count, 3, 1)
            for iterator, length in ((aiter(job), 3), (job.updates(), 7)):
                got: list[Any] = []
                while await interrupted(partial(consume, iterator, got)):
                    pass
                assert len(got) == length
            assert job.outputs() == [0, 1, 2]

    interrupt_at_each_line(main)


@pytest.mark.parametrize("ordered", [pytest.param(True, marks=pytest.mark.full), False])
def test_a_map_goes_on_where_it_was(ordered: bool) -> None:
    async def main(interrupted: Interrupted) -> None:
        numbers = range(4)
        async with triojob.map(sleep, [1] * 4, numbers, limit=2, ordered=ordered) as results:
            got: list[Any] = []
            while await interrupted(partial(consume, results, got)):
                pass
            assert sorted(got) == [*numbers]

    interrupt_at_each_line(main)


@pytest.mark.parametrize(
    "helper",
    [
        gather,
        pytest.param(first_success, marks=pytest.mark.full),
        pytest.param(first_completed, marks=pytest.mark.full),
    ],
)
def test_helper_ends_calls_and_leaves_given_jobs(helper: Any) -> None:
    async def main(interrupted: Interrupted) -> None:
        before = trio.lowlevel.current_statistics().tasks_living
        async with JobGroup() as group:
            jobs = [group.submit(sleep, seconds) for seconds in (1, 2)]
            await interrupted(partial(helper, *jobs, partial(sleep, 3)))
            assert [listeners(job) for job in jobs] == [0, 0]
            assert trio.lowlevel.current_statistics().tasks_living <= before + 2

    interrupt_at_each_line(main)


def test_a_submit_counts_and_has_its_turn() -> None:
    async def main(interrupted: Interrupted) -> None:
        async with JobGroup(limit=1) as group:

            async def use() -> None:
                job = group.submit(sleep, 1)
                job.on_output(bool)
                await job.result(timeout=100)
                job.cancel()

            await interrupted(use)
            assert await group.submit(succeed).result() == "value"
        counts = group.statistics()
        assert counts.submitted == counts.succeeded

    interrupt_at_each_line(main)


@pytest.mark.parametrize(
    "use, whole",
    [
        (partial(report.output, "a"), "SSSOOLS"),
        (partial(report.log, "a"), "SSLSOLS"),
        (partial(report.progress, 0.5), "SSSSOLS"),
    ],
)
def test_report_comes_whole_or_not_at_all(use: Callable[[], None], whole: str) -> None:
    """The letters are those of `StatusUpdate`, `OutputUpdate` and `LogMessage`."""

    async def main(interrupted: Interrupted) -> None:
        async def use_it() -> None:
            use()

        async def work() -> None:
            # In the job's own task; what is shielded from it comes to the main task later.
            await interrupted(use_it)
            report.output("b")
            report.log("c")

        async with JobGroup() as group:
            job = group.submit(work)
            while not job.done:
                with suppress(KeyboardInterrupt):
                    await job.wait()
            with suppress(KeyboardInterrupt):
                await trio.lowlevel.checkpoint()
        kinds = [type(update).__name__[0] async for update in job.updates()]
        assert "".join(kinds) in ("SSSOLS", whole)
        assert job.outputs()[-1] == "b"

    interrupt_at_each_line(main)
