"""What a command says when it fails: one line, in the words of the command line, and its code."""

from __future__ import annotations

import ast
import inspect
import logging
import re
import socket
import sys
from pathlib import Path

import pytest
import trio
from click.testing import CliRunner

import triojob
from tests.cli.support import Done, needs_signals, run
from tests.servers.scripted import Event, GradioError, ScriptedServer
from tests.support.hanging import SECONDS
from triojob import AppError, Client
from triojob._cli.app import cli
from triojob._cli.ending import in_options, run as run_command, words_for
from triojob._interrupt import is_command

PACKAGE = Path(triojob.__file__).parent


# --- One line ---


@pytest.mark.parametrize(
    "words, line",
    [
        (["call"], "Missing argument 'URL'. (triojob call --help)"),
        (["bogus"], "No such command 'bogus'. (triojob --help)"),
        (["info", "u", "--bogus"], "(triojob info --help)"),
        (["map", "u", "--format", "x"], "'x' is not one of 'jsonl', 'csv', 'tsv', 'parquet'."),
        (["completion"], "Missing argument '{bash|zsh|fish}'. Choose from: bash, zsh, fish"),
        (["map", "u", "--output", "o", "--input", "/none.csv"], "No such file or directory"),
        (["info", "127.0.0.1:7860"], "; did you mean 'http://127.0.0.1:7860'?"),
        (["info", "localhost"], "; did you mean 'http://localhost'?"),
        (["info", "[::1]:7860/app"], "; did you mean 'http://[::1]:7860/app'?"),
        (["info", "app"], "not 'app'"),
    ],
)
def test_usage_errors_are_one_line(words: list[str], line: str) -> None:
    done = CliRunner().invoke(cli, words, prog_name="triojob")
    assert done.exit_code in (2, 7)
    assert done.stdout == ""
    (told,) = done.stderr.splitlines()
    assert told.startswith("Error: ")
    assert line in told


async def test_errors_of_several_lines_become_one(scripted: ScriptedServer) -> None:
    @scripted.app.endpoint()
    async def fail(_event: Event) -> None:
        raise GradioError("one\ntwo")

    done = await run("call", scripted.url, "/fail")
    assert (done.code, done.stderr) == (1, "Error: one\\ntwo\n")


async def test_refused_connections_keep_their_cause() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and nobody listens
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        done = await run("info", url)
    line = f"Error: no connection to {url}/ (GET config): Connection refused\n"
    assert (done.code, done.stderr) == (3, line)


def test_unexpected_exceptions_are_one_line(capfd, caplog):
    async def main() -> int:
        raise KeyError("row")

    with caplog.at_level(logging.DEBUG, "triojob"):
        assert run_command(main) == 70
    shown = "Error: unexpected KeyError: 'row'; run with --verbose for the traceback\n"
    assert capfd.readouterr().err == shown
    assert [record.exc_info is not None for record in caplog.records] == [True]


async def test_warnings_of_the_app_are_named_once(scripted: ScriptedServer) -> None:
    @scripted.app.endpoint()
    async def warn(event: Event) -> None:
        await event.log("low disk", level="warning", title="Warning")
        await event.log("slow", level="warning", title="Network")
        await event.completed(["done"])

    done = await run("call", scripted.url, "/warn")
    assert done.stderr == "warning: low disk\nwarning: Network: slow\n"


# --- In the words of the command line ---

UNREACHABLE = {"files/inputs", "spaces/duplicate", "schema/view", "schema/stubs"}
"""Modules whose messages the command line never shows: it has no such values or functions."""
NAMES = "|".join([*inspect.signature(Client).parameters, "api_name", "fn_index"])
PARAMETER = re.compile(rf"\b({NAMES})=(?![=\w])|\btoken=True|\bClient\(|\b(Timeouts|Limits)\.")
OTHERS = {
    "set transport= and verify= in your own http_client",
    "auth must be a user name and a password: auth=(user, password)",
    "the transport= of this client can't upgrade a connection to another protocol",
    "Limits.refused_for must be a number of seconds, not ",
    "enter the client first: async with Client(url) as client",
}
"""What only a program can do wrong."""


def messages() -> list[str]:
    found: list[str] = []
    for path in sorted((PACKAGE / "gradio").rglob("*.py")):
        if path.relative_to(PACKAGE / "gradio").with_suffix("").as_posix() in UNREACHABLE:
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        docs = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Expr)}
        found += [
            node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in docs
            and " " in node.value.strip()
        ]
    return [message for message in found if PARAMETER.search(message) and message not in OTHERS]


@pytest.mark.parametrize("message", messages())
def test_messages_name_options_instead_of_parameters(message: str) -> None:
    assert not PARAMETER.search(in_options(message))


def test_words_of_the_app_stay() -> None:
    words = "pass auth=(user, password) to Client"
    assert words_for(AppError(words)) == words


# --- Ctrl-C before the command runs ---

INTERRUPTED = """
import os, signal, sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)

sys.argv = ["/usr/bin/triojob", "info", "http://127.0.0.1:9"]
sys.meta_path.insert(0, Finder())
from triojob.__main__ import main
main()
"""


@needs_signals
@pytest.mark.parametrize(
    "module", ["trio", "triojob.gradio.client", "click", "rich.live", "triojob._cli.app"]
)
async def test_interrupted_imports_exit_with_130(module: str) -> None:
    command = [sys.executable, "-c", INTERRUPTED.format(module=module)]
    with trio.fail_after(SECONDS):
        ran = await trio.run_process(command, capture_stdout=True, capture_stderr=True, check=False)
    done = Done(ran.returncode, ran.stdout.decode(), ran.stderr.decode())
    assert (done.code, done.stdout, done.stderr) == (130, "", "")


@pytest.mark.parametrize(
    "argv, orig_argv, expected",
    [
        (["-m"], ["python", "-m", "triojob", "info"], True),
        (["-m"], ["python", "-mtriojob"], True),
        (["-m"], ["python", "-m", "pytest"], False),
        (["/usr/bin/triojob", "info"], ["python", "/usr/bin/triojob", "info"], True),
        (["app.py"], ["python", "app.py", "triojob"], False),
        ([""], ["python"], False),
        ([], [], False),
    ],
)
def test_only_the_command_exits_silently(
    argv: list[str], orig_argv: list[str], *, expected: bool
) -> None:
    assert is_command(argv, orig_argv) is expected
