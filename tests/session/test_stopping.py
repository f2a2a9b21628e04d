"""What a session does to stop some calls of a function: which requests, and what becomes of others.

The server's responses are played; see `World`.  Its requests to take a call out of the queue and
to stop a call are both in ``told``.
"""

from __future__ import annotations

import logging
import weakref
from typing import cast

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests.support.world import OnStream, World, follow, sent, several
from triojob import CallInterrupted, ConnectionLost, UnexpectedResponse
from triojob.gradio.http.client import CANCEL_REQUESTS
from triojob.gradio.protocol.messages import InvalidMessage
from triojob.gradio.session.pending_call import PendingCall
from triojob.gradio.session.session import Session

INVALID = InvalidMessage(ValueError("no message"), "b", completes=True)


async def say(world: World, kind: str, *names: str) -> None:
    """Let the server say the same of several events; ``out`` of the queue is an empty end."""
    driver = cast("OnStream", world.driver)
    for name in names:
        if kind == "out":
            driver.say("process_completed", name, output={})
        else:
            driver.say(kind, name)
    await wait_all_tasks_blocked()


async def stop_first(world: World, session: Session, names: str = "ab") -> list[PendingCall]:
    """Send calls, of which the first runs and is cancelled: the others are to leave the queue."""
    calls = await sent(world, session, names)
    await say(world, "process_starts", names[0])
    calls[0].abandon()
    await wait_all_tasks_blocked()
    assert sorted(cast("OnStream", world.driver).told) == [*names[1:]]
    return calls


# --- Queued siblings make way, and join again ---


async def test_queued_siblings_join_again_at_once(autojump_clock, caplog):
    """As soon as the server has reported the end of the call that it stopped."""
    async with several(driver := OnStream()) as world:
        session = Session(world.registry, one_at_a_time=False)
        calls = await stop_first(world, session, "abc")
        await say(world, "out", "b")
        assert (driver.told[2:], driver.sent) == ([], ["a", "b", "c"])
        await say(world, "out", "c")
        assert (driver.told[2:], driver.sent) == (["a"], ["a", "b", "c"])
        await say(world, "out", "a")
        assert (driver.told[2:], sorted(driver.sent)) == (["a"], ["a", "b", "b", "c", "c"])
        assert trio.current_time() == 0
        assert not [line for line in caplog.records if line.levelno >= logging.WARNING]
        # They can be cancelled as others can.
        calls[1].abandon()
        await wait_all_tasks_blocked()
        await say(world, "out", "b")
        assert driver.told[2:] == ["a", "b"]
        await say(world, "process_completed", "c")
        driver.end()
        await wait_all_tasks_blocked()
        assert [follow(call).error for call in calls] == [None] * 3
        world.assert_nothing_held(session)


@pytest.mark.parametrize("last", ["cancelled", "started", "completed", INVALID])
@pytest.mark.parametrize("other_ends", [False, True])
async def test_dequeued_call_ends_instead_of_rejoining(autojump_clock, last, other_ends):
    """If it is cancelled too, or if it had started: the server tells before the stop's end.

    That a step of another function ends meanwhile doesn't matter.
    """
    async with several(driver := OnStream()) as world:
        session = Session(world.registry, one_at_a_time=False)
        _, bystander = await stop_first(world, session)
        await say(world, "out", "b")
        assert driver.told == ["b", "a"]
        if other_ends:
            await session.send(other := world.call("c", 3, fn_index=4))
            await wait_all_tasks_blocked()
            other.abandon()
            await wait_all_tasks_blocked()
            assert driver.told == ["b", "a", "c"]
        if last == "cancelled":
            bystander.abandon()
        elif last == "started":
            await say(world, "process_starts", "b")
        elif last == "completed":
            await say(world, "process_completed", "b")
        else:
            driver.play(INVALID)
        await say(world, "process_completed", "a")
        driver.end()
        await wait_all_tasks_blocked()
        assert driver.sent == ["a", "b", "c"][: 2 + other_ends]
        error = follow(bystander).error
        if last == "started":
            assert isinstance(error, CallInterrupted)
            assert "stopped together with another call" in str(error)
        else:
            assert (error is None) == (last is not INVALID)
            assert follow(bystander).finished == (last != "cancelled")
        world.assert_nothing_held(session)


