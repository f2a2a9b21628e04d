"""Decides which cancel requests to send when calls of one function are cancelled; no I/O.

A cancel request with the function's number stops *every* running call of that function in the
session, and Gradio does not report this to the other calls (gradio 6.31, ``routes.py``,
``cancel_event``).  A cancel request without a function removes a waiting call from the queue and
has no other effect.  Use the second form to cancel a waiting call, and to move the waiting calls
out of the way before a running call is cancelled.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from .pending_call import PendingCall


class CancelStep(NamedTuple):
    """The cancel requests to send next."""

    dequeue: tuple[PendingCall, ...] = ()
    """Calls to remove from the server's queue, before any call is stopped."""
    stop: tuple[PendingCall, ...] = ()
    """Calls to stop afterwards, one request for each, if no other call of the function runs."""

    @property
    def fn_index(self) -> int:
        """The function of these calls."""
        return (self.stop or self.dequeue)[0].fn_index


def next_step(calls: Collection[PendingCall], *, dequeues: bool) -> CancelStep | None:
    """Return the next cancel requests; None if nothing is to be cancelled or the time is not right.

    Args:
        calls: All calls of one function that a session has in flight.
        dequeues: Whether the server can remove a waiting call from its queue (Gradio 6.14).
    """
    calls = [call for call in calls if call.is_sent]
    abandoned = [call for call in calls if call.abandoned]
    if not abandoned:
        return None
    if len(abandoned) == len(calls):
        if any(call.event_id is None for call in calls):
            return None  # wait for the response to its join, which is bounded in time
        # Waiting calls come first: stopping the running calls would start them.
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
