"""Values of an app as they are printed: always JSON, never in control of a terminal."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, cast

import pytest

from triojob import File, PropertyUpdate
from triojob._cli.terminal import as_text
from triojob._durable.encoding import encode_line, to_json
from triojob._durable.outputs import as_data, files_in
from triojob._printable import printable
from triojob.gradio.protocol.file_marks import FileData
from triojob.gradio.protocol.messages import MOST_DEPTH


@pytest.mark.parametrize(
    "value, shown",
    [
        (math.nan, "null"),
        ({"a": [1.5, -math.inf], "b": (1, math.nan)}, '{"a": [1.5, null], "b": [1, null]}'),
        ("é\u2028", '"é\u2028"'),
        ({"a": "\ud800"}, '{"a": "\\ud800"}'),
        ([True, None, 10**30], "[true, null, 1000000000000000000000000000000]"),
    ],
)
def test_a_line_is_json_whatever_the_value(value: Any, shown: str) -> None:
    line = encode_line(to_json(value))
    assert line.decode() == shown + "\n"
    json.loads(line)


def test_control_characters_are_made_visible() -> None:
    text = "\x1b[31mred\x07 \x9b2J\r\nnext\ttab\rback\x7f é\u2028"
    shown = "\\x1b[31mred\\x07 \\x9b2J\nnext\ttab\\x0dback\\x7f é\u2028"
    assert printable(text) == shown


def test_property_update_is_shown_as_in_gradio() -> None:
    value = (PropertyUpdate({"visible": False}), {"a": [1]})
    assert as_data(value) == [{"__type__": "update", "visible": False}, {"a": [1]}]
    assert files_in(value) == []


def test_files_of_a_property_update_are_found() -> None:
    file = File(cast("Any", None), FileData("/srv/p.png"))
    value = (PropertyUpdate({"samples": [[file]]}), {"a": 1})
    assert files_in(value) == [file]
    assert as_data(value, {"/srv/p.png": Path("p.png")})[0]["samples"] == [["p.png"]]


def test_for_people_a_text_is_itself() -> None:
    assert as_text("a\nb", pretty=True) == "a\nb"
    assert as_text([1], pretty=True) == "[\n  1\n]"
    assert as_text([1], pretty=False) == "[1]"


def test_deepest_possible_output_is_written() -> None:
    file = File(cast("Any", None), FileData("/srv/p.png"))
    value: Any = [file]
    for _ in range(MOST_DEPTH // 2 - 1):
        value = [{"a": value}]
    assert files_in(value) == [file]
    assert json.loads(to_json(as_data(value, {"/srv/p.png": Path("p.png")})))
