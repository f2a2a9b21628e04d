"""Submits jobs to a group of a Trio application from other threads."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextvars import copy_context
from typing import Any

import trio

from .._core.call import bind
from .._core.group import JobGroup
from .._core.runs import is_current
from .._exceptions import GroupClosed
from ._entry import entry_of_group
from ._job import Job, make_job


def submit(
    group: JobGroup,
    fn: Callable[..., Awaitable[Any] | AsyncIterator[Any]],
    /,
    *args: Any,
    **kwargs: Any,
) -> Job:
    """Start ``fn(*args, **kwargs)`` as a job of a group that lives in another thread.

    Use it like `JobGroup.submit` from outside the tasks of the group's own Trio run: in threads of
    `trio.to_thread.run_sync`, in other threads, and in other Trio runs.
    If the job's failure is unretrieved at the end of the group, the group raises it.

    Args:
        group: A group that has been entered.
        fn: As for `JobGroup.submit`; an async function runs in the Trio thread, with a copy of
            this thread's context.

    Raises:
        TypeError, ValueError: As for `JobGroup.submit`.
        GroupClosed: The group was not entered, or has ended.
        RuntimeError: This is a task of the Trio run that the group lives in.
    """
    if trio.lowlevel.in_trio_task() and is_current(group.trio_token):
        raise RuntimeError(
            "triojob.sync.submit is for other threads; in a Trio task, use group.submit()"
        )
    entry = entry_of_group(group)
    if group.closed:
        raise GroupClosed("this group has ended; open a new one for more jobs")
    call = bind(fn, args, kwargs)
    job, run = make_job(call.name, entry, of_group=True)
    context = copy_context()

    def start() -> None:
        context.run(run.start, group, call)

    run.schedule(call, start)
    return job
