"""Completion at a shell's TAB: what is offered, and that a shell takes it as one harmless word."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
import trio
from click.shell_completion import CompletionItem, get_completion_class

from tests.cli.support import SECONDS, environment
from tests.servers.scripted import ScriptedServer
from triojob._cli import completion
from triojob._cli.app import cli
from triojob._cli.completion import complete_arguments, script_for
from triojob.testing import components as d

ODD_NAMES = [
    *("a b", "x;touch pwned", "y$(touch pwned)", "`touch pwned`", "a&b|c>d<e", "$HOME"),
    *("~", "~root", "it's", 'say "hi"', "back\\slash", "end\\", "star*", "wh?t", "[a]", "{b,c}"),
    *("#no", "ex!clam", "a:b:c", "com,ma", "eq=ual", "p%41r", "-rf", "(p)", "é-ü", "^up", "a@b+c"),
]
PATIENT = f"""
from triojob.__main__ import main
from triojob._cli import completion

completion.SECONDS = {SECONDS}
main()
"""
"""The `triojob` command, which waits longer for the app."""
needs_bash = pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait longer for the app here too."""
    monkeypatch.setattr(completion, "SECONDS", SECONDS)


def serve(server: ScriptedServer) -> None:
    inputs = [d.textbox("view"), d.slider("rows", 1, 9, 3), d.textbox("photo"), d.state(0)]
    server.app.add("draw", inputs=inputs, description="Draws a \x1b[31m\u202epicture.\nIn rows.")
    server.app.add("quiet", visibility="undocumented")
    server.app.add("no_input")


async def items_for(
    url: str, *typed: str, incomplete: str = "", **options: Any
) -> list[CompletionItem]:
    context = click.Context(cli, info_name="call")
    context.params = {"url": url, "words": typed, **options}
    argument = click.Argument(["words"], nargs=-1)
    return await trio.to_thread.run_sync(complete_arguments, context, argument, incomplete)


@pytest.mark.parametrize(
    "typed, incomplete, wanted",
    [
        ([], "", ["/draw", "/no_input"]),
        ([], "/n", ["/no_input"]),
        ([], "dr", ["/draw"]),
        (["/draw"], "", ["view=", "rows=", "photo="]),
        (["/draw", "rows:=2", "view=x"], "", ["photo="]),
        (["draw"], "ro", ["rows="]),
        (["/unknown"], "", []),
    ],
)
async def test_endpoints_and_parameters_are_completed(scripted, typed, incomplete, wanted):
    serve(scripted)
    items = await items_for(scripted.url, *typed, incomplete=incomplete)
    assert [item.value for item in items] == wanted


async def test_what_goes_wrong_completes_to_nothing() -> None:
    assert await items_for("http://127.0.0.1:9") == []
    assert await items_for("no url") == []
    assert await items_for("") == []
    # A password would have to be asked for.
    assert await items_for("http://127.0.0.1:9", auth="ada") == []


async def test_nothing_offered_controls_a_terminal(scripted: ScriptedServer) -> None:
    serve(scripted)
    for name in ("a\nb", "a\tb", "a\x1b[2J", "a\x9b2J", "a\u202eb", "a\x7f"):
        scripted.app.add(name)
    items = await items_for(scripted.url)
    assert [item.value for item in items] == ["/draw", "/no_input"]
    assert items[0].help == r"Draws a \x1b[31m\u202epicture."


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_there_is_a_script_for_each_shell(shell: str) -> None:
    assert "_TRIOJOB_COMPLETE" in script_for(cli, shell)


# --- bash ---


def completes(monkeypatch: pytest.MonkeyPatch, line: str, word: str) -> tuple[list[str], str, Any]:
    """Return what click is asked for a line of bash, and what makes a candidate of a value."""
    monkeypatch.setenv("COMP_LINE", line)
    monkeypatch.setenv("COMP_WORD", word)
    kind = get_completion_class("bash")
    assert kind is not None
    shell = kind(cli, {}, "triojob", "_TRIOJOB_COMPLETE")
    args, incomplete = shell.get_completion_args()
    return args, incomplete, lambda value: shell.format_completion(CompletionItem(value))


URL = "http://127.0.0.1:7860"


@pytest.mark.parametrize(
    "typed, word, args, incomplete, value, candidate",
    [
        # What readline takes for the word begins after a colon or an equals sign.
        (f"{URL} /d", "/d", [URL], "/d", "/draw", "/draw"),
        (f"{URL} ", "", [URL], "", "/draw", "/draw"),
        (f"{URL} /a:b", "b", [URL], "/a:b", "/a:bc:d", "bc:d"),
        (f"{URL} /a:", "", [URL], "/a:", "/a:b c", r"b\ c"),
        (f"'{URL}' /d", "/d", [URL], "/d", "/draw", "/draw"),
        (f'"{URL}" "/a b', "/a b", [URL], "/a b", '/a b"$c', r"/a b\"\$c"),
        (f'{URL} "/a:b', "/a:b", [URL], "/a:b", "/a:bc", "/a:bc"),
        (f"{URL} '/it", "/it", [URL], "/it", "/it's", r"/it'\''s"),
        (rf"{URL} /a\ b", r"/a\ b", [URL], "/a b", "/a b c", r"/a\ b\ c"),
        (rf"{URL} /a\ b:c", "c", [URL], "/a b:c", "/a b:cd", "cd"),
        (f"{URL} --format=js", "js", [URL], "--format=js", "jsonl", "jsonl"),
        (f"{URL} /draw view='a b' ro", "ro", [URL, "/draw", "view=a b"], "ro", "rows=", "rows="),
    ],
)
def test_line_is_read_as_bash_does(monkeypatch, typed, word, args, incomplete, value, candidate):
    found, rest, made = completes(monkeypatch, f"triojob call {typed}", word)
    assert (found, rest) == (["call", *args], incomplete)
    assert made(value) == f"plain,{candidate}"


