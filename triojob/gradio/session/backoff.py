"""What counts as refused, and how long to wait before the next attempt."""

from __future__ import annotations

import random
from typing import final

import trio

from ..._exceptions import (
    ConnectionFailed,
    NetworkError,
    ProtocolError,
    ServerRestarted,
    ServerStopped,
    TooManyRequests,
    TriojobError,
    UnexpectedResponse,
)

_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0
"""Seconds before something is sent again that was refused; each refusal in a row doubles them."""


def is_refusal(error: TriojobError, *, alive: bool) -> bool:
    """Tell whether a request that failed so has provably had no effect and may be sent again.

    Args:
        alive: Whether the server is known to live.  Where it is not, a connection that can't be
            made says that there is no server, and not that it has too many of them.
    """
    if isinstance(error, UnexpectedResponse):
        # The app's own words for a full or a stopped queue are errors of other kinds.
        # Envoy says 503 also for a connection that broke after it had passed the request on.
        return error.status in (429, 503) and "reset before headers" not in str(error)
    return isinstance(error, TooManyRequests) or (alive and isinstance(error, ConnectionFailed))


def may_have_been_opened(error: TriojobError) -> bool:
    """Tell whether the server may have opened a stream that was asked for, if that failed so.

    Then what it had to say of the calls on it may have gone to a connection that broke.
    """
    return isinstance(error, NetworkError) and not isinstance(error, ConnectionFailed)


def may_be_queued(error: TriojobError) -> bool:
    """Tell whether the server may have queued a call whose join failed so."""
    if isinstance(error, UnexpectedResponse):
        # Of a proxy that gave up: the app behind it may not have.
        return error.status >= 500 and not is_refusal(error, alive=True)
    if isinstance(error, (ConnectionFailed, ServerRestarted, ServerStopped)):
        return False
    return isinstance(error, (NetworkError, ProtocolError))


@final
class Refusals:
    """The refusals of one call or of one stream, in a row.

    Args:
        seconds: For how long to send it again after the first.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._since: float | None = None
        self._pause = _FIRST_PAUSE

    def pause(self, error: TriojobError) -> float | None:
        """Return how many seconds to wait after one more refusal; None to give up."""
        now = trio.current_time()
        if self._since is None:
            self._since = now
        # Not all that were refused at one moment shall come back at the same one.
        pause = self._pause * random.uniform(0.5, 1)  # noqa: S311 - no secret
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)
        if isinstance(error, (TooManyRequests, UnexpectedResponse)):
            pause = max(pause, error.retry_after or 0)
        return pause if now + pause - self._since <= self._seconds else None
