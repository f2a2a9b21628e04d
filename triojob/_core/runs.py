"""Refuses what belongs to another Trio run, before it does harm."""

from __future__ import annotations

import trio


def require_task(what: object, token: trio.lowlevel.TrioToken | None = None) -> None:
    """Refuse to wait where there is no Trio task: in asyncio, or in another Trio run.

    Args:
        what: What can't be used here; its `str` is for the message.
        token: Of the Trio run that it belongs to; None for any run.

    Raises:
        RuntimeError: This is no task of that run.
    """
    if not trio.lowlevel.in_trio_task():
        raise RuntimeError(
            f"{what} needs a Trio task: start the program with trio.run(main), or use "
            "triojob.sync, which works in threads and in asyncio"
        )
    if token is not None:
        require_run(what, token)


def require_run(what: object, token: trio.lowlevel.TrioToken) -> None:
    """Refuse what is neither safe in other threads nor in other Trio runs.

    Raises:
        RuntimeError: This is not the thread of that run.
    """
    if not is_current(token):
        raise elsewhere(what)


def elsewhere(what: object) -> RuntimeError:
    """Return the exception that refuses what belongs to another Trio run."""
    return RuntimeError(
        f"{what} belongs to a Trio run that this code does not run in: use it there, or reach that "
        "run by triojob.sync, such as triojob.sync.submit(group, fn, *args)"
    )


def is_current(token: trio.lowlevel.TrioToken) -> bool:
    """Tell whether this is the thread of that run, be it a task or a guest's host."""
    return trio.lowlevel.in_trio_run() and trio.lowlevel.current_trio_token() is token
