"""The limiter of groups and sessions: no place is lost, and none is made up."""

from __future__ import annotations

import math

import pytest
import trio
import trio.testing

from triojob._core.limiter import OrderedLimiter


async def test_no_limit_keeps_no_record() -> None:
    limiter = OrderedLimiter(math.inf)
    limiter.enqueue(1)
    assert limiter.idle
    assert not limiter._line
    await limiter.acquire_queued(1)
    await limiter.acquire(2)
    assert limiter.acquire_nowait(3)
    assert limiter.idle


def test_few_former_waiters_are_kept() -> None:
    limiter = OrderedLimiter(1)
    for number in range(40):
        limiter.enqueue(number)
    sizes = []
    for number in range(40):
        limiter.release(number)
        sizes.append(len(limiter._line))
    # 28 have left: 12 wait, and the heap may have twice as many entries, and 16 more.
    assert sizes[:30] == [40] * 28 + [11, 11]


@pytest.mark.parametrize("method", ["acquire", "acquire_queued"])
async def test_cancelled_wait_leaves_the_limiter(method: str) -> None:
    limiter = OrderedLimiter(1)
    await limiter.acquire(1)
    got: list[int] = []

    async def take(number: int) -> None:
        limiter.enqueue(number)
        await getattr(limiter, method)(number)
        got.append(number)

    async with trio.open_nursery() as nursery:
        with trio.CancelScope() as scope:
            scope.cancel()
            await take(2)
        assert scope.cancelled_caught
        nursery.start_soon(take, 3)
        await trio.testing.wait_all_tasks_blocked()
        assert got == []
        limiter.release(1)
    assert got == [3]


async def test_many_free_tokens_are_taken_now() -> None:
    limiter = OrderedLimiter(65)
    assert [limiter.acquire_nowait(number) for number in (1, 2, 3)] == [True, True, False]
    await limiter.acquire(3)
    limiter.release(1)
    limiter.release(2)
    limiter.enqueue(0)
    assert not limiter.acquire_nowait(4)  # another one waits
    limiter.release(0)
    assert limiter.acquire_nowait(4)
    for number in (3, 4):
        limiter.release(number)
    assert limiter.idle
    assert OrderedLimiter(math.inf).acquire_nowait(1)


async def test_a_turn_ends_once() -> None:
    limiter = OrderedLimiter(1)
    got: list[int] = []

    async def take(number: int) -> None:
        await limiter.acquire(number)
        got.append(number)

    await take(1)
    for number in (1, 1, 7):  # the last never lined up
        limiter.release(number)
    async with trio.open_nursery() as nursery:
        for number in (2, 3):
            nursery.start_soon(take, number)
        await trio.testing.wait_all_tasks_blocked()
        assert got == [1, 2]
        limiter.release(2)
    assert got == [1, 2, 3]


def test_a_line_forgets_those_that_have_left() -> None:
    limiter = OrderedLimiter(1)
    limiter.enqueue(0)
    limiter.resize(2)
    limiter.resize(1)
    for number in range(1, 1000):
        limiter.enqueue(number)
        if number % 100:
            limiter.release(number)
    assert limiter.waiting == 9
    assert len(limiter._line) < 50
    order: list[int] = []
    while limiter._holders:
        (number,) = limiter._holders
        order.append(number)
        limiter.release(number)
    assert order == [0, *range(100, 1000, 100)]
