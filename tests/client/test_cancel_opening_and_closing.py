"""Cancelled while a client opens or closes: nothing stays, and it takes no longer than it must."""

from __future__ import annotations

import pytest
import trio
import trio.testing
from trio.testing import wait_all_tasks_blocked

from tests.servers.faults import Hold
from tests.servers.scripted import ScriptedServer
from tests.support.cancelling import (
    MINE,
    OTHER,
    add_functions,
    assert_cancelled,
    assert_told,
    new_client,
    nothing_left,
    opened,
    sent,
)
from tests.support.jobs import Boom
from triojob import ClientClosed, JobGroup, Timeouts

CANCEL_REQUEST = Timeouts().cancel
NEVER = trio.Event()
PASSWORD = ("ann", "secret")


# --- Opening ---


def connecting(server: ScriptedServer) -> None:
    server.listener.connect_gate = NEVER


def logging_in(server: ScriptedServer) -> None:
    server.fault("POST", "/login", Hold(NEVER, handled=False))


def logged_in(server: ScriptedServer) -> None:
    server.fault("POST", "/login", Hold(NEVER))


def asking_for_the_config(server: ScriptedServer) -> None:
    server.fault("GET", "/config", Hold(NEVER, handled=False))


def waiting_for_the_config(server: ScriptedServer) -> None:
    server.fault("GET", "/config", Hold(NEVER))


def asking_for_the_info(server: ScriptedServer) -> None:
    server.fault("GET", "/info", Hold(NEVER, handled=False))


def waiting_for_the_info(server: ScriptedServer) -> None:
    server.fault("GET", "/info", Hold(NEVER))


