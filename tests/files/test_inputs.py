"""`handle_file`, and what is checked when a call is submitted."""

from __future__ import annotations

import gc
import io
import json
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.servers.scripted import ScriptedServer
from tests.support.files import META, opened, say_ok, sent, serve_echo
from triojob import FileInput, FileTooLarge, handle_file
from triojob.gradio.files.inputs import FilePlaceholders, file_json
from triojob.gradio.schema.parameters import Parameter
from triojob.testing.components import file, number


def test_name_and_kind_come_from_source(tmp_path: Path) -> None:
    for source, name, kind in (
        ("some/photo.png", "photo.png", "image/png"),
        (tmp_path / "a.txt", "a.txt", "text/plain"),
        ("https://h.example/x/my%20song.mp3?q=1", "my song.mp3", "audio/mpeg"),
        (b"abc", "file", None),
        (bytearray(b"abc"), "file", None),
    ):
        marked = handle_file(source)
        assert (marked.name, marked.mime_type) == (name, kind)
    marked = handle_file("photo.png", name="other.bin", mime_type="image/x-odd")
    assert (marked.name, marked.mime_type) == ("other.bin", "image/x-odd")
    assert isinstance(marked, FileInput)


def test_marker_is_frozen_and_shows_no_content() -> None:
    marked = handle_file(b"secret", name="a.bin")
    with pytest.raises(AttributeError):
        marked.name = "b"  # type: ignore[misc]
    assert repr(marked) == "<FileInput 'a.bin' (bytes)>"
    assert "secret" not in repr(marked)
    assert repr(handle_file("x/y.txt")) == "<FileInput 'y.txt' (path)>"
    assert repr(handle_file("http://h/y.txt")) == "<FileInput 'y.txt' (URL)>"
    assert repr(handle_file(io.BytesIO(), name="y.txt")) == "<FileInput 'y.txt' (open file)>"


@pytest.mark.parametrize(
    "source, name, error",
    [
        (3, None, TypeError),
        (None, None, TypeError),
        ({"path": "/etc/passwd", "meta": META}, None, TypeError),
        (io.StringIO("text"), "a.txt", TypeError),
        (io.BytesIO(b"x"), None, ValueError),
        (b"x", "a/b", ValueError),
        (b"x", "a\\b", ValueError),
        (b"x", "a\x00b", ValueError),
    ],
)
def test_what_is_no_file_is_refused(source: Any, name: str | None, error: type[Exception]) -> None:
    with pytest.raises(error):
        handle_file(source, name=name)


async def test_path_is_checked_when_call_is_submitted(memory_app, tmp_path):
    serve_echo(memory_app)
    async with opened(memory_app) as client:
        echo = client.endpoint("/echo")
        with pytest.raises(FileNotFoundError, match="parameter 'file' of /echo"):
            echo.bind((handle_file(tmp_path / "missing.txt"),), {})
        with pytest.raises(FileNotFoundError, match="parameter 'rest' of /echo"):
            echo.bind((None, [{"deep": handle_file(tmp_path / "missing.txt")}]), {})
        with pytest.raises(IsADirectoryError, match="parameter 'file' of /echo"):
            echo.bind((handle_file(tmp_path),), {})
        with pytest.raises(ValueError, match="parameter 'file' of /echo"):
            echo.bind((handle_file("a\x00b"),), {})
        if hasattr(os, "mkfifo"):
            os.mkfifo(tmp_path / "fifo")
            with pytest.raises(ValueError, match=r"parameter 'file' of /echo.*not a regular file"):
                echo.bind((handle_file(tmp_path / "fifo"),), {})
    assert "POST /upload" not in memory_app.paths()


async def test_too_large_file_is_refused_unsent(memory_app, tmp_path):
    serve_echo(memory_app)
    memory_app.app.max_file_size = 10
    large = tmp_path / "large.bin"
    large.write_bytes(b"x" * 11)
    async with opened(memory_app) as client:
        for marked in (
            handle_file(large),
            handle_file(b"x" * 11, name="large.bin"),
            handle_file(io.BytesIO(b"x" * 11), name="large.bin"),
        ):
            with pytest.raises(FileTooLarge, match=r"'large.bin' has 11 .*file size of 10 bytes"):
                client.submit(marked, api_name="/echo")
        await client.predict(handle_file(b"x" * 10), api_name="/echo")
    assert memory_app.paths().count("POST /upload") == 1


@pytest.mark.parametrize("value", ["photo.png", Path("photo.png"), b"png"])
async def test_bare_path_for_file_is_refused(memory_app: ScriptedServer, value: Any) -> None:
    serve_echo(memory_app)
    async with opened(memory_app) as client:
        with pytest.raises(TypeError, match=r"takes a file: pass handle_file\("):
            client.submit(value, api_name="/echo")