async def test_later_step_leaves_rejoined_call_alone(autojump_clock):
    async with several(driver := OnStream()) as world:
        session = Session(world.registry, one_at_a_time=False)
        _, bystander = await stop_first(world, session)
        await say(world, "out", "b")
        await say(world, "process_completed", "a")
        await say(world, "process_starts", "b")
        (third,) = await sent(world, session, "c")
        third.abandon()
        await wait_all_tasks_blocked()
        await say(world, "out", "c")
        assert (driver.sent, driver.told) == (["a", "b", "b", "c"], ["b", "a", "c"])
        assert not follow(bystander).finished


# --- Siblings that the server had started ---


async def test_started_function_goes_on_to_its_end(autojump_clock):
    """For the server it has ended, so it closes the stream; the result comes on the next one."""
    async with several(driver := OnStream()) as world:
        session = Session(world.registry, one_at_a_time=False)
        stopped, bystander = await stop_first(world, session)
        await say(world, "process_starts", "b")
        await say(world, "out", "b")
        assert driver.told == ["b"]  # a cancel request would stop both
        await say(world, "process_completed", "a")
        driver.end()
        await wait_all_tasks_blocked()
        assert not follow(bystander).finished
        await say(world, "process_completed", "b")
        driver.end()
        await wait_all_tasks_blocked()
        assert [follow(call).error for call in (stopped, bystander)] == [None, None]
        world.assert_nothing_held(session)


async def test_started_generator_is_stopped_and_fails(autojump_clock):
    """The request to take it out of the queue disturbs it, so nothing else can come of it."""
    async with several(driver := OnStream()) as world:
        session = Session(world.registry, one_at_a_time=False)
        running, bystander = world.call(), world.call("b", 2, streams=True)
        for call in (running, bystander):
            await session.send(call)
            await wait_all_tasks_blocked()
        await say(world, "process_starts", "a")
        running.abandon()
        await say(world, "process_starts", "b")
        await say(world, "out", "b")
        assert isinstance(follow(bystander).error, CallInterrupted)
        assert "can't stop only one" in str(follow(bystander).error)
        await say(world, "process_completed", "a")
        assert driver.told == ["b", "a", "b"]
        await trio.sleep(10)
        world.assert_nothing_held(session)


# --- A server that reports at once, late or not at all ---


@pytest.mark.parametrize("cancelled", [0, 1])
async def test_report_before_request_harms_nobody(autojump_clock, cancelled):
    """Somebody else has taken the call out of the queue at that moment."""
    async with several(driver := OnStream()) as world:
        session = Session(world.registry, one_at_a_time=False)
        calls = await sent(world, session, "ab")
        await say(world, "process_starts", "a")
        calls[cancelled].abandon()
        await say(world, "out", "b")
        await say(world, "process_completed", "a")
        assert driver.told == ["b", "a"][: 2 - cancelled]
        assert driver.sent == ["a", "b", "b"][: 3 - cancelled]


async def test_unreported_siblings_prevent_the_stop(autojump_clock, caplog):
    """They would be stopped too; so they go on, and a later report ends them as any does."""
    async with several(driver := OnStream()) as world:
        session = Session(world.registry, one_at_a_time=False)
        _, bystander = await stop_first(world, session)
        await trio.sleep(100)
        assert (driver.told, driver.sent) == (["b"], ["a", "b"])
        (line,) = (line for line in caplog.records if line.levelno >= logging.WARNING)
        assert "did not report whether the call left its queue" in line.getMessage()
        assert cast("int", line.__dict__["job"]) == bystander.job_id
        assert not follow(bystander).finished
        await say(world, "out", "b")
        assert follow(bystander).finished


async def test_cancelled_call_leaves_at_late_report(autojump_clock):
    """The function's next calls, and this client's memory, are rid of it at once."""
    async with several(driver := OnStream()) as world:
        session = Session(world.registry, one_at_a_time=False)
        running, waiting = await sent(world, session, "ab")
        await say(world, "process_starts", "a")
        waiting.abandon()
        await wait_all_tasks_blocked()
        assert driver.told == ["b"]
        request = weakref.ref(waiting.request)
        del waiting
        await say(world, "out", "b")
        assert request() is None
        await say(world, "process_completed", "a")
        driver.end()
        await wait_all_tasks_blocked()
        assert (driver.told, follow(running).error) == (["b"], None)
        world.assert_nothing_held(session)


# --- Requests ---


