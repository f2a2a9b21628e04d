"""A cancelled call harms no other call of its function, isolated or in the client's session."""

from __future__ import annotations

import pytest
import trio
import trio.testing
from trio.testing import wait_all_tasks_blocked

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
from triojob import Status

eager_or_lazy = pytest.mark.parametrize("eager", [True, False], ids=["eager", "lazy"])


# --- In isolated sessions, which is where calls of functions without State run ---


@eager_or_lazy
@pytest.mark.parametrize("endpoint", ["/held", "/ticks"])
async def test_two_of_six_running_calls_are_cancelled(memory_app, autojump_clock, endpoint, eager):
    memory_app.queue.eager = eager
    add_functions(memory_app, end := trio.Event())
    async with opened(memory_app) as client:
        texts = [OTHER, MINE, OTHER, OTHER, MINE, OTHER]
        jobs = [client.submit(text, api_name=endpoint) for text in texts]
        await trio.sleep(1.5)
        for job, text in zip(jobs, texts, strict=True):
            if text is MINE:
                job.cancel()
        await trio.sleep(1)
        end.set()
        for job, text in zip(jobs, texts, strict=True):
            if text is MINE:
                await assert_cancelled(job)
            elif endpoint == "/ticks":
                assert await job.result() == f"{OTHER} 2"
                assert job.outputs() == [f"{OTHER} {tick}" for tick in range(3)]
            else:
                assert await job.result() == OTHER
        await assert_idle(memory_app, client)
    assert_told(memory_app, sent(memory_app))
    assert [event.state for event in sent(memory_app)] == ["cancelled"] * 2
    assert [event.state for event in sent(memory_app, OTHER)] == ["finished"] * 4


@eager_or_lazy
async def test_cancelled_queued_call_leaves_running_one(memory_app, autojump_clock, eager):
    """In one session this would kill the running one, and perhaps start the cancelled one."""
    memory_app.queue.eager = eager
    add_functions(memory_app, end := trio.Event())
    async with opened(memory_app) as client:
        jobs = []
        for n in range(4):
            jobs.append(client.submit(str(n), api_name="/queued"))
            await wait_all_tasks_blocked()
        jobs[2].cancel()
        await wait_all_tasks_blocked()
        assert [event.state for event in memory_app.events.values()] == [
            "running",
            "waiting",
            "removed",
            "waiting",
        ]
        end.set()
        assert [await jobs[n].result() for n in (0, 1, 3)] == ["0", "1", "3"]
        await assert_cancelled(jobs[2])
        assert_told(memory_app, sent(memory_app, "2"))


@eager_or_lazy
async def test_queued_call_starts_after_running_is_cancelled(memory_app, autojump_clock, eager):
    memory_app.queue.eager = eager
    add_functions(memory_app, end := trio.Event())
    async with opened(memory_app) as client:
        first = client.submit(MINE, api_name="/queued")
        await wait_all_tasks_blocked()
        second = client.submit(OTHER, api_name="/queued")
        await wait_all_tasks_blocked()
        first.cancel()
        await trio.sleep(1)
        assert second.status().code is Status.PROCESSING
        end.set()
        assert await second.result() == OTHER
        await assert_cancelled(first)


async def test_cancelled_plain_call_leaves_siblings_alone(memory_app, autojump_clock):
    add_functions(memory_app, end := trio.Event())
    results: list[str] = []
    async with opened(memory_app) as client:
        held = client.endpoint("/held")

        async def call(text: str) -> None:
            results.append(await held(text))

        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(call, OTHER)
            with trio.move_on_after(1):
                await call(MINE)
            end.set()
    assert results == [OTHER] * 3
    assert_told(memory_app, sent(memory_app))


# --- With State: one at a time, in the client's session ---


@eager_or_lazy
async def test_next_stateful_call_runs_after_cancellation(memory_app, autojump_clock, eager):
    memory_app.queue.eager = eager
    add_functions(memory_app, end := trio.Event())
    async with opened(memory_app) as client:
        jobs = []
        for text in (MINE, OTHER, OTHER):
            jobs.append(client.submit(text, api_name="/kept"))
            await wait_all_tasks_blocked()
        assert len(memory_app.events) == 1
        jobs[0].cancel()
        await wait_all_tasks_blocked()
        assert len(memory_app.events) == 2
        end.set()
        assert [await job.result() for job in jobs[1:]] == [OTHER, OTHER]
        await assert_cancelled(jobs[0])
        (event,) = sent(memory_app)
        assert_told(memory_app, [event])
        assert {other.session_hash for other in sent(memory_app, OTHER)} == {event.session_hash}
