"""Rates and remaining times: arithmetic, told the time."""

from __future__ import annotations

import math

import pytest

from triojob._core.rate import RateMeter
from triojob._live._meter import ProgressMeter
from triojob._live._units import duration, latency, per_second, size


def test_before_anything_is_done_nothing_is_known():
    meter = ProgressMeter(100.0, total=10)
    assert (meter.rate(105.0), meter.eta(105.0), meter.share()) == (None, None, 0.0)


def test_rate_is_work_over_time():
    meter = ProgressMeter(100.0, total=10)
    for second in range(1, 5):
        meter.count(100.0 + 2 * second)
    assert meter.rate(108.0) == 0.5
    assert meter.eta(108.0) == 12.0
    assert meter.share() == 0.4


def test_burst_at_start_is_no_rate_yet():
    meter = ProgressMeter(0.0, total=1000)
    meter.count(0.001, 50)
    assert meter.rate(0.002) is None
    assert meter.rate(1.0) == 50.0


def test_earlier_work_counts_not_for_rate():
    meter = ProgressMeter(0.0, total=100)
    meter.credit(90)
    assert meter.rate(10.0) is None
    meter.count(10.0, 5)
    assert (meter.rate(10.0), meter.eta(10.0)) == (0.5, 10.0)


def test_the_rate_is_that_of_late():
    meter = ProgressMeter(0.0, total=10_000)
    now = 0.0
    for _ in range(1000):  # ten a second at first
        now += 0.1
        meter.count(now)
    assert meter.rate(now) == pytest.approx(10.0)
    for _ in range(100):  # then one a second
        now += 1
        meter.count(now)
    assert meter.rate(now) == pytest.approx(1.0)


def test_a_standstill_lowers_the_rate():
    meter = ProgressMeter(0.0, total=20)
    meter.count(1.0, 10)
    assert (meter.rate(1.0), meter.eta(1.0)) == (10.0, 1.0)
    assert (meter.rate(100.0), meter.eta(100.0)) == (0.1, 100.0)


def test_memory_is_bounded_however_much_is_counted():
    meter = RateMeter(0.0)
    for number in range(10_000):
        meter.count(float(number))
    assert len(meter._samples) == 64


def test_more_than_the_total_is_all():
    meter = ProgressMeter(0.0, total=2)
    meter.count(1.0, 5)
    assert (meter.share(), meter.eta(2.0)) == (1.0, 0.0)
    assert ProgressMeter(0.0, total=0).share() == 1.0


def test_rate_without_total_has_no_end():
    meter = ProgressMeter(0.0)
    meter.count(2.0, 4)
    assert (meter.rate(2.0), meter.eta(2.0), meter.share()) == (2.0, None, None)


@pytest.mark.parametrize(
    "seconds, text",
    [
        (-1, "0.0 s"),
        (0.44, "0.4 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (200, "3 min 20 s"),
        (3599.7, "1 h 00 min"),
        (3900, "1 h 05 min"),
        (24 * 3600 - 20, "1 d 0 h"),
        (98 * 3600, "4 d 2 h"),
        (math.inf, "?"),
        (math.nan, "?"),
    ],
)
def test_durations_are_said_for_people(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    "rate, text",
    [
        (1234.5, "1234/s"),
        (99.6, "100/s"),
        (3.14, "3.1/s"),
        (0.1, "0.1/s"),
        (0.07, "4.2/min"),
        (0.0005, "1.8/h"),
        (0.0, "0.0/h"),
    ],
)
def test_rates_are_said_for_people(rate, text):
    assert per_second(rate) == text


@pytest.mark.parametrize(
    "seconds, text",
    [(None, "-"), (0.0, "0 ms"), (0.0084, "8 ms"), (0.0996, "0.10 s"), (0.996, "1.0 s"),
     (75, "1 min 15 s")],
)  # fmt: skip
def test_latencies_are_said_for_people(seconds: float | None, text: str) -> None:
    assert latency(seconds) == text


@pytest.mark.parametrize(
    "count, text",
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (23_456, "23 kB"), (999_600, "1.0 MB"),
     (5e15, "5000 TB")],
)  # fmt: skip
def test_sizes_are_said_for_people(count: float, text: str) -> None:
    assert size(count) == text
