"""The output of `triojob map`: what is kept, what is dropped, what is refused."""

from __future__ import annotations

import errno
import json
import os
import random
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.cli.support import needs_signals
from triojob._cli.ending import CommandError
from triojob._cli.ledger import BLOCK, Finished, Intervals, Ledger, digest_of

MADE_BY = {"url": "http://app/", "endpoint": "/work"}


def record(row: int, outcome: str = "ok") -> dict[str, Any]:
    return {"row": row, "outcome": outcome, "result": "é\u2028", "input": digest_of({"row": row})}


def written(path: Path, *records: dict[str, Any], **options: Any) -> Ledger:
    ledger = Ledger(str(path), MADE_BY, **options)
    for item in records:
        ledger.write(item)
    ledger.close()
    return ledger


def reopened(path: Path, **options: Any) -> Finished:
    ledger = Ledger(str(path), MADE_BY, resume=True, **options)
    ledger.close()
    return ledger.finished


def rows_of(path: Path) -> list[int]:
    return [json.loads(line)["row"] for line in path.read_bytes().split(b"\n")[:-1]]


# --- Going on ---


def test_what_was_written_is_finished(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    written(path, record(3), record(0), record(1, "app_error"))
    finished = reopened(path)
    assert [row for row in range(6) if row in finished.rows] == [0, 1, 3]
    assert (finished.rows.count, finished.failed) == (3, 1)


def test_a_torn_last_line_is_dropped_wherever_it_is_torn(tmp_path: Path) -> None:
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


def test_a_line_that_lacks_only_its_end_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    written(path, record(0), record(1))
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    assert reopened(path).rows.count == 2
    assert path.read_bytes() == whole


def test_zeros_that_a_crash_of_the_machine_leaves_are_dropped(tmp_path: Path) -> None:
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


def test_failed_rows_are_taken_out_to_be_called_again(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    written(path, record(0), record(1, "timeout"), record(2))
    finished = reopened(path, retry_failed=True)
    assert rows_of(path) == [0, 2]
    assert (finished.rows.count, finished.failed) == (2, 0)
    written(path, record(1), resume=True)
    assert rows_of(path) == [0, 2, 1]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["out.jsonl", "out.jsonl.triojob"]


def test_taking_failed_rows_out_keeps_a_line_that_lacks_only_its_end(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    written(path, record(0, "timeout"), record(1))
    path.write_bytes(path.read_bytes()[:-1])
    reopened(path, retry_failed=True)
    assert rows_of(path) == [1]


async def test_it_is_synced_while_it_is_open(tmp_path, autojump_clock, monkeypatch):
    ledger = Ledger(str(tmp_path / "out.jsonl"), MADE_BY)
    synced, came = 0, trio.Event()

    def fsync(_descriptor: int) -> None:
        nonlocal synced
        synced += 1
        trio.from_thread.run_sync(came.set)

    monkeypatch.setattr("os.fsync", fsync)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ledger.keep_synced)
        await trio.sleep(5)
        assert not synced  # there is nothing new
        ledger.write(record(0))
        await came.wait()
        await trio.sleep(5)
        assert synced == 1
        nursery.cancel_scope.cancel()
    ledger.close()


def test_after_a_write_that_fails_there_is_no_other(tmp_path, monkeypatch):
    """A line after half of a line would be garbage in the midst."""
    path = tmp_path / "out.jsonl"
    ledger = Ledger(str(path), MADE_BY)
    ledger.write(record(0))

    def fail(descriptor: int, data: bytes) -> None:
        os.write(descriptor, data[:7])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("triojob._cli.ledger.write_all", fail)
        with pytest.raises(OSError, match=r"No space left on device: .*out\.jsonl"):
            ledger.write(record(1))
    with pytest.raises(OSError, match=r"No space left on device: .*out\.jsonl"):
        ledger.write(record(2))
    ledger.close()
    assert reopened(path).rows.count == 1


# --- Refused ---


def test_an_output_that_is_there_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    written(path, record(0))
    before = path.read_bytes()
    with pytest.raises(CommandError, match=r"already has rows; add --resume"):
        Ledger(str(path), MADE_BY)
    assert path.read_bytes() == before


@pytest.mark.parametrize("resume", [True, False])
def test_a_file_of_somebody_else_is_left_alone(tmp_path: Path, *, resume: bool) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("mine\n")
    with pytest.raises(CommandError, match=r"already has rows|is missing"):
        Ledger(str(path), MADE_BY, resume=resume)
    assert [file.name for file in tmp_path.iterdir()] == ["notes.txt"]
    assert path.read_text() == "mine\n"


@pytest.mark.parametrize("name, value", [("url", "http://other/"), ("endpoint", "/other")])
def test_an_output_of_another_app_or_endpoint_is_refused(tmp_path, name, value):
    path = tmp_path / "out.jsonl"
    written(path, record(0))
    wrong = f"made with {name} '{MADE_BY[name]}', but this run has '{value}'"
    with pytest.raises(CommandError, match=wrong):
        Ledger(str(path), {**MADE_BY, name: value}, resume=True)
    Ledger(str(path), {**MADE_BY, name: value}, resume=True, may_differ=(name,)).close()


@pytest.mark.parametrize(
    "line, wrong",
    [
        (b"garbage\n", "line 2 was not written by `triojob map`"),
        (b'{"row": 5}\n', "line 2 was not written by `triojob map`"),
        (b'{"row": -1, "outcome": "ok", "input": "00"}\n', "line 2 was not"),
        (b'{"row": 0, "outcome": "ok", "input": "00"}\n', "line 2: row 0 appears twice"),
        (b'{"row": 5, "outcome": "ok", "input": "zz"}\n', "line 2: invalid literal"),
    ],
)
def test_garbage_in_the_midst_is_refused(tmp_path: Path, line: bytes, wrong: str) -> None:
    path = tmp_path / "out.jsonl"
    written(path, record(0), record(1))
    first, second = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + line + second)
    for retry_failed in (False, True):
        with pytest.raises(CommandError, match=wrong):
            reopened(path, retry_failed=retry_failed)
        assert path.read_bytes() == first + line + second


def test_notes_that_are_broken_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    written(path, record(0))
    (tmp_path / "out.jsonl.triojob").write_bytes(b"{")
    with pytest.raises(CommandError, match=r"which records the inputs of its rows, is broken"):
        reopened(path)


def test_two_processes_do_not_write_one_output(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    ledger = Ledger(str(path), MADE_BY)
    with pytest.raises(CommandError, match=r"another process is writing .*out\.jsonl"):
        Ledger(str(path), MADE_BY)
    ledger.write(record(0))
    with pytest.raises(CommandError, match=r"another process is writing"):
        Ledger(str(path), MADE_BY, resume=True)
    ledger.close()
    assert reopened(path).rows.count == 1


@needs_signals  # where there are links
@pytest.mark.parametrize("name", ["out.jsonl", "out.jsonl.triojob"])
def test_links_are_not_followed(tmp_path: Path, name: str) -> None:
    other = tmp_path / "other"
    other.write_bytes(b"")
    (tmp_path / name).symlink_to(other)
    with pytest.raises(CommandError, match="is a symbolic link, and triojob follows no links"):
        Ledger(str(tmp_path / "out.jsonl"), MADE_BY)
    assert other.read_bytes() == b""


@pytest.mark.parametrize("name", ["out.jsonl.triojob", "out.jsonl.new"])
def test_files_beside_the_output_stay(tmp_path: Path, name: str) -> None:
    path, other = tmp_path / "out.jsonl", tmp_path / name
    if other.suffix == ".new":
        written(path, record(0, "timeout"), record(1))
        other.write_bytes(b"mine")
        reopened(path, retry_failed=True)
    else:
        other.write_bytes(b"mine")
        with pytest.raises(CommandError, match="was not made by `triojob map`"):
            Ledger(str(path), MADE_BY)
    assert other.read_bytes() == b"mine"


def test_retried_outputs_keep_their_mode(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    written(path, record(0, "timeout"), record(1))
    mode = path.stat().st_mode
    reopened(path, retry_failed=True)
    assert path.stat().st_mode == mode


def test_digests_are_read_by_block(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    written(path, record(3), record(BLOCK), record(1, "timeout"))
    ledger = Ledger(str(path), MADE_BY, resume=True)
    assert ledger.digests_of(0) == {row: digest_of({"row": row}) for row in (1, 3)}
    ledger.close()


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


def test_rows_that_end_out_of_order_take_no_memory_each() -> None:
    chance = random.Random(1)
    finished, under_way = Finished(), list(range(64))
    most = 0
    for number in range(64, 50_000):
        finished.add(under_way.pop(chance.randrange(64)), "ff", ok=True)
        under_way.append(number)
        most = max(most, len(finished.rows._edges))
    # Runs between the rows that are under way, and nothing that grows with the rows.
    assert most <= 2 * 65
    assert len(finished.sums) <= 50_000 // BLOCK + 1
