"""What a job's memory channel carries: frozen messages, in the order they were sent.

`StatusUpdate`, `OutputUpdate`, `LogMessage` and `RenderUpdate` are public.
`Output`, `Finished` and `Interrupt` tell the job's own task of an output, of the end, and of
something to do beside receiving;
`Output` is an interface, because a streamed output is best kept as the edit that it came as.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, Protocol

import outcome


@enum.unique
class Status(enum.Enum):
    """How far a job is; the members, their names and their order are gradio_client's.

    Members compare by progress: ``Status.IN_QUEUE < Status.FINISHED``.
    ``LOG`` has no place in that order (a log message says nothing about progress), so comparing
    it raises `TypeError`; triojob never reports it as a job's code, see `StatusUpdate.log`.
    """

    STARTING = "STARTING"
    """Made here, waiting on this side: for its turn in the group, or for a stream."""
    JOINING_QUEUE = "JOINING_QUEUE"
    """Sent to the server, which has not answered yet."""
    QUEUE_FULL = "QUEUE_FULL"
    """Refused: the server's queue is full."""
    IN_QUEUE = "IN_QUEUE"
    """Waiting in the server's queue; `StatusUpdate.rank` says where."""
    SENDING_DATA = "SENDING_DATA"
    """Asked by the server for its input (Gradio 3 and 4.0 to 4.8 only)."""
    PROCESSING = "PROCESSING"
    """Running."""
    PROGRESS = "PROGRESS"
    """Running, and has told of its progress."""
    ITERATING = "ITERATING"
    """Running, and has yielded an output."""
    FINISHED = "FINISHED"
    """Ended by itself; `StatusUpdate.success` says how."""
    CANCELLED = "CANCELLED"
    """Ended by a cancellation."""
    LOG = "LOG"
    """gradio_client's code for a log message; here for its users' sake."""

    @property
    def _place(self) -> int:
        if self is Status.LOG:
            raise TypeError("Status.LOG has no place in the order of progress")
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
    """Return the wall-clock time, with its time zone, as every message is stamped."""
    return datetime.now(timezone.utc)


@dataclass(frozen=True, slots=True)
class ProgressUnit:
    """One line of progress, as a ``gr.Progress`` tracker or `report` tells it.

    Wire source: ``progress`` message, ``progress_data`` (gradio 6.31, ``server_messages.py``).
    """

    index: float | None = None
    """How many units are done (`int` or `float`), or None."""
    length: float | None = None
    """How many units there are in all (`int` or `float`), or None if unknown."""
    unit: str | None = "steps"
    """What the units are."""
    progress: float | None = None
    """The share that is done, 0 to 1, or None where index and length tell it."""
    desc: str | None = None
    """What is being done."""


@dataclass(frozen=True, slots=True)
class LogMessage:
    """A line that the app logged for its user: ``gr.Info``, ``gr.Warning``, ``gr.Success``."""

    text: str
    level: str = "info"
    """``"info"``, ``"warning"``, ``"success"`` or ``"error"``."""
    title: str | None = None
    duration: float | None = None
    """For how many seconds the app's page shows it, or None for until it is closed."""
    visible: bool = True
    time: datetime = field(default_factory=now, compare=False)


@dataclass(frozen=True, slots=True)
class RenderUpdate:
    """A part of the app's page that the call has made anew: ``gr.render``.

    Its functions exist in the session of the call only; `ClientSession.endpoint` finds them.
    """

    config: dict[str, Any]
    """The server's words: ``components``, ``dependencies`` (the functions), ``layout`` and more."""
    time: datetime = field(default_factory=now, compare=False)


@dataclass(frozen=True, slots=True)
class StatusUpdate:
    """A snapshot of how far a job is.

    Fields keep what they last were until a later message says otherwise, but for ``rank``,
    ``queue_size`` and ``eta``, which are of the message that ``code`` comes from.
    """

    code: Status
    rank: int | None = None
    """Place in the server's queue, 0 is next; None when not queued."""
    queue_size: int | None = None
    """How many events wait in the server's queue, or None."""
    success: bool | None = None
    """Whether the job ended well; None while it has not ended."""
    time: datetime = field(default_factory=now, compare=False)
    """When this was recorded (aware, UTC)."""
    eta: float | None = None
    """Seconds until the job is done, as the server estimates, or None."""
    progress_data: list[ProgressUnit] | None = None
    """Progress, outermost unit first; None where the handler has no progress tracker."""
    log: LogMessage | None = None
    """The last line that the app logged, or None."""


@dataclass(frozen=True, slots=True)
class OutputUpdate:
    """One output of a job, as `Job.updates` shows it.

    Successive outputs of one stream share structure: treat them as read-only.
    """

    output: Any
    index: int
    """Which output of the job it is, from 0."""
    time: datetime = field(default_factory=now, compare=False)


UNKNOWN: Any = object()
"""Stands for the state after an output that doesn't tell it by itself."""


class Output(Protocol):
    """One output as the channel carries it: what to do to the state before it, not the value.

    A stream of n growing outputs then costs what its edits cost.
    Values are built when somebody asks, each from the state of the one before.
    """

    @property
    def time(self) -> datetime:
        """When it was received."""
        ...

    @property
    def known_state(self) -> Any:
        """The state after this output if no other one is needed to tell, else `UNKNOWN`."""
        ...

    def advance(self, state: Any, /) -> Any:
        """Return the state after this output, given the one before it, which is left as it was."""

    def show(self, state: Any, /) -> Any:
        """Return what the user sees of ``state``, the state after this output."""


@dataclass(frozen=True, slots=True)
class WholeOutput:
    """An output that came as a value: all outputs of functions that run here are such."""

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
    """The outcome is a cancellation that came from the other side."""


@dataclass(frozen=True, slots=True)
class Interrupt:
    """Interrupts the receiving: the call has something to do beside it."""


Message = StatusUpdate | LogMessage | RenderUpdate | Output | Finished | Interrupt
