"""Leaving the block of `map` early: by `break`, by an exception, by a cancellation, by Ctrl-C."""

from __future__ import annotations

import gc
import signal
from typing import Any

import pytest
import trio
import trio.testing

import triojob
from tests.support.jobs import Boom, collect, leaves, sleep, tasks_living
from triojob import JobGroup

from .mapping import Source, Worker


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("kind", ["items", "aitems"])
async def test_break_cancels_calls_and_closes_generator(autojump_clock, ordered, kind):
    source, worker = Source(), Worker()
    before = tasks_living()
    items = getattr(source, kind)()
    async with triojob.map(worker.work, items, limit=3, ordered=ordered) as results:
        async for _ in results:
            await trio.sleep(0.5)  # by now the next ones run
            break
    assert worker.cancelled == [3]
    assert worker.running == 0
    assert source.closed
    assert tasks_living() == before
    assert trio.current_time() == 1.5


async def test_leaving_before_the_first_result_cancels_all(autojump_clock):
    source, worker = Source(), Worker()
    async with triojob.map(worker.work, source.items(), limit=3):
        await trio.sleep(0.5)
    assert sorted(worker.cancelled) == [0, 1, 2]
    assert source.closed


async def test_waiting_generator_is_closed_too(autojump_clock):
    source = Source(interval=100)
    async with triojob.map(Worker().work, source.aitems()):
        await trio.sleep(1)
    assert source.closed
    assert trio.current_time() == 1


async def test_plain_async_iterator_stays_open() -> None:
    send, receive = trio.open_memory_channel[int](10)
    async with send, receive:
        for number in range(3):
            send.send_nowait(number)
        async with triojob.map(Worker(0).work, receive, limit=1) as results:
            assert await results.__anext__() == 0
        assert receive.statistics().open_receive_channels == 1


async def test_shielded_clean_up_of_generator_may_last(autojump_clock):
    closed: list[float] = []

    async def items() -> Any:
        try:
            while True:
                yield 1
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(3)
            closed.append(trio.current_time())

    async with triojob.map(Worker().work, items(), limit=1) as results:
        await results.__anext__()
    assert closed == [4]


async def test_unreached_failures_are_dropped(autojump_clock):
    async def work(item: int) -> int:
        await trio.sleep(1)
        if item:
            raise Boom
        return item

    for options in ({}, {"fail_fast": False}, {"return_jobs": True}):
        async with triojob.map(work, range(10), limit=4, **options) as results:
            await results.__anext__()


async def test_clean_up_failure_of_cancelled_is_kept(autojump_clock):
    async def work(item: int) -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise Boom

    with pytest.RaisesGroup(Boom, Boom):
        async with triojob.map(work, range(2)):
            await trio.sleep(1)


async def test_what_closing_iterable_raises_is_not_lost(autojump_clock):
    async def items() -> Any:
        try:
            while True:
                yield 1
        finally:
            raise Boom("closing")

    with pytest.RaisesGroup(pytest.RaisesExc(Boom, match="closing")):
        async with triojob.map(Worker().work, items(), limit=1) as results:
            await results.__anext__()
    with pytest.RaisesGroup(KeyError, pytest.RaisesExc(Boom, match="closing")):
        async with triojob.map(Worker().work, items(), limit=1) as results:
            await results.__anext__()
            raise KeyError
    with (
        pytest.RaisesGroup(pytest.RaisesExc(Boom, match="closing")),
        trio.move_on_after(5),
    ):
        async with triojob.map(Worker().work, items(), limit=1):
            await trio.sleep_forever()


async def test_bodys_exception_joins_failures_so_far(autojump_clock):
    worker = Worker()

    async def work(item: int) -> None:
        if item == 1:
            raise Boom
        await worker.work(item)

    with pytest.RaisesGroup(KeyError, Boom):
        async with triojob.map(work, range(3), fail_fast=False):
            await trio.sleep(0.5)
            raise KeyError
    assert sorted(worker.cancelled) == [0, 2]


