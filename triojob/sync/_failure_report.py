"""Unretrieved failures: each is logged when its job is garbage-collected, or at exit."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import final

from .._core.logs import log_job
from ._atomic import WeakBag


@final
class FailureReport:
    """Logs the failure of one job unless it is retrieved."""

    # Class attributes, because `__del__` runs even if an interrupt prevents `__init__`.
    _log: Callable[[], object] | None = None
    """None if there is no failure, or if the job's group raises it."""
    _done: bool = False
    """Whether the failure is retrieved or logged."""

    @property
    def due(self) -> bool:
        """Whether this logs the failure unless it is retrieved; otherwise the group raises it."""
        return self._log is not None

    def require(self, error: BaseException, *, job: str, number: int | None) -> None:
        """Log the failure when the job is garbage-collected, or at exit, unless it is `retrieved`.

        Args:
            job: The job's name.
            number: The job's id; None if it never began.
        """
        _required.add(self)  # first, so that a fork after this line finds it there
        text = "it failed, and its failure was never retrieved"
        self._log = partial(log_job, logging.ERROR, number, job, text, error=error)

    def retrieved(self) -> None:
        """Mark the failure, or a later one, as retrieved."""
        self._done = True
        _required.discard(self)

    def make(self) -> None:
        """Log the failure, unless it is logged or retrieved already."""
        if self._log is not None and not self._done:
            self._done = True
            self._log()

    def leave_to_parent(self) -> None:
        """Log nothing in this process, which was forked from the process of the job."""
        self._log = None

    def __del__(self) -> None:
        self.make()


_required: WeakBag[FailureReport] = WeakBag()


def make_all_reports() -> None:
    """Log all unretrieved failures; Python might not collect every object at exit."""
    for report in _required:
        report.make()


def leave_all_to_parent() -> None:
    """In a forked child, log no failure of the parent process."""
    for report in _required:
        report.leave_to_parent()
