"""A session hash is a secret: whoever knows it can cancel what runs there.  Nothing shows it."""

from __future__ import annotations

import logging

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tests.servers.faults import Answer, Cut, Hold, Lose
from tests.servers.scripted import Event, ScriptedServer
from tests.support.sessions import add_notebook, add_sleeper, all_tasks, hashes, opened
from triojob import Timeouts, TriojobError


def assert_unknown(text: str, server: ScriptedServer) -> None:
    assert hashes(server)
    for secret in hashes(server):
        assert secret not in text


async def test_no_repr_shows_it(autojump_clock: MockClock, memory_app: ScriptedServer) -> None:
    add_notebook(memory_app, seconds=1)
    add_sleeper(memory_app)
    async with opened(memory_app) as client, client.session() as session:
        jobs = [client.submit(1, api_name="/sleep"), client.submit("x", api_name="/note")]
        jobs += [session.submit("x", api_name="/note")]
        await wait_all_tasks_blocked()
        answer = trio.Event()
        memory_app.fault("POST", "/queue/join", Hold(answer))
        memory_app.fault("POST", "/cancel", Hold(answer))
        # One that is being sent, and one that the server is being told of.
        jobs += [client.submit(1, api_name="/sleep")]
        jobs[0].cancel()
        await wait_all_tasks_blocked()
        assert {"POST /queue/join", "POST /cancel"} == set(memory_app.paths()[-2:])
        tasks = [task.name for task in all_tasks()]
        assert len(tasks) > 10
        endpoints = [client.endpoint("/note"), session.endpoint("/sleep")]
        assert_unknown(repr([client, session, endpoints, jobs, tasks]), memory_app)
        assert len(set(hashes(memory_app))) == 4
        answer.set()


async def test_no_log_line_shows_it(autojump_clock, memory_app, caplog):
    caplog.set_level(logging.DEBUG, "triojob")
    add_notebook(memory_app, seconds=100)
    add_sleeper(memory_app)

    @memory_app.app.endpoint()
    async def odd(event: Event) -> None:
        await event.send({"msg": "news_of_a_later_gradio"})
        await event.generating(["x"])
        await event.generating_raw([[["append", [7], "y"]]])

    memory_app.fault("POST", "/cancel", Answer(500, "oh"), times=1)
    memory_app.fault("POST", "/cancel", Lose(), times=1)
    async with opened(memory_app) as client:
        await client.predict(api_name="/odd")
        for name, argument in [("/sleep", 100), ("/note", "x"), ("/sleep", 100)]:
            with trio.move_on_after(5):
                await client.predict(argument, api_name=name)
    # All but the lives of the calls: of the unknown message, the edit, two bad cancel requests.
    lives = ("submitted", "started after", "sent as event", "succeeded after", "cancelled after")
    texts = [record.getMessage().partition(": ")[2] for record in caplog.records]
    assert len([text for text in texts if not text.startswith(lives)]) == 4
    assert_unknown(caplog.text, memory_app)


async def test_http_library_logs_no_session_hash(autojump_clock, memory_app, caplog):
    """A program that logs at INFO, as many do, has the lines of all libraries in its log."""
    caplog.set_level(logging.DEBUG)
    add_sleeper(memory_app)
    async with opened(memory_app) as client:
        await client.predict(1, api_name="/sleep")
    assert_unknown(caplog.text, memory_app)


FAULTS = [
    ("GET", "/queue/data", Cut(60)),
    ("GET", "/queue/data", Cut(0)),
    ("GET", "/queue/data", Answer(404, {"detail": "Not Found"})),
    ("GET", "/queue/data", Answer(200, "<html>")),
    ("POST", "/queue/join", Lose()),
    ("POST", "/queue/join", Answer(500, "Internal Server Error")),
]


@pytest.mark.parametrize("method, path, fault", FAULTS)
async def test_no_error_shows_it(autojump_clock, memory_app, method, path, fault):
    add_sleeper(memory_app)
    memory_app.fault(method, path, fault)
    async with opened(memory_app, timeouts=Timeouts(cancel=1)) as client:
        with pytest.raises(TriojobError) as caught:
            await client.predict(1, api_name="/sleep")
    error: BaseException | None = caught.value
    while error is not None:
        assert_unknown(f"{error} {error!r}", memory_app)
        error = error.__cause__
