"""The receiving half of a job, and the facade that users hold.

`JobRecord` is the mutable state: the job's own task writes it, from what comes through the memory
channel.  `Job` only reads it, and asks for cancellation.
"""

from __future__ import annotations

import inspect
import itertools
import sys
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context
from dataclasses import replace
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Literal, Protocol, TypeVar, cast, final

import trio
from outcome import Error, Outcome, Value

from .._exceptions import JobCancelled, JobNotDone, JobTimeout, add_note, leaves
from .history import OutputCursor, Timeline, Update, UpdateCursor
from .limiter import Turns
from .messages import Aside, Finished, LogMessage, Message, RenderUpdate, Status, StatusUpdate
from .report import Reporter
from .runs import require_run, require_task

if sys.version_info < (3, 11):
    from exceptiongroup import BaseExceptionGroup

if TYPE_CHECKING:
    from .call import Call

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
Listener = Callable[[Any], object]
Kind = Literal["status", "output", "result"]
"""What one can listen to."""

_numbers = itertools.count(1)


class Keeper(Protocol):
    """What a job tells its group."""

    _token: trio.lowlevel.TrioToken | None
    """Of the Trio run that it lives in."""
    _ending: bool
    """Whether the body of the group is over: it ends with its last job."""

    def _adopt(self, job: Job[Any]) -> None:
        """Take over a failure that nobody has retrieved yet, from a group that has ended."""

    def _ended(self, record: JobRecord) -> None:
        """Count a job whose outcome was just recorded; its callbacks have not been called."""

    def _retrieved(self, record: JobRecord) -> None:
        """Hear that somebody has seen how the job ended; any thread may say so."""

    def _crashed(self, error: BaseException) -> None:
        """Raise at the end of the group what a callback raised, and cancel the group."""


