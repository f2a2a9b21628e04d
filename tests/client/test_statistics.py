"""`Client.statistics`: what a client has under way, and that it comes to nothing."""

from __future__ import annotations

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tests.servers.scripted import Event, ScriptedServer
from triojob import Client, JobGroup


async def test_calls_and_streams_are_counted_while_they_are_under_way(
    autojump_clock: MockClock, memory_app: ScriptedServer
) -> None:
    @memory_app.app.endpoint(inputs=["text"])
    async def hang(event: Event) -> None:
        await trio.sleep_forever()

    async with Client(memory_app.url, transport=memory_app.transport(), max_streams=2) as client:
        async with JobGroup() as group:
            for _ in range(3):
                group.submit(client.endpoint("/hang"), "x")
            own = client.submit("x", api_name="/hang")
            await wait_all_tasks_blocked()
            counts = client.statistics()
            assert (counts.calls, counts.streams, counts.max_streams) == (4, 2, 2)
            assert (counts.requests, counts.transfers, counts.goodbyes) == (0, 0, 0)
            assert (counts.jobs.submitted, counts.jobs.running + counts.jobs.waiting) == (1, 1)
            group.cancel_scope.cancel()
        own.cancel()
        await own.wait()
        await wait_all_tasks_blocked()
        counts = client.statistics()
        assert (counts.calls, counts.streams, counts.goodbyes) == (0, 0, 0)
        assert counts.jobs.cancelled == 1
