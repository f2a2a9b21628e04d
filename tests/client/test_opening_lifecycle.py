"""The life of a client: before it is entered, while it is open, and after its end."""

from __future__ import annotations

from collections.abc import Awaitable

import pytest
import trio
import trio.testing

from tests.servers.faults import Hold, HoldFrame, Silence
from tests.servers.scripted import ScriptedServer, open_server
from tests.support.opening import (
    LOGIN,
    add_functions,
    ask_for_everything,
    new_client,
    nothing_left_over,
    wait_until_running,
)
from triojob import Client, ClientClosed, JobCancelled, JobGroup, Limits


async def enter_session(client: Client) -> None:
    async with client.session():
        raise AssertionError("it was opened")


async def submit(client: Client) -> None:
    client.submit("a", api_name="/echo")


async def call(client: Client) -> None:
    await client.predict("a", api_name="/echo")


# --- Before ---


@pytest.mark.parametrize(
    "use",
    [
        submit,
        call,
        enter_session,
        lambda client: client.endpoint("/echo"),
        lambda client: client.view_api(),
        lambda client: client.version,
        lambda client: client.protocol,
        lambda client: client.cancel_scope,
    ],
    ids=["submit", "predict", "session", "endpoint", "view_api", "version", "protocol", "scope"],
)
async def test_unentered_client_says_what_to_do(memory_app, use):
    client = new_client(memory_app)
    with pytest.raises(ClientClosed, match=r"async with Client\(url\) as client"):
        result = use(client)
        if isinstance(result, Awaitable):
            await result
    assert memory_app.requests == []


async def test_making_a_client_does_nothing_yet(memory_app: ScriptedServer) -> None:
    client = new_client(memory_app)
    await trio.testing.wait_all_tasks_blocked()
    assert memory_app.network.connects == []
    assert client.jobs == ()
    assert client.src == "http://scripted.test/"
    assert client.limits.streams == 256


# --- While it is open ---


async def test_client_cannot_be_entered_twice_at_once(memory_app: ScriptedServer) -> None:
    add_functions(memory_app)
    async with new_client(memory_app) as client:
        with pytest.raises(ClientClosed, match="only once"):
            async with client:
                raise AssertionError("it was entered")
        # The first is not harmed.
        assert await client.predict("a", api_name="/echo") == "a"


async def test_a_client_cannot_be_entered_again(memory_app: ScriptedServer) -> None:
    client = new_client(memory_app)
    async with client:
        pass
    with pytest.raises(ClientClosed, match="create a new one"):
        async with client:
            raise AssertionError("it was entered")
    assert memory_app.paths() == ["GET /config", "GET /info"]


async def test_the_repr_tells_the_state(memory_app: ScriptedServer) -> None:
    add_functions(memory_app)
    client = new_client(memory_app, limits=Limits(streams=3))
    assert repr(client) == "<Client http://scripted.test/ (not entered)>"
    async with client:
        assert repr(client) == "<Client http://scripted.test/ sse_v3 0 jobs, 0/3 streams>"
        jobs = [client.submit("a", api_name="/hang") for _ in range(2)]
        await trio.testing.wait_all_tasks_blocked()
        assert repr(client) == "<Client http://scripted.test/ sse_v3 2 jobs, 2/3 streams>"
        for job in jobs:
            job.cancel()
    assert repr(client) == "<Client http://scripted.test/ sse_v3 closed, 0/3 streams>"


async def test_leaving_waits_for_the_jobs_of_submit(memory_app, autojump_clock):
    release = trio.Event()
    add_functions(memory_app)
    memory_app.fault("POST", "/queue/join", Hold(release))
    async with trio.open_nursery() as nursery:

        async def let_go() -> None:
            await trio.sleep(100)
            release.set()

        nursery.start_soon(let_go)
        async with new_client(memory_app) as client:
            job = client.submit("a", api_name="/echo")
    assert trio.current_time() >= 100
    assert await job.result() == "a"


async def test_jobs_may_be_submitted_while_ending(memory_app, autojump_clock):
    add_functions(memory_app)
    jobs = []
    async with new_client(memory_app) as client:
        jobs.append(client.submit("a", api_name="/echo"))
        jobs[0].on_result(lambda _: jobs.append(client.submit("b", api_name="/echo")))
    assert [await job.result() for job in jobs] == ["a", "b"]


async def test_the_clients_scope_ends_it(memory_app, autojump_clock):
    add_functions(memory_app)
    async with nothing_left_over(memory_app):
        async with new_client(memory_app) as client:
            job = client.submit("a", api_name="/hang")
            await wait_until_running(memory_app, 1)
            client.cancel_scope.cancel()
            await trio.sleep_forever()
        assert client.cancel_scope.cancelled_caught
        assert job.cancelled
        assert len(memory_app.cancels) == 1


async def test_leaving_does_not_wait_for_open_stream(memory_app, autojump_clock):
    add_functions(memory_app)
    memory_app.fault("GET", "/queue/data", HoldFrame(trio.Event(), "close_stream"))
    async with nothing_left_over(memory_app):
        async with new_client(memory_app) as client, client.session() as session:
            assert await session.predict("a", api_name="/echo") == "a"
            assert await client.predict("a", api_name="/echo") == "a"
        assert trio.current_time() == 0


# --- After its end ---


async def test_nothing_can_be_started_after_the_end(memory_app: ScriptedServer) -> None:
    add_functions(memory_app)
    async with new_client(memory_app) as client:
        echo = client.endpoint("/echo")
    with pytest.raises(ClientClosed):
        client.submit("a", api_name="/echo")
    with pytest.raises(ClientClosed):
        await client.predict("a", api_name="/echo")
    with pytest.raises(ClientClosed, match=r"client of /echo has been closed"):
        await echo("a")
    async with JobGroup() as group:
        with pytest.raises(ClientClosed, match=r"client of /echo has been closed"):
            group.submit(echo, "a")
        assert group.jobs == ()
    assert memory_app.joins == []


