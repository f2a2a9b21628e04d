"""The job as other threads hold it: a `concurrent.futures.Future`."""

from __future__ import annotations

import atexit
import concurrent.futures
import logging
import os
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, cast, final

import trio
from outcome import Value

from .._core.group import start_call
from .._core.job import Job as TrioJob, record_of
from .._core.logs import log_job
from .._core.messages import Status
from .._exceptions import GroupClosed, JobCancelled, JobTimeout
from ._atomic import Once, WeakBag
from ._ending import FutureParts, JobEnd, ResultWaiter, Retrieval
from ._portal import Portal, call_elsewhere, call_in_daemon
from ._reading import JobReader
from ._waiting import Notifier, refuse_in_trio
from .exceptions import translate
from .utils import OutputUpdate, StatusUpdate, ended, starting

if TYPE_CHECKING:
    from .._core.call import Call
    from .._core.group import JobGroup

_INSTEAD = "use triojob itself there, and await"


@final
class Job(concurrent.futures.Future[Any]):
    """A call that runs in a Trio thread, for all others; `Client.submit` and `submit` make it.

    It is a future, so `concurrent.futures.wait`, `concurrent.futures.as_completed` and
    `asyncio.wrap_future` take it.  Any number of threads may wait for it, and a signal handler may
    use the job that its own thread waits for: nothing here holds a lock.

    ``for output in job`` gives the outputs as they come, and ends with the job, however that ends:
    `result` tells.  A job has one such iteration, which a second loop goes on with.
    In asyncio, ``async for update in job`` gives every `StatusUpdate` and `OutputUpdate`.

    Waiting in a thread that Trio started ends with `trio.Cancelled` when the task that started the
    thread is cancelled.  The job goes on then.
    """

    _name: str
    _portal: Portal
    _group: JobGroup | None
    _notice: Callable[[StatusUpdate], None] | None
    _native: TrioJob[Any] | None
    """None until it has begun, in the Trio thread."""
    _reader: JobReader | None
    """None until then."""
    _myself: Job | None
    """Set from then to the end: there may be callbacks, and nobody who holds the job."""
    _news: Notifier
    """Notified with each batch of messages, and at the end."""
    _end: Once[JobEnd]
    _ended: Notifier
    """Notified at the end only, so that who waits for that is not woken in vain."""
    _callbacks: dict[object, Callable[[Any], object]]
    _retrieval: Retrieval
    _parts: FutureParts

    def __init__(self) -> None:
        raise TypeError("a Job is made by submit(), never directly")

    @classmethod
    def _make(
        cls,
        name: str,
        portal: Portal,
        *,
        group: JobGroup | None = None,
        notice: Callable[[StatusUpdate], None] | None = None,
    ) -> Job:
        """Return a job that is about to begin.

        Args:
            group: A group that raises failures that nobody retrieves.
            notice: Called with each status that somebody asks for.
        """
        self = cls.__new__(cls)
        self._name = name
        self._portal = portal
        self._group = group
        self._notice = notice
        self._native = self._reader = self._myself = None
        self._end = Once()
        self._reset()
        return self

    def _reset(self) -> None:
        """Forget all that wait for the job."""
        self._news, self._ended = Notifier(), Notifier()
        self._callbacks = {}
        self._retrieval = Retrieval()
        self._parts = FutureParts(self, self._end)
        self._condition = self._waiters = cast("Any", self._parts)

    def send_off(self, call: Call, begin: Callable[[], object]) -> None:
        """Have ``begin()`` called in the Trio thread, which is to begin ``call`` there.

        Raises:
            GroupClosed: That is too late; the job has ended with this error.
            BaseException: An interrupt came, and the job is cancelled: nobody else could do that.
        """
        try:
            self._portal._hold(self)
            self._portal._post(begin)
        except GroupClosed as exc:
            call.discard()
            self.orphan(exc, forked=False)
            raise
        except BaseException:
            self.cancel("interrupted as it was submitted")
            with suppress(GroupClosed):
                # It has begun by then if it was posted.
                self._portal._post(partial(self._discard, call))
            raise

    # In the Trio thread.

    def begin(self, group: JobGroup, call: Call) -> TrioJob[Any] | None:
        """Start ``call`` in ``group``; return its job there, or None if it is too late."""
        if self.done():
            call.discard()
            return None
        try:
            native = start_call(group, call)
        except GroupClosed as exc:
            self._fail(exc, by_job=True)
            return None
        record = record_of(native)
        record.observe().watchers.append(self._news.notify_all)
        self._reader = JobReader(record)
        self._native = native
        self._myself = self
        native.on_result(self._native_ended)
        return native

    def _native_ended(self, native: TrioJob[Any]) -> None:
        record = record_of(native)
        result = record.outcome
        assert result is not None
        if self._group is None:
            record.retrieve()  # from here on it is for this job to see that it isn't lost
        if record.cancelled:
            self._finish(JobEnd(cancelled=True, reason=record.cancel_reason))
        elif isinstance(result, Value):
            self._finish(JobEnd(result.value))
        else:
            error = record.original_exception(result)
            error = translate(error) if isinstance(error, Exception) else error
            self._fail(error, by_job=self._group is None)
            if self._retrieval.by_job:
                record.retrieve()

    def _cancel_native(self, end: JobEnd) -> None:
        self._end.set(end)  # an interrupt may have kept the thread that cancels from doing so
        if self._native is not None and self.cancelled():
            self._native.cancel(end.reason)
        self._announce()

    def _discard(self, call: Call) -> None:
        if self._native is None:
            call.discard()

    # In whatever thread.

    def _finish(self, end: JobEnd) -> None:
        self._end.set(end)
        self._announce()

    def _fail(self, error: BaseException, *, by_job: bool) -> None:
        """End with ``error``; if ``by_job``, the job logs that if nobody retrieves it."""
        won = self._end.set(JobEnd(error=error, traceback=error.__traceback__))
        # Who waits by now retrieves it, but maybe too late for the group, if that ends at once.
        if won and (by_job or self._retrieval.waiters):
            self._retrieval.by_job = True
            _reporting.add(self)
        self._announce()

    def _announce(self) -> None:
        """Have all who wait for the end know of it, each once, however often this is called."""
        self._portal._release(self)
        self._myself = None
        self._ended.notify_all()
        self._news.notify_all()
        if self._parts:
            # Their locks may be held by threads that were interrupted, and by this very one.
            call_in_daemon(self._parts.notify_all)
        if self._callbacks:
            removed = [self._callbacks.pop(key, None) for key in self._callbacks.copy()]
            callbacks = [callback for callback in removed if callback is not None]
            # They may take their time, and wait for other jobs.
            call_elsewhere(partial(self._call_back, callbacks))

    def _call_back(self, callbacks: Sequence[Callable[[Any], object]]) -> None:
        for callback in callbacks:
            try:
                callback(self)
            except BaseException as exc:  # noqa: BLE001 - it is nobody's but the callback's
                self._log_raised(exc)

    def orphan(self, error: GroupClosed, *, forked: bool) -> None:
        """End, as the run that would have finished this is gone."""
        if forked:
            self._reset()
        self._fail(error, by_job=False)  # it may well be retrieved in the other process

    def _wait(self, timeout: float | None) -> JobEnd:
        """Wait until the job has ended by itself, and have its failure count as retrieved."""
        end = self._end.get()
        if end is None:
            refuse_in_trio("waiting for a job", _INSTEAD)
            waiter = ResultWaiter()
            try:
                self._retrieval.waiters.add(waiter)
                self._ended.wait_until(self.done, timeout)
            finally:
                self._retrieval.waiters.discard(waiter)
            # It may have ended just now, and counts on this thread to retrieve its failure.
            end = self._end.get()
        if end is None:
            raise JobTimeout(
                f"{self._name} has not ended within {timeout:g} s; it goes on "
                "(job.cancel() would end it)"
            )
        if end.cancelled:
            raise JobCancelled(f"{self._name} was cancelled", reason=end.reason)
        self._retrieve()
        return end

    def _retrieve(self) -> None:
        """Have the failure of this job count as retrieved, from now on."""
        self._retrieval.done = True
        _reporting.discard(self)
        # If the job is done and has none, it never began.
        if self._native is not None and self._native.done:
            record_of(self._native).retrieve()

    # What a future has.

    def result(self, timeout: float | None = None) -> Any:
        """Wait for the job to end; return its value, or raise what it raised.

        Args:
            timeout: How many seconds to wait at most; None for as long as it takes.

        Returns:
            The job's value, a tuple where an endpoint has several outputs.

        Raises:
            JobTimeout: The job had not ended after ``timeout`` seconds; it goes on.
                This is a `concurrent.futures.TimeoutError`.
            JobCancelled: The job was cancelled.
                This is a `concurrent.futures.CancelledError`.
            Exception: What the job raised, such as `AppError`.
            RuntimeError: The job has not ended, and this is a thread that Trio runs in.
        """
        end = self._wait(timeout)
        try:
            if end.error is not None:
                # Every raise adds frames to it: start from those of the job each time.
                raise end.error.with_traceback(end.traceback)
            return end.value
        finally:
            # The traceback of what is raised holds this frame, which must not hold the job.
            del self, end

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait for the job to end; return what it raised, or None.

        Raises:
            JobTimeout, JobCancelled, RuntimeError: As for `result`.
        """
        return self._wait(timeout).error

    def cancel(self, reason: str | None = None) -> bool:
        """Cancel the job, here at once and on the server soon; return whether it is cancelled.

        False means that it had ended by itself.

        Args:
            reason: Why, for ``JobCancelled.reason``.
        """
        if not self.done():
            end = JobEnd(cancelled=True, reason=reason)
            # First, as an interrupt may come next: all else is then done by the Trio thread.
            try:
                self._portal._post(partial(self._cancel_native, end))
            except GroupClosed:  # then there is nothing left to cancel
                call_elsewhere(partial(self._finish, end))
            self._end.set(end)
            self._ended.notify_all()
            self._news.notify_all()
        return self.cancelled()

    def cancelled(self) -> bool:
        """Return whether the job was cancelled."""
        end = self._end.get()
        return end is not None and end.cancelled

    def running(self) -> bool:
        """Return whether the job has begun, within the limit, and has not ended."""
        native = self._native
        begun = native is not None and native.status().code is not Status.STARTING
        return begun and not self.done()

    def done(self) -> bool:
        """Return whether the job has ended, however it ended."""
        return self._end.get() is not None

    def add_done_callback(self, fn: Callable[[Job], object]) -> None:
        """Call ``fn(job)`` once when the job has ended, however it ended.

        It may block: the callbacks of a job run one after the other in a thread of their own.
        If the job has ended, ``fn`` is called here and now.
        Whatever it raises is logged; but here and now, `KeyboardInterrupt` and `trio.Cancelled`,
        which are meant for this thread, are raised.
        """
        if not self.done():
            key = object()
            self._callbacks[key] = fn
            # Whoever removes it calls it.
            if not self.done() or self._callbacks.pop(key, None) is None:
                return
        try:
            fn(self)
        except (KeyboardInterrupt, trio.Cancelled):
            raise
        except BaseException as exc:  # noqa: BLE001 - it is nobody's but the callback's
            self._log_raised(exc)

    # What else `concurrent.futures` uses of a future.

    @property
    def _state(self) -> str:  # type: ignore[override]
        return self._parts.state

    # What gradio_client adds.

    def status(self) -> StatusUpdate:
        """Return how far the job is, without waiting."""
        end, reader = self._end.get(), self._reader
        if end is not None:
            code = Status.CANCELLED if end.cancelled else Status.FINISHED
            return ended(code, success=not end.cancelled and end.error is None)
        status = starting() if reader is None else reader.status()
        if self._notice is not None:
            self._notice(status)
        return status

    def outputs(self) -> list[Any]:
        """Return the outputs so far, without waiting; the list is the caller's own.

        Each is a tuple where the endpoint has several outputs.  A job that doesn't stream has its
        result as its one output.
        """
        only = self._only_output()
        return [] if self._reader is None else self._reader.outputs() or [*only]

    def _only_output(self) -> tuple[Any, ...]:
        """Return the result of a call that has ended and had no output: it counts as one."""
        end, reader = self._end.get(), self._reader
        if self._group is not None or end is None or end.cancelled or end.error is not None:
            return ()
        return () if reader is None or reader.has_outputs else (end.value,)

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        """Wait for the next output and return it.

        Raises:
            StopIteration: The job has ended, however it ended.
            RuntimeError: This would block a thread that Trio runs in.
        """
        while True:
            over, seen, reader = self.done(), self._recorded(), self._reader
            if reader is not None:
                found = reader.next_output(self._only_output() if over else ())
                if found is not None:
                    return found[0]
            if over:
                raise StopIteration
            refuse_in_trio("waiting for an output", _INSTEAD)
            self._news.wait_until(partial(self._news_since, seen))

    def _recorded(self) -> int:
        """Return how many messages have been recorded."""
        return 0 if self._reader is None else self._reader.recorded

    def _news_since(self, seen: int) -> bool:
        return self.done() or self._recorded() > seen

    def __aiter__(self) -> AsyncIterator[StatusUpdate | OutputUpdate]:
        return self

    async def __anext__(self) -> StatusUpdate | OutputUpdate:
        """Wait, in asyncio, for the next message and return it.

        Raises:
            StopAsyncIteration: The job has ended, however it ended.
            RuntimeError: This is no task of asyncio.
        """
        # Not in its thread: asyncio runs there as well, if Trio is its guest.
        if trio.lowlevel.in_trio_task():
            raise RuntimeError(f"this iteration is for asyncio; in Trio, {_INSTEAD}")
        while True:
            over, seen, reader = self.done(), self._recorded(), self._reader
            update = None if reader is None else reader.next_update()
            if update is not None:
                if isinstance(update, OutputUpdate) and update.final and not update.success:
                    self._retrieve()
                return update
            if over:
                raise StopAsyncIteration
            await self._news.wait_in_asyncio(partial(self._news_since, seen))

    def _log_unretrieved(self) -> None:
        retrieval, end = self._retrieval, self._end.get()
        if retrieval.by_job and not retrieval.done and end is not None:
            retrieval.done = True
            self._log("it failed, and nobody asked for its result", end.error)

    def _log_raised(self, error: BaseException) -> None:
        self._log("one of its callbacks raised", error)

    def _log(self, text: str, error: BaseException | None) -> None:
        number = None if self._native is None else self._native.id
        log_job(logging.ERROR, number, self._name, text, error=error)

    def __del__(self) -> None:
        if hasattr(self, "_retrieval"):
            self._log_unretrieved()

    def __repr__(self) -> str:
        return f"<Job {self._name!r} {self.status().code.name}>"


_reporting: WeakBag[Job] = WeakBag()
"""The jobs that log a failure that nobody retrieves."""


def _log_all_unretrieved() -> None:
    # Python need not drop everything at exit.
    for job in _reporting:
        job._log_unretrieved()


def _leave_to_the_other_process() -> None:
    """In a forked child, log no failure of the process that it was forked from."""
    for job in _reporting:
        job._retrieval.by_job = False


atexit.register(_log_all_unretrieved)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_to_the_other_process)
