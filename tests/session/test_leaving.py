"""How calls leave a session, and what it can be used for then."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests.support.world import BUSY, OnConnections, OnStream, Translator, a_world, sent
from triojob import ConnectionLost, TriojobError, UnexpectedResponse, ValidationError
from triojob._core.call import Batch
from triojob.gradio.session.function_calls import FunctionCalls
from triojob.gradio.session.pending_call import PendingCall
from triojob.gradio.session.session import Session

BUSY_NOW = UnexpectedResponse("/f: the server responded with status 503", status=503)

# --- Which sessions serve other calls ---


async def test_batch_keeps_its_session_until_end(autojump_clock):
    async with a_world(OnConnections()) as world:
        registry, batch = world.registry, Batch()
        session = registry.shared(batch, 3)
        session.release_if_idle()
        assert registry.shared(batch, 3) is session
        assert registry.isolated() is not session
        batch.end()
        assert registry.isolated() is session
        assert registry.isolated() is not session


@pytest.mark.parametrize("reusable", [False, True])
async def test_only_reusable_sessions_are_used_again(autojump_clock, reusable):
    async with a_world(driver := OnStream()) as world:
        session = Session(world.registry, reusable=reusable)
        await session.send(world.call())
        await wait_all_tasks_blocked()
        driver.say("process_completed", "a")
        driver.end()
        await wait_all_tasks_blocked()
        world.assert_nothing_held(session)
        assert (world.registry.isolated() is session) == reusable


async def test_unused_session_and_slot_are_free(autojump_clock):
    async with a_world(OnStream()) as world:
        session, slot = world.registry.isolated(), (await world.with_slot()).slot
        session.unused(slot)
        assert world.registry.isolated() is session
        world.assert_nothing_held(session)


async def test_call_cancelled_before_its_turn_frees_session(autojump_clock):
    """Where generators are sent one at a time, even a free session has a checkpoint."""
    async with a_world(driver := OnStream()) as world:
        driver.traits = replace(driver.traits, mixes_generators=True)
        session, call = world.registry.isolated(), await world.with_slot()
        call.request = replace(call.request, streams=True)
        with trio.CancelScope() as scope:
            scope.cancel()
            await session.send(call)
        assert driver.sent == []
        world.assert_nothing_held(session)
        assert world.registry.isolated() is session


@pytest.mark.parametrize(
    "state, free", [("unused", True), ("other function", True), ("busy", False), ("ended", False)]
)
async def test_session_is_free_for_only_call(autojump_clock, state, free):
    async with a_world(OnStream()) as world:
        session = Session(world.registry)
        if state == "busy":
            await session.send(world.call())
        elif state == "other function":
            session.functions[4] = FunctionCalls(1)
            await session.functions[4].limiter.acquire(0)
        elif state == "ended":
            session.end()
        assert session.is_free_for(3) == free


# --- Refused calls ---


@pytest.mark.parametrize(
    "error, state, refused, again",
    [
        (BUSY_NOW, "", True, True),
        (BUSY_NOW, "abandoned", True, False),
        (BUSY_NOW, "impatient", True, False),
        # The other calls of the session's batch still run.
        (BUSY_NOW, "retired", True, True),
        (ConnectionLost("/f"), "", True, False),
        (ValidationError("/f"), "", False, False),
    ],
)
async def test_refused_calls_wait_while_somebody_does(
    autojump_clock, caplog, error: TriojobError, state, refused, again
):
    caplog.set_level("INFO", "triojob")
    async with a_world(OnStream()) as world:
        closed: list[None] = []
        world.http.close_idle = lambda: closed.append(None)
        session, call = Session(world.registry, reusable=True), world.call()
        call.abandoned, call.patient = state == "abandoned", state != "impatient"
        if state == "retired":
            session.retire()
        noted: list[None] = []
        call.slot = cast("Any", _Noting(noted))
        pause = session.pause_after_refusal(call, session.refusals(call), error)
        assert (pause is not None, bool(noted)) == (again, refused)
        # A new connection may lead to another server.
        assert len(closed) == world.registry.refusals == (error is BUSY_NOW)
        assert (f"refused ({error}); retrying in 0." in caplog.text) == again


class _Noting:
    def __init__(self, noted: list[None]) -> None:
        self.note_refusal = lambda: noted.append(None)


async def test_call_that_fails_before_rejoining_just_leaves(autojump_clock):
    """The server has it from neither attempt, so nothing is looked for or cancelled."""
    async with a_world(driver := OnStream()) as world:
        session, call = Session(world.registry), world.call()
        driver.errors["a"] = BUSY
        await session.send(call)
        await wait_all_tasks_blocked()

        async def lose(_connection: int | None) -> None:
            raise lost

        lost = ConnectionLost("/f: the app's description")
        cast("Any", world.registry.watch).revalidate = lose
        await trio.sleep(8)
        assert cast("Translator", call.translator).error is lost
        assert (driver.sent, driver.told) == (["a"], [])
        world.assert_nothing_held(session)


# --- What others notice ---


async def test_waiting_call_keeps_stream_when_other_leaves(autojump_clock):
    async with a_world(OnStream(), in_flight=2) as world, trio.open_nursery() as nursery:
        session = Session(world.registry, one_at_a_time=False)
        await world.occupy(session, "request")
        leaving = trio.CancelScope()

        async def leave() -> None:
            with leaving:
                await session.send(world.call("b", 2))

        nursery.start_soon(session.send, world.call())
        nursery.start_soon(leave)
        await wait_all_tasks_blocked()
        leaving.cancel()
        await wait_all_tasks_blocked()
        assert len(session.functions[3].calls) == 1
        assert world.http.streams.borrowed_tokens == 1
        nursery.cancel_scope.cancel()


async def test_end_of_call_looks_at_no_other(autojump_clock, monkeypatch):
    """There may be thousands of them, and each ends."""
    async with a_world(driver := OnStream(), in_flight=2) as world, trio.open_nursery() as nursery:
        session = Session(world.registry, one_at_a_time=False)
        for number, name in enumerate("abcd"):
            nursery.start_soon(session.send, world.call(name, number))
            await wait_all_tasks_blocked()
        looked: list[PendingCall] = []
        monkeypatch.setattr(PendingCall, "is_sent", property(looked.append))
        driver.say("process_completed", "a")
        await wait_all_tasks_blocked()
        assert driver.sent == ["a", "b", "c"]
        assert looked == []
        nursery.cancel_scope.cancel()


async def test_cancellation_goes_on_when_bystander_ends(autojump_clock):
    """It started and ended while it was to leave the queue, so no message about that comes."""
    async with a_world(driver := OnStream(), in_flight=2) as world:
        session = Session(world.registry, one_at_a_time=False)
        running, _bystander = await sent(world, session, "ab")
        driver.say("process_starts", "a")
        await wait_all_tasks_blocked()
        running.abandon()
        await wait_all_tasks_blocked()
        assert driver.told == ["b"]
        driver.say("process_completed", "b")
        await wait_all_tasks_blocked()
        assert driver.told == ["b", "a"]
        assert trio.current_time() == 0


async def test_broken_stream_ends_search_for_lost_call(autojump_clock):
    async with a_world(driver := OnStream(), in_flight=2) as world:
        session = Session(world.registry, one_at_a_time=False)
        driver.errors["b"] = ConnectionLost("/f")
        await sent(world, session, "ab")
        assert session.event_ids.lost
        driver.end()
        await wait_all_tasks_blocked()
        assert session.functions == {}
        assert trio.current_time() == 0


@pytest.mark.parametrize("kind", [OnStream, OnConnections])
async def test_call_that_left_is_not_cancelled(autojump_clock, kind):
    """Closing the client may end the task of the call before the job."""
    async with a_world(driver := kind(), in_flight=2, streams=2) as world:
        session = Session(world.registry, one_at_a_time=False)
        left, other = world.call(), world.call("b", 2)
        for call in (left, other):
            await session.send(call)
        await wait_all_tasks_blocked()
        session.leave(left)
        left.abandon()
        assert not session.functions[3].abandoned
        session.leave(other)
        left.abandon()
        await wait_all_tasks_blocked()
        assert getattr(driver, "told", []) == []
        world.registry.background.cancel_scope.cancel()
