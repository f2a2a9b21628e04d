"""What counts as a file in an output, in each era, and finding and replacing files."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.files.support import META, file_data
from triojob import PropertyUpdate
from triojob.gradio._file_data import (
    FileData,
    file_rule,
    find_files,
    may_change_files,
    replace_files,
)
from triojob.gradio._wire import MOST_DEPTH

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
    [(path, file)] = find_files({"a": [0, value]}, file_rule(protocol))
    assert path == ["a", 1]
    assert (file.path, file.orig_name, file.size, file.is_stream) == ("/t/u.txt", "u.txt", 7, False)


def test_streams_are_files_too() -> None:
    for protocol, value in (
        ("sse_v3", file_data("s/1/2/playlist.m3u8", is_stream=True)),
        ("sse_v1", STREAM_4),
        ("ws", {"name": "s/1/2", "is_stream": True}),
    ):
        [(_, file)] = find_files(value, file_rule(protocol))
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
def test_what_only_looks_like_a_file_is_none(protocol: str, value: dict[str, Any]) -> None:
    assert find_files([value], file_rule(protocol)) == []


def test_odd_fields_of_a_file_are_left_out() -> None:
    value = file_data("/t", size=-1, orig_name=["x"], url=3, mime_type={}, is_stream="yes")
    [(_, file)] = find_files(value, file_rule("sse_v3"))
    assert file == FileData("/t")


def test_replacing_shares_what_has_no_file() -> None:
    read = file_rule("sse_v3")
    value = ([{"a": file_data("/1"), "b": ["kept"]}], {"c": "kept"}, file_data("/2"))
    places = find_files(value, read)
    shown = replace_files(value, places, lambda file: f"local{file.path}")
    assert shown == ([{"a": "local/1", "b": ["kept"]}], {"c": "kept"}, "local/2")
    assert shown[1] is value[1]
    assert shown[0][0]["b"] is value[0][0]["b"]
    assert value[0][0]["a"] == file_data("/1")
    assert replace_files(file_data("/3"), find_files(file_data("/3"), read), lambda _: 1) == 1


def test_files_in_property_updates_are_replaced() -> None:
    read = file_rule("sse_v3")
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
    places = find_files(value, file_rule("sse_v3"))
    shown = replace_files(value, places, lambda file: file.path)
    while isinstance(shown, list):
        shown = shown[0]
    assert shown == "/deep"


@pytest.mark.parametrize(
    "edits, may",
    [
        ([], False),
        ([["append", [], "text"]], False),
        ([["replace", [0, "content"], "text"]], False),
        ([["add", [1], {"text": "x", "files": []}]], False),
        ([["delete", [0], None]], False),
        ([["replace", [0, "path"], "/other"]], True),
        ([["add", [0, "meta"], META]], True),
        ([["replace", [0, "meta", "_type"], "gradio.FileData"]], True),
        ([["add", [1], {"files": [file_data("/1")]}]], True),
        ([["replace", [], file_data("/1")]], True),
        ("nonsense", True),
        (["nonsense"], True),
    ],
)
def test_edits_that_may_bring_a_file_are_told_from_others(edits: Any, may: bool) -> None:
    assert may_change_files([[], edits], file_rule("sse_v3")) is may
