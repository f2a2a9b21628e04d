"""The frozen messages that a job's memory channel carries, in the order they were sent.

`StatusUpdate`, `OutputUpdate`, `LogMessage` and `RenderUpdate` are public.
`Output`, `Finished` and `Interrupt` are for the job's own task: an output, the end, and a request
to stop receiving for a moment.
`Output` is an interface, because a streamed output is best kept as the edit that the server sent.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, Protocol

import outcome


@enum.unique
class Status(enum.Enum):
    """The status of a job; the members, their names and their order are gradio_client's.

    Members compare by progress: ``Status.IN_QUEUE < Status.FINISHED``.
    ``LOG`` is not part of that order (a log message says nothing about progress), so comparing
    it raises `TypeError`; triojob never reports it as the code of a job, see `StatusUpdate.log`.
    """

    STARTING = "STARTING"
    """Submitted, and waiting in your program: for the group's limit, or for a stream."""
    JOINING_QUEUE = "JOINING_QUEUE"
    """Sent to the server, which has not responded yet."""
    QUEUE_FULL = "QUEUE_FULL"
    """Refused: the server's queue is full."""
    IN_QUEUE = "IN_QUEUE"
    """Waiting in the server's queue; `StatusUpdate.rank` is its position."""
    SENDING_DATA = "SENDING_DATA"
    """The server has requested the input (Gradio 3 and 4.0 to 4.8 only)."""
    PROCESSING = "PROCESSING"
    """Running."""
    PROGRESS = "PROGRESS"
    """Running, and has reported progress."""
    ITERATING = "ITERATING"
    """Running, and has yielded an output."""
    FINISHED = "FINISHED"
    """Ended by itself; `StatusUpdate.success` says whether it succeeded."""
    CANCELLED = "CANCELLED"
    """Ended by a cancellation."""
    LOG = "LOG"
    """gradio_client's code for a log message; kept for code that uses gradio_client's names."""

    @property
    def _place(self) -> int:
        if self is Status.LOG:
            raise TypeError("Status.LOG can't be compared: it is not a stage of a job")
        return _PLACES[self]

    def __lt__(self, other: object) -> bool:
        return self._place < other._place if isinstance(other, Status) else NotImplemented

    def __le__(self, other: object) -> bool:
        return self._place <= other._place if isinstance(other, Status) else NotImplemented

    def __gt__(self, other: object) -> bool:
        return self._place > other._place if isinstance(other, Status) else NotImplemented

    def __ge__(self, other: object) -> bool:
        return self._place >= other._place if isinstance(other, Status) else NotImplemented


_PLACES = {status: place for place, status in enumerate(Status)}


def now() -> datetime:
    """Return the current time with its time zone, the timestamp of every message."""
    return datetime.now(timezone.utc)


@dataclass(frozen=True, slots=True)
class ProgressUnit:
    """One line of progress, as a ``gr.Progress`` tracker or `report` sends it.

    Wire source: ``progress`` message, ``progress_data`` (gradio 6.31, ``server_messages.py``).
    """

    index: float | None = None
    """How many units are done (`int` or `float`), or None."""
    length: float | None = None
    """How many units there are in all (`int` or `float`), or None if unknown."""
    unit: str | None = "steps"
    """The name of the units."""
    progress: float | None = None
    """The completed share, 0 to 1, or None if index and length determine it."""
    desc: str | None = None
    """A description of the current work."""


@dataclass(frozen=True, slots=True)
class LogMessage:
    """A line that the app logged for its user: ``gr.Info``, ``gr.Warning``, ``gr.Success``."""

    text: str
    level: str = "info"
    """``"info"``, ``"warning"``, ``"success"`` or ``"error"``."""
    title: str | None = None
    duration: float | None = None
    """How long the app's page shows it, in seconds, or None to show it until it is closed."""
    visible: bool = True
    time: datetime = field(default_factory=now, compare=False)


@dataclass(frozen=True, slots=True)
class RenderUpdate:
    """A part of the app's page that the call has rendered again: ``gr.render``.

    Its functions exist in the session of the call only; `ClientSession.endpoint` finds them.
    """

    config: dict[str, Any]
    """As the server sent it: ``components``, ``dependencies`` (the functions), ``layout``, more."""
    time: datetime = field(default_factory=now, compare=False)


@dataclass(frozen=True, slots=True)
class StatusUpdate:
    """A snapshot of a job's status.

    A field keeps its value until a later message changes it, except for ``rank``,
    ``queue_size`` and ``eta``, which belong to the message that ``code`` comes from.
    """

    code: Status
    rank: int | None = None
    """Position in the queue of the server, 0 is next; None when not queued."""
    queue_size: int | None = None
    """Number of events in the queue of the server, or None."""
    success: bool | None = None
    """Whether the job succeeded; None while it has not ended."""
    time: datetime = field(default_factory=now, compare=False)
    """When this was recorded (aware, UTC)."""
    eta: float | None = None
    """Seconds until the job ends, as the server estimates, or None."""
    progress_data: list[ProgressUnit] | None = None
    """Progress, outermost unit first; None if the function has no progress tracker."""
    log: LogMessage | None = None
    """The last line that the app logged, or None."""


@dataclass(frozen=True, slots=True)
class OutputUpdate:
    """One output of a job, as `Job.updates` shows it.

    Successive outputs of one stream share structure: treat them as read-only.
    """

    output: Any
    index: int
    """The index of the output, from 0."""
    time: datetime = field(default_factory=now, compare=False)


UNKNOWN: Any = object()
"""The state after an output that does not contain the state itself."""


class Output(Protocol):
    """One output as the channel carries it: a change of the previous state, not a value.

    A stream of n growing outputs then costs only as much as its edits.
    Values are built on demand, each from the previous state.
    """

    @property
    def time(self) -> datetime:
        """When it was received."""
        ...

    @property
    def known_state(self) -> Any:
        """The state after this output if it does not depend on other outputs, else `UNKNOWN`."""
        ...

    def advance(self, state: Any, /) -> Any:
        """Return the state after this output; ``state``, the previous one, stays unchanged."""

    def show(self, state: Any, /) -> Any:
        """Return the value that the user sees, from ``state``, the state after this output."""


@dataclass(frozen=True, slots=True)
class WholeOutput:
    """An output that arrived as a value, as all outputs of local functions do."""

    value: Any
    time: datetime = field(default_factory=now, compare=False)

    @property
    def known_state(self) -> Any:
        return self.value

    def advance(self, _state: Any, /) -> Any:
        return self.value

    def show(self, state: Any, /) -> Any:
        return state


@dataclass(frozen=True, slots=True)
class Finished:
    """The last message of a job: its outcome."""

    outcome: outcome.Outcome[Any]
    cancelled: bool = False
    """Whether the outcome is a cancellation by the server."""


@dataclass(frozen=True, slots=True)
class Interrupt:
    """Interrupts the receiving, so that the call can do something else."""


Message = StatusUpdate | LogMessage | RenderUpdate | Output | Finished | Interrupt
