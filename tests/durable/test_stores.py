"""The output of triojob: what is kept, what is dropped, what is refused."""

from __future__ import annotations

import errno
import json
import os
import random
import shutil
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.cli.support import needs_signals
from triojob import MissingDependency, StoreError, StoreMismatch
from triojob._durable.companion import Resumption
from triojob._durable.encoding import to_json
from triojob._durable.finished import BLOCK, FinishedRows, Intervals, digest_of
from triojob._durable.open_store import open_store
from triojob._durable.outcome import RowOutcome
from triojob._durable.store import StoreFile

MADE_BY = {"url": "http://app/", "endpoint": "/work"}
SUFFIXES = ["jsonl", "sqlite", "parquet"]


def record(row: int, outcome: str = "ok") -> dict[str, Any]:
    return {
        "row": row,
        "key": f"k{row}",
        "outcome": outcome,
        **({"result": "é\u2028"} if outcome == "ok" else {"error": {"class": "E", "message": "m"}}),
        "attempts": 1,
        "seconds": 0.5,
        "input": digest_of({"row": row}),
    }


def opened(path: Path, made_by: dict[str, str] = MADE_BY, **options: Any) -> StoreFile:
    return open_store(path, Resumption(made_by, **{"resume": False, **options}))


def add(store: StoreFile, *records: dict[str, Any]) -> None:
    for item in records:
        store.write(item["row"], to_json(item))


def edited(item: dict[str, Any], **changes: Any) -> bytes:
    return f"{to_json({**item, **changes})}\n".encode()


def written(path: Path, *records: dict[str, Any], **options: Any) -> None:
    store = opened(path, **options)
    add(store, *records)
    store.close()


def reopened(path: Path, **options: Any) -> FinishedRows:
    store = opened(path, resume=True, **options)
    store.close()
    return store.finished


def rows_of(path: Path) -> list[int]:
    return [json.loads(line)["row"] for line in path.read_bytes().split(b"\n")[:-1]]


