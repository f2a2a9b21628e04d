"""Cancelling in `Client.session`, where stopping one call would stop all of its function.

So one that waits is taken out of the queue, and one that runs is stopped when no other runs.
"""

from __future__ import annotations

import pytest
import trio
import trio.testing
from trio.testing import wait_all_tasks_blocked

from tests.servers.faults import Hold
from tests.servers.scripted import Event, GradioError
from tests.support.cancelling import (
    MINE,
    OTHER,
    ROUNDS,
    add_functions,
    assert_cancelled,
    assert_idle,
    assert_told,
    opened,
    sent,
)
from tests.support.jobs import Boom
from triojob import AppError, JobCancelled, JobGroup, Status

eager_or_lazy = pytest.mark.parametrize("eager", [True, False], ids=["eager", "lazy"])


@eager_or_lazy
@pytest.mark.parametrize("endpoint", ["/held", "/ticks", "/kept"])
async def test_cancel_request_follows_the_last_siblings_end(
    memory_app, autojump_clock, endpoint, eager
):
    memory_app.queue.eager = eager
    add_functions(memory_app, end := trio.Event())
    async with opened(memory_app) as client, client.session() as session:
        job, sibling = [session.submit(text, api_name=endpoint) for text in (MINE, OTHER)]
        await wait_all_tasks_blocked()
        (event,) = sent(memory_app)
        job.cancel()
        await trio.sleep(100)
        await assert_cancelled(job)
        assert event.state == "running"
        assert memory_app.cancels == []
        end.set()
        await sibling.result()
        await wait_all_tasks_blocked()
        assert event.state == "cancelled"
        assert_told(memory_app, [event])
        await assert_idle(memory_app, client)


async def test_cancel_request_follows_the_last_siblings_failure(memory_app, autojump_clock):
    ends = {text: trio.Event() for text in (MINE, OTHER)}

    @memory_app.app.endpoint(inputs=["text"])
    async def fails(event: Event) -> None:
        await ends[event.data[0]].wait()
        raise GradioError("boom")

    async with opened(memory_app) as client, client.session() as session:
        job, sibling = [session.submit(text) for text in (MINE, OTHER)]
        await wait_all_tasks_blocked()
        job.cancel()
        await wait_all_tasks_blocked()
        assert memory_app.cancels == []
        ends[OTHER].set()
        with pytest.raises(AppError):
            await sibling.result()
        await memory_app.settled()
    assert_told(memory_app, sent(memory_app))


@eager_or_lazy
async def test_cancel_requests_follow_when_all_are_cancelled(memory_app, autojump_clock, eager):
    memory_app.queue.eager = eager
    add_functions(memory_app, trio.Event())
    async with opened(memory_app) as client, client.session() as session:
        jobs = [session.submit(MINE, api_name="/held") for _ in range(5)]
        beside = session.submit(OTHER, api_name="/queued")
        await wait_all_tasks_blocked()
        for job in jobs:
            assert memory_app.cancels == []
            job.cancel()
            await wait_all_tasks_blocked()
        events = sent(memory_app)
        # Each by its name: Gradio drops what waits, and answers, by the name alone.
        assert_told(memory_app, events)
        assert [event.state for event in events] == ["cancelled"] * 5
        # Calls of other functions are not touched.
        assert beside.status().code is Status.PROCESSING
        beside.cancel()


@eager_or_lazy
async def test_queued_sibling_is_cancelled_running_one_continues(memory_app, autojump_clock, eager):
    """Gradio's cancel of the queued one would kill the running one."""
    memory_app.queue.eager = eager
    add_functions(memory_app, end := trio.Event())
    async with opened(memory_app) as client, client.session() as session:
        running = session.submit(OTHER, api_name="/queued")
        await wait_all_tasks_blocked()
        queued = session.submit(MINE, api_name="/queued")
        await wait_all_tasks_blocked()
        queued.cancel()
        await wait_all_tasks_blocked()
        await assert_cancelled(queued)
        end.set()
        assert await running.result() == OTHER
        await assert_idle(memory_app, client)
    (event,) = sent(memory_app)
    assert event.state == "removed"
    assert memory_app.cancels == []
    assert [told["event_id"] for told in memory_app.dequeues] == [event.event_id]


@eager_or_lazy
async def test_running_and_queued_one_are_both_cancelled(memory_app, autojump_clock, eager):
    """Cancelling the running one would start the queued ones, so those leave the queue first."""
    memory_app.queue.eager = eager
    add_functions(memory_app, trio.Event())
    async with opened(memory_app) as client, client.session() as session:
        for _ in range(3):
            session.submit(MINE, api_name="/queued")
            await wait_all_tasks_blocked()
        for job in session.jobs:
            job.cancel()
        await assert_idle(memory_app, client)
    running, *queued = sent(memory_app)
    assert [event.state for event in queued] == ["removed"] * 2
    assert sorted(told["event_id"] for told in memory_app.dequeues) == sorted(
        event.event_id for event in queued
    )
    assert_told(memory_app, [running])


