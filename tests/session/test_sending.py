"""How a session sends its calls: what they wait for first, and what is left if the wait ends."""

from __future__ import annotations

import weakref
from typing import cast

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests.support.world import BUSY, OnConnections, OnStream, Translator, a_world, sent
from triojob import ConnectionLost, Status
from triojob.gradio.protocol.base import Conversation
from triojob.gradio.session.session import Session

# --- The first time ---


WAITS = [
    *((OnStream, what) for what in ("call", "slot", "stream", "request", "cancel request")),
    *((OnConnections, what) for what in ("call", "slot", "stream")),
]


@pytest.mark.parametrize("kind, what", WAITS)
@pytest.mark.parametrize("how", ["sent", "job", "session", "session at that moment"])
async def test_waiting_call_is_sent_or_leaves_nothing(autojump_clock, kind, what, how):
    async with a_world(driver := kind()) as world, trio.open_nursery() as nursery:
        session = Session(world.registry, one_at_a_time=False)
        release = await world.occupy(session, what)
        # One that has its slot already needs no other one.
        call = world.call() if what in ("slot", "request") else await world.with_slot()
        results: list[bool] = []

        async def send() -> None:
            results.append(await session.send(call))

        nursery.start_soon(send)
        await wait_all_tasks_blocked()
        assert driver.sent == []
        if how == "job":
            nursery.cancel_scope.cancel()
        elif how == "session":
            session.end()
        with trio.CancelScope(shield=True):
            await wait_all_tasks_blocked()
            release()
            if how == "session at that moment":
                session.end()
            await wait_all_tasks_blocked()
        if how == "sent":
            assert (driver.sent, results) == (["a"], [True])
            assert driver.logged == [(1, "/f")]
        else:
            assert (driver.sent, results) == ([], [False] if "session" in how else [])
            world.assert_nothing_held(session)
            with trio.fail_after(1, shield=True):
                await Session(world.registry).send(world.call("b", 2))
                await wait_all_tasks_blocked()
            assert driver.sent == ["b"]


async def test_call_with_free_limits_waits_for_nothing(autojump_clock):
    async with a_world(OnStream(), streams=100) as world:
        call = await world.with_slot()
        with pytest.raises(StopIteration) as returned:
            Session(world.registry, reusable=True).send(call).send(None)
        assert returned.value.value is True


async def test_cancel_request_meanwhile_keeps_call_waiting(autojump_clock):
    """The call gets the request that it waited for, and leaves it to others."""
    async with a_world(driver := OnStream()) as world, trio.open_nursery() as nursery:
        session = Session(world.registry)
        release_request = await world.occupy(session, "request")
        nursery.start_soon(session.send, world.call())
        await wait_all_tasks_blocked()
        function = session.functions[3]
        function.cancelling = True
        release_request()
        await wait_all_tasks_blocked()
        assert driver.sent == []
        assert world.http.requests.available_tokens == 1
        function.cancelling = False
        function.changed.unpark_all()
        await wait_all_tasks_blocked()
        assert driver.sent == ["a"]


async def test_ended_call_is_freed_while_stream_stays(autojump_clock):
    """The task that sent it reads the stream, for other calls."""
    async with a_world(driver := OnStream(), in_flight=2) as world:
        session = Session(world.registry, one_at_a_time=False)
        call = world.call()
        request = weakref.ref(call.request)
        await session.send(call)
        await session.send(world.call("b", 2))
        await wait_all_tasks_blocked()
        driver.say("process_completed", "a")
        del call
        await wait_all_tasks_blocked()
        assert request() is None
        assert session.stream.held


# --- Again ---


