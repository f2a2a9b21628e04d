"""Which errors are refusals, and how long to wait before the next attempt."""

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
"""Seconds before the retry of a refused request; each refusal in a row doubles the backoff."""


def is_refusal(error: TriojobError, *, alive: bool) -> bool:
    """Return whether the failed request provably had no effect, so that it can be sent again.

    Args:
        error: How the request failed.
        alive: Whether the server is known to be alive.  If it is, a failed connection attempt means
            that the server has too many connections; if not, that there is no server.
    """
    if isinstance(error, UnexpectedResponse):
        # The app reports a full or a stopped queue with errors of other classes.  Envoy also
        # responds with 503 if a connection breaks after it has forwarded the request.
        return error.status in (429, 503) and "reset before headers" not in str(error)
    return isinstance(error, TooManyRequests) or (alive and isinstance(error, ConnectionFailed))


def may_have_been_opened(error: TriojobError) -> bool:
    """Return whether the server may have opened the stream, although the request failed.

    In that case, messages about the calls on the stream might have gone to a broken connection.
    """
    return isinstance(error, NetworkError) and not isinstance(error, ConnectionFailed)


def may_be_queued(error: TriojobError) -> bool:
    """Return whether the server may have queued the call whose join failed with ``error``."""
    if isinstance(error, UnexpectedResponse):
        # The status of a proxy that gave up: the app behind it may still process the request.
        return error.status >= 500 and not is_refusal(error, alive=True)
    if isinstance(error, (ConnectionFailed, ServerRestarted, ServerStopped)):
        return False
    return isinstance(error, (NetworkError, ProtocolError))


@final
class Refusals:
    """Consecutive refusals of one call or of one stream.

    Args:
        seconds: For how long to retry after the first refusal.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._since: float | None = None
        self._pause = _FIRST_PAUSE

    def pause(self, error: TriojobError) -> float | None:
        """Count one more refusal; return the backoff in seconds, or None to give up."""
        now = trio.current_time()
        if self._since is None:
            self._since = now
        # Jitter: requests that were refused together must not all come back at the same moment.
        pause = self._pause * random.uniform(0.5, 1)  # noqa: S311 - no secret
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)
        if isinstance(error, (TooManyRequests, UnexpectedResponse)):
            pause = max(pause, error.retry_after or 0)
        return pause if now + pause - self._since <= self._seconds else None
