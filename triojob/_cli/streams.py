"""Outputs of ``triojob map`` that are not regular files: standard output, FIFOs and devices."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

import trio

from .._durable.encoding import encode_line, write_all
from .._durable.finished import FinishedRows
from .._durable.store import Store
from .ending import CommandError
from .exit_codes import LOCAL

_STDOUT = ("-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")


def is_stdout(path: str) -> bool:
    """Return whether a path means standard output."""
    return path in _STDOUT


def is_stream(path: str) -> bool:
    """Return whether an output can only be written to, not resumed.

    Raises:
        CommandError: It can't be an output at all.
    """
    if is_stdout(path):
        return True
    try:
        mode = os.lstat(path).st_mode
        is_link = stat.S_ISLNK(mode)
        if is_link:
            mode = os.stat(path).st_mode  # noqa: PTH116 - beside lstat
    except FileNotFoundError:
        if os.path.islink(path):  # noqa: PTH114 - beside lstat
            raise _refusal(path, "it is a symbolic link") from None
        if not Path(path).parent.is_dir():
            raise _refusal(path, "its folder does not exist") from None
        return False
    if stat.S_ISFIFO(mode) or stat.S_ISCHR(mode):
        return True
    # Not followed: the file would be replaced, and the link would not.
    if is_link:
        raise _refusal(path, "it is a symbolic link; name the file that it points to")
    if not stat.S_ISREG(mode):
        raise _refusal(path, "it is a folder" if stat.S_ISDIR(mode) else "it is not a regular file")
    return False


def _refusal(path: str, reason: str) -> CommandError:
    return CommandError(f"--output: {path!r} can't be written: {reason}", LOCAL)


async def open_stream(path: str) -> Stream:
    """Open an output for which `is_stream` is true.

    Waits until a FIFO has a reader; being cancelled ends the wait.

    Raises:
        OSError: It can't be opened.
    """
    if is_stdout(path):
        return Stream(1)
    flags = os.O_WRONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOCTTY", 0)
    return Stream(await trio.to_thread.run_sync(os.open, path, flags, abandon_on_cancel=True))


class Stream(Store):
    """Receives the lines of finished rows in the place of a file; it can't be resumed.

    It is written in a thread, so that a slow reader delays nothing else.
    """

    def __init__(self, descriptor: int) -> None:
        self.finished = FinishedRows()
        self.is_screen = os.isatty(descriptor)
        self._descriptor = descriptor
        self._pending = b""
        self._turn = trio.Lock()

    def write(self, row: int, line: str) -> None:
        """Queue the line of a finished row."""
        self._pending += encode_line(line)

    def read(self, row: int) -> str:
        """Fail: it has no rows of earlier runs."""
        raise LookupError(row)

    async def flush(self) -> None:
        """Wait until the queued lines have been written.

        Raises:
            BrokenPipeError: There is no reader.
        """
        async with self._turn:
            data, self._pending = self._pending, b""
            if data:
                await trio.to_thread.run_sync(
                    write_all, self._descriptor, data, abandon_on_cancel=True
                )

    def digests_of(self, block: int) -> Mapping[int, str]:
        """Return nothing: it has no rows of earlier runs."""
        return {}

    def close(self) -> None:
        """Close it, unless it is standard output."""
        if self._descriptor != 1:
            os.close(self._descriptor)
