"""What `test_terminal.py` runs in a terminal: some jobs in a live view."""

from __future__ import annotations

import fcntl
import logging
import os
import sys
import termios
from collections.abc import Awaitable, Callable
from pathlib import Path

import trio

import triojob
from triojob import JobGroup, report


async def key() -> None:
    """Wait until somebody has pressed Enter."""
    await trio.lowlevel.wait_readable(0)
    os.read(0, 100)


async def work() -> None:
    """Show two jobs, which end when Enter is pressed."""
    pressed = trio.Event()

    async def work() -> None:
        for done in range(4):
            report.progress((done, 40))
            await trio.sleep(0.05)
        await pressed.wait()

    async with JobGroup() as group, triojob.live(group, total=2):
        group.submit(work)
        group.submit(work)
        await key()
        pressed.set()
    print("after")  # noqa: T201 - it is what is tested


async def prints() -> None:
    """Print from the body."""

    async def work() -> None:
        await trio.sleep(0.3)

    logging.basicConfig()
    async with JobGroup() as group, triojob.live(group):
        group.submit(work)
        await trio.sleep(0.1)
        print("[bold]to stdout[/]")  # noqa: T201
        print("to stderr", file=sys.stderr)  # noqa: T201
        print("\x1b[31mred\x1b[0m, with an escape of its own", file=sys.stderr)  # noqa: T201
        logging.getLogger("mine").warning("logged")
        print("without an end of line", end="", file=sys.stderr, flush=True)  # noqa: T201
    logging.getLogger("mine").warning("logged after")


async def hangs() -> None:
    """Show jobs that don't end."""
    async with JobGroup() as group, triojob.live(group):
        for _ in range(int(sys.argv[2])):
            group.submit(trio.sleep_forever)


async def raises() -> None:
    """Raise in the body."""
    async with JobGroup() as group, triojob.live(group):
        group.submit(trio.sleep_forever)
        await trio.sleep(0.3)
        raise KeyError("mine")


async def counts() -> None:
    """Show a job that makes a file longer, until Enter is pressed."""
    path = Path(sys.argv[2])

    async def count() -> None:
        done = 0
        while True:
            done += 1
            path.write_bytes(b"." * done)
            report.progress((done, None))
            await trio.sleep(0.01)

    async with JobGroup() as group, triojob.live(group):
        job = group.submit(count)
        await key()
        job.cancel()


MODES: dict[str, Callable[[], Awaitable[None]]] = {
    mode.__name__: mode for mode in (work, prints, hangs, raises, counts)
}
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
trio.run(MODES[sys.argv[1]])
