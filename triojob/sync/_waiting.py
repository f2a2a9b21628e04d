"""Waiting for an event of another thread: in plain threads, in Trio's threads, in asyncio.

A thread that Trio started (`trio.to_thread.run_sync`) waits inside the task that started it, with
`trio.from_thread`; so a cancellation of that task ends the wait, as it should.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from typing import final

import trio

from ._atomic import WeakBag


def refuse_in_trio(what: str, instead: str) -> None:
    """Refuse to block the thread that Trio runs in, which would block all tasks there.

    Raises:
        RuntimeError: This is such a thread.
    """
    if trio.lowlevel.in_trio_run():
        raise RuntimeError(
            f"{what} would block the thread that Trio runs in: {instead}, "
            "or call it in a thread with trio.to_thread.run_sync"
        )


def in_thread_of_trio() -> bool:
    """Return whether Trio started this thread for one of its tasks.

    Raises:
        trio.Cancelled: Trio did, and the task has been cancelled.
    """
    try:
        trio.from_thread.check_cancelled()
    except RuntimeError:
        return False
    return True


class _Exit:
    going = False
    """Whether the interpreter is ending, and only its own thread and daemons run."""


@contextmanager
def daemons_asleep() -> Generator[None, None, None]:
    """Wake no daemon threads meanwhile: they would only print errors while they are killed."""
    _Exit.going = True
    try:
        yield
    finally:
        _Exit.going = False


class _Waiter(ABC):
    """One wait; `wake` can be called in any thread, any number of times."""

    @abstractmethod
    def wake(self) -> None: ...


@final
class _ThreadWaiter(_Waiter):
    """The waiter of a thread that can simply block.

    Only the waiting thread ever acquires its lock, so no other thread can be blocked by it.
    """

    def __init__(self) -> None:
        # A `threading.Event` would be slower, and would deadlock in signal handlers.
        self._asleep = threading.Lock()
        self._asleep.acquire()
        self._daemon = threading.current_thread().daemon

    def wake(self) -> None:
        if not (self._daemon and _Exit.going):
            with suppress(RuntimeError):  # it is already awake
                self._asleep.release()

    def wait(self, seconds: float | None) -> None:
        self._asleep.acquire(timeout=-1 if seconds is None else seconds)


@final
class _TrioWaiter(_Waiter):
    """The waiter of a Trio task."""

    def __init__(self) -> None:
        self._event = trio.Event()
        self._token = trio.lowlevel.current_trio_token()

    def wake(self) -> None:
        with suppress(trio.RunFinishedError):  # the task has ended
            self._token.run_sync_soon(self._event.set, idempotent=True)

    async def wait(self) -> None:
        await self._event.wait()


@final
class _AsyncioWaiter(_Waiter):
    """The waiter of an asyncio task."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._event = asyncio.Event()

    def wake(self) -> None:
        with suppress(RuntimeError):  # the loop has been closed, so the task has ended
            self._loop.call_soon_threadsafe(self._event.set)

    async def wait(self) -> None:
        await self._event.wait()


class Notifier:
    """Wakes threads and tasks that wait for a change; it is cheap without waiters.

    It has no lock: any thread and any signal handler can wait and notify at any time.
    """

    __slots__ = ("_waiters",)

    def __init__(self) -> None:
        self._waiters: WeakBag[_Waiter] = WeakBag()

    def notify_all(self) -> None:
        """Wake all waiters."""
        if self._waiters:
            for waiter in self._waiters:
                waiter.wake()

    def wait_until(self, ready: Callable[[], bool], timeout: float | None = None) -> bool:
        """Block until ``ready()`` holds, which is checked after each notification.

        Args:
            timeout: The maximum number of seconds; None for no timeout.

        Returns:
            Whether it holds.

        Raises:
            trio.Cancelled: Trio started this thread for a task that was cancelled.
        """
        if ready():
            return True
        if in_thread_of_trio():
            return trio.from_thread.run(self._wait_in_trio, ready, timeout)
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            waiter = _ThreadWaiter()
            try:
                self._waiters.add(waiter)
                # A change before the waiter was added has not woken it.
                if ready():
                    return True
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    return False
                waiter.wait(left)
            finally:
                self._waiters.discard(waiter)

    async def _wait_in_trio(self, ready: Callable[[], bool], timeout: float | None) -> bool:
        with trio.move_on_after(math.inf if timeout is None else max(timeout, 0)):
            await self._wait(_TrioWaiter, ready)
        return ready()

    async def wait_in_asyncio(self, ready: Callable[[], bool]) -> None:
        """Wait until ``ready()`` holds, in an asyncio task."""
        await self._wait(_AsyncioWaiter, ready)

    async def _wait(
        self, make: type[_TrioWaiter | _AsyncioWaiter], ready: Callable[[], bool]
    ) -> None:
        while True:
            waiter = make()
            try:
                self._waiters.add(waiter)
                if ready():
                    return
                await waiter.wait()
            finally:
                self._waiters.discard(waiter)
