"""Calls whose arguments are checked, and how one runs as a job.

`JobGroup.submit` takes functions and `Submittable` objects; `bind` makes a `Call` of either.
"""

from __future__ import annotations

import functools
import inspect
import sys
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from contextvars import copy_context
from typing import Any

import trio
from outcome import Error, Outcome, Value

from .._exceptions import short_repr, shorten, split
from .limiter import OrderedLimiter
from .messages import Finished, Status, StatusUpdate, WholeOutput
from .report import current_sink
from .retry import Retry
from .runner import JobRunner
from .runs import require_task
from .sink import ChannelSink

if sys.version_info < (3, 11):
    from exceptiongroup import BaseExceptionGroup


class Call(ABC):
    """A call whose arguments have been checked and which has not started."""

    name: str
    """The name of the endpoint or function, for messages."""
    url: str | None = None
    """The URL of the app that is called; None for a function of your own."""
    retry: Retry | None = None
    """The retry policy, for calls to a server."""
    token: trio.lowlevel.TrioToken | None = None
    """The token of the only Trio run in which the call can run; None for any run."""
    arguments: tuple[tuple[Any, ...], Mapping[str, Any]] = (), {}
    """The arguments of the call, shown in the log if it fails."""

    @abstractmethod
    async def run(self, runner: JobRunner) -> Outcome[Any]:
        """Run in the job's own task, inside its cancel scope; return the outcome.

        The call sends its messages through ``runner.sink``, a `Finished` as the last one;
        this method must ensure that ``runner.receive()`` receives them.
        """

    def describe(self) -> str:
        """Return the call as text: its name and arguments, shortened and without secrets."""
        args, kwargs = self.arguments
        shown = [short_repr(value, 60) for value in args]
        shown += (f"{name}={short_repr(value, 60)}" for name, value in kwargs.items())
        return f"{self.name}({shorten(', '.join(shown))})"

    def discard(self) -> None:  # noqa: B027 - most calls hold nothing
        """Release the resources of a call, whether it ran or not."""


async def run_call(call: Call, runner: JobRunner, limiter: OrderedLimiter | None = None) -> None:
    """Run a call as a job to its end and record its outcome; raise only a non-`Exception`.

    Args:
        limiter: The limiter in which the job is enqueued, if any.

    Raises:
        BaseException: Anything other than an `Exception`: `trio.Cancelled` of an outer scope,
            `KeyboardInterrupt`, and the exceptions that were raised together with them.
    """
    record = runner.record
    result: Outcome[Any] | None = None
    try:
        with record.scope:
            try:
                if limiter is not None:
                    await limiter.acquire_queued(record.id)
                # A job that was cancelled before it started never starts.
                await trio.lowlevel.checkpoint_if_cancelled()
                require_task(call.name, call.token)
                if record.emit is not None:
                    record.emit("job_started")
                result = await call.run(runner)
            finally:
                if limiter is not None:
                    limiter.release(record.id)
                call.discard()
    except Exception as exc:  # noqa: BLE001 - it becomes the outcome
        # Drop this frame, which holds the job: otherwise exception and job form a reference cycle.
        result = Error(exc.with_traceback(exc.__traceback__ and exc.__traceback__.tb_next))
    except BaseException as exc:
        passing = runner.finish(None, exc)
        if passing is None:
            raise
        raise BaseExceptionGroup(
            f"{record.name} while it was being cancelled", [exc, passing]
        ) from None
    passing = runner.finish(result)
    try:
        if passing is not None:
            raise passing
        if isinstance(result, Error):
            # Only after the end is recorded: this calls the `__repr__` of the user's arguments.
            record.description = call.describe()
    finally:
        del call, runner, record, result, passing  # see raise_first


class Batch:
    """Calls with one owner, which cancels all or none of them, as `gather` and `map` do.

    The calls of one endpoint in a batch can therefore share a session with the server.
    """

    def __init__(self) -> None:
        self._at_end: list[Callable[[], None]] = []

    def at_end(self, callback: Callable[[], None]) -> None:
        """Register ``callback``, called when the batch gets no more calls."""
        self._at_end.append(callback)

    def end(self) -> None:
        """Mark the batch as complete; calls in flight keep running."""
        while self._at_end:
            self._at_end.pop()()


class Submittable(ABC):
    """An async callable that checks its arguments when it is submitted, such as an endpoint."""

    @abstractmethod
    def bind(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any], *, batch: Batch | None = None
    ) -> Call:
        """Check the arguments and return the call.

        Args:
            batch: The batch that the call belongs to, if any.

        Raises:
            TypeError, ValueError: An argument is wrong or missing.
        """


