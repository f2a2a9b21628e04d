"""The parts of a future that `concurrent.futures` uses, for jobs."""

from __future__ import annotations

import concurrent.futures
import threading
import weakref
from concurrent.futures import _base
from typing import Any, final

from ._atomic import Once
from ._ending import JobEnd


@final
class FutureParts:
    """The parts that `concurrent.futures.wait` and `as_completed` use: lock, state and waiters.

    They acquire the locks of all futures, read the states, and add a waiter to each future
    before they release the locks.  This class has no lock, because an interrupted thread would keep
    it: from `acquire` to `release` a thread sees the same state, and a waiter that it adds to a
    job that has ended meanwhile is notified immediately.
    """

    __slots__ = ("_end", "_future", "_states", "_waiters")

    def __init__(
        self, future: weakref.ref[concurrent.futures.Future[Any]], end: Once[JobEnd]
    ) -> None:
        self._future = future
        self._end = end
        self._states: dict[int, list[str]] = {}
        """For each thread, the states that it sees: one for each `acquire`."""
        self._waiters: dict[Any, None] = {}

    def without_waiters(self) -> FutureParts:
        """Return the parts of the same future for a process in which no thread has used them."""
        return FutureParts(self._future, self._end)

    @property
    def state(self) -> str:
        """The state as this thread sees it."""
        seen = self._states.get(threading.get_ident())
        return seen[0] if seen else self._state_now()

    def _state_now(self) -> str:
        end = self._end.get()
        if end is None:
            return _base.PENDING
        return _base.CANCELLED_AND_NOTIFIED if end.cancelled else _base.FINISHED

    def acquire(self) -> None:
        seen = self._states.setdefault(threading.get_ident(), [])
        seen.append(seen[0] if seen else self._state_now())

    def release(self) -> None:
        self._states[threading.get_ident()].pop()

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()

    def append(self, waiter: Any) -> None:
        """Notify ``waiter`` of the end, unless this thread has already seen the end."""
        if self.state == _base.PENDING:
            self._waiters[waiter] = None
            if self._end.get() is not None:
                self._notify(waiter)

    def remove(self, waiter: Any) -> None:
        self._waiters.pop(waiter, None)

    def __len__(self) -> int:
        return len(self._waiters)

    def notify_all(self) -> None:
        """Notify all waiters; this waits for their locks, which interrupted threads might hold."""
        for waiter in self._waiters.copy():
            self._notify(waiter)

    def _notify(self, waiter: Any) -> None:
        # Only the thread that removes the waiter notifies it, because it counts notifications.
        future, end = self._future(), self._end.get()
        if self._waiters.pop(waiter, self) is self or future is None or end is None:
            return
        if end.cancelled:
            waiter.add_cancelled(future)
        elif end.error is not None:
            waiter.add_exception(future)
        else:
            waiter.add_result(future)