async def test_iterables_error_joins_the_bodys(autojump_clock):
    def items() -> Any:
        yield 1
        raise Boom

    with pytest.RaisesGroup(KeyError, Boom):
        async with triojob.map(Worker().work, items()):
            await trio.sleep(0.5)
            raise KeyError


async def test_a_scope_around_the_block_cancels_everything(autojump_clock):
    source, worker = Source(), Worker(seconds=100)
    before = tasks_living()
    with trio.move_on_after(5) as scope:
        async with triojob.map(worker.work, source.aitems(), limit=3) as results:
            await collect(results)
    assert scope.cancelled_caught
    assert sorted(worker.cancelled) == [0, 1, 2]
    assert source.closed
    assert tasks_living() == before


async def test_a_job_that_maps_can_be_cancelled(autojump_clock: trio.testing.MockClock) -> None:
    worker = Worker(seconds=100)

    async def inner(_: int) -> None:
        async with triojob.map(worker.work, Source().items(), limit=2) as results:
            await collect(results)

    async with triojob.map(inner, range(2)):
        await trio.sleep(1)
    assert len(worker.cancelled) == 4


async def test_cancelling_at_any_step_leaves_nothing(autojump_clock):
    """Cancel after each tenth of a second of a map whose parts all wait at some of them."""
    before = tasks_living()
    for step in range(40):
        source, worker = Source(5, interval=0.3), Worker(seconds=0.7)
        with trio.move_on_after(step / 10):
            async with triojob.map(worker.work, source.aitems(), limit=2, rate=2.5) as results:
                async for _ in results:
                    await trio.sleep(0.2)
        assert worker.running == 0
        assert tasks_living() == before


async def test_ctrl_c_ends_jobs_and_comes_out(autojump_clock):
    worker, source = Worker(seconds=100), Source()

    async def interrupted(item: int) -> None:
        if item == 2:
            signal.raise_signal(signal.SIGINT)
        await worker.work(item)

    with pytest.raises(BaseException) as caught:  # noqa: PT011 - in a group
        async with triojob.map(interrupted, source.items(), limit=4) as results:
            await collect(results)
    assert [type(error) for error in leaves(caught.value)] == [KeyboardInterrupt]
    assert worker.running == 0
    assert source.closed


async def test_ctrl_c_in_a_generator_comes_out(autojump_clock: trio.testing.MockClock) -> None:
    worker = Worker(seconds=100)

    def items() -> Any:
        yield 1
        signal.raise_signal(signal.SIGINT)
        yield 2

    with pytest.raises(BaseException) as caught:  # noqa: PT011 - in a group
        async with triojob.map(worker.work, items()) as results:
            await collect(results)
    assert [type(error) for error in leaves(caught.value)] == [KeyboardInterrupt]
    assert worker.running == 0


async def test_an_unused_map_opens_nothing() -> None:
    source = Source()
    results = triojob.map(sleep, source.items())
    del results
    assert source.taken == 0


async def test_endless_map_holds_no_items(autojump_clock):
    alive = 0

    class Item:
        def __init__(self) -> None:
            nonlocal alive
            alive += 1

        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

    async def work(item: Item) -> Item:
        await trio.lowlevel.checkpoint()
        return Item()

    def items() -> Any:
        while True:
            yield Item()

    gc.collect()
    gc.disable()
    try:
        async with triojob.map(work, items(), limit=5) as results:
            for _ in range(200):
                await results.__anext__()
            await trio.testing.wait_all_tasks_blocked()
            assert alive == 5  # the results of those that were taken ahead
    finally:
        gc.enable()


async def test_it_ends_with_its_group_around_it(autojump_clock: trio.testing.MockClock) -> None:
    worker = Worker(seconds=100)

    async def consume() -> None:
        async with triojob.map(worker.work, range(3)) as results:
            await collect(results)

    async with JobGroup() as group:
        job = group.submit(consume)
        await trio.sleep(1)
        job.cancel()
    assert sorted(worker.cancelled) == [0, 1, 2]