class JobRecord:
    """The state of one job, written by the job's own task alone.

    Args:
        name: What is called, for people.
        history: How many outputs, and how many other messages, to keep; None for all.
        keeper: The job's group; None for a call that nobody holds a `Job` of: only its end is
            recorded.
    """

    __slots__ = (
        "_ended",
        "_keeper",
        "_listeners",
        "_news",
        "_output_state",
        "_taking",
        "_traceback",
        "cancel_reason",
        "cancel_source",
        "cancelled",
        "claims",
        "follow",
        "id",
        "kept",
        "last_word",
        "name",
        "outcome",
        "reporter",
        "scope",
        "shown",
        "since",
        "status",
        "timeline",
        "url",
        "watchers",
    )

    def __init__(
        self,
        name: str,
        history: int | None,
        keeper: Keeper | None = None,
    ) -> None:
        self.name: str = name
        self.shown: str = name
        """The call with its arguments, once it has failed."""
        self.id: int = next(_numbers)
        self._keeper = keeper
        self.kept: bool = keeper is not None
        """Whether the keeper waits for somebody to see how the job ended."""
        self.claims: list[Keeper | None] | None = None
        """An item for each consumer that retrieves the failure, if the group ends before it does.

        That is the group which raises the failure if this consumer is cancelled, or None."""
        self.scope: trio.CancelScope = trio.CancelScope()
        self.reporter: Reporter = Reporter(only_end=keeper is None)
        self.url: str | None = None
        """The app that is called, if one is."""
        self.status: StatusUpdate = StatusUpdate(Status.STARTING)
        self.since: datetime = self.status.time
        self.timeline: Timeline = Timeline(history)
        if keeper is not None:
            self.timeline.add_notice(self.status)
        self.outcome: Outcome[Any] | None = None
        self.cancelled: bool = False
        self.cancel_reason: str | None = None
        self.cancel_source: str | None = None
        """What kind of cancellation came from further out, as Trio says it; None if none did."""
        self._traceback: TracebackType | None = None
        self.last_word: Finished | None = None
        """How a call ended that was cancelled before it could return that."""
        self._taking = False
        self.follow: Callable[..., None] | None = None
        """Tells the instruments of the group: called with the name of a method and arguments.

        It raises nothing where there is a keeper, as no other callback does."""
        # Those that few jobs need are made when somebody does: there are so many jobs.
        self._ended: trio.Event | None = None
        self._news: trio.lowlevel.ParkingLot | None = None
        self.watchers: list[Callable[[], None]] = []
        """Called after each batch of news, in the Trio thread; for readers in other threads."""
        self._listeners: dict[Kind, deque[Listener]] | None = None
        self._output_state: Any = None
        """The state after the last output, kept once somebody listens to outputs."""

    # The writing side: the job's own task.

    async def run(self, call: Call, turns: Turns | None = None) -> None:
        """Run ``call`` to its end and record the one outcome; raise only what must go through.

        Raises:
            BaseException: What is not an `Exception`: `trio.Cancelled` of a scope further out,
                `KeyboardInterrupt`, and what came together with them.
        """
        result: Outcome[Any] | None = None
        try:
            with self.scope:
                try:
                    if turns is not None:
                        await turns.turn_of(self.id)
                    # A job that was cancelled before it started never starts.
                    await trio.lowlevel.checkpoint_if_cancelled()
                    require_task(call.name, call.token)
                    if self.follow is not None:
                        self.follow("job_started")
                    result = await call.run(self)
                finally:
                    if turns is not None:
                        turns.end(self.id)
                    call.discard()
        except Exception as exc:  # noqa: BLE001 - it becomes the outcome
            # Without this frame, which holds the job: else exception and job make a cycle.
            result = Error(exc.with_traceback(exc.__traceback__ and exc.__traceback__.tb_next))
        except BaseException as exc:
            passing = self._finish(None, exc)
            if passing is None:
                raise
            raise BaseExceptionGroup(f"{self.name}, as it was cancelled", [exc, passing]) from None
        passing = self._finish(result)
        try:
            if passing is not None:
                raise passing
            if isinstance(result, Error):
                # After the end is recorded: this calls `__repr__` of somebody's arguments.
                self.shown = call.describe()
        finally:
            # From Python 3.12 on the frames of an exception keep those that called them alive, and
            # this is one of those: it must not hold the job, which holds the exception.
            del self, call, result, passing

    async def receive(self) -> Outcome[Any] | None:
        """Record what comes through the channel until the job's end; return how it ended.

        None stands for an `Aside`: there is more to receive.
        """
        reporter, channel = self.reporter, self.reporter.receiver
        while True:
            if reporter.unread:
                # What is there already is recorded before anything else runs.
                message = channel.receive_nowait()
            else:
                self._tell()
                message = await channel.receive()
            reporter.unread -= 1
            if isinstance(message, Finished):
                self.cancelled = message.cancelled
                return message.outcome
            if isinstance(message, Aside):
                return None
            self.note(message)

    @trio.lowlevel.enable_ki_protection
    def take(self, context: Context) -> None:
        """Record what the channel holds; for calls that run in the job's own task.

        A listener may report while it is told of something; that comes after what it is told of.

        Args:
            context: What listeners are called in.
        """
        if not self._taking:  # no context can be entered twice
            self._taking = True
            try:
                context.run(self._take_all)
            finally:
                self._taking = False

    @trio.lowlevel.enable_ki_protection
    def _take_all(self) -> None:
        while self.reporter.unread:
            self.reporter.unread -= 1
            self.note(self.reporter.receiver.receive_nowait())
        self._tell()

    def note(self, message: Message) -> None:
        """Record one message."""
        if isinstance(message, StatusUpdate):
            # Progress and log stay until there is newer; see StatusUpdate.
            before = self.status
            if message.progress_data is None and before.progress_data is not None:
                message = replace(message, progress_data=before.progress_data)
            if message.log is not before.log:
                message = replace(message, log=before.log)
            self._set_status(message)
        elif isinstance(message, LogMessage):
            self.status = replace(self.status, log=message)
            self._add_notice(message)
        elif isinstance(message, RenderUpdate):
            self._add_notice(message)
        elif not isinstance(message, (Finished, Aside)):
            self.timeline.add_output(message)
            if self.follow is not None:
                self.follow("job_output", self.timeline.outputs.end - 1)
            if self._listeners is not None and self._listeners["output"]:
                self._output_state = message.advance(self._output_state)
                self._notify("output", message.show(self._output_state))

    def _set_status(self, status: StatusUpdate) -> None:
        self.status = status
        self._add_notice(status)
        self._notify("status", status)

    def _add_notice(self, notice: StatusUpdate | LogMessage | RenderUpdate) -> None:
        self.timeline.add_notice(notice)
        if self.follow is not None:
            self.follow("job_update", notice)

    def _finish(
        self, result: Outcome[Any] | None, cause: BaseException | None = None
    ) -> BaseException | None:
        """Record the end; ``result`` is None where a cancellation came first.

        Returns:
            What the call raised and no job may keep, as it must go through the group.
        """
        passing: BaseException | None = None
        inside = [] if cause is None else leaves(cause)
        stops = [error for error in inside if isinstance(error, trio.Cancelled)]
        if stops:
            self.cancel_source = stops[0].source
            if self.cancel_reason is None:
                self.cancel_reason = stops[0].reason
        if len(stops) == len(inside):
            cause = None  # a cancellation is no news, and its frames hold this job
        del inside, stops
        # What the producer said before it was stopped is part of the job; if it had come to its
        # end by then, that is how the job ended: a failure during the cancellation is not lost.
        last_word = self._drain()
        if result is None and last_word is not None:
            result, self.cancelled = last_word.outcome, last_word.cancelled
        if isinstance(result, Error) and not isinstance(result.error, Exception):
            # It goes through the group, once; whoever waits here learns that the job is gone.
            passing = cause = result.error
            result = None
        if result is None:
            self.cancelled = True
            error = JobCancelled(f"{self.name} was cancelled", reason=self.cancel_reason)
            error.__cause__ = cause
            result = Error(error)
        self._record_end(result)
        return passing

    def _record_end(self, result: Outcome[Any]) -> None:
        """Record the outcome, then tell of it: whoever is told finds all of it recorded."""
        if isinstance(result, Error):
            self._traceback = result.error.__traceback__
        self.outcome = result
        if self._ended is not None:
            self._ended.set()
        if self._keeper is not None:
            self._keeper._ended(self)
            self._set_status(
                StatusUpdate(
                    Status.CANCELLED if self.cancelled else Status.FINISHED,
                    success=isinstance(result, Value),
                    progress_data=self.status.progress_data,
                    log=self.status.log,
                )
            )
            self._tell()
        listeners = {} if self._listeners is None else self._listeners
        # One after the other: what one of them does may end the listening of another.
        while listeners and listeners["result"]:
            self._call(listeners["result"].popleft(), None)
        self._listeners = None
        if self.follow is not None:
            self.follow("job_ended")
            self.follow = None

    def _drain(self) -> Finished | None:
        """Record what the channel still holds and close it; return the end, if it holds that."""
        end = self.last_word
        for message in self.reporter.close():
            if isinstance(message, Finished):
                end = end or message
            else:
                try:
                    self.note(message)
                except Exception as exc:  # noqa: BLE001 - of an output that can't be built
                    end = end or Finished(Error(exc))
        return end

    def _tell(self) -> None:
        self.timeline.trim()
        if self._news is not None:
            self._news.unpark_all()
        for watcher in tuple(self.watchers):
            self._call(watcher)

    def _notify(self, kind: Kind, value: object) -> None:
        if self._listeners is None:
            return
        listeners = self._listeners[kind]
        for listener in tuple(listeners):
            if not self._call(listener, value):
                listeners.remove(listener)  # once is enough

    def _call(self, callback: Callable[..., object], *args: object) -> bool:
        """Call what somebody else gave to the job; return whether it raised nothing.

        What it raises, of whatever kind, is neither the job's failure nor the reader's.  It goes
        to the group, so that whatever is recorded and told here is so to its end.
        """
        try:
            callback(*args)
        except BaseException as exc:  # noqa: BLE001 - the group raises it
            assert self._keeper is not None
            self._keeper._crashed(exc)
            return False
        return True

    # The reading side: whoever holds the job.

    @property
    def heard(self) -> datetime:
        """When its last message came."""
        status, outputs = self.status, self.timeline.outputs
        times = [status.time] if status.log is None else [status.time, status.log.time]
        if outputs.end > outputs.start:
            times.append(outputs[outputs.end - 1][0].time)
        return max(times)

    @property
    def failed(self) -> bool:
        """Whether the job ended with a failure, which a cancellation is not."""
        return isinstance(self.outcome, Error) and not self.cancelled

    def to_cancel(self, reason: str | None) -> trio.CancelScope | None:
        """Note why the job is being cancelled; return the scope to cancel, if it is not too late.

        Trio's `Cancelled` holds the frame that called `CancelScope.cancel` and those above it.
        So none of ours that holds the job may be among them: the job may keep that exception.
        """
        self.require_run()
        if self.outcome is not None or self.scope.cancel_called:
            return None
        self.cancel_reason = reason
        return self.scope

    def require_run(self) -> None:
        """Refuse to change a job of another Trio run.

        Raises:
            RuntimeError: This is not the thread of the job's run.
        """
        if self._token is not None:
            require_run(self, self._token)

    def require_task(self) -> None:
        """Refuse to wait where there is no Trio task, or for a job that runs in another run.

        Raises:
            RuntimeError: This is no task of the job's run.
        """
        require_task(self, self._token)

    def __str__(self) -> str:
        return f"job #{self.id} {self.name}"

    @property
    def _token(self) -> trio.lowlevel.TrioToken | None:
        """That of the job's Trio run, or None for one that has ended: it is safe everywhere."""
        return None if self._keeper is None or self.outcome is not None else self._keeper._token

    async def ended(self) -> None:
        """Wait until the job has ended."""
        if self.outcome is not None:
            await trio.lowlevel.checkpoint()
            return
        if self._ended is None:
            self._ended = trio.Event()
        await self._ended.wait()

    async def news(self) -> None:
        """Wait until something is recorded."""
        if self._news is None:
            self._news = trio.lowlevel.ParkingLot()
        await self._news.park()

    @property
    def ends_group(self) -> bool:
        """Whether the job's group does nothing any more but wait for its jobs."""
        return self._keeper is not None and self._keeper._ending

    def claim(self, adopter: Keeper | None) -> None:
        """Leave the failure to a consumer, if the group ends first; see `claims`."""
        if self.claims is None:
            self.claims = []
        self.claims.append(adopter)

    def release(self, adopter: Keeper | None) -> None:
        """Take a claim back."""
        assert self.claims is not None
        self.claims.remove(adopter)

    def pass_on(self, keeper: Keeper) -> None:
        """Belong to another group from now on, which waits for somebody to retrieve the failure."""
        self._keeper, self.kept = keeper, True

    async def retrieve_now(self) -> None:
        """Retrieve the outcome of the finished job, as a checkpoint.

        Other tasks run in a checkpoint, and the job's group may end in one of them.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        self.retrieve()
        await trio.lowlevel.cancel_shielded_checkpoint()

    def retrieve(self) -> Outcome[Any]:
        """Return the outcome of the finished job; from now on it counts as seen.

        Any thread may call this.
        """
        if self.outcome is None:
            raise JobNotDone(f"{self.name} has not ended; await job.wait() first")
        if self._keeper is not None and self.kept:
            self._keeper._retrieved(self)
        return self.outcome

    def unwrap(self) -> Any:
        """Return the finished job's value, or raise what it raised."""
        result = self.retrieve()
        if isinstance(result, Value):
            return result.value
        try:
            # Every raise adds frames to the exception: start from those of the job each time.
            raise self.bare(result)
        finally:
            # The traceback holds this frame, and this frame must not hold the exception.
            del self, result

    def add_note(self, advice: str = "") -> None:
        """Have a traceback of the job's failure say which job it is of.

        Args:
            advice: What else to say.
        """
        add_note(cast("Error", self.outcome).error, f"job #{self.id}: {self.shown}{advice}")

    def bare(self, result: Outcome[Any]) -> BaseException:
        """Return the exception of a failed outcome, as it came from the job."""
        return cast("Error", result).error.with_traceback(self._traceback)

    @trio.lowlevel.enable_ki_protection
    def listen(self, kind: Kind, listener: Listener) -> None:
        """Have ``listener`` called from now on, to the job's end."""
        self.require_run()
        if self.outcome is not None:
            return
        if self._listeners is None:
            self._listeners = {"status": deque(), "output": deque(), "result": deque()}
        listeners = self._listeners[kind]
        if kind == "output" and not listeners:
            outputs = self.timeline.outputs
            self._output_state = outputs.state_before(outputs.end)
        listeners.append(listener)

    def stop_listening(self, listener: Listener) -> None:
        """Forget a listener to the result, if the job still has it."""
        if self._listeners is not None:
            with suppress(ValueError):
                self._listeners["result"].remove(listener)


