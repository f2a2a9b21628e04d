"""`Client.statistics`: what a client has under way, and that it comes to nothing."""

from __future__ import annotations

from functools import partial

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests.servers.faults import Answer, Hold
from tests.servers.scripted import Event
from tests.support.sessions import add_sleeper, opened
from triojob import (
    Client,
    JobGroup,
    LatencyStatistics,
    Limits,
    Retry,
    WindowStatistics,
    gather,
    handle_file,
)
from triojob.testing.components import json_value, state


async def test_running_calls_and_streams_are_counted(autojump_clock, memory_app):
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


async def test_what_calls_wait_for_is_counted(autojump_clock, memory_app):
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


async def test_transfers_that_wait_for_others_are_counted(autojump_clock, memory_app):
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


async def test_each_window_is_counted(autojump_clock, memory_app):
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


async def test_latencies_and_rate_cover_ended_calls(autojump_clock, memory_app):
    add_sleeper(memory_app, "take")
    async with opened(memory_app) as client:
        assert client.statistics().latency == LatencyStatistics()
        assert client.statistics().rate is None
        await gather(*(partial(client.endpoint("/take"), seconds) for seconds in [1] * 19 + [10]))
        async with client.session() as session:
            session.submit(1, api_name="/take")
        stopped = client.submit(1000, api_name="/take")
        await trio.sleep(1)
        stopped.cancel()
        await stopped.wait()
        counts = client.statistics()
        latency = counts.latency
        assert latency.count == 21, "a cancelled call has no latency"
        seconds = (latency.p50, latency.p90, latency.p99, latency.longest)
        assert seconds == pytest.approx((1, 1, 10, 10), rel=0.09)
        assert counts.windows["/take"].latency == latency
        assert counts.rate == pytest.approx(21 / 12, rel=0.01)


async def test_refusals_and_retries_are_counted(autojump_clock, memory_app):
    memory_app.app.add("echo", inputs=[json_value("a")])
    full = Answer(503, b'{"detail": "Queue is full."}', {"content-type": "application/json"})
    async with opened(memory_app) as client, JobGroup(retry=Retry()) as group:
        memory_app.fault("POST", "/queue/join", Answer(429, b""), times=2)
        await group.submit(client.endpoint("/echo"), "x").result()
        counts = client.statistics()
        assert (counts.refusals, counts.retries) == (2, 0)
        memory_app.fault("POST", "/queue/join", full, times=3)
        await group.submit(client.endpoint("/echo"), "x").result()
        memory_app.fault("GET", "/queue/data", Answer(503, b""), times=1)
        await group.submit(client.endpoint("/echo"), "x").result()
        counts = client.statistics()
        assert (counts.refusals, counts.retries, counts.latency.count) == (3, 3, 3)


async def test_bytes_of_bodies_are_counted(autojump_clock, memory_app):
    memory_app.app.add("echo", inputs=[json_value("a")])
    async with opened(memory_app, download_files=False) as client:
        before = client.statistics()
        assert (before.bytes_sent, before.bytes_received > 0) == (0, True)
        await client.predict("x" * 10_000, api_name="/echo")
        texts = client.statistics()
        await client.predict(handle_file(b"y" * 50_000, name="y.txt"), api_name="/echo")
        files = client.statistics()
    sent, received = texts.bytes_sent, texts.bytes_received - before.bytes_received
    assert 10_000 <= sent < 11_000
    assert 10_000 <= received < 13_000
    assert 50_000 <= files.bytes_sent - sent < 52_000


async def test_dropped_functions_keep_their_latencies(autojump_clock, memory_app):
    for number in range(300):
        memory_app.app.add(f"echo{number}", inputs=[json_value("a")])
    async with opened(memory_app) as client:
        for number in range(300):
            await client.predict("x", api_name=f"/echo{number}")
        counts = client.statistics()
    assert len(counts.windows) < 300
    assert counts.latency.count == 300
