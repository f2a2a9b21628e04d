"""A server that starts anew, between calls and in the midst of them."""

from __future__ import annotations

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests.servers.faults import Hold
from tests.support.faults import (
    RIDES,
    add_endpoints,
    assert_idle,
    clean_client,
    failures,
    kinds,
    riding,
)
from tests.support.sessions import add_notebook, hashes
from triojob import ConnectionLost, JobGroup, ServerRestarted, Status


@pytest.mark.parametrize("ride", RIDES)
async def test_a_restart_between_calls_goes_unnoticed(memory_app, autojump_clock, ride):
    add_endpoints(memory_app)
    async with riding(memory_app, ride) as calls:
        for _ in range(5):
            jobs = calls.start("x", api_name="/echo")
            assert [await job.result() for job in jobs] == ["x"] * calls.count
            await trio.sleep(5)  # until the stream has been closed
            memory_app.restart()
        assert len(memory_app.joins) == 5 * calls.count
        await calls.assert_goes_on()


async def test_restart_harms_no_idle_connections(memory_app, autojump_clock):
    add_endpoints(memory_app)
    async with clean_client(memory_app) as client:
        for _ in range(3):
            async with JobGroup() as group:
                jobs = [group.submit(client.endpoint("/echo"), str(n)) for n in range(30)]
            assert [await job.result() for job in jobs] == [str(n) for n in range(30)]
            await trio.sleep(5)
            assert memory_app.open_connections >= 5
            memory_app.restart()
        assert len(memory_app.joins) == 90


@pytest.mark.parametrize("ride", RIDES)
async def test_queued_calls_are_lost_in_restart(memory_app, autojump_clock, ride):
    memory_app.app.concurrency_limit = 1
    add_endpoints(memory_app)
    async with riding(memory_app, ride) as calls:
        running = calls.surface.submit(api_name="/story")
        await wait_all_tasks_blocked()
        waiting = calls.start(api_name="/story")
        await wait_all_tasks_blocked()
        assert [job.status().code for job in waiting] == [Status.IN_QUEUE] * calls.count
        now = trio.current_time()
        memory_app.restart()
        assert kinds(await failures([running, *waiting])) == {ConnectionLost}
        assert trio.current_time() == now
        assert len(memory_app.joins) == calls.count + 1
        await calls.assert_goes_on()


@pytest.mark.parametrize("ride", RIDES)
@pytest.mark.parametrize("handled", [False, True])
async def test_call_being_sent_is_lost_in_restart(memory_app, autojump_clock, ride, handled):
    add_endpoints(memory_app)
    async with riding(memory_app, ride) as calls:
        memory_app.fault(
            "POST", "/queue/join", Hold(trio.Event(), handled=handled), times=calls.count
        )
        jobs = calls.start("x", api_name="/echo")
        await wait_all_tasks_blocked()
        assert [job.status().code for job in jobs] == [Status.JOINING_QUEUE] * calls.count
        memory_app.restart()
        assert kinds(await failures(jobs)) == {ConnectionLost}
        assert len(memory_app.joins) == calls.count
        await calls.assert_goes_on()


@pytest.mark.parametrize("ride", RIDES)
async def test_each_restart_costs_its_call_only(memory_app, autojump_clock, ride):
    add_endpoints(memory_app)
    async with riding(memory_app, ride) as calls:
        for _ in range(10):
            jobs = await calls.under_way()
            memory_app.restart()
            assert kinds(await failures(jobs)) == {ConnectionLost}
        assert len(set(hashes(memory_app))) == 10
        await calls.assert_goes_on()


async def test_the_state_starts_anew_after_a_restart(memory_app, autojump_clock):
    add_endpoints(memory_app)
    add_notebook(memory_app)
    async with clean_client(memory_app) as client, client.session() as session:
        for surface in (client, session):
            assert await surface.predict("a", api_name="/note") == "a"
            assert await surface.predict("b", api_name="/note") == "ab"
        await assert_idle(client, memory_app)
        memory_app.restart()
        await wait_all_tasks_blocked()  # until the heartbeats have noticed
        for surface in (client, session):
            with pytest.raises(ServerRestarted):
                await surface.predict("c", api_name="/note")
            assert await surface.predict("c", api_name="/note") == "c"
            assert await surface.predict("d", api_name="/note") == "cd"


async def test_state_starts_anew_after_stream_broke(memory_app, autojump_clock):
    # The server goes on, but drops what the session had when it notices, now or in a moment.
    add_endpoints(memory_app)
    add_notebook(memory_app, seconds=1)
    async with clean_client(memory_app) as client, client.session() as session:
        for surface in (client, session):
            assert await surface.predict("a", api_name="/note") == "a"
            lost = surface.submit("b", api_name="/note")
            await wait_all_tasks_blocked()
            memory_app.kill_connections()
            assert kinds(await failures([lost])) == {ConnectionLost}
            assert await surface.predict("c", api_name="/note") == "c"


async def test_app_gets_login_again_after_restart(memory_app, autojump_clock):
    add_endpoints(memory_app)
    memory_app.app.auth = ("ada", "password")
    async with clean_client(memory_app, auth=("ada", "password")) as client:
        assert await client.predict("x", api_name="/echo") == "x"
        await trio.sleep(5)
        memory_app.restart()
        assert await client.predict("y", api_name="/echo") == "y"
        assert len(memory_app.joins) == 2
    assert memory_app.paths().count("POST /login") == 2
