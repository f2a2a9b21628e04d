"""A server that shows what it was sent: the command line shows no secret of that."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.support import Done, run, write_rows
from tests.servers.echoing import found_in, sent
from tests.servers.faults import Reply
from tests.servers.scripted import Event, GradioError, ScriptedServer
from triojob.testing._server.http import ServerResponse

PASSWORD, TOKEN, KEY = "corr3ct/h0rse&", "t0ken-of-mine", "k3y-of-mine"
SECRETS = ("--auth", f"ada:{PASSWORD}", "--header", f"x-token: {TOKEN}", "--header", f"x-key:{KEY}")


def assert_unknown(server: ScriptedServer, *texts: str) -> None:
    sessions = [join["session_hash"] for join in server.joins]
    assert not found_in("\n".join(texts), [PASSWORD, TOKEN, KEY, *sessions])


def texts_of(done: Done) -> tuple[str, str]:
    return done.stdout, done.stderr


@pytest.fixture
def echoing(scripted: ScriptedServer) -> ScriptedServer:
    scripted.app.auth = ("ada", PASSWORD)

    @scripted.app.endpoint(inputs=["a"])
    async def work(event: Event) -> None:
        words = f"{sent(scripted.requests[-1], str)} {PASSWORD}"
        await event.log(words)
        raise GradioError(words)

    return scripted


@pytest.mark.parametrize("path", ["/config", "/queue/join", None])
async def test_a_call_shows_no_secret(echoing: ScriptedServer, path: str | None) -> None:
    if path is not None:
        method = "POST" if path == "/queue/join" else "GET"
        reply = Reply(lambda request: ServerResponse(500, sent(request, str)))
        echoing.fault(method, path, reply)
    done = await run("call", echoing.url, "/work", "a=1", "-v", "--json", *SECRETS)
    assert done.code in (1, 3)
    assert "***" in done.lines[-1]["error"]["message"]
    assert "triojob.http" in done.stderr
    assert_unknown(echoing, *texts_of(done))


async def test_a_map_writes_no_secret(echoing: ScriptedServer, tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "rows.jsonl", [{"a": "1"}, {"a": "2"}])
    output = tmp_path / "out.jsonl"
    words = (
        "map",
        echoing.url,
        "/work",
        "--input",
        rows,
        "--output",
        output,
        "--max-failures",
        "2",
    )
    done = await run(*words, *SECRETS)
    assert "2 consecutive failed rows" in done.stderr
    written = [file.read_text(encoding="utf-8") for file in sorted(tmp_path.iterdir())]
    assert "***" in json.loads(output.read_text().splitlines()[0])["error"]["message"]
    assert_unknown(echoing, *texts_of(done), *written)
