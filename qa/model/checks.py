"""The promises: what must be true after each step of the model, and at its end."""

from __future__ import annotations

from typing import Any

import trio
import trio.testing
from outcome import Error

from qa.model.app import GENERATORS, WITH_STATE, Boom, Sent, value_of
from qa.model.world import BodyError, Call, PlainCall, Reader, Scope, World, failed
from tests.support.jobs import leaves
from triojob import (
    AppError,
    CallInterrupted,
    ClientClosed,
    GroupClosed,
    JobCancelled,
    OutputUpdate,
    QueueFull,
    ServerRestarted,
    Status,
    TriojobError,
)

ENDS = (Status.FINISHED, Status.CANCELLED)


def outputs_of(sent: Sent, token: str, endpoint: str) -> list[Any]:
    """Return all outputs that a call can have had by now."""
    outputs = [value_of(token, index) for index in range(sent.outputs)]
    if sent.end is not None and sent.end[0] == "value":
        value = sent.end[1]
        streams = endpoint in GENERATORS or endpoint == "local generator"
        if not streams or (outputs and value != outputs[-1]):
            outputs.append(value)
    return outputs


# --- After each step ---


def check_step(world: World) -> None:
    """Check all that can be seen of each job that was not at its end when last looked at."""
    for call in world.calls:
        if call.ended_at is None:
            check_call(world, call)


def check_call(world: World, call: Call) -> None:
    job, history = call.job, call.scope.options.get("history")
    sent = world.ledger[call.token]
    expected = outputs_of(sent, call.token, call.endpoint)
    assert call.heard == expected[: len(call.heard)], "a listener heard something else"
    kept = job.outputs()
    heard = len(call.heard)
    assert job.dropped + len(kept) == heard, "a job has other outputs than its listener"
    assert kept == call.heard[job.dropped :]
    assert job.dropped == (0 if history is None else max(heard - history, 0))
    status = job.status()
    assert (status.code in ENDS) == job.done
    assert call.ends == job.done, "on_result was not called exactly once"
    assert [code for code in call.codes if code in ENDS] == ([status.code] if job.done else [])
    if not job.done:
        return
    call.ended_at = what_is_seen(call)
    assert call.codes[-1:] == [status.code], "a status came after the end"
    assert job.cancelled == (status.code is Status.CANCELLED)
    assert status.success is (not job.cancelled and not failed(call))
    if job.cancelled:
        assert world.may_be_cancelled(call), "nobody cancelled this job"
    elif status.success:
        assert sent.end is not None
        assert sent.end[0] == "value", "a job that has no value yet ended well"
        assert call.heard == expected, "a job ended well without some of its outputs"
    elif interrupted(call):
        assert call.endpoint in GENERATORS, "a job that yields nothing was interrupted"
    elif not (call.harmed or call.crowded or closing(call)) and not restarted(world, call):
        assert sent.end is not None, "a job failed by itself"
        assert sent.end[0] == "error"
        assert call.heard == expected, "a job failed without some of its outputs"


def closing(call: Call | PlainCall) -> bool:
    return call.surface is not None and any(s.ending for s in call.surface.chain)


def interrupted(call: Call) -> bool:
    """Tell, without looking at it, whether another call's cancellation has stopped this one."""
    result = call.job._record.outcome
    return isinstance(result, Error) and isinstance(result.error, CallInterrupted)


def restarted(world: World, call: Call | PlainCall) -> bool:
    return world.restarts > 0 and call.endpoint in WITH_STATE


def what_is_seen(call: Call) -> tuple[Any, ...]:
    job = call.job
    return (
        job.status(),
        job.cancelled,
        job.dropped,
        job.outputs(),
        list(call.heard),
        list(call.codes),
        call.ends,
    )


# --- At the end ---


def check_all_over(world: World) -> None:
    """Check that all has come to an end, and that no failure was lost."""
    assert all(scope.over for scope in world.scopes)
    check_step(world)
    for call in world.calls:
        assert call.job.done, f"{call} never ended"
        assert what_is_seen(call) == call.ended_at, f"{call} changed after its end"
        assert world.ledger[call.token].runs <= 1, f"{call} was sent twice"
        check_raised(call)
        check_kind(world, call)
    for scope in world.scopes:
        check_scope(world, scope)
    for plain in world.plain_calls:
        check_plain(world, plain)
    for reader in world.readers:
        check_reader(world, reader)


def check_raised(call: Call) -> None:
    """A failure that nobody retrieved is raised by its group; one that was retrieved is not."""
    if not failed(call):
        return
    error = call.job.exception()
    ends = [leaf for s in call.scope.chain if s.raised is not None for leaf in leaves(s.raised)]
    raised = any(leaf is error for leaf in ends)
    if call.scope.fail_fast:
        assert raised, f"{call.scope} fails fast and did not raise the failure of {call}"
    else:
        assert raised or call.seen, f"the failure of {call} was lost"
        assert not (raised and call.seen_in_time), f"the failure of {call} was raised though seen"


def check_kind(world: World, call: Call) -> None:
    error, sent = call.job.exception(), world.ledger[call.token]
    if error is None:
        assert sent.end is not None
        outcome = call.job.outcome
        assert outcome is not None
        assert sent.end == ("value", outcome.unwrap())
    elif isinstance(error, JobCancelled):
        assert call.job.cancelled
    elif isinstance(error, Boom):
        assert call.surface is None
        assert sent.end == ("error", str(error))
    else:
        assert call.surface is not None, f"{call} ended in {error!r}"
        check_error(world, call, error)


