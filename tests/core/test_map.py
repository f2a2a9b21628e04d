"""`map`: what comes out, in which order, and how much is under way meanwhile."""

from __future__ import annotations

import itertools
from functools import partial
from typing import Any

import pytest
import trio
import trio.testing
from outcome import Value

import triojob
from tests.support.jobs import Scripted, collect, count, sleep, succeed, tasks_living
from triojob import GroupClosed, Instrument, Job, JobGroup, Retry

from .mapping import Source, Worker


async def sleep_for(seconds: float) -> float:
    await trio.sleep(seconds)
    return seconds


async def test_results_come_in_order_of_items(autojump_clock):
    async with triojob.map(sleep_for, [3, 1, 2]) as results:
        assert await collect(results) == [3, 1, 2]
    assert trio.current_time() == 3


async def test_unordered_results_come_as_the_calls_end(autojump_clock):
    async with triojob.map(sleep_for, [3, 1, 2], ordered=False) as results:
        got = [(result, trio.current_time()) async for result in results]
    assert got == [(1, 1), (2, 2), (3, 3)]


async def test_what_submit_takes_can_be_mapped(autojump_clock: trio.testing.MockClock) -> None:
    async def produce(sink: Any) -> None:
        sink.finish(Value("remote"))

    async def first(fn: Any, *items: Any) -> Any:
        async with triojob.map(fn, *items) as results:
            return await results.__anext__()

    assert await first(succeed, ["async"]) == "async"
    assert await first(partial(sleep, 1), ["partial"]) == "partial"
    assert await first(lambda item: succeed(2 * item), ["lambda"]) == "lambdalambda"
    assert await first(count, [3]) == 2
    assert await first(Scripted(produce), [1]) == "remote"


async def test_shortest_iterable_ends_the_map() -> None:
    async def add(a: int, b: int, c: int) -> int:
        await trio.lowlevel.checkpoint()
        return a + b + c

    async with triojob.map(add, [1, 2, 3], itertools.count(10), Source(2).aitems()) as results:
        assert await collect(results) == [1 + 10 + 0, 2 + 11 + 1]


async def test_no_items_give_no_results() -> None:
    for empty in ([], Source(0).items(), Source(0).aitems()):
        async with triojob.map(succeed, empty) as results:
            assert await collect(results) == []


async def test_outputs_of_job_can_be_mapped(autojump_clock: trio.testing.MockClock) -> None:
    async with JobGroup() as group:
        job = group.submit(count, 3, 1)
        async with triojob.map(sleep_for, job) as results:
            got = [(result, trio.current_time()) async for result in results]
    assert got == [(0, 1), (1, 3), (2, 5)]


async def test_old_sequences_can_be_mapped() -> None:
    class Old:
        def __getitem__(self, index: int) -> int:
            return [5, 6][index]

    items: Any = Old()
    async with triojob.map(succeed, items) as results:
        assert await collect(results) == [5, 6]


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("limit", [1, 3])
async def test_exactly_limit_calls_run(autojump_clock, limit, ordered):
    worker = Worker()
    async with triojob.map(worker.work, range(12), limit=limit, ordered=ordered) as results:
        await trio.sleep(0.5)
        assert worker.running == limit
        assert sorted(await collect(results)) == list(range(12))
    assert worker.peak == limit
    assert trio.current_time() == 12 / limit


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("kind", ["items", "aitems"])
async def test_slow_consumer_bounds_items_taken(autojump_clock, ordered, kind):
    source, worker = Source(), Worker()
    async with triojob.map(
        worker.work, getattr(source, kind)(), limit=4, ordered=ordered
    ) as results:
        await trio.sleep(100)
        assert (source.taken, worker.running, len(worker.started)) == (4, 0, 4)
        for taken in range(1, 6):
            await results.__anext__()
            await trio.sleep(100)
            assert source.taken == 4 + taken
            assert len(worker.started) == 4 + taken


async def test_ordered_map_holds_later_results(autojump_clock):
    async with triojob.map(sleep_for, [10, 1, 1, 1, 1], limit=3) as results:
        got = [(await results.__anext__(), trio.current_time()) for _ in range(3)]
        assert got == [(10, 10), (1, 10), (1, 10)]
        assert await collect(results) == [1, 1]
    assert trio.current_time() == 11


async def test_unordered_map_continues_past_slow_item(autojump_clock):
    async with triojob.map(sleep_for, [10, 1, 1, 1, 1], limit=2, ordered=False) as results:
        got = [(result, trio.current_time()) async for result in results]
    assert got == [(1, 1), (1, 2), (1, 3), (1, 4), (10, 10)]


async def test_jobs_go_on_while_consumer_is_busy(autojump_clock):
    times = []
    async with triojob.map(sleep_for, [1] * 6, limit=2) as results:
        async for _ in results:
            times.append(trio.current_time())
            await trio.sleep(0.5)
    assert times == [1, 1.5, 2, 2.5, 3, 3.5]


async def test_a_rate_spaces_the_starts(autojump_clock: trio.testing.MockClock) -> None:
    worker = Worker(seconds=10)
    async with triojob.map(worker.work, range(5), rate=4) as results:
        assert await collect(results) == list(range(5))
    assert worker.starts == [0, 0.25, 0.5, 0.75, 1]