def bind(
    fn: object,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    taker: str = "submit",
    *,
    batch: Batch | None = None,
) -> Call:
    """Make a call of ``fn``, which is `Submittable` or an async (generator) function.

    Args:
        taker: The name of the function that the user called, for error messages.
        batch: As for `Submittable.bind`.

    Raises:
        TypeError: ``fn`` is something else, or the arguments don't fit.
    """
    call: Call
    whole: Any = fn
    given, named = args, dict(kwargs)
    while isinstance(whole, functools.partial):
        whole, given, named = whole.func, (*whole.args, *given), {**whole.keywords, **named}
    if isinstance(whole, Submittable):
        call = whole.bind(given, named, batch=batch)
        call.arguments = given, named
        return call
    if inspect.iscoroutine(fn):
        fn.close()  # otherwise Python warns that it was never awaited
        raise TypeError(
            f"{taker} takes a function and its arguments: {taker}(fn, x), not {taker}(fn(x))"
        )
    if not callable(fn):
        raise TypeError(f"{taker} takes an async function or an endpoint, not {fn!r}")
    name = getattr(whole, "__qualname__", None) or repr(whole)
    # The body of an async function starts to run when it is awaited, so calling it only checks the
    # arguments: wrong ones raise at the line that passed them, as with nursery.start_soon.
    started: object = fn(*args, **kwargs)
    if inspect.isasyncgen(started):
        call = GeneratorCall(name, started)
    elif inspect.isawaitable(started):
        call = FunctionCall(name, started)
    else:
        raise TypeError(
            f"{taker} takes an async function, but {name} returned {started!r}; run a blocking "
            f"function in a thread: functools.partial(trio.to_thread.run_sync, {name})"
        )
    call.arguments = given, named
    return call


class _LocalCall(Call):
    """A call that runs in this process, in the job's own task.

    That task can't wait on the channel meanwhile, so each report is recorded immediately.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    async def run(self, runner: JobRunner) -> Outcome[Any]:
        result: Outcome[Any] | None = None
        try:
            runner.add(StatusUpdate(Status.PROCESSING))
            result = await self._outcome(runner)
            if isinstance(result, Value) and not self._streams(runner.sink):
                runner.add(WholeOutput(result.value))
            return result
        finally:
            del runner, result  # see raise_first

    async def _outcome(self, runner: JobRunner) -> Outcome[Any]:
        sink = runner.sink
        # Listeners are not part of the function's code, and can't report for it.
        sink.on_put = functools.partial(runner.drain, copy_context())
        sink.token = trio.lowlevel.current_trio_token()
        token = current_sink.set(sink)
        try:
            value = await self._evaluate(sink)
        except BaseException as exc:  # noqa: BLE001 - everything is re-raised or recorded
            # Cancelled belongs to Trio: it propagates to the scope that raised it.
            stops, failures = split(exc, trio.Cancelled)
            if failures:
                # This frame holds the job that will hold the exception: keeping it in the
                # traceback would form a reference cycle.
                _drop_frames(failures[0], 2)
            if not stops:
                return Error(failures.pop())
            if failures:
                runner.final_message = Finished(Error(failures.pop()))
            raise stops.pop() from None
        else:
            return Value(value)
        finally:
            current_sink.reset(token)
            sink.on_put = None
            del runner, sink  # see raise_first

    def _streams(self, sink: ChannelSink) -> bool:
        return sink.yielded

    @abstractmethod
    async def _evaluate(self, sink: ChannelSink) -> Any: ...


class FunctionCall(_LocalCall):
    """A call of an async function: its return value is the result."""

    def __init__(self, name: str, awaitable: Awaitable[Any]) -> None:
        super().__init__(name)
        self._awaitable = awaitable

    @trio.lowlevel.disable_ki_protection
    async def _evaluate(self, sink: ChannelSink) -> Any:
        return await self._awaitable

    def discard(self) -> None:
        if inspect.iscoroutine(self._awaitable):
            self._awaitable.close()


class GeneratorCall(_LocalCall):
    """A call of an async generator function: each yield is an output, the last one the result."""

    def __init__(self, name: str, generator: AsyncGenerator[Any, Any]) -> None:
        super().__init__(name)
        self._generator = generator

    @trio.lowlevel.disable_ki_protection
    async def _evaluate(self, sink: ChannelSink) -> Any:
        last = None
        async with aclosing(self._generator) as values:
            async for last in values:
                sink.output(WholeOutput(last))
        return last

    def _streams(self, sink: ChannelSink) -> bool:
        return True


def _drop_frames(exc: BaseException, count: int) -> None:
    """Remove the outermost ``count`` frames from the traceback of ``exc``."""
    traceback = exc.__traceback__
    for _ in range(count):
        traceback = traceback and traceback.tb_next
    exc.__traceback__ = traceback
