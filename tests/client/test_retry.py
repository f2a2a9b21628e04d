"""Calls that are made again: when the server got nothing of them, and only then."""

from __future__ import annotations

import logging

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tests.servers.faults import Answer, Lose
from tests.servers.scripted import Event, GradioError, ScriptedServer
from triojob import (
    AppError,
    Client,
    ConnectionLost,
    ConnectionTimeout,
    JobCancelled,
    JobGroup,
    Limits,
    QueueFull,
    Retry,
    Status,
    StatusUpdate,
    Timeouts,
    TooManyRequests,
)

FULL = Answer(503, {"detail": "Queue is full. Max size is 1 and size is 1."})
TOO_MANY = Answer(429, {"detail": "slow down"}, {"retry-after": "7"})
JOIN = ("POST", "/queue/join")
STEADY = Retry(wait_initial=1, wait_jitter=0)


def add_echo(server: ScriptedServer) -> list[str]:
    """Add `/echo`; return the list of what it was called with."""
    seen: list[str] = []

    @server.app.endpoint(inputs=["text"])
    async def echo(event: Event) -> None:
        seen.append(event.data[0])
        await event.completed(event.data)

    return seen


def joins(server: ScriptedServer) -> int:
    return sum(request.path.endswith("/queue/join") for request in server.requests)


async def test_a_full_queue_is_waited_for(autojump_clock: MockClock, memory_app: ScriptedServer):
    seen = add_echo(memory_app)
    memory_app.fault(*JOIN, FULL, times=3)
    async with Client(memory_app.url, transport=memory_app.transport()) as client:
        echo = client.endpoint("/echo").with_retry(STEADY)
        start = trio.current_time()
        assert await echo("x") == "x"
        assert trio.current_time() - start == 1 + 2 + 4
    assert (seen, joins(memory_app)) == (["x"], 4)


async def test_each_attempt_is_seen_in_the_status(autojump_clock, memory_app):
    add_echo(memory_app)
    memory_app.fault(*JOIN, FULL, times=1)
    async with (
        Client(memory_app.url, transport=memory_app.transport()) as client,
        JobGroup(retry=STEADY) as group,
    ):
        job = group.submit(client.endpoint("/echo"), "x")
        codes = [update.code async for update in job.updates() if isinstance(update, StatusUpdate)]
    assert codes == [
        Status.STARTING,
        Status.JOINING_QUEUE,
        Status.QUEUE_FULL,
        Status.STARTING,
        Status.JOINING_QUEUE,
        Status.IN_QUEUE,
        Status.PROCESSING,
        Status.FINISHED,
    ]
    assert job.outputs() == ["x"]


async def test_rate_limit_gets_the_time_it_asks(autojump_clock, memory_app):
    add_echo(memory_app)
    memory_app.fault(*JOIN, TOO_MANY, times=2)
    async with Client(memory_app.url, transport=memory_app.transport()) as client:
        start = trio.current_time()
        assert await client.endpoint("/echo").with_retry(STEADY)("x") == "x"
        assert trio.current_time() - start == 14


async def test_after_last_attempt_its_failure_is_calls(autojump_clock, memory_app):
    seen = add_echo(memory_app)
    memory_app.fault(*JOIN, FULL)
    async with Client(memory_app.url, transport=memory_app.transport()) as client:
        with pytest.raises(QueueFull):
            await client.endpoint("/echo").with_retry(Retry(attempts=3))("x")
    assert (seen, joins(memory_app)) == ([], 3)


async def test_nothing_is_made_again_unless_asked_for(autojump_clock, memory_app):
    add_echo(memory_app)
    memory_app.fault(*JOIN, TOO_MANY, times=1)
    transport, limits = memory_app.transport(), Limits(refused_for=0)
    async with Client(memory_app.url, transport=transport, limits=limits) as client:
        with pytest.raises(TooManyRequests):
            await client.predict("x", api_name="/echo")
    assert joins(memory_app) == 1


