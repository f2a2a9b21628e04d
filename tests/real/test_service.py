"""The service of docs/service.md, as it is started there: Hypercorn's Trio worker, in a process."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

from tests.support.real import SECONDS, new_key, opened, probe, probe_until

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


@asynccontextmanager
async def open_service(gradio_url: str) -> AsyncIterator[str]:
    """Run the service; give its URL, and see that it ends without a complaint."""
    command = [sys.executable, "-W", "error", "-m", "hypercorn", "--worker-class", "trio"]
    process = await trio.lowlevel.open_process(
        [*command, "--bind", "127.0.0.1:0", "service:service"],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={**os.environ, "GRADIO_URL": gradio_url, "PYTHONPATH": str(EXAMPLES)},
    )
    said = ""
    try:
        with trio.fail_after(SECONDS):
            while not (found := re.search(r"Running on (http://\S+)", said)):
                said += (more := await process.stderr.receive_some()).decode()
                assert more, said
        yield found[1]
        process.send_signal(signal.SIGTERM)
        with trio.fail_after(SECONDS):
            async for more in process.stderr:
                said += more.decode()
        assert "Traceback" not in said, said
        assert "Warning" not in said, said
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()


def read(url: str, *, until: str = "", **params: Any) -> list[tuple[str, Any]]:
    """Read events, each with its name, up to the first that is called ``until``; hang up there."""
    events: list[tuple[str, Any]] = []
    name = ""
    options: Any = {"params": params, "trust_env": False, "timeout": SECONDS}
    with httpx.stream("GET", f"{url}/typeset", **options) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        for line in answer.iter_lines():
            field, _, value = line.partition(": ")
            if field == "event":
                name = value
            elif field == "data":
                events.append((name, json.loads(value)))
                if name == until:
                    break
    return events


@pytest.fixture
async def service(gradio_url: str) -> AsyncIterator[str]:
    async with open_service(gradio_url) as url:
        yield url


async def test_service_streams_jobs_and_cancels(service, gradio_url):
    whole, left = new_key("whole"), new_key("left")

    told = await trio.to_thread.run_sync(lambda: read(service, pages=3, key=whole))
    values = [data["value"] for name, data in told if name == "output"]
    assert values == ["page 1", "page 2", "page 3"]
    assert told[-1] == ("result", {"value": "page 3"})
    statuses = [data for name, data in told if name == "status"]
    assert [statuses[0]["code"], statuses[-1]["code"]] == ["STARTING", "FINISHED"]
    assert [[1, 3]] in [status["progress"] for status in statuses]

    assert ("log", {"text": "all pages are set"}) in told

    told = await trio.to_thread.run_sync(lambda: read(service, pages=0, key=whole))
    assert told[-1] == ("failure", {"kind": "AppError"})

    await trio.to_thread.run_sync(lambda: read(service, pages=1000, key=left, until="output"))
    async with opened(gradio_url) as client:
        assert "finished" not in await probe_until(client, left, closed=1)
        assert (await probe(client, whole))["finished"] == 1

    refused = await trio.to_thread.run_sync(
        lambda: httpx.get(f"{service}/typeset?pages=many&key=x", trust_env=False)
    )
    assert refused.status_code == 422
