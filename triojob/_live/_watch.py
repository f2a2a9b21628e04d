"""What the live view knows of jobs: written by the group's hooks, read when it is drawn."""

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
from .._core.messages import LogMessage, RenderUpdate, Status, StatusUpdate
from ..gradio.statistics import ClientStatistics
from ._pace import Pace
from ._text import error_text, one_line, text_of

logger = logging.getLogger("triojob")

RECENT = 100
"""How many of the last failures, and of the other jobs that ended last, are remembered."""
STEPS = 200
"""How many outputs of a job are caught up with each time that its text is looked at."""


class Row:
    """One job, as far as a line about it goes; it lets go of the job when that has ended.

    Attributes:
        job: The job, or None once it has ended.
        title: What people know it by; set when it has ended, see `Watch.title`.
        status: Its last status.
        said_at: When that came.
        began: When it left this side, or None.
        ended: When it ended, or None.
        error: What it raised, in a line.
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
        """The last that its app said: a line, ``"progress"`` or ``"output"``."""
        self._position = 0
        self._state: Any = None
        self._text = ""

    @property
    def outputs(self) -> int:
        """How many outputs the job has had."""
        return 0 if self.job is None else self.job.output_count

    def output_text(self) -> str:
        """Return the end of the words of the job's last output, in one line.

        Outputs are kept as edits, so those since the last look are applied here; a bounded number
        each time, as other tasks wait meanwhile.
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
        """Note the end, and let go of the job and its outputs."""
        self.ended = now
        self.job = self._state = None


@final
class Watch(Instrument):
    """Follows the jobs of groups, and keeps them sorted by where they are.

    What it keeps is bounded by the number of jobs that have not ended.

    Args:
        changed: Called at each change; it must only take note.
        total: How many jobs there will be, or None.
        title: Names a job for people, or returns None for the name of what it calls.
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
        """Those that ended well or were cancelled."""
        self.news: deque[tuple[Row, LogMessage | None]] = deque(maxlen=RECENT)
        """Lines of apps, and failures (None), for whoever prints and clears them."""
        self.news_count = 0
        """How many there have been; the oldest may be gone."""
        self.succeeded = self.failed = self.cancelled = 0
        self.pace = Pace(trio.current_time(), total=total)
        self.clients: list[Callable[[], ClientStatistics]] = []
        """What tells how many calls of the clients among the targets are where."""
        self._groups: list[JobGroup] = []
        self._idle = trio.lowlevel.ParkingLot()

    @property
    def alive(self) -> int:
        """How many jobs have not ended."""
        return len(self.waiting) + len(self.queued) + len(self.running)

    async def jobs_ended(self) -> None:
        """Wait until no job is left; being cancelled ends the waiting only."""
        while self.alive:
            await self._idle.park()

    def title(self, row: Row) -> str:
        """Say which job it is, in one line."""
        if row.job is None:
            return row.title
        title: str | None = None
        if self._title is not None:
            try:
                given: object = self._title(row.job)
                title = None if given is None else str(given)
            except Exception:
                logger.exception("title= of the live view raised, and is not called again")
                self._title = None
        if title is None:
            # Of a function inside another, what tells them apart comes last.
            title = f"#{row.number} {row.job.name.rpartition('.<locals>.')[2]}"
        return one_line(title)

    def adopt(self, group: JobGroup) -> None:
        """Take in what a group has had and has, and follow it from now on."""
        counts = group.statistics()
        self.succeeded += counts.succeeded
        self.failed += counts.failed
        self.cancelled += counts.cancelled
        self.pace.credit(counts.succeeded + counts.failed + counts.cancelled)
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
        """Follow no group any more."""
        for group in self._groups:
            unfollow(group, self)
        self._groups.clear()

    # What the groups call.

    def job_submitted(self, job: Job[Any]) -> None:
        """Take in a new job."""
        self._place(Row(job, trio.current_time()), job.status())
        self._changed()

    def job_update(self, job: Job[Any], notice: StatusUpdate | LogMessage | RenderUpdate) -> None:
        """Note where a job is and what its app said."""
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
        """Note that there is an output; nobody builds it before it is shown."""
        row = self._find(job.id)
        if row is not None:
            row.latest = "output"
            self._changed()

    def job_ended(self, job: Job[Any]) -> None:
        """Count a job's end; a failure is looked at in a way that leaves it unretrieved."""
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
        row.end(now)
        self.pace.count(now)
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
