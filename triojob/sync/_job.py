"""The job for other threads: a `concurrent.futures.Future`."""

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

_INSTEAD = "use triojob instead of triojob.sync, and await"


@final
class Job(Future[Any]):
    """A call that runs in a Trio thread, for other threads; `Client.submit` and `submit` make it.

    It is a future, so you can pass it to `concurrent.futures.wait`,
    `concurrent.futures.as_completed` and `asyncio.wrap_future`.  Any number of threads can wait for
    it, and a signal handler can use the job that its own thread waits for: a job holds no locks.

    ``for output in job`` yields the outputs as they come, and ends with the job, with or without
    success; use `result` to get the outcome.  All loops over a job share one iteration: a second
    loop continues where the first one stopped.
    In asyncio, ``async for update in job`` yields every `StatusUpdate` and `OutputUpdate`.

    In a thread that Trio started, waiting ends with `trio.Cancelled` when the task that started the
    thread is cancelled.  The job keeps running then.
    """

    _shared: SharedState
    _run: JobRun
    _notice: Callable[[StatusUpdate], None] | None

    def __init__(self) -> None:
        raise TypeError("submit() creates jobs; Job can't be instantiated directly")

    def _wait(self, timeout: float | None) -> JobEnd:
        """Wait until the job has ended by itself, and mark its failure as retrieved."""
        shared = self._shared
        end = shared.end.get()
        if end is None:
            refuse_in_trio("waiting for a job", _INSTEAD)
            shared.waiters.wait_for_end(self.done, timeout)
            # It might have just ended, and relies on this thread to retrieve its failure.
            end = shared.end.get()
        if end is None:
            raise JobTimeout(
                f"{shared.name} has not ended within {timeout:g} s; it keeps running "
                "(job.cancel() cancels it)"
            )
        if end.cancelled:
            raise JobCancelled(f"{shared.name} was cancelled", reason=end.reason)
        shared.retrieve_failure()
        return end

    # The interface of a future.

    def result(self, timeout: float | None = None) -> Any:
        """Wait for the job to end; return its value, or raise its exception.

        Args:
            timeout: The maximum number of seconds to wait; None for no timeout.

        Returns:
            The job's value, a tuple if the endpoint has several outputs.

        Raises:
            JobTimeout: The job has not ended after ``timeout`` seconds; it keeps running.
                This is a `concurrent.futures.TimeoutError`.
            JobCancelled: The job was cancelled.
                This is a `concurrent.futures.CancelledError`.
            Exception: The exception of the job, such as `AppError`.
            RuntimeError: The job has not ended, and this is a thread that Trio runs in.
        """
        end = self._wait(timeout)
        try:
            if end.error is not None:
                # Every raise adds frames to it: start from the job's own frames each time.
                raise end.error.with_traceback(end.traceback)
            return end.value
        finally:
            del self, end  # see raise_first

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait for the job to end; return its exception, or None.

        Raises:
            JobTimeout, JobCancelled, RuntimeError: As for `result`.
        """
        return self._wait(timeout).error

    def cancel(self, reason: str | None = None) -> bool:
        """Cancel the job, here immediately, on the server soon; return whether it is cancelled.

        False means that the job had ended by itself.

        Args:
            reason: The text for ``JobCancelled.reason``.
        """
        self._run.cancel(reason)
        return self.cancelled()

    def cancelled(self) -> bool:
        """Return whether the job was cancelled."""
        return self._shared.cancelled

    def running(self) -> bool:
        """Return whether the job has acquired its limit and begun, and has not ended."""
        native = self._shared.native
        return native is not None and native.begun and not self.done()

    def done(self) -> bool:
        """Return whether the job has ended, with or without success."""
        return self._shared.done

    def add_done_callback(self, fn: Callable[[Job], object]) -> None:
        """Call ``fn(job)`` once when the job has ended, with or without success.

        The callback can block: callbacks of a job run one after the other in a thread of their own.
        If the job has ended already, ``fn`` is called immediately in this thread.
        Exceptions of callbacks are logged; but an immediate call raises `KeyboardInterrupt` and
        `trio.Cancelled`, which are meant for this thread.
        """
        if not self.done():
            key = self._shared.waiters.callbacks.add(partial(self._call_back, fn))
            # The thread that removes it calls it.
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
        except BaseException as exc:  # noqa: BLE001 - it concerns only the callback
            self._shared.log("one of its callbacks raised", exc)

    # Further parts of a future that `concurrent.futures` uses.

    @property
    def _condition(self) -> Any:  # type: ignore[override]
        return self._shared.waiters.future

    @property
    def _waiters(self) -> Any:  # type: ignore[override]
        return self._shared.waiters.future

    @property
    def _state(self) -> str:  # type: ignore[override]
        return self._shared.waiters.future.state

    # The methods that gradio_client adds to a future.

    def status(self) -> StatusUpdate:
        """Return the status of the job, without waiting."""
        end, reader = self._shared.end.get(), self._shared.reader
        if end is not None:
            code = Status.CANCELLED if end.cancelled else Status.FINISHED
            return ended(code, success=not end.cancelled and end.error is None)
        status = starting() if reader is None else reader.status()
        if self._notice is not None:
            self._notice(status)
        return status

    def outputs(self) -> list[Any]:
        """Return the outputs so far, without waiting; the list is a new one.

        Each is a tuple if the endpoint has several outputs.  A job that doesn't stream has its
        result as its only output.
        """
        only, reader = self._only_output(), self._shared.reader
        return [] if reader is None else reader.outputs() or [*only]

    def _only_output(self) -> tuple[Any, ...]:
        """Return the result of a finished call without outputs: the result counts as one."""
        end, reader = self._shared.end.get(), self._shared.reader
        if self._shared.of_group or end is None or end.cancelled or end.error is not None:
            return ()
        return () if reader is None or reader.has_outputs else (end.value,)

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        """Wait for the next output and return it.

        Raises:
            StopIteration: The job has ended, with or without success.
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
            StopAsyncIteration: The job has ended, with or without success.
            RuntimeError: This is not an asyncio task.
        """
        # Check the task, not the thread: if Trio is asyncio's guest, both share a thread.
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
    """Return a job that is about to begin, and the `JobRun` that runs it.

    Args:
        of_group: Whether the job's group raises an unretrieved failure; otherwise it is logged.
        notice: Called with each status that `Job.status` returns.
    """
    job = Job.__new__(Job)
    job._notice = notice
    job._shared = shared = SharedState(name, job, of_group=of_group)
    job._run = run = JobRun(shared, entry)
    return job, run


def end_of(job: Job) -> JobEnd | None:
    """Return the outcome of a job, or None; its failure stays unretrieved."""
    return job._shared.end.get()