def check_error(world: World, call: Call | PlainCall, error: BaseException) -> None:
    """Check that there was a reason for what a call of the app failed with."""
    if isinstance(error, AppError):
        assert world.ledger[call.token].end == ("error", error.message)
    elif isinstance(error, QueueFull):
        assert call.crowded or call.harmed, f"{call} ended in {error!r}"
    elif isinstance(error, ServerRestarted):
        assert world.restarts, f"{call} ended in {error!r}"
    elif isinstance(error, (ClientClosed, GroupClosed)):
        assert closing(call), f"{call} ended in {error!r}"
    elif isinstance(error, CallInterrupted):
        # It shared a session with another call of a generator that was cancelled.
        others = [other for other in world.calls if other.endpoint == call.endpoint]
        assert any(other.job.cancelled for other in others), f"{call} ended in {error!r}"
    else:
        assert isinstance(error, TriojobError)
        assert call.harmed, f"{call} ended in {error!r}"


def check_scope(world: World, scope: Scope) -> None:
    """Check that a scope raised nothing but what failed in it."""
    if scope.raised is None:
        assert not (scope.body_raises and scope.thing is not None and not scope.struck)
        return
    inner = world.inside(scope)
    failures = [call.job.exception() for call in world.calls if call.scope in inner]
    for leaf in leaves(scope.raised):
        known = any(leaf is failure for failure in failures)
        body = isinstance(leaf, BodyError) and any(leaf.args == (s.name,) for s in inner)
        # Of a scope further out; its own cancellation ends in itself.
        around = scope.chain[1:]
        stopped = isinstance(leaf, trio.Cancelled) and any(map(world.is_struck, around))
        opening = isinstance(leaf, TriojobError) and scope.thing is None
        assert known or body or stopped or opening, f"{scope} raised {leaf!r}"


def check_plain(world: World, call: PlainCall) -> None:
    assert call.end is not None, f"{call} never ended"
    assert world.ledger[call.token].runs <= 1, f"{call} was sent twice"
    kind, what = call.end
    if kind == "value":
        assert world.ledger[call.token].end == call.end
    elif kind == "cancelled":
        assert call.bounded or world.may_be_cancelled(call), f"{call}: nobody cancelled it"
    elif isinstance(what, JobCancelled):
        assert world.may_be_cancelled(call), f"{call}: nobody cancelled it"
    else:
        check_error(world, call, what)


def check_reader(world: World, reader: Reader) -> None:
    """What a reader gets is in order, none twice, and whole but for what ``history=`` dropped."""
    call, heard = reader.call, reader.call.heard
    assert reader.end, f"{reader} never ended"
    if reader.how == "result":
        outcome = call.job.outcome
        assert outcome is not None
        assert not reader.got or reader.got == [outcome.unwrap()]
    elif reader.how == "outputs":
        places = [heard.index(output) for output in reader.got]
        check_places(reader, places, len(heard))
    elif reader.how == "updates":
        outputs = [update for update in reader.got if isinstance(update, OutputUpdate)]
        assert [heard[update.index] for update in outputs] == [u.output for u in outputs]
        check_places(reader, [update.index for update in outputs], len(heard))


def check_places(reader: Reader, places: list[int], total: int) -> None:
    assert places == sorted(set(places)), f"{reader} got outputs out of order, or twice"
    if reader.call.scope.options.get("history") is not None:
        return
    assert reader.dropped == 0
    assert places == list(range(len(places))), f"{reader} got too few outputs"
    assert len(places) == total or reader.end not in ("end", "raised")


async def check_nothing_left(world: World) -> None:
    """Check that no task, socket, slot, session or heartbeat is left, here or on the server."""
    await trio.testing.wait_all_tasks_blocked()
    server = world.server
    assert world.tasks_of_ours() == world.tasks_before, "a task is left"
    assert server.open_connections == 0, "a socket is left"
    assert server.streams.open == 0
    assert server.heartbeats.open == 0, "a heartbeat is left"
    if world.all_is_told:
        # However the joins went: of a call that has ended here, none runs there, or will.
        assert not server.waiting, "an event is left in the queue"
        assert not server.running, "an event is left running"


def check_heartbeats(world: World) -> None:
    """Check that no session that is over has a heartbeat."""
    # A session has a heartbeat from its first call on, that of the client from one with State on.
    used = {
        call.surface
        for call in (*world.calls, *world.plain_calls)
        if call.surface is not None
        and (call.surface.kind == "session" or call.endpoint in WITH_STATE)
    }
    assert world.server.heartbeats.open <= sum(s.usable for s in used), "a heartbeat is left"


async def check_no_slot_taken(world: World) -> None:
    """Check that each client that is open and idle has all its places, and works."""
    for scope in world.scopes:
        if scope.kind != "client" or scope.ending or scope.thing is None:
            continue
        client = scope.client
        assert f" 0/{client.limits.streams} streams" in repr(client), f"{client!r} is idle"
        for _ in range(2):
            plan = '["again", [], "return"]'
            assert (await client.predict(plan, api_name="/plain"))["token"] == "again"
