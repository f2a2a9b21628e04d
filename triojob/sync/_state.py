"""The state of a job that threads share: its outcome, its waiters, and its native job.

Nothing here has a lock, or waits for another thread: see `_atomic`.
"""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, final

from .._core.logs import log_job
from ._atomic import Once, WeakBag
from ._callbacks import Callbacks
from ._ending import JobEnd
from ._failure_report import FailureReport
from ._future import FutureParts
from ._native import NativeJob
from ._reading import JobReader
from ._threads import call_in_daemon
from ._waiting import Notifier


class _ResultWaiter:
    """A thread that waits for a job's result."""


@final
class JobWaiters:
    """The waiters of a job."""

    __slots__ = ("callbacks", "changed", "ended", "future", "results")

    def __init__(self, future: FutureParts) -> None:
        self.changed: Notifier = Notifier()
        """Notified with each batch of messages, and at the end."""
        self.ended: Notifier = Notifier()
        """Notified at the end only, so that waiters for the end are not woken in vain."""
        self.results: WeakBag[_ResultWaiter] = WeakBag()
        """The threads that will retrieve a failure."""
        self.callbacks: Callbacks = Callbacks()
        self.future: FutureParts = future

    def wait_for_end(self, done: Callable[[], bool], timeout: float | None) -> None:
        """Wait until ``done()`` holds, in a thread that then retrieves a failure.

        Args:
            timeout: The maximum number of seconds; None for no timeout.

        Raises:
            trio.Cancelled: Trio started this thread for a task that was cancelled.
        """
        waiter = _ResultWaiter()
        try:
            self.results.add(waiter)
            self.ended.wait_until(done, timeout)
        finally:
            self.results.discard(waiter)

    def wake(self) -> None:
        """Wake the threads and tasks that wait in a method of the job."""
        self.ended.notify_all()
        self.changed.notify_all()

    def announce_end(self) -> None:
        """Notify all waiters of the end, each once; safe to call several times."""
        self.wake()
        if self.future:
            # Interrupted threads, or this very thread, might hold their locks.
            call_in_daemon(self.future.notify_all)
        self.callbacks.call_all()


@final
class SharedState:
    """The state of one job that threads share; `JobRun` writes it, and `Job` reads it.

    Args:
        of_group: Whether the job's group raises an unretrieved failure; otherwise it is logged.
    """

    __slots__ = ("end", "failure", "name", "native", "of_group", "waiters")

    def __init__(self, name: str, future: Future[Any], *, of_group: bool) -> None:
        self.name: str = name
        self.of_group: bool = of_group
        self.native: NativeJob | None = None
        """None until the job has begun in the Trio thread."""
        self.end: Once[JobEnd] = Once()
        self.failure: FailureReport = FailureReport()
        self.waiters: JobWaiters = JobWaiters(FutureParts(weakref.ref(future), self.end))

    @property
    def done(self) -> bool:
        """Whether the job has ended, with or without success."""
        return self.end.get() is not None

    @property
    def cancelled(self) -> bool:
        """Whether the job was cancelled."""
        end = self.end.get()
        return end is not None and end.cancelled

    @property
    def number(self) -> int | None:
        """The job's id; None until the job has begun in the Trio thread."""
        return None if self.native is None else self.native.id

    @property
    def reader(self) -> JobReader | None:
        """The reader of the messages; None until the job has begun in the Trio thread."""
        return None if self.native is None else self.native.reader

    @property
    def recorded(self) -> int:
        """The number of recorded messages."""
        reader = self.reader
        return 0 if reader is None else reader.recorded

    def changed_since(self, recorded: int) -> bool:
        """Return whether there are more than ``recorded`` messages to read."""
        return self.done or self.recorded > recorded

    def retrieve_failure(self) -> None:
        """Mark the failure of this job as retrieved, now and in the future."""
        self.failure.retrieved()
        # A job that has ended without a native job never began.
        if self.native is not None:
            self.native.retrieve()

    def forget_waiters(self) -> None:
        """Forget all waiters, whose threads don't exist in a forked child."""
        self.waiters = JobWaiters(self.waiters.future.without_waiters())
        self.failure.leave_to_parent()

    def log(self, text: str, error: BaseException) -> None:
        """Log ``error`` with the name of the job."""
        log_job(logging.ERROR, self.number, self.name, text, error=error)
