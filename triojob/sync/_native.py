"""The job of the core, as the sync interface uses it: the only access to the core's record."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final

from outcome import Outcome, Value

from .._core.job import Job as TrioJob, record_of
from .._core.messages import Status
from .._core.record import JobRecord
from ._ending import JobEnd
from ._reading import JobReader
from .exceptions import translate


@final
class NativeJob:
    """The job in a Trio run that does the work of a `triojob.sync.Job`."""

    __slots__ = ("_job", "_record", "reader")

    def __init__(self, job: TrioJob[Any]) -> None:
        self._job = job
        self._record = record = record_of(job)
        self.reader: JobReader = JobReader(record.history, lambda: _outcome(record))

    # From any thread.

    @property
    def id(self) -> int:
        """The job's id."""
        return self._job.id

    @property
    def begun(self) -> bool:
        """Whether the call has acquired its limit and begun."""
        return self._job.status().code is not Status.STARTING

    def retrieve(self) -> None:
        """Mark the job's failure as retrieved, if the job has ended."""
        if self._job.done:
            self._record.retrieve()

    # In the Trio thread only.

    def on_change(self, fn: Callable[[], None]) -> None:
        """Call ``fn()`` after each batch of messages."""
        self._record.observe().watchers.append(fn)

    def on_end(self, fn: Callable[[], object]) -> None:
        """Call ``fn()`` when the job has ended."""
        self._job.on_result(lambda _: fn())

    def cancel(self, reason: str | None) -> None:
        """Cancel the job, unless it has ended."""
        self._job.cancel(reason)

    def end(self) -> JobEnd:
        """Return the outcome of the job, which must have ended."""
        record = self._record
        result = record.outcome
        assert result is not None
        if record.cancelled:
            return JobEnd(cancelled=True, reason=record.cancel_reason)
        if isinstance(result, Value):
            return JobEnd(result.value)
        error = record.original_exception(result)
        return JobEnd.failed(translate(error) if isinstance(error, Exception) else error)


def _outcome(record: JobRecord) -> Outcome[Any] | None:
    return None if record.cancelled else record.outcome
