"""Percentiles of durations, in bounded memory."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import final

SHORTEST = 0.001
"""Seconds; durations up to this one share the first bucket."""
PER_DOUBLING = 8
"""How many buckets there are between a duration and twice that duration."""
BOUNDS = tuple(SHORTEST * 2 ** (number / PER_DOUBLING) for number in range(22 * PER_DOUBLING + 1))
"""The longest duration of each bucket, in seconds, up to 70 minutes; one more bucket has the rest.
"""


@dataclass(frozen=True)
class LatencyStatistics:
    """How long calls took, in seconds; percentiles are exact to 9 %."""

    count: int = 0
    """How many calls were measured."""
    p50: float | None = None
    """Half of the calls took at most this long; None if there were no calls."""
    p90: float | None = None
    p99: float | None = None
    longest: float | None = None


@final
class LatencyHistogram:
    """Counts durations in buckets, each 9 % longer than the one before.

    Its memory is bounded by the number of buckets.
    """

    __slots__ = ("_counts", "_shortest", "longest")

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        """The counts of the buckets that are not empty, by the buckets' numbers."""
        self._shortest = math.inf
        self.longest: float = 0.0
        """The longest duration, in seconds."""

    @property
    def count(self) -> int:
        """How many durations were added."""
        return sum(self._counts.copy().values())

    def add(self, seconds: float) -> None:
        """Add a duration."""
        bucket = bisect_left(BOUNDS, seconds)
        self._counts[bucket] = self._counts.get(bucket, 0) + 1
        self._shortest = min(self._shortest, seconds)
        self.longest = max(self.longest, seconds)

    def merge(self, other: LatencyHistogram) -> None:
        """Add all durations of another histogram."""
        for bucket, count in other._counts.copy().items():
            self._counts[bucket] = self._counts.get(bucket, 0) + count
        self._shortest = min(self._shortest, other._shortest)
        self.longest = max(self.longest, other.longest)

    def buckets(self) -> Iterator[tuple[float, float, int]]:
        """Yield the buckets that are not empty: shortest and longest duration, and count."""
        for bucket, count in sorted(self._counts.copy().items()):
            yield *self._bounds(bucket), count

    def _bounds(self, bucket: int) -> tuple[float, float]:
        start = BOUNDS[bucket - 1] if bucket else 0.0
        end = BOUNDS[bucket] if bucket < len(BOUNDS) else self.longest
        return max(start, self._shortest), min(end, self.longest)

    def groups(self, most: int) -> list[tuple[float, float, int]]:
        """Return at most ``most`` adjacent groups of buckets, as `buckets` yields buckets.

        Each group spans the same factor, except that the first and the last end with the durations.
        """
        if not self._counts:
            return []
        first, last = min(self._counts), max(self._counts)
        wide = -(-(last - first + 1) // most)
        groups: list[tuple[float, float, int]] = []
        for start in range(first, last + 1, wide):
            buckets = range(start, min(start + wide, last + 1))
            count = sum(self._counts.get(each, 0) for each in buckets)
            groups.append((self._bounds(buckets[0])[0], self._bounds(buckets[-1])[1], count))
        return groups

    def percentile(self, share: float) -> float | None:
        """Return the duration that ``share`` of the durations do not exceed; None if empty.

        Args:
            share: From 0 to 1.
        """
        left = share * self.count
        found = None
        for start, end, count in self.buckets():
            found = start + (end - start) * min(1.0, left / count)
            left -= count
            if left <= 0:
                break
        return found

    def statistics(self) -> LatencyStatistics:
        """Return the count and the percentiles; safe to call from any thread."""
        if not self._counts:
            return LatencyStatistics()
        p50, p90, p99 = map(self.percentile, (0.5, 0.9, 0.99))
        return LatencyStatistics(self.count, p50, p90, p99, self.longest)


def merged(histograms: Iterable[LatencyHistogram]) -> LatencyHistogram:
    """Return a histogram with all durations of others."""
    whole = LatencyHistogram()
    for histogram in histograms:
        whole.merge(histogram)
    return whole
