"""The messages of a synchronous job, in gradio_client's format and order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from outcome import Error, Outcome, Value

from .. import _exceptions
from .._core import messages
from .._core.history import History, Update, UpdateCursor
from .._core.messages import LogMessage, OutputUpdate as _Output, ProgressUnit, Status
from ..gradio.protocol.messages import is_tuple
from .exceptions import QueueError, TooManyRequestsError

__all__ = [
    "OutputUpdate",
    "ProgressUnit",
    "QueueError",
    "Status",
    "StatusUpdate",
    "TooManyRequestsError",
]


@dataclass
class StatusUpdate:
    """A snapshot of a job's status; see `triojob.StatusUpdate`.

    Unlike that class, each has the fields of only one message of the server.
    """

    code: Status
    rank: int | None
    """Position in the queue of the server, 0 is next; also 0 when the job has ended."""
    queue_size: int | None
    eta: float | None
    """The estimated seconds until the job ends."""
    success: bool | None
    time: datetime | None
    """When this was received, in local time, without a time zone."""
    progress_data: list[ProgressUnit] | None
    log: tuple[str, str] | None = None
    """Text and level of a log message of the app; ``code`` is ``Status.LOG`` then."""
    type: Literal["status", "output"] = "status"


@dataclass
class OutputUpdate:
    """An output of a job.

    The last one is ``final``; its ``outputs`` is a dictionary with ``data``, the list of all
    outputs, or with ``error`` and further fields that the app sent about it.
    """

    outputs: Any
    success: bool
    type: Literal["output"] = "output"
    final: bool = False


def local(time: datetime) -> datetime:
    """Return a time in gradio_client's format."""
    return time.astimezone().replace(tzinfo=None)


def starting() -> StatusUpdate:
    """Return the status of a job of which nothing is known yet."""
    return StatusUpdate(Status.STARTING, None, None, None, None, local(messages.now()), None)


def ended(code: Status, *, success: bool) -> StatusUpdate:
    """Return the status of a job that has ended."""
    return StatusUpdate(code, 0, None, None, success, local(messages.now()), None)


_LOCAL = (Status.STARTING, Status.JOINING_QUEUE, Status.QUEUE_FULL, Status.CANCELLED)
"""Statuses without a message of the server, which gradio_client does not report."""


def _status(update: messages.StatusUpdate) -> StatusUpdate:
    code = update.code
    return StatusUpdate(
        code=code,
        rank=update.rank,
        queue_size=update.queue_size,
        # The estimate of PROCESSING is for the run, not for the queue.
        eta=update.eta if code is Status.IN_QUEUE else None,
        success=update.success if code is Status.FINISHED else None,
        time=local(update.time),
        # triojob repeats the last progress in later statuses.
        progress_data=update.progress_data if code is Status.PROGRESS else None,
    )


def _log(message: LogMessage) -> StatusUpdate:
    line = (message.text, message.level) if message.text and message.level else None
    return StatusUpdate(Status.LOG, None, None, None, None, local(message.time), None, line)


def _iterating(time: datetime) -> StatusUpdate:
    return StatusUpdate(Status.ITERATING, None, None, None, True, local(time), None)


def latest(history: History) -> StatusUpdate:
    """Return the status of the last message that has one."""
    outputs, notices = history.buffers
    last, came_after = None, -1
    if outputs.end > outputs.start:
        last, came_after = outputs[outputs.end - 1]
    shown: StatusUpdate | None = None
    for position in reversed(range(notices.start, notices.end)):
        notice = notices[position]
        if isinstance(notice, LogMessage):
            # gradio_client has one message per output; triojob reports only the first of a row.
            if shown is None and came_after <= position:
                shown = _log(notice)
        elif isinstance(notice, messages.StatusUpdate):
            if notice.code is Status.ITERATING and last is not None and shown is None:
                return _iterating(last.time)
            if shown is None and notice.code not in _LOCAL:
                shown = _status(notice)
            break
    return shown or starting()


class UpdateReader:
    """A reader's position among the messages of a job.

    Args:
        outcome: Returns the outcome of the job once it has ended; None if it was cancelled.
    """

    def __init__(self, history: History, outcome: Callable[[], Outcome[Any] | None]) -> None:
        self._cursor = UpdateCursor(history)
        self._outcome = outcome
        self._streaming = False
        self._next: tuple[StatusUpdate | OutputUpdate, ...] = ()

    def copy(self) -> UpdateReader:
        """Return another reader at the same position."""
        new = object.__new__(UpdateReader)
        new._cursor, new._outcome = self._cursor.copy(), self._outcome
        new._streaming, new._next = self._streaming, self._next
        return new

    @property
    def pending(self) -> bool:
        """Whether there is a message to take."""
        while not self._next and self._cursor.pending:
            self._next = tuple(self._translate(self._cursor.take()))
        return bool(self._next)

    def take(self) -> StatusUpdate | OutputUpdate:
        """Return the next message, which must be `pending`."""
        update, *rest = self._next
        self._next = tuple(rest)
        return update

    def _translate(self, update: Update) -> Iterator[StatusUpdate | OutputUpdate]:
        if isinstance(update, LogMessage):
            yield _log(update)
        elif isinstance(update, _Output):
            # The only output of a job that doesn't stream is reported at the end.
            if self._streaming:
                yield OutputUpdate(update.output, success=True)
                yield _iterating(update.time)
        elif isinstance(update, messages.StatusUpdate):
            self._streaming = update.code is Status.ITERATING
            if update.code is Status.FINISHED:
                yield from self._end(update)
            elif not (self._streaming or update.code in _LOCAL):
                yield _status(update)

    def _end(self, update: messages.StatusUpdate) -> Iterator[StatusUpdate | OutputUpdate]:
        match self._outcome():
            case Value(value):
                data = list(value) if is_tuple(value) else [value]
                yield _status(update)
                yield OutputUpdate({"data": data}, success=True, final=True)
            case Error(_exceptions.AppError() as error):
                yield _status(update)
                yield OutputUpdate(dict(error.details), success=False, final=True)
            case _:
                # It has not ended on the server, so gradio_client does not report it.
                return
