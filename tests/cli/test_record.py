"""`triojob record` and `triojob replay`."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.cli.support import needs_signals, read, run, started
from tests.servers.scripted import ScriptedServer
from triojob import AppError, Client

pytestmark = needs_signals


class Ended:
    """What a command that served an app has printed, and its exit code."""

    code: int
    stderr: str


@asynccontextmanager
async def serving(*words: str | Path) -> AsyncIterator[tuple[Client, Ended]]:
    """Yield a client of the app that a command serves; end the command by Ctrl-C."""
    ended = Ended()
    async with started(*words) as process:
        assert process.stdout is not None
        url = b""
        while not url.endswith(b"\n"):
            url += await process.stdout.receive_some(1)
        async with Client(url.decode().strip()) as client:
            yield client, ended
        process.send_signal(signal.SIGINT)
        ended.stderr = await read(process.stderr)
        ended.code = await process.wait()


async def test_records_and_replays(scripted: ScriptedServer, tmp_path: Path) -> None:
    scripted.app.add("say", inputs=["text"])
    path = tmp_path / "app.jsonl"
    async with serving("record", scripted.url, path, "--secret", "sesame") as (client, ended):
        assert await client.predict("hello sesame", api_name="/say") == "hello ***"
    assert (ended.code, ended.stderr.splitlines()) == (
        0,
        [
            f"Recording {scripted.url}; Ctrl-C writes {path}.",
            f"Wrote {path}; calls: 1.",
        ],
    )
    async with serving("replay", path, "--repeats") as (client, ended):
        assert await client.predict("hello you", api_name="/say") == "hello ***"
        assert await client.predict("hello me", api_name="/say") == "hello ***"
    assert (ended.code, ended.stderr) == (0, f"Playing {path}; Ctrl-C ends it.\n")
    async with serving("replay", path) as (client, ended):
        with pytest.raises(AppError):
            await client.predict("other", api_name="/say")
    assert ended.code == 1
    assert ended.stderr.splitlines()[-2:] == ['+  "text": "other"', " }"]


async def test_bad_recordings_are_told(scripted: ScriptedServer, tmp_path: Path) -> None:
    path = tmp_path / "app.jsonl"
    done = await run("replay", path)
    assert (done.code, done.stderr) == (7, f"Error: No such file or directory: '{path}'\n")
    path.write_text("{}\n")
    done = await run("replay", path)
    assert done.code == 1
    assert done.stderr.startswith(f"Error: {path}, line 1: ")
    done = await run("record", scripted.url, path)
    assert done.code == 1
    assert "is not a recording, so it is not replaced" in done.stderr
    assert path.read_text() == "{}\n"
    path.unlink()
    scripted.app.add("echo", inputs=["text"])
    async with serving("record", scripted.url, path, "--max-size", "1") as (client, ended):
        with pytest.raises(AppError):
            await client.predict("x" * 2**20, api_name="/echo")
    assert ended.code == 1
    assert "nothing was written" in ended.stderr
    assert "--max-size sets the limit" in ended.stderr
    assert not path.exists()