@pytest.mark.parametrize("handled", [True, False])
async def test_possibly_started_calls_need_idempotence(autojump_clock, memory_app, handled):
    seen = add_echo(memory_app)
    async with Client(memory_app.url, transport=memory_app.transport()) as client:
        memory_app.fault(*JOIN, Lose(handled=handled), times=1)
        with pytest.raises(ConnectionLost):
            await client.endpoint("/echo").with_retry(STEADY)("a")
        assert joins(memory_app) == 1
        memory_app.fault(*JOIN, Lose(handled=handled), times=1)
        again = client.endpoint("/echo").with_retry(Retry(idempotent=True))
        assert await again("b") == "b"
    assert seen.count("b") in ((1, 2) if handled else (1,))


async def test_a_failure_of_the_app_is_final(autojump_clock: MockClock, memory_app: ScriptedServer):
    runs = 0

    @memory_app.app.endpoint()
    async def fail(event: Event) -> None:
        nonlocal runs
        runs += 1
        raise GradioError("boom")

    async with Client(memory_app.url, transport=memory_app.transport()) as client:
        with pytest.raises(AppError):
            await client.endpoint("/fail").with_retry(Retry(idempotent=True))()
    assert runs == 1


async def test_begun_stream_is_not_repeated(autojump_clock, memory_app):
    runs = 0

    @memory_app.app.endpoint(generator=True)
    async def count(event: Event) -> None:
        nonlocal runs
        runs += 1
        await event.generating([1])
        await trio.sleep_forever()

    async with Client(
        memory_app.url, transport=memory_app.transport(), timeouts=Timeouts(max_stream_idle=5)
    ) as client:
        memory_app.app.heartbeat_interval = 1e9
        async with JobGroup(retry=Retry(idempotent=True)) as group:
            job = group.submit(client.endpoint("/count"))
            with pytest.raises(ConnectionTimeout):
                await job.result()
            assert job.outputs() == [1]
    assert runs == 1


async def test_endpoint_has_its_own_word_before_groups(autojump_clock, memory_app):
    add_echo(memory_app)
    memory_app.fault(*JOIN, FULL)
    async with (
        Client(memory_app.url, transport=memory_app.transport()) as client,
        JobGroup(retry=Retry(attempts=5)) as group,
    ):
        once = client.endpoint("/echo").with_retry(Retry(attempts=1))
        with pytest.raises(QueueFull):
            await group.submit(once, "x").result()
    assert joins(memory_app) == 1


async def test_cancelling_in_pause_ends_job_at_once(autojump_clock, memory_app):
    add_echo(memory_app)
    memory_app.fault(*JOIN, FULL)
    async with (
        Client(memory_app.url, transport=memory_app.transport()) as client,
        JobGroup(retry=Retry(wait_initial=1000, wait_max=1000, timeout=None)) as group,
    ):
        job = group.submit(client.endpoint("/echo"), "x")
        await wait_all_tasks_blocked()
        start = trio.current_time()
        job.cancel()
        with pytest.raises(JobCancelled):
            await job.result()
        assert trio.current_time() == start


async def test_the_clients_end_ends_a_pause(autojump_clock: MockClock, memory_app: ScriptedServer):
    add_echo(memory_app)
    memory_app.fault(*JOIN, FULL)
    async with JobGroup(retry=Retry(wait_initial=1000, wait_max=1000, timeout=None)) as group:
        async with Client(memory_app.url, transport=memory_app.transport()) as client:
            job = group.submit(client.endpoint("/echo"), "x")
            await wait_all_tasks_blocked()
        with pytest.raises(JobCancelled, match="the client was closed"):
            await job.result()


async def test_local_functions_are_not_retried(autojump_clock: MockClock):
    runs = 0

    async def fails() -> None:
        nonlocal runs
        runs += 1
        raise QueueFull("mine")

    async with JobGroup(retry=Retry()) as group:
        with pytest.raises(QueueFull, match="mine"):
            await group.submit(fails).result()
    assert runs == 1


async def test_each_new_attempt_is_logged_without_secrets(autojump_clock, memory_app, caplog):
    add_echo(memory_app)
    memory_app.fault(*JOIN, FULL, times=1)
    with caplog.at_level(logging.INFO, logger="triojob"):
        async with Client(memory_app.url, transport=memory_app.transport()) as client:
            assert await client.endpoint("/echo").with_retry(STEADY)("secret") == "secret"
    lines = [record.getMessage() for record in caplog.records if record.name == "triojob"]
    assert [line.partition(" ")[2] for line in lines] == [
        "/echo: attempt 1 failed (QueueFull); retrying in 1.00 s"
    ]
