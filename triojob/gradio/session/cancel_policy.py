"""Decides what to ask of the server when calls of one function are cancelled; no I/O.

A cancel request with the function's number stops *every* call of the function that runs in the
session, and the others are never told (gradio 6.31, ``routes.py``, ``cancel_event``).  One that
names no function takes a call out of the queue that waits there, and harms nothing else; so it is
the way to cancel one that waits, and to get those out of the way that wait behind one that runs.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from .pending_call import PendingCall


class CancelStep(NamedTuple):
    """What to ask of the server next."""

    dequeue: tuple[PendingCall, ...] = ()
    """Calls to take out of the server's queue, first."""
    stop: tuple[PendingCall, ...] = ()
    """Calls to stop then, if nothing else of the function runs: one request for each."""

    @property
    def fn_index(self) -> int:
        """The function whose calls these are."""
        return (self.stop or self.dequeue)[0].fn_index


def next_step(calls: Collection[PendingCall], *, dequeues: bool) -> CancelStep | None:
    """Return what to ask of the server; None if there is nothing, or it has to wait.

    Args:
        calls: All calls of one function that a session has in flight.
        dequeues: Whether the server can take a waiting call out of its queue (Gradio 6.14).
    """
    calls = [call for call in calls if call.is_sent]
    abandoned = [call for call in calls if call.abandoned]
    if not abandoned:
        return None
    if len(abandoned) == len(calls):
        if any(call.event_id is None for call in calls):
            return None  # the response to its join is still to come, and is bounded
        # Those that wait come first: stopping the others would start them.
        first = [call for call in abandoned if call.queued and not call.dequeuing]
        return CancelStep(tuple(first) if dequeues and len(calls) > 1 else (), tuple(abandoned))
    if not dequeues:
        return None
    leaving = [call for call in abandoned if call.queued and not call.dequeuing]
    if leaving:
        return CancelStep(dequeue=tuple(leaving))
    running = [call for call in abandoned if call.translator.running]
    others = [call for call in calls if not call.abandoned]
    if running and all(call.queued for call in others):
        return CancelStep(dequeue=tuple(others), stop=tuple(running))
    return None
