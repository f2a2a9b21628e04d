"""The rate at which things complete: arithmetic only."""

from __future__ import annotations

from collections import deque
from typing import final

SAMPLE_SECONDS = 0.5
"""Minimum time between samples, so that a burst of a thousand ends is one sample."""
SAMPLES = 64
"""Maximum number of samples: half a minute of many short things, more of few long ones."""
ENOUGH = 16
"""How many things must have completed in the last half minute for these alone to count: a burst
after a long silence has the rate of the burst, and one thing an hour has a rate, too."""


@final
class RateMeter:
    """Counts completed things, and computes how many complete per second at present.

    Time is any clock that counts seconds, such as `trio.current_time`; each method takes it.

    Args:
        now: The start of the counting.
    """

    __slots__ = ("_samples", "counted")

    def __init__(self, now: float) -> None:
        self.counted: int = 0
        """The number of completed things."""
        self._samples: deque[tuple[float, int]] = deque([(now, 0)], maxlen=SAMPLES)

    def count(self, now: float, n: int = 1) -> None:
        """Count ``n`` things that were just completed."""
        self.counted += n
        if now - self._samples[-1][0] >= SAMPLE_SECONDS:
            self._samples.append((now, self.counted))

    def rate(self, now: float) -> float | None:
        """Return the current number per second; None before the first, or if it is too early."""
        recent = now - SAMPLES * SAMPLE_SECONDS
        since, before = next(
            (each for each in self._samples if each[0] >= recent), self._samples[0]
        )
        if self.counted - before < ENOUGH:
            since, before = self._samples[0]
        if self.counted == before or now - since < SAMPLE_SECONDS:
            return None
        return (self.counted - before) / (now - since)
