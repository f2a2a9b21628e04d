"""Which replica gets a call, as a matter of numbers."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from triojob import AppError, ConnectionFailed, QueueFull, TooManyRequests, UnexpectedResponse
from triojob.gradio.pool.balancer import Candidate, Health, choose, is_trouble

DOWN = ConnectionFailed("down")


def healths(count: int = 3) -> list[Health]:
    return [Health() for _ in range(count)]


def chosen(health: list[Health], loads: list[int], first: int = 0, now: float = 0) -> int | None:
    return choose(
        [Candidate(one, load) for one, load in zip(health, loads, strict=True)], first, now
    )


def fail(health: Health, now: float = 0, error: Exception = DOWN) -> None:
    health.failed(health.send(), error, now, 0)


def test_one_with_fewest_calls_is_chosen():
    assert chosen(healths(), [2, 1, 3]) == 1


@pytest.mark.parametrize("first", [0, 1, 2])
def test_those_with_the_same_load_take_turns(first: int):
    assert chosen(healths(), [1, 1, 1], first) == first
    assert chosen(healths(), [0, 1, 0], 1) == 2


def test_missing_replica_is_not_chosen():
    assert choose([None, Candidate(Health(), 9), None], 0, 0) == 1
    assert choose([None, None], 0, 0) is None
    assert choose([], 0, 0) is None


def test_queue_of_others_counts_and_grows_old():
    health = healths(2)
    health[0].told(8, own=0, now=0)
    assert chosen(health, [0, 3], now=0) == 1
    assert health[0].queued(10) == 4
    assert chosen(health, [0, 3], now=20) == 0
    assert Health().queued(5) == 0


def test_ones_own_calls_are_not_counted_twice():
    health = Health()
    health.told(5, own=4, now=0)
    assert health.queued(0) == 1
    health.told(2, own=4, now=0)
    assert health.queued(0) == 0


def test_failing_replica_cools_down_longer():
    health = Health()
    waits: list[float] = []
    for _ in range(9):
        now = health.rest_until if waits else 0.0
        fail(health, now)
        waits.append(health.rest_until - now)
        assert not health.is_ready(health.rest_until - 0.01)
        assert health.is_ready(health.rest_until)
    assert waits == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


def test_announced_pause_is_kept():
    health = Health()
    fail(health, error=TooManyRequests("slow down", retry_after=77))
    assert health.rest_until == 77


def test_cooldown_ends_with_one_trial():
    health = Health()
    fail(health)
    epoch = health.send()
    assert not health.is_ready(1)
    health.answered(epoch)
    assert health.is_ready(1)
    assert (health.failures, health.last_failure) == (0, None)


def test_unawaited_trial_is_no_trial():
    health = Health()
    fail(health)
    epoch = health.send()
    health.gave_up(epoch)
    assert health.is_ready(1)


def test_earlier_calls_tell_nothing_new():
    health = Health()
    epochs = [health.send() for _ in range(100)]
    for epoch in epochs:
        health.failed(epoch, DOWN, 0, 0)
    assert (health.failures, health.rest_until) == (1, 0.5)
    health.answered(epochs[0])
    assert health.failures == 1


def test_earliest_cooldown_is_tried():
    health = healths()
    for now, one in enumerate(health):
        fail(one, now)
    fail(health[0], 2)
    assert chosen(health, [0, 0, 0], now=0.1) == 1
    assert chosen(health, [0, 9, 0], now=1.6) == 1  # it has had its rest


@pytest.mark.parametrize(
    "error, trouble",
    [
        (DOWN, True),
        (QueueFull(), True),
        (TooManyRequests("slow down"), True),
        (UnexpectedResponse("bad gateway", status=502), True),
        (UnexpectedResponse("no such thing", status=404), False),
        (AppError("boom"), False),
        (ValueError(), False),
    ],
)
def test_server_errors_differ_from_call_errors(error: Exception, trouble: bool):
    assert is_trouble(error) is trouble


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3), st.booleans()), min_size=1),
    st.integers(0, 20),
    st.floats(0, 100),
)
def test_chosen_one_is_never_worse_than_another(state, first, now):
    candidates: list[Candidate | None] = []
    for load, failures, there in state:
        health = Health()
        for _ in range(failures):
            fail(health)
        candidates.append(Candidate(health, load) if there else None)
    place = choose(candidates, first, now)
    known = [one for one in candidates if one is not None]
    if place is None:
        assert not known
        return
    best = candidates[place]
    assert best is not None
    if any(one.health.is_ready(now) for one in known):
        assert best.health.is_ready(now)
        assert best.load(now) == min(o.load(now) for o in known if o.health.is_ready(now))
    else:
        assert best.health.rest_until == min(one.health.rest_until for one in known)
