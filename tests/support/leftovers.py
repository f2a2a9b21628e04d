"""Finds what a test leaves in its process, where the tests after it would find it."""

from __future__ import annotations

import decimal
import gc
import locale
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any

import trio

from triojob import _secrets
from triojob._core.logs import CLEAN_LINES


def _environment() -> dict[str, str]:
    # pytest itself changes this one during a test.
    return {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}


def _loggers() -> dict[str, object]:
    """Return the settings of triojob's loggers and the root, apart from what an import makes."""
    names = [name for name in logging.root.manager.loggerDict if name.startswith("triojob")]
    found = {}
    for logger in (logging.root, *map(logging.getLogger, names)):
        filters = [each for each in logger.filters if each is not CLEAN_LINES]
        settings = (logger.level, logger.handlers[:], filters, logger.disabled)
        if any(settings) or not logger.propagate:
            found[logger.name] = (*settings, logger.propagate)
    return found


STATE: Mapping[str, Callable[[], Any]] = {
    "current directory": os.getcwd,
    "decimal context": lambda: repr(decimal.getcontext()),
    "environment": _environment,
    "exception being handled": sys.exc_info,
    "exception hooks": lambda: (sys.excepthook, sys.unraisablehook, threading.excepthook),
    "garbage collector": lambda: (gc.isenabled(), gc.get_threshold()),
    "import path": lambda: sys.path[:],
    "interpreter's limits": lambda: (sys.getrecursionlimit(), sys.getswitchinterval()),
    "locale": lambda: locale.setlocale(locale.LC_ALL),
    "loggers": _loggers,
    "profile function": lambda: (sys.getprofile(), threading.getprofile()),
    "signal handlers": lambda: {each.name: signal.getsignal(each) for each in signal.Signals},
    "socket timeout": socket.getdefaulttimeout,
    "trace function": lambda: (sys.gettrace(), threading.gettrace()),
    "Trio's random generator": lambda: trio._core._run._r,  # type: ignore[attr-defined]
}
"""What every test finds and has to leave as it was."""


class Leftovers:
    """Compares the process with what it was when this object was made."""

    def __init__(self) -> None:
        self._state = {name: look() for name, look in STATE.items()}
        self._clients = set(_secrets._known)

    def find(self) -> list[str]:
        """Return a sentence on each difference."""
        return [
            f"the {name} is {after!r}, and was {before!r}"
            for name, before in self._state.items()
            if (after := STATE[name]()) != before
        ]

    def forget_clients(self) -> None:
        """Take the secrets of new clients from those that are masked in all texts.

        Fixtures, log records and tracebacks may keep a client for some time after its test.
        """
        for key in set(_secrets._known) - self._clients:
            _secrets._known.pop(key, None)
