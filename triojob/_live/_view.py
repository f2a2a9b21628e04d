"""`triojob.live`, which imports the rest of the view when it is called: rich takes its time."""

from __future__ import annotations

import math
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
) -> AbstractAsyncContextManager[None]:
    """Show the jobs of groups while they run: ``async with triojob.live(group):``.

    A terminal has a line for each job that runs or has failed, and the totals; what is printed
    meanwhile goes above it, and the last state stays.  Anything else gets plain lines from time to
    time, and a notebook an output that is replaced.  All of it goes to stderr, as results may go
    to stdout.

    Leaving the block waits until no job of the targets is left, and shows that; if the body
    raises, nothing is waited for, and the exception passes through bare.
    The view is a task of Trio that sleeps until something changes, and draws ten times a second
    at most.  If it can't draw, that is logged and the jobs go on.
    To be shown a failure is not to see it: the group still raises what nobody has asked for.

    Args:
        targets: Whose jobs to show, those submitted before too: groups; sessions; clients, with
            all their sessions, but not groups of your own that call the client.
        total: How many jobs there will be in all; then there is a remaining time for the whole.
        title: Names a job, or returns None for its number and what it calls.  It is called at
            each drawing, so a dict that is filled after `JobGroup.submit` will do: its ``get``.
        console: Your own ``rich.console.Console``, to say where and how.

    Raises:
        MissingDependency: rich is not installed: ``pip install "triojob[cli]"``.
        TypeError: There is no target, or one is something else.
        ValueError: ``total`` is negative or not a number.
        RuntimeError: On entering, in a terminal: another live view is open.
    """
    if not targets or not all(map(_has_jobs, targets)):
        raise TypeError("live takes groups, clients or sessions: triojob.live(group)")
    if total is not None and not 0 <= total < math.inf:
        raise ValueError(f"total must be a number from 0 up, or None, not {total!r}")
    try:
        from ._life import show
    except ModuleNotFoundError as exc:
        if (exc.name or "").partition(".")[0] != "rich":
            raise
        raise MissingDependency(
            "the live view needs rich, which is not installed; "
            'get it with: pip install "triojob[cli]"'
        ) from None
    return show(targets, total, title, console)


def _has_jobs(target: object) -> bool:
    return isinstance(target, (JobGroup, Client, ClientSession))
