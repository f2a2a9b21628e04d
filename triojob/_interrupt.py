"""Handles Ctrl-C while the command line still imports, which takes a noticeable time.

Otherwise Python raises `KeyboardInterrupt` in whatever module is being imported: it prints a
traceback of foreign code, or that code swallows the exception.
Importing this module does nothing, unless the process is the command line.
"""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

_NAMES = ("triojob", "triojob.exe", "triojob-script.py")


def is_command(argv: list[str], orig_argv: list[str]) -> bool:
    """Return whether a process is the command line, judging by its arguments."""
    if argv[:1] == ["-m"]:  # while Python still looks for the module to run
        return not {"triojob", "-mtriojob"}.isdisjoint(orig_argv)
    return bool(argv) and os.path.basename(argv[0]) in _NAMES  # noqa: PTH119 - pathlib is slow to import


def _exit(_number: int, _frame: FrameType | None) -> None:
    os._exit(128 + signal.SIGINT)


def exit_on_interrupt() -> None:
    """Make Ctrl-C end the process immediately and silently, unless it is ignored."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _exit)


def raise_on_interrupt() -> None:
    """Make Ctrl-C raise `KeyboardInterrupt` again."""
    if signal.getsignal(signal.SIGINT) is _exit:
        signal.signal(signal.SIGINT, signal.default_int_handler)


if is_command(sys.argv, sys.orig_argv):
    exit_on_interrupt()
