"""What a server may be asked for, for each mixture of calls of one function in one session."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import cast

import pytest

from triojob.gradio.session.cancel_policy import next_step
from triojob.gradio.session.canceller import Canceller
from triojob.gradio.session.function_calls import FunctionCalls
from triojob.gradio.session.pending_call import PendingCall
from triojob.gradio.session.registry import SessionRegistry
from triojob.gradio.session.session import Session


class Call:
    """As much of a call as matters: ``r``uns, is ``q``ueued, ``j``oins or is ``n``ot sent.

    In capitals it is abandoned; with ``!`` the server was asked to take it out of the queue, with
    ``?`` the response to its join was lost, and with ``+`` it holds its slot.
    """

    def __init__(self, state: str) -> None:
        kind = state[0].lower()
        self.state = state
        self.abandoned = state[0].isupper()
        self.dequeuing = state.endswith("!")
        self.lost = state.endswith("?")
        self.slot = SimpleNamespace(held=state.endswith("+"))
        self.event_id = "id" if kind in "rq" else None
        self.is_sent = kind != "n"
        self.queued = kind == "q"
        self.translator = self
        self.running = kind == "r"
        self.fn_index = 3


@pytest.mark.parametrize(
    "calls, dequeue, stop",
    [
        ("", "", ""),
        ("r q", "", ""),
        # One alone is stopped, whether it waits or runs.
        ("R", "", "R"),
        ("Q", "", "Q"),
        ("J", "", ""),
        # Nobody else is harmed: those that wait leave the queue, and then all are stopped.
        ("R Q Q", "Q Q", "R Q Q"),
        ("R Q! Q", "Q", "R Q! Q"),
        ("R Q", "Q", "R Q"),
        ("Q Q", "Q Q", "Q Q"),
        ("R J", "", ""),
        ("R n", "", "R"),
        # Others run: only what waits can go.
        ("R r", "", ""),
        ("R r q Q", "Q", ""),
        ("R r Q!", "", ""),
        ("Q r", "Q", ""),
        ("Q q", "Q", ""),
        # Others wait: they make way for the one that is stopped.
        ("R q", "q", "R"),
        ("R R q q", "q q", "R R"),
        ("R q n", "q", "R"),
        ("R q j", "", ""),
        ("R Q q", "Q", ""),
        ("R Q! q", "q", "R"),
    ],
)
def test_next_step(calls: str, dequeue: str, stop: str) -> None:
    step = next_step([cast("PendingCall", Call(each)) for each in calls.split()], dequeues=True)
    asked = ("", "") if step is None else (names(step.dequeue), names(step.stop))
    assert asked == (dequeue, stop)
    assert step is None or step.fn_index == 3


@pytest.mark.parametrize("calls, stop", [("R", "R"), ("R Q", "R Q"), ("R q", ""), ("Q r", "")])
def test_old_servers_stop_all_or_none(calls: str, stop: str) -> None:
    step = next_step([cast("PendingCall", Call(each)) for each in calls.split()], dequeues=False)
    assert ("" if step is None else names(step.stop)) == stop
    assert step is None or not step.dequeue


def names(calls: tuple[PendingCall, ...]) -> str:
    return " ".join(cast("Call", call).state for call in calls)


class Untouched:
    """A call that must not be looked at, as there may be thousands of them."""

    def __getattr__(self, name: str) -> object:
        raise AssertionError(name)


def test_only_abandoned_calls_cost_a_look() -> None:
    function = FunctionCalls(math.inf)
    function.calls = {cast("PendingCall", Untouched()): None}
    session = cast("Session", SimpleNamespace(functions={3: function}))
    Canceller(session, cast("SessionRegistry", None)).start_next_step(3)
    assert function.may_join()


def function_with(calls: str, *, cancelling: bool) -> FunctionCalls:
    function = FunctionCalls(math.inf)
    function.calls = {cast("PendingCall", Call(each)): None for each in calls.split()}
    function.abandoned = {call for call in function.calls if call.abandoned}
    function.cancelling = cancelling
    return function


def test_stream_is_needed_by_what_is_sent() -> None:
    expected = {"": False, "n": False, "n n+": True, "r": True, "R": True, "n J?": True}
    for calls, needed in expected.items():
        assert function_with(calls, cancelling=False).needs_stream is needed, calls
        assert function_with(calls, cancelling=True).needs_stream


def test_when_a_call_may_join() -> None:
    """Once a lost call has its id, a request stops all calls, unless another one runs."""
    expected = {"": True, "r n": True, "R n": True, "J? n": False, "J? R n": False, "J? r n": True}
    for calls, may_join in expected.items():
        assert function_with(calls, cancelling=False).may_join() is may_join, calls
        assert not function_with(calls, cancelling=True).may_join()