async def test_queued_calls_need_one_stop_request(autojump_clock):
    """Any of them may have started while it was taken out of the queue."""
    async with several(driver := OnStream()) as world:
        session = Session(world.registry, one_at_a_time=False)
        driver.gates |= {name: trio.Event() for name in "abc"}
        calls = await sent(world, session, "abc")
        for call in calls:
            call.abandon()
        for gate in driver.gates.values():
            await wait_all_tasks_blocked()
            assert driver.told == []
            gate.set()
        await wait_all_tasks_blocked()
        *dequeued, last = driver.told
        assert (sorted(dequeued), len(driver.told)) == (["a", "b", "c"], 4)
        assert last in dequeued
        await trio.sleep(10)
        world.assert_nothing_held(session)


@pytest.mark.parametrize("names, which", [("a", "#97"), ("ab", "2 calls of")])
async def test_task_is_named_after_its_calls(autojump_clock, names, which):
    async with several(driver := OnStream()) as world:
        calls = await sent(world, Session(world.registry, one_at_a_time=False), names)
        await say(world, "process_starts", *names)
        driver.gates |= {name: trio.Event() for name in names}
        for call in calls:
            call.abandon()
        await wait_all_tasks_blocked()
        assert f"<cancel {which} /f>" in [
            each.name for each in world.registry.background.child_tasks
        ]


async def test_late_rank_of_stopped_call_names_none(autojump_clock):
    """Another call is sought; the server's message was on its way when it was stopped."""
    async with several(driver := OnStream()) as world:
        session = Session(world.registry, one_at_a_time=False)
        (stopped,) = await sent(world, session, "a")
        await session.send(world.call("b", 2, fn_index=4))
        stopped.abandon()
        await wait_all_tasks_blocked()
        driver.errors["c"] = ConnectionLost("/f")
        await session.send(world.call("c", 3, fn_index=4))
        await wait_all_tasks_blocked()
        await say(world, "estimation", "a")
        assert driver.told == ["a"]
        await say(world, "estimation", "c")
        assert driver.told == ["a", "c"]


@pytest.mark.parametrize(
    "error, said",
    [
        (UnexpectedResponse("event-of-call is unknown", status=500), "cancelling: *** is unknown"),
        (ValueError("event-of-call"), "cancelling: the connection to the server raised"),
    ],
)
async def test_failed_request_is_logged_without_secret(autojump_clock, caplog, error, said):
    """With an event's id alone, anybody can stop the event of some Gradio releases."""

    class Failing(OnStream):
        async def cancel(self, *_: object, **__: object) -> None:
            raise error

    async with several(Failing()) as world:
        await (session := Session(world.registry)).send(call := world.call("event-of-call"))
        await wait_all_tasks_blocked()
        call.abandon()
        await trio.sleep(10)
        (line,) = (line for line in caplog.records if line.levelno >= logging.WARNING)
        assert f"a cancel request failed: {said}" in line.getMessage()
        assert "event-of-call" not in line.getMessage()
        world.assert_nothing_held(session)


async def test_lines_tell_which_request_had_no_time(autojump_clock, caplog):
    """Once some have waited in vain, the others are sent without a wait for the response."""
    names = "abcdefghijklmnopqrstuvwxyz"[: CANCEL_REQUESTS + 2]
    async with several(driver := OnStream(), in_flight=99, requests=99) as world:
        calls = await sent(world, Session(world.registry, one_at_a_time=False), names)
        await say(world, "process_starts", *names)
        driver.gates |= {name: trio.Event() for name in names}
        for call in calls:
            call.abandon()
        await trio.sleep(world.registry.timeouts.cancel)
        await wait_all_tasks_blocked()
        said = [line.getMessage() for line in caplog.records if line.levelno >= logging.WARNING]
        assert sum("no response to a cancel request" in line for line in said) == CANCEL_REQUESTS
        assert sum("another one took longer" in line for line in said) == 2


async def test_search_for_lost_call_outlives_no_timeout(autojump_clock):
    """It goes on beyond the client's end, for as long as a cancel request may take."""
    async with several(driver := OnStream()) as world:
        driver.errors["b"] = ConnectionLost("/f")
        await sent(world, session := Session(world.registry, one_at_a_time=False), "ab")
        world.registry.background.cancel_scope.cancel()
        with trio.CancelScope(shield=True):
            for searched in (True, False):
                assert bool(session.event_ids.lost) == searched
                await trio.sleep(world.registry.timeouts.cancel + 1)
