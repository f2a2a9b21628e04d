"""`history=` on jobs of endpoints: what is dropped is counted, and what is kept is right."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests.client.sessions_support import follow, opened, short
from tests.servers.scripted import Event, GradioError, ScriptedServer
from triojob import AppError, JobGroup, LogMessage, OutputUpdate, StatusUpdate
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
async def test_what_is_kept_is_right_and_what_is_dropped_is_counted(
    autojump_clock, memory_app, history
):
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


async def test_at_each_moment_the_last_outputs_are_kept_and_right(autojump_clock, memory_app):
    """Edits are dropped in batches: after each output, before and after such a batch."""
    add_streams(memory_app)
    async with opened(memory_app) as client, JobGroup(history=3) as group:
        job = group.submit(client.endpoint("/chat"), N)
        await trio.sleep(0.5)
        for i in range(N):
            start = max(0, i + 1 - 3)
            assert job.outputs() == chats(start, i + 1)
            assert job.dropped == start
            await trio.sleep(1)


async def test_who_reads_along_misses_nothing(autojump_clock, memory_app):
    add_streams(memory_app)
    async with opened(memory_app, history=1) as client:
        job = client.submit(N, api_name="/text")
        outputs = job.__aiter__()
        assert [text async for text in outputs] == [text_of(i) for i in range(N)]
        assert outputs.dropped == 0


@pytest.mark.parametrize("pace", [1.5, 10, 33.3])
async def test_who_is_slow_misses_what_was_dropped_meanwhile(autojump_clock, memory_app, pace):
    add_streams(memory_app)
    async with opened(memory_app, history=5) as client:
        job = client.submit(N, api_name="/chat")
        outputs = job.__aiter__()
        places = []
        async for output in outputs:
            place = len(output[0].split()) - 1
            assert output == (text_of(place), chat_of(place))
            places.append(place)
            await trio.sleep(pace)
        assert places == sorted(set(places))
        assert places[-5:] == list(range(N - 5, N))
        assert outputs.dropped == N - len(places) > 0


async def test_with_no_history_a_stream_leaves_only_its_result(autojump_clock, memory_app):
    add_streams(memory_app)
    heard: list[Any] = []
    async with opened(memory_app, history=0) as client:
        job = client.submit(N, api_name="/text")
        job.on_output(heard.append)
        assert await job.result() == text_of(N - 1)
        assert (job.outputs(), job.dropped) == ([], N)
        assert await follow(job) == ([], None)
        # Who listens hears them all the same, and whole.
        assert heard == [text_of(i) for i in range(N)]


async def test_of_other_messages_as_many_are_kept_apart_from_the_outputs(
    autojump_clock, memory_app
):
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


async def test_who_follows_the_updates_slowly_is_told_how_many_were_missed(
    autojump_clock, memory_app
):
    add_streams(memory_app)
    async with opened(memory_app, history=5) as client:
        job = client.submit(N, api_name="/text")
        updates = job.updates()
        count = 0
        async for _ in updates:
            count += 1
            await trio.sleep(3.7)
        # Five statuses at the start, an output and a line for each step, and the end.
        assert count + updates.dropped == 5 + 2 * N + 1
        assert updates.dropped > N


async def test_a_failure_is_kept_whatever_was_dropped(autojump_clock, memory_app):
    @memory_app.app.endpoint(generator=True)
    async def fail(event: Event) -> None:
        for i in range(N):
            await event.generating([text_of(i)])
        raise GradioError("boom")

    async with opened(memory_app, history=2) as client:
        job = client.submit(api_name="/fail")
        outputs, error = await follow(job)
        assert outputs[-2:] == [text_of(N - 2), text_of(N - 1)]
        assert isinstance(error, AppError)


async def test_after_a_misfit_the_completion_is_right_though_edits_were_dropped(
    autojump_clock, memory_app
):
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


async def test_each_group_has_its_own_history(autojump_clock, memory_app):
    add_streams(memory_app)
    async with opened(memory_app, history=1) as client, JobGroup(history=4) as group:
        ours = client.submit(10, api_name="/text")
        theirs = group.submit(client.endpoint("/text"), 10)
        await wait_all_tasks_blocked()
        await ours.wait()
        await theirs.wait()
        assert (ours.dropped, theirs.dropped) == (9, 6)
        kept = [u async for u in theirs.updates() if isinstance(u, StatusUpdate | LogMessage)]
        assert len(kept) == 4
