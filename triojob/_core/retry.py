"""`Retry`: the policy for retrying calls; it only decides, and does not wait itself."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .._exceptions import (
    ConnectionFailed,
    NetworkError,
    QueueFull,
    ServerRestarted,
    TooManyRequests,
    UnexpectedResponse,
)

_NEVER_STARTED = (ConnectionFailed, QueueFull, TooManyRequests)
"""Errors that guarantee that the server has not started the call."""


@dataclass(frozen=True)
class Retry:
    """When to retry a call that never started: exponential backoff, up to a bound.

    A call is retried if the server can't be reached, responds with 429 or has a full queue: the
    server has not started it then.  A call that the server might have started is retried only if
    the endpoint is ``idempotent``.  The names are those of stamina.

    Raises:
        ValueError: A number is invalid.
    """

    attempts: int | None = 10
    """Maximum number of attempts, including the first; None for no bound."""
    timeout: float | None = 45.0
    """Seconds after the first attempt during which to retry; None for no bound."""
    wait_initial: float = 0.1
    """Backoff before the second attempt, in seconds."""
    wait_max: float = 5.0
    """Maximum backoff in seconds, unless the server requests more by ``Retry-After``."""
    wait_jitter: float = 1.0
    """Maximum random time that is added to a backoff, in seconds."""
    wait_exp_base: float = 2.0
    """Factor by which the backoff grows with each attempt."""
    idempotent: bool = False
    """Whether to retry a call that the server might have started or even finished: the connection
    broke, or the response was a 502, 503 or 504."""

    def __post_init__(self) -> None:
        if self.attempts is not None and (
            isinstance(self.attempts, bool) or self.attempts < 1 or self.attempts % 1
        ):
            raise ValueError(f"Retry.attempts must be at least 1, or None, not {self.attempts!r}")
        if self.timeout is not None and not self.timeout >= 0:
            raise ValueError(f"Retry.timeout must be at least 0, or None, not {self.timeout!r}")
        for name in ("wait_initial", "wait_max", "wait_jitter"):
            value = getattr(self, name)
            if not 0 <= value < math.inf:
                raise ValueError(f"Retry.{name} must be a number of seconds, not {value!r}")
        if not 1 <= self.wait_exp_base < math.inf:
            raise ValueError(f"Retry.wait_exp_base must be at least 1, not {self.wait_exp_base!r}")

    def may_repeat(self, error: BaseException, *, stateful: bool) -> bool:
        """Return whether to retry a call that failed with ``error``.

        Args:
            stateful: Whether the endpoint keeps ``gr.State``, which a restart of the app loses.
        """
        if isinstance(error, _NEVER_STARTED):
            return True
        if not self.idempotent:
            return False
        if isinstance(error, ServerRestarted):
            return not stateful
        if isinstance(error, UnexpectedResponse):
            return error.status in (502, 503, 504)
        return isinstance(error, NetworkError)

    def pause(
        self, error: BaseException, attempt: int, elapsed: float, chance: float
    ) -> float | None:
        """Return the backoff before the next attempt, in seconds; None to give up.

        Args:
            attempt: The number of failed attempts.
            elapsed: Seconds since the first attempt began.
            chance: A random number from 0 to 1.
        """
        if self.attempts is not None and attempt >= self.attempts:
            return None
        try:
            seconds = self.wait_initial * self.wait_exp_base ** (attempt - 1)
        except OverflowError:
            seconds = self.wait_max
        seconds = min(seconds + self.wait_jitter * chance, self.wait_max)
        if isinstance(error, TooManyRequests) and error.retry_after is not None:
            seconds = max(seconds, error.retry_after)
        if self.timeout is not None and elapsed + seconds > self.timeout:
            return None
        return seconds
