"""An event stream that breaks: closed, reset, cut anywhere, ended early, the server gone."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests.servers.faults import Cut, EndAfter, Hold
from tests.servers.scripted import Event, ScriptedServer
from tests.support.faults import (
    BOTH_WAYS,
    CLOSE_STREAM,
    RIDES,
    add_endpoints,
    clean_client,
    failures,
    kinds,
    riding,
)
from tests.support.jobs import BaseExceptionGroup, leaves
from tests.support.sessions import hashes
from triojob import Client, ConnectionFailed, ConnectionLost

pytestmark = BOTH_WAYS

BREAKS: dict[str, Callable[[ScriptedServer], None]] = {
    "closed": lambda server: server.kill_connections(),
    "reset": lambda server: server.kill_connections(reset=True),
    "restarted": lambda server: server.restart(),
}


@pytest.mark.parametrize("ride", RIDES)
@pytest.mark.parametrize("way", BREAKS)
async def test_broken_stream_fails_all_its_calls(memory_app, autojump_clock, ride, way):
    add_endpoints(memory_app)
    async with riding(memory_app, ride) as calls:
        jobs = await calls.under_way()
        now = trio.current_time()
        BREAKS[way](memory_app)
        errors = await failures(jobs)
        assert trio.current_time() == now
        assert kinds(errors) == {ConnectionLost}
        assert all("GET /queue/data" in str(error) for error in errors)
        # What had come by then is kept, and nothing is sent again.
        assert [job.outputs() for job in jobs] == [["Once", "Once upon"]] * calls.count
        assert len(memory_app.joins) == calls.count
        await calls.assert_goes_on()


@pytest.mark.parametrize("ride", RIDES)
async def test_dead_server_loses_running_and_refuses_next(memory_app, autojump_clock, ride):
    add_endpoints(memory_app)
    async with riding(memory_app, ride) as calls:
        jobs = await calls.under_way()
        now = trio.current_time()
        memory_app.die()
        assert kinds(await failures(jobs)) == {ConnectionLost}
        assert kinds(await failures(calls.start("x", api_name="/echo"))) == {ConnectionFailed}
        assert trio.current_time() == now
        assert len(memory_app.joins) == calls.count
        memory_app.restart()
        await calls.assert_goes_on()


@pytest.mark.parametrize("reset", [False, True])
async def test_stream_may_be_cut_after_any_byte(memory_app, autojump_clock, reset):
    add_endpoints(memory_app)
    results: list[str] = []
    async with clean_client(memory_app) as client:
        for size in range(0, 1000, 7):  # every byte would take long, and show no more
            memory_app.fault("GET", "/queue/data", Cut(size, reset=reset), times=1)
            job = client.submit("text", api_name="/echo")
            await job.wait()
            memory_app.clear_faults()
            error = job.exception()
            results.append(job.outcome.unwrap() if error is None else type(error).__name__)
            if results[-2:] == ["text", "text"]:
                break
        assert await client.predict("again", api_name="/echo") == "again"
        # It fails until its completion has come; what happens to the stream then is all the same.
        lost = results.count("ConnectionLost")
        assert lost > 40
        assert results == ["ConnectionLost"] * lost + ["text", "text"]
        assert len(memory_app.joins) == len(results) + 1


@pytest.mark.parametrize("ride", RIDES)
@pytest.mark.parametrize("forget", [False, True])
@pytest.mark.parametrize("frames", [0, 1, 2, 3])
async def test_stream_that_ends_early_is_broken_one(
    memory_app, autojump_clock, ride, forget, frames
):
    add_endpoints(memory_app)
    async with riding(memory_app, ride) as calls:
        await calls.connect()
        now = trio.current_time()
        memory_app.fault("GET", "/queue/data", EndAfter(frames, forget=forget), times=1)
        errors = await failures(calls.start(api_name="/story"))
        assert trio.current_time() == now
        assert kinds(errors) == {ConnectionLost}
        assert all("before the calls had finished" in str(error) for error in errors)
        assert len(memory_app.joins) == calls.count
        await calls.assert_goes_on()


@pytest.mark.parametrize("ride", RIDES)
async def test_server_leaving_early_loses_unfinished_calls(memory_app, autojump_clock, ride):
    add_endpoints(memory_app)

    @memory_app.app.endpoint()
    async def leave(event: Event) -> None:
        await event.raw(CLOSE_STREAM)
        event.never_complete()

    async with riding(memory_app, ride) as calls:
        now = trio.current_time()
        # Three frames: where it stands in the queue, that it has started, and the cancel request.
        memory_app.fault("GET", "/queue/data", EndAfter(3), times=1)
        [error] = await failures([calls.surface.submit(api_name="/leave")])
        assert trio.current_time() == now
        assert type(error) is ConnectionLost
        assert "before /leave had finished" in str(error)
        assert len(memory_app.joins) == 1
        await calls.assert_goes_on()


@pytest.mark.parametrize("ride", RIDES)
async def test_new_session_hash_follows_a_break_only(memory_app, autojump_clock, ride):
    add_endpoints(memory_app)
    async with riding(memory_app, ride) as calls:
        for _ in range(2):
            assert await calls.surface.predict("x", api_name="/echo") == "x"
            await trio.sleep(5)  # until the stream has been closed
        jobs = [calls.surface.submit(api_name="/story")]
        await wait_all_tasks_blocked()
        memory_app.kill_connections()
        await failures(jobs)
        for _ in range(2):
            assert await calls.surface.predict("x", api_name="/echo") == "x"
            await trio.sleep(5)  # until the stream has been closed
    first, second, broken, fourth, fifth = hashes(memory_app)
    assert first == second == broken
    assert broken != fourth == fifth


async def test_each_lost_job_names_its_endpoint(memory_app, autojump_clock):
    # One exception raised in several tasks would mix up their tracebacks, and a group would
    # raise one failure in the place of several.
    add_endpoints(memory_app)

    @memory_app.app.endpoint()
    async def wait(event: Event) -> None:
        await trio.sleep_forever()

    async with clean_client(memory_app) as client, client.session() as session:
        jobs = [session.submit(api_name=name) for name in ("/story", "/wait", "/wait")]
        await wait_all_tasks_blocked()
        memory_app.kill_connections()
        errors = await failures(jobs)
        assert len({id(error) for error in errors}) == 3
        for job, error in zip(jobs, errors, strict=True):
            assert job.name in str(error)
        [cause] = {error.__cause__ for error in errors}
        assert type(cause) is ConnectionLost


async def test_group_raises_a_failure_per_lost_job(memory_app, autojump_clock):
    add_endpoints(memory_app)
    with trio.fail_after(100), pytest.raises(BaseExceptionGroup) as caught:
        client = Client(memory_app.url, transport=memory_app.transport())
        async with client, client.session() as session:
            for _ in range(3):
                session.submit(api_name="/story")
            await wait_all_tasks_blocked()
            memory_app.kill_connections()
    assert [type(error) for error in leaves(caught.value)] == [ConnectionLost] * 3


@pytest.mark.parametrize("handled", [False, True])
async def test_call_sent_while_stream_breaks_is_lost(memory_app, autojump_clock, handled):
    # Whether it came before the server noticed the break, and so dropped it, nobody knows.
    add_endpoints(memory_app)
    gate = trio.Event()
    async with riding(memory_app, "session") as calls:
        jobs = await calls.under_way()
        memory_app.fault("POST", "/queue/join", Hold(gate, handled=handled), times=1)
        sent = calls.surface.submit("x", api_name="/echo")
        await wait_all_tasks_blocked()
        # Only the stream breaks: the connection of the call that is being sent stays.
        memory_app.post(hashes(memory_app)[0], b"data: nonsense\n\n")
        await failures(jobs)
        assert not sent.done
        other = calls.surface.submit(api_name="/story")
        await wait_all_tasks_blocked()
        gate.set()
        with trio.fail_after(10):
            [error] = await failures([sent])
        assert type(error) is ConnectionLost
        assert "/echo" in str(error)
        assert "broke while the call was being sent" in str(error)
        # The server is told, in the session in which the call was made.
        await wait_all_tasks_blocked()
        [cancel] = memory_app.cancels
        assert cancel["session_hash"] == hashes(memory_app)[0]
        assert not other.done
        other.cancel()
        assert len(memory_app.joins) == calls.count + 2
        await calls.assert_goes_on()


async def test_unused_streams_break_fails_nobody(memory_app, autojump_clock):
    add_endpoints(memory_app)
    memory_app.queue.deaf_to_cancel = (
        True  # so that the server keeps the stream of the session open
    )
    async with riding(memory_app, "session") as calls:
        for job in await calls.under_way():
            job.cancel()
        await trio.sleep(0.5)
        assert memory_app.streams.open == 1
        memory_app.kill_connections()
        await calls.assert_goes_on()
        # Of the session, the server has kept what it had.
        assert len(set(hashes(memory_app)[: calls.count + 1])) == 1
