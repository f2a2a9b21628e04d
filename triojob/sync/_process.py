"""Handles jobs and portals when their process ends or forks."""

from __future__ import annotations

import atexit
import os

from ._entry import end_entries_of_parent
from ._failure_report import leave_all_to_parent, make_all_reports
from ._portal import close_shared_portal, forget_shared_portal
from ._threads import call_deferred, defer_calls, forget_threads
from ._waiting import daemons_asleep


def _close() -> None:
    defer_calls()
    with daemons_asleep():
        close_shared_portal()
    call_deferred()


def _forget_parent() -> None:
    """In a forked child, forget the parent's threads, of which no further event can come."""
    end_entries_of_parent()
    forget_shared_portal()
    forget_threads()


# The last function to be registered runs first.  Python calls these functions after the threads
# that keep the interpreter alive have ended; until then, those threads might wait for jobs.
atexit.register(_close)
atexit.register(make_all_reports)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_parent)
    os.register_at_fork(after_in_child=leave_all_to_parent)
