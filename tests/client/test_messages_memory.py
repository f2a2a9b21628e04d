"""What a stream of growing outputs costs: what the server sent, not outputs times their size."""

from __future__ import annotations

import gc
import itertools
import sys
import tracemalloc
from collections.abc import Iterator

import pytest

from tests.servers.scripted import Event, ScriptedServer
from tests.support.sessions import opened, quiet
from triojob import JobGroup
from triojob.testing.components import json_value, number

pytestmark = pytest.mark.skipif(
    sys.implementation.name != "cpython", reason="needs reference counting and tracemalloc"
)

N = 300
LINE = "x" * 999 + "\n"
"""By so much each output is longer than the one before."""
SENT = N * len(LINE)
"""What the server sends in all, the completion aside.  The outputs have 150 times that."""


def add_growing(server: ScriptedServer) -> None:
    """Add generators that grow; they send edits of the test's own, so as to keep nothing."""

    @server.app.endpoint(inputs=[number("n")], generator=True)
    async def text(event: Event) -> None:
        n = event.data[0]
        await event.generating_raw([LINE])
        for _ in range(n - 1):
            await event.generating_raw([[["append", [], LINE]]])
        await event.completed([LINE * n])

    @server.app.endpoint(inputs=[number("n")], outputs=[json_value("out")], generator=True)
    async def chat(event: Event) -> None:
        n = event.data[0]
        items = [{"text": f"{i}" + LINE} for i in range(n)]
        await event.generating_raw([items[:1]])
        for i in range(1, n):
            await event.generating_raw([[["add", [i], items[i]]]])
        await event.completed([items])

    @server.app.endpoint(inputs=[number("n")], generator=True)
    async def ticker(event: Event) -> None:
        for i in range(event.data[0]):
            await event.generating([f"{i}" + LINE])


@pytest.fixture
def _traced() -> Iterator[None]:
    yield
    tracemalloc.stop()


async def kept_by_a_job(server: ScriptedServer, name: str, history: int | None = None) -> int:
    """Return how many bytes a job of N outputs holds after its end."""
    add_growing(server)
    async with opened(server) as client, JobGroup(history=history) as group:
        endpoint = client.endpoint(name)
        # What is made at first use is not the job's.
        await group.submit(endpoint, 2).wait()
        tracemalloc.start()
        job = group.submit(endpoint, N)
        await job.wait()
        await quiet(server)
        assert f"outputs={N}" in repr(job)
        gc.collect()
        with_job, _ = tracemalloc.get_traced_memory()
        del job
        gc.collect()
        without, _ = tracemalloc.get_traced_memory()
    return with_job - without


@pytest.mark.usefixtures("_traced")
@pytest.mark.parametrize("name", ["/text", "/chat"])
async def test_a_job_keeps_about_what_was_sent(autojump_clock, memory_app, name):
    kept = await kept_by_a_job(memory_app, name)
    # The edits, the result, and some hundred bytes for each message.
    assert SENT < kept < 4 * SENT


@pytest.mark.usefixtures("_traced")
async def test_with_history_job_keeps_that_much(autojump_clock, memory_app):
    kept = await kept_by_a_job(memory_app, "/ticker", history=5)
    # What is dropped goes in batches of some twenty.
    assert 5 * len(LINE) < kept < 60 * len(LINE)


@pytest.mark.usefixtures("_traced")
async def test_reading_stream_late_costs_few_values(autojump_clock, memory_app):
    add_growing(memory_app)
    async with opened(memory_app) as client:
        job = client.submit(N, api_name="/text")
        await job.wait()
        await quiet(memory_app)
        tracemalloc.start()
        lengths = [len(text) async for text in job]
        _, peak = tracemalloc.get_traced_memory()
    assert lengths == [len(LINE) * n for n in range(1, N + 1)]
    assert peak < 6 * SENT


async def test_successive_outputs_share_what_did_not_change(autojump_clock, memory_app):
    add_growing(memory_app)
    async with opened(memory_app) as client:
        job = client.submit(20, api_name="/chat")
        live = [output async for output in job]
        for outputs in (live, job.outputs()):
            assert [len(output) for output in outputs] == list(range(1, 21))
            for old, new in itertools.pairwise(outputs):
                assert all(a is b for a, b in zip(old, new, strict=False))
        # One who reads early and one who reads late share it too.
        assert live[-1][0] is job.outputs()[0][0]
