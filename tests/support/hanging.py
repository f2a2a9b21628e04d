"""Makes a test that hangs fail alone, with what its threads and tasks were doing."""

from __future__ import annotations

import signal
import sys
import threading
import traceback
from collections.abc import Generator, Iterator

import pytest
import trio

SECONDS = 240
"""Bounds each wait for real time in the tests, which takes a tenth of it at most, however busy the
machine is.  It is less than what `Watchdog` allows, as who waits knows best what for."""


class Watchdog:
    """Interrupts a test that takes too long, as Ctrl-C does; a plugin of pytest.

    Where there is no `signal.setitimer`, on Windows, only pytest's `faulthandler_timeout` is left.

    Args:
        seconds: How long setup, call and teardown of a test may take, each; 0 means forever.
        again: How long an interrupted test has to end before it is interrupted again.
    """

    def __init__(self, seconds: float, *, again: float = 20) -> None:
        self._again = again
        self._seconds = seconds if hasattr(signal, "setitimer") else 0
        self._is_hanging = False

    def pytest_sessionstart(self) -> None:
        if self._seconds:
            signal.signal(signal.SIGALRM, self._interrupt)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self) -> Generator[None, object, object]:
        return (yield from self._watched())

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self) -> Generator[None, object, object]:
        return (yield from self._watched())

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self) -> Generator[None, object, object]:
        return (yield from self._watched())

    def pytest_enter_pdb(self) -> None:
        self._set_timer(0)

    def _watched(self) -> Generator[None, object, object]:
        self._is_hanging = False
        self._set_timer(self._seconds)
        try:
            return (yield)
        finally:
            self._set_timer(0)
            if self._is_hanging:  # also if it has swallowed the interrupt
                pytest.fail(f"hung for {self._seconds:g} s; standard error shows where")

    def _set_timer(self, seconds: float) -> None:
        if self._seconds:
            signal.setitimer(signal.ITIMER_REAL, seconds, self._again if seconds else 0)

    def _interrupt(self, *_: object) -> None:
        self._is_hanging = True
        # pytest shows it with the failure.
        sys.stderr.write("\n".join(_stacks()))
        for task in _tasks():
            # What hangs may be shielded.
            task._cancel_status._scope.shield = False  # type: ignore[attr-defined]
        # Trio raises it where that can't break its own state.
        signal.raise_signal(signal.SIGINT)


def _stacks() -> Iterator[str]:
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    for ident, frame in sys._current_frames().items():
        yield f"--- thread {names.get(ident, ident)} ---"
        yield from traceback.format_stack(frame)
    for task in _tasks():
        yield f"--- task {task.name} ---"
        yield from traceback.StackSummary.extract(task.iter_await_frames()).format()


def _tasks() -> list[trio.lowlevel.Task]:
    root = trio.lowlevel.current_root_task() if trio.lowlevel.in_trio_run() else None
    tasks = [] if root is None else [root]
    for task in tasks:  # it grows meanwhile
        for nursery in task.child_nurseries:
            tasks += nursery.child_tasks
    return tasks
