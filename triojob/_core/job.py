"""The job that users hold: it reads the record, and requests cancellation."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Generic, TypeVar, cast, final

import trio
from outcome import Error, Outcome, Value

from .._exceptions import JobTimeout
from .history import OutputCursor
from .iterators import OutputIterator, UpdateIterator
from .messages import StatusUpdate
from .observers import Listener
from .record import JobRecord

T_co = TypeVar("T_co", covariant=True)


@final
class Job(Generic[T_co]):
    """A call that runs in a `JobGroup`; `JobGroup.submit` and `Client.submit` make it.

    A job only reads its record and requests cancellation.
    Any number of tasks can wait for a job and iterate over it, early or late; each receives
    all messages that the job keeps, in order.

    ``Job[T]`` has a result of type T and outputs of type T, which is true for endpoints and
    generators; the outputs that a plain function reports can be of any type, whatever a type
    checker infers.
    """

    __slots__ = ("__weakref__", "_record")

    _record: JobRecord

    def __init__(self) -> None:
        raise TypeError("submit() creates jobs; Job can't be instantiated directly")

    @classmethod
    def _of(cls, record: JobRecord) -> Job[Any]:
        self: Job[Any] = object.__new__(cls)
        self._record = record
        return self

    @property
    def name(self) -> str:
        """The name of the endpoint or function that was submitted."""
        return self._record.name

    @property
    def id(self) -> int:
        """The job's number, unique in this process."""
        return self._record.id

    @property
    def url(self) -> str | None:
        """The URL of the app that is called, or None for a function of your own."""
        return self._record.url

    @property
    def done(self) -> bool:
        """Whether the job has ended, with or without success."""
        return self._record.outcome is not None

    @property
    def cancelled(self) -> bool:
        """Whether the job ended by being cancelled."""
        return self._record.outcome is not None and self._record.cancelled

    @property
    def dropped(self) -> int:
        """How many outputs ``history=`` has dropped."""
        return self._record.history.outputs.start

    @property
    def outcome(self) -> Outcome[T_co] | None:
        """The `outcome.Value` or `outcome.Error` of the job, or None while it has not ended.

        Each access returns a new outcome, because an outcome can be unwrapped only once.
        Reading the outcome of a failed job retrieves the failure.
        """
        if not self.done:
            return None
        result = self._record.retrieve()
        if isinstance(result, Value):
            return Value(result.value)
        return Error(self._record.original_exception(result))

    @property
    def output_count(self) -> int:
        """How many outputs the job has sent so far, including those that ``history=`` dropped."""
        return self._record.history.outputs.end

    def exception(self) -> BaseException | None:
        """Return what `result` would raise, or None if the job succeeded.

        A cancelled job returns a `JobCancelled`.  This retrieves the failure.

        Raises:
            JobNotDone: The job has not ended.
        """
        result = self._record.retrieve()
        return None if isinstance(result, Value) else self._record.original_exception(result)

    def status(self) -> StatusUpdate:
        """Return a snapshot of the job's status."""
        return self._record.status

    def outputs(self) -> list[T_co]:
        """Return the outputs so far that ``history=`` keeps.

        Each is a tuple if the endpoint has several outputs.
        A job that doesn't stream has its result as its only output.
        Successive outputs of one stream share structure: treat them as read-only.
        """
        return list(OutputCursor(self._record.history).take_all())

    async def wait(self) -> None:
        """Wait until the job has ended, with or without success; its failure stays unretrieved.

        Cancelling the wait does not cancel the job.

        Raises:
            RuntimeError: This is not a task of the job's Trio run.
        """
        self._record.require_task()
        await self._record.wait_ended()

    @trio.lowlevel.enable_ki_protection
    async def result(self, timeout: float | None = None) -> T_co:
        """Wait for the job to end; return its value or raise its exception.

        Cancelling the wait does not cancel the job.

        Args:
            timeout: The maximum number of seconds to wait; None for no timeout.

        Returns:
            The job's value, a tuple if the endpoint has several outputs.

        Raises:
            JobTimeout: The job has not ended after ``timeout`` seconds; it keeps running.
            JobCancelled: The job was cancelled.
            Exception: The exception of the job, such as `AppError`.
            ValueError: ``timeout`` is negative or not a number.
            RuntimeError: The job has not ended and runs in another Trio run; or this is not a Trio
                task.
        """
        record = self._record
        try:
            record.require_task()
            scope = None if timeout is None else trio.move_on_after(timeout)
            if record.outcome is not None:
                await record.retrieve_now()
            elif scope is None:
                await record.wait_ended()
            else:
                with scope:
                    await record.wait_ended()
                if record.outcome is None:
                    raise JobTimeout(
                        f"{record.name} has not ended within {timeout:g} s; it keeps running "
                        "(job.cancel() cancels it)"
                    )
            value: T_co = record.unwrap()
            return value
        finally:
            del self, record  # see raise_first

    def __aiter__(self) -> OutputIterator[T_co]:
        """Iterate over the outputs: first the kept ones, then new ones as they come.

        The loop ends with the job: normally if it succeeded, otherwise by raising its failure or
        `JobCancelled`.  Each loop has its own cursor; you can leave it early.
        """
        return OutputIterator(self._record)

    def updates(self) -> UpdateIterator:
        """Iterate over every message: `StatusUpdate`, `OutputUpdate`, `LogMessage`, `RenderUpdate`.

        They come in the order in which they were sent, starting with the kept ones.
        The loop ends with the job and raises nothing: it does not retrieve the failure.
        """
        return UpdateIterator(self._record)

    @trio.lowlevel.enable_ki_protection
    def cancel(self, reason: str | None = None) -> None:
        """Cancel the job: its cancel scope here, and its run on the server.

        Returns immediately; the job ends at its next checkpoint, a job of an endpoint immediately.
        Does nothing to a job that has ended or was cancelled before.

        Args:
            reason: The text for `JobCancelled.reason`.

        Raises:
            RuntimeError: The job runs in another Trio run.
        """
        scope = self._record.to_cancel(reason)
        del self  # see `JobRecord.to_cancel`
        if scope is not None:
            scope.cancel(reason=reason)

    def on_status(self, listener: Callable[[StatusUpdate], object]) -> None:
        """Call ``listener(status)`` for each status from now on, the final one included.

        Listeners are plain functions, called in the job's own task or where it reports.
        If a listener raises anything, even what is not an `Exception`, it is removed, and the group
        of the job is cancelled and raises the exception.  The job ends as any cancelled job does:
        its end is recorded, and all other listeners are called.
        """
        self._record.listen("status", _plain(listener))

    def on_output(self, listener: Callable[[T_co], object]) -> None:
        """Call ``listener(output)`` for each output from now on; see `on_status`."""
        self._record.listen("output", _plain(listener))

    def on_result(self, listener: Callable[[Job[T_co]], object]) -> None:
        """Call ``listener(job)`` once, when the job has ended, in any way; see `on_status`.

        If the job has ended already, the listener is called immediately, and what it raises
        propagates to the caller.
        """
        _plain(listener)
        if self.done:
            listener(self)
        else:
            self._record.listen("result", lambda _: listener(self))

    def __repr__(self) -> str:
        record = self._record
        parts = [f"#{record.id}", repr(record.name), record.status.code.name]
        if record.outcome is None and record.scope.cancel_called:
            parts.append("(being cancelled)")
        elif record.failed:
            parts.append(f"({type(cast('Error', record.outcome).error).__name__})")
        if record.status.rank is not None:
            parts.append(f"rank={record.status.rank}")
        parts.append(f"outputs={self.output_count}")
        if self.dropped:
            parts.append(f"dropped={self.dropped}")
        return f"<Job {' '.join(parts)}>"


def record_of(job: Job[Any]) -> JobRecord:
    """Return the record of a job, for other modules of triojob."""
    return job._record


def _plain(listener: Any) -> Listener:
    call = getattr(listener, "__call__", None)  # noqa: B004 - that of an object can be async
    if not callable(listener) or any(
        inspect.iscoroutinefunction(fn)
        or inspect.isasyncgenfunction(fn)
        or inspect.isgeneratorfunction(fn)
        for fn in (listener, call)
    ):
        raise TypeError(
            f"a listener must be a plain function, not {listener!r}; "
            "for async work, iterate over job.updates() in a task"
        )
    return cast("Listener", listener)
