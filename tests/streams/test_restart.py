"""An app that was restarted: no call goes to another function, and none to State that is gone."""

from __future__ import annotations

from contextlib import suppress

import pytest
import trio
import trio.testing

from tests.servers.faults import Answer, Hold, Lose, Silence
from tests.servers.scripted import Event, ScriptedServer
from tests.support.sessions import (
    ROOMY,
    SECONDS,
    add_counter,
    add_sleeper,
    hashes,
    opened,
    until,
)
from triojob import (
    Client,
    ClientPool,
    ConnectionFailed,
    ConnectionLost,
    EndpointNotFound,
    JobGroup,
    Limits,
    NoReplicaAvailable,
    ServerRestarted,
    TriojobError,
)
from triojob.testing.components import textbox

Clock = trio.testing.MockClock
pytestmark = pytest.mark.usefixtures("either_way")


async def restart(server: ScriptedServer) -> None:
    """Restart the app, and let the client see its connections break."""
    server.restart()
    await trio.testing.wait_all_tasks_blocked(0.01)


def looks(server: ScriptedServer) -> int:
    """Return how often the app was asked which it is."""
    return server.paths().count("GET /app_id")


def descriptions(server: ScriptedServer) -> int:
    return server.paths().count("GET /config")


async def test_session_hears_that_its_state_is_gone(memory_app, autojump_clock, caplog):
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
        assert descriptions(memory_app) == 2
        assert caplog.text.count("was restarted") == 1
        # What was refused here keeps no request from others.
        assert client.statistics().requests == 0
        # A session that is opened afterwards has lost nothing.
        async with client.session() as later:
            assert await later.predict(api_name="/bump") == 1


async def test_running_call_is_lost_next_is_told(memory_app, autojump_clock):
    add_sleeper(memory_app, stateful=True)
    async with opened(memory_app) as client:
        running, waiting = (client.submit(10, api_name="/sleep") for _ in range(2))
        await until(lambda: memory_app.running and memory_app.streams.open)
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
        await until(lambda: memory_app.running and memory_app.streams.open)
        await restart(memory_app)
        with pytest.raises(ConnectionLost):
            await job.result()
        assert await sleep(1) == 1
        async with client.session() as session:
            assert await session.predict(2, api_name="/sleep") == 2
        assert descriptions(memory_app) == 2


async def test_break_without_a_restart_changes_nothing(memory_app, autojump_clock, caplog):
    add_counter(memory_app)
    async with opened(memory_app) as client:
        assert await client.predict(api_name="/bump") == 1
        await until(lambda: memory_app.heartbeats.open and not memory_app.streams.open)
        memory_app.kill_connections()
        await trio.testing.wait_all_tasks_blocked(0.01)
        before = looks(memory_app)
        assert await client.predict(api_name="/bump") == 2
        assert looks(memory_app) > before
        assert await client.predict(api_name="/bump") == 3
        assert descriptions(memory_app) == 1
        assert "restarted" not in caplog.text


async def break_a_call(client: Client, server: ScriptedServer) -> None:
    """Let one call fail as calls fail when their server ends."""
    server.fault("GET", "/queue/data", Lose(), times=1)
    with pytest.raises(ConnectionLost):
        await client.predict("x", api_name="/echo")


async def test_session_without_state_has_lost_nothing(memory_app, autojump_clock):
    add_counter(memory_app)
    memory_app.app.add("echo", inputs=["text"])
    async with opened(memory_app) as client, client.session() as session:
        assert await session.predict("x", api_name="/echo") == "x"
        await restart(memory_app)
        assert await session.predict(api_name="/bump") == 1
        assert descriptions(memory_app) == 2


@pytest.mark.parametrize(
    "fault, suspect",
    [
        (Lose(), True),
        (Answer(404, {"detail": "Not Found"}), True),
        (Answer(401, {"detail": "Not authenticated"}), True),
        (Answer(503, {"detail": "Queue is full. Max size is 1 and size is 1."}), False),
    ],
)
async def test_suspicious_failure_checks_app_next(fault, suspect, memory_app, autojump_clock):
    # An app that doesn't tell its id is asked for its description, and only if it is suspect.
    memory_app.fault("GET", "/app_id", Answer(404))
    memory_app.app.add("echo", inputs=["text"])
    async with opened(memory_app) as client:
        memory_app.fault("POST", "/queue/join", fault, times=1)
        with pytest.raises(TriojobError):
            await client.predict("x", api_name="/echo")
        assert await client.predict("x", api_name="/echo") == "x"
        assert descriptions(memory_app) == 1 + suspect


async def test_endpoints_that_are_held_follow_the_app(memory_app, autojump_clock):
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


async def test_other_defaults_are_no_change(memory_app, autojump_clock):
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
async def test_missing_route_asks_for_description(app_id, memory_app, autojump_clock):
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


async def test_unreachable_server_is_said_to_be_so(memory_app, autojump_clock):
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


async def test_new_app_wants_a_login_again(memory_app, autojump_clock):
    memory_app.app.auth = ("user", "secret")
    memory_app.app.add("echo", inputs=["text"])
    async with opened(memory_app, auth=("user", "secret")) as client:
        assert await client.predict("x", api_name="/echo") == "x"
        await break_a_call(client, memory_app)
        memory_app.restart()
        assert await client.predict("x", api_name="/echo") == "x"
        assert memory_app.paths().count("POST /login") == 2


async def test_another_protocol_needs_another_client(memory_app, autojump_clock):
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
        assert descriptions(memory_app) == 2
        assert len(set(hashes(memory_app))) <= 21


# --- Restarts that broke nothing which the client saw ---


