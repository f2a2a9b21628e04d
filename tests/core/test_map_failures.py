"""Failures in `map`: raised at their place, kept, or given as jobs; and those of the iterables."""

from __future__ import annotations

import sys
from typing import Any

import pytest
import trio
import trio.testing

import triojob
from tests.support.jobs import ROUNDS, Boom, collect, tasks_living
from triojob import JobCancelled, report

from .mapping import Source, Worker

if sys.version_info < (3, 11):
    from exceptiongroup import ExceptionGroup


def failing(worker: Worker, *bad: int) -> Any:
    async def work(item: int) -> int:
        await worker.work(item)
        if item in bad:
            raise Boom(item)
        return item

    return work


def messages(error: Any) -> list[str]:
    return [str(part) for part in error.exceptions]


async def test_failure_comes_after_earlier_results(autojump_clock):
    got: list[int] = []

    async def work(item: int) -> int:
        await trio.sleep(5 - item)
        if item == 3:
            raise Boom(item)
        return item

    with pytest.RaisesGroup(pytest.RaisesExc(Boom, match="3")):
        async with triojob.map(work, Source().items(), limit=5) as results:
            async for result in results:
                got.append(result)
    assert got == [0, 1, 2]
    assert trio.current_time() == 5


async def test_failure_cancels_later_calls_immediately(autojump_clock):
    source, worker = Source(), Worker()

    async def work(item: int) -> int:
        if item == 1:
            await trio.sleep(0.5)
            raise Boom
        return await worker.work(item)

    with pytest.RaisesGroup(Boom):
        async with triojob.map(work, source.items(), limit=4) as results:
            await trio.sleep(0.7)
            assert sorted(worker.cancelled) == [2, 3]  # and 0 goes on
            assert source.closed
            assert await results.__anext__() == 0
            await results.__anext__()
    assert source.taken == 4


async def test_item_just_taken_is_not_called(autojump_clock):
    for _ in range(ROUNDS):
        worker = Worker(seconds=100)

        async def work(item: int, worker: Worker = worker) -> int:
            if item == 0:
                await trio.sleep(1)
                raise Boom
            return await worker.work(item)

        # The second one's turn comes when the first one fails.
        async with triojob.map(work, Source().items(), rate=1) as results:
            await trio.sleep(1.5)
            assert worker.running == 0
            with pytest.raises(Boom):
                await results.__anext__()


async def test_unordered_map_gives_ended_results_before_failure(autojump_clock):
    worker = Worker(seconds=10)
    got: list[int] = []

    async def work(item: int) -> int:
        if item < 2:
            await trio.sleep(1 + item)
            return item
        if item == 2:
            await trio.sleep(3)
            raise Boom
        return await worker.work(item)

    with pytest.RaisesGroup(Boom):
        async with triojob.map(work, range(100), limit=5, ordered=False) as results:
            await trio.sleep(4)
            assert worker.running == 0
            async for result in results:
                got.append(result)
    assert got == [0, 1]
    assert sorted(worker.cancelled) == [3, 4]
    assert trio.current_time() == 4


async def test_earlier_item_failing_later_comes_first(autojump_clock):
    async def work(item: int) -> int:
        await trio.sleep(5 - item)
        if item in {1, 3}:
            raise Boom(item)
        return item

    got: list[Any] = []
    with pytest.RaisesGroup(Boom, Boom) as caught:
        async with triojob.map(work, range(5)) as results:
            async for result in results:
                got.append(result)
    assert got == [0]
    assert messages(caught.value) == ["1", "3"]


async def test_caught_failure_ends_the_loop(autojump_clock):
    async with triojob.map(failing(Worker(), 1), range(9), limit=3) as results:
        with pytest.raises(Boom, match="1"):
            await collect(results)
        assert await collect(results) == []


async def test_kept_failures_are_raised_at_end(autojump_clock):
    got: list[int] = []
    with pytest.RaisesGroup(Boom, Boom) as caught:
        async with triojob.map(
            failing(Worker(), 1, 3), range(6), limit=2, fail_fast=False
        ) as results:
            async for result in results:
                got.append(result)
            got.append(-1)
    assert got == [0, 2, 4, 5, -1]
    assert messages(caught.value) == ["1", "3"]


async def test_kept_failures_are_raised_when_leaving_early(autojump_clock):
    with pytest.RaisesGroup(pytest.RaisesExc(Boom, match="1")):
        async with triojob.map(
            failing(Worker(), 1, 3), range(6), limit=6, fail_fast=False
        ) as results:
            async for result in results:
                if result == 2:
                    break


