"""Failures that nobody retrieves: each is logged when its job is dropped, or at exit."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import final

from .._core.logs import log_job
from ._atomic import WeakBag


@final
class FailureReport:
    """Logs the failure of one job unless somebody retrieves it."""

    # Of the class at first, as `__del__` comes even if an interrupt ends the making of the object.
    _log: Callable[[], object] | None = None
    """None while there is no failure, and if the job's group raises it."""
    _done: bool = False
    """Somebody has retrieved the failure, or it has been logged."""

    @property
    def due(self) -> bool:
        """Whether this logs the failure unless it is retrieved; otherwise the group raises it."""
        return self._log is not None

    def require(self, error: BaseException, *, job: str, number: int | None) -> None:
        """Have the failure logged when the job is dropped, or at exit, unless it is `retrieved`.

        Args:
            job: The job's name.
            number: The job's number; None if it never began.
        """
        _required.add(self)  # first, so that a fork which comes next finds it there
        text = "it failed, and nobody asked for its result"
        self._log = partial(log_job, logging.ERROR, number, job, text, error=error)

    def retrieved(self) -> None:
        """Note that somebody has retrieved the failure, or does so as soon as there is one."""
        self._done = True
        _required.discard(self)

    def make(self) -> None:
        """Log the failure, unless that was done or somebody has retrieved it."""
        if self._log is not None and not self._done:
            self._done = True
            self._log()

    def leave_to_parent(self) -> None:
        """Log nothing in this process, which was forked from that of the job."""
        self._log = None

    def __del__(self) -> None:
        self.make()


_required: WeakBag[FailureReport] = WeakBag()


def make_all_reports() -> None:
    """Log all failures that nobody has retrieved; Python need not drop everything at exit."""
    for report in _required:
        report.make()


def leave_all_to_parent() -> None:
    """In a forked child, log no failure of the process that it was forked from."""
    for report in _required:
        report.leave_to_parent()
