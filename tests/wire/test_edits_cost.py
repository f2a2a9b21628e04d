"""What the edits of one message cost: work is counted, and is linear in what came, or bounded."""

from __future__ import annotations

from typing import Any, SupportsIndex

import pytest

from triojob.gradio.protocol import diff
from triojob.gradio.protocol.diff import MOST_MOVED, EditError, GrowingText, apply_edits
from triojob.testing._server.edits import edits_between


class CountedText(str):
    """Text that counts the characters that joining it with more copies."""

    __slots__ = ()
    copied = 0

    def __add__(self, more: str) -> CountedText:
        joined = CountedText(super().__add__(more))
        CountedText.copied += len(joined)
        return joined


class CountedList(list[Any]):
    """A list that counts how many items are moved by what comes or goes before them."""

    moved = 0

    def copy(self) -> CountedList:
        return CountedList(self)

    def insert(self, index: SupportsIndex, item: Any) -> None:
        CountedList.moved += len(self) - index.__index__()
        super().insert(index, item)

    def __delitem__(self, index: SupportsIndex | slice[Any, Any, Any]) -> None:
        end = index.stop if isinstance(index, slice) else index.__index__() + 1
        CountedList.moved += len(self) - end
        super().__delitem__(index)


@pytest.fixture(autouse=True)
def work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Count from nothing, and count too what a `GrowingText` joins."""
    original = GrowingText.__str__

    def counted(text: GrowingText) -> str:
        head, parts, count = text._state
        if count:
            CountedText.copied += len(head) + sum(map(len, parts))
        return original(text)

    monkeypatch.setattr(GrowingText, "__str__", counted)
    CountedText.copied = CountedList.moved = 0


@pytest.mark.parametrize("more", ["", "x"])
@pytest.mark.parametrize(
    "root, path",
    [
        (CountedText("x" * 100_000), []),
        ([CountedText("x" * 100_000)], [0]),
        ({"a": [{"b": CountedText("x" * 100_000)}]}, ["a", 0, "b"]),
    ],
)
def test_long_texts_appends_join_rarely(root, path, more):
    edits = [["append", path, more]] * 10_000
    made = apply_edits(root, edits)
    for key in path:
        made = made[key]
    assert type(made) is not GrowingText
    assert made == "x" * 100_000 + more * 10_000
    # Each time would make it 1,000,000,000.
    assert 100_000 <= CountedText.copied < 2_000_000


def test_scattered_appends_join_texts_rarely() -> None:
    root = [CountedText("x" * 100_000), {"a": CountedText("y" * 100_000)}]
    edits = [["append", [0], "."], ["append", [1, "a"], "-"], ["add", [2], None]] * 3000
    edits += [["delete", [2], None]] * 3000
    assert apply_edits(root, edits) == [
        "x" * 100_000 + "." * 3000,
        {"a": "y" * 100_000 + "-" * 3000},
    ]
    assert CountedText.copied < 3_000_000


def test_grown_and_moved_text_stays_text() -> None:
    grow = [["append", [0], "b"]] * 3
    edits = [*grow, ["add", [0], "new"], ["append", [1], "c"], ["delete", [2], None]]
    assert apply_edits(["a", "x"], edits) == ["new", "abbbc"]
    assert [type(item) for item in apply_edits(["a", "x"], edits)] == [str, str]
    assert apply_edits(["a"], [*grow, ["replace", [0], "z"]]) == ["z"]
    assert apply_edits(["a"], [*grow, ["replace", [], "z"]]) == "z"
    with pytest.raises(EditError, match="into a str"):
        apply_edits(["a"], [*grow, ["replace", [0, 0], "z"]])


def test_messages_move_bounded_list_items() -> None:
    """A list of 2**16 items, and 2**11 items at its front, which would move 2**27."""
    root = CountedList([0] * 2**16)
    with pytest.raises(EditError, match="move more than"):
        apply_edits(root, [["add", [0], 1]] * 2**11)
    assert MOST_MOVED - 2**17 < CountedList.moved <= MOST_MOVED
    CountedList.moved = 0
    with pytest.raises(EditError, match="move more than"):
        apply_edits(root, [["delete", [0], None], ["add", [0], 1]] * 2**10)
    assert MOST_MOVED - 2**17 < CountedList.moved <= MOST_MOVED
    assert root == [0] * 2**16


def test_what_gradio_sends_moves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diff, "MOST_MOVED", 0)
    long = CountedList([{"n": n} for n in range(20_000)])
    for old, new in ((long, long[:3]), (long, []), (long[:3], long), ([], long)):
        assert apply_edits(CountedList(old), edits_between(old, new)) == new
    assert CountedList.moved == 0


@pytest.mark.parametrize(
    "edits, left",
    [
        ([[1], [1]], [0, 3]),
        ([[0], [0], [0], [0]], []),
        ([[0], [1]], [1, 3]),
        ([[2], [2], [0], [0]], []),
        ([[0], [0], [0], [0], [0]], None),
        ([[3], [3]], None),
        ([[1], [True]], None),
        ([[1], [1.0]], None),
        ([[0], [False]], None),
        ([[0], [0, 0]], None),
        ([[0], []], None),
    ],
)
def test_deletions_in_row_equal_single_ones(edits: Any, left: Any) -> None:
    deletions = [["delete", path, None] for path in edits]
    if left is None:
        with pytest.raises(EditError):
            apply_edits([0, 1, 2, 3], deletions)
    else:
        assert apply_edits([0, 1, 2, 3], deletions) == left


def test_a_key_is_deleted_once() -> None:
    assert apply_edits({"a": 1}, [["delete", ["a"], None]]) == {}
    with pytest.raises(EditError, match="doesn't exist"):
        apply_edits({"a": 1, "b": 2}, [["delete", ["a"], None]] * 2)
    with pytest.raises(EditError, match="triple"):
        apply_edits([1, 2], [["delete", [0], None], ["delete", [0]]])


@pytest.mark.parametrize("path", [[3], ["a", 3]])
def test_deletions_in_row_move_little(monkeypatch, path):
    monkeypatch.setattr(diff, "MOST_MOVED", 0)
    long = CountedList(range(100))
    made = apply_edits(long if len(path) == 1 else {"a": long}, [["delete", path, None]] * 97)
    assert made == ([0, 1, 2] if len(path) == 1 else {"a": [0, 1, 2]})
    assert CountedList.moved == 0


def test_insertion_moves_items_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    behind = ["add", [1], "new"]
    monkeypatch.setattr(diff, "MOST_MOVED", 2)
    assert apply_edits([0, 1, 2], [behind, ["add", [4], 3]]) == [0, "new", 1, 2, 3]
    monkeypatch.setattr(diff, "MOST_MOVED", 1)
    with pytest.raises(EditError, match="move more than 1 items"):
        apply_edits([0, 1, 2], [behind])
