"""The job as other threads hold it: a `concurrent.futures.Future`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future
from functools import partial
from typing import Any, final

import trio

from .._core.messages import Status
from .._exceptions import JobCancelled, JobTimeout
from ._ending import JobEnd
from ._entry import RunEntry
from ._run import JobRun
from ._state import SharedState
from ._waiting import refuse_in_trio
from .utils import OutputUpdate, StatusUpdate, ended, starting

_INSTEAD = "use triojob itself there, and await"


@final
class Job(Future[Any]):
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

    _shared: SharedState
    _run: JobRun
    _notice: Callable[[StatusUpdate], None] | None

    def __init__(self) -> None:
        raise TypeError("a Job is made by submit(), never directly")

    def _wait(self, timeout: float | None) -> JobEnd:
        """Wait until the job has ended by itself, and have its failure count as retrieved."""
        shared = self._shared
        end = shared.end.get()
        if end is None:
            refuse_in_trio("waiting for a job", _INSTEAD)
            shared.waiters.wait_for_end(self.done, timeout)
            # It may have ended just now, and counts on this thread to retrieve its failure.
            end = shared.end.get()
        if end is None:
            raise JobTimeout(
                f"{shared.name} has not ended within {timeout:g} s; it goes on "
                "(job.cancel() would end it)"
            )
        if end.cancelled:
            raise JobCancelled(f"{shared.name} was cancelled", reason=end.reason)
        shared.retrieve_failure()
        return end

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
            del self, end  # see raise_first

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
        self._run.cancel(reason)
        return self.cancelled()

    def cancelled(self) -> bool:
        """Return whether the job was cancelled."""
        return self._shared.cancelled

    def running(self) -> bool:
        """Return whether the job has begun, within the limit, and has not ended."""
        native = self._shared.native
        return native is not None and native.begun and not self.done()

    def done(self) -> bool:
        """Return whether the job has ended, however it ended."""
        return self._shared.done

    def add_done_callback(self, fn: Callable[[Job], object]) -> None:
        """Call ``fn(job)`` once when the job has ended, however it ended.

        It may block: the callbacks of a job run one after the other in a thread of their own.
        If the job has ended, ``fn`` is called here and now.
        Whatever it raises is logged; but here and now, `KeyboardInterrupt` and `trio.Cancelled`,
        which are meant for this thread, are raised.
        """
        if not self.done():
            key = self._shared.waiters.callbacks.add(partial(self._call_back, fn))
            # Whoever removes it calls it.
            if not self.done() or not self._shared.waiters.callbacks.remove(key):
                return
        self._call_back(fn, passing=(KeyboardInterrupt, trio.Cancelled))

    def _call_back(
        self, fn: Callable[[Job], object], *, passing: tuple[type[BaseException], ...] = ()
    ) -> None:
        try:
            fn(self)
        except passing:
            raise
        except BaseException as exc:  # noqa: BLE001 - it is nobody's but the callback's
            self._shared.log("one of its callbacks raised", exc)

    # What else `concurrent.futures` uses of a future.

    @property
    def _condition(self) -> Any:  # type: ignore[override]
        return self._shared.waiters.future

    @property
    def _waiters(self) -> Any:  # type: ignore[override]
        return self._shared.waiters.future

    @property
    def _state(self) -> str:  # type: ignore[override]
        return self._shared.waiters.future.state

    # What gradio_client adds.

    def status(self) -> StatusUpdate:
        """Return how far the job is, without waiting."""
        end, reader = self._shared.end.get(), self._shared.reader
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
        only, reader = self._only_output(), self._shared.reader
        return [] if reader is None else reader.outputs() or [*only]

    def _only_output(self) -> tuple[Any, ...]:
        """Return the result of a call that has ended and had no output: it counts as one."""
        end, reader = self._shared.end.get(), self._shared.reader
        if self._shared.of_group or end is None or end.cancelled or end.error is not None:
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
        shared = self._shared
        while True:
            over, recorded, reader = shared.done, shared.recorded, shared.reader
            if reader is not None:
                found = reader.next_output(self._only_output() if over else ())
                if found is not None:
                    return found[0]
            if over:
                raise StopIteration
            refuse_in_trio("waiting for an output", _INSTEAD)
            shared.waiters.changed.wait_until(partial(shared.changed_since, recorded))

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
        shared = self._shared
        while True:
            over, recorded, reader = shared.done, shared.recorded, shared.reader
            update = None if reader is None else reader.next_update()
            if update is not None:
                if isinstance(update, OutputUpdate) and update.final and not update.success:
                    shared.retrieve_failure()
                return update
            if over:
                raise StopAsyncIteration
            await shared.waiters.changed.wait_in_asyncio(partial(shared.changed_since, recorded))

    def __repr__(self) -> str:
        return f"<Job {self._shared.name!r} {self.status().code.name}>"


def make_job(
    name: str,
    entry: RunEntry,
    *,
    of_group: bool = False,
    notice: Callable[[StatusUpdate], None] | None = None,
) -> tuple[Job, JobRun]:
    """Return a job that is about to begin, and what runs it.

    Args:
        of_group: Whether the job's group raises a failure that nobody retrieves; else it is logged.
        notice: Called with each status that somebody asks for.
    """
    job = Job.__new__(Job)
    job._notice = notice
    job._shared = shared = SharedState(name, job, of_group=of_group)
    job._run = run = JobRun(shared, entry)
    return job, run


def end_of(job: Job) -> JobEnd | None:
    """Return how a job ended, or None; its failure stays unretrieved."""
    return job._shared.end.get()