async def test_no_endpoint_after_the_end(memory_app: ScriptedServer) -> None:
    add_functions(memory_app)
    async with new_client(memory_app) as client:
        pass
    with pytest.raises(ClientClosed):
        client.endpoint("/echo")


async def test_session_after_the_end_makes_no_call(memory_app):
    add_functions(memory_app)
    async with new_client(memory_app) as client:
        pass
    with pytest.raises(ClientClosed):
        async with client.session() as session:
            await session.predict("a", api_name="/echo")
    assert memory_app.joins == []


async def test_session_takes_no_calls_after_its_end(memory_app: ScriptedServer) -> None:
    add_functions(memory_app)
    async with new_client(memory_app) as client:
        async with client.session() as session:
            echo = session.endpoint("/echo")
            assert await echo("a") == "a"
        with pytest.raises(ClientClosed):
            session.submit("a", api_name="/echo")
        with pytest.raises(ClientClosed):
            await session.predict("a", api_name="/echo")
        with pytest.raises(ClientClosed, match=r"session of .* has ended"):
            await echo("a")
        # The client goes on.
        assert await client.predict("b", api_name="/echo") == "b"
    assert len(memory_app.joins) == 2


async def test_what_is_known_of_app_stays_known(memory_app: ScriptedServer) -> None:
    async with new_client(memory_app) as client:
        text = client.view_api()
    assert client.view_api() == text
    assert client.version == "6.31.0"
    assert client.protocol == "sse_v3"
    assert client.jobs == ()


# --- Nothing is left over ---


async def test_a_full_life_leaves_nothing(memory_app, autojump_clock):
    memory_app.app.auth = LOGIN
    add_functions(memory_app)
    async with (
        nothing_left_over(memory_app),
        new_client(memory_app, auth=LOGIN) as client,
        client.session() as session,
    ):
        await ask_for_everything(memory_app, client)
        await session.predict("a", api_name="/echo")
        session.submit("a", api_name="/hang").cancel()
        with pytest.raises(RuntimeError):
            await client.predict("a", api_name="/fail")
        with trio.move_on_after(5):
            await client.predict("a", api_name="/hang")


async def test_a_life_in_vain_leaves_nothing(memory_app: ScriptedServer) -> None:
    async with nothing_left_over(memory_app), new_client(memory_app):
        pass


@pytest.mark.parametrize("path", ["/login", "/config", "/info"])
async def test_opening_can_be_cancelled_at_any_time(memory_app, autojump_clock, path):
    memory_app.app.auth = LOGIN
    memory_app.fault("POST" if path == "/login" else "GET", path, Silence())
    client = new_client(memory_app, auth=LOGIN)
    async with nothing_left_over(memory_app):
        with trio.move_on_after(3) as scope:
            async with client:
                raise AssertionError("it was opened")
        assert scope.cancelled_caught
        assert trio.current_time() == 3
    with pytest.raises(ClientClosed):
        client.endpoint("/echo")


async def test_opening_can_be_cancelled_while_it_connects(memory_app, autojump_clock):
    memory_app.listener.connect_gate = trio.Event()
    async with nothing_left_over(memory_app):
        with trio.move_on_after(3) as scope:
            async with new_client(memory_app):
                raise AssertionError("it was opened")
        assert scope.cancelled_caught
    assert memory_app.listener.connections_made == 0


async def test_client_entered_under_cancelled_scope_sends_nothing(memory_app):
    async with nothing_left_over(memory_app):
        with trio.CancelScope() as scope:
            scope.cancel()
            async with new_client(memory_app):
                raise AssertionError("it was opened")
        assert scope.cancelled_caught
    assert memory_app.requests == []


# --- Several ---


async def test_clients_of_one_app_share_nothing(memory_app, autojump_clock):
    add_functions(memory_app)
    async with nothing_left_over(memory_app):
        async with new_client(memory_app) as one:
            async with new_client(memory_app) as two:
                theirs = two.submit("a", api_name="/hang")
                ours = one.submit("a", api_name="/hang")
                assert (one.jobs, two.jobs) == ((ours,), (theirs,))
                await wait_until_running(memory_app, 2)
                two.cancel_scope.cancel()
            assert theirs.cancelled
            assert not ours.done
            assert await one.predict("a", api_name="/echo") == "a"
            ours.cancel()
        assert len({join["session_hash"] for join in memory_app.joins}) == 3


async def test_clients_of_two_apps_stay_apart(memory_app: ScriptedServer) -> None:
    add_functions(memory_app)
    async with open_server(memory=True) as other_app:
        other_app.app.add("shout", inputs=["a"])
        async with new_client(memory_app) as one, new_client(other_app) as two:
            echo, shout = one.endpoint("/echo"), two.endpoint("/shout")
            async with JobGroup() as group:
                jobs = [group.submit(echo, "a"), group.submit(shout, "b")]
            assert [await job.result() for job in jobs] == ["a", "b"]
        assert len(memory_app.joins) == len(other_app.joins) == 1


async def test_outer_client_may_end_groups_calls(memory_app, autojump_clock):
    add_functions(memory_app)
    async with nothing_left_over(memory_app), JobGroup() as group:
        async with new_client(memory_app) as outer:
            async with new_client(memory_app) as inner:
                jobs = [group.submit(client.endpoint("/hang"), "a") for client in (outer, inner)]
                await wait_until_running(memory_app, 2)
            assert [job.done for job in jobs] == [False, True]
        assert all(job.cancelled for job in jobs)
        with pytest.raises(JobCancelled, match="the client was closed"):
            await jobs[0].result()
