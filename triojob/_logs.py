"""What the logger ``triojob`` says of jobs: each line has the job's number, in its text and apart.

No line holds arguments, outputs or the words of an exception: they may be nobody else's business.
"""

from __future__ import annotations

import logging
from contextvars import ContextVar
from typing import TYPE_CHECKING

import trio
from outcome import Error

from ._errors import JobCancelled

if TYPE_CHECKING:
    from ._job import JobRecord

logger = logging.getLogger("triojob")

current_call: ContextVar[tuple[int, str] | None] = ContextVar("current_call", default=None)
"""Number and name of the call for which the current task talks to the server, and for no other."""


def log_job(
    level: int,
    number: int | None,
    name: str,
    text: str,
    *args: object,
    error: BaseException | None = None,
) -> None:
    """Log a line about a job, with the attributes ``job`` and ``endpoint``.

    Args:
        number: The job's, or None where it is not known.
        name: What it calls.
        text: What happened, with places for ``args``.
        error: An exception to show with it.
    """
    if not logger.isEnabledFor(level):
        return
    who, whose = ("%s: ", (name,)) if number is None else ("#%d %s: ", (number, name))
    logger.log(
        level,
        who + text,  # noqa: G003 - both have places for arguments
        *whose,
        *args,
        exc_info=error,
        extra={"job": number, "endpoint": name},
        stacklevel=2,
    )


_TRIOS_REASONS: dict[str | None, str] = {
    "deadline": "the deadline of what is around it has passed",
    # Trio's own reason has the words of the exception.
    "nursery": "what is around it has failed",
}


class JobLog:
    """Tells the log of one job's life; made only where that is asked for."""

    __slots__ = ("_record", "_since")

    def __init__(self, record: JobRecord) -> None:
        self._record = record
        self._since = trio.current_time()

    def __call__(self, method: str, *_: object) -> None:
        """Hear what an `Instrument` hears: the name of its method, and arguments."""
        if method == "job_submitted":
            self._log("submitted")
        elif method == "job_started":
            self._log("started after %.3f s", self._seconds())
        elif method == "job_ended":
            self._log_end()

    def _log(self, text: str, *args: object) -> None:
        log_job(logging.DEBUG, self._record.number, self._record.name, text, *args)

    def _seconds(self) -> float:
        return trio.current_time() - self._since

    def _log_end(self) -> None:
        record, seconds = self._record, self._seconds()
        error = record.outcome.error if isinstance(record.outcome, Error) else None
        if record.cancelled:
            why = error.reason if isinstance(error, JobCancelled) else record.cancel_reason
            why = _TRIOS_REASONS.get(record.cancel_source, why)
            self._log("cancelled after %.3f s: %s", seconds, why or "no reason given")
        elif error is not None:
            self._log("failed after %.3f s: %s", seconds, type(error).__name__)
        else:
            self._log("succeeded after %.3f s", seconds)


def follow_in_log(record: JobRecord) -> None:
    """Tell the log of a call that no group tells of, if that is asked for."""
    if logger.isEnabledFor(logging.DEBUG):
        record.follow = JobLog(record)
        record.follow("job_submitted")
