"""Percentiles and rates: arithmetic only."""

from __future__ import annotations

import random

import pytest

from triojob._core.latency import BOUNDS, LatencyHistogram, LatencyStatistics, merged
from triojob._core.rate import RateMeter


def histogram_of(*durations: float) -> LatencyHistogram:
    histogram = LatencyHistogram()
    for seconds in durations:
        histogram.add(seconds)
    return histogram


def test_percentiles_are_exact_to_nine_percent() -> None:
    chance = random.Random(3)
    durations = sorted(chance.lognormvariate(-1, 2) for _ in range(2000))
    histogram = histogram_of(*durations)
    for share in (0.01, 0.5, 0.9, 0.99, 1.0):
        exact = durations[max(0, round(share * len(durations)) - 1)]
        assert histogram.percentile(share) == pytest.approx(exact, rel=0.1, abs=0.001)


def test_nothing_measured_has_no_percentiles() -> None:
    assert histogram_of().statistics() == LatencyStatistics(0, None, None, None, None)


@pytest.mark.parametrize("seconds", [0.0, 1e-9, 0.3, 1e5])
def test_any_duration_fits(seconds: float) -> None:
    counts = histogram_of(seconds).statistics()
    assert (counts.count, counts.longest) == (1, seconds)
    assert counts.p50 is not None
    assert 0 <= counts.p50 <= seconds


def test_memory_is_bounded_by_the_buckets() -> None:
    histogram = histogram_of(*(1e-5 * 1.01**number for number in range(3000)))
    assert len(list(histogram.buckets())) == len(BOUNDS) + 1


def test_merged_histograms_have_all_durations() -> None:
    parts = [histogram_of(0.1, 0.2), histogram_of(), histogram_of(0.2, 5.0)]
    whole = merged(parts)
    assert list(whole.buckets()) == list(histogram_of(0.1, 0.2, 0.2, 5.0).buckets())
    assert whole.longest == 5.0


def test_burst_after_silence_has_its_own_rate() -> None:
    meter = RateMeter(0.0)
    for number in range(100):
        meter.count(3600 + number / 10)
    assert meter.rate(3610) == pytest.approx(10, rel=0.05)
    assert meter.rate(7200) == 100 / 7200
