"""`Retry`: the policy for retrying calls; it decides, and waits for nothing."""

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
"""Each says that the server has done nothing, and means it."""


@dataclass(frozen=True)
class Retry:
    """How a call is made again that never started: pauses that grow, up to a bound.

    It is made again if the server can't be reached, refuses it by 429 or has a full queue: then it
    has done nothing.  What it may have begun is made again only if the endpoint is ``idempotent``.
    The names are those of stamina.

    Raises:
        ValueError: A number makes no sense.
    """

    attempts: int | None = 10
    """How many times it is made at most, the first included; None for no bound."""
    timeout: float | None = 45.0
    """Seconds after its start from which on it is not made again; None for no bound."""
    wait_initial: float = 0.1
    """Seconds of the first pause."""
    wait_max: float = 5.0
    """Seconds of the longest pause, unless the server asks for more by ``Retry-After``."""
    wait_jitter: float = 1.0
    """Seconds of chance that are added to a pause, at most."""
    wait_exp_base: float = 2.0
    """By how much each pause is longer than the one before."""
    idempotent: bool = False
    """Whether it may be made again though the server may have begun it, or even ended it:
    the connection broke, or the response was a 502, 503 or 504."""

    def __post_init__(self) -> None:
        if self.attempts is not None and (
            isinstance(self.attempts, bool) or self.attempts < 1 or self.attempts % 1
        ):
            raise ValueError(f"Retry.attempts must be 1 or more, or None, not {self.attempts!r}")
        if self.timeout is not None and not self.timeout >= 0:
            raise ValueError(f"Retry.timeout must be 0 or more, or None, not {self.timeout!r}")
        for name in ("wait_initial", "wait_max", "wait_jitter"):
            value = getattr(self, name)
            if not 0 <= value < math.inf:
                raise ValueError(f"Retry.{name} must be a number of seconds, not {value!r}")
        if not 1 <= self.wait_exp_base < math.inf:
            raise ValueError(f"Retry.wait_exp_base must be 1 or more, not {self.wait_exp_base!r}")

    def may_repeat(self, error: BaseException, *, stateful: bool) -> bool:
        """Tell whether a call that failed like this may be made again.

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
        """Return for how many seconds to wait before the next attempt; None to give up.

        Args:
            attempt: How many have failed.
            elapsed: Seconds since the first one began.
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
