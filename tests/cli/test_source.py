"""The rows that are handed out: which, when, and compared with what."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.cli.support import write_rows
from tests.servers.description import App
from triojob._cli.ending import CommandError
from triojob._cli.ledger import BLOCK, Finished
from triojob._cli.plan import Plan, PlanOptions
from triojob._cli.rows import Row, Rows
from triojob._cli.source import Source
from triojob.gradio._config import AppInfo

ROWS = 3 * BLOCK + 10


def plan() -> Plan:
    app = App()
    app.add("run", inputs=["text"])
    info = AppInfo(app.config("http://app/"), app.info(all_endpoints=True)).find("/run", None)
    return Plan(info, PlanOptions((), (), (), None))


def row(index: int) -> Row:
    return Row(index, {"text": f"t{index}"}, is_text=False)


async def handed_out(path: Path, finished: Finished, **options: Any) -> tuple[list[int], Source]:
    settings: dict[str, Any] = {"output": "out.jsonl", "rate": None, "on_columns": lambda _: None}
    indexes: list[int] = []
    with closing(Rows(str(path), None)) as rows:
        source = Source(rows, plan(), finished, **{**settings, **options})
        while (found := await source.next()) is not None:
            indexes.append(found.index)
    return indexes, source


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
    indexes, source = await handed_out(path, finished_rows(there))
    assert indexes == [n for n in range(ROWS) if n not in there]
    assert (source.read, source.failure) == (ROWS, None)


async def test_no_row_of_a_block_is_handed_out_before_it_is_compared(path: Path) -> None:
    finished = finished_rows([2, BLOCK + 7])
    rows = [{"text": "other" if n == BLOCK + 7 else f"t{n}"} for n in range(ROWS)]
    write_rows(path, rows)
    indexes, source = await handed_out(path, finished)
    assert indexes == [n for n in range(BLOCK) if n != 2]
    assert isinstance(source.failure, CommandError)
    wrong = f"rows {BLOCK} to {2 * BLOCK - 1} were made of other values"
    assert wrong in str(source.failure.message)


async def test_an_input_that_ends_too_early_is_another_one(path: Path) -> None:
    finished = finished_rows([0, 2 * BLOCK])
    write_rows(path, [{"text": f"t{n}"} for n in range(9)])
    indexes, source = await handed_out(path, finished)
    assert indexes == list(range(1, 9))
    assert source.failure is not None
    assert "it has more rows than the 9 of the input" in source.failure.message


async def test_no_more_rows_in_a_second_than_told(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    path = write_rows(tmp_path / "in.jsonl", [{"text": f"t{n}"} for n in range(20)])
    times: list[float] = []
    with closing(Rows(str(path), None)) as rows:
        source = Source(
            rows,
            plan(),
            Finished(),
            output="",
            rate=10.0,
            on_columns=lambda _: None,
        )
        while await source.next() is not None:
            times.append(trio.current_time())
            if len(times) == 10:
                await trio.sleep(5)  # what was not used is not made up for
    gaps = [after - before for before, after in pairwise(times)]
    assert len(times) == 20
    assert min(gaps) == pytest.approx(0.1)


async def test_the_columns_of_the_first_row_are_told_once(path: Path) -> None:
    told: list[list[str]] = []
    await handed_out(path, Finished(), on_columns=lambda columns: told.append(list(columns)))
    assert told == [["text"]]
