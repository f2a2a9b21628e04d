"""`triojob doctor`: what it prints, and its exit codes."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.cli.support import connection, run
from tests.servers.faults import Answer
from tests.servers.scripted import ScriptedServer
from triojob._cli.doctor import DoctorOptions, doctor
from triojob._cli.ending import CommandError
from triojob._doctor import limits, streams

SECRET = "hunter22hunter22"


@pytest.fixture
def app(scripted: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> ScriptedServer:
    """Serve a healthy app, and wait for nothing."""
    monkeypatch.setattr(streams, "PATIENCE", 0.5)
    monkeypatch.setattr(limits, "IDLE", 0.1)
    scripted.app.config_overrides["show_error"] = True
    scripted.app.add("greet", inputs=["name"])
    return scripted


async def examine(server: ScriptedServer, *words: str, **changes: Any) -> int:
    endpoint = words[0] if words else None
    options: dict[str, Any] = {"timeout": None, "as_json": False, **changes}
    return await doctor(connection(server.url), DoctorOptions(endpoint, words[1:], **options))


async def test_nothing_found(app, capfd):
    assert await examine(app) == 0
    printed = capfd.readouterr().out.splitlines()
    assert printed[0] == f"scripted at {app.url}/ (Gradio 6.31.0, sse_v3, uvicorn)"
    assert printed[-1] == "Nothing found."
    assert [line for line in printed if line.startswith("Not checked")] == []


async def test_note_is_no_problem(app, capfd):
    app.app.config_overrides["show_error"] = False
    assert await examine(app) == 0
    printed = capfd.readouterr().out.splitlines()
    start = printed.index("note: errors-hidden")
    assert [line[:10] for line in printed[start + 1 : start + 4]] == [
        "  saw:    ",
        "  means:  ",
        "  app:    ",
    ]
    assert printed[-1] == "1 note"


async def test_problem_has_an_exit_code(app, capfd):
    app.app.auth = ("ada", SECRET)
    assert await examine(app) == 1
    printed = capfd.readouterr().out
    assert "error: login-required" in printed
    assert "client: pass --auth USER" in printed
    assert re.search(
        r"^Not checked: address, cookies, .*: the app's description is", printed, re.MULTILINE
    )
    assert printed.endswith("1 error\n")


async def test_json_is_one_line(app, capfd):
    app.app.config_overrides["root"] = "http://10.0.0.7"
    assert await examine(app, as_json=True) == 1
    data = json.loads(capfd.readouterr().out)
    assert set(data) == {
        *("url", "title", "gradio", "protocol", "server", "problems", "findings", "checks")
    }
    (finding,) = data["findings"]
    assert data["problems"] == 1
    assert (finding["code"], finding["severity"]) == ("wrong-root", "warning")
    assert finding["evidence"] == {"root": "http://10.0.0.7", "url": f"{app.url}/"}
    assert {tuple(remedy) for remedy in finding["remedies"]} == {("side", "change")}
    assert set(data["checks"][0]) == {"name", "outcome", "reason", "seconds"}


async def test_call_is_made_only_if_asked_for(app, capfd):
    assert await examine(app) == 0
    assert app.events == {}
    assert await examine(app, "/greet", "name=Ada") == 0
    assert [event.data for event in app.events.values()] == [["Ada"]]


async def test_wrong_argument_ends_the_command(app):
    with pytest.raises(CommandError, match=r"'nme'.* did you mean 'name'"):
        await examine(app, "/greet", "nme=Ada")
    with pytest.raises(CommandError, match="'name'"):
        await examine(app, "/greet")
    assert app.events == {}


async def test_server_text_is_safe_to_print(app, capfd):
    app.fault("GET", "/config", Answer(502, b"\x1b[2Jgone"))
    assert await examine(app) == 1
    printed = capfd.readouterr().out
    assert "\\x1b[2Jgone" in printed
    assert "\x1b" not in printed


async def test_command_as_typed():
    done = await run("doctor", "http://127.0.0.1:9", "--header", f"Authorization: {SECRET}")
    assert (done.code, done.stderr) == (1, "")
    assert "error: unreachable" in done.stdout
    assert SECRET not in done.stdout
    done = await run("doctor", "http://127.0.0.1:9", "name=Ada")
    assert (done.code, done.stderr) == (2, "Error: arguments go with --call ENDPOINT\n")
