"""The fan-out helpers make no reference cycles: what they held dies with the collector off."""

from __future__ import annotations

import sys
import weakref
from contextlib import suppress
from functools import partial
from typing import Any

import pytest
import trio

import triojob
from tests.support.jobs import ROUNDS, BaseExceptionGroup, Boom, Thing
from triojob import JobGroup, as_completed, first_completed, first_success, gather

pytestmark = [
    pytest.mark.skipif(sys.implementation.name != "cpython", reason="needs reference counting"),
    pytest.mark.usefixtures("no_collector"),
]


class Things:
    """Makes things, and knows which are alive."""

    def __init__(self) -> None:
        self._references: list[weakref.ref[Any]] = []

    def make(self) -> Thing:
        thing = Thing()
        self._references.append(weakref.ref(thing))
        return thing

    @property
    def alive(self) -> int:
        return sum(reference() is not None for reference in self._references)

    async def good(self, *_: Any) -> Thing:
        await trio.lowlevel.checkpoint()
        return self.make()

    async def bad(self, *_: Any) -> None:
        local = self.make()
        await trio.lowlevel.checkpoint()
        raise Boom
        del local

    async def slow(self, *_: Any) -> None:
        local = self.make()
        await trio.sleep_forever()
        del local


async def settle() -> None:
    """Let Trio forget the tasks that have ended."""
    for _ in range(3):
        await trio.lowlevel.checkpoint()


async def use_gather(things: Things) -> None:
    assert len(await gather(things.good, things.good)) == 2


async def use_gather_that_fails(things: Things) -> None:
    await gather(things.good, things.bad, things.bad)


async def use_gather_that_fails_fast(things: Things) -> None:
    await gather(things.good, things.bad, things.slow, fail_fast=True)


async def use_gather_of_jobs(things: Things) -> None:
    assert len(await gather(things.good, things.bad, return_jobs=True)) == 2


async def use_first_success(things: Things) -> None:
    assert await first_success(things.good, things.bad, things.slow)


async def use_race_that_all_lose(things: Things) -> None:
    await first_success(things.bad, things.bad)


async def use_first_completed(things: Things) -> None:
    assert await first_completed(things.bad, things.slow)


async def use_as_completed(things: Things) -> None:
    async with JobGroup() as group:
        async for job in as_completed([group.submit(things.good), group.submit(things.bad)]):
            job.exception()


async def use_map(things: Things, **options: Any) -> None:
    async with triojob.map(things.good, range(5), limit=2, **options) as results:
        async for _ in results:
            pass


async def use_map_that_fails(things: Things, **options: Any) -> None:
    async with triojob.map(things.bad, range(5), limit=2, **options) as results:
        async for _ in results:
            pass


async def use_map_that_is_left(things: Things) -> None:
    async with triojob.map(things.slow, range(5), limit=2):
        await trio.testing.wait_all_tasks_blocked()


async def use_map_of_items_that_fail(things: Things, *, leave: bool, **options: Any) -> None:
    async def items() -> Any:
        yield things.make()
        raise Boom(things.make())

    async with triojob.map(things.good, items(), **options) as results:
        await trio.testing.wait_all_tasks_blocked()
        while not leave:
            await results.__anext__()


@pytest.mark.parametrize(
    "use",
    [
        use_gather,
        use_gather_that_fails,
        use_gather_that_fails_fast,
        use_gather_of_jobs,
        use_first_success,
        use_race_that_all_lose,
        use_first_completed,
        use_as_completed,
        use_map,
        partial(use_map, return_jobs=True),
        use_map_that_fails,
        partial(use_map_that_fails, fail_fast=False),
        partial(use_map_that_fails, return_jobs=True),
        partial(use_map_that_fails, ordered=False),
        use_map_that_is_left,
        partial(use_map_of_items_that_fail, leave=False),
        partial(use_map_of_items_that_fail, leave=True),
        partial(use_map_of_items_that_fail, leave=True, return_jobs=True),
    ],
)
async def test_what_a_helper_held_dies_with_it(use: Any) -> None:
    for _ in range(ROUNDS):
        things = Things()
        with suppress(BaseExceptionGroup):
            await use(things)
        await settle()
        assert things._references
        assert things.alive == 0


async def test_gather_failure_keeps_no_results_alive() -> None:
    results, others = Things(), Things()
    for options in ({}, {"fail_fast": True}):
        with pytest.RaisesGroup(Boom) as caught:
            await gather(results.good, others.bad, **options)
        await settle()
        assert caught.value
        assert results.alive == 0
