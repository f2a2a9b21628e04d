"""The rows that are handed out: which, when, and compared with what."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Iterator

import pytest
import trio

from triojob import StoreMismatch
from triojob._durable.finished import BLOCK, FinishedRows, digest_of
from triojob._durable.unfinished import Row, UnfinishedRows, rows_of

ROWS = 3 * BLOCK + 10


def digest(row: Row) -> str:
    return digest_of({"item": row.item})


def digests_of(block: int) -> dict[int, str]:
    numbers = range(block * BLOCK, (block + 1) * BLOCK)
    return {index: digest(Row(index, f"t{index}")) for index in numbers}


def unfinished(items: object, finished: FinishedRows) -> UnfinishedRows[Row]:
    return UnfinishedRows(
        rows_of(items), digest, finished, digests_of=digests_of, store="run.jsonl"
    )


async def handed_out(items: Iterable[str], finished: FinishedRows) -> tuple[list[int], str]:
    """Return the numbers of the rows, and what it says against the input."""
    indexes: list[int] = []
    try:
        async for found in unfinished(items, finished):
            indexes.append(found.index)
    except StoreMismatch as exc:
        return indexes, str(exc)
    return indexes, ""


def finished_rows(indexes: Iterable[int]) -> FinishedRows:
    finished = FinishedRows()
    for index in indexes:
        finished.add(index, digest(Row(index, f"t{index}")), ok=True)
    return finished


ITEMS = [f"t{n}" for n in range(ROWS)]


async def test_finished_rows_are_left_out() -> None:
    there = {0, 5, BLOCK - 1, BLOCK, 2 * BLOCK, ROWS - 1}
    indexes, wrong = await handed_out(ITEMS, finished_rows(there))
    assert indexes == [n for n in range(ROWS) if n not in there]
    assert not wrong


async def test_blocks_are_compared_before_their_rows() -> None:
    items = ["other" if n == BLOCK + 7 else item for n, item in enumerate(ITEMS)]
    indexes, wrong = await handed_out(items, finished_rows([2, BLOCK + 7]))
    assert indexes == [n for n in range(BLOCK) if n != 2]
    assert f"row {BLOCK + 7} (counted from 0) differs" in wrong


@pytest.mark.parametrize(
    "rows, wrong",
    [
        ([0, 2 * BLOCK], "the input was shortened: it has 9 rows, but the store has row 512 "),
        (range(10), "the input was shortened: it has 9 rows, but the store has row 9 "),
        ([3, 8, 9], "the input was shortened: it has 9 rows, but the store has row 9 "),
    ],
)
async def test_shortened_inputs_are_refused(rows: Iterable[int], wrong: str) -> None:
    indexes, told = await handed_out(ITEMS[:9], finished_rows(rows))
    assert indexes == []
    assert wrong in told


async def test_inputs_that_lost_a_row_differ() -> None:
    indexes, told = await handed_out(ITEMS[:4] + ITEMS[5:10], finished_rows(range(10)))
    assert indexes == []
    assert "row 4 (counted from 0) differs" in told


async def test_stopped_inputs_yield_no_more() -> None:
    rows = unfinished(ITEMS, FinishedRows())
    found = aiter(rows)
    assert (await anext(found)).index == 0
    rows.stopped = True
    with pytest.raises(StopAsyncIteration):
        await anext(found)
    assert rows.ended


@pytest.mark.parametrize("is_async", [False, True])
async def test_generators_are_closed_with_the_rows(*, is_async: bool) -> None:
    closed: list[bool] = []

    def items() -> Iterator[str]:
        try:
            yield from ITEMS
        finally:
            closed.append(True)

    async def async_items() -> AsyncGenerator[str, None]:
        try:
            for item in ITEMS:
                await trio.lowlevel.checkpoint()
                yield item
        finally:
            closed.append(True)

    found = aiter(unfinished(async_items() if is_async else items(), FinishedRows()))
    await anext(found)
    await found.aclose()
    assert closed == [True]


async def test_rows_before_a_failing_input_come_first() -> None:
    def items() -> Iterator[str]:
        yield from ITEMS[:8]
        raise OSError("no more")

    indexes: list[int] = []
    with pytest.raises(OSError, match="no more"):
        async for found in unfinished(items(), finished_rows([0, 1, 20])):
            indexes.append(found.index)
    assert indexes == [2, 3, 4, 5, 6, 7]
