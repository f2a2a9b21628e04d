"""`Retry`: which failures a call is made again after, and how long each pause is."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given, strategies as st

from triojob import (
    AppError,
    ConnectionFailed,
    ConnectionLost,
    ConnectionTimeout,
    JobCancelled,
    ProtocolError,
    QueueFull,
    Retry,
    ServerRestarted,
    ServerStopped,
    TooManyRequests,
    UnexpectedResponse,
    ValidationError,
)

NEVER_STARTED = [ConnectionFailed("x"), QueueFull("x"), TooManyRequests("x")]
MAY_HAVE_RUN = [
    ConnectionLost("x"),
    ConnectionTimeout("x"),
    ServerStopped("x"),
    UnexpectedResponse("x", status=502),
    UnexpectedResponse("x", status=503),
    UnexpectedResponse("x", status=504),
]
THE_SAME_AGAIN = [
    AppError("x"),
    JobCancelled("x"),
    ProtocolError("x"),
    ValidationError("x"),
    UnexpectedResponse("x", status=404),
    ValueError("x"),
]


def words(error: Exception) -> str:
    return f"{type(error).__name__} {getattr(error, 'status', '')}"


@pytest.mark.parametrize("error", NEVER_STARTED, ids=words)
@pytest.mark.parametrize("idempotent", [False, True])
def test_what_never_started_is_made_again(error, idempotent):
    assert Retry(idempotent=idempotent).may_repeat(error, stateful=True)


@pytest.mark.parametrize("error", MAY_HAVE_RUN, ids=words)
def test_possibly_run_calls_need_idempotence(error):
    assert not Retry().may_repeat(error, stateful=False)
    assert Retry(idempotent=True).may_repeat(error, stateful=True)


@pytest.mark.parametrize("error", THE_SAME_AGAIN, ids=words)
def test_permanent_failures_are_not_retried(error):
    assert not Retry(idempotent=True).may_repeat(error, stateful=False)


def test_lost_state_is_not_retried():
    lost = ServerRestarted("x")
    assert not Retry().may_repeat(lost, stateful=False)
    assert not Retry(idempotent=True).may_repeat(lost, stateful=True)
    assert Retry(idempotent=True).may_repeat(lost, stateful=False)


def test_pauses_double_up_to_the_longest():
    retry = Retry(wait_initial=1, wait_max=5, wait_jitter=0, timeout=None)
    error = QueueFull("x")
    assert [retry.pause(error, attempt, 0, 0.5) for attempt in range(1, 6)] == [1, 2, 4, 5, 5]


def test_chance_is_added_but_never_beyond_longest():
    retry = Retry(wait_initial=1, wait_max=1.75, wait_jitter=1)
    error = QueueFull("x")
    assert retry.pause(error, 1, 0, 0.5) == 1.5
    assert retry.pause(error, 1, 0, 1.0) == 1.75


def test_server_gets_the_time_it_asks():
    retry = Retry(wait_max=5, wait_jitter=0)
    assert retry.pause(TooManyRequests("x", retry_after=30.0), 1, 0, 0) == 30
    assert retry.pause(TooManyRequests("x", retry_after=0.0), 1, 0, 0) == 0.1
    assert retry.pause(TooManyRequests("x"), 1, 0, 0) == 0.1


def test_it_gives_up_after_so_many_attempts():
    retry = Retry(attempts=3, timeout=None)
    error = QueueFull("x")
    assert retry.pause(error, 2, 1e9, 0) is not None
    assert retry.pause(error, 3, 0, 0) is None
    assert Retry(attempts=None, timeout=None).pause(error, 10**6, 1e9, 1) == 5


def test_too_long_backoff_gives_up_at_once():
    retry = Retry(timeout=10, wait_initial=1, wait_jitter=0)
    error = QueueFull("x")
    assert retry.pause(error, 1, 9, 0) == 1
    assert retry.pause(error, 1, 9.1, 0) is None
    assert retry.pause(TooManyRequests("x", retry_after=60.0), 1, 0, 0) is None


@given(
    attempt=st.integers(1, 10**9),
    elapsed=st.floats(0, 1e9),
    chance=st.floats(0, 1),
    initial=st.floats(0, 1e6),
    base=st.floats(1, 1e6),
)
def test_no_pause_is_out_of_bounds(attempt, elapsed, chance, initial, base):
    retry = Retry(attempts=None, timeout=None, wait_initial=initial, wait_exp_base=base)
    seconds = retry.pause(QueueFull("x"), attempt, elapsed, chance)
    assert seconds is not None
    assert 0 <= seconds <= retry.wait_max


@pytest.mark.parametrize(
    "field, value",
    [
        ("attempts", 0),
        ("attempts", 1.5),
        ("attempts", True),
        ("timeout", -1),
        ("timeout", float("nan")),
        ("wait_initial", -1),
        ("wait_max", float("inf")),
        ("wait_jitter", float("nan")),
        ("wait_exp_base", 0.5),
    ],
)
def test_numbers_that_make_no_sense_are_refused(field, value):
    with pytest.raises(ValueError, match=f"Retry.{field}"):
        Retry(**{field: value})


def test_a_policy_can_be_varied():
    assert dataclasses.replace(Retry(), idempotent=True).idempotent
