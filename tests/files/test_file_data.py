"""What counts as a file in an output, in each era, and finding and replacing files."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from tests.support.files import META, file_data
from tests.support.steps import steps
from triojob import PropertyUpdate
from triojob.gradio.files.data import (
    files_by_edits,
    find_files,
    replace_files,
)
from triojob.gradio.protocol.diff import apply_edits
from triojob.gradio.protocol.file_marks import FileData, marked_by_type
from triojob.gradio.protocol.messages import MOST_DEPTH
from triojob.gradio.protocol.registry import find_protocol

# As in the recordings of these eras.
FILE_4_0 = {"path": "/t/u.txt", "url": None, "size": 7, "orig_name": "u.txt", "mime_type": None}
FILE_4_19 = {**FILE_4_0, "url": "http://a/file=/t/u.txt", "is_stream": False}
FILE_6 = {**FILE_4_19, "meta": META}
FILE_3 = {"name": "/t/u.txt", "orig_name": "u.txt", "size": 7, "data": None, "is_file": True}
STREAM_4 = {"path": "s/1/2", "is_stream": True}


@pytest.mark.parametrize(
    "protocol, value",
    [
        ("ws", FILE_3),
        ("sse", FILE_4_0),
        ("sse_v1", FILE_4_0),
        ("sse_v2", FILE_4_19),
        ("sse_v2.1", FILE_6),
        ("sse_v3", FILE_6),
    ],
)
def test_the_file_of_each_era_is_found(protocol: str, value: dict[str, Any]) -> None:
    [(path, file)] = find_files({"a": [0, value]}, find_protocol(protocol).traits.read_file)
    assert path == ["a", 1]
    assert (file.path, file.orig_name, file.size, file.is_stream) == ("/t/u.txt", "u.txt", 7, False)


def test_streams_are_files_too() -> None:
    for protocol, value in (
        ("sse_v3", file_data("s/1/2/playlist.m3u8", is_stream=True)),
        ("sse_v1", STREAM_4),
        ("ws", {"name": "s/1/2", "is_stream": True}),
    ):
        [(_, file)] = find_files(value, find_protocol(protocol).traits.read_file)
        assert file.is_stream


@pytest.mark.parametrize(
    "protocol, value",
    [
        # Ordinary data of an app that happens to look like a file.
        ("sse_v3", {"path": "/not/a/file"}),
        ("sse_v3", FILE_4_19),
        ("sse_v3", {"path": "/t", "meta": {"_type": "gradio.Other"}}),
        ("sse_v3", {"path": "/t", "meta": "gradio.FileData"}),
        ("sse_v3", {"path": 3, "meta": META}),
        ("sse_v3", {"path": "", "meta": META}),
        ("sse_v3", FILE_3),
        ("sse_v2", {"path": "/not/a/file"}),
        ("sse_v2", {"path": "/t", "size": 3}),
        ("sse_v2", {**FILE_4_19, "other": 1}),
        ("sse_v1", FILE_3),
        ("ws", FILE_6),
        ("ws", {"name": "/t/u.txt", "is_file": False}),
        ("ws", {"name": "/t/u.txt", "data": "data:text/plain;base64,YWJj"}),
        ("ws", {"name": None, "is_file": True}),
    ],
)
def test_what_only_looks_like_file_is_none(protocol: str, value: dict[str, Any]) -> None:
    assert find_files([value], find_protocol(protocol).traits.read_file) == []


def test_odd_fields_of_file_are_left_out() -> None:
    value = file_data("/t", size=-1, orig_name=["x"], url=3, mime_type={}, is_stream="yes")
    [(_, file)] = find_files(value, marked_by_type)
    assert file == FileData("/t")


def test_replacing_shares_what_has_no_file() -> None:
    read = marked_by_type
    value = ([{"a": file_data("/1"), "b": ["kept"]}], {"c": "kept"}, file_data("/2"))
    places = find_files(value, read)
    shown = replace_files(value, places, lambda file: f"local{file.path}")
    assert shown == ([{"a": "local/1", "b": ["kept"]}], {"c": "kept"}, "local/2")
    assert shown[1] is value[1]
    assert shown[0][0]["b"] is value[0][0]["b"]
    assert value[0][0]["a"] == file_data("/1")
    assert replace_files(file_data("/3"), find_files(file_data("/3"), read), lambda _: 1) == 1


def test_files_in_property_updates_are_replaced() -> None:
    read = marked_by_type
    update = PropertyUpdate({"samples": [[file_data("/1")]], "label": "kept"})
    before = copy.deepcopy(update)

    def local(value: Any) -> Any:
        return replace_files(value, find_files(value, read), lambda file: f"local{file.path}")

    alone, (_, together, file) = local(update), local(("text", update, file_data("/2")))
    assert file == "local/2"
    for shown in (alone, together):
        assert isinstance(shown, PropertyUpdate)
        assert shown == {"samples": [["local/1"]], "label": "kept"}
    assert update == before


def test_depth_does_not_matter() -> None:
    value: Any = file_data("/deep")
    for _ in range(MOST_DEPTH - 2):
        value = [value]
    places = find_files(value, marked_by_type)
    shown = replace_files(value, places, lambda file: file.path)
    while isinstance(shown, list):
        shown = shown[0]
    assert shown == "/deep"


BEFORE: list[Any] = [
    {"content": "text", "file": file_data("/0")},
    {**FILE_6, "meta": {}},
    {**FILE_4_19, "more": 1},
]


@pytest.mark.parametrize(
    "edits, brought",
    [
        ([], []),
        ([["append", [0, "content"], "more"]], []),
        ([["replace", [0, "content"], {"text": "x", "files": []}]], []),
        ([["delete", [0], None]], []),
        ([["replace", [0, "file", "path"], "/other"]], ["/other"]),
        ([["replace", [0, "file", "path"], "/other"], ["delete", [2], None]], ["/other"]),
        ([["replace", [2, "path"], "/x"], ["delete", [0], None]], []),
        ([["add", [1, "meta", "_type"], META["_type"]], ["delete", [0], None]], ["/t/u.txt"]),
        ([["add", [0], 1], ["replace", [1, "file", "path"], "/other"]], ["/other"]),
        ([["replace", [1, "meta"], META]], ["/t/u.txt"]),
        ([["add", [3], {"files": [file_data("/1"), file_data("/2")]}]], ["/1", "/2"]),
        ([["replace", [], file_data("/1")]], ["/1"]),
    ],
)
def test_edits_find_the_files_they_bring(edits, brought):
    changed: list[Any] = []
    after = apply_edits(BEFORE, edits, changed)
    found = files_by_edits(edits, changed, marked_by_type)
    assert sorted(file.path for file in found) == brought
    old = {file.path for _, file in find_files(BEFORE, marked_by_type)}
    assert {file.path for _, file in find_files(after, marked_by_type)} <= old | set(brought)


def test_key_that_goes_may_make_file() -> None:
    changed: list[Any] = []
    edits: list[Any] = [["delete", [2, "more"], None]]
    apply_edits(BEFORE, edits, changed)
    (file,) = files_by_edits(edits, changed, find_protocol("sse_v2").traits.read_file)
    assert file.path == "/t/u.txt"


def test_finding_files_skips_old_values() -> None:
    edits: list[Any] = [["append", [0, "content"], "more"], ["replace", [0, "n"], 1]]

    def make(n: int) -> Callable[[], object]:
        value = [{"content": "", "n": 0}, *[{"path": "/x"}] * n]
        changed: list[Any] = []
        apply_edits(value, edits, changed)
        return partial(files_by_edits, edits, changed, marked_by_type)

    assert steps(make(10)) == steps(make(1000))
