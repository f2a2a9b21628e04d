"""The rate at which things complete, and the remaining time: arithmetic only."""

from __future__ import annotations

import math
from collections import deque

SAMPLE_SECONDS = 0.5
"""Minimum time between samples, so that a burst of a thousand ends is one sample."""
SAMPLES = 64
"""Maximum number of samples: half a minute of many short things, more of few long ones."""


class Pace:
    """Counts completed things, and computes the current rate and the remaining time.

    Time is any clock that counts seconds, such as `trio.current_time`; each method takes it.

    Args:
        now: The start of the counting.
        total: The total number of things, or None if it is unknown.
    """

    def __init__(self, now: float, *, total: float | None = None) -> None:
        self.began = now
        self.total = total
        self._before = 0
        self._counted = 0
        self._samples: deque[tuple[float, int]] = deque([(now, 0)], maxlen=SAMPLES)

    @property
    def done(self) -> int:
        """The number of completed things."""
        return self._before + self._counted

    def credit(self, n: int) -> None:
        """Count ``n`` things that were completed before the start: they don't affect the rate."""
        self._before += n

    def count(self, now: float, n: int = 1) -> None:
        """Count ``n`` things that were just completed."""
        self._counted += n
        if now - self._samples[-1][0] >= SAMPLE_SECONDS:
            self._samples.append((now, self._counted))

    def rate(self, now: float) -> float | None:
        """Return the current number per second; None before the first, or if it is too early."""
        since, before = self._samples[0]
        if self._counted == before or now - since < SAMPLE_SECONDS:
            return None
        return (self._counted - before) / (now - since)

    def eta(self, now: float) -> float | None:
        """Return the remaining time in seconds; None if it is unknown."""
        if self.total is None:
            return None
        if self.done >= self.total:
            return 0.0
        rate = self.rate(now)
        return None if rate is None else (self.total - self.done) / rate

    def share(self) -> float | None:
        """Return the completed share, 0 to 1; None if the total is unknown."""
        if self.total is None:
            return None
        return min(1.0, self.done / self.total) if self.total > 0 else 1.0


def duration(seconds: float) -> str:
    """Format a duration: ``0.4 s``, ``12 s``, ``3 min 20 s``, ``1 h 05 min``, ``4 d 2 h``."""
    if not math.isfinite(seconds):
        return "?"
    seconds = max(0.0, seconds)
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    minutes = round(seconds / 60)
    if minutes < 24 * 60:
        return f"{minutes // 60} h {minutes % 60:02} min"
    hours = round(seconds / 3600)
    return f"{hours // 24} d {hours % 24} h"


def per_second(rate: float) -> str:
    """Format a rate: ``120/s``, ``3.1/s``, ``4.2/min``, ``1.5/h``."""
    unit = "s"
    for longer in ("min", "h"):
        if rate < 0.1:
            rate, unit = rate * 60, longer
    return f"{rate:.{0 if rate >= 99.5 else 1}f}/{unit}"
