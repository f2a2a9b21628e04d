"""The exit codes of the command line; imports nothing, as it is also needed without click."""

from __future__ import annotations

APP_ERROR = 1
"""The app raised, or some rows have failed."""
FOUND = 1
"""`triojob doctor` has found a problem."""
USAGE = 2
CONNECTION = 3
TIMEOUT = 4
LOGIN = 5
BUSY = 6
"""The server refuses for now: a full queue, or too many requests."""
LOCAL = 7
"""A file on this machine can't be read or written."""
MISSING = 8
"""An optional library is not installed."""
BUG = 70
"""An unexpected exception; BSD's ``EX_SOFTWARE``."""
INTERRUPTED = 128 + 2
"""Ctrl-C."""
PIPE_CLOSED = 128 + 13
"""The status that a shell reports for a program that wrote into a pipe without a reader."""