@needs_bash
@pytest.mark.parametrize("quote", ["", "'", '"'])
def test_bash_reads_each_candidate_as_one_word(monkeypatch, tmp_path, quote):
    _, _, made = completes(monkeypatch, f"triojob call {URL} {quote}", "")
    words = [f"{quote}{made(name).removeprefix('plain,')}{quote}" for name in ODD_NAMES]
    line = " ".join(["printf", r"'%s\0'", *words])
    read = subprocess.run(
        ["bash", "--norc", "-c", line],
        capture_output=True,
        check=True,
        cwd=tmp_path,
    )
    assert read.stdout.decode().split("\0")[:-1] == ODD_NAMES
    assert [*tmp_path.iterdir()] == []


@needs_bash
@pytest.mark.parametrize(
    "line, word, completed",
    [
        ("triojob call {url} /d", "/d", ["call", "{url}", "/draw"]),
        ('triojob call "{url}" "/a:', "/a:", ["call", "{url}", "/a:bc $(x),d"]),
        *(
            pytest.param(*case, marks=pytest.mark.full)
            for case in [
                ("triojob call {url} /a:b", "b", ["call", "{url}", "/a:bc $(x),d"]),
                ("triojob call {url} /draw vi", "vi", ["call", "{url}", "/draw", "view="]),
            ]
        ),
    ],
)
async def test_bash_completes_a_line(scripted, tmp_path, line, word, completed):
    serve(scripted)
    scripted.app.add("a:bc $(x),d")
    quote = '"' if word == "/a:" else ""
    script = f"""
        eval "$(triojob completion bash)"
        COMP_LINE={shlex.quote(line.format(url=scripted.url))} COMP_POINT=${{#COMP_LINE}}
        _triojob_completion triojob {shlex.quote(word)} 2>/dev/null
        whole=${{COMP_LINE%{shlex.quote(word)}}}${{COMPREPLY[0]}}{shlex.quote(quote)}
        [[ ${{#COMPREPLY[@]}} -eq 1 ]] && eval "set -- $whole" && printf '%s\\0' "${{@:2}}"
    """
    done = await in_bash(script, tmp_path)
    assert done.split("\0")[:-1] == [word.format(url=scripted.url) for word in completed]


@needs_bash
@pytest.mark.parametrize(
    "words, wanted",
    [
        pytest.param("{url} /d", ["/draw"], marks=pytest.mark.full),
        pytest.param("http : //127.0.0.1 : {port} /d", ["/draw"], marks=pytest.mark.full),
        ("http : //127.0.0.1 : {port} ''", ["/draw", "/no_input"]),
    ],
)
async def test_bash_completes_words_that_it_broke(scripted, tmp_path, words, wanted):
    """As other functions call this one: with the words, and without the line."""
    serve(scripted)
    given = words.format(url=scripted.url, port=scripted.url.rpartition(":")[2])
    script = f"""
        eval "$(triojob completion bash)"
        COMP_WORDS=(triojob call {given})
        COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
        _triojob_completion triojob
        printf '%s\n' "${{COMPREPLY[@]}}"
    """
    assert (await in_bash(script, tmp_path)).split() == wanted


async def in_bash(script: str, folder: Path) -> str:
    command = folder / "triojob"
    words = [sys.executable, "-c", PATIENT]
    command.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
    command.chmod(0o755)
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"
    with trio.fail_after(SECONDS):
        done = await trio.run_process(
            ["bash", "--norc", "-c", script],
            capture_stdout=True,
            check=False,
            env=environment(PATH=path),
        )
    return done.stdout.decode()


# --- The other shells, which quote by themselves ---


@pytest.mark.parametrize(
    "shell, incomplete, value, words, wanted",
    [
        ("zsh", "", "/a:b\\c", "says, a: b", "plain\n/a\\:b\\\\c\nsays, a: b"),
        ("zsh", "", "/a:b\\c", None, "plain\n/a:b\\c\n_"),
        ("zsh", "--format=js", "jsonl", None, "plain\n--format=jsonl\n_"),
        ("fish", "", "/a,b", "says, a", "plain,/a,b\tsays, a"),
        ("fish", "--format=js", "jsonl", None, "plain,--format=jsonl"),
    ],
)
def test_other_shells_get_whole_words(monkeypatch, shell, incomplete, value, words, wanted):
    monkeypatch.setenv("COMP_WORDS", f"triojob map {incomplete}")
    monkeypatch.setenv("COMP_CWORD", incomplete if shell == "fish" else "2")
    kind = get_completion_class(shell)
    assert kind is not None
    made = kind(cli, {}, "triojob", "_TRIOJOB_COMPLETE")
    assert made.get_completion_args() == (["map"], incomplete)
    assert made.format_completion(CompletionItem(value, help=words)) == wanted


def test_fish_takes_commas_as_they_are() -> None:
    assert 'string split --max 1 ","' in script_for(cli, "fish")
