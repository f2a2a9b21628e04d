"""The rows that are handed out: which, when, and compared with what."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.cli.support import write_rows
from triojob._cli.ending import CommandError
from triojob._cli.ledger import BLOCK, Finished
from triojob._cli.plan import Plan, PlanOptions
from triojob._cli.rows import Reading, Row, Rows
from triojob._cli.source import Source
from triojob.gradio.schema.app import AppInfo
from triojob.testing._server.description import App

ROWS = 3 * BLOCK + 10


def plan() -> Plan:
    app = App()
    app.add("run", inputs=["text"])
    info = AppInfo(app.config("http://app/"), app.info(all_endpoints=True)).find("/run", None)
    return Plan(info, PlanOptions((), (), (), None))


def row(index: int) -> Row:
    return Row(index, {"text": f"t{index}"}, is_text=False)


def digests_of(block: int) -> dict[int, str]:
    return {index: plan().digest(row(index)) for index in range(block * BLOCK, (block + 1) * BLOCK)}


async def handed_out(path: Path, finished: Finished, **options: Any) -> tuple[list[int], str]:
    """Return the numbers of the rows, and what it says against the input."""
    settings: dict[str, Any] = {
        "output": "out.jsonl",
        "digests_of": digests_of,
        "on_columns": lambda _: None,
    }
    indexes: list[int] = []
    with closing(Rows(str(path), Reading())) as rows:
        source = Source(rows, plan(), finished, **{**settings, **options})
        try:
            async for found in source:
                indexes.append(found.index)
        except CommandError as exc:
            return indexes, exc.message
    return indexes, ""


def finished_rows(indexes: Iterable[int]) -> Finished:
    finished = Finished()
    for index in indexes:
        finished.add(index, plan().digest(row(index)), ok=True)
    return finished


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_rows(tmp_path / "in.jsonl", [{"text": f"t{n}"} for n in range(ROWS)])


async def test_finished_rows_are_left_out(path: Path) -> None:
    there = {0, 5, BLOCK - 1, BLOCK, 2 * BLOCK, ROWS - 1}
    indexes, wrong = await handed_out(path, finished_rows(there))
    assert indexes == [n for n in range(ROWS) if n not in there]
    assert not wrong


async def test_no_row_of_a_block_is_handed_out_before_it_is_compared(path: Path) -> None:
    finished = finished_rows([2, BLOCK + 7])
    rows = [{"text": "other" if n == BLOCK + 7 else f"t{n}"} for n in range(ROWS)]
    write_rows(path, rows)
    indexes, wrong = await handed_out(path, finished)
    assert indexes == [n for n in range(BLOCK) if n != 2]
    assert f"row {BLOCK + 7} (counted from 0) differs" in wrong


@pytest.mark.parametrize(
    "rows, wrong",
    [
        ([0, 2 * BLOCK], "the input was shortened: it has 9 rows, but the output has row 512 "),
        (range(10), "the input was shortened: it has 9 rows, but the output has row 9 "),
        ([3, 8, 9], "the input was shortened: it has 9 rows, but the output has row 9 "),
    ],
)
async def test_shortened_inputs_are_refused(path: Path, rows: Iterable[int], wrong: str) -> None:
    write_rows(path, [{"text": f"t{n}"} for n in range(9)])
    indexes, told = await handed_out(path, finished_rows(rows))
    assert indexes == []
    assert wrong in told


async def test_inputs_that_lost_a_row_differ(path: Path) -> None:
    write_rows(path, [{"text": f"t{n}"} for n in range(10) if n != 4])
    indexes, told = await handed_out(path, finished_rows(range(10)))
    assert indexes == []
    assert "row 4 (counted from 0) differs" in told


async def test_after_it_was_stopped_there_is_no_other_row(path: Path) -> None:
    with closing(Rows(str(path), Reading())) as rows:
        source = Source(
            rows, plan(), Finished(), output="", digests_of=digests_of, on_columns=lambda _: None
        )
        assert (await anext(source)).index == 0
        source.stopped = True
        with pytest.raises(StopAsyncIteration):
            await anext(source)


async def test_the_columns_of_the_first_row_are_told_once(path: Path) -> None:
    told: list[list[str]] = []
    await handed_out(path, Finished(), on_columns=lambda columns: told.append(list(columns)))
    assert told == [["text"]]
