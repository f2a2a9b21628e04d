"""Arguments as they are typed, by what the app says of its parameters."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from triojob import FileInput
from triojob._cli.arguments import read_arguments, read_stdin
from triojob._cli.connecting import without_secrets
from triojob._cli.ending import CommandError
from triojob._cli.exit_codes import LOCAL, USAGE
from triojob.gradio.schema.app import AppInfo, EndpointInfo
from triojob.testing import components as d
from triojob.testing._server.description import App

KINDS = {
    "text": d.textbox("text"),
    "n": d.number("n"),
    "flag": d.checkbox("flag"),
    "color": d.dropdown("color", ["red", "blue"]),
    "picks": d.checkboxgroup("picks", ["one", "two"]),
    "value": d.json_value("value"),
    "file": d.file("file"),
    "files": d.file("files", multiple=True),
}


@pytest.fixture
def info() -> EndpointInfo:
    app = App()
    app.add("run", inputs=KINDS.values(), optional=KINDS)
    config = app.config("http://app/")
    return AppInfo(config, app.info(all_endpoints=True)).find("/run", None)


def parse(info: EndpointInfo, *typed: str) -> dict[str, Any]:
    return read_arguments(info, typed, None)


@pytest.mark.parametrize(
    "typed, value",
    [
        ("text=hello", "hello"),
        ("text=", ""),
        ("text=5", "5"),
        ("text=a=b:=c", "a=b:=c"),
        ("text= two words ", " two words "),
        ("text=@@me", "@me"),
        ('text:="5"', "5"),
        ("text:=5", 5),
        ("text:=null", None),
        ("n=5", 5),
        ("n=-0.5", -0.5),
        ("n=1e3", 1000.0),
        ("flag=true", True),
        ("flag=No", False),
        ("flag=1", True),
        ("color=red", "red"),
        ("color=green", "green"),  # refused when the call is made, with the choices
        ("picks=one", ["one"]),
        ('picks=["one", "two"]', ["one", "two"]),
        ("picks:=[]", []),
        ("value=5", 5),
        ("value=null", None),
        ("value=plain", "plain"),
        ('value={"a": [1]}', {"a": [1]}),
    ],
)
def test_a_text_becomes_what_the_parameter_takes(info, typed, value):
    (found,) = parse(info, typed).values()
    assert (found, type(found)) == (value, type(value))


def test_list_takes_several_arguments_of_its_name(info: EndpointInfo) -> None:
    assert parse(info, "picks=one", "n=1", "picks=two") == {"picks": ["one", "two"], "n": 1}


@pytest.mark.parametrize(
    "typed, wrong",
    [
        (["hello"], "write arguments as name=value or name:=json, not 'hello'"),
        (["=hello"], "write arguments as name=value or name:=json, not '=hello'"),
        (["txt=x"], "; did you mean 'text'?"),
        (
            ["zzz=x"],
            "/run has no parameter 'zzz': it takes text, n, flag, color, picks, value, file, files",
        ),
        (["text=a", "text=b"], "text is given twice"),
        (["picks:=1", "picks:=1"], "picks is given twice"),
        (["n=five"], "n of /run: 'five' is not a number"),
        (["n="], "n of /run: '' is not a number"),
        (["n=nan"], "n of /run: Out of range float values are not JSON compliant"),
        (["flag=maybe"], "flag of /run: write true or false, not 'maybe'"),
        (["n:=x"], "n of /run: the value after := is not valid JSON"),
        (["value={x"], "value of /run: this is not valid JSON"),
        (["file=a.txt"], "file of /run takes a file; write file=@a.txt"),
    ],
)
def test_what_makes_no_sense_is_refused(info: EndpointInfo, typed: list[str], wrong: str) -> None:
    with pytest.raises(CommandError, match=re.escape(wrong)) as caught:
        parse(info, *typed)
    assert caught.value.exit_code == USAGE


# --- Files ---


def test_path_is_file_where_parameter_takes_files(info: EndpointInfo) -> None:
    values = parse(info, "file=@a/b.txt", "files=@c.txt", "files=@http://host/d.txt")
    assert isinstance(values["file"], FileInput)
    assert values["file"].path == "a/b.txt"
    assert [file.name for file in values["files"]] == ["c.txt", "d.txt"]


def test_elsewhere_it_is_text_in_file(info: EndpointInfo, tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_bytes("\ufefftwo\r\nlines\n".encode())
    assert parse(info, f"text=@{path}") == {"text": "two\r\nlines\n"}
    path.write_text("5\n")
    assert parse(info, f"n=@{path}", f"value=@{path}") == {"n": 5, "value": 5}


def test_standard_input_is_text_or_file(info: EndpointInfo) -> None:
    assert read_arguments(info, ["text=@-"], b"from\x00a pipe\n") == {"text": "from\x00a pipe\n"}
    (file,) = read_arguments(info, ["file=@-"], b"\xff\x00").values()
    assert file.source == b"\xff\x00"


async def test_only_one_argument_reads_standard_input() -> None:
    assert await read_stdin(["text=a", "n:=@-"]) is None
    with pytest.raises(
        CommandError, match=r"only one argument can be read from standard input \(@-\)"
    ):
        await read_stdin(["text=@-", "value=@-"])


def test_a_file_that_can_not_be_read(info: EndpointInfo, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"No such file or directory: '.*gone'") as caught:
        parse(info, f"text=@{tmp_path / 'gone'}")
    assert caught.value.exit_code == LOCAL
    path = tmp_path / "binary"
    path.write_bytes(b"\xff")
    with pytest.raises(CommandError, match="is not valid UTF-8"):
        parse(info, f"text=@{path}")
    path.write_bytes(b"five")
    with pytest.raises(CommandError, match="binary': 'five' is not a number"):
        parse(info, f"n=@{path}")


# --- Secrets ---


@pytest.mark.parametrize(
    "typed, shown",
    [
        (["--auth", "ada:secret", "x"], ["--auth", "ada", "x"]),
        (["--auth=ada:secret"], ["--auth=ada"]),
        (["--auth", "@file"], ["--auth", "@file"]),
        (["--token", "secret", "y"], ["--token", "...", "y"]),
        (["--oauth-token=secret"], ["--oauth-token=..."]),
        (["--token", "saved"], ["--token", "saved"]),
        (["--header", "X-Key: secret"], ["--header", "X-Key: ..."]),
        (["--header", "secret"], ["--header", "..."]),
        (["text=--auth", "kept"], ["text=--auth", "kept"]),
        (["https://ada:secret@host/app?key=secret"], ["https://host/app"]),
        (["file=https://host/?key=kept"], ["file=https://host/?key=kept"]),
    ],
)
def test_a_command_is_shown_without_its_secrets(typed: list[str], shown: list[str]) -> None:
    assert without_secrets(typed) == shown
