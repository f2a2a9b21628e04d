"""How a session reads its stream: what a message, a refusal and the stream's end mean to its calls.

The server's responses are played; see `World`.
"""

from __future__ import annotations

import weakref
from typing import cast

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests.support.world import OnStream, World, a_world, follow, sent, several
from triojob import (
    CallInterrupted,
    ConnectionFailed,
    ConnectionLost,
    ProtocolError,
    Timeouts,
    UnexpectedResponse,
)
from triojob.gradio.protocol.messages import InvalidMessage
from triojob.gradio.session.pending_call import PendingCall
from triojob.gradio.session.session import Session

BUSY = UnexpectedResponse("/f: the server responded with status 503", status=503)
LOST = ConnectionLost("/f: the connection was lost")
NO_SERVER = ConnectionFailed("/f: no connection")
PAUSE = 10
"""Longer than the wait after one refusal; shorter than those after all of them."""


# --- Refused streams, and reset connections ---


@pytest.mark.parametrize(
    "error, alive, again",
    [
        *((BUSY, alive, True) for alive in (True, False)),
        *((error, alive, alive) for error in (NO_SERVER, LOST) for alive in (True, False)),
    ],
)
async def test_refused_stream_is_requested_again(autojump_clock, error, alive, again):
    """A refused connection is a refusal if another stream shows that the server lives."""
    driver = OnStream()
    async with several(driver, in_flight=None) as world:
        if alive:
            world.registry.listening.add(Session(world.registry))
        driver.refusals = [error] * 3
        (call,) = await sent(world, session := Session(world.registry), "a")
        await trio.sleep(PAUSE)
        # Two refusals may be chance.
        assert world.registry.windows()["/f"].size == (8 if again else 16)
        assert world.registry.refusals == (3 if again else 0)
        assert world.closed_idle == (3 if again else 1)
        driver.say("process_completed", "a")
        driver.end()
        await wait_all_tasks_blocked()
        assert (follow(call).error is None) == again
        world.assert_nothing_held(session)


async def test_closed_stream_shows_no_living_server(autojump_clock):
    async with several(driver := OnStream()) as world:
        session = Session(world.registry, one_at_a_time=False)
        driver.gates["b"] = trio.Event()
        sooner, later = await sent(world, session, "ab")
        driver.say("process_starts", "a")
        driver.gates["b"].set()
        await wait_all_tasks_blocked()
        driver.refusals.append(NO_SERVER)
        driver.say("process_completed", "a")
        driver.end()
        await wait_all_tasks_blocked()
        assert follow(sooner).error is None
        assert isinstance(follow(later).error, ConnectionFailed)


async def reset(world: World, session: Session, names: str) -> list[PendingCall]:
    """Send calls; the stream's first connection, which the server had perhaps, is reset."""
    driver = cast("OnStream", world.driver)
    world.registry.listening.add(Session(world.registry))
    driver.refusals.append(LOST)
    calls = await sent(world, session, names)
    await trio.sleep(PAUSE)
    return calls


async def test_heartbeat_ends_calls_with_lost_messages(autojump_clock):
    """Not the call that was sent after the reset.  The server may keep the stream open."""
    async with several(driver := OnStream()) as world:
        session = Session(world.registry, one_at_a_time=False)
        (lost,) = await reset(world, session, "a")
        (other,) = await sent(world, session, "b")
        driver.say("heartbeat")
        await wait_all_tasks_blocked()
        assert isinstance(follow(lost).error, ConnectionLost)
        assert "connection was reset" in str(follow(lost).error)
        assert not follow(other).finished
        await trio.sleep(PAUSE)
        driver.say("process_completed", "b")
        await trio.sleep(PAUSE)
        assert follow(other).error is None
        world.assert_nothing_held(session)


@pytest.mark.parametrize(
    "message",
    [
        {"msg": "estimation", "event_id": "a"},
        {"msg": "progress", "event_id": None},
        InvalidMessage(ValueError("no message")),
    ],
)
async def test_message_before_heartbeat_keeps_call(autojump_clock, message):
    """Either it is about the call, or the ranks of the calls may yet come."""
    async with several(driver := OnStream()) as world:
        (call,) = await reset(world, session := Session(world.registry), "a")
        driver.play(message)
        if not isinstance(message, InvalidMessage) and message["event_id"]:
            driver.say("heartbeat")
        driver.say("process_completed", "a")
        driver.end()
        await wait_all_tasks_blocked()
        assert follow(call).error is None
        world.assert_nothing_held(session)


async def test_heartbeat_of_refused_stream_ends_nothing(autojump_clock):
    async with several(driver := OnStream()) as world:
        driver.refusals.append(BUSY)
        (call,) = await sent(world, Session(world.registry), "a")
        await trio.sleep(PAUSE)
        driver.say("heartbeat")
        driver.say("process_completed", "a")
        await wait_all_tasks_blocked()
        assert (follow(call).finished, follow(call).error) == (True, None)


