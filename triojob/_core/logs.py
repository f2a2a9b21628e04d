"""What the logger ``triojob`` says of jobs; each record has the job's id.

No line holds arguments, outputs or what an app raised: they may be nobody else's business.
Nor does one hold a secret, or a control character of a server's: `CleanLines` sees to that.
"""

from __future__ import annotations

import logging
import re
import traceback
from collections.abc import Iterator
from contextvars import ContextVar
from typing import TYPE_CHECKING

import trio
from outcome import Error

from .._exceptions import JobCancelled, direct_exceptions
from .._printable import printable, printable_line
from .._secrets import scrub

if TYPE_CHECKING:
    from .record import JobRecord

logger = logging.getLogger("triojob")


class CleanLines(logging.Filter):
    """Takes the secrets out of a logger's lines, and makes control characters in them visible.

    Server text comes into a line by its arguments, or by the words of an exception.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Clean a line before any handler has it."""
        if isinstance(record.args, tuple):
            record.args = tuple(map(_clean_argument, record.args))
        elif record.args:
            record.args = {name: _clean_argument(arg) for name, arg in record.args.items()}
        if record.exc_info and record.exc_info[1] is not None and not record.exc_text:
            # Where a formatter finds that, it makes none of its own.
            record.exc_text = _clean_traceback(record.exc_info[1])
        return True


class _CleanArgument:
    """An argument of a log line, for whatever place it has there."""

    def __init__(self, argument: object) -> None:
        self._argument = argument

    def __str__(self) -> str:
        return clean_line(str(self._argument))

    def __repr__(self) -> str:
        return clean_line(repr(self._argument))


def clean_line(text: str) -> str:
    """Return a text of somebody else's as a log line has it."""
    return printable_line(scrub(text))


def _clean_argument(argument: object) -> object:
    if isinstance(argument, str):
        return clean_line(argument)
    return argument if isinstance(argument, (int, float)) else _CleanArgument(argument)


def _clean_traceback(error: BaseException) -> str:
    """Return a traceback in which no words of an exception look like another line of the log."""
    text = "".join(traceback.format_exception(error)).rstrip("\n")
    for words in set(map(_words, _chained(error))):
        if "\n" in words:
            # In a group, each line is indented, with a bar before it.
            lines = r"\n[ |]*".join(map(re.escape, words.split("\n")))
            text = printable_line(words).join(re.split(lines, text))
    return printable(scrub(text, ours=True))


def _words(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - it is somebody else's, and the traceback says so
        return ""


def _chained(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and all that its traceback shows with it."""
    found = [error]
    for each in found:  # it grows meanwhile
        yield each
        more = (each.__cause__, each.__context__, *direct_exceptions(each))
        found += (other for other in more if other is not None and other not in found)


CLEAN_LINES = CleanLines()
logger.addFilter(CLEAN_LINES)

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
        log_job(logging.DEBUG, self._record.id, self._record.name, text, *args)

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
        record.emit = JobLog(record)
        record.emit("job_submitted")
