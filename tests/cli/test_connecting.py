"""Getting in: logins, tokens, headers, certificates, Spaces; and no secret on a screen."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import click
import pytest
import trio
from click.testing import CliRunner

from tests.cli.support import (
    COMMAND,
    IN_TERMINAL,
    SECONDS,
    connection,
    environment,
    needs_signals,
    read,
)
from tests.servers.hub import open_origins
from tests.servers.scripted import ScriptedServer, open_server
from tests.servers.tls import Authority
from triojob import ConnectionFailed
from triojob._cli.app import cli
from triojob._cli.connecting import Connection, read_login
from triojob._cli.ending import CommandError

SECRET = "s3cret"


@pytest.mark.parametrize("given", ["ada:s3cret", "@{file}"])
def test_a_login(tmp_path: Path, given: str) -> None:
    file = tmp_path / "login"
    file.write_text("ada:s3cret\n")
    assert read_login(given.format(file=file), ask=False) == ("ada", SECRET)


def test_a_password_may_have_colons_and_spaces() -> None:
    assert read_login("ada: a:b ", ask=False) == ("ada", " a:b ")


def test_no_login() -> None:
    assert read_login(None, ask=True) is None
    assert read_login("", ask=True) is None
    assert read_login("ada", ask=False) is None


@pytest.mark.parametrize(
    "changes, wrong",
    [
        ({"headers": ("no colon",)}, "write --header as NAME:VALUE or @FILE"),
        ({"headers": ("X: \x00",)}, "header"),
        ({"token": "@/no/such/file"}, "--token: No such file or directory: '/no/such/file'"),
        (
            {"url": "ada/story", "token": "two words"},
            "contains characters that are invalid in a token",
        ),
        ({"ca": "/no/such/file"}, "--ca: can't read certificates from /no/such/file"),
        ({"ca": "a", "insecure": True}, "use --ca or --insecure, not both"),
        ({"url": "ftp://host"}, "must start with http:// or https://"),
    ],
)
async def test_what_makes_no_sense_is_refused(changes: dict[str, Any], wrong: str) -> None:
    made = Connection(**{"url": "http://127.0.0.1:9", **changes})
    with pytest.raises(CommandError, match=wrong) as caught:
        async with made.open():
            pass
    assert "two words" not in str(caught.value)


async def test_headers_of_line_and_of_file(scripted: ScriptedServer, tmp_path: Path) -> None:
    file = tmp_path / "headers"
    file.write_text("X-One: 1\n\nX-Two:2:3\n")
    async with connection(scripted.url, headers=(f"@{file}", "X-Three: 3")).open():
        pass
    headers = scripted.requests[0].headers
    assert [headers[f"x-{name}"] for name in ("one", "two", "three")] == ["1", "2:3", "3"]


async def test_certificates(tmp_path: Path) -> None:
    authority = Authority()
    ca = tmp_path / "ca.pem"
    authority.write(ca)
    async with open_server(tls=authority.server("127.0.0.1")) as server:
        with trio.fail_after(SECONDS):
            with pytest.raises(ConnectionFailed):
                async with connection(server.url).open():
                    pass
            for options in ({"ca": str(ca)}, {"insecure": True}):
                async with connection(server.url, **options).open() as client:
                    assert client.version == "6.31.0"


async def test_a_space_by_its_name(capfd: pytest.CaptureFixture[str]) -> None:
    async with open_origins() as origins:
        made = connection("ada/story", token="hf_abc")
        options = {"hf_endpoint": origins.hub.url, "transport": origins.hub.transport()}
        async with made.open(**options) as client:
            assert "ada-story" in client.src
    assert "hf_abc" not in repr(made)
    assert capfd.readouterr().err == ""


def test_nobody_to_ask_for_a_password(monkeypatch: pytest.MonkeyPatch) -> None:
    def prompt(_text: str, **_options: Any) -> str:
        raise click.Abort  # as at the end of standard input

    monkeypatch.setattr(click, "prompt", prompt)
    done = CliRunner().invoke(cli, ["info", "http://127.0.0.1:9", "--auth", "ada"])
    assert done.exit_code == 2
    assert "use TRIOJOB_AUTH or --auth @FILE" in done.output


def test_password_is_asked_for_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, Any]] = []

    def prompt(text: str, **options: Any) -> str:
        asked.append((text, options["hide_input"]))
        return SECRET

    monkeypatch.setattr(click, "prompt", prompt)
    assert read_login("ada", ask=True) == ("ada", SECRET)
    assert asked == [("Password for ada", True)]


# --- In a terminal ---


async def in_terminal(*words: str, keys: bytes = b"") -> tuple[int, str]:
    """Run a command in a terminal of its own; press keys when it says "Password"."""
    with trio.fail_after(SECONDS):
        process = await trio.lowlevel.open_process(
            [*IN_TERMINAL, *COMMAND, *words],
            stdin=-1,
            stdout=-1,
            stderr=-2,
            env=environment(),
            start_new_session=True,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        said = ""
        if keys:
            while "Password" not in said:
                said += (await process.stdout.receive_some()).decode()
            await process.stdin.send_all(keys)
        said += await read(process.stdout)
        return await process.wait(), said


@needs_signals
async def test_in_terminal_outputs_take_place_of_status(scripted):
    scripted.app.auth = ("ada", SECRET)
    scripted.app.add("tell", inputs=["a", "b"], generator=True)
    words = ("call", scripted.url, "/tell", "a=one", "b=one two \x1b[31m", "--auth", "ada")
    code, said = await in_terminal(*words, keys=b"s3cret\n")
    assert code == 0, said
    assert SECRET not in said
    assert "one two \\x1b[31m" in said
    # The cursor is there again.
    assert said.rfind("\x1b[?25h") > said.rfind("\x1b[?25l")


@needs_signals
async def test_ctrl_c_at_the_prompt() -> None:
    code, said = await in_terminal("info", "http://127.0.0.1:9", "--auth", "ada", keys=b"\x03")
    assert code == 128 + signal.SIGINT
    assert "Traceback" not in said
    assert "Error" not in said


@needs_signals
async def test_in_terminal_there_are_frames_and_bar(scripted, tmp_path):
    scripted.app.add("echo", inputs=["text"])
    code, said = await in_terminal("info", scripted.url)
    assert code == 0
    assert "│ text " in said
    source = tmp_path / "in.csv"
    source.write_text("text\na\nb\n")
    out = tmp_path / "out.jsonl"
    words = ("map", scripted.url, "/echo", "--input", str(source), "--output", str(out))
    code, said = await in_terminal(*words, "--rate", "4")
    assert code == 0, said
    assert "━" in said
    assert "2 rows: 2 ok, 0 failed, in " in said
    assert said.rfind("\x1b[?25h") > said.rfind("\x1b[?25l")