async def test_bare_path_in_list_is_refused(memory_app: ScriptedServer) -> None:
    memory_app.app.add("many", inputs=[file("files", multiple=True)])
    async with opened(memory_app) as client:
        with pytest.raises(TypeError, match="handle_file"):
            client.submit([handle_file(b"x"), "photo.png"], api_name="/many")
        await client.predict([handle_file(b"x")], api_name="/many")
        # A single file where several may be is the app's own business.
        await client.predict(handle_file(b"x"), api_name="/many")


async def test_path_that_is_no_marker_names_remedy(memory_app: ScriptedServer) -> None:
    serve_echo(memory_app)
    async with opened(memory_app) as client:
        with pytest.raises(TypeError, match=r"handle_file\(path\)"):
            client.submit(None, {"x": Path("photo.png")}, api_name="/echo")


async def test_a_file_is_no_number(memory_app: ScriptedServer) -> None:
    memory_app.app.add("double", inputs=[number("n")])
    async with opened(memory_app) as client:
        with pytest.raises(TypeError, match="a number"):
            client.submit(handle_file(b"x"), api_name="/double")


async def test_dictionaries_are_never_read_from_disk(memory_app, tmp_path):
    serve_echo(memory_app)
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    value = {"path": str(secret), "meta": META}
    async with opened(memory_app) as client:
        await client.predict(value, {"x": [value]}, api_name="/echo")
        await client.predict(None, str(secret), api_name="/echo")
    assert "POST /upload" not in memory_app.paths()
    assert memory_app.joins[0]["data"] == [value, {"x": [value]}]


async def test_servers_default_is_never_read_from_disk(memory_app, tmp_path):
    secret = tmp_path / "id_rsa"
    secret.write_text("secret")
    default = {"path": str(secret), "meta": META, "orig_name": "id_rsa"}
    memory_app.app.add("trap", say_ok, inputs=[replace(file("file"), value=default)])
    async with opened(memory_app) as client:
        await client.predict(api_name="/trap")
    assert "POST /upload" not in memory_app.paths()
    assert sent(memory_app) == [default]


# --- Gradio 3 and 4 ---

TEXT_OR_NULL = {"anyOf": [{"type": "string"}, {"type": "null"}]}
URL = "https://files.example/sample.pdf"
SCHEMA_3 = {
    "oneOf": [
        {"type": "string", "description": "filepath on your computer (or URL) of file"},
        {
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "data": {"type": "string"},
                "is_file": {"type": "boolean"},
                "orig_name": {"type": "string"},
            },
        },
    ]
}
SCHEMA_4 = {
    "type": "object",
    "properties": {"path": {"type": "string"}, "orig_name": TEXT_OR_NULL, "url": TEXT_OR_NULL},
}


@pytest.mark.parametrize(
    "schema",
    [
        SCHEMA_3,
        SCHEMA_4,
        {"type": "array", "items": SCHEMA_3},
        {"type": "array", "items": SCHEMA_4},
    ],
)
def test_bare_path_is_refused_by_older_apps(schema: dict[str, Any]) -> None:
    # Their example is one that the schema doesn't allow.
    item = {"type": schema, "component": "File", "example_input": URL}
    parameter = Parameter.from_info("file", 0, item, {})
    for value in ("photo.png", Path("photo.png"), ["photo.png"]):
        with pytest.raises(TypeError, match="handle_file"):
            parameter.check("/echo", value)
    for value in (None, handle_file(b"x"), [handle_file(b"x")], {"name": "/srv/x"}):
        parameter.check("/echo", value)


def test_each_era_gets_its_own_form() -> None:
    marked = handle_file(b"abc", name="a.txt")
    assert json.loads(file_json(marked, "/srv/a.txt", 3, old_form=True)) == {
        "name": "/srv/a.txt",
        "data": None,
        "is_file": True,
        "orig_name": "a.txt",
    }
    assert json.loads(file_json(handle_file(URL), URL, None, old_form=True))["name"] == URL
    assert json.loads(file_json(handle_file(URL), URL, None, old_form=False)) == {
        "path": URL,
        "url": URL,
        "orig_name": "sample.pdf",
        "mime_type": "application/pdf",
        "size": None,
        "meta": META,
    }


def test_file_calls_leave_no_patterns_behind() -> None:
    def patterns() -> int:
        return sum(isinstance(thing, re.Pattern) for thing in gc.get_objects())

    def fill() -> str:
        gaps, one, two = FilePlaceholders(), handle_file(b"1"), handle_file(b"2")
        places = [gaps.mark(file, "files") for file in (one, two, one)]
        return gaps.fill(json.dumps([*places, "x"]), {one: '{"path": "1"}', two: "null"})

    re.purge()
    before = patterns()
    for _ in range(3):
        assert json.loads(fill()) == [{"path": "1"}, None, {"path": "1"}, "x"]
    assert patterns() == before
