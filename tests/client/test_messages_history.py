"""`history=` on jobs of endpoints: what is dropped is counted, and what is kept is right."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from tests.servers.scripted import Event, ScriptedServer
from tests.support.sessions import opened, short
from triojob import OutputUpdate
from triojob.testing.components import json_value, number

N = 100


def text_of(i: int) -> str:
    return " ".join(f"w{n}" for n in range(i + 1))


def chat_of(i: int) -> list[dict[str, Any]]:
    """Make a chat that grows by half a message each time, and forgets now and then."""
    full = [{"role": "user", "content": f"{n}" * (1 + (n == i // 2) * (i % 2))} for n in range(i)]
    return full[: i // 2 + 1 - 3 * (i % 10 == 9)]


def add_streams(server: ScriptedServer) -> None:
    """Add generators whose outputs come as edits, one each second: text, and a chat beside it."""

    @server.app.endpoint(inputs=[number("n")], generator=True)
    async def text(event: Event) -> None:
        for i in range(event.data[0]):
            await event.generating([text_of(i)])
            await event.log(f"line {i}")
            await trio.sleep(1)

    @server.app.endpoint(inputs=[number("n")], outputs=["text", json_value("chat")], generator=True)
    async def chat(event: Event) -> None:
        for i in range(event.data[0]):
            await event.generating([text_of(i), chat_of(i)])
            await trio.sleep(1)


def chats(start: int, end: int) -> list[Any]:
    return [(text_of(i), chat_of(i)) for i in range(start, end)]


HISTORIES = [1, 2, 7, 42, N - 1, N, N + 1, None]


@pytest.mark.parametrize("history", HISTORIES)
async def test_history_keeps_the_last_and_counts_dropped(autojump_clock, memory_app, history):
    add_streams(memory_app)
    async with opened(memory_app, history=history) as client:
        job = client.submit(N, api_name="/chat")
        assert await job.result() == (text_of(N - 1), chat_of(N - 1))
        dropped = 0 if history is None else max(0, N - history)
        assert job.dropped == dropped
        assert job.outputs() == chats(dropped, N)
        outputs = job.__aiter__()
        assert [output async for output in outputs] == chats(dropped, N)
        assert outputs.dropped == dropped
        updates = [u async for u in job.updates() if isinstance(u, OutputUpdate)]
        assert [u.index for u in updates] == list(range(dropped, N))
        assert [u.output for u in updates] == chats(dropped, N)


async def test_other_messages_are_bounded_apart(autojump_clock, memory_app):
    add_streams(memory_app)
    async with opened(memory_app, history=3) as client:
        job = client.submit(N, api_name="/text")
        await job.wait()
        updates = job.updates()
        kept = [short(update) async for update in updates]
        assert [item for item in kept if item[0] == "output"] == [
            ("output", text_of(i)) for i in range(N - 3, N)
        ]
        assert [item for item in kept if item[0] != "output"] == [
            ("log", f"line {N - 2}"),
            ("log", f"line {N - 1}"),
            "FINISHED",
        ]
        # Each log line comes after the output that it was sent after.
        assert kept.index(("log", f"line {N - 1}")) > kept.index(("output", text_of(N - 1)))
        assert kept.index(("log", f"line {N - 2}")) < kept.index(("output", text_of(N - 1)))
        assert updates.dropped == (N - 3) + (5 + N + 1 - 3)


async def test_completion_after_misfit_survives_dropped_edits(autojump_clock, memory_app):
    @memory_app.app.endpoint(generator=True)
    async def perform(event: Event) -> None:
        for i in range(N):
            await event.generating([text_of(i)])
        await event.generating_raw([[["delete", [3], None]]])
        await event.completed(["the end"])

    async with opened(memory_app, history=2) as client:
        job = client.submit(api_name="/perform")
        assert await job.result() == "the end"
        assert job.outputs() == [text_of(N - 1), "the end"]
        assert job.dropped == N - 1
