"""The ways to call an endpoint, and in whose group the jobs are."""

from __future__ import annotations

import functools
from typing import Any

import pytest
import trio
import trio.testing

from tests.servers.scripted import Event, ScriptedServer, open_server
from tests.support.opening import add_functions, nothing_left_over, wait_until_running
from tests.support.sessions import add_sleeper, opened
from triojob import (
    AppError,
    Client,
    ClientClosed,
    ClientSession,
    JobCancelled,
    JobGroup,
    Status,
)
from triojob.testing.components import number

Clock = trio.testing.MockClock
Surface = Client | ClientSession


def add_stream(server: ScriptedServer) -> None:
    """Add a generator that yields so many outputs, a second apart."""

    @server.app.endpoint(inputs=[number("n"), "text"], generator=True)
    async def stream(event: Event) -> None:
        for count in range(event.data[0]):
            await trio.sleep(1)
            await event.generating([f"{event.data[1]} {count}"])


async def test_plain_call_job_and_predict_give_same(memory_app, autojump_clock):
    add_stream(memory_app)
    async with opened(memory_app) as client, client.session() as session:
        for surface in (client, session):
            stream = surface.endpoint("/stream")
            assert await stream(3, "x") == "x 2"
            assert await surface.predict(3, text="x", api_name="/stream") == "x 2"
            jobs = [surface.submit(3, "x", api_name="/stream")]
            async with JobGroup() as group:
                jobs.append(group.submit(stream, 3, text="x"))
            for job in jobs:
                assert await job.result() == "x 2"
                assert job.outputs() == ["x 0", "x 1", "x 2"]
                assert job.name == "/stream"


async def test_submit_returns_before_anything_is_sent(memory_app: ScriptedServer) -> None:
    add_functions(memory_app)
    async with opened(memory_app) as client:
        job = client.submit("a", api_name="/echo")
        assert job.status().code is Status.STARTING
        assert memory_app.joins == []
        assert await job.result() == "a"


async def test_endpoint_can_run_many_times_at_once(memory_app, autojump_clock):
    add_sleeper(memory_app)
    results: list[Any] = []
    async with opened(memory_app) as client:
        sleep = client.endpoint("/sleep")

        async def call(seconds: int) -> None:
            results.append(await sleep(seconds))

        async with trio.open_nursery() as nursery:
            for seconds in range(50, 0, -1):
                nursery.start_soon(call, seconds)
    assert results == list(range(1, 51))


async def test_endpoint_starts_as_task_of_its_own(memory_app: ScriptedServer) -> None:
    """It is an async callable like any other."""
    add_functions(memory_app)
    async with opened(memory_app) as client, trio.open_nursery() as nursery:
        nursery.start_soon(client.endpoint("/echo"), "a")
    assert [join["data"] for join in memory_app.joins] == [["a"]]


async def test_a_plain_call_can_be_timed_out(memory_app, autojump_clock):
    add_functions(memory_app)
    async with nothing_left_over(memory_app), opened(memory_app) as client:
        with pytest.raises(trio.TooSlowError):
            with trio.fail_after(5):
                await client.predict("a", api_name="/hang")
        assert trio.current_time() == 5
        await trio.testing.wait_all_tasks_blocked()
        assert [event.state for event in memory_app.events.values()] == ["cancelled"]


# --- The groups of clients and sessions ---


@pytest.mark.parametrize("in_session", [False, True], ids=["client", "session"])
async def test_jobs_lists_waiting_running_and_unretrieved(memory_app, autojump_clock, in_session):
    add_functions(memory_app)
    async with opened(memory_app) as client, client.session() as session:
        surface, other = (session, client) if in_session else (client, session)
        assert surface.jobs == ()
        hang = surface.submit("a", api_name="/hang")
        fail = surface.submit("a", api_name="/fail")
        echo = surface.submit("a", api_name="/echo")
        assert surface.jobs == (hang, fail, echo)
        for job in (fail, echo):
            await job.wait()
        assert surface.jobs == (hang, fail)
        assert isinstance(fail.exception(), AppError)
        assert surface.jobs == (hang,)
        hang.cancel()
        await hang.wait()
        assert surface.jobs == other.jobs == ()


async def test_jobs_leaves_out_plain_and_foreign_calls(memory_app, autojump_clock):
    add_functions(memory_app)
    async with opened(memory_app) as client, JobGroup() as group:
        hang = client.endpoint("/hang")
        elsewhere = group.submit(hang, "a")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(hang, "a")
            await wait_until_running(memory_app, 2)
            assert client.jobs == ()
            assert group.jobs == (elsewhere,)
            nursery.cancel_scope.cancel()
        elsewhere.cancel()


@pytest.mark.parametrize("in_session", [False, True], ids=["client", "session"])
@pytest.mark.parametrize("limit", [1, 3])
async def test_limit_bounds_submitted_jobs(memory_app, autojump_clock, in_session, limit):
    add_sleeper(memory_app)
    options: dict[str, Any] = {} if in_session else {"limit": limit}
    async with (
        opened(memory_app, **options) as client,
        client.session(limit=limit if in_session else None) as session,
    ):
        surface: Surface = session if in_session else client
        most = 0
        jobs = [surface.submit(10, api_name="/sleep") for _ in range(7)]
        await trio.sleep(5)
        while memory_app.running:
            most = max(most, len(memory_app.running))
            await trio.sleep(10)
        assert most == limit
        assert [await job.result() for job in jobs] == [10] * 7
        # Plain calls don't take a turn.
        jobs = [surface.submit(10, api_name="/sleep") for _ in range(limit)]
        await surface.predict(1, api_name="/sleep")
        assert not any(job.done for job in jobs)


