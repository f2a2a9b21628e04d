"""What the tests on engines share: a table, and the killing of one worker in the middle."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from urllib.parse import urlsplit

import psutil

from tests.bulk.support import BulkServer
from tests.support.threads import Watched, wait_for

BLOCKS, ROWS = 12, 5
TEXTS = [f"{block:02}-{row}" for block in range(BLOCKS) for row in range(ROWS)]
"""What the rows are called with; the number before the hyphen tells their block."""
WORKERS = 3
SECONDS = 200
"""Only here to end what hangs: an engine's workers take their time to start."""


def kill_one_worker(server: BulkServer, count: int = WORKERS) -> Watched:
    """Kill one of so many workers when each has come to a block in which calls wait.

    By then a third of all calls has been answered; after it, the server answers all.
    This runs in a thread, which gives the number of the process that was killed.
    """
    server.passing = len(TEXTS) // 3

    def blocks() -> set[str]:
        return {text.partition("-")[0] for text in tuple(server.waiting)}

    def kill() -> int:
        wait_for(lambda: len(blocks()) == count, lambda: (blocks(), server.calls), SECONDS)
        victim = callers(server)[0]
        os.kill(victim.pid, signal.SIGKILL)
        wait_for(lambda: gone(victim), seconds=SECONDS)
        server.open_gate()
        return victim.pid

    return Watched(kill)


def gone(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def callers(server: BulkServer) -> list[psutil.Process]:
    """Return the processes, started by this one or by those, that are connected to the server."""
    port = urlsplit(server.url).port
    found: list[psutil.Process] = []
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
            ends = [connection.raddr for connection in process.net_connections("tcp")]
            if any(end and end.port == port for end in ends):
                found.append(process)
    return found


def repeated_blocks(server: BulkServer, engine: str) -> set[str]:
    """Show that all rows were called, and say which blocks' rows were called a second time."""
    assert set(server.calls) == set(TEXTS)
    assert max(server.calls.values()) <= 2
    again = sorted(text for text, times in server.calls.items() if times > 1)
    said = f"{engine}: {len(TEXTS)} rows, {server.calls.total()} calls, again: {again}"
    print(said)  # noqa: T201 - `nox -s engines` shows it
    return {text.partition("-")[0] for text in again}
