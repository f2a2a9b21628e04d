"""What threads share of a job: its end, who waits for it, and its native job.

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
    """All that wait for a job."""

    __slots__ = ("callbacks", "changed", "ended", "future", "results")

    def __init__(self, future: FutureParts) -> None:
        self.changed: Notifier = Notifier()
        """Notified with each batch of messages, and at the end."""
        self.ended: Notifier = Notifier()
        """Notified at the end only, so that who waits for that is not woken in vain."""
        self.results: WeakBag[_ResultWaiter] = WeakBag()
        """The threads that will retrieve a failure."""
        self.callbacks: Callbacks = Callbacks()
        self.future: FutureParts = future

    def wait_for_end(self, done: Callable[[], bool], timeout: float | None) -> None:
        """Wait until ``done()``, for a thread that retrieves a failure then.

        Args:
            timeout: For how many seconds at most; None for as long as it takes.

        Raises:
            trio.Cancelled: Trio started this thread, and the task that did so was cancelled.
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
        """Have all know of the end, each once, however often this is called."""
        self.wake()
        if self.future:
            # Their locks may be held by threads that were interrupted, and by this very one.
            call_in_daemon(self.future.notify_all)
        self.callbacks.call_all()


@final
class SharedState:
    """What threads share of one job; `JobRun` writes it, and `Job` reads it.

    Args:
        of_group: Whether the job's group raises a failure that nobody retrieves; else it is logged.
    """

    __slots__ = ("end", "failure", "name", "native", "of_group", "waiters")

    def __init__(self, name: str, future: Future[Any], *, of_group: bool) -> None:
        self.name: str = name
        self.of_group: bool = of_group
        self.native: NativeJob | None = None
        """None until it has begun, in the Trio thread."""
        self.end: Once[JobEnd] = Once()
        self.failure: FailureReport = FailureReport()
        self.waiters: JobWaiters = JobWaiters(FutureParts(weakref.ref(future), self.end))

    @property
    def done(self) -> bool:
        """Whether the job has ended, however it ended."""
        return self.end.get() is not None

    @property
    def cancelled(self) -> bool:
        """Whether it ended by being cancelled."""
        end = self.end.get()
        return end is not None and end.cancelled

    @property
    def number(self) -> int | None:
        """The job's number; None until it has begun in the Trio thread."""
        return None if self.native is None else self.native.id

    @property
    def reader(self) -> JobReader | None:
        """What reads the messages; None until the job has begun in the Trio thread."""
        return None if self.native is None else self.native.reader

    @property
    def recorded(self) -> int:
        """How many messages have been recorded."""
        reader = self.reader
        return 0 if reader is None else reader.recorded

    def changed_since(self, recorded: int) -> bool:
        """Return whether there is more to read than ``recorded`` messages."""
        return self.done or self.recorded > recorded

    def retrieve_failure(self) -> None:
        """Have the failure of this job count as retrieved, from now on."""
        self.failure.retrieved()
        # If the job is done and has none, it never began.
        if self.native is not None:
            self.native.retrieve()

    def forget_waiters(self) -> None:
        """Forget all that wait, as their threads don't exist in a forked child."""
        self.waiters = JobWaiters(self.waiters.future.without_waiters())
        self.failure.leave_to_parent()

    def log(self, text: str, error: BaseException) -> None:
        """Log what ``error`` says of the job."""
        log_job(logging.ERROR, self.number, self.name, text, error=error)
