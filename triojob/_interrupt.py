"""Ctrl-C while the command line still imports, which takes longer than an impatient person.

Until then Python raises `KeyboardInterrupt` in whatever module is being imported: a traceback of
somebody else's code, if that code lets it through at all.
Importing this module does nothing, unless the process is the command line.
"""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

_NAMES = ("triojob", "triojob.exe", "triojob-script.py")


def is_command(argv: list[str], orig_argv: list[str]) -> bool:
    """Tell whether a process is the command line, by what Python has as its arguments."""
    if argv[:1] == ["-m"]:  # as long as Python looks for the module that is to run
        return not {"triojob", "-mtriojob"}.isdisjoint(orig_argv)
    return bool(argv) and os.path.basename(argv[0]) in _NAMES  # noqa: PTH119 - pathlib is slow to import


def _exit(_number: int, _frame: FrameType | None) -> None:
    os._exit(128 + signal.SIGINT)


def exit_on_interrupt() -> None:
    """Let Ctrl-C end the process at once and in silence, unless it is ignored."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _exit)


def raise_on_interrupt() -> None:
    """Let Ctrl-C raise `KeyboardInterrupt` again."""
    if signal.getsignal(signal.SIGINT) is _exit:
        signal.signal(signal.SIGINT, signal.default_int_handler)


if is_command(sys.argv, sys.orig_argv):
    exit_on_interrupt()
