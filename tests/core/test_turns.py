"""Turns, by which groups and sessions keep their limits: no place is lost, and none made up."""

from __future__ import annotations

import math

import pytest
import trio
import trio.testing

from triojob._core.limiter import Turns


async def test_without_a_limit_nothing_is_kept_of_those_that_have_run() -> None:
    turns = Turns(math.inf)
    for number in range(10):
        turns.line_up(number)
        await turns.turn_of(number)
        turns.end(number)
    assert not turns._line
    assert not turns._waiting


@pytest.mark.parametrize("method", ["take", "turn_of"])
async def test_a_cancelled_wait_has_left_the_line_and_is_no_turn(method: str) -> None:
    turns = Turns(1)
    await turns.take(1)
    got: list[int] = []

    async def take(number: int) -> None:
        turns.line_up(number)
        await getattr(turns, method)(number)
        got.append(number)

    async with trio.open_nursery() as nursery:
        with trio.CancelScope() as scope:
            scope.cancel()
            await take(2)
        assert scope.cancelled_caught
        nursery.start_soon(take, 3)
        await trio.testing.wait_all_tasks_blocked()
        assert got == []
        turns.end(1)
    assert got == [3]


async def test_a_turn_is_taken_now_where_many_are_left() -> None:
    turns = Turns(65)
    assert [turns.take_now(number) for number in (1, 2, 3)] == [True, True, False]
    await turns.take(3)
    turns.end(1)
    turns.end(2)
    turns.line_up(0)
    assert not turns.take_now(4)  # another one waits
    turns.end(0)
    assert turns.take_now(4)
    for number in (3, 4):
        turns.end(number)
    assert turns.idle
    assert Turns(math.inf).take_now(1)


async def test_a_turn_ends_once() -> None:
    turns = Turns(1)
    got: list[int] = []

    async def take(number: int) -> None:
        await turns.take(number)
        got.append(number)

    await take(1)
    for number in (1, 1, 7):  # the last never lined up
        turns.end(number)
    async with trio.open_nursery() as nursery:
        for number in (2, 3):
            nursery.start_soon(take, number)
        await trio.testing.wait_all_tasks_blocked()
        assert got == [1, 2]
        turns.end(2)
    assert got == [1, 2, 3]


def test_a_line_forgets_those_that_have_left() -> None:
    turns = Turns(1)
    turns.line_up(0)
    turns.resize(2)
    turns.resize(1)
    for number in range(1, 1000):
        turns.line_up(number)
        if number % 100:
            turns.end(number)
    assert turns.waiting == 9
    assert len(turns._line) < 50
    order: list[int] = []
    while turns._having:
        (number,) = turns._having
        order.append(number)
        turns.end(number)
    assert order == [0, *range(100, 1000, 100)]
