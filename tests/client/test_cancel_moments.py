"""A call cancelled at each place where it can wait, in each way: at once here, and stopped there.

And nothing is left of it: no task, no connection, no stream, no place.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
import trio.testing

from tests.servers.faults import HoldFrame
from tests.servers.scripted import Event
from tests.support.cancelling import MINE, OTHER, SHORT_REQUESTS, Moment, Stage
from tests.support.jobs import Boom
from triojob import JobCancelled, JobGroup, Status

# --- Moments ---

BOTH = ("client", "session")

MOMENTS: list[Moment] = []


def moment(
    status: Status,
    before: str | None,
    after: str | None,
    *,
    endpoint: str = "/held",
    surfaces: tuple[str, ...] = BOTH,
    **options: Any,
) -> Callable[[Callable[[Stage], Awaitable[object]]], None]:
    """Add a moment of that name; the arguments are those of `Moment`."""

    def add(prepare: Callable[[Stage], Awaitable[object]]) -> None:
        name = prepare.__name__
        MOMENTS.append(Moment(name, prepare, status, before, after, endpoint, surfaces, options))

    return add


@moment(Status.STARTING, None, None, streams=1)
async def waiting_for_a_stream(stage: Stage) -> None:
    await stage.occupy("/held")


@moment(Status.STARTING, None, None)
async def waiting_for_a_request(stage: Stage) -> None:
    stage.hold("POST", "/queue/join", handled=False, times=SHORT_REQUESTS)
    await stage.occupy("/held", calls=SHORT_REQUESTS)


@moment(Status.STARTING, None, None, endpoint="/kept", surfaces=("client",))
async def waiting_for_a_stateful_call(stage: Stage) -> None:
    await stage.occupy("/kept")


@moment(Status.STARTING, None, None, endpoint="/kept", surfaces=("client",))
async def waiting_for_a_stateful_calls_cancel_request(stage: Stage) -> None:
    await _stop_another(stage)


@moment(Status.STARTING, None, None, surfaces=("session",))
async def waiting_for_a_siblings_cancel_request(stage: Stage) -> None:
    await _stop_another(stage)


@moment(Status.JOINING_QUEUE, None, "cancelled", keep_alive=False)
async def connecting(stage: Stage) -> None:
    stage.server.listener.connect_gate = stage.gate


@moment(Status.JOINING_QUEUE, None, "cancelled")
async def sent_and_unheard(stage: Stage) -> None:
    stage.hold("POST", "/queue/join", handled=False)


@moment(Status.JOINING_QUEUE, "running", "cancelled")
async def heard_and_unanswered(stage: Stage) -> None:
    stage.hold("POST", "/queue/join", handled=True)


@moment(Status.JOINING_QUEUE, "waiting", "removed", endpoint="/queued")
async def queued_and_unanswered(stage: Stage) -> None:
    await stage.occupy_elsewhere("/queued")
    stage.hold("POST", "/queue/join", handled=True)


@moment(Status.JOINING_QUEUE, "running", "cancelled", keep_alive=False)
async def connecting_the_stream(stage: Stage) -> None:
    function = stage.server.app["held"]
    held = function.script

    async def lock_out_and_be_held(event: Event) -> None:
        stage.server.listener.connect_gate = stage.gate
        await held(event)

    function.script = lock_out_and_be_held


@moment(Status.JOINING_QUEUE, "running", "cancelled")
async def opening_the_stream(stage: Stage) -> None:
    stage.hold("GET", "/queue/data", handled=False)


@moment(Status.IN_QUEUE, "waiting", "removed", endpoint="/queued")
async def queued(stage: Stage) -> None:
    await stage.occupy_elsewhere("/queued")


@moment(Status.PROCESSING, "running", "cancelled")
async def running(stage: Stage) -> None:
    """Nothing is in the way."""


@moment(Status.ITERATING, "running", "cancelled", endpoint="/ticks")
async def between_two_outputs(stage: Stage) -> None:
    """Nothing is in the way."""


@moment(Status.PROCESSING, "finished", "finished", endpoint="/echo")
async def completed_and_unheard(stage: Stage) -> None:
    stage.server.fault("GET", "/queue/data", HoldFrame(stage.gate, "process_completed"), times=1)


async def _stop_another(stage: Stage) -> None:
    """Have the server be told that another call of the function was cancelled."""
    stage.hold("POST", "/cancel", handled=True)
    job = stage.around.submit(stage.endpoint, OTHER)
    await trio.testing.wait_all_tasks_blocked()
    job.cancel()
    await trio.testing.wait_all_tasks_blocked()


# --- Ways ---

Way = Callable[[Stage], Awaitable[None]]


async def by_the_job(stage: Stage) -> None:
    async with stage.opened(), JobGroup() as group:
        job = await stage.submit(group)
        stage.cancelling()
        job.cancel()
        await stage.assert_usable()


async def by_a_deadline_around_a_plain_call(stage: Stage) -> None:
    async with stage.opened():
        # The clock goes on only when everything waits, so the call has come to the moment by then.
        with trio.move_on_after(0.5) as scope:
            await stage.endpoint(MINE)
        assert scope.cancelled_caught
        stage.ended_here()
        await stage.assert_usable()


async def by_the_scope_of_its_group(stage: Stage) -> None:
    async with stage.opened():
        async with JobGroup() as group:
            await stage.submit(group)
            stage.cancelling()
            group.cancel_scope.cancel()
        await stage.assert_usable()


async def by_a_scope_around_its_group(stage: Stage) -> None:
    async with stage.opened():
        with trio.CancelScope() as scope:
            async with JobGroup() as group:
                await stage.submit(group)
                stage.cancelling()
                scope.cancel()
        await stage.assert_usable()


async def by_an_exception_in_its_group(stage: Stage) -> None:
    async with stage.opened():
        with pytest.RaisesGroup(Boom):
            async with JobGroup() as group:
                await stage.submit(group)
                stage.cancelling()
                raise Boom
        await stage.assert_usable()


async def by_ctrl_c_in_its_group(stage: Stage) -> None:
    async with stage.opened():
        with pytest.RaisesGroup(KeyboardInterrupt):
            async with JobGroup() as group:
                await stage.submit(group)
                stage.cancelling()
                raise KeyboardInterrupt
        await stage.assert_usable()


async def by_a_failing_sibling(stage: Stage) -> None:
    async def fail() -> None:
        stage.cancelling()
        raise Boom

    async with stage.opened():
        with pytest.RaisesGroup(Boom):
            async with JobGroup(fail_fast=True) as group:
                await stage.submit(group)
                group.submit(fail)
        await stage.assert_usable()


async def by_the_clients_scope(stage: Stage) -> None:
    async with stage.opened() as client:
        await stage.submit_to(client)
        stage.cancelling()
        client.cancel_scope.cancel()


async def by_a_scope_around_the_client(stage: Stage) -> None:
    with trio.CancelScope() as scope:
        async with stage.opened() as client:
            await stage.submit_to(client)
            stage.cancelling()
            scope.cancel()
    assert scope.cancelled_caught or stage.client.jobs == ()


async def by_the_clients_end(stage: Stage) -> None:
    async with JobGroup() as group:
        async with stage.opened():
            job = await stage.submit(group)
            stage.cancelling()
        with pytest.raises(JobCancelled, match="the client was closed"):
            await job.result()


async def by_an_exception_in_the_client(stage: Stage) -> None:
    with pytest.raises(Boom):
        async with stage.opened() as client:
            await stage.submit_to(client)
            stage.cancelling()
            raise Boom


async def by_ctrl_c_in_the_client(stage: Stage) -> None:
    with pytest.raises(KeyboardInterrupt):
        async with stage.opened() as client:
            await stage.submit_to(client)
            stage.cancelling()
            raise KeyboardInterrupt


WAYS: list[Way] = [
    by_a_deadline_around_a_plain_call,
    by_the_scope_of_its_group,
    by_a_scope_around_its_group,
    by_an_exception_in_its_group,
    by_ctrl_c_in_its_group,
    by_a_failing_sibling,
    by_the_clients_scope,
    by_a_scope_around_the_client,
    by_the_clients_end,
    by_an_exception_in_the_client,
    by_ctrl_c_in_the_client,
]


async def by_the_end_of_its_session(stage: Stage) -> None:
    async with JobGroup() as group, stage.opened_client() as client:
        async with client.session() as session:
            await stage.prepare(session)
            job = await stage.submit(group)
            stage.cancelling()
        with pytest.raises(JobCancelled, match="its session has ended"):
            await job.result()
        await stage.assert_usable()


async def by_an_exception_in_its_session(stage: Stage) -> None:
    async with stage.opened_client() as client:
        with pytest.raises(Boom):
            async with client.session() as session:
                await stage.prepare(session)
                await stage.submit_to(session)
                stage.cancelling()
                raise Boom
        await stage.assert_usable()


async def by_ctrl_c_in_its_session(stage: Stage) -> None:
    async with stage.opened_client() as client:
        with pytest.raises(KeyboardInterrupt):
            async with client.session() as session:
                await stage.prepare(session)
                await stage.submit_to(session)
                stage.cancelling()
                raise KeyboardInterrupt
        await stage.assert_usable()


async def by_a_scope_around_its_session(stage: Stage) -> None:
    async with stage.opened_client() as client:
        with trio.CancelScope() as scope:
            async with client.session() as session:
                await stage.prepare(session)
                await stage.submit_to(session)
                stage.cancelling()
                scope.cancel()
        await stage.assert_usable()


SESSION_WAYS: list[Way] = [
    by_the_end_of_its_session,
    by_an_exception_in_its_session,
    by_ctrl_c_in_its_session,
    by_a_scope_around_its_session,
    by_a_deadline_around_a_plain_call,
    by_the_scope_of_its_group,
    by_an_exception_in_its_group,
]


# --- Each way at each moment ---


def each_moment(moments: list[Moment], *surfaces: str) -> pytest.MarkDecorator:
    """Parametrize a test with moments, and with the surfaces that the call is made through."""
    pairs = [
        pytest.param(moment, surface, id=f"{moment}-{surface}")
        for moment in moments
        for surface in moment.surfaces
        if surface in surfaces
    ]
    return pytest.mark.parametrize("moment, surface", pairs)


def each_way(ways: list[Way]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("way", ways, ids=lambda way: way.__name__)


@each_moment(MOMENTS, *BOTH)
@pytest.mark.parametrize("eager", [True, False], ids=["eager", "lazy"])
async def test_a_job_that_is_cancelled(memory_app, autojump_clock, moment, surface, eager):
    memory_app.queue.eager = eager
    stage = Stage(memory_app, moment, surface)
    async with stage.watched():
        await by_the_job(stage)


# Of the moments that take many other calls to get to, the one above is enough.
QUICK = [moment for moment in MOMENTS if moment.name != "waiting_for_a_request"]


@each_moment(QUICK, "client")
@each_way(WAYS)
async def test_a_call_that_is_cancelled(memory_app, autojump_clock, moment, surface, way):
    stage = Stage(memory_app, moment, surface)
    async with stage.watched():
        await way(stage)


@each_moment(QUICK, "session")
@each_way(SESSION_WAYS)
async def test_call_of_session_that_is_cancelled(memory_app, autojump_clock, moment, surface, way):
    stage = Stage(memory_app, moment, surface)
    async with stage.watched():
        await way(stage)