@pytest.mark.parametrize("how", ["closed", "broken", "dequeued"])
async def test_what_joins_later_is_not_lost(autojump_clock, how):
    """The call's join was in flight at the reset, but it is another one that counts."""
    async with several(driver := OnStream()) as world:
        session = Session(world.registry, one_at_a_time=False)
        gate = driver.gates["b"] = trio.Event()
        if how == "dequeued":
            gate.set()
        elif how == "broken":
            driver.errors["b"] = BUSY
        call, _ = await reset(world, session, "ba")
        driver.say("estimation", "a")
        if how == "dequeued":
            call.dequeuing = True
            driver.say("process_completed", "b", output={})
            await wait_all_tasks_blocked()
            session.joiner.start(call, driver)
        elif how == "closed":
            driver.say("process_completed", "a")
            driver.end()
        else:
            driver.say("unexpected_error")
        await wait_all_tasks_blocked()
        gate.set()
        await trio.sleep(PAUSE)
        assert call.event_id == "b"
        driver.say("heartbeat")
        driver.say("process_completed", "b")
        await wait_all_tasks_blocked()
        assert (follow(call).finished, follow(call).error) == (True, None)


async def test_call_refused_after_reset_is_freed(autojump_clock):
    """At the next heartbeat; the stream stays, for another call."""
    async with several(driver := OnStream()) as world:
        session = Session(world.registry, one_at_a_time=False)
        gate = driver.gates["b"] = trio.Event()
        driver.errors["b"] = UnexpectedResponse("/f: busy", status=503)
        calls = await reset(world, session, "ba")
        driver.say("estimation", "a")
        request = weakref.ref(calls[0].request)
        gate.set()
        await wait_all_tasks_blocked()
        calls[0].abandon()
        del calls
        driver.say("heartbeat")
        await wait_all_tasks_blocked()
        assert request() is None
        assert session.stream.held


async def test_late_rank_names_no_lost_call(autojump_clock):
    """It is the rank of a call that was given up here, and that the server still has."""
    async with several(driver := OnStream()) as world:
        session = Session(world.registry, one_at_a_time=False)
        await reset(world, session, "a")
        await sent(world, session, "b")
        driver.say("heartbeat")
        driver.errors["c"] = LOST
        await sent(world, session, "c")
        driver.say("estimation", "a")
        await wait_all_tasks_blocked()
        assert driver.told == []
        driver.say("estimation", "c")
        await wait_all_tasks_blocked()
        assert driver.told == ["c"]


# --- Lost calls ---


async def lose_second(world: World, session: Session) -> list[PendingCall]:
    """Send two calls; the response to the join of the second is lost."""
    cast("OnStream", world.driver).errors["b"] = LOST
    return await sent(world, session, "ab")


@pytest.mark.parametrize("how", ["named", "given up"])
async def test_lost_call_then_delays_no_end(autojump_clock, how):
    """Until then, the search for its event goes on beyond the client's end."""
    async with several(driver := OnStream()) as world:
        await lose_second(world, Session(world.registry, one_at_a_time=False))
        if how == "named":
            driver.say("estimation", "b")
            await wait_all_tasks_blocked()
            assert driver.told == ["b"]
            driver.say("process_completed", "b", output={})
        else:
            await trio.sleep(PAUSE)
        await wait_all_tasks_blocked()
        background = world.registry.background
        background.cancel_scope.cancel()
        with trio.CancelScope(shield=True):
            await wait_all_tasks_blocked()
        left = len(background.child_tasks)
        driver.end()  # else a failure of this test would never end
        assert left == 0


async def test_given_up_call_keeps_no_stream_open(autojump_clock):
    """A request with a made-up id is still in flight when the client ends."""
    async with several(driver := OnStream()) as world:
        session = Session(world.registry, one_at_a_time=False)
        driver.errors["b"] = LOST
        driver.gates["unknown"] = trio.Event()
        await sent(world, session, "a")
        await session.send(world.call("b", 2, fn_index=4))
        await trio.sleep(Timeouts().cancel + 1)
        assert driver.told == ["unknown"]
        background = world.registry.background
        background.cancel_scope.cancel()
        with trio.CancelScope(shield=True):
            await wait_all_tasks_blocked()
        names = [task.name for task in background.child_tasks]
        driver.end()
        assert names == ["<join #2 /f>"]


@pytest.mark.parametrize("how", ["closed", "broken"])
async def test_streams_end_ends_search_for_lost_call(autojump_clock, how):
    """The server has nothing more to say of it, so nobody waits for that."""
    async with several(driver := OnStream()) as world:
        await lose_second(world, session := Session(world.registry, one_at_a_time=False))
        start = trio.current_time()
        if how == "closed":
            driver.say("process_completed", "a")
            for _ in range(2):  # its event may have joined as the first stream ended
                driver.end()
                await wait_all_tasks_blocked()
        else:
            driver.say("unexpected_error")
        await wait_all_tasks_blocked()
        assert driver.told == ["unknown"]
        world.assert_nothing_held(session)
        assert trio.current_time() == start


