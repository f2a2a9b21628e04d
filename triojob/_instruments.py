"""Seeing inside: counts of what groups and clients do, and hooks to follow each job's life."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ._messages import LogMessage, RenderUpdate, StatusUpdate

if TYPE_CHECKING:
    from ._job import Job

logger = logging.getLogger("triojob")


@dataclass(frozen=True)
class GroupStatistics:
    """How the jobs of a group are, at one moment; the first is the sum of those that follow."""

    submitted: int
    waiting: int
    """Those with status STARTING: for their turn, for a stream, or for another attempt."""
    running: int
    succeeded: int
    failed: int
    cancelled: int
    unseen: int
    """How many of those that failed nobody has seen; the group would raise them."""


class Instrument:
    """Follows the jobs of a group: make a subclass, and give one to ``JobGroup(instruments=)``.

    Its methods do nothing here.  They are called in the Trio thread, between other things that
    happen there, so they must not block.  One that raises is logged, and its instrument is not
    called any more by that group, as Trio does with its own.
    """

    def job_submitted(self, job: Job[Any]) -> None:
        """Hear of a job that was submitted, in the task that did so."""

    def job_notice(self, job: Job[Any], notice: StatusUpdate | LogMessage | RenderUpdate) -> None:
        """Hear of a message of a job, its last status included, in the job's own task."""

    def job_output(self, job: Job[Any], index: int) -> None:
        """Hear of an output of a job, in the job's own task; `Job.outputs` has it.

        Args:
            index: Which output it is, from 0.
        """

    def job_ended(self, job: Job[Any]) -> None:
        """Hear of a job's end, after its last status; to look at how it ended is to see it."""


class Following:
    """The instruments of one group, as its jobs call them."""

    def __init__(self, instruments: tuple[Instrument, ...]) -> None:
        self._instruments = list(instruments)

    def tell(self, method: str, *args: Any) -> None:
        """Call a method of each instrument."""
        for instrument in tuple(self._instruments):
            try:
                getattr(instrument, method)(*args)
            except Exception:
                logger.exception("%r raised in %s and is not called again", instrument, method)
                self._instruments.remove(instrument)