@pytest.mark.parametrize("abandoned", [False, True])
async def test_refused_call_waits_without_holding_anything(autojump_clock, abandoned):
    async with a_world(driver := OnStream()) as world:
        session, call = Session(world.registry), world.call()
        driver.errors["a"] = BUSY
        await session.send(call)
        await wait_all_tasks_blocked()
        assert world.http.requests.borrowed_tokens == world.http.streams.borrowed_tokens == 0
        assert world.registry.windows()["/f"].in_flight == 0
        release = await world.occupy(session, "stream")
        await trio.sleep(10)
        assert driver.sent == ["a"]
        if abandoned:
            call.abandon()
            await wait_all_tasks_blocked()
        release()
        await wait_all_tasks_blocked()
        if abandoned:
            assert driver.sent == ["a"]
            world.assert_nothing_held(session)
        else:
            assert driver.sent == ["a", "a"]
            assert world.http.streams.borrowed_tokens == 1
            assert world.registry.windows()["/f"].in_flight == 1


async def test_dequeued_call_rejoins_now_unless_abandoned(autojump_clock):
    async with a_world(driver := OnStream()) as world:
        session, call = Session(world.registry), world.call()
        await session.send(call)
        await wait_all_tasks_blocked()
        now = trio.current_time()
        for abandoned in (False, True):
            session.canceller.on_dequeued(call, "a")
            session.joiner.start(call, driver)
            if abandoned:
                call.abandon()
            await wait_all_tasks_blocked()
            assert driver.sent == ["a", "a"]
        assert trio.current_time() == now
        driver.end()
        await wait_all_tasks_blocked()
        world.assert_nothing_held(session)


async def test_lost_call_is_found_once_other_is_refused(autojump_clock):
    """While a join is in flight, the stream is not opened to find the lost one."""
    async with a_world(driver := OnStream(), in_flight=2, requests=2) as world:
        session = Session(world.registry, one_at_a_time=False)
        driver.gates["a"] = trio.Event()
        driver.errors |= {"a": BUSY, "b": ConnectionLost("/f")}
        await sent(world, session, "ab")
        driver.say("estimation", "b")
        await wait_all_tasks_blocked()
        assert driver.told == []
        driver.gates["a"].set()
        await wait_all_tasks_blocked()
        assert driver.told == ["b"]


async def test_stream_with_unnamed_event_is_closed(autojump_clock):
    """The server keeps it open for the event of the lost call, which nobody waits for."""
    async with a_world(driver := OnStream(), in_flight=2) as world:
        session = Session(world.registry, one_at_a_time=False)
        driver.errors["b"] = ConnectionLost("/f")
        await sent(world, session, "ab")
        await trio.sleep(100)
        assert session.stream.held
        driver.say("process_completed", "a")
        await trio.sleep(10)
        world.assert_nothing_held(session)


# --- On a connection of its own ---


@pytest.mark.parametrize("announced", [False, True])
async def test_call_runs_unless_start_is_announced(autojump_clock, announced):
    async with a_world(OnConnections(announces_start=announced)) as world:
        await Session(world.registry).send(world.call())
        await wait_all_tasks_blocked()
        assert world.registry.windows()["/f"].running == (not announced)


@pytest.mark.parametrize("begun", ["not", "named", "started"])
async def test_only_refused_connections_are_tried_again(autojump_clock, begun):
    """The server may run what has a name, and what it has said something of."""
    driver = OnConnections()

    def refuse_first(conversation: Conversation) -> None:
        if begun == "named":
            conversation.event_id = "e1"
        elif begun == "started":
            conversation.deliver({"msg": "process_starts"})
        if len(driver.sent) == 1:
            raise BUSY
        conversation.deliver({"msg": "process_completed"})

    driver.script = refuse_first
    async with a_world(driver) as world:
        session, call = Session(world.registry), world.call()
        translator = cast("Translator", call.translator)
        await session.send(call)
        await trio.sleep(6)
        assert driver.sent == ["a"]
        assert translator.codes == ([Status.STARTING] if begun == "not" else [])
        await trio.sleep(2)
        assert len(driver.sent) == (2 if begun == "not" else 1)
        assert translator.error is (None if begun == "not" else BUSY)
        world.assert_nothing_held(session)