@final
class OutputIterator(Generic[T]):
    """Iterates over the outputs of one job: from the first that is kept, then as they come.

    A class and not an async generator, so that leaving the loop early leaves nothing behind.
    """

    __slots__ = ("_cursor", "_record")

    def __init__(self, record: JobRecord) -> None:
        self._record: JobRecord | None = record
        self._cursor = OutputCursor(record.timeline)

    @property
    def dropped(self) -> int:
        """How many outputs ``history=`` dropped before this iterator came to them."""
        return self._cursor.dropped

    def __aiter__(self) -> OutputIterator[T]:
        return self

    @trio.lowlevel.enable_ki_protection
    async def __anext__(self) -> T:
        """Return the next output.

        Raises:
            StopAsyncIteration: The job ended well, and this iterator has ended.
            JobCancelled: The job was cancelled.
            Exception: What the job raised.

        Being cancelled while waiting loses nothing: the output stays for the next call.
        """
        record = self._record
        if record is None:
            require_task("a loop over a job")
        else:
            record.require_task()
        if record is None or self._cursor.pending:
            await trio.lowlevel.checkpoint()
        elif record.outcome is not None:
            await record.retrieve_now()
        if record is None:
            raise StopAsyncIteration
        while not self._cursor.pending:
            if record.outcome is not None:
                self._record = None
                try:
                    record.unwrap()
                except StopAsyncIteration as exc:
                    # As Python itself does where a generator raises it: a loop would take it for
                    # the end.
                    raise RuntimeError(f"{record.name} raised StopAsyncIteration") from exc
                finally:
                    del self, record
                raise StopAsyncIteration
            await record.news()
        value: T = self._cursor.take_value()
        return value