async def test_rate_makes_up_no_lost_time(autojump_clock):
    worker = Worker(seconds=0)

    async def items() -> Any:
        for number in range(4):
            if number == 1:
                await trio.sleep(10)
            yield number

    async with triojob.map(worker.work, items(), rate=1) as results:
        await collect(results)
    assert worker.starts == [0, 10, 11, 12]


async def test_a_rate_and_a_limit_hold_together(autojump_clock: trio.testing.MockClock) -> None:
    worker = Worker(seconds=3)
    async with triojob.map(worker.work, range(4), rate=1, limit=2) as results:
        await collect(results)
    assert worker.starts == [0, 1, 3, 4]


async def test_pairs_are_items_and_their_ended_jobs(autojump_clock):
    async with triojob.map(sleep_for, [2, 1], return_jobs=True, ordered=False) as results:
        pairs = await collect(results)
    assert [item for item, _ in pairs] == [1, 2]
    for item, job in pairs:
        assert isinstance(job, Job)
        assert job.done
        assert await job.result() == item


async def test_pairs_of_several_iterables_hold_tuples() -> None:
    async def add(a: int, b: int) -> int:
        await trio.lowlevel.checkpoint()
        return a + b

    async with triojob.map(add, [1, 2], [3, 4], return_jobs=True) as results:
        assert [item async for item, _ in results] == [(1, 3), (2, 4)]


async def test_maps_can_be_nested(autojump_clock: trio.testing.MockClock) -> None:
    async def row(start: int) -> list[float]:
        async with triojob.map(sleep_for, range(start, start + 3)) as cells:
            return await collect(cells)

    async with triojob.map(row, Source().items(), limit=2) as rows:
        got = [await rows.__anext__() for _ in range(3)]
    assert got == [[0, 1, 2], [1, 2, 3], [2, 3, 4]]


async def test_a_map_can_be_mapped(autojump_clock: trio.testing.MockClock) -> None:
    async with (
        triojob.map(sleep_for, Source().items(), limit=2) as first,
        triojob.map(partial(sleep, 1), first, limit=3) as second,
    ):
        assert [await second.__anext__() for _ in range(5)] == [0, 1, 2, 3, 4]


async def test_several_tasks_share_the_results(autojump_clock: trio.testing.MockClock) -> None:
    got: list[int] = []
    async with triojob.map(Worker().work, range(20), limit=4) as results:

        async def consume() -> None:
            async for result in results:
                got.append(result)
                await trio.sleep(0.1)

        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(consume)
    assert sorted(got) == list(range(20))


async def test_each_step_is_a_checkpoint() -> None:
    async with triojob.map(succeed, [1]) as results:
        await trio.testing.wait_all_tasks_blocked()
        with trio.testing.assert_checkpoints():
            await results.__anext__()
        with trio.testing.assert_checkpoints(), pytest.raises(StopAsyncIteration):
            await results.__anext__()


async def test_being_cancelled_while_waiting_loses_no_result(autojump_clock):
    got = []
    async with triojob.map(sleep_for, [1, 1, 1], limit=1) as results:
        while len(got) < 3:
            with trio.move_on_after(0.3):
                got.append(await results.__anext__())
    assert trio.current_time() == 3


async def test_its_repr_counts(autojump_clock: trio.testing.MockClock) -> None:
    async with triojob.map(partial(sleep_for), [1, 1, 5, 5], limit=3) as results:
        await trio.sleep(2)
        await results.__anext__()
        assert repr(results) == "<map of sleep_for: 1 running, 1 ready, 1 taken>"


async def test_outside_its_block_a_map_says_so() -> None:
    before = tasks_living()
    results = triojob.map(succeed, [1])
    with pytest.raises(GroupClosed, match=r"enter the block first: async with triojob\.map"):
        await results.__anext__()
    async with results:
        with pytest.raises(GroupClosed, match="only once"):
            await results.__aenter__()
    with pytest.raises(GroupClosed, match="iterate over its results inside its block"):
        await results.__anext__()
    assert tasks_living() == before


async def test_waiter_outside_ended_map_is_told(autojump_clock):
    told: list[str] = []

    async def consume(results: Any) -> None:
        with pytest.raises(GroupClosed):
            await results.__anext__()
        told.append("told")

    async with trio.open_nursery() as nursery, triojob.map(sleep_for, [100]) as results:
        nursery.start_soon(consume, results)
        await trio.sleep(1)
    assert told == ["told"]
    assert trio.current_time() == 1


async def test_group_of_map_shows_its_jobs() -> None:
    ended: list[str] = []

    class Ends(Instrument):
        def job_ended(self, job: Job[Any]) -> None:
            ended.append(job.name)

    async with triojob.map(succeed, "abc", instruments=[Ends()]) as results:
        assert isinstance(results.group, JobGroup)
        assert await collect(results) == ["a", "b", "c"]
        assert results.group.statistics().succeeded == 3
    assert ended == ["succeed"] * 3


async def test_a_retry_is_that_of_its_group() -> None:
    retry = Retry(attempts=2)
    calls: list[Any] = []

    async def produce(sink: Any) -> None:
        sink.finish(Value("remote"))

    class Remembers(Scripted):
        def bind(self, args: Any, kwargs: Any, *, batch: Any = None) -> Any:
            call = super().bind(args, kwargs)
            calls.append(call)
            return call

    async with triojob.map(Remembers(produce), [1, 2], retry=retry) as results:
        assert await collect(results) == ["remote", "remote"]
    assert [call.retry for call in calls] == [retry, retry]
