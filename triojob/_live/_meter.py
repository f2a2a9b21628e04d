"""The completed share and the remaining time of a run: arithmetic only."""

from __future__ import annotations

from .._core.rate import RateMeter


class ProgressMeter:
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
        self._completions = RateMeter(now)
        self.count = self._completions.count
        self.rate = self._completions.rate

    @property
    def done(self) -> int:
        """The number of completed things."""
        return self._before + self._completions.counted

    def credit(self, n: int) -> None:
        """Count ``n`` things that were completed before the start: they don't affect the rate."""
        self._before += n

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
