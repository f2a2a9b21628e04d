"""A scripted app made of functions sends what a real Gradio 6.31 was recorded to send."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import trio
import trio.testing

from tests.servers import recorded
from tests.servers.recorded import RECORDINGS, normalised, replay
from triojob import AppError, report
from triojob.testing import ScriptedApp
from triojob.testing.components import file, number, state, textbox


def recorded_app() -> ScriptedApp:
    """Make the app that was recorded."""
    app = ScriptedApp(title="compat lab")
    n, out = number("n"), textbox("out")

    @app.endpoint(returns=[textbox("hello")])
    def greet(name: str) -> str:
        return f"Hello {name}!"

    @app.endpoint(returns=[number("sum"), number("product")])
    def add(a: float, b: float) -> tuple[float, float]:
        return a + b, a * b

    @app.endpoint(returns=[out])
    async def count(n: int) -> AsyncIterator[str]:
        for i in range(n):
            await trio.sleep(0.15)
            yield str(i)

    @app.endpoint(returns=[out])
    async def tokens(n: int) -> AsyncIterator[str]:
        words: list[str] = []
        for i in range(n):
            await trio.sleep(0.15)
            words.append(f"tok{i}")
            yield " ".join(words)

    @app.endpoint(parameters={"seconds": n}, returns=[out])
    async def slow(seconds: float) -> str:
        for i in range(4):
            report.progress(i / 4, desc=f"step {i}")
            await trio.sleep(seconds / 4)
        return f"slept {seconds}"

    @app.endpoint(returns=[out])
    def fail() -> str:
        raise AppError("boom")

    @app.endpoint(returns=[out])
    def fail_hard() -> str:
        raise ValueError("nobody is told")

    @app.endpoint(parameters={"f": file("in")}, returns=[file("out")])
    def upper_file(f: Path) -> Path:
        return f

    counter = state(0)

    @app.endpoint(parameters={"counter": counter}, returns=[counter, number("count")])
    def bump(counter: int) -> tuple[int, int]:
        return counter + 1, counter + 1

    return app


def raw_client(app: ScriptedApp) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=f"{app.url}/gradio_api", transport=app.transport())


async def test_functions_send_what_was_recorded(autojump_clock: trio.testing.MockClock) -> None:
    async with recorded_app() as app, raw_client(app) as client:
        for name in RECORDINGS:
            recording = recorded.load(name)
            messages = await replay(client, recording)
            assert normalised(messages) == normalised(recording.messages), name
        app.assert_cancelled("slow", times=1)
        app.assert_cancelled("count", times=1)
        app.assert_no_jobs_left()
    assert [call.endpoint for call in app.cancellations] == ["/slow", "/count"]


async def test_functions_are_described_as_was_recorded() -> None:
    async with recorded_app() as app, raw_client(app) as client:
        ours = (await client.get("/info")).json()["named_endpoints"]
    real = recorded.load_json("info")["named_endpoints"]
    assert list(ours) == list(real)
    for name in real.keys() - {"/upper_file"}:
        for endpoint in (real[name], ours[name]):
            endpoint.pop("code_snippets")
        assert json.dumps(ours[name]) == json.dumps(real[name])