async def test_unanswered_sibling_holds_cancel_request_back(memory_app, autojump_clock):
    add_functions(memory_app, end := trio.Event())
    async with opened(memory_app) as client, client.session() as session:
        job = session.submit(MINE, api_name="/held")
        await wait_all_tasks_blocked()
        memory_app.fault("POST", "/queue/join", Hold(answer := trio.Event()), times=1)
        sibling = session.submit(OTHER, api_name="/held")
        await wait_all_tasks_blocked()
        job.cancel()
        await wait_all_tasks_blocked()
        assert memory_app.cancels == []
        answer.set()
        await wait_all_tasks_blocked()
        assert memory_app.cancels == []
        end.set()
        assert await sibling.result() == OTHER
        await memory_app.settled()
    assert_told(memory_app, sent(memory_app))


async def test_unsent_sibling_is_not_harmed(memory_app, autojump_clock):
    """It waits for a request's place when the other one, which runs, is cancelled."""
    add_functions(memory_app, end := trio.Event())
    async with opened(memory_app) as client, client.session() as session:
        job = session.submit(MINE, api_name="/held")
        await wait_all_tasks_blocked()
        memory_app.fault("POST", "/queue/join", Hold(free := trio.Event(), handled=False), times=48)
        others = [client.submit(OTHER, api_name="/held") for _ in range(48)]
        await wait_all_tasks_blocked()
        sibling = session.submit(OTHER, api_name="/held")
        await wait_all_tasks_blocked()
        job.cancel()
        await wait_all_tasks_blocked()
        free.set()
        await wait_all_tasks_blocked()
        end.set()
        assert [await other.result() for other in (*others, sibling)] == [OTHER] * 49
    assert_told(memory_app, sent(memory_app))


@pytest.mark.parametrize("steps", range(5))
async def test_call_starting_during_cancel_request_survives(memory_app, autojump_clock, steps):
    """It waits until the server has been told, and then counts as a sibling like any other."""
    for _ in range(ROUNDS):
        add_functions(memory_app, end := trio.Event())
        async with opened(memory_app) as client, client.session() as session:
            first = session.submit(MINE, api_name="/held")
            await wait_all_tasks_blocked()
            first.cancel()
            for _ in range(steps):
                await trio.lowlevel.checkpoint()
            second = session.submit(OTHER, api_name="/held")
            await wait_all_tasks_blocked()
            assert second.status().code is Status.PROCESSING
            # If the second one were forgotten, this would tell the server to stop both.
            third = session.submit(MINE, api_name="/held")
            await wait_all_tasks_blocked()
            third.cancel()
            await wait_all_tasks_blocked()
            end.set()
            assert await second.result() == OTHER
            await memory_app.settled()
            assert_told(memory_app, sent(memory_app))


async def test_ending_session_sends_held_cancel_requests(memory_app, autojump_clock):
    add_functions(memory_app, trio.Event())
    async with opened(memory_app) as client, JobGroup() as group:
        async with client.session() as session:
            job = session.submit(MINE, api_name="/held")
            sibling = group.submit(session.endpoint("/held"), OTHER)
            await wait_all_tasks_blocked()
            job.cancel()
            await wait_all_tasks_blocked()
            assert memory_app.cancels == []
        with pytest.raises(JobCancelled, match="its session has ended"):
            await sibling.result()
        await assert_cancelled(job)
    assert_told(memory_app, memory_app.events.values())


async def test_two_sessions_do_not_harm_each_other(memory_app, autojump_clock):
    add_functions(memory_app, end := trio.Event())
    async with opened(memory_app) as client, client.session() as one, client.session() as two:
        job = one.submit(MINE, api_name="/held")
        others = [surface.submit(OTHER, api_name="/held") for surface in (two, client)]
        await wait_all_tasks_blocked()
        job.cancel()
        await wait_all_tasks_blocked()
        end.set()
        assert [await other.result() for other in others] == [OTHER, OTHER]
    assert_told(memory_app, sent(memory_app))


async def test_failing_body_of_session_harms_no_other(memory_app, autojump_clock):
    add_functions(memory_app, end := trio.Event())
    async with opened(memory_app) as client:
        other = client.submit(OTHER, api_name="/held")
        with pytest.raises(Boom):
            async with client.session() as session:
                jobs = [session.submit(MINE, api_name=name) for name in ("/held", "/ticks")]
                await wait_all_tasks_blocked()
                raise Boom
        for job in jobs:
            await assert_cancelled(job)
        end.set()
        assert await other.result() == OTHER
