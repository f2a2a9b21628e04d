"""A server that is deaf to cancellations delays nobody longer than `Timeouts.cancel`."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import trio
import trio.testing
from trio.testing import wait_all_tasks_blocked

from tests.servers.faults import Answer, Delay, Lose, Silence
from tests.servers.scripted import ScriptedServer
from tests.support.cancelling import (
    MINE,
    OTHER,
    add_functions,
    assert_cancelled,
    new_client,
    nothing_left,
    sent,
)
from triojob import Client, Timeouts

CANCEL_REQUEST = Timeouts().cancel


def says_yes(server: ScriptedServer) -> None:
    server.queue.deaf_to_cancel = True


def never_answers(server: ScriptedServer) -> None:
    server.fault("POST", "/cancel", Silence(handled=False))


def answers_too_late(server: ScriptedServer) -> None:
    server.fault("POST", "/cancel", Delay(CANCEL_REQUEST + 1, handled=False))


def hangs_up(server: ScriptedServer) -> None:
    server.fault("POST", "/cancel", Lose(handled=False))


def resets(server: ScriptedServer) -> None:
    server.fault("POST", "/cancel", Lose(handled=False, reset=True))


def fails(server: ScriptedServer) -> None:
    server.fault("POST", "/cancel", Answer(500, "Internal Server Error"))


def knows_no_cancel(server: ScriptedServer) -> None:
    server.fault("POST", "/cancel", Answer(404, {"detail": "Not Found"}))


def lets_nobody_in(server: ScriptedServer) -> None:
    server.listener.refusing = True


def lets_wait_at_the_door(server: ScriptedServer) -> None:
    server.listener.connect_gate = trio.Event()


Deafness = Callable[[ScriptedServer], None]
TO_CANCEL_REQUESTS = [
    says_yes,
    never_answers,
    answers_too_late,
    hangs_up,
    resets,
    fails,
    knows_no_cancel,
]
TO_ALL = [*TO_CANCEL_REQUESTS, lets_nobody_in, lets_wait_at_the_door]


def each_deafness(kinds: list[Deafness]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("deafness", kinds, ids=lambda deafness: deafness.__name__)


def end_runs(server: ScriptedServer) -> None:
    """End what the server runs on, as nobody has stopped it."""
    for event in server.running:
        event.cancel_scope.cancel()


def deaf_client(server: ScriptedServer, **options: object) -> Client:
    """Make a client that needs a new connection for each request."""
    return new_client(server, keep_alive=False, **options)


@each_deafness(TO_ALL)
@pytest.mark.parametrize("endpoint", ["/held", "/ticks", "/queued", "/kept"])
async def test_deaf_server_delays_no_job(memory_app, autojump_clock, caplog, deafness, endpoint):
    add_functions(memory_app, trio.Event())
    async with nothing_left(memory_app):
        async with deaf_client(memory_app) as client:
            job = client.submit(MINE, api_name=endpoint)
            await trio.sleep(0.5)
            deafness(memory_app)
            now = trio.current_time()
            job.cancel()
            await job.wait()
            assert trio.current_time() == now
        assert trio.current_time() <= now + CANCEL_REQUEST
        await assert_cancelled(job)
        end_runs(memory_app)
    warnings = [record.getMessage() for record in caplog.records if record.name == "triojob"]
    if deafness in (says_yes, knows_no_cancel):  # for the latter there are older ways
        assert warnings == []
    else:
        assert len(warnings) == 1
        assert endpoint in warnings[0]
        assert "cancel request" in warnings[0]
    # Whoever knows the hash of a session can cancel what runs in it.
    assert all(event.session_hash not in caplog.text for event in sent(memory_app))


@each_deafness(TO_ALL)
async def test_stream_slot_is_free_after_cancel_request(memory_app, autojump_clock, deafness):
    add_functions(memory_app, trio.Event())
    async with (
        nothing_left(memory_app),
        deaf_client(memory_app, streams=1) as client,
    ):
        job = client.submit(MINE, api_name="/ticks")
        await trio.sleep(0.5)
        deafness(memory_app)
        job.cancel()
        await trio.sleep(CANCEL_REQUEST)
        await wait_all_tasks_blocked()
        assert " 0/1 streams" in repr(client)
        assert memory_app.streams.open == 0
        end_runs(memory_app)
        # It hears again.
        memory_app.queue.deaf_to_cancel = memory_app.listener.refusing = False
        memory_app.listener.connect_gate = None
        memory_app.clear_faults()
        assert await client.predict("again", api_name="/echo") == "again"


@each_deafness(TO_CANCEL_REQUESTS)
async def test_next_stateful_call_waits_for_cancel_request(memory_app, autojump_clock, deafness):
    add_functions(memory_app, end := trio.Event())
    end.set()
    async with nothing_left(memory_app), deaf_client(memory_app) as client:
        job, other = [client.submit(text, api_name="/kept") for text in (MINE, OTHER)]
        await trio.sleep(0.5)
        deafness(memory_app)
        now = trio.current_time()
        job.cancel()
        assert await other.result() == OTHER
        assert trio.current_time() <= now + CANCEL_REQUEST
        end_runs(memory_app)


@pytest.mark.parametrize("seconds", [0, 1, 30])
async def test_time_for_cancel_request_is_a_setting(memory_app, autojump_clock, seconds):
    add_functions(memory_app, trio.Event())
    timeouts = Timeouts(cancel=seconds)
    async with nothing_left(memory_app):
        async with deaf_client(memory_app, timeouts=timeouts) as client:
            client.submit(MINE, api_name="/held")
            await trio.sleep(0.5)
            never_answers(memory_app)
            now = trio.current_time()
            client.cancel_scope.cancel()
        assert trio.current_time() == now + seconds
        end_runs(memory_app)


async def test_many_cancel_requests_share_their_time(memory_app, autojump_clock):
    """More than there are places for requests that tell of cancellations."""
    add_functions(memory_app, trio.Event())
    async with nothing_left(memory_app):
        async with deaf_client(memory_app) as client:
            for _ in range(50):
                client.submit(MINE, api_name="/held")
            await trio.sleep(0.5)
            never_answers(memory_app)
            now = trio.current_time()
            client.cancel_scope.cancel()
        assert trio.current_time() <= now + CANCEL_REQUEST
        end_runs(memory_app)


async def test_many_cancel_requests_of_session_share_time(memory_app, autojump_clock):
    add_functions(memory_app, trio.Event())
    async with nothing_left(memory_app):
        async with deaf_client(memory_app) as client:
            with trio.CancelScope() as scope:
                async with client.session() as session:
                    for _ in range(50):
                        session.submit(MINE, api_name="/held")
                    await trio.sleep(0.5)
                    never_answers(memory_app)
                    now = trio.current_time()
                    scope.cancel()
            assert trio.current_time() == now
        assert trio.current_time() <= now + CANCEL_REQUEST
        end_runs(memory_app)


@pytest.mark.parametrize("handled", [False, True])
async def test_server_silent_before_naming_is_given_up(memory_app, autojump_clock, handled):
    """The response with the call's id never comes, nor does the one to the cancel request."""
    add_functions(memory_app, trio.Event())
    never_answers(memory_app)
    memory_app.fault("POST", "/queue/join", Silence(handled=handled))
    async with nothing_left(memory_app):
        async with deaf_client(memory_app) as client:
            job = client.submit(MINE, api_name="/held")
            await trio.sleep(0.5)
            now = trio.current_time()
            job.cancel()
            await job.wait()
            assert trio.current_time() == now
        assert trio.current_time() <= now + 2 * CANCEL_REQUEST
        await assert_cancelled(job)
        end_runs(memory_app)
