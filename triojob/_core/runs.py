"""Refuses objects of another Trio run, before they do harm."""

from __future__ import annotations

import trio


def require_task(what: object, token: trio.lowlevel.TrioToken | None = None) -> None:
    """Refuse to wait outside a Trio task, as in asyncio, or in another Trio run.

    Args:
        what: The object that can't be used here; its `str` is part of the message.
        token: The token of the Trio run that the object belongs to; None for any run.

    Raises:
        RuntimeError: This is not a task of that run.
    """
    if not trio.lowlevel.in_trio_task():
        raise RuntimeError(
            f"{what} needs a Trio task; start the program with trio.run(main), or use "
            "triojob.sync, which works in threads and in asyncio"
        )
    if token is not None:
        require_run(what, token)


def require_run(what: object, token: trio.lowlevel.TrioToken) -> None:
    """Refuse to use an object in another thread or another Trio run.

    Raises:
        RuntimeError: This is not the thread of that run.
    """
    if not is_current(token):
        raise elsewhere(what)


def elsewhere(what: object) -> RuntimeError:
    """Return the exception that refuses an object of another Trio run."""
    return RuntimeError(
        f"{what} belongs to another Trio run; use it in that run, or call into that run with "
        "triojob.sync, such as triojob.sync.submit(group, fn, *args)"
    )


def is_current(token: trio.lowlevel.TrioToken) -> bool:
    """Return whether this is the thread of that run: in a task, or in the host of a guest run."""
    return trio.lowlevel.in_trio_run() and trio.lowlevel.current_trio_token() is token
