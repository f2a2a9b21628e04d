"""Records of the logger ``triojob`` about jobs; each has the job's id.

Log lines hold no arguments, outputs or messages of an app's errors: they can be private.
`CleanLines` removes secrets and escapes control characters that a server sent.
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

from .._exceptions import JobCancelled, direct_exceptions, error_words
from .._printable import printable, printable_line
from .._secrets import scrub

if TYPE_CHECKING:
    from .record import JobRecord

logger = logging.getLogger("triojob")


class CleanLines(logging.Filter):
    """Masks secrets in the lines of a logger, and escapes the control characters in them.

    Text of a server enters a line through its arguments or through the message of an exception.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Clean a record before any handler receives it."""
        if isinstance(record.args, tuple):
            record.args = tuple(map(_clean_argument, record.args))
        elif record.args:
            record.args = {name: _clean_argument(arg) for name, arg in record.args.items()}
        if record.exc_info and record.exc_info[1] is not None and not record.exc_text:
            # A formatter that finds this text does not format the exception itself.
            record.exc_text = _clean_traceback(record.exc_info[1])
        return True


class _CleanArgument:
    """An argument of a log line, which works with any format specifier."""

    def __init__(self, argument: object) -> None:
        self._argument = argument

    def __str__(self) -> str:
        return clean_line(str(self._argument))

    def __repr__(self) -> str:
        return clean_line(repr(self._argument))


def clean_line(text: str) -> str:
    """Return foreign text, cleaned for a log line."""
    return printable_line(scrub(text))


def _clean_argument(argument: object) -> object:
    if isinstance(argument, str):
        return clean_line(argument)
    return argument if isinstance(argument, (int, float)) else _CleanArgument(argument)


def _clean_traceback(error: BaseException) -> str:
    """Return a traceback in which no message of an exception can look like another log line."""
    text = "".join(traceback.format_exception(error)).rstrip("\n")
    for words in set(map(error_words, _chained(error))):
        if "\n" in words:
            # In a group, each line is indented and prefixed with a bar.
            lines = r"\n[ |]*".join(map(re.escape, words.split("\n")))
            text = printable_line(words).join(re.split(lines, text))
    return printable(scrub(text, ours=True))


def _chained(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and all exceptions that its traceback shows."""
    found = [error]
    for each in found:  # the loop appends to it
        yield each
        more = (each.__cause__, each.__context__, *direct_exceptions(each))
        found += (other for other in more if other is not None and other not in found)


CLEAN_LINES = CleanLines()
logger.addFilter(CLEAN_LINES)

current_call: ContextVar[tuple[int, str] | None] = ContextVar("current_call", default=None)
"""Number and name of the call for which the current task talks to the server, if for only one."""


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
        number: The id of the job, or None if it is not known.
        name: The name of the endpoint or function.
        text: The event, with placeholders for ``args``.
        error: An exception to log with it.
    """
    if not logger.isEnabledFor(level):
        return
    who, whose = ("%s: ", (name,)) if number is None else ("#%d %s: ", (number, name))
    logger.log(
        level,
        who + text,  # noqa: G003 - both have placeholders for arguments
        *whose,
        *args,
        exc_info=error,
        extra={"job": number, "endpoint": name},
        stacklevel=2,
    )


_TRIOS_REASONS: dict[str | None, str] = {
    "deadline": "the deadline of an enclosing cancel scope has passed",
    # Trio's own reason contains the text of the exception.
    "nursery": "an enclosing nursery or group has failed",
}


class JobLog:
    """Logs the life of one job; made only if the log is enabled."""

    __slots__ = ("_record", "_since")

    def __init__(self, record: JobRecord) -> None:
        self._record = record
        self._since = trio.current_time()

    def __call__(self, method: str, *_: object) -> None:
        """Log an event; called as the methods of `Instrument` are, with the method's name first."""
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
    """Log the life of a call that no group logs, if the log is enabled."""
    if logger.isEnabledFor(logging.DEBUG):
        record.emit = JobLog(record)
        record.emit("job_submitted")
