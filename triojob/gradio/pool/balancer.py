"""Chooses the replica for a call; no I/O and no clock.

All times are seconds on one clock, which the caller reads.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass

from ..._core.retry import Retry
from ..._exceptions import (
    NetworkError,
    QueueFull,
    TooManyRequests,
    TriojobError,
    UnexpectedResponse,
)

_HALF_LIFE = 10.0
"""Seconds after which the weight of a server's reported queue size is halved."""

REST = Retry(
    attempts=None, timeout=None, wait_initial=0.5, wait_max=30, wait_jitter=0.5, wait_exp_base=2
)
"""The cooldown of a replica after its first failure in a row, its second, and so on."""


def is_trouble(error: BaseException) -> bool:
    """Return whether a failure indicates a problem of the server, and not only of the call."""
    if isinstance(error, UnexpectedResponse):
        return error.status >= 500
    return isinstance(error, (NetworkError, QueueFull, TooManyRequests))


def without_frames(error: TriojobError) -> TriojobError:
    """Return a copy without traceback, to be kept: the frames hold the job that it ended."""
    kept = copy.copy(error)
    kept.__cause__ = error.__cause__
    return kept


@dataclass
class Health:
    """Whether a replica responds, and how long its queue is.

    A replica that fails has a cooldown.  After it, the replica receives one call, and others only
    when the server has responded to that call.
    """

    failures: int = 0
    """The number of failures in a row."""
    rest_until: float = -math.inf
    epoch: int = 0
    """How many cooldowns there have been: calls sent before the last one carry no information."""
    on_trial: bool = False
    """A call is in flight that shows whether the replica responds again."""
    last_failure: TriojobError | None = None
    _queued: float = 0
    _queued_at: float = -math.inf

    def is_ready(self, now: float) -> bool:
        """Return whether it can receive a call."""
        return not self.failures or (now >= self.rest_until and not self.on_trial)

    def send(self) -> int:
        """Note that a call is about to be sent; return its epoch."""
        self.on_trial = bool(self.failures)
        return self.epoch

    def answered(self, epoch: int) -> None:
        """Note that the server has responded to a call of that epoch."""
        if epoch == self.epoch:
            self.failures, self.on_trial, self.last_failure = 0, False, None

    def gave_up(self, epoch: int) -> None:
        """Note that a call of that epoch was cancelled before a response."""
        if epoch == self.epoch:
            self.on_trial = False

    def failed(self, epoch: int, error: TriojobError, now: float, chance: float) -> None:
        """Start a cooldown, unless the failure's epoch is over.

        Args:
            chance: A random number from 0 to 1.
        """
        if epoch != self.epoch:
            return
        self.epoch += 1
        self.failures += 1
        self.on_trial, self.last_failure = False, without_frames(error)
        self._queued = 0
        seconds = REST.pause(error, self.failures, 0, chance)
        assert seconds is not None  # the retry has no limit
        self.rest_until = now + seconds

    def told(self, queue_size: float, own: int, now: float) -> None:
        """Note how many calls wait on the server, including up to ``own`` calls of this pool."""
        self._queued, self._queued_at = max(0.0, queue_size - own), now

    def queued(self, now: float) -> float:
        """Return the estimated number of calls of other clients that wait there."""
        if not self._queued:
            return 0.0
        left: float = self._queued * 0.5 ** ((now - self._queued_at) / _HALF_LIFE)
        # Less than half a call counts as none, so that replicas are used in rotation again.
        return left if left >= 0.5 else 0.0


@dataclass(frozen=True)
class Candidate:
    """A replica that could receive a call."""

    health: Health
    in_flight: int
    """How many calls of this pool are in flight there."""

    def load(self, now: float) -> float:
        """Return the load that another call would wait for or share."""
        return self.in_flight + self.health.queued(now)


def choose(candidates: Sequence[Candidate | None], first: int, now: float) -> int | None:
    """Return the index of the candidate to receive a call; None if there is none.

    The candidate with the least load of those that are ready; if none is ready, the one whose
    cooldown ends first: a call that may fail there is better than one that certainly fails.

    Args:
        candidates: None for each replica that can't be used.
        first: The index to begin at, so that candidates with the same load are used in rotation.
    """
    count = len(candidates)
    best: tuple[bool, float] | None = None
    chosen: int | None = None
    for step in range(count):
        place = (first + step) % count
        candidate = candidates[place]
        if candidate is None:
            continue
        ready = candidate.health.is_ready(now)
        rank = (not ready, candidate.load(now) if ready else candidate.health.rest_until)
        if best is None or rank < best:
            best, chosen = rank, place
    return chosen
