"""What the server is told of a cancellation: once, by the right name, and only if it needs to be.

A cancellation that comes before the server has named the call is held until it has.
"""

from __future__ import annotations

import logging

import pytest
import trio
import trio.testing
from trio.testing import wait_all_tasks_blocked

from tests.servers.faults import Answer, Delay, Fault, Hold, Lose
from tests.servers.scripted import Event, GradioError, ScriptedServer
from tests.support.cancelling import (
    MINE,
    OTHER,
    add_functions,
    assert_cancelled,
    assert_idle,
    assert_told,
    opened,
    sent,
)
from triojob import AppError, Client, Job, JobCancelled, JobGroup, Status

BUSY = Answer(503, {"detail": "Queue is full. Max size is 1 and size is 1."})


async def held_job(client: Client, server: ScriptedServer, *faults: Fault) -> Job[str]:
    """Return a job that the server is about to answer, which meets ``faults``."""
    server.fault("POST", "/queue/join", *faults, times=1)
    job = client.submit(MINE, api_name="/held")
    await wait_all_tasks_blocked()
    assert job.status().code is Status.JOINING_QUEUE
    return job


@pytest.mark.parametrize("handled", [False, True])
async def test_cancellation_is_held_until_call_is_named(memory_app, autojump_clock, handled):
    add_functions(memory_app, trio.Event())
    async with opened(memory_app) as client:
        answer = trio.Event()
        job = await held_job(client, memory_app, Hold(answer, handled=handled))
        job.cancel()
        await job.wait()
        await trio.sleep(100)
        assert memory_app.cancels == []
        answer.set()
        await wait_all_tasks_blocked()
        (event,) = sent(memory_app)
        assert event.state == "cancelled"
        assert memory_app.cancels == [
            {
                "session_hash": event.session_hash,
                "fn_index": event.endpoint.fn_index,
                "event_id": event.event_id,
            }
        ]
        await assert_idle(memory_app, client)


async def test_held_cancellation_of_refused_call_is_dropped(memory_app, autojump_clock, caplog):
    add_functions(memory_app, trio.Event())
    async with opened(memory_app) as client:
        answer = trio.Event()
        job = await held_job(client, memory_app, Hold(answer, handled=False), BUSY)
        job.cancel()
        answer.set()
        await assert_idle(memory_app, client)
        await assert_cancelled(job)
    assert memory_app.cancels == []
    assert sent(memory_app) == []
    assert not caplog.records


@pytest.mark.parametrize("handled", [False, True])
async def test_held_cancellation_of_lost_answer_is_nameless(memory_app, autojump_clock, handled):
    """The server may be running it; nothing else of that function is in the isolated session."""
    add_functions(memory_app, trio.Event())
    async with opened(memory_app) as client:
        answer = trio.Event()
        faults = [Hold(answer, handled=handled), Lose(handled=handled)]
        job = await held_job(client, memory_app, *faults)
        job.cancel()
        answer.set()
        await wait_all_tasks_blocked()
        await assert_cancelled(job)
        (told,) = memory_app.cancels
        assert [told["session_hash"]] == [join["session_hash"] for join in memory_app.joins]
        assert [event.state for event in sent(memory_app)] == ["cancelled"] * handled
        await assert_idle(memory_app, client)


async def test_many_calls_send_one_request_each(memory_app, autojump_clock):
    """More than the requests that may tell of cancellations at once."""
    add_functions(memory_app, trio.Event())
    async with opened(memory_app) as client:
        jobs = [client.submit(MINE, api_name="/held") for _ in range(40)]
        await wait_all_tasks_blocked()
        for job in jobs:
            job.cancel()
        await wait_all_tasks_blocked()
        assert_told(memory_app, sent(memory_app))
        assert len(sent(memory_app)) == 40
        await assert_idle(memory_app, client)


async def test_slow_server_hears_of_each_sessions_call(memory_app, autojump_clock):
    """They go out one after the other; the bound is on the server's silence."""
    add_functions(memory_app, trio.Event())
    memory_app.fault("POST", "/cancel", Delay(4))
    async with opened(memory_app) as client, client.session() as session:
        jobs = [session.submit(MINE, api_name="/held") for _ in range(5)]
        await wait_all_tasks_blocked()
        for job in jobs:
            job.cancel()
    assert_told(memory_app, sent(memory_app))
    assert len(sent(memory_app)) == 5


