"""`history=`: how much a job keeps, and how it tells what it does not."""

from __future__ import annotations

import gc
import inspect
import itertools
import weakref
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from tests.support.jobs import Appended, appending, at_instruction, collect, count, succeed
from triojob import Job, JobGroup, LogMessage, OutputUpdate, report
from triojob._core.history import History, OutputCursor, UpdateCursor


@pytest.mark.parametrize("history", [1, 2, 5, 29, 30, 31, 100, None])
async def test_the_last_outputs_are_kept(history: int | None) -> None:
    async with JobGroup(history=history) as group:
        job = group.submit(count, 30)
    kept = 30 if history is None else min(30, history)
    assert job.outputs() == list(range(30 - kept, 30))
    assert await collect(job) == list(range(30 - kept, 30))
    assert job.dropped == 30 - kept
    assert await job.result() == 29


@pytest.mark.parametrize("history", [1, 2, 5, 29, 30, 31, None])
async def test_edited_outputs_stay_whole_after_dropping(autojump_clock, history):
    async with JobGroup(history=history) as group:
        job = group.submit(appending(30))
    kept = 30 if history is None else min(30, history)
    expected = [list(range(n + 1)) for n in range(30 - kept, 30)]
    assert job.outputs() == expected
    assert await collect(job) == expected
    assert [u.output async for u in job.updates() if isinstance(u, OutputUpdate)] == expected


async def test_no_history_keeps_only_the_result() -> None:
    async with JobGroup(history=0) as group:
        job = group.submit(count, 10)
        single = group.submit(succeed)
    assert job.outputs() == []
    assert job.dropped == 10
    assert await collect(job) == []
    assert await job.result() == 9
    assert await single.result() == "value"
    assert await collect(job.updates()) == []


async def test_an_iterator_counts_what_it_missed(autojump_clock: trio.testing.MockClock) -> None:
    async with JobGroup(history=3) as group:
        job = group.submit(count, 40, 1)
        iterator = job.__aiter__()
        assert iterator.dropped == 0
        seen = []
        async for output in iterator:
            seen.append(output)
            await trio.sleep(10)
    assert len(seen) + iterator.dropped == 40
    assert seen == sorted(set(seen))
    assert seen[-3:] == [37, 38, 39]
    assert iterator.dropped > 20


async def test_late_iterator_counts_dropped_outputs() -> None:
    async with JobGroup(history=4) as group:
        job = group.submit(count, 30)
    assert job.__aiter__().dropped == 26
    assert job.updates().dropped == 26


async def test_a_loop_that_keeps_up_misses_nothing(autojump_clock: trio.testing.MockClock) -> None:
    async with JobGroup(history=1) as group:
        iterator = group.submit(count, 100, 1).__aiter__()
        assert await collect(iterator) == list(range(100))
    assert iterator.dropped == 0


async def test_an_update_iterator_counts_what_it_missed(autojump_clock):
    async def work() -> None:
        for n in range(50):
            await trio.sleep(1)
            report.log(str(n))
            report.output(n)

    seen = []
    async with JobGroup(history=5) as group:
        updates = group.submit(work).updates()
        async for update in updates:
            seen.append(update)
            await trio.sleep(3.3)
    # 50 logs, 50 outputs; STARTING, PROCESSING, ITERATING and FINISHED.
    assert len(seen) + updates.dropped == 104
    assert 0 < updates.dropped < 104


async def test_outputs_and_other_messages_are_bounded_apart() -> None:
    async def work() -> None:
        for n in range(100):
            report.log(str(n))
        report.output("only")

    async with JobGroup(history=2) as group:
        job = group.submit(work)
    assert job.outputs() == ["only"]
    assert job.dropped == 0


async def test_repr_tells_what_was_dropped() -> None:
    async with JobGroup(history=2) as group:
        job = group.submit(count, 5)
    assert "outputs=5 dropped=3" in repr(job)


async def test_memory_is_bounded_by_history() -> None:
    async def stream(n: int) -> object:
        for number in range(n):
            report.log("like the one before")
            yield bytearray(number % 7)

    async with JobGroup(history=10) as group:
        job: Job[object] = group.submit(stream, 10_000)
    kept = job._record.history
    assert len(kept.outputs._items) < 50
    assert len(kept.notices._items) < 50


@pytest.mark.parametrize("history", [0, 1, 5, None])
def test_a_reader_may_be_in_another_thread(history: int | None) -> None:
    """More comes, and older is dropped, at each instruction of its own."""
    for number in itertools.count(1):
        kept, sent = History(history), itertools.count(1)

        def write(count: int, kept: History = kept, sent: Any = sent) -> None:
            for n in itertools.islice(sent, count):
                if n % 3 == 1:
                    kept.add_notice(LogMessage(str(n)))
                else:
                    kept.add_output(Appended(n))
            kept.trim()

        cursor, seen = UpdateCursor(kept), []

        def read(cursor: UpdateCursor = cursor, seen: list[int] = seen) -> None:
            while cursor.pending:
                update = cursor.take()
                if isinstance(update, OutputUpdate):
                    last = update.output[-1]
                    assert update.output == [n for n in range(1, last + 1) if n % 3 != 1]
                    seen.append(last)
                elif isinstance(update, LogMessage):
                    seen.append(int(update.text))

        write(4)
        passed = at_instruction(
            number, read, lambda: write(50), files=[Path(inspect.getfile(History))]
        )
        read()
        assert seen == sorted(set(seen))
        assert len(seen) + cursor.dropped == next(sent) - 1
        if not passed:
            break
    assert number > 50


async def test_dropped_messages_are_freed() -> None:
    class Traced: ...

    alive: weakref.WeakSet[Traced] = weakref.WeakSet()

    async def many() -> AsyncIterator[Traced]:
        for _ in range(500):
            alive.add(output := Traced())
            yield output
            del output

    async with JobGroup(history=2) as group:
        job = group.submit(many)
    gc.collect()
    assert len(job.outputs()) == 2
    # They are dropped by batches.
    assert len(alive) < 50


def test_a_copied_cursor_moves_on_its_own() -> None:
    history = History(None)
    for n in range(3):
        history.add_output(Appended(n))
        history.add_notice(LogMessage(f"{n}"))
    for cursor in (OutputCursor(history), UpdateCursor(history)):
        first, copy = cursor.take(), cursor.copy()
        rest = [cursor.take() for _ in range(2)]
        assert [copy.take() for _ in range(2)] == rest
        assert first not in rest
        assert copy.dropped == cursor.dropped == 0
