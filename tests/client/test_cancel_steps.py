"""A call cancelled after any number of steps: it has one end, and one cancel request."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import wait_all_tasks_blocked

from tests.servers.scripted import ScriptedServer
from tests.support.cancelling import (
    OTHER,
    add_functions,
    assert_cancelled,
    cancel_of,
    new_client,
    nothing_left,
    opened,
)
from triojob import Client, ClientSession, Job, JobGroup

pytestmark = pytest.mark.usefixtures("either_way")

each_function = pytest.mark.parametrize("api_name", ["/held", "/kept", "/ticks"])
each_surface = pytest.mark.parametrize("in_session", [False, True], ids=["client", "session"])


class Steps:
    """Counts up the steps before the cancellation, until it comes too late again and again."""

    def __init__(self) -> None:
        self.too_late = 0

    def __iter__(self) -> Iterator[int]:
        for number in itertools.count():
            yield number
            if self.too_late == 5:
                assert number > 10  # else there was nothing to cancel
                return

    async def before_cancelling(self, job: Job[Any], number: int) -> None:
        for _ in range(number):
            await trio.lowlevel.checkpoint()
        self.too_late = self.too_late + 1 if job.done else 0


@pytest.fixture
def app(memory_app: ScriptedServer) -> ScriptedServer:
    end = trio.Event()
    end.set()
    add_functions(memory_app, end)
    return memory_app


async def check(server: ScriptedServer, *jobs: Job[Any]) -> None:
    """Show how these jobs ended, of which all that were cancelled were cancelled at one time."""
    await server.settled()
    await wait_all_tasks_blocked()
    for job in jobs:
        if job.cancelled:
            await assert_cancelled(job)
        else:
            assert await job.result() in (OTHER, None)
    events = server.events.values()
    assert all(told in map(cancel_of, events) for told in server.cancels)
    assert len({told["event_id"] for told in server.cancels}) == len(server.cancels)
    assert len(server.cancels) <= sum(job.cancelled for job in jobs)
    dequeued = {told["event_id"] for told in server.dequeues}
    assert all(
        event.state == "finished"
        or cancel_of(event) in server.cancels
        or (event.state == "removed" and event.event_id in dequeued)
        for event in events
    )
    server.events.clear()
    server.cancels.clear()
    server.dequeues.clear()


@each_surface
@each_function
async def test_a_job_cancelled_at_any_step(app, autojump_clock, api_name, in_session):
    async with opened(app) as client, client.session() as session:
        surface: Client | ClientSession = session if in_session else client
        for number in (steps := Steps()):
            job, sibling = [surface.submit(OTHER, api_name=api_name) for _ in range(2)]
            await steps.before_cancelling(job, number)
            job.cancel()
            await job.wait()
            await sibling.result()
            await check(app, job)
            assert f" 0/{client.limits.streams} streams" in repr(client)


@each_surface
@each_function
async def test_a_plain_call_cancelled_at_any_step(app, autojump_clock, api_name, in_session):
    async with opened(app) as client, client.session() as session:
        endpoint = (session if in_session else client).endpoint(api_name)

        async def call(scope: trio.CancelScope) -> Any:
            with scope:
                return await endpoint(OTHER)

        for number in (steps := Steps()):
            scope = trio.CancelScope()
            async with JobGroup() as group:
                # A job of a function of ours, only to see when the plain call has ended.
                job = group.submit(call, scope)
                await steps.before_cancelling(job, number)
                scope.cancel()
            assert (await job.result() is None) or not scope.cancelled_caught
            await app.settled()
            await wait_all_tasks_blocked()
            assert len(app.cancels) <= scope.cancelled_caught
            assert f" 0/{client.limits.streams} streams" in repr(client)
            app.cancels.clear()


@each_function
async def test_session_ending_at_any_step_ends_calls(app, autojump_clock, api_name):
    async with opened(app) as client:
        for number in (steps := Steps()):
            async with JobGroup() as group:
                async with client.session() as session:
                    endpoint = session.endpoint(api_name)
                    jobs = [group.submit(endpoint, OTHER) for _ in range(2)]
                    await steps.before_cancelling(jobs[0], number)
                for job in jobs:
                    await job.wait()
            await check(app, *jobs)
            assert f" 0/{client.limits.streams} streams" in repr(client)


@pytest.mark.parametrize("api_name", ["/held", "/kept"])
async def test_client_ending_at_any_step_ends_calls(app, autojump_clock, api_name):
    for number in (steps := Steps()):
        async with nothing_left(app), JobGroup() as group:
            async with new_client(app) as client:
                endpoint = client.endpoint(api_name)
                jobs = [group.submit(endpoint, OTHER) for _ in range(2)]
                await steps.before_cancelling(jobs[0], number)
            for job in jobs:
                await job.wait()
        await check(app, *jobs)
