"""Rates and remaining times: arithmetic, told the time."""

from __future__ import annotations

import math

import pytest

from triojob._live._pace import Pace, duration, per_second


def test_before_anything_is_done_nothing_is_known():
    pace = Pace(100.0, total=10)
    assert (pace.rate(105.0), pace.eta(105.0), pace.share()) == (None, None, 0.0)


def test_a_rate_is_what_was_done_over_the_time_it_took():
    pace = Pace(100.0, total=10)
    for second in range(1, 5):
        pace.count(100.0 + 2 * second)
    assert pace.rate(108.0) == 0.5
    assert pace.eta(108.0) == 12.0
    assert pace.share() == 0.4


def test_a_burst_at_the_start_is_no_rate_yet():
    pace = Pace(0.0, total=1000)
    pace.count(0.001, 50)
    assert pace.rate(0.002) is None
    assert pace.rate(1.0) == 50.0


def test_what_was_done_before_counts_for_the_rest_and_not_for_the_rate():
    pace = Pace(0.0, total=100)
    pace.credit(90)
    assert pace.rate(10.0) is None
    pace.count(10.0, 5)
    assert (pace.rate(10.0), pace.eta(10.0)) == (0.5, 10.0)


def test_the_rate_is_that_of_late():
    pace = Pace(0.0, total=10_000)
    now = 0.0
    for _ in range(1000):  # ten a second at first
        now += 0.1
        pace.count(now)
    assert pace.rate(now) == pytest.approx(10.0)
    for _ in range(100):  # then one a second
        now += 1
        pace.count(now)
    assert pace.rate(now) == pytest.approx(1.0)


def test_a_standstill_lowers_the_rate():
    pace = Pace(0.0, total=20)
    pace.count(1.0, 10)
    assert (pace.rate(1.0), pace.eta(1.0)) == (10.0, 1.0)
    assert (pace.rate(100.0), pace.eta(100.0)) == (0.1, 100.0)


def test_memory_is_bounded_however_much_is_counted():
    pace = Pace(0.0)
    for number in range(10_000):
        pace.count(float(number))
    assert len(pace._samples) == 64


def test_more_than_the_total_is_all():
    pace = Pace(0.0, total=2)
    pace.count(1.0, 5)
    assert (pace.share(), pace.eta(2.0)) == (1.0, 0.0)
    assert Pace(0.0, total=0).share() == 1.0


def test_without_a_total_there_is_a_rate_but_no_end():
    pace = Pace(0.0)
    pace.count(2.0, 4)
    assert (pace.rate(2.0), pace.eta(2.0), pace.share()) == (2.0, None, None)


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
