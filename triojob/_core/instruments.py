"""Hooks into the life of each job, and statistics of groups."""

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
    """A snapshot of a group's jobs; the first field is the sum of the next five."""

    submitted: int
    waiting: int
    """Jobs with status STARTING: they wait for the limit, a stream, or another attempt."""
    running: int
    succeeded: int
    failed: int
    cancelled: int
    unretrieved: int
    """Failed jobs whose failure is unretrieved; the group would raise it."""
    waiting_for_limit: int = 0
    """Waiting jobs that wait because of ``limit=``."""
    queued: int = 0
    """Running jobs that are in an app's queue."""
    ranks: Mapping[int, int] = field(default_factory=dict[int, int], hash=False)
    """Number of queued jobs by rank in the queue, as the app last reported; 0 is the first."""
    oldest_seconds: float | None = None
    """Age of the oldest unfinished job, in seconds; None if all have ended."""
    idle_seconds: float | None = None
    """Seconds since the last message of any unfinished job; None if all have ended."""


class Instrument:
    """Follows the jobs of a group: subclass it, and pass an instance to ``JobGroup(instruments=)``.

    The methods of this class do nothing.  They are called in the Trio thread and must not block.
    If one raises an `Exception`, the group logs it and stops calling the instrument, as Trio does
    with its own instruments.  Anything other than an `Exception` is not logged: it cancels the
    group, which raises it.
    """

    def job_submitted(self, job: Job[Any]) -> None:
        """Called when a job was submitted, in the task that submitted it."""

    def job_started(self, job: Job[Any]) -> None:
        """Called when a job acquires its limit, in the job's own task, before anything runs there.

        Context variables that you set here apply to the job and to all tasks that it starts.
        A job that is cancelled while it waits for its limit never starts.
        """

    def job_sending(self, job: Job[Any], headers: dict[str, str]) -> None:
        """Called when a job's call is about to be sent to its app, in the job's own task.

        `Retry` can repeat this.

        Args:
            headers: The headers of the request that makes the call, in addition to those of the
                client; you can add more, such as a ``traceparent``.
        """

    def job_update(self, job: Job[Any], notice: StatusUpdate | LogMessage | RenderUpdate) -> None:
        """Called for each message of a job, its last status included, in the job's own task."""

    def job_output(self, job: Job[Any], index: int) -> None:
        """Called for each output of a job, in the job's own task; read it from `Job.outputs`.

        Args:
            index: The index of the output, from 0.
        """

    def job_ended(self, job: Job[Any]) -> None:
        """Called at the end of a job, after its last status.

        Reading the outcome here retrieves the failure; `failure_of` does not.
        """

    @staticmethod
    def failure_of(job: Job[Any]) -> BaseException | None:
        """Return what `Job.result` would raise, without retrieving it; None if nothing."""
        result = job._record.outcome
        return job._record.original_exception(result) if isinstance(result, Error) else None


class InstrumentDispatcher:
    """Calls the instruments and the log of one group on behalf of its jobs.

    Args:
        crashed: Called with an exception that the group must raise.
    """

    def __init__(
        self, instruments: tuple[Instrument, ...], crashed: Callable[[BaseException], None]
    ) -> None:
        self._instruments = list(instruments)
        self._crashed = crashed

    @property
    def wanted(self) -> bool:
        """Whether there is an instrument or a log to call."""
        return bool(self._instruments) or logger.isEnabledFor(logging.DEBUG)

    def add(self, instrument: Instrument) -> None:
        """Add an instrument."""
        self._instruments.append(instrument)

    def remove(self, instrument: Instrument) -> None:
        """Remove an instrument, if it is still here: one that raised is removed already."""
        if instrument in self._instruments:
            self._instruments.remove(instrument)

    def follower(self, job: Job[Any]) -> Callable[..., None]:
        """Return the notifier of this job: call it with the name of a method and its arguments."""
        log = JobLog(job._record) if logger.isEnabledFor(logging.DEBUG) else None
        return partial(self._tell, job, log)

    def _tell(self, job: Job[Any], log: JobLog | None, method: str, *args: Any) -> None:
        if log is not None:
            self._call(log, method)
        for instrument in tuple(self._instruments):
            self._call(self._tell_one, instrument, method, job, args)

    def _call(self, fn: Callable[..., None], *args: Any) -> None:
        """Call one instrument or the log; whatever it raises, the others are called too."""
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
            self.remove(instrument)  # it might have removed itself already
            if not isinstance(exc, Exception):
                raise
            broken = "%r raised in %s; it is disabled now"
            log_job(logging.ERROR, job.id, job.name, broken, instrument, method, error=exc)