async def test_call_cancelled_repeatedly_sends_one_request(memory_app, autojump_clock):
    add_functions(memory_app, trio.Event())
    async with opened(memory_app) as client:
        with trio.CancelScope() as scope:
            async with JobGroup() as group:
                job = group.submit(client.endpoint("/held"), MINE)
                await wait_all_tasks_blocked()
                job.cancel("first")
                job.cancel("second")
                group.cancel_scope.cancel()
                scope.cancel()
                client.cancel_scope.cancel()
        await assert_cancelled(job, "first")
    assert_told(memory_app, sent(memory_app))


async def test_ended_job_sends_no_cancel_request(memory_app, autojump_clock):
    @memory_app.app.endpoint(inputs=["text"])
    async def fails(event: Event) -> None:
        raise GradioError("boom")

    memory_app.app.add("echo", inputs=["text"])
    async with opened(memory_app) as client:
        good = client.submit("good", api_name="/echo")
        bad = client.submit("bad", api_name="/fails")
        await good.wait()
        await bad.wait()
        good.cancel()
        bad.cancel()
        assert await good.result() == "good"
        with pytest.raises(AppError):
            await bad.result()
        client.cancel_scope.cancel()
    assert memory_app.cancels == []


async def test_unheard_call_sends_no_cancel_request(memory_app, autojump_clock):
    add_functions(memory_app, trio.Event())
    async with opened(memory_app) as client:
        async with JobGroup(limit=1) as group:
            jobs = [group.submit(client.endpoint("/held"), MINE) for _ in range(3)]
            jobs[0].cancel()
            for job in jobs[1:]:
                job.cancel()
        for job in jobs:
            await assert_cancelled(job)
            assert job.status().code is Status.CANCELLED
    assert "POST /queue/join" not in memory_app.paths()
    assert memory_app.cancels == []


async def test_call_waiting_for_limit_sends_no_request(memory_app, autojump_clock):
    add_functions(memory_app, end := trio.Event())
    async with opened(memory_app) as client, JobGroup(limit=1) as group:
        held = client.endpoint("/held")
        running, waiting, next_one = [group.submit(held, text) for text in (OTHER, MINE, OTHER)]
        await wait_all_tasks_blocked()
        assert waiting.status().code is Status.STARTING
        waiting.cancel()
        await waiting.wait()
        end.set()
        assert [await job.result() for job in (running, next_one)] == [OTHER, OTHER]
        await assert_cancelled(waiting)
        await assert_idle(memory_app, client)
    assert sent(memory_app) == []
    assert memory_app.cancels == []


async def test_call_cancelled_elsewhere_sends_no_request(memory_app, autojump_clock):
    add_functions(memory_app, trio.Event())
    async with opened(memory_app) as client, memory_app.client() as http:
        job = client.submit(MINE, api_name="/held")
        await wait_all_tasks_blocked()
        (event,) = sent(memory_app)
        body = {"session_hash": event.session_hash, "event_id": event.event_id, "fn_index": 1}
        await http.post("/cancel", json=body)
        with pytest.raises(JobCancelled, match="on the server"):
            await job.result()
        assert job.cancelled
        await assert_idle(memory_app, client)
    assert memory_app.cancels == [body]


async def test_waiting_requests_do_not_delay_cancel_requests(memory_app, autojump_clock):
    add_functions(memory_app, end := trio.Event())
    async with opened(memory_app) as client:
        job = client.submit(MINE, api_name="/held")
        await wait_all_tasks_blocked()
        answer = trio.Event()
        memory_app.fault("POST", "/queue/join", Hold(answer))
        others = [client.submit(OTHER, api_name="/held") for _ in range(60)]
        await wait_all_tasks_blocked()
        job.cancel()
        await wait_all_tasks_blocked()
        assert_told(memory_app, sent(memory_app))
        answer.set()
        end.set()
        assert [await other.result() for other in others] == [OTHER] * 60


async def test_cancel_request_that_works_is_not_logged(memory_app, autojump_clock, caplog):
    caplog.set_level(logging.INFO, "triojob")
    add_functions(memory_app, trio.Event())
    async with opened(memory_app) as client:
        job = client.submit(MINE, api_name="/ticks")
        await trio.sleep(3)
        job.cancel()
        await assert_idle(memory_app, client)
    assert not [record for record in caplog.records if record.name == "triojob"]
