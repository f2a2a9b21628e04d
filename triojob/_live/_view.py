"""`triojob.live`, which imports the rest of the view on first use: importing rich is slow."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

from .._core.group import JobGroup
from .._core.job import Job
from .._exceptions import MissingDependency
from ..gradio.client import Client, ClientSession

if TYPE_CHECKING:
    import rich.console


def live(
    *targets: JobGroup | Client | ClientSession,
    total: float | None = None,
    title: Callable[[Job[Any]], str | None] | None = None,
    console: rich.console.Console | None = None,
    report: str | os.PathLike[str] | None = None,
) -> AbstractAsyncContextManager[None]:
    """Show the jobs of groups while they run: ``async with triojob.live(group):``.

    A terminal shows a line for each job that runs or has failed, and the totals; text that you
    print meanwhile goes above it, and the last state stays.  Other outputs get plain lines from
    time to time, and a notebook gets an output that is replaced.  The view goes to stderr, as
    results might go to stdout.

    Leaving the block waits until all jobs of the targets have ended, and shows them; if the body
    raises, the block does not wait, and the exception propagates unwrapped.
    The view is a Trio task that sleeps until something changes, and draws at most ten times a
    second.  If it can't draw, it logs the error and the jobs keep running.
    Showing a failure does not retrieve it: the group still raises unretrieved failures.

    Args:
        targets: Whose jobs to show, including jobs that were submitted before: groups; sessions;
            clients, with all their sessions, but not groups of your own that call the client.
        total: The total number of jobs; if given, the view shows the remaining time.
        title: A function that returns the title of a job, or None for its id and name.  It is
            called at each drawing, so you can pass the ``get`` of a dict that you fill after
            `JobGroup.submit`.
        console: Your own ``rich.console.Console``, to choose the output and its format.
        report: Where to write a report of the jobs at the end of the block, however it ends: one
            file of HTML that loads nothing, with charts of outcomes, latencies and load over time.
            It replaces an earlier report, but no other file.

    Raises:
        MissingDependency: rich is not installed: ``pip install "triojob[cli]"``.
        TypeError: There is no target, or one is something else.
        ValueError: ``total`` is negative or not a number.
        RuntimeError: On entering, in a terminal: another live view is open.
        OSError: On entering: the report can't be written there.
    """
    if not targets or not all(map(_has_jobs, targets)):
        raise TypeError("live takes groups, clients or sessions: triojob.live(group)")
    if total is not None and not 0 <= total < math.inf:
        raise ValueError(f"total must be at least 0, or None, not {total!r}")
    try:
        from ._life import show
    except ModuleNotFoundError as exc:
        if (exc.name or "").partition(".")[0] != "rich":
            raise
        raise MissingDependency(
            "the live view needs rich, which is not installed; "
            "install it with: pip install 'triojob[cli]'"
        ) from None
    return show(targets, total, title, console, report)


def _has_jobs(target: object) -> bool:
    return isinstance(target, (JobGroup, Client, ClientSession))