async def test_message_without_event_names_no_call(autojump_clock):
    async with several(driver := OnStream()) as world:
        session = Session(world.registry, one_at_a_time=False)
        call, _ = await lose_second(world, session)
        driver.say("estimation")
        driver.say("process_completed", "a")
        await wait_all_tasks_blocked()
        assert driver.told == []
        assert (follow(call).finished, follow(call).error) == (True, None)


@pytest.mark.parametrize("event_id", ["a", None])
async def test_invalid_message_fails_its_call_only(autojump_clock, caplog, event_id):
    async with several(driver := OnStream()) as world:
        session = Session(world.registry, one_at_a_time=False)
        call, other = await sent(world, session, "ab")
        driver.play(InvalidMessage(ProtocolError("no output"), event_id))
        await wait_all_tasks_blocked()
        assert (follow(call).error is None) == (event_id is None)
        assert ("for an unknown call: no output" in caplog.text) == (event_id is None)
        assert follow(other).error is None


# --- Cancelled calls ---


async def test_started_bystander_is_not_sent_again(autojump_clock):
    """It started as the server took it out of the queue, so it was stopped as well."""
    async with several(driver := OnStream()) as world:
        session = Session(world.registry, one_at_a_time=False)
        call, bystander = await sent(world, session, "ab")
        driver.say("process_starts", "a")
        await wait_all_tasks_blocked()
        call.abandon()
        await wait_all_tasks_blocked()
        driver.say("process_completed", "b", output={})
        driver.say("process_starts", "b")
        await wait_all_tasks_blocked()
        assert driver.told == ["b", "a"]
        driver.say("process_completed", "a")
        await wait_all_tasks_blocked()
        assert isinstance(follow(bystander).error, CallInterrupted)
        assert driver.sent == ["a", "b"]


async def test_cancelled_call_is_stopped_once_it_starts(autojump_clock):
    """The request to take it out of the queue came too late."""
    async with several(driver := OnStream()) as world:
        call, _ = await sent(world, Session(world.registry, one_at_a_time=False), "ab")
        call.abandon()
        await wait_all_tasks_blocked()
        assert driver.told == ["a"]
        driver.say("process_starts", "a")
        await wait_all_tasks_blocked()
        assert driver.told == ["a", "b"]  # the other one first, which would be stopped too
        driver.say("process_completed", "b", output={})
        await wait_all_tasks_blocked()
        assert driver.told == ["a", "b", "a"]


async def test_silent_server_gets_no_request_again(autojump_clock):
    """However much the running call outputs."""
    async with several(driver := OnStream()) as world:
        call, _ = await sent(world, Session(world.registry, one_at_a_time=False), "ab")
        driver.say("process_starts", "a")
        await wait_all_tasks_blocked()
        call.abandon()
        await trio.sleep(PAUSE)
        for _ in range(3):
            driver.say("process_starts", "a")
            await trio.sleep(PAUSE)
        assert driver.told == ["b"]


async def test_ended_events_are_not_remembered(autojump_clock):
    """At the latest the stream's end reports the end of an event, here of a cancelled call's."""
    async with several(driver := OnStream()) as world:
        session = Session(world.registry, one_at_a_time=False)
        call, _ = await sent(world, session, "ab")
        driver.say("process_starts", "a")
        driver.say("process_completed", "b")
        await wait_all_tasks_blocked()
        assert session.event_ids._ended == set()
        call.abandon()
        await wait_all_tasks_blocked()
        assert session.event_ids._ended == {"a"}
        driver.end()
        await wait_all_tasks_blocked()
        assert session.event_ids._ended == set()


# --- The budget of streams ---


async def test_freed_place_serves_others(autojump_clock):
    """With as many free places, the call waits for nothing: that place is given back too."""
    places = 65
    async with a_world(driver := OnStream(), streams=places) as world:
        call = await world.with_slot()
        await Session(world.registry).send(call)
        await wait_all_tasks_blocked()
        driver.say("process_completed", "a")
        driver.end()
        await wait_all_tasks_blocked()
        with trio.fail_after(1):
            for number in range(places):
                await world.registry.streams.acquire(object(), number)


async def test_waiting_call_keeps_its_place(autojump_clock):
    """Another call of its session ends."""
    async with a_world(OnStream(), in_flight=2) as world, trio.open_nursery() as nursery:
        session = Session(world.registry, one_at_a_time=False)
        await world.occupy(session, "request")
        calls = [world.call(name, ord(name)) for name in "ab"]
        for call in calls:
            nursery.start_soon(session.send, call)
        await wait_all_tasks_blocked()
        waiting = calls[1].waiting
        assert waiting is not None
        waiting.cancel()
        await wait_all_tasks_blocked()
        assert world.http.streams.borrowed_tokens == 1
        nursery.cancel_scope.cancel()


async def test_closing_says_whether_stream_was_open(autojump_clock):
    async with a_world(OnStream()) as world:
        session = Session(world.registry)
        assert session.stream.close() is False
        await sent(world, session := Session(world.registry), "a")
        assert session.stream.close() is True