@final
class UpdateIterator:
    """Iterates over every message of one job, in the order in which the producer sent them."""

    __slots__ = ("_cursor", "_record")

    def __init__(self, record: JobRecord) -> None:
        self._record = record
        self._cursor = UpdateCursor(record.timeline)

    @property
    def dropped(self) -> int:
        """How many messages ``history=`` dropped before this iterator came to them."""
        return self._cursor.dropped

    def __aiter__(self) -> UpdateIterator:
        return self

    @trio.lowlevel.enable_ki_protection
    async def __anext__(self) -> Update:
        """Return the next message.

        Raises:
            StopAsyncIteration: The job has ended, however it ended.

        Being cancelled while waiting loses nothing: the message stays for the next call.
        """
        self._record.require_task()
        if self._cursor.pending or self._record.outcome is not None:
            await trio.lowlevel.checkpoint()
        while not self._cursor.pending:
            if self._record.outcome is not None:
                raise StopAsyncIteration
            await self._record.news()
        return self._cursor.take()


@final
class Job(Generic[T_co]):
    """A call that runs in a `JobGroup`; `JobGroup.submit` and `Client.submit` make it.

    All it does is to read what was recorded, and to ask for cancellation.
    Any number of tasks may wait for a job and iterate over it, early or late; each sees
    everything, in order.

    ``Job[T]`` has a result of the type T and outputs of that type, as those of an endpoint and of
    a generator are; what a plain function reports may be anything, whatever a type checker takes
    it for.
    """

    __slots__ = ("__weakref__", "_record")

    _record: JobRecord

    def __init__(self) -> None:
        raise TypeError("a Job is made by submit(), never directly")

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
        """Whether the job has ended, however it ended."""
        return self._record.outcome is not None

    @property
    def cancelled(self) -> bool:
        """Whether the job ended by being cancelled."""
        return self._record.outcome is not None and self._record.cancelled

    @property
    def dropped(self) -> int:
        """How many outputs are no longer kept, by ``history=``."""
        return self._record.timeline.outputs.start

    @property
    def outcome(self) -> Outcome[T_co] | None:
        """The `outcome.Value` or `outcome.Error` of the job, or None while it has not ended.

        Each access returns an outcome of its own, as an outcome can be unwrapped only once.
        Reading the outcome of a failed job counts as having seen the failure.
        """
        if not self.done:
            return None
        result = self._record.retrieve()
        if isinstance(result, Value):
            return Value(result.value)
        return Error(self._record.bare(result))

    @property
    def output_count(self) -> int:
        """How many outputs the job has sent so far, those that ``history=`` dropped included."""
        return self._record.timeline.outputs.end

    def exception(self) -> BaseException | None:
        """Return what `result` would raise, or None if the job ended well.

        That is a `JobCancelled` if it was cancelled.  Counts as having seen the failure.

        Raises:
            JobNotDone: The job has not ended.
        """
        result = self._record.retrieve()
        return None if isinstance(result, Value) else self._record.bare(result)

    def status(self) -> StatusUpdate:
        """Return a snapshot of how far the job is."""
        return self._record.status

    def outputs(self) -> list[T_co]:
        """Return the outputs so far, those that ``history=`` keeps.

        Each is a tuple where the endpoint has several outputs.
        A job that doesn't stream has its result as its one output.
        Successive outputs of one stream share structure: treat them as read-only.
        """
        return list(OutputCursor(self._record.timeline).take_all())

    async def wait(self) -> None:
        """Wait until the job has ended, however it ends; its failure stays unretrieved.

        Being cancelled ends the waiting, not the job.

        Raises:
            RuntimeError: This is no task of the job's Trio run.
        """
        self._record.require_task()
        await self._record.ended()

    @trio.lowlevel.enable_ki_protection
    async def result(self, timeout: float | None = None) -> T_co:
        """Wait for the job to end; return its value or raise what it raised.

        Being cancelled ends the waiting, not the job.

        Args:
            timeout: How many seconds to wait at most; None for as long as it takes.

        Returns:
            The job's value, a tuple where an endpoint has several outputs.

        Raises:
            JobTimeout: The job had not ended after ``timeout`` seconds; it goes on.
            JobCancelled: The job was cancelled.
            Exception: What the job raised, such as `AppError`.
            ValueError: ``timeout`` is negative or not a number.
            RuntimeError: The job has not ended, and runs in another Trio run; or this is no Trio
                task.
        """
        record = self._record
        try:
            record.require_task()
            scope = None if timeout is None else trio.move_on_after(timeout)
            if record.outcome is not None:
                await record.retrieve_now()
            elif scope is None:
                await record.ended()
            else:
                with scope:
                    await record.ended()
                if record.outcome is None:
                    raise JobTimeout(
                        f"{record.name} has not ended within {timeout:g} s; it goes on "
                        "(job.cancel() would end it)"
                    )
            value: T_co = record.unwrap()
            return value
        finally:
            # The traceback of what is raised holds this frame, which must not hold the job.
            del self, record

    def __aiter__(self) -> OutputIterator[T_co]:
        """Iterate over the outputs: those that were, then those that come.

        The loop ends with the job: silently if it ended well, by raising its failure or
        `JobCancelled` if not.  Each loop has its own place; leaving one early is fine.
        """
        return OutputIterator(self._record)

    def updates(self) -> UpdateIterator:
        """Iterate over every message: `StatusUpdate`, `OutputUpdate`, `LogMessage`, `RenderUpdate`.

        They come in the order in which they were sent, those that were first.
        The loop ends with the job and raises nothing: watching is not seeing the failure.
        """
        return UpdateIterator(self._record)

    @trio.lowlevel.enable_ki_protection
    def cancel(self, reason: str | None = None) -> None:
        """Cancel the job: its cancel scope here, and its run on the server.

        Returns at once; the job ends at its next checkpoint, for an endpoint at once.
        Does nothing to a job that has ended or was cancelled before.

        Args:
            reason: Why, for `JobCancelled.reason`.

        Raises:
            RuntimeError: The job runs in another Trio run.
        """
        scope = self._record.to_cancel(reason)
        del self  # see there
        if scope is not None:
            scope.cancel(reason=reason)

    def on_status(self, listener: Callable[[StatusUpdate], object]) -> None:
        """Call ``listener(status)`` for each status from now on, the final one included.

        Listeners are plain functions, called in the job's own task or where it reports.
        If one raises, even what is not an `Exception`, it is not called again, and the job's group
        is cancelled and raises that.  The job goes on to its end as any cancelled one does; it
        is recorded, and all other listeners are called.
        """
        self._record.listen("status", _plain(listener))

    def on_output(self, listener: Callable[[T_co], object]) -> None:
        """Call ``listener(output)`` for each output from now on; see `on_status`."""
        self._record.listen("output", _plain(listener))

    def on_result(self, listener: Callable[[Job[T_co]], object]) -> None:
        """Call ``listener(job)`` once, when the job has ended, however it ended; see `on_status`.

        On a job that has ended it is called here and now, and what it raises is raised here.
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
    """Return what a job reads, for the rest of triojob."""
    return job._record


def _plain(listener: Any) -> Listener:
    call = getattr(listener, "__call__", None)  # noqa: B004 - of an object it may be async
    if not callable(listener) or any(
        inspect.iscoroutinefunction(fn)
        or inspect.isasyncgenfunction(fn)
        or inspect.isgeneratorfunction(fn)
        for fn in (listener, call)
    ):
        raise TypeError(
            f"a listener is a plain function, not {listener!r}; "
            "for async work, iterate over job.updates() in a task"
        )
    return cast("Listener", listener)
