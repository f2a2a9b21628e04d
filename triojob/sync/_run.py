"""The Trio side of a job: starts its call there, and ends the job for other threads."""

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
    """Runs the call of one job in a Trio run, and writes the job's `SharedState`."""

    def __init__(self, state: SharedState, entry: RunEntry) -> None:
        self._state = state
        self._entry = entry

    # From any thread.

    def schedule(self, call: Call, start: Callable[[], object]) -> None:
        """Schedule ``start()`` in the Trio thread, which must `start` ``call`` there.

        Raises:
            GroupClosed: The run has ended; the job has ended with this error.
            BaseException: An interrupt came; the job is cancelled, as the caller never gets it.
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
                # If ``start`` was posted, it has run before this.
                self._entry.post(partial(self._discard, call))
            raise

    def cancel(self, reason: str | None) -> None:
        """Cancel the job, unless it has ended: for threads immediately, in the Trio run soon."""
        if self._state.done:
            return
        end = JobEnd(cancelled=True, reason=reason)
        # First, because an interrupt can come next: the Trio thread then does everything else.
        try:
            self._entry.post(partial(self._cancel_native, end))
        except GroupClosed:  # the run has ended, so there is nothing left to cancel
            call_elsewhere(partial(self._finish, end))
        self._state.end.set(end)
        self._state.waiters.wake()

    def orphan(self, error: GroupClosed, *, forked: bool) -> None:
        """End the job, because its run has ended."""
        if forked:
            self._state.forget_waiters()
        # Not logged: the other process might retrieve it.
        self._finish(JobEnd.failed(error))

    # In the Trio thread only.

    def start(self, group: JobGroup, call: Call) -> NativeJob | None:
        """Start ``call`` in ``group``; return its native job, or None if it is too late."""
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
            native.retrieve()  # from now on this job must ensure that the failure is not lost
        self._finish(native.end(), logged=not of_group)
        if self._state.failure.due:
            native.retrieve()

    def _cancel_native(self, end: JobEnd) -> None:
        state = self._state
        state.end.set(end)  # an interrupt can prevent the cancelling thread from setting it
        if state.native is not None and state.cancelled:
            state.native.cancel(end.reason)
        self._announce()

    def _discard(self, call: Call) -> None:
        if self._state.native is None:
            call.discard()

    # From any thread.

    def _finish(self, end: JobEnd, *, logged: bool = False) -> None:
        """Record the outcome of the job, unless it has ended, and notify all waiters.

        Args:
            logged: Whether to log an unretrieved failure.
        """
        state = self._state
        won = state.end.set(end)
        # Waiting threads retrieve it, but possibly too late for the group, if the group ends now.
        if won and end.error is not None and (logged or state.waiters.results):
            state.failure.require(end.error, job=state.name, number=state.number)
        self._announce()

    def _announce(self) -> None:
        self._entry.release(self)
        self._state.waiters.announce_end()
