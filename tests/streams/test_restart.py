"""An app that was started anew: State that is gone is never taken for State that is there."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing

from tests.servers.faults import Answer, Fault, Lose
from tests.servers.scripted import Event, ScriptedServer
from tests.streams.support import add_counter, add_sleeper, opened, sessions, until
from triojob import (
    Client,
    ConnectionFailed,
    ConnectionLost,
    EndpointNotFound,
    JobGroup,
    ServerRestarted,
    TriojobError,
)
from triojob.testing.components import textbox

Clock = trio.testing.MockClock


async def restart(server: ScriptedServer) -> None:
    """Start the app anew, and let the client see its connections break."""
    server.restart()
    await trio.testing.wait_all_tasks_blocked(0.01)


def lookups(server: ScriptedServer) -> int:
    return server.paths().count("GET /app_id")


async def test_session_hears_that_its_state_is_gone(
    memory_app: ScriptedServer, autojump_clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    add_counter(memory_app)
    async with opened(memory_app) as client, client.session() as session:
        for each in (client, session):
            assert [await each.predict(api_name="/bump") for _ in range(2)] == [1, 2]
        await restart(memory_app)
        joins = len(memory_app.joins)
        for each in (client, session):
            with pytest.raises(ServerRestarted, match="State"):
                await each.predict(api_name="/bump")
        assert len(memory_app.joins) == joins
        # Told once; from then on it's the caller's own decision.
        for each in (client, session):
            assert [await each.predict(api_name="/bump") for _ in range(2)] == [1, 2]
        assert lookups(memory_app) == 1
        assert caplog.text.count("started anew") == 1
        # What was refused here keeps no request from others.
        assert client.statistics().requests == 0
        # A session that is opened afterwards has lost nothing.
        async with client.session() as later:
            assert await later.predict(api_name="/bump") == 1


async def test_call_that_was_under_way_is_lost_and_the_next_one_told(
    memory_app: ScriptedServer, autojump_clock: Clock
) -> None:
    add_sleeper(memory_app, stateful=True)
    async with opened(memory_app) as client:
        running, waiting = (client.submit(10, api_name="/sleep") for _ in range(2))
        await until(lambda: memory_app.running and memory_app.open_streams)
        await restart(memory_app)
        with pytest.raises(ConnectionLost) as lost:
            await running.result()
        assert not isinstance(lost.value, ServerRestarted)
        with pytest.raises(ServerRestarted):
            await waiting.result()
        assert await client.predict(10, api_name="/sleep") == 10


async def test_calls_without_state_go_on(memory_app: ScriptedServer, autojump_clock: Clock) -> None:
    add_sleeper(memory_app)
    async with opened(memory_app) as client:
        sleep = client.endpoint("/sleep")
        job = client.submit(10, api_name="/sleep")
        await until(lambda: memory_app.running and memory_app.open_streams)
        await restart(memory_app)
        with pytest.raises(ConnectionLost):
            await job.result()
        assert await sleep(1) == 1
        assert lookups(memory_app) == 1
        async with client.session() as session:
            assert await session.predict(2, api_name="/sleep") == 2
        assert lookups(memory_app) == 1


async def test_break_without_a_restart_changes_nothing(
    memory_app: ScriptedServer, autojump_clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    add_counter(memory_app)
    async with opened(memory_app) as client:
        assert await client.predict(api_name="/bump") == 1
        await until(lambda: memory_app.open_heartbeats and not memory_app.open_streams)
        memory_app.kill_connections()
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert await client.predict(api_name="/bump") == 2
        assert lookups(memory_app) == 1
        assert await client.predict(api_name="/bump") == 3
        assert lookups(memory_app) == 1
        assert memory_app.paths().count("GET /config") == 1
        assert "anew" not in caplog.text


async def break_a_call(client: Client, server: ScriptedServer) -> None:
    """Let one call fail as calls fail when their server ends."""
    server.fault("GET", "/queue/data", Lose(), times=1)
    with pytest.raises(ConnectionLost):
        await client.predict("x", api_name="/echo")


async def test_session_without_state_has_lost_nothing(
    memory_app: ScriptedServer, autojump_clock: Clock
) -> None:
    add_counter(memory_app)
    memory_app.app.add("echo", inputs=["text"])
    async with opened(memory_app) as client, client.session() as session:
        assert await session.predict("x", api_name="/echo") == "x"
        await restart(memory_app)
        assert await session.predict(api_name="/bump") == 1
        assert lookups(memory_app) == 1


@pytest.mark.parametrize(
    "fault, looks",
    [
        (Lose(), 1),
        (Answer(404, {"detail": "Not Found"}), 1),
        (Answer(401, {"detail": "Not authenticated"}), 1),
        (Answer(503, {"detail": "Queue is full. Max size is 1 and size is 1."}), 0),
    ],
)
async def test_call_that_failed_as_if_the_app_were_another_has_the_next_one_look(
    fault: Fault, looks: int, memory_app: ScriptedServer, autojump_clock: Clock
) -> None:
    memory_app.app.add("echo", inputs=["text"])
    async with opened(memory_app) as client:
        memory_app.fault("POST", "/queue/join", fault, times=1)
        with pytest.raises(TriojobError):
            await client.predict("x", api_name="/echo")
        assert await client.predict("x", api_name="/echo") == "x"
        assert lookups(memory_app) == looks


async def test_endpoints_that_are_held_follow_the_app(
    memory_app: ScriptedServer, autojump_clock: Clock
) -> None:
    async def shout(event: Event) -> None:
        await event.completed([event.data[1].upper()])

    app = memory_app.app
    app.add("echo", inputs=["text"])
    app.add("shout", shout, inputs=["how", "text"])
    async with opened(memory_app) as client:
        echo, shouting = client.endpoint("/echo"), client.endpoint("/shout")
        assert await shouting("loud", "x") == "X"
        await break_a_call(client, memory_app)
        # The same two functions in another order, and one of them with a new parameter.
        app.endpoints.clear()
        app.add("shout", shout, inputs=["how", "text", "more"])
        app.add("echo", inputs=["text"])
        memory_app.restart()
        # What was encoded for the old app is not sent to the new one.
        with pytest.raises(ServerRestarted, match=r"/shout.*changed"):
            await shouting("loud", "x")
        with pytest.raises(TypeError, match="'more'"):
            await shouting("loud", "x")
        assert await shouting("loud", "x", "y") == "X"
        assert await echo("hi") == "hi"
        await break_a_call(client, memory_app)
        app.endpoints.clear()
        app.add("echo", inputs=["text"])
        memory_app.restart()
        with pytest.raises(ServerRestarted):
            await shouting("loud", "x", "y")
        with pytest.raises(EndpointNotFound, match="/shout"):
            await shouting("loud", "x", "y")
        assert await echo("hi") == "hi"


async def test_other_defaults_are_no_change(
    memory_app: ScriptedServer, autojump_clock: Clock
) -> None:
    """An app may compute them when it starts."""

    def add_echo(default: str) -> None:
        memory_app.app.endpoints.clear()
        memory_app.app.add("echo", inputs=[textbox("text", value=default)], optional=["text"])

    add_echo("old")
    async with opened(memory_app) as client:
        assert await client.predict(api_name="/echo") == "old"
        await break_a_call(client, memory_app)
        add_echo("new")
        memory_app.restart()
        # It was bound to the app as it was.
        assert await client.predict(api_name="/echo") == "old"
        assert await client.predict(api_name="/echo") == "new"


@pytest.mark.parametrize("app_id", [None, 1, "text"])
async def test_app_without_the_route_is_asked_for_its_description(
    app_id: Any, memory_app: ScriptedServer, autojump_clock: Clock
) -> None:
    add_counter(memory_app)
    memory_app.app.add("echo", inputs=["text"])
    memory_app.app.config_overrides["app_id"] = app_id
    memory_app.fault("GET", "/app_id", Answer(404, {"detail": "Not Found"}))
    async with opened(memory_app) as client:
        assert await client.predict(api_name="/bump") == 1
        await break_a_call(client, memory_app)
        assert await client.predict(api_name="/bump") == 2
        memory_app.app.config_overrides["app_id"] = 2
        await break_a_call(client, memory_app)
        with pytest.raises(ServerRestarted):
            await client.predict(api_name="/bump")


async def test_unreachable_server_is_said_to_be_so(
    memory_app: ScriptedServer, autojump_clock: Clock
) -> None:
    add_counter(memory_app)
    async with opened(memory_app) as client:
        assert await client.predict(api_name="/bump") == 1
        memory_app.die()
        for _ in range(3):
            with pytest.raises(ConnectionFailed):
                await client.predict(api_name="/bump")
        memory_app.restart()
        with pytest.raises(ServerRestarted):
            await client.predict(api_name="/bump")
        assert await client.predict(api_name="/bump") == 1


async def test_new_app_wants_a_login_again(
    memory_app: ScriptedServer, autojump_clock: Clock
) -> None:
    memory_app.app.auth = ("user", "secret")
    memory_app.app.add("echo", inputs=["text"])
    async with opened(memory_app, auth=("user", "secret")) as client:
        assert await client.predict("x", api_name="/echo") == "x"
        await break_a_call(client, memory_app)
        memory_app.restart()
        assert await client.predict("x", api_name="/echo") == "x"
        assert memory_app.paths().count("POST /login") == 2


async def test_another_protocol_needs_another_client(
    memory_app: ScriptedServer, autojump_clock: Clock
) -> None:
    memory_app.app.add("echo", inputs=["text"])
    async with opened(memory_app) as client:
        await break_a_call(client, memory_app)
        memory_app.app.protocol = "sse_v4"
        memory_app.restart()
        for _ in range(2):
            with pytest.raises(ServerRestarted, match="open a new Client"):
                await client.predict("x", api_name="/echo")


async def test_many_calls_look_once(memory_app: ScriptedServer, autojump_clock: Clock) -> None:
    memory_app.app.add("echo", inputs=["text"])
    async with opened(memory_app) as client:
        echo = client.endpoint("/echo")
        await break_a_call(client, memory_app)
        memory_app.restart()
        async with JobGroup() as group:
            jobs = [group.submit(echo, str(i)) for i in range(20)]
        assert [await job.result() for job in jobs] == [str(i) for i in range(20)]
        assert lookups(memory_app) == 1
        assert len(set(sessions(memory_app))) <= 21
