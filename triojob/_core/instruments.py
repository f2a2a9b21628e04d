"""Hooks into the life of each job, and counts of what groups do."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from outcome import Error

from .logs import JobLog, log_job
from .messages import LogMessage, RenderUpdate, StatusUpdate

if TYPE_CHECKING:
    from .job import Job

logger = logging.getLogger("triojob")


@dataclass(frozen=True)
class GroupStatistics:
    """How the jobs of a group are, at one moment; the first is the sum of the next five."""

    submitted: int
    waiting: int
    """Those with status STARTING: for their turn, for a stream, or for another attempt."""
    running: int
    succeeded: int
    failed: int
    cancelled: int
    unretrieved: int
    """How many of those that failed nobody has asked for; the group would raise them."""
    waiting_for_limit: int = 0
    """How many of those that wait do so because of ``limit=``."""
    queued: int = 0
    """How many of those that run are in an app's queue."""
    ranks: Mapping[int, int] = field(default_factory=dict[int, int], hash=False)
    """How many of those are at which place of the queue, as the app last said; 0 is the first."""
    oldest_seconds: float | None = None
    """Age of the oldest unfinished job, in seconds; None if all have ended."""
    idle_seconds: float | None = None
    """Seconds since the last message of any unfinished job; None if all have ended."""


class Instrument:
    """Follows the jobs of a group: make a subclass, and give one to ``JobGroup(instruments=)``.

    Its methods do nothing here.  They are called in the Trio thread, between other things that
    happen there, so they must not block.  One that raises is logged, and its instrument is not
    called any more by that group, as Trio does with its own.  What is not an `Exception` is not
    logged: the group is cancelled and raises it.
    """

    def job_submitted(self, job: Job[Any]) -> None:
        """Hear of a job that was submitted, in the task that did so."""

    def job_started(self, job: Job[Any]) -> None:
        """Hear that a job's turn has come, in the job's own task, before anything runs there.

        So context variables that are set here are those of the job and of all that it starts.
        A job that is cancelled before its turn never starts.
        """

    def job_sending(self, job: Job[Any], headers: dict[str, str]) -> None:
        """Hear that a job's call is about to be sent to its app, in the job's own task.

        That may be more than once, by `Retry`.

        Args:
            headers: Those that go with the request that makes the call, beside those of the
                client; put more into it, such as a ``traceparent``.
        """

    def job_update(self, job: Job[Any], notice: StatusUpdate | LogMessage | RenderUpdate) -> None:
        """Hear of a message of a job, its last status included, in the job's own task."""

    def job_output(self, job: Job[Any], index: int) -> None:
        """Hear of an output of a job, in the job's own task; `Job.outputs` has it.

        Args:
            index: Which output it is, from 0.
        """

    def job_ended(self, job: Job[Any]) -> None:
        """Hear of a job's end, after its last status; to look at how it ended is to see it.

        `failure_of` tells how without that.
        """

    @staticmethod
    def failure_of(job: Job[Any]) -> BaseException | None:
        """Return what `Job.result` would raise, without having seen it; None if it would not."""
        result = job._record.outcome
        return job._record.original_exception(result) if isinstance(result, Error) else None


class InstrumentDispatcher:
    """The instruments of one group, as its jobs call them, and the log with them.

    Args:
        crashed: Called with what the group is to raise.
    """

    def __init__(
        self, instruments: tuple[Instrument, ...], crashed: Callable[[BaseException], None]
    ) -> None:
        self._instruments = list(instruments)
        self._crashed = crashed

    @property
    def wanted(self) -> bool:
        """Whether there is anybody to tell."""
        return bool(self._instruments) or logger.isEnabledFor(logging.DEBUG)

    def add(self, instrument: Instrument) -> None:
        """Call the methods of one more."""
        self._instruments.append(instrument)

    def remove(self, instrument: Instrument) -> None:
        """Call it no more; one that has raised is gone already."""
        if instrument in self._instruments:
            self._instruments.remove(instrument)

    def follower(self, job: Job[Any]) -> Callable[..., None]:
        """Return what tells of this job: it is called with the name of a method and arguments."""
        log = JobLog(job._record) if logger.isEnabledFor(logging.DEBUG) else None
        return partial(self._tell, job, log)

    def _tell(self, job: Job[Any], log: JobLog | None, method: str, *args: Any) -> None:
        if log is not None:
            self._call(log, method)
        for instrument in tuple(self._instruments):
            self._call(self._tell_one, instrument, method, job, args)

    def _call(self, fn: Callable[..., None], *args: Any) -> None:
        """Call one of those that are told; the others are told too, whatever it raises."""
        try:
            fn(*args)
        except BaseException as exc:  # noqa: BLE001 - the group raises it
            self._crashed(exc)

    def _tell_one(
        self, instrument: Instrument, method: str, job: Job[Any], args: tuple[Any, ...]
    ) -> None:
        try:
            getattr(instrument, method)(job, *args)
        except BaseException as exc:
            self.remove(instrument)  # it may have raised in what it did here, too
            if not isinstance(exc, Exception):
                raise
            broken = "%r raised in %s and is not called again"
            log_job(logging.ERROR, job.id, job.name, broken, instrument, method, error=exc)
