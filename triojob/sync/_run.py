"""The Trio side of a job: starts its call there, and ends the job for the threads."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import final

from .._core.call import Call
from .._core.group import JobGroup, start_call
from .._exceptions import GroupClosed
from ._ending import JobEnd
from ._entry import RunEntry
from ._native import NativeJob
from ._state import SharedState
from ._threads import call_elsewhere


@final
class JobRun:
    """Runs the call of one job in a Trio run, and writes what threads share of that job."""

    def __init__(self, state: SharedState, entry: RunEntry) -> None:
        self._state = state
        self._entry = entry

    # In any thread.

    def schedule(self, call: Call, start: Callable[[], object]) -> None:
        """Have ``start()`` called in the Trio thread, which is to `start` ``call`` there.

        Raises:
            GroupClosed: That is too late; the job has ended with this error.
            BaseException: An interrupt came, and the job is cancelled: nobody else could do that.
        """
        try:
            self._entry.hold(self)
            self._entry.post(start)
        except GroupClosed as exc:
            call.discard()
            self.orphan(exc, forked=False)
            raise
        except BaseException:
            self.cancel("interrupted as it was submitted")
            with suppress(GroupClosed):
                # It has begun by then if it was posted.
                self._entry.post(partial(self._discard, call))
            raise

    def cancel(self, reason: str | None) -> None:
        """Cancel the job, unless it has ended: for the threads at once, in the Trio run soon."""
        if self._state.done:
            return
        end = JobEnd(cancelled=True, reason=reason)
        # First, as an interrupt may come next: all else is then done by the Trio thread.
        try:
            self._entry.post(partial(self._cancel_native, end))
        except GroupClosed:  # then there is nothing left to cancel
            call_elsewhere(partial(self._finish, end))
        self._state.end.set(end)
        self._state.waiters.wake()

    def orphan(self, error: GroupClosed, *, forked: bool) -> None:
        """End, as the run that would have finished this is gone."""
        if forked:
            self._state.forget_waiters()
        # No log: it may well be retrieved in the other process.
        self._finish(JobEnd.failed(error))

    # In the Trio thread.

    def start(self, group: JobGroup, call: Call) -> NativeJob | None:
        """Start ``call`` in ``group``; return its job there, or None if it is too late."""
        state = self._state
        if state.done:
            call.discard()
            return None
        try:
            job = start_call(group, call)
        except GroupClosed as exc:
            self._finish(JobEnd.failed(exc), logged=True)
            return None
        native = NativeJob(job)
        native.on_change(state.waiters.changed.notify_all)
        state.native = native
        native.on_end(partial(self._native_ended, native))
        return native

    def _native_ended(self, native: NativeJob) -> None:
        of_group = self._state.of_group
        if not of_group:
            native.retrieve()  # from here on it is for this job to see that it isn't lost
        self._finish(native.end(), logged=not of_group)
        if self._state.failure.due:
            native.retrieve()

    def _cancel_native(self, end: JobEnd) -> None:
        state = self._state
        state.end.set(end)  # an interrupt may have kept the thread that cancels from doing so
        if state.native is not None and state.cancelled:
            state.native.cancel(end.reason)
        self._announce()

    def _discard(self, call: Call) -> None:
        if self._state.native is None:
            call.discard()

    # In whatever thread.

    def _finish(self, end: JobEnd, *, logged: bool = False) -> None:
        """End the job so, unless it has ended, and have all who wait know of it.

        Args:
            logged: Whether a failure that nobody retrieves is logged.
        """
        state = self._state
        won = state.end.set(end)
        # Who waits by now retrieves it, but maybe too late for the group, if that ends at once.
        if won and end.error is not None and (logged or state.waiters.results):
            state.failure.require(end.error, job=state.name, number=state.number)
        self._announce()

    def _announce(self) -> None:
        self._entry.release(self)
        self._state.waiters.announce_end()
