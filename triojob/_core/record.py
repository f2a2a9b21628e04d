"""The state of one job: status, history, outcome, and whether the outcome is retrieved.

A `JobRunner` writes it, in the job's own task; `Job` only reads it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import datetime
from types import TracebackType
from typing import Any, Protocol, cast

import trio
from outcome import Error, Outcome, Value

from .._exceptions import JobNotDone, add_note
from .history import History
from .messages import Status, StatusUpdate
from .observers import Kind, Listener, Observers
from .runs import require_run, require_task

_ids = itertools.count(1)


class Owner(Protocol):
    """The interface of a group that its jobs need."""

    _token: trio.lowlevel.TrioToken | None
    """The token of the Trio run in which the group lives."""
    _ending: bool
    """Whether the body of the group is over: the group ends with its last job."""

    def _on_ended(self, record: JobRecord) -> None:
        """Count a job whose outcome was just recorded; its callbacks have not been called."""

    def _on_retrieved(self, record: JobRecord) -> None:
        """Mark the outcome of the job as retrieved; safe to call from any thread."""

    def _cancel_and_raise(self, error: BaseException) -> None:
        """Cancel the group, and raise the exception of a callback at its end."""


class JobRecord:
    """The state of one job, written by the job's own task alone.

    Args:
        name: The name of the endpoint or function, for messages.
        history: How many outputs, and how many other messages, to keep; None for all.
        owner: The job's group; None for a call without a `Job`, of which only the end is
            recorded.
    """

    __slots__ = (
        "_traceback",
        "cancel_reason",
        "cancel_source",
        "cancelled",
        "claims",
        "description",
        "emit",
        "history",
        "id",
        "name",
        "observers",
        "outcome",
        "owner",
        "scope",
        "since",
        "status",
        "unretrieved",
        "url",
    )

    def __init__(self, name: str, history: int | None, owner: Owner | None = None) -> None:
        self.name: str = name
        self.description: str = name
        """The call with its arguments, set when it fails."""
        self.id: int = next(_ids)
        self.url: str | None = None
        """The URL of the app that is called, if any."""
        self.scope: trio.CancelScope = trio.CancelScope()
        self.status: StatusUpdate = StatusUpdate(Status.STARTING)
        self.since: datetime = self.status.time
        self.history: History = History(history)
        if owner is not None:
            self.history.add_notice(self.status)
        self.outcome: Outcome[Any] | None = None
        self._traceback: TracebackType | None = None
        self.cancelled: bool = False
        self.cancel_reason: str | None = None
        self.cancel_source: str | None = None
        """The kind of an outer cancellation, as Trio reports it; None if there was none."""
        self.observers: Observers | None = None
        """The observers of the job, once there are any."""
        self.emit: Callable[..., None] | None = None
        """Calls the instruments of the group, with the name of a method and its arguments.

        If there is an owner, it raises nothing, like the other callbacks."""
        self.owner: Owner | None = owner
        self.unretrieved: bool = owner is not None
        """Whether the owner waits for somebody to retrieve the outcome."""
        self.claims: list[Owner | None] | None = None
        """One item for each consumer, such as `gather`, that will retrieve the outcome.

        If the job's group ends first, the failure moves to the group that is the first item; None
        means that no group raises it."""

    # The record.

    @property
    def last_activity(self) -> datetime:
        """When the last message arrived."""
        status, outputs = self.status, self.history.outputs
        times = [status.time] if status.log is None else [status.time, status.log.time]
        if outputs.end > outputs.start:
            times.append(outputs[outputs.end - 1][0].time)
        return max(times)

    @property
    def failed(self) -> bool:
        """Whether the job ended with a failure; a cancellation is not a failure."""
        return isinstance(self.outcome, Error) and not self.cancelled

    def set_outcome(self, result: Outcome[Any]) -> None:
        """Record the outcome of the job."""
        if isinstance(result, Error):
            self._traceback = result.error.__traceback__
        self.outcome = result

    def add_note(self, advice: str = "") -> None:
        """Add a note to the failure, so that its traceback names the job.

        Args:
            advice: Further text of the note.
        """
        add_note(cast("Error", self.outcome).error, f"job #{self.id}: {self.description}{advice}")

    def __str__(self) -> str:
        return f"job #{self.id} {self.name}"

    # Checks of the calling thread and task.

    @property
    def _token(self) -> trio.lowlevel.TrioToken | None:
        """The token of the job's Trio run, or None once the job has ended: it works anywhere."""
        return None if self.owner is None or self.outcome is not None else self.owner._token

    def require_run(self) -> None:
        """Refuse to change a job of another Trio run.

        Raises:
            RuntimeError: This is not the thread of the job's run.
        """
        if self._token is not None:
            require_run(self, self._token)

    def require_task(self) -> None:
        """Refuse to wait outside a Trio task, or for a job of another run.

        Raises:
            RuntimeError: This is not a task of the job's run.
        """
        require_task(self, self._token)

    def to_cancel(self, reason: str | None) -> trio.CancelScope | None:
        """Record the reason of a cancellation; return the scope to cancel, unless it is too late.

        Trio's `Cancelled` holds the frame that called `CancelScope.cancel` and the frames above it.
        The job can keep that exception, so no frame of triojob that holds the job must be among
        them.
        """
        self.require_run()
        if self.outcome is not None or self.scope.cancel_called:
            return None
        self.cancel_reason = reason
        return self.scope

    # Observers.

    def observe(self) -> Observers:
        """Return the observers of the job, to add one."""
        if self.observers is None:
            assert self.owner is not None
            self.observers = Observers(self.owner._cancel_and_raise)
        return self.observers

    @trio.lowlevel.enable_ki_protection
    def listen(self, kind: Kind, listener: Listener) -> None:
        """Call ``listener`` from now on, until the job ends."""
        self.require_run()
        if self.outcome is None:
            self.observe().listen(kind, listener, self.history.outputs)

    def stop_listening(self, listener: Listener) -> None:
        """Remove a listener to the result, if it is still registered."""
        if self.observers is not None:
            self.observers.stop_listening(listener)

    async def wait_ended(self) -> None:
        """Wait until the job has ended."""
        if self.outcome is not None:
            await trio.lowlevel.checkpoint()
        else:
            await self.observe().wait_ended()

    async def wait_changed(self) -> None:
        """Wait until something is recorded."""
        await self.observe().wait_changed()

    # Retrieval of the outcome.

    @property
    def ends_group(self) -> bool:
        """Whether the body of the job's group is over: the group only waits for its jobs."""
        return self.owner is not None and self.owner._ending

    def claim(self, adopter: Owner | None) -> None:
        """Hand the failure over to a consumer, if the group ends first; see `claims`."""
        if self.claims is None:
            self.claims = []
        self.claims.append(adopter)

    def release(self, adopter: Owner | None) -> None:
        """Withdraw a claim."""
        assert self.claims is not None
        self.claims.remove(adopter)

    def pass_on(self, owner: Owner) -> None:
        """Move to another group, which then waits for somebody to retrieve the failure."""
        self.owner, self.unretrieved = owner, True

    async def retrieve_now(self) -> None:
        """Retrieve the outcome of the finished job, as a checkpoint.

        Retrieve it before the checkpoint: other tasks run in it, and the job's group can end there.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        self.retrieve()
        await trio.lowlevel.cancel_shielded_checkpoint()

    def retrieve(self) -> Outcome[Any]:
        """Return the outcome of the finished job, and mark it as retrieved.

        Safe to call from any thread.
        """
        if self.outcome is None:
            raise JobNotDone(f"{self.name} has not ended; await job.wait() first")
        if self.owner is not None and self.unretrieved:
            self.owner._on_retrieved(self)
        return self.outcome

    def unwrap(self) -> Any:
        """Return the finished job's value, or raise its exception."""
        result = self.retrieve()
        if isinstance(result, Value):
            return result.value
        try:
            # Every raise adds frames to the exception: start from the job's own frames each time.
            raise self.original_exception(result)
        finally:
            del self, result  # see raise_first

    def original_exception(self, result: Outcome[Any]) -> BaseException:
        """Return the exception of a failed outcome, with its original traceback."""
        return cast("Error", result).error.with_traceback(self._traceback)