def add_words(server: ScriptedServer, *names: str) -> None:
    """Add functions that put their name before a word, in the place of those that there are."""
    server.app.endpoints.clear()
    for name in names:

        async def say(event: Event, name: str = name) -> None:
            await event.completed([f"{name} {event.data[0]}"])

        server.app.add(name, say, inputs=["text"])


@pytest.mark.parametrize("idle", [0, 0.1, 60])
async def test_numbers_never_run_other_functions(idle, memory_app, autojump_clock):
    add_words(memory_app, "one", "two")
    async with opened(memory_app) as client, client.session() as session:
        one, own = client.endpoint("/one"), session.endpoint("/one")
        assert await one("x") == await own("x") == "one x"
        await trio.sleep(idle)
        add_words(memory_app, "two", "one")
        memory_app.restart()
        with pytest.raises(ServerRestarted, match=r"/one.*changed; call again"):
            await one("y")
        assert await one("z") == await own("z") == "one z"
        assert await client.predict("z", api_name="/two") == "two z"
        # By its number it is another one, after a word.
        assert await client.predict("z", fn_index=0) == "two z"


async def test_unchanged_app_keeps_working(memory_app, autojump_clock):
    add_words(memory_app, "one", "two")
    async with opened(memory_app) as client:
        one = client.endpoint("/one")
        for idle in (0, 60) * 3:
            assert await one("x") == "one x"
            await trio.sleep(idle)
            memory_app.restart()
        jobs = [client.submit("x", api_name=name) for name in ("/one", "/two") * 5]
        assert {await job.result() for job in jobs} == {"one x", "two x"}
        assert descriptions(memory_app) == 7


async def test_restart_while_connecting_is_noticed(memory_app, autojump_clock):
    add_words(memory_app, "one", "two")
    async with opened(memory_app) as client:
        one = client.endpoint("/one")
        await trio.sleep(60)
        memory_app.kill_connections()
        memory_app.listener.connect_gate = trio.Event()
        job = client.submit("x", api_name="/one")
        await trio.testing.wait_all_tasks_blocked()
        add_words(memory_app, "two", "one")
        memory_app.restart()
        memory_app.listener.connect_gate.set()
        with pytest.raises(ServerRestarted):
            await job.result()
        assert await one("x") == "one x"


async def test_restart_while_asking_gets_the_call(memory_app, autojump_clock):
    """The connection that was there for the call is gone then, and another one is made."""
    add_words(memory_app, "one")
    async with opened(memory_app) as client:
        await trio.sleep(60)
        memory_app.kill_connections()
        hold = trio.Event()
        memory_app.fault("GET", "/app_id", Hold(hold, handled=False), times=1)
        job = client.submit("x", api_name="/one")
        await trio.testing.wait_all_tasks_blocked()
        memory_app.restart()
        hold.set()
        assert await job.result() == "one x"


async def test_many_calls_on_new_connections_share_looks(memory_app, autojump_clock):
    add_words(memory_app, "one")
    async with opened(memory_app, limits=Limits(in_flight=128)) as client:
        one = client.endpoint("/one")
        for idle in (60, 0, 60):
            await trio.sleep(idle)
            looked = looks(memory_app)
            async with JobGroup() as group:
                jobs = [group.submit(one, str(n)) for n in range(128)]
            assert [await job.result() for job in jobs] == [f"one {n}" for n in range(128)]
            # They come in waves, as only some of them are sent at once.
            assert looks(memory_app) - looked < 128 / 4


async def test_connections_that_are_known_need_no_look(memory_app, autojump_clock, either_way):
    add_words(memory_app, "one")
    async with opened(memory_app) as client:
        for _ in range(3):
            await client.predict("x", api_name="/one")
        looked = looks(memory_app)
        for _ in range(20):
            await client.predict("x", api_name="/one")
        # httpx has yet to make a connection when a request is sent.
        assert looks(memory_app) - looked == (20 if either_way == "httpx" else 0)
        memory_app.kill_connections()
        await client.predict("x", api_name="/one")
        assert looks(memory_app) > looked


@pytest.mark.parametrize(
    "fault, asked",
    [
        (Answer(404, {"detail": "Not Found"}), "once"),
        (Answer(200, b"<html>"), "once"),
        (Answer(200, {"id": 3}), "once"),
        (Silence(), "once"),
        (Answer(503, b"busy"), "again"),
        (Answer(429, b"slow down"), "again"),
        (Lose(), "again"),
    ],
)
async def test_app_without_id_is_called(fault, asked, memory_app, autojump_clock):
    add_words(memory_app, "one")
    memory_app.fault("GET", "/app_id", fault)
    async with opened(memory_app) as client:
        for _ in range(4):
            assert await client.predict("x", api_name="/one") == "one x"
            await trio.sleep(60)
            memory_app.kill_connections()
            await trio.testing.wait_all_tasks_blocked()
        assert (looks(memory_app) == 1) == (asked == "once")
        assert descriptions(memory_app) == 1


async def test_idle_replicas_restart_is_noticed(memory_app, autojump_clock):
    add_words(memory_app, "one", "two")
    transport = memory_app.transport(limits=ROOMY)

    def make(url: str) -> Client:
        return Client(url, transport=transport)

    with trio.fail_after(SECONDS):
        async with ClientPool([memory_app.url], make) as pool:
            one = pool.endpoint("/one")
            assert await one("x") == "one x"
            await trio.sleep(60)
            add_words(memory_app, "two", "one")
            memory_app.restart()
            for _ in range(3):
                with suppress(ServerRestarted, NoReplicaAvailable):
                    assert await one("x") == "one x"
                await trio.sleep(60)
            assert await one("x") == "one x"
