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
"""After so many seconds half is left of what a server said of its queue: news grows old."""

REST = Retry(
    attempts=None, timeout=None, wait_initial=0.5, wait_max=30, wait_jitter=0.5, wait_exp_base=2
)
"""How long a replica is left alone after its first failure in a row, its second, and so on."""


def is_trouble(error: BaseException) -> bool:
    """Tell whether a failure says something of the server, and not only of the call."""
    if isinstance(error, UnexpectedResponse):
        return error.status >= 500
    return isinstance(error, (NetworkError, QueueFull, TooManyRequests))


def without_frames(error: TriojobError) -> TriojobError:
    """Return a copy to be kept: the frames of an exception's traceback hold the job it ended."""
    kept = copy.copy(error)
    kept.__cause__ = error.__cause__
    return kept


@dataclass
class Health:
    """Whether a replica answers, and how long its queue is.

    A replica that fails is left alone for a while.  Then it gets one call, and others only when
    the server has answered that one.
    """

    failures: int = 0
    """How many in a row."""
    rest_until: float = -math.inf
    epoch: int = 0
    """How often it has been sent to rest: what was sent before tells nothing new."""
    on_trial: bool = False
    """A call is under way that shows whether it answers again."""
    last_failure: TriojobError | None = None
    _queued: float = 0
    _queued_at: float = -math.inf

    def is_ready(self, now: float) -> bool:
        """Tell whether it may get a call."""
        return not self.failures or (now >= self.rest_until and not self.on_trial)

    def send(self) -> int:
        """Note that a call is about to be sent; return its epoch."""
        self.on_trial = bool(self.failures)
        return self.epoch

    def answered(self, epoch: int) -> None:
        """Note that the server has answered a call of that epoch."""
        if epoch == self.epoch:
            self.failures, self.on_trial, self.last_failure = 0, False, None

    def gave_up(self, epoch: int) -> None:
        """Note that a call of that epoch has ended without a response, as it was cancelled."""
        if epoch == self.epoch:
            self.on_trial = False

    def failed(self, epoch: int, error: TriojobError, now: float, chance: float) -> None:
        """Send it to rest, unless it is known already what this failure tells.

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
        assert seconds is not None  # it has no bound
        self.rest_until = now + seconds

    def told(self, queue_size: float, own: int, now: float) -> None:
        """Note how many calls wait on the server, of which so many may be ours."""
        self._queued, self._queued_at = max(0.0, queue_size - own), now

    def queued(self, now: float) -> float:
        """Return about how many calls of others wait there."""
        if not self._queued:
            return 0.0
        left: float = self._queued * 0.5 ** ((now - self._queued_at) / _HALF_LIFE)
        # Less than half a call is none, so that its replica takes turns again.
        return left if left >= 0.5 else 0.0


@dataclass(frozen=True)
class Candidate:
    """A replica that could get a call."""

    health: Health
    in_flight: int
    """How many calls of ours are under way there."""

    def load(self, now: float) -> float:
        """Return how much there is to do before, or beside, another call."""
        return self.in_flight + self.health.queued(now)


def choose(candidates: Sequence[Candidate | None], first: int, now: float) -> int | None:
    """Return the place of the one to get a call; None if there is none.

    The one with the least load of those that are ready; if none is, the one whose rest ends first:
    a call that may well fail there is better than one that is sure to.

    Args:
        candidates: None for each that can't be asked.
        first: Where to begin, so that those with the same load take turns.
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
