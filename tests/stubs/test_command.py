"""``triojob stubs``, as the process that it is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import trio

from tests.servers.scripted import Event, ScriptedServer
from tests.support.hanging import SECONDS
from triojob import Client

AUTH = ("ada", "l0velace")


async def stubs(*arguments: str, **env: str) -> tuple[int, str, str]:
    """Run the command; return its exit code, its output and its errors."""
    with trio.fail_after(SECONDS):
        done = await trio.run_process(
            [sys.executable, "-m", "triojob", "stubs", *arguments],
            capture_stdout=True,
            capture_stderr=True,
            check=False,
            env={**os.environ, "PYTHONIOENCODING": "ascii", **env},
            stdin=subprocess.DEVNULL,
        )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def add_endpoints(server: ScriptedServer) -> None:
    async def echo(event: Event) -> None:
        await event.completed(event.data)

    server.app.endpoint(name="echo", inputs=["text"], description="Say: 日本語.")(echo)
    server.app.endpoint(name="quiet", inputs=["text"], visibility="undocumented")(echo)


async def test_it_prints_what_the_client_says(scripted: ScriptedServer):
    add_endpoints(scripted)
    async with Client(scripted.url) as client:
        text = client.stubs("Voice", all_endpoints=True, files="handle")
    options = ("--class-name", "Voice", "--all", "--files", "handle")
    assert await stubs(scripted.url, *options) == (0, text, "")
    assert "日本語" in text


async def test_module_says_how_to_make_it_anew(scripted: ScriptedServer):
    add_endpoints(scripted)
    _, text, _ = await stubs(scripted.url, "--all")
    (line,) = (line for line in text.splitlines() if line.startswith("    triojob stubs "))
    assert (await stubs(*line.split()[2:]))[1] == text


async def test_file_is_written_wholly_or_not(scripted: ScriptedServer, tmp_path: Path):
    add_endpoints(scripted)
    file = tmp_path / "my_app.py"
    file.write_text("old")
    scripted.listener.refusing = True
    code, _, errors = await stubs("http://127.0.0.1:9", "-o", str(file))
    assert (code, file.read_text()) == (3, "old")
    assert errors.startswith("Error: no connection to http://127.0.0.1:9/")
    scripted.listener.refusing = False
    assert await stubs(scripted.url, "-o", str(file)) == (0, "", "")
    assert "async def echo(" in file.read_text("utf-8")


async def test_a_file_is_checked(scripted: ScriptedServer, tmp_path: Path):
    add_endpoints(scripted)
    file = tmp_path / "my_app.py"
    await stubs(scripted.url, "-o", str(file))
    assert await stubs(scripted.url, "--check", str(file)) == (0, "", "")
    scripted.app.endpoints[0].parameter_names = ("other",)
    code, _, errors = await stubs(scripted.url, "--check", str(file))
    assert code == 1
    assert f"no longer matches the app; rewrite it with -o {file}" in errors


async def test_app_with_login_is_logged_in_to(scripted: ScriptedServer):
    add_endpoints(scripted)
    scripted.app.auth = AUTH
    code, text, errors = await stubs(scripted.url)
    assert (code, text) == (5, "")
    assert "login" in errors
    code, text, _ = await stubs(scripted.url, TRIOJOB_AUTH=":".join(AUTH))
    assert code == 0
    assert AUTH[1] not in text
    code, _, errors = await stubs(scripted.url, "--auth", "ada:wr0ng")
    assert code == 5
    assert "wr0ng" not in errors
    assert (await stubs(scripted.url, "--auth", "ada"))[0] == 2


async def test_uncallable_class_is_refused(scripted: ScriptedServer):
    code, _, errors = await stubs(scripted.url, "--class-name", "a b")
    assert (code, errors) == (
        2,
        "Error: the class can't have the name 'a b'; choose another class_name\n",
    )