@pytest.mark.parametrize("in_session", [False, True], ids=["client", "session"])
async def test_history_bounds_outputs_of_submitted_jobs(memory_app, autojump_clock, in_session):
    add_stream(memory_app)
    options: dict[str, Any] = {} if in_session else {"history": 2}
    async with (
        opened(memory_app, **options) as client,
        client.session(history=2 if in_session else None) as session,
    ):
        bounded, unbounded = (session, client) if in_session else (client, session)
        short = bounded.submit(5, "x", api_name="/stream")
        long = unbounded.submit(5, "x", api_name="/stream")
        for job in (short, long):
            assert await job.result() == "x 4"
        assert short.outputs() == ["x 3", "x 4"]
        assert short.dropped == 3
        assert len(long.outputs()) == 5
        async with JobGroup() as group:
            job = group.submit(bounded.endpoint("/stream"), 5, "x")
        assert len(job.outputs()) == 5


async def test_own_group_has_its_own_limit(memory_app, autojump_clock):
    add_sleeper(memory_app)
    async with opened(memory_app, limit=1) as client:
        sleep = client.endpoint("/sleep")
        async with JobGroup(limit=4) as group:
            for _ in range(8):
                group.submit(sleep, 10)
            await trio.sleep(5)
            assert len(memory_app.running) == 4
            assert await client.submit(1, api_name="/sleep").result() == 1


# --- Endpoints away from home ---


async def test_group_can_mix_endpoints_of_clients(memory_app, autojump_clock):
    add_sleeper(memory_app)
    async with open_server(memory=True) as other_app:
        add_sleeper(other_app)
        async with opened(memory_app) as one, opened(other_app) as two, JobGroup() as group:
            sleeps = (one.endpoint("/sleep"), two.endpoint("/sleep"), trio.sleep)
            jobs = [group.submit(sleep, seconds) for seconds in (1, 2) for sleep in sleeps]
            assert [await job.result() for job in jobs] == [1, 1, None, 2, 2, None]
        assert len(memory_app.joins) == len(other_app.joins) == 2


async def test_group_around_client_hears_of_clients_end(memory_app, autojump_clock):
    add_functions(memory_app)
    async with nothing_left_over(memory_app), JobGroup() as group:
        async with opened(memory_app) as client:
            hang, echo = client.endpoint("/hang"), client.endpoint("/echo")
            running = group.submit(hang, "a")
            await wait_until_running(memory_app, 1)
        assert running.cancelled
        with pytest.raises(JobCancelled, match="the client was closed"):
            await running.result()
        with pytest.raises(ClientClosed, match="client of /echo"):
            group.submit(echo, "a")
        # The group goes on without it.
        assert await group.submit(trio.sleep, 1).result() is None


async def test_group_around_session_hears_of_sessions_end(memory_app, autojump_clock):
    add_functions(memory_app)
    async with nothing_left_over(memory_app), opened(memory_app) as client, JobGroup() as group:
        async with client.session() as session:
            running = group.submit(session.endpoint("/hang"), "a")
            beside = group.submit(client.endpoint("/hang"), "a")
            await wait_until_running(memory_app, 2)
        with pytest.raises(JobCancelled, match="its session has ended"):
            await running.result()
        assert not beside.done
        beside.cancel()


# --- Partial endpoints ---


async def test_a_partial_endpoint_runs_as_a_job(memory_app: ScriptedServer) -> None:
    add_functions(memory_app)
    memory_app.app.add("join", inputs=["a", "b"], outputs=["x", "y"])
    async with opened(memory_app) as client:
        echo = functools.partial(client.endpoint("/echo"), "a")
        join = functools.partial(functools.partial(client.endpoint("/join"), "a"), b="b")
        async with JobGroup() as group:
            first = functools.partial(client.endpoint("/join"), "a")
            jobs = [
                group.submit(echo),
                group.submit(join),
                group.submit(join, b="c"),
                group.submit(first, "d"),
            ]
        results = [await job.result() for job in jobs]
        assert results == ["a", ("a", "b"), ("a", "c"), ("a", "d")]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(echo)
    assert len(memory_app.joins) == 5


async def test_partial_endpoint_is_checked_at_submit(memory_app):
    """As the endpoint itself is: else a fan-out of wrong calls fails one by one, and later."""
    add_functions(memory_app)
    async with opened(memory_app) as client, JobGroup() as group:
        echo = functools.partial(client.endpoint("/echo"))
        for args, kwargs in (((), {}), (("a", "b"), {}), ((), {"b": 1})):
            with pytest.raises(TypeError, match="/echo"):
                group.submit(functools.partial(echo, *args), **kwargs)
        assert group.jobs == ()
    assert memory_app.joins == []
