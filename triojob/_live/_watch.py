"""The state of the jobs for the live view: written by the group's hooks, read to draw."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import Any, cast, final

import trio
from outcome import Error

from .._core.group import JobGroup, follow, unfollow
from .._core.instruments import Instrument
from .._core.job import Job, record_of
from .._core.latency import LatencyHistogram
from .._core.messages import LogMessage, RenderUpdate, Status, StatusUpdate
from ._load import Load, Reader
from ._meter import ProgressMeter
from ._recorder import RunRecorder
from ._text import error_text, one_line, text_of

logger = logging.getLogger("triojob")

RECENT = 100
"""Maximum number of failures that are remembered, and of other finished jobs."""
STEPS = 200
"""Maximum number of outputs of a job that are applied each time its text is read."""


class Row:
    """One job, as its line shows it; drops the job once that has ended.

    Attributes:
        job: The job, or None once it has ended.
        title: Its displayed title; set when it has ended, see `Watch.title`.
        status: Its last status.
        said_at: When that status arrived.
        began: When the call was sent, or None.
        ended: When it ended, or None.
        error: Its exception, as one line.
    """

    __slots__ = (
        "_position",
        "_state",
        "_text",
        "began",
        "ended",
        "error",
        "job",
        "latest",
        "number",
        "said_at",
        "status",
        "title",
    )

    def __init__(self, job: Job[Any], now: float) -> None:
        self.job: Job[Any] | None = job
        self.number = job.id
        self.title = ""
        self.status = job.status()
        self.said_at = now
        self.began: float | None = None
        self.ended: float | None = None
        self.error = ""
        self.latest: LogMessage | str | None = None
        """The last message of its app: a log message, ``"progress"`` or ``"output"``."""
        self._position = 0
        self._state: Any = None
        self._text = ""

    @property
    def outputs(self) -> int:
        """The number of outputs of the job."""
        return 0 if self.job is None else self.job.output_count

    def output_text(self) -> str:
        """Return the end of the text of the job's last output, as one line.

        Outputs are kept as edits, so the new ones are applied here: a bounded number each time,
        because other tasks wait meanwhile.
        """
        if self.job is None:
            return ""
        tape = record_of(self.job).history.outputs
        if self._position < tape.start:
            self._position, self._state = tape.start, tape.state_before(tape.start)
        upto = min(tape.end, self._position + STEPS)
        if self._position < upto:
            output = None
            for position in range(self._position, upto):
                output, _ = tape[position]
                self._state = output.advance(self._state)
            assert output is not None
            self._position = upto
            self._text = one_line(text_of(output.show(self._state)), tail=True)
        return self._text

    def end(self, now: float) -> None:
        """Record the end, and drop the job and its outputs."""
        self.ended = now
        self.job = self._state = None


@final
class Watch(Instrument):
    """Follows the jobs of groups, and keeps them sorted by state.

    Its memory is bounded by the number of jobs that have not ended.

    Args:
        changed: Called at each change; it must return quickly.
        total: The total number of jobs, or None.
        title: Returns the displayed title of a job, or None for the name of the function.
    """

    def __init__(
        self,
        changed: Callable[[], object],
        *,
        total: float | None = None,
        title: Callable[[Job[Any]], str | None] | None = None,
    ) -> None:
        self._changed = changed
        self._title = title
        self.waiting: dict[int, Row] = {}
        self.queued: dict[int, Row] = {}
        self.running: dict[int, Row] = {}
        self.failures: deque[Row] = deque(maxlen=RECENT)
        self.others: deque[Row] = deque(maxlen=RECENT)
        """Jobs that succeeded or were cancelled."""
        self.news: deque[tuple[Row, LogMessage | None]] = deque(maxlen=RECENT)
        """Log messages, and failures (None), for the screen, which prints and clears them."""
        self.news_count = 0
        """Number of news so far; the oldest might be dropped."""
        self.succeeded = self.failed = self.cancelled = 0
        self.meter = ProgressMeter(trio.current_time(), total=total)
        self.latency = LatencyHistogram()
        """How long the jobs that were not cancelled took, from being sent to their end."""
        self.clients: list[Reader] = []
        """Functions that return the statistics of the clients among the targets."""
        self.recorder: RunRecorder | None = None
        """Records the jobs for a report, if there will be one."""
        self._groups: list[JobGroup] = []
        self._idle = trio.lowlevel.ParkingLot()

    @property
    def alive(self) -> int:
        """Number of jobs that have not ended."""
        return len(self.waiting) + len(self.queued) + len(self.running)

    def load(self) -> Load:
        """Return the load of the clients or, if there are none, of the jobs."""
        if self.clients:
            return Load.of(self.clients)
        running, queued = len(self.running), len(self.queued)
        return Load(
            in_flight=running + queued,
            running=running,
            waiting_there=queued,
            waiting_here=len(self.waiting),
        )

    async def jobs_ended(self) -> None:
        """Wait until all jobs have ended; cancelling the wait does not cancel them."""
        while self.alive:
            await self._idle.park()

    def title(self, row: Row) -> str:
        """Return the title of a job, as one line."""
        if row.job is None:
            return row.title
        title: str | None = None
        if self._title is not None:
            try:
                given: object = self._title(row.job)
                title = None if given is None else str(given)
            except Exception:
                logger.exception("title= of the live view raised; it is disabled now")
                self._title = None
        if title is None:
            # For nested functions, the last part of the name distinguishes them.
            title = f"#{row.number} {row.job.name.rpartition('.<locals>.')[2]}"
        return one_line(title)

    def adopt(self, group: JobGroup) -> None:
        """Add the jobs and counts of a group, and follow it from now on."""
        counts = group.statistics()
        self.succeeded += counts.succeeded
        self.failed += counts.failed
        self.cancelled += counts.cancelled
        self.meter.credit(counts.succeeded + counts.failed + counts.cancelled)
        for job in group.jobs:
            row = Row(job, trio.current_time())
            if job.done:
                self._keep_failure(job, row)
            else:
                self._place(row, job.status())
        follow(group, self)
        if counts.submitted:
            self._changed()
        self._groups = [each for each in self._groups if not each.closed]
        self._groups.append(group)

    def leave(self) -> None:
        """Stop following all groups."""
        for group in self._groups:
            unfollow(group, self)
        self._groups.clear()

    # The hooks that the groups call.

    def job_submitted(self, job: Job[Any]) -> None:
        """Add a new job."""
        self._place(Row(job, trio.current_time()), job.status())
        self._changed()

    def job_update(self, job: Job[Any], notice: StatusUpdate | LogMessage | RenderUpdate) -> None:
        """Record the state of a job and the last message of its app."""
        row = self._find(job.id)
        if row is None or isinstance(notice, RenderUpdate):
            return
        if isinstance(notice, LogMessage):
            row.latest = notice
            self._tell(row, notice)
        else:
            if notice.code is Status.PROGRESS:
                row.latest = "progress"
            row.said_at = trio.current_time()
            self._place(row, notice)
        self._changed()

    def job_output(self, job: Job[Any], index: int) -> None:
        """Record that there is an output; its value is built only when it is shown."""
        row = self._find(job.id)
        if row is not None:
            row.latest = "output"
            self._changed()

    def job_ended(self, job: Job[Any]) -> None:
        """Count the end of a job; reading its failure here leaves it unretrieved."""
        row = self._find(job.id)
        if row is None:
            return
        self._remove(row)
        row.status = job.status()
        now = trio.current_time()
        if record_of(job).failed:
            self.failed += 1
            self._keep_failure(job, row)
            self._tell(row, None)
        else:
            if job.cancelled:
                self.cancelled += 1
            else:
                self.succeeded += 1
            row.title = self.title(row)
            self.others.append(row)
        seconds = None if row.began is None else now - row.began
        if seconds is not None and not job.cancelled:
            self.latency.add(seconds)
        if self.recorder is not None:
            failed = record_of(job).failed
            self.recorder.note_end(
                "failed" if failed else "cancelled" if job.cancelled else "ok",
                name=job.name,
                title=lambda: row.title,
                seconds=seconds,
                failure=(row.error.partition(":")[0], row.error) if failed else None,
                url=job.url,
            )
        row.end(now)
        self.meter.count(now)
        self._changed()
        if not self.alive:
            self._idle.unpark_all()

    def _keep_failure(self, job: Job[Any], row: Row) -> None:
        row.title = self.title(row)
        row.error = error_text(cast("Error", record_of(job).outcome).error)
        row.end(trio.current_time())
        self.failures.append(row)

    def _tell(self, row: Row, message: LogMessage | None) -> None:
        self.news.append((row, message))
        self.news_count += 1

    def _find(self, number: int) -> Row | None:
        for rows in (self.running, self.queued, self.waiting):
            if number in rows:
                return rows[number]
        return None

    def _remove(self, row: Row) -> None:
        for rows in (self.running, self.queued, self.waiting):
            rows.pop(row.number, None)

    def _place(self, row: Row, status: StatusUpdate) -> None:
        row.status = status
        if status.code >= Status.FINISHED:
            return  # `job_ended` comes next
        if status.code is Status.STARTING:
            rows, row.began = self.waiting, None
        else:
            rows = self.running if status.code >= Status.PROCESSING else self.queued
            if row.began is None:
                row.began = trio.current_time()
        if row.number not in rows:
            self._remove(row)
            rows[row.number] = row
