"""Text that grows: what is shown is what edits make, at a cost that is linear in what came."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from tests.support.jobs import at_instruction
from triojob._core.history import History, OutputCursor
from triojob._core.sink import ChannelSink
from triojob.gradio.protocol import diff
from triojob.gradio.protocol.diff import EditError, GrowingText, apply_edits, grow_text, settled
from triojob.gradio.protocol.translator import (
    EditedData,
    EventTranslator,
    FullData,
    apply_data_edits,
)

APPEND = "append"


@given(st.text(), st.lists(st.tuples(st.text(), st.integers(min_value=0), st.booleans())))
def test_each_stays_what_it_was(head: str, steps: list[tuple[str, int, bool]]) -> None:
    """Grow any of those there are, also one that another has grown from, and look at some."""
    texts = [(GrowingText(head), head)]
    for more, which, look in steps:
        text, expected = texts[which % len(texts)]
        texts.append((text.grown(more), expected + more))
        if look:
            assert str(texts[-1][0]) == texts[-1][1]
            assert str(text) == expected
    for text, expected in texts:
        assert str(text) == expected


@given(st.text(), st.lists(st.lists(st.text(), min_size=1)))
def test_it_grows_as_edits_say(head: str, steps: list[list[str]]) -> None:
    grown: Any = head
    value: Any = head
    for pieces in steps:
        edits = [[APPEND, [], piece] for piece in pieces]
        grown = grow_text(grown, edits)
        value = apply_edits(value, edits)
        assert settled(grown) == value


@pytest.mark.parametrize(
    "text, edits",
    [
        ("a", []),
        ("a", None),
        ("a", [["replace", [], "b"]]),
        ("a", [[APPEND, [], "b"], ["replace", [], "c"]]),
        ("a", [[APPEND, [0], "b"]]),
        ("a", [[APPEND, [], 1]]),
        ("a", [[APPEND, []]]),
        ("a", ["append"]),
        (None, [[APPEND, [], "b"]]),
        (["a"], [[APPEND, [], "b"]]),
    ],
)
def test_what_is_left_to_the_edits(text: Any, edits: Any) -> None:
    assert grow_text(text, edits) is None


def test_long_stream_joins_its_text_few_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is joined is a small multiple of the text, whether it has few steps or many."""
    joined = 0
    original = GrowingText.__str__

    def count(text: GrowingText) -> str:
        nonlocal joined
        result = original(text)
        joined += len(result)
        return result

    monkeypatch.setattr(GrowingText, "__str__", count)
    for steps in (1_000, 10_000, 100_000):
        joined = 0
        text = GrowingText("")
        for _ in range(steps):
            text = text.grown("word ")
        head, parts, _ = text._state
        assert len(parts) <= 513 + len(head) // 64
        assert joined <= 40 * 5 * steps
        assert str(text) == "word " * steps


def test_outputs_show_text_whoever_looks_and_when() -> None:
    present = tuple
    outputs = [
        FullData(["a", {"n": 1}], present),
        EditedData([[[APPEND, [], "b"]], []], present),
        EditedData([[[APPEND, [], "c"], [APPEND, [], "d"]], [["replace", ["n"], 2]]], present),
        EditedData([[["replace", [], "e"]], []], present),
        EditedData([[[APPEND, [], "f"]], []], present),
    ]
    state: Any = None
    states: list[Any] = []
    for output in outputs:
        state = output.advance(state)
        states.append(state)
    shown = [output.show(state) for output, state in zip(outputs, states, strict=True)]
    assert shown == [
        ("a", {"n": 1}),
        ("ab", {"n": 1}),
        ("abcd", {"n": 2}),
        ("e", {"n": 2}),
        ("ef", {"n": 2}),
    ]
    assert all(type(text) is str for text, _ in shown)


def test_growing_text_ignores_dead_copies() -> None:
    """Many lists are copied and replaced: text gets their place in memory, if that is free."""
    count = 200
    root = [[[n] for n in range(count)], ["x" * 100] * count]
    edits: list[Any] = [["replace", [0, n, 0], None] for n in range(count)]
    edits.append(["replace", [0], None])
    edits += [[APPEND, [1, n], more] for more in "ab" for n in range(count)]
    made = apply_edits(root, edits)
    assert made == [None, ["x" * 100 + "ab"] * count]
    with pytest.raises(EditError, match="into a str"):
        apply_edits(root, [*edits, ["replace", [1, 0, "x"], None]])


def test_keeping_last_output_applies_no_edits(monkeypatch):
    applied = 0
    original = apply_data_edits

    def count(*args: Any) -> list[Any]:
        nonlocal applied
        applied += 1
        return original(*args)

    monkeypatch.setattr("triojob.gradio.protocol.translator.apply_data_edits", count)
    kept = History(1)
    sink = ChannelSink()
    translator = EventTranslator(
        "f", streams=True, edits=True, present=lambda data: data[0], sink=sink
    )
    for batch in range(3):
        for step in range(100):
            data = [f"{batch}.{step} "] if not batch and not step else [[[APPEND, [], "x"]]]
            translator.feed({"msg": "process_generating", "output": {"data": data}})
        while sink.unread:
            sink.unread -= 1
            message = sink.receiver.receive_nowait()
            if isinstance(message, (FullData, EditedData)):
                kept.add_output(message)
        kept.trim()
        cursor = OutputCursor(kept)
        assert list(cursor.take_all()) == ["0.0 " + "x" * (100 * batch + 99)]
        assert cursor.dropped == 100 * batch + 99
    assert applied == 299


def test_outputs_share_paths_and_actions() -> None:
    """Each output that is kept takes two fifths less memory so."""
    sink = ChannelSink()
    translator = EventTranslator(
        "f", streams=True, edits=True, present=lambda data: data[0], sink=sink
    )
    chat = [{"text": "a"}, {"text": "b"}]
    steps = [[chat], *([[[APPEND, [place, "text"], "x"]]] for place in (0, 0, 1, 1, 0))]
    for data in steps:
        sent = json.loads(json.dumps({"msg": "process_generating", "output": {"data": data}}))
        translator.feed(sent)
    outputs = [message for message in sink.close() if isinstance(message, EditedData)]
    assert [output.edits for output in outputs] == steps[1:]
    paths = [output.edits[0][0][1] for output in outputs]
    assert paths[0] is paths[1]
    assert paths[2] is paths[3]
    assert len({id(output.edits[0][0][0]) for output in outputs}) == 1


@pytest.mark.parametrize("other", [str, lambda text: text.grown("other")], ids=["look", "grow"])
def test_another_thread_may_come_between(other: Callable[[GrowingText], Any]) -> None:
    """As a thread that lists outputs does while more of them come."""
    for number in itertools.count(1):
        text, grown = GrowingText("a").grown("b").grown("c"), []
        passed = at_instruction(
            number,
            lambda text=text, grown=grown: grown.append(text.grown("d")),
            lambda text=text: other(text),
            files=[Path(diff.__file__)],
        )
        assert str(grown[0]) == "abcd"
        assert str(grown[0].grown("e")) == "abcde"
        assert str(text) == "abc"
        if not passed:
            break
    assert number > 20
