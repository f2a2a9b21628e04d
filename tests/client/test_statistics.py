"""`Client.statistics`: what a client has under way, and that it comes to nothing."""

from __future__ import annotations

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tests.client.sessions_support import opened
from tests.servers.faults import Hold
from tests.servers.scripted import Event, ScriptedServer
from triojob import Client, JobGroup, Limits, WindowStatistics, handle_file
from triojob.testing.components import json_value, state


async def test_calls_and_streams_are_counted_while_they_are_under_way(
    autojump_clock: MockClock, memory_app: ScriptedServer
) -> None:
    @memory_app.app.endpoint(inputs=["text"])
    async def hang(event: Event) -> None:
        await trio.sleep_forever()

    async with Client(
        memory_app.url, transport=memory_app.transport(), limits=Limits(streams=2)
    ) as client:
        async with JobGroup() as group:
            for _ in range(3):
                group.submit(client.endpoint("/hang"), "x")
            own = client.submit("x", api_name="/hang")
            assert own.url is not None
            assert own.url.rstrip("/") == memory_app.url.rstrip("/")
            assert group.submit(trio.sleep, 0).url is None
            await wait_all_tasks_blocked()
            counts = client.statistics()
            assert (counts.calls, counts.streams) == (4, 2)
            assert (counts.requests, counts.transfers, counts.cancel_requests) == (0, 0, 0)
            assert (counts.jobs.submitted, counts.jobs.running + counts.jobs.waiting) == (1, 1)
            group.cancel_scope.cancel()
        own.cancel()
        await own.wait()
        await wait_all_tasks_blocked()
        counts = client.statistics()
        assert (counts.calls, counts.streams, counts.cancel_requests) == (0, 0, 0)
        assert counts.jobs.cancelled == 1


async def test_what_calls_wait_for_is_counted(
    autojump_clock: MockClock, memory_app: ScriptedServer
) -> None:
    @memory_app.app.endpoint(inputs=["text"])
    async def hang(event: Event) -> None:
        await trio.sleep_forever()

    @memory_app.app.endpoint(inputs=["text", state([])])
    async def note(event: Event) -> None:
        await trio.sleep_forever()

    answer = trio.Event()
    async with (
        Client(
            memory_app.url,
            transport=memory_app.transport(),
            limits=Limits(streams=60, in_flight=100),
        ) as client,
        JobGroup() as group,
    ):
        for _ in range(3):
            group.submit(client.endpoint("/note"), "x")
        await wait_all_tasks_blocked()
        counts = client.statistics()
        assert (counts.calls, counts.streams, counts.waiting_for_turn) == (3, 1, 2)
        assert (counts.waiting_for_stream, counts.joining) == (0, 0)

        memory_app.fault("POST", "/queue/join", Hold(answer))
        for _ in range(70):
            group.submit(client.endpoint("/hang"), "x")
        await wait_all_tasks_blocked()
        counts = client.statistics()
        # One stream is the session's, and of 59 isolated sessions 48 may send their calls at once.
        assert (counts.streams, counts.waiting_for_stream) == (60, 70 - 59)
        assert counts.requests == 48
        assert (counts.waiting_for_request, counts.joining) == (59 - 48, 48)

        answer.set()
        await wait_all_tasks_blocked()
        counts = client.statistics()
        assert (counts.requests, counts.waiting_for_request, counts.joining) == (0, 0, 0)

        memory_app.fault("POST", "/cancel", Hold(trio.Event()))
        group.cancel_scope.cancel()
        await wait_all_tasks_blocked()
        counts = client.statistics()
        assert counts.calls == counts.waiting_for_stream == counts.waiting_for_turn == 0
        assert counts.cancel_requests == 16
        assert counts.waiting_for_cancel_request > 0


async def test_transfers_that_wait_for_others_are_counted(
    autojump_clock: MockClock, memory_app: ScriptedServer
) -> None:
    memory_app.app.add("echo", inputs=[json_value("a")])
    memory_app.fault("POST", "/upload", Hold(trio.Event()))
    async with Client(
        memory_app.url, transport=memory_app.transport(), limits=Limits(transfers=2)
    ) as client:
        jobs = [
            client.submit([handle_file(b"x", name="x.txt") for _ in range(3)], api_name="/echo")
            for _ in range(2)
        ]
        await wait_all_tasks_blocked()
        counts = client.statistics()
        assert counts.transfers == 2
        assert counts.waiting_for_transfer > 0
        for job in jobs:
            job.cancel()


async def test_each_window_is_counted(
    autojump_clock: MockClock, memory_app: ScriptedServer
) -> None:
    async def hang(event: Event) -> None:
        await trio.sleep_forever()

    memory_app.app.add("few", hang, inputs=["text"], concurrency_limit=10)
    memory_app.app.add("many", hang, inputs=["text"], concurrency_limit=None)
    async with opened(memory_app) as client, JobGroup() as group:
        for name in ("/few", "/many"):
            for _ in range(100):
                group.submit(client.endpoint(name), "x")
        await trio.sleep(1)
        counts = client.statistics()
        assert counts.windows == {
            "/few": WindowStatistics(16, 16, 10, 6, 84),
            "/many": WindowStatistics(128, 100, 100, 0, 0),
        }
        assert (counts.window, counts.in_flight, counts.running) == (144, 116, 110)
        assert (counts.waiting_there, counts.waiting_here) == (6, 84)
        group.cancel_scope.cancel()