async def test_a_cancelled_call_counts_as_a_failure(autojump_clock):
    for options in ({}, {"fail_fast": False}):
        got: list[int] = []
        results = triojob.map(Worker().work, range(3), **options)
        with pytest.RaisesGroup(pytest.RaisesExc(JobCancelled, match="enough")):
            async with results:
                await trio.sleep(0.5)
                results.group.jobs[1].cancel("enough")
                async for result in results:
                    got.append(result)
        assert got == ([0, 2] if options else [0])


async def test_pairs_show_each_failure_to_who_looks(autojump_clock):
    failed: list[Any] = []
    async with triojob.map(failing(Worker(), 1, 3), range(5), return_jobs=True) as results:
        async for item, job in results:
            if job.exception() is not None:
                failed.append(item)
    assert failed == [1, 3]


async def test_unviewed_failures_of_pairs_are_raised(autojump_clock):
    with pytest.RaisesGroup(Boom, Boom):
        async with triojob.map(failing(Worker(), 1, 3), range(5), return_jobs=True) as results:
            await collect(results)


async def test_bad_arguments_fail_their_call() -> None:
    async def one(item: int) -> int:
        await trio.lowlevel.checkpoint()
        return item

    both: Any = one
    async with triojob.map(both, [1, 2], [1, 2], return_jobs=True) as results:
        async for _, job in results:
            with pytest.raises(TypeError, match="positional argument"):
                await job.result()


async def test_sync_function_says_what_to_do() -> None:
    sync: Any = str.upper
    with pytest.RaisesGroup(
        pytest.RaisesExc(
            TypeError,
            match=r"map takes an async function, but str.upper returned 'A'; run a blocking "
            r"function in a thread: functools.partial\(trio.to_thread.run_sync, str.upper\)",
        )
    ):
        async with triojob.map(sync, ["a", "b"]) as results:
            await collect(results)


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("options", [{}, {"fail_fast": False}, {"return_jobs": True}])
@pytest.mark.parametrize("is_async", [True, False])
async def test_iterables_exception_follows_earlier_results(
    autojump_clock, ordered, options, is_async
):
    def items() -> Any:
        yield from range(3)
        raise Boom("items")

    async def aitems() -> Any:
        for item in items():
            yield item

    got: list[Any] = []
    source: Any = (aitems if is_async else items)()
    with pytest.RaisesGroup(pytest.RaisesExc(Boom, match="items")):
        async with triojob.map(Worker().work, source, ordered=ordered, **options) as results:
            async for result in results:
                got.append(result)
    assert len(got) == 3


async def test_loop_is_over_after_iterables_error(autojump_clock):
    def items() -> Any:
        yield 0
        raise Boom

    async with triojob.map(Worker().work, items(), fail_fast=False) as results:
        with pytest.raises(Boom):
            await collect(results)
        assert await collect(results) == []


async def test_unstartable_iterable_raises_in_loop() -> None:
    class Bad:
        def __iter__(self) -> Any:
            raise Boom

    bad: Any = Bad()
    with pytest.RaisesGroup(Boom):
        async with triojob.map(Worker().work, bad) as results:
            await collect(results)


@pytest.mark.parametrize("kind", [StopAsyncIteration, StopIteration])
async def test_silent_loop_end_becomes_an_error(kind):
    async def stop(_: int) -> None:
        await trio.lowlevel.checkpoint()
        raise kind

    with pytest.RaisesGroup(pytest.RaisesExc(RuntimeError, match=f"raised {kind.__name__}")):
        async with triojob.map(stop, range(3)) as results:
            await collect(results)


async def test_group_that_call_raises_stays_whole() -> None:
    async def work(_: int) -> None:
        await trio.lowlevel.checkpoint()
        raise ExceptionGroup("inner", [Boom(), Boom()])

    with pytest.RaisesGroup(pytest.RaisesGroup(Boom, Boom)):
        async with triojob.map(work, [1]) as results:
            await collect(results)


async def test_pairs_have_what_calls_reported() -> None:
    async def work(item: int) -> None:
        await trio.lowlevel.checkpoint()
        report.output(item)
        report.output(item + 1)

    async with triojob.map(work, [5], return_jobs=True) as results:
        async for _, job in results:
            assert job.outputs() == [5, 6]


async def test_what_is_no_exception_goes_straight_through() -> None:
    async def work(item: int) -> None:
        await trio.lowlevel.checkpoint()
        if item == 1:
            raise SystemExit
        await trio.sleep_forever()

    before = tasks_living()
    for options in ({}, {"fail_fast": False}, {"return_jobs": True}, {"ordered": False}):
        with pytest.RaisesGroup(SystemExit):
            async with triojob.map(work, range(3), **options) as results:
                await collect(results)
    assert tasks_living() == before
