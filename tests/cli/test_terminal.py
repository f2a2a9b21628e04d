"""What an app says controls no terminal, in any mode; and what is piped is what the app said."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest
import trio

from tests.cli.support import (
    COMMAND,
    IN_TERMINAL,
    SECONDS,
    environment,
    needs_signals,
    read,
    run,
    write_rows,
)
from tests.servers.faults import Answer
from tests.servers.scripted import Event, GradioError, ScriptedServer
from tests.support.files import file_data
from triojob._durable.encoding import to_json

CONTROLS = "\x07\x1b[2J\x7f\x80\x85\x9b2J\x9f\u061c\u200e\u202e\u2066\u2069"
SHOWN = r"\x07\x1b[2J\x7f\x80\x85\x9b2J\x9f\u061c\u200e\u202e\u2066\u2069"
IN_JSON = SHOWN.replace("\\x", "\\u00")
LEFT = "é ‌ 👩‍💻"  # joiners of Persian and of emoji


@pytest.fixture
def hostile(scripted: ScriptedServer) -> ScriptedServer:
    """Serve an app that says what would control a terminal wherever it says something."""

    @scripted.app.endpoint(inputs=["a"], description=CONTROLS)
    async def say(event: Event) -> None:
        await event.progress([{"index": 1, "length": 2, "unit": CONTROLS, "desc": CONTROLS}])
        await event.log(CONTROLS, title=CONTROLS)
        if event.data[0] == "fail":
            raise GradioError(CONTROLS, title=CONTROLS)
        value: Any = CONTROLS + LEFT
        if event.data[0] == "file":
            value = file_data("/srv/f.txt")
        elif event.data[0] == "list":
            value = [CONTROLS + LEFT]
        await event.completed([value])

    scripted.files["/srv/f.txt"] = (CONTROLS + LEFT).encode()
    scripted.app.title = CONTROLS
    return scripted


async def in_terminal(*words: str) -> str:
    """Run a command whose standard input, output and errors are a terminal."""
    with trio.fail_after(SECONDS):
        process = await trio.lowlevel.open_process(
            [*IN_TERMINAL, *COMMAND, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment(TERM="dumb"),
            start_new_session=True,
        )
        said = await read(process.stdout)
        await process.wait()
    return said


def assert_harmless(said: str) -> None:
    # The escape sequences of rich, for colours and the cursor, have letters of their own.
    assert "\x1b[2J" not in said
    assert not set(CONTROLS) & set(said) - set("\x1b[2J")


@needs_signals
@pytest.mark.parametrize(
    "words, shown",
    [
        (("call", "{url}", "/say", "a=x"), SHOWN + LEFT),
        (("call", "{url}", "/say", "a=list"), IN_JSON + LEFT),
        (("call", "{url}", "/say", "a=x", "--json"), IN_JSON + LEFT),
        (("call", "{url}", "/say", "a=fail"), f"Error: {SHOWN}"),
        (("call", "{url}", "/say", "a=fail", "--json"), IN_JSON),
        (("call", "{url}", "/say", "a=file", "--files", "-"), SHOWN + LEFT),
        (("call", "{url}", "/nothing", "-v"), "Error: the app has no endpoint"),
        (("info", "{url}"), SHOWN),
        (("info", "{url}", "--json"), IN_JSON),
        (("stubs", "{url}"), SHOWN.replace("\\", r"\\")),
        (
            ("map", "{url}", "/say", "--input", "{rows}", "--output", "-", "--max-failures=1"),
            IN_JSON,
        ),
    ],
    ids=lambda value: " ".join(value[:1] + value[2:]) if isinstance(value, tuple) else "",
)
async def test_nothing_controls_a_terminal(hostile, tmp_path, words, shown):
    rows = write_rows(tmp_path / "rows.jsonl", [{"a": "fail"}])
    said = await in_terminal(*(word.format(url=hostile.url, rows=rows) for word in words))
    assert_harmless(said)
    assert shown in said.replace("\r\n", "\n")


@needs_signals
async def test_page_instead_of_app_controls_no_terminal(scripted):
    scripted.fault("GET", "/config", Answer(500, f"<h1>{CONTROLS}</h1>"))
    said = await in_terminal("info", scripted.url, "-v")
    assert_harmless(said)
    assert SHOWN in said


async def test_what_is_piped_is_what_app_said(hostile):
    done = await run("call", hostile.url, "/say", "a=x", "--quiet")
    assert done.stdout == f"{CONTROLS}{LEFT}\n"
    assert done.stderr == ""
    done = await run("call", hostile.url, "/say", "a=file", "--files", "-")
    assert done.stdout == CONTROLS + LEFT
    assert SHOWN in done.stderr  # what the app logs is for people, wherever it goes
    done = await run("call", hostile.url, "/say", "a=x", "--json")
    assert done.lines[-1] == {"result": CONTROLS + LEFT}


@pytest.mark.parametrize("indent", [None, 2])
def test_json_says_the_same_in_escapes(indent):
    value = {CONTROLS: [CONTROLS + LEFT, 1, None, '\n\t"\\']}
    text = to_json(value, indent=indent)
    assert json.loads(text) == value
    assert not set(CONTROLS) - set("[2J") & set(text)
    assert LEFT in text