@pytest.mark.parametrize(
    "stop, paths",
    [
        (connecting, []),
        (logging_in, ["POST /login"]),
        (logged_in, ["POST /login"]),
        (asking_for_the_config, ["POST /login", "GET /config"]),
        (waiting_for_the_config, ["POST /login", "GET /config"]),
        (asking_for_the_info, ["POST /login", "GET /config", "GET /info"]),
        (waiting_for_the_info, ["POST /login", "GET /config", "GET /info"]),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
async def test_cancelled_at_each_moment_of_its_discovery(memory_app, autojump_clock, stop, paths):
    memory_app.app.auth = PASSWORD
    stop(memory_app)
    async with nothing_left(memory_app):
        client = new_client(memory_app, auth=PASSWORD)
        with trio.move_on_after(1) as scope:
            async with client:
                raise AssertionError("it should not have opened")
        assert scope.cancelled_caught
        assert trio.current_time() == 1
    assert memory_app.paths() == paths
    with pytest.raises(ClientClosed):
        client.endpoint("/echo")
    with pytest.raises(ClientClosed):
        async with client:
            raise AssertionError("it should not open twice")


async def test_cancelled_discovery_does_not_block_the_next(memory_app, autojump_clock):
    add_functions(memory_app, trio.Event())
    memory_app.fault("GET", "/config", Hold(NEVER), times=1)
    async with nothing_left(memory_app):
        with trio.move_on_after(1):
            async with new_client(memory_app):
                raise AssertionError("it should not have opened")
    async with opened(memory_app) as client:
        assert await client.predict("again", api_name="/echo") == "again"


async def test_cancelled_before_it_opens(memory_app, autojump_clock):
    async with nothing_left(memory_app):
        with trio.CancelScope() as scope:
            scope.cancel()
            async with new_client(memory_app):
                raise AssertionError("it should not have opened")
        assert scope.cancelled_caught
    assert memory_app.requests == []


# --- Closing ---


async def test_cancelled_while_it_waits_for_its_jobs(memory_app, autojump_clock):
    add_functions(memory_app, trio.Event())
    async with nothing_left(memory_app):
        with trio.move_on_after(1) as scope:
            async with new_client(memory_app) as client:
                jobs = [client.submit(MINE, api_name=name) for name in ("/held", "/ticks")]
        assert scope.cancelled_caught
        assert trio.current_time() == 1
        for job in jobs:
            await assert_cancelled(job)
    assert_told(memory_app, sent(memory_app))


async def test_job_that_it_waits_for_is_cancelled(memory_app, autojump_clock):
    add_functions(memory_app, end := trio.Event())
    async with nothing_left(memory_app), trio.open_nursery() as nursery:
        async with new_client(memory_app) as client:
            job, other = [client.submit(text, api_name="/held") for text in (MINE, OTHER)]

            async def cancel_later() -> None:
                await trio.sleep(1)
                job.cancel("late")
                await trio.sleep(1)
                end.set()

            nursery.start_soon(cancel_later)
        assert trio.current_time() == 2
        await assert_cancelled(job, "late")
        assert await other.result() == OTHER
    assert_told(memory_app, sent(memory_app))


@pytest.mark.parametrize("handled", [False, True])
async def test_cancellation_does_not_shorten_cancel_requests(memory_app, autojump_clock, handled):
    add_functions(memory_app, trio.Event())
    memory_app.fault("POST", "/cancel", Hold(answer := trio.Event(), handled=handled))
    async with nothing_left(memory_app), trio.open_nursery() as nursery:
        with trio.CancelScope() as scope:
            async with new_client(memory_app) as client:
                job = client.submit(MINE, api_name="/held")
                await wait_all_tasks_blocked()
                job.cancel()

                async def cancel_and_answer() -> None:
                    await trio.sleep(1)
                    scope.cancel()
                    await trio.sleep(1)
                    answer.set()

                nursery.start_soon(cancel_and_answer)
        assert trio.current_time() == 2
    assert [event.state for event in sent(memory_app)] == ["cancelled"]


async def test_unanswered_cancel_request_is_bounded_under_cancellation(memory_app, autojump_clock):
    add_functions(memory_app, trio.Event())
    memory_app.fault("POST", "/cancel", Hold(NEVER))
    async with nothing_left(memory_app):
        with trio.move_on_after(1):
            async with new_client(memory_app) as client:
                await client.predict(MINE, api_name="/held")
        assert trio.current_time() == 1 + CANCEL_REQUEST


async def test_unnamed_call_is_bounded_under_cancellation(memory_app, autojump_clock):
    add_functions(memory_app, trio.Event())
    memory_app.fault("POST", "/queue/join", Hold(NEVER, handled=False))
    async with nothing_left(memory_app), JobGroup() as group:
        with trio.move_on_after(1):
            async with new_client(memory_app) as client:
                job = group.submit(client.endpoint("/held"), MINE)
                await trio.sleep_forever()
        assert job.done
        assert trio.current_time() == 1 + CANCEL_REQUEST


@pytest.mark.parametrize("seconds", [1, CANCEL_REQUEST - 1])
async def test_it_waits_for_name_of_cancelled_call(memory_app, autojump_clock, seconds):
    add_functions(memory_app, trio.Event())
    memory_app.fault("POST", "/queue/join", Hold(answer := trio.Event()))
    async with nothing_left(memory_app), trio.open_nursery() as nursery:
        async with new_client(memory_app) as client:
            job = client.submit(MINE, api_name="/held")
            await wait_all_tasks_blocked()
            job.cancel()

            async def answer_later() -> None:
                await trio.sleep(seconds)
                answer.set()

            nursery.start_soon(answer_later)
        assert trio.current_time() == seconds
    assert_told(memory_app, sent(memory_app))


async def test_calls_from_around_it_end_with_it(memory_app, autojump_clock):
    add_functions(memory_app, trio.Event())
    async with nothing_left(memory_app), JobGroup(limit=2) as group:
        async with new_client(memory_app) as client:
            jobs = [group.submit(client.endpoint("/held"), MINE) for _ in range(3)]
            await wait_all_tasks_blocked()
        # The third one got its turn when the client had closed.
        for job in jobs:
            await job.wait()
            await assert_cancelled(job, "the client was closed")
    assert len(sent(memory_app)) == 2
    assert_told(memory_app, sent(memory_app))


@pytest.mark.parametrize("cancelled", [False, True])
async def test_it_ends_the_calls_before_anything_else(memory_app, autojump_clock, cancelled):
    add_functions(memory_app, trio.Event())
    async with opened(memory_app, streams=1) as client, JobGroup() as group:
        jobs = [group.submit(client.endpoint("/held"), MINE) for _ in range(3)]
        await wait_all_tasks_blocked()
        assert client._registry is not None
        with trio.CancelScope() as scope:
            if cancelled:
                scope.cancel()
            await client._registry.aclose()
        assert all(job.done for job in jobs)


async def test_session_is_cancelled_while_waiting_for_jobs(memory_app, autojump_clock):
    add_functions(memory_app, trio.Event())
    async with opened(memory_app) as client:
        with trio.move_on_after(1) as scope:
            async with client.session() as session:
                jobs = [session.submit(MINE, api_name="/held") for _ in range(3)]
        assert scope.cancelled_caught
        assert trio.current_time() == 1
        for job in jobs:
            await assert_cancelled(job)
        await wait_all_tasks_blocked()
        assert_told(memory_app, sent(memory_app))
        assert memory_app.streams.open == 0


async def test_exception_comes_out_with_cancel_requests(memory_app, autojump_clock):
    add_functions(memory_app, trio.Event())
    async with nothing_left(memory_app):
        with pytest.raises(Boom):
            async with new_client(memory_app) as client:
                for _ in range(20):
                    client.submit(MINE, api_name="/held")
                await wait_all_tasks_blocked()
                raise Boom
        assert trio.current_time() == 0
    assert_told(memory_app, sent(memory_app))