@pytest.fixture(params=SUFFIXES)
def store_path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Return the path of a store, of each kind in turn."""
    if request.param == "parquet":
        pytest.importorskip("pyarrow")
    return tmp_path / f"run.{request.param}"


# --- Going on ---


def test_what_was_written_is_finished(store_path: Path) -> None:
    written(store_path, record(3), record(0), record(1, "app_error"))
    finished = reopened(store_path)
    assert [row for row in range(6) if row in finished.rows] == [0, 1, 3]
    assert (finished.rows.count, finished.failed) == (3, 1)


def test_torn_last_line_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    written(path, record(0), record(1))
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    for end in range(first, len(whole) - 1):
        path.write_bytes(whole[:end])
        finished = reopened(path)
        assert finished.rows.count == 1
        assert path.read_bytes() == whole[:first]
        written(path, record(1), resume=True)
        assert rows_of(path) == [0, 1]


def test_line_without_its_end_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    written(path, record(0), record(1))
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    assert reopened(path).rows.count == 2
    assert path.read_bytes() == whole


def test_zeros_after_a_crash_are_dropped(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    written(path, record(0))
    whole = path.read_bytes()
    path.write_bytes(whole + b"\0" * 5000 + b"\n" + b"\0" * 100)
    assert reopened(path).rows.count == 1
    assert path.read_bytes() == whole


@pytest.mark.parametrize("is_empty", [True, False])
def test_without_rows_it_begins_anew(tmp_path: Path, *, is_empty: bool) -> None:
    path = tmp_path / "out.jsonl"
    if is_empty:
        path.touch()
    # As a process leaves it that was killed before its first row, in the midst of writing.
    (tmp_path / "out.jsonl.triojob").write_bytes(b'{"version"')
    written(path, record(0))
    assert reopened(path).rows.count == 1


def test_failed_rows_leave_every_store(store_path: Path) -> None:
    written(store_path, record(0), record(1, "timeout"), record(2))
    finished = reopened(store_path, retry_failed=True)
    assert ([*finished.rows], finished.failed) == ([0, 2], 0)
    written(store_path, record(1), resume=True)
    assert [*reopened(store_path).rows] == [0, 1, 2]


def test_failed_rows_are_taken_out_for_resuming(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    written(path, record(0), record(1, "timeout"), record(2))
    finished = reopened(path, retry_failed=True)
    assert rows_of(path) == [0, 2]
    assert (finished.rows.count, finished.failed) == (2, 0)
    written(path, record(1), resume=True)
    assert rows_of(path) == [0, 2, 1]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["out.jsonl", "out.jsonl.triojob"]


def test_taking_out_failed_rows_keeps_unended_line(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    written(path, record(0, "timeout"), record(1))
    path.write_bytes(path.read_bytes()[:-1])
    reopened(path, retry_failed=True)
    assert rows_of(path) == [1]


def test_only_new_lines_are_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = opened(tmp_path / "out.jsonl")
    synced: list[int] = []
    monkeypatch.setattr("os.fsync", synced.append)
    store.sync()
    assert not synced
    add(store, record(0))
    store.sync()
    store.sync()
    assert len(synced) == 1
    store.close()


def test_databases_hold_outcomes_before_a_sync(tmp_path: Path) -> None:
    """A reader sees them while the run goes on, and so does the next run after a kill."""
    path = tmp_path / "run.sqlite"
    store = opened(path)
    add(store, record(7), record(8, "timeout"))
    with closing(sqlite3.connect(path)) as reader:
        found = reader.execute("SELECT row, outcome, result, error_class FROM outcomes")
        assert found.fetchall() == [(7, "ok", "é\u2028", None), (8, "timeout", None, "E")]
        plan = reader.execute("EXPLAIN QUERY PLAN SELECT * FROM outcomes WHERE key = 'k7'")
        assert "USING INDEX keys" in str(plan.fetchall())
    killed = tmp_path / "killed"
    shutil.copytree(tmp_path, killed)
    assert reopened(killed / "run.sqlite").rows.count == 2
    store.sync()
    store.close()
    assert not path.with_name("run.sqlite-wal").exists()


@pytest.mark.parametrize(
    "results, wanted",
    [
        (["a", None, "b"], ["a", None, "b"]),
        ([1, 2, 3], [1, 2, 3]),
        ([1.5, None, None], [1.5, None, None]),
        ([None, None, None], [None, None, None]),
        ([1, "a", [2]], ["1", '"a"', "[2]"]),
        ([2**70, {"a": 1}, None], [str(2**70), '{"a": 1}', None]),
        (["\ud800é", "", None], ["\\ud800é", "", None]),
    ],
)
def test_parquet_columns_have_types(tmp_path: Path, results: Any, wanted: Any) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "run.parquet"
    store = opened(path)
    add(store, *({**record(row), "result": results[row]} for row in (2, 0, 1)))
    assert not path.exists()
    store.finish()
    table = parquet.read_table(path)
    assert table.column("row").to_pylist() == [0, 1, 2]
    assert table.column("key").to_pylist() == ["k0", "k1", "k2"]
    assert table.column("result").to_pylist() == wanted
    add(store, record(3, "timeout"))
    store.finish()
    store.close()
    assert parquet.read_table(path).to_pylist()[3]["error_message"] == "m"
    assert reopened(path).rows.count == 4


def test_parquet_needs_a_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingDependency, match=r"triojob\[parquet\]"):
        opened(tmp_path / "run.parquet")
    assert not [*tmp_path.iterdir()]


def test_nothing_is_written_after_a_failed_write(tmp_path, monkeypatch):
    """A line after half of a line would be garbage in the midst."""
    path = tmp_path / "out.jsonl"
    store = opened(path)
    add(store, record(0))

    def fail(descriptor: int, data: bytes) -> None:
        os.write(descriptor, data[:7])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("triojob._durable.jsonl_store.write_all", fail)
        with pytest.raises(OSError, match=r"No space left on device: .*out\.jsonl"):
            add(store, record(1))
    with pytest.raises(OSError, match=r"No space left on device: .*out\.jsonl"):
        add(store, record(2))
    store.close()
    assert reopened(path).rows.count == 1


# --- Refused ---


def test_stores_with_rows_are_left_alone(store_path: Path) -> None:
    written(store_path, record(0))
    with pytest.raises(StoreMismatch, match=r"already has rows; pass resume=True"):
        opened(store_path)
    assert reopened(store_path).rows.count == 1


@pytest.mark.parametrize("resume", [True, False])
def test_foreign_files_are_left_alone(store_path: Path, *, resume: bool) -> None:
    store_path.write_text("mine\n")
    with pytest.raises(StoreMismatch, match=r"already has rows|is missing"):
        opened(store_path, resume=resume)
    assert [file.name for file in store_path.parent.iterdir()] == [store_path.name]
    assert store_path.read_text() == "mine\n"


def test_broken_databases_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.sqlite"
    written(path, record(0))
    path.write_bytes(b"garbage" * 1000)
    with pytest.raises(StoreError, match="can't be resumed: file is not a database"):
        reopened(path)


def test_parquet_files_of_others_are_kept(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    path = tmp_path / "run.parquet"
    written(path, record(0))
    path.write_text("mine")
    with pytest.raises(StoreError, match="not written by a durable run, so it is not replaced"):
        reopened(path)
    assert path.read_text() == "mine"


def test_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    written(path, record(0))
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    with closing(opened(path, resume=True)) as store:
        assert RowOutcome.from_line(store.read(0)).key == "k0"


@pytest.mark.parametrize("line", ["", "{}", "[]", '{"row": 1, "error": "no"}'])
def test_records_of_others_are_refused(line: str) -> None:
    with pytest.raises(StoreError, match="was not written by triojob"):
        RowOutcome.from_line(line)


@pytest.mark.parametrize("name, value", [("url", "http://other/"), ("endpoint", "/other")])
def test_stores_of_other_inputs_are_refused(store_path: Path, name: str, value: str) -> None:
    path = store_path
    written(path, record(0))
    wrong = f"made with {name} '{MADE_BY[name]}', but this run has '{value}'"
    with pytest.raises(StoreError, match=wrong):
        opened(path, {**MADE_BY, name: value}, resume=True)
    opened(path, {**MADE_BY, name: value}, resume=True, may_differ=(name,)).close()


@pytest.mark.parametrize(
    "line, wrong",
    [
        (b"garbage\n", "line 2 was not written by triojob"),
        (b'{"row": 5}\n', "line 2 was not written by triojob"),
        (b'{"row": -1, "outcome": "ok", "input": "00"}\n', "line 2 was not"),
        (b'{"row": 5, "outcome": "ok", "input": "00", "seconds": 0.1}\n', "line 2 was not"),
        (edited(record(5), seconds="1"), "line 2 was not"),
        (edited(record(5), error="no"), "line 2 was not"),
        (edited(record(0)), "line 2: row 0 appears twice"),
        (edited(record(5), input="zz"), "line 2: invalid literal"),
    ],
)
def test_garbage_in_the_midst_is_refused(tmp_path: Path, line: bytes, wrong: str) -> None:
    path = tmp_path / "out.jsonl"
    written(path, record(0), record(1))
    first, second = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + line + second)
    for retry_failed in (False, True):
        with pytest.raises(StoreError, match=wrong):
            reopened(path, retry_failed=retry_failed)
        assert path.read_bytes() == first + line + second


def test_notes_that_are_broken_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    written(path, record(0))
    (tmp_path / "out.jsonl.triojob").write_bytes(b"{")
    with pytest.raises(StoreError, match=r"which records the inputs of its rows, is broken"):
        reopened(path)


def test_two_processes_do_not_write_one_store(store_path: Path) -> None:
    path = store_path
    store = opened(path)
    with pytest.raises(StoreError, match=r"another process is writing .*run\."):
        opened(path)
    add(store, record(0))
    with pytest.raises(StoreError, match=r"another process is writing"):
        opened(path, resume=True)
    store.close()
    assert reopened(path).rows.count == 1


@needs_signals  # where there are links
@pytest.mark.parametrize("name", ["out.jsonl", "out.jsonl.triojob", "out.sqlite"])
def test_links_are_not_followed(tmp_path: Path, name: str) -> None:
    other = tmp_path / "other"
    other.write_bytes(b"")
    (tmp_path / name).symlink_to(other)
    with pytest.raises(StoreError, match="is a symbolic link, and triojob follows no links"):
        opened(tmp_path / name.removesuffix(".triojob"))
    assert other.read_bytes() == b""


@needs_signals  # where there are links
@pytest.mark.parametrize("retry_failed", [True, False])
def test_links_to_stores_are_not_followed(store_path: Path, *, retry_failed: bool) -> None:
    written(store_path, record(0))
    journal = (
        store_path.with_name("run.parquet.jsonl") if "parquet" in store_path.name else store_path
    )
    other = journal.rename(journal.with_name("other"))
    with other.open("ab") as file:
        file.write(b"torn")
    before = other.read_bytes()
    journal.symlink_to(other)
    with pytest.raises(StoreError, match="is a symbolic link"):
        opened(store_path, resume=True, retry_failed=retry_failed)
    assert journal.is_symlink()
    assert other.read_bytes() == before


@needs_signals  # where there are FIFOs
@pytest.mark.parametrize("suffix", ["jsonl", "sqlite"])
@pytest.mark.parametrize("kind", ["mkdir", "mkfifo"])
def test_what_is_no_file_is_refused(tmp_path: Path, suffix: str, kind: str) -> None:
    path = tmp_path / f"out.{suffix}"
    getattr(os, kind)(path)
    with pytest.raises(StoreError, match="is not a file; choose another store="):
        opened(path)
    assert [*tmp_path.iterdir()] == [path]


@pytest.mark.parametrize("name", ["out.jsonl.triojob", "out.jsonl.new"])
def test_files_beside_the_output_stay(tmp_path: Path, name: str) -> None:
    path, other = tmp_path / "out.jsonl", tmp_path / name
    if other.suffix == ".new":
        written(path, record(0, "timeout"), record(1))
        other.write_bytes(b"mine")
        reopened(path, retry_failed=True)
    else:
        other.write_bytes(b"mine")
        with pytest.raises(StoreError, match="was not made by triojob"):
            opened(path)
    assert other.read_bytes() == b"mine"


def test_retried_outputs_keep_their_mode(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    written(path, record(0, "timeout"), record(1))
    mode = path.stat().st_mode
    reopened(path, retry_failed=True)
    assert path.stat().st_mode == mode


def test_digests_are_read_by_block(store_path: Path) -> None:
    written(store_path, record(3), record(BLOCK), record(1, "timeout"))
    store = opened(store_path, resume=True)
    assert store.digests_of(0) == {row: digest_of({"row": row}) for row in (1, 3)}
    assert json.loads(store.read(BLOCK)) == record(BLOCK)
    store.close()


# --- The set of rows ---


@pytest.mark.parametrize("seed", range(20))
def test_intervals_are_a_set(seed: int) -> None:
    chance = random.Random(seed)
    numbers = [chance.randrange(60) for _ in range(chance.randrange(80))]
    intervals, wanted = Intervals(), set[int]()
    for number in numbers:
        intervals.add(number)
        wanted.add(number)
        assert {n for n in range(-2, 64) if n in intervals} == wanted
        assert intervals.count == len(wanted)
        edges = intervals._edges
        assert edges == sorted(set(edges))  # runs that touch are one


def test_rows_out_of_order_take_no_memory() -> None:
    chance = random.Random(1)
    finished, under_way = FinishedRows(), list(range(64))
    most = 0
    for number in range(64, 50_000):
        finished.add(under_way.pop(chance.randrange(64)), "ff", ok=True)
        under_way.append(number)
        most = max(most, len(finished.rows._edges))
    # Runs between the rows that are under way, and nothing that grows with the rows.
    assert most <= 2 * 65
    assert len(finished.sums) <= 50_000 // BLOCK + 1
