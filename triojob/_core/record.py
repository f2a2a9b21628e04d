"""What is known of one job: its state, its history, its outcome, and who retrieves that.

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
    """What a job needs of its group."""

    _token: trio.lowlevel.TrioToken | None
    """Of the Trio run that it lives in."""
    _ending: bool
    """Whether the body of the group is over: it ends with its last job."""

    def _on_ended(self, record: JobRecord) -> None:
        """Count a job whose outcome was just recorded; its callbacks have not been called."""

    def _on_retrieved(self, record: JobRecord) -> None:
        """Note that somebody has retrieved how the job ended; any thread may say so."""

    def _cancel_and_raise(self, error: BaseException) -> None:
        """Raise at the end of the group what a callback raised, and cancel the group."""


class JobRecord:
    """The state of one job, written by the job's own task alone.

    Args:
        name: What is called, for people.
        history: How many outputs, and how many other messages, to keep; None for all.
        owner: The job's group; None for a call that nobody holds a `Job` of: only its end is
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
        """The call with its arguments, once it has failed."""
        self.id: int = next(_ids)
        self.url: str | None = None
        """The app that is called, if one is."""
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
        """What kind of cancellation came from further out, as Trio says it; None if none did."""
        self.observers: Observers | None = None
        """Those who are told of the job, once there are any."""
        self.emit: Callable[..., None] | None = None
        """Tells the instruments of the group: called with the name of a method and arguments.

        It raises nothing where there is an owner, as no other callback does."""
        self.owner: Owner | None = owner
        self.unretrieved: bool = owner is not None
        """Whether the owner waits for somebody to retrieve how the job ended."""
        self.claims: list[Owner | None] | None = None
        """One item for each consumer, such as `gather`, that will retrieve the outcome.

        If the job's group ends first, the failure moves to the group that is the first item; None
        means that no group raises it."""

    # What is recorded.

    @property
    def last_activity(self) -> datetime:
        """When its last message came."""
        status, outputs = self.status, self.history.outputs
        times = [status.time] if status.log is None else [status.time, status.log.time]
        if outputs.end > outputs.start:
            times.append(outputs[outputs.end - 1][0].time)
        return max(times)

    @property
    def failed(self) -> bool:
        """Whether the job ended with a failure, which a cancellation is not."""
        return isinstance(self.outcome, Error) and not self.cancelled

    def set_outcome(self, result: Outcome[Any]) -> None:
        """Record how the job ended."""
        if isinstance(result, Error):
            self._traceback = result.error.__traceback__
        self.outcome = result

    def add_note(self, advice: str = "") -> None:
        """Have a traceback of the job's failure say which job it is of.

        Args:
            advice: What else to say.
        """
        add_note(cast("Error", self.outcome).error, f"job #{self.id}: {self.description}{advice}")

    def __str__(self) -> str:
        return f"job #{self.id} {self.name}"

    # Where it may be used.

    @property
    def _token(self) -> trio.lowlevel.TrioToken | None:
        """That of the job's Trio run, or None for one that has ended: it is safe everywhere."""
        return None if self.owner is None or self.outcome is not None else self.owner._token

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

    # Who is told of it.

    def observe(self) -> Observers:
        """Return those who are told of the job, to be one of them."""
        if self.observers is None:
            assert self.owner is not None
            self.observers = Observers(self.owner._cancel_and_raise)
        return self.observers

    @trio.lowlevel.enable_ki_protection
    def listen(self, kind: Kind, listener: Listener) -> None:
        """Have ``listener`` called from now on, to the job's end."""
        self.require_run()
        if self.outcome is None:
            self.observe().listen(kind, listener, self.history.outputs)

    def stop_listening(self, listener: Listener) -> None:
        """Forget a listener to the result, if the job still has it."""
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

    # Who retrieves how it ended.

    @property
    def ends_group(self) -> bool:
        """Whether the job's group does nothing any more but wait for its jobs."""
        return self.owner is not None and self.owner._ending

    def claim(self, adopter: Owner | None) -> None:
        """Leave the failure to a consumer, if the group ends first; see `claims`."""
        if self.claims is None:
            self.claims = []
        self.claims.append(adopter)

    def release(self, adopter: Owner | None) -> None:
        """Take a claim back."""
        assert self.claims is not None
        self.claims.remove(adopter)

    def pass_on(self, owner: Owner) -> None:
        """Belong to another group from now on, which waits for somebody to retrieve the failure."""
        self.owner, self.unretrieved = owner, True

    async def retrieve_now(self) -> None:
        """Retrieve the outcome of the finished job, as a checkpoint.

        Other tasks run in a checkpoint, and the job's group may end in one of them.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        self.retrieve()
        await trio.lowlevel.cancel_shielded_checkpoint()

    def retrieve(self) -> Outcome[Any]:
        """Return the outcome of the finished job; from now on it counts as retrieved.

        Any thread may call this.
        """
        if self.outcome is None:
            raise JobNotDone(f"{self.name} has not ended; await job.wait() first")
        if self.owner is not None and self.unretrieved:
            self.owner._on_retrieved(self)
        return self.outcome

    def unwrap(self) -> Any:
        """Return the finished job's value, or raise what it raised."""
        result = self.retrieve()
        if isinstance(result, Value):
            return result.value
        try:
            # Every raise adds frames to the exception: start from those of the job each time.
            raise self.original_exception(result)
        finally:
            del self, result  # see raise_first

    def original_exception(self, result: Outcome[Any]) -> BaseException:
        """Return the exception of a failed outcome, as it came from the job."""
        return cast("Error", result).error.with_traceback(self._traceback)
