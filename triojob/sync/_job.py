"""The job as other threads hold it: a `concurrent.futures.Future`."""

from __future__ import annotations

import atexit
import concurrent.futures
import logging
import os
import threading
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar, final

import trio
from outcome import Outcome, Value

from .._errors import GroupClosed, JobCancelled, JobTimeout
from .._job import Job as TrioJob, JobRecord
from .._logs import log_job
from .._messages import Status
from .._timeline import OutputCursor
from ._portal import Portal, call_elsewhere
from ._waiting import Bell, refuse_in_trio
from .exceptions import translate
from .utils import OutputUpdate, StatusUpdate, UpdateReader, ended, latest, starting

if TYPE_CHECKING:
    from .._call import Call
    from .._group import JobGroup

T = TypeVar("T")

_INSTEAD = "use triojob itself there, and await"


@final
class Job(concurrent.futures.Future[Any]):
    """A call that runs in a Trio thread, for all others; `Client.submit` and `submit` make it.

    It is a future, so `concurrent.futures.wait`, `concurrent.futures.as_completed` and
    `asyncio.wrap_future` take it.  Any number of threads may wait for it.

    ``for output in job`` gives the outputs as they come, and ends with the job, however that ends:
    `result` tells.  A job has one such iteration, which a second loop goes on with.
    In asyncio, ``async for update in job`` gives every `StatusUpdate` and `OutputUpdate`.

    Waiting in a thread that Trio started ends with `trio.Cancelled` when the task that started the
    thread is cancelled.  The job goes on then.
    """

    _name: str
    _portal: Portal
    _group: JobGroup | None
    _at_end: Callable[[], None] | None
    _notice: Callable[[StatusUpdate], None] | None
    _native: TrioJob[Any] | None
    """None until it has begun, in the Trio thread."""
    _record: JobRecord | None
    _ending: threading.Lock
    """Held while it ends, as it does so only once."""
    _callbacks: list[Callable[[Any], object]]
    _asking: int
    """How many threads wait for its result."""
    _asked: bool
    """Whether some did so when it ended."""
    _seen: bool
    _traceback: TracebackType | None
    """Of its exception, without those who have raised it on."""
    _news: Bell
    """Rings with each batch of messages, and at the end."""
    _end: Bell
    """Rings at the end only, so that who waits for that is not woken in vain."""
    _reason: str | None
    """Why it was cancelled."""
    _unseen: bool
    """It failed, and nobody has seen that."""
    _reading: threading.Lock
    """Held while a reader goes on."""
    _iterator: OutputCursor | None
    _listed: OutputCursor | None
    _alone: bool
    """The iteration has come to the end."""
    _values: list[Any]
    """The outputs that `outputs` has built."""
    _updates: UpdateReader | None

    def __init__(self) -> None:
        raise TypeError("a Job is made by submit(), never directly")

    @classmethod
    def _make(
        cls,
        name: str,
        portal: Portal,
        *,
        group: JobGroup | None = None,
        at_end: Callable[[], None] | None = None,
        notice: Callable[[StatusUpdate], None] | None = None,
    ) -> Job:
        """Return a job that is about to begin.

        Args:
            group: A group that raises what nobody sees.
            at_end: Called once when the job has ended, in whatever thread.
            notice: Called with each status that somebody asks for.
        """
        self = cls.__new__(cls)
        super(Job, self).__init__()
        self._name = name
        self._portal = portal
        self._group = group
        self._at_end = at_end
        self._notice = notice
        self._native = None
        self._record = None
        self._ending = threading.Lock()
        self._callbacks = []
        self._asking = 0
        self._asked = self._seen = False
        self._traceback = None
        self._news = Bell()
        self._end = Bell()
        self._reason = None
        self._unseen = False
        self._reading = threading.Lock()
        self._iterator = self._listed = self._updates = None
        self._alone = False
        self._values = []
        portal._hold(self)
        return self

    def send_off(self, call: Call, begin: Callable[[], object]) -> None:
        """Have ``begin()`` called in the Trio thread, which is to begin ``call`` there.

        Raises:
            GroupClosed: That is too late; the job has ended with this error.
        """
        try:
            self._portal._post(begin)
        except GroupClosed as exc:
            call.discard()
            self.orphan(exc, forked=False)
            raise

    # In the Trio thread.

    def begin(self, group: JobGroup, call: Call) -> None:
        """Start ``call`` in ``group``."""
        if self.done():
            call.discard()
            return
        try:
            native = group._start(call)
        except GroupClosed as exc:
            self._finish(None, exc)
            return
        record = native._record
        record.watchers.append(self._news.ring)
        self._native, self._record = native, record
        native.on_result(self._ended)

    def _ended(self, native: TrioJob[Any]) -> None:
        record = native._record
        result = record.outcome
        assert result is not None
        if self._group is None:
            record.retrieve()  # from here on it is for this job to see that it isn't lost
        if record.cancelled:
            self._be_cancelled(record.cancel_reason)
        elif isinstance(result, Value):
            self._finish(result.value, None)
        else:
            error = record.bare(result)
            self._finish(None, translate(error) if isinstance(error, Exception) else error)
            if self._asked:
                # By a thread that comes to it soon: maybe too late for the group, if that ends now.
                record.retrieve()

    def _cancel_native(self) -> None:
        if self._native is not None:
            self._native.cancel(self._reason)

    # In whatever thread.

    def _finish(self, value: Any, error: BaseException | None) -> None:
        with self._ending:
            if self.done():
                return
            if error is None:
                super().set_result(value)
            else:
                # What has begun in a group is for that to raise.
                self._unseen = self._group is None or self._record is None
                self._asked = self._asking > 0
                self._traceback = error.__traceback__
                if self._unseen:
                    _unseen.add(self)
                super().set_exception(error)
        self._after_end()

    def _be_cancelled(self, reason: str | None, tell: Callable[[], object] = lambda: None) -> None:
        """Become a cancelled future and call ``tell``, unless it has ended before."""
        with self._ending:
            if self.done():
                return
            self._reason = reason
            super().cancel()
            super().set_running_or_notify_cancel()  # tells `concurrent.futures.wait` and the like
        tell()
        self._after_end()

    def _after_end(self) -> None:
        self._portal._release(self)
        self._end.ring()
        self._news.ring()
        if self._at_end is not None:
            self._at_end()
            self._at_end = None
        with self._ending:
            callbacks, self._callbacks = self._callbacks, []
        if not callbacks:
            return
        if trio.lowlevel.in_trio_run() and not self._portal.closed:
            # Callbacks may take their time, and wait for other jobs.
            with suppress(RuntimeError):  # the interpreter is about to end
                call_elsewhere(partial(self._call_back, callbacks))
                return
        self._call_back(callbacks)

    def _call_back(self, callbacks: list[Callable[[Any], object]]) -> None:
        for callback in callbacks:
            try:
                callback(self)
            except Exception as exc:  # noqa: BLE001 - it is nobody's but the callback's
                self._log("one of its callbacks raised", exc)

    def orphan(self, error: GroupClosed, *, forked: bool) -> None:
        """End, as the run that would have finished this is gone."""
        if forked:
            # Others that waited are not there any more, and may have held these.
            self._ending = threading.Lock()
            self._reading = threading.Lock()
            self._condition = threading.Condition()
            self._news, self._end = Bell(), Bell()
            self._callbacks.clear()
            self._at_end = None
        self._finish(None, error)
        self._unseen = False  # it may well be seen in the other process

    def _wait(self, timeout: float | None) -> None:
        """Wait until the job has ended by itself, and have its failure count as seen."""
        if not self.done():
            refuse_in_trio("waiting for a job", _INSTEAD)
            with self._ending:
                self._asking += 1
            try:
                self._end.wait_until(self.done, timeout)
            except BaseException:
                with self._ending:
                    self._asking -= 1
                    # It may have ended for the one who asked and now leaves.
                    self._unseen = self._unseen or (self._asked and not self._seen)
                raise
            with self._ending:
                self._asking -= 1
                # That it ended just now must not be missed: it was told that somebody sees it.
                over = self.done()
            if not over:
                raise JobTimeout(
                    f"{self._name} has not ended within {timeout:g} s; it goes on "
                    "(job.cancel() would end it)"
                )
        self._see()
        if self.cancelled():
            raise JobCancelled(f"{self._name} was cancelled", reason=self._reason)

    def _see(self) -> None:
        """Have the failure of this job, which has ended, count as seen."""
        with self._ending:
            self._unseen, self._seen = False, True
        _unseen.discard(self)
        group, record = self._group, self._record
        if group is None or record is None or not (record.failed and record.kept):
            return
        if self._portal.closed:
            return  # the group is in the process that this one was forked from
        with suppress(trio.RunFinishedError):
            if not trio.lowlevel.in_trio_run():
                # Here and now: the group may be about to end, and would raise it.
                trio.from_thread.run_sync(record.retrieve, trio_token=group.trio_token)
            elif trio.lowlevel.current_trio_token() is group.trio_token:
                record.retrieve()
            else:
                group.trio_token.run_sync_soon(record.retrieve)

    def _look(self, fn: Callable[[JobRecord], T]) -> T | None:
        """Return ``fn(record)``, or None if the job has not begun."""
        record = self._record
        if record is None:
            return None
        if (
            self._group is None
            or self._group.history is None
            or self._portal.closed
            or trio.lowlevel.in_trio_run()
        ):
            return fn(record)
        # What is only ever added to can be read in any thread.  This forgets too.
        try:
            return trio.from_thread.run_sync(fn, record, trio_token=self._group.trio_token)
        except trio.RunFinishedError:
            return fn(record)

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
        self._wait(timeout)
        try:
            if self._exception is not None:
                # Every raise adds frames to it: start from those of the job each time.
                raise self._exception.with_traceback(self._traceback)
            return self._result
        finally:
            # The traceback of what is raised holds this frame, which must not hold the job.
            del self

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait for the job to end; return what it raised, or None.

        Raises:
            JobTimeout, JobCancelled, RuntimeError: As for `result`.
        """
        self._wait(timeout)
        return super().exception(0)

    def cancel(self, reason: str | None = None) -> bool:
        """Cancel the job, here at once and on the server soon; return whether it is cancelled.

        False means that it had ended by itself.

        Args:
            reason: Why, for ``JobCancelled.reason``.
        """
        # Before the callbacks, which may take their time.
        self._be_cancelled(reason, self._tell_native)
        return self.cancelled()

    def _tell_native(self) -> None:
        with suppress(GroupClosed):  # then there is nothing left to cancel
            self._portal._post(self._cancel_native)

    def running(self) -> bool:
        """Return whether the job has begun, in its turn, and has not ended."""
        record = self._record
        return not self.done() and record is not None and record.status.code is not Status.STARTING

    def add_done_callback(self, fn: Callable[[Job], object]) -> None:
        """Call ``fn(job)`` once when the job has ended, however it ended.

        It may block: the callbacks of a job run one after the other in a thread of their own, or
        in that which cancels the job.  If the job has ended, ``fn`` is called here and now.
        What it raises is logged.
        """
        with self._ending:
            if not self.done():
                self._callbacks.append(fn)
                return
        self._call_back([fn])

    # What gradio_client adds.

    def status(self) -> StatusUpdate:
        """Return how far the job is, without waiting."""
        if self.cancelled():
            return ended(Status.CANCELLED, success=False)
        if self.done():
            return ended(Status.FINISHED, success=super().exception(0) is None)
        status = self._look(lambda record: latest(record.timeline)) or starting()
        if self._notice is not None:
            self._notice(status)
        return status

    def outputs(self) -> list[Any]:
        """Return the outputs so far, without waiting; the list is the caller's own.

        Each is a tuple where the endpoint has several outputs.  A job that doesn't stream has its
        result as its one output.
        """
        with self._reading:
            self._look(self._list)
            return list(self._values) or self._result_alone()

    def _result_alone(self) -> list[Any]:
        """Return the result of a call that has ended and had no output: it counts as one."""
        if self._group is None and self.done() and not self.cancelled():
            record = self._record
            if record is None or record.timeline.outputs.end == 0:
                return [] if self._exception is not None else [super().result(0)]
        return []

    def _list(self, record: JobRecord) -> None:
        if self._listed is None:
            self._listed = OutputCursor(record.timeline)
        self._values.extend(self._listed.take_all())

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        """Wait for the next output and return it.

        Raises:
            StopIteration: The job has ended, however it ended.
            RuntimeError: This would block a thread that Trio runs in.
        """
        while True:
            over, seen = self.done(), self._recorded()
            with self._reading:
                found = self._look(self._next_output)
                if found is None and over and not self._alone:
                    found = tuple(self._result_alone()) or None
                    self._alone = True
            if found is not None:
                return found[0]
            if over:
                raise StopIteration
            refuse_in_trio("waiting for an output", _INSTEAD)
            self._news.wait_until(partial(self._news_since, seen))

    def _recorded(self) -> int:
        """Return how many messages have been recorded."""
        record = self._record
        return 0 if record is None else record.timeline.outputs.end + record.timeline.notices.end

    def _news_since(self, seen: int) -> bool:
        return self.done() or self._recorded() > seen

    def _next_output(self, record: JobRecord) -> tuple[Any, ...] | None:
        if self._iterator is None:
            self._iterator = OutputCursor(record.timeline)
        return (self._iterator.take().output,) if self._iterator.pending else None

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
            over, seen = self.done(), self._recorded()
            with self._reading:
                update = self._look(self._next_update)
            if update is not None:
                if isinstance(update, OutputUpdate) and update.final and not update.success:
                    self._see()
                return update
            if over:
                raise StopAsyncIteration
            await self._news.wait_in_asyncio(partial(self._news_since, seen))

    def _next_update(self, record: JobRecord) -> StatusUpdate | OutputUpdate | None:
        if self._updates is None:
            self._updates = UpdateReader(record.timeline, lambda: _outcome(record))
        return self._updates.take() if self._updates.pending else None

    def _complain(self) -> None:
        """Log a failure that nobody has seen."""
        if self._unseen:
            self._unseen = False
            self._log("it failed, and nobody asked for its result", self._exception)

    def _log(self, text: str, error: BaseException | None) -> None:
        number = None if self._record is None else self._record.number
        log_job(logging.ERROR, number, self._name, text, error=error)

    def __del__(self) -> None:
        if hasattr(self, "_unseen"):
            self._complain()

    def __repr__(self) -> str:
        return f"<Job {self._name!r} {self.status().code.name}>"


def _outcome(record: JobRecord) -> Outcome[Any] | None:
    return None if record.cancelled else record.outcome


_unseen: weakref.WeakSet[Job] = weakref.WeakSet()
"""The jobs whose failure nobody has seen."""


def _complain_of_all() -> None:
    # Python need not drop everything at exit.
    for job in tuple(_unseen):
        job._complain()


def _leave_to_the_other_process() -> None:
    """In a forked child, log no failure of the process that it was forked from."""
    for job in tuple(_unseen):
        job._unseen = False
    _unseen.clear()


atexit.register(_complain_of_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_to_the_other_process)
