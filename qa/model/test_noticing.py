"""The model is worth something: each of these mistakes, made on purpose, is one that it finds."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
import trio
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from outcome import Value

from qa.model.choices import profile
from qa.model.machine import Model
from tests.support.jobs import leaves
from triojob._core.group import JobGroup
from triojob._core.runner import JobRunner
from triojob._core.sink import MessageSink
from triojob.gradio.session.canceller import Canceller
from triojob.gradio.session.registry import SessionRegistry
from triojob.gradio.session.session import Session
from triojob.gradio.session.stream_budget import StreamBudget

Patch = pytest.MonkeyPatch

# Not shrunk: that the mistake is found is all that is asked.
quickly = settings(
    profile, max_examples=300, stateful_step_count=40, phases=[Phase.generate], print_blob=False
)


def forgets_failures(patch: Patch) -> None:
    patch.setattr(JobGroup, "_with_failures", lambda self, raised: raised)


def raises_what_was_seen(patch: Patch) -> None:
    patch.setattr(JobGroup, "_on_retrieved", lambda self, record: None)


def says_outputs_twice(patch: Patch) -> None:
    output = MessageSink.output
    patch.setattr(MessageSink, "output", lambda self, it: output(self, it) and output(self, it))


def takes_a_cancellation_for_success(patch: Patch) -> None:
    finish = JobRunner.finish

    def finished(self: JobRunner, result: Any, cause: Any = None) -> Any:
        return finish(self, Value(None) if result is None else result, cause)

    patch.setattr(JobRunner, "finish", finished)


def puts_all_calls_in_one_session(patch: Patch) -> None:
    def isolated(self: SessionRegistry) -> Session:
        if not self._idle:
            self._idle[Session(self, one_at_a_time=False)] = None
        return next(iter(self._idle))

    start_next_step = Canceller.start_next_step

    def cancelling(self: Canceller, fn_index: int) -> None:
        # As gradio_client does: whatever else runs there is stopped, too.
        functions = self._session.functions
        calls = [*functions[fn_index].calls] if fn_index in functions else []
        for call in calls:
            if call.abandoned and call.event_id is not None and len(calls) > 1:
                self._registry.background.start_soon(self._post_cancel, call, call.event_id)
        start_next_step(self, fn_index)

    patch.setattr(SessionRegistry, "isolated", isolated)
    patch.setattr(Canceller, "start_next_step", cancelling)


def keeps_places(patch: Patch) -> None:
    patch.setattr(StreamBudget, "release", lambda self, owner, job_id: None)


def keeps_heartbeats(patch: Patch) -> None:
    patch.setattr(Session, "_end_heartbeat", lambda self: None)


def hears_of_no_break(patch: Patch) -> None:
    patch.setattr(Session, "stream_broke", lambda self, error: None)


# These take many programs, or much time in one.
slow = pytest.mark.skipif("TRIOJOB_MODEL_STEPS" not in os.environ, reason="slow: nox -s model")
MISTAKES = [
    forgets_failures,
    says_outputs_twice,
    takes_a_cancellation_for_success,
    keeps_places,
    pytest.param(raises_what_was_seen, marks=slow),
    pytest.param(puts_all_calls_in_one_session, marks=slow),
    pytest.param(keeps_heartbeats, marks=slow),
    pytest.param(hears_of_no_break, marks=slow),
]


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_found(mistake: Callable[[Patch], None], monkeypatch: Patch) -> None:
    mistake(monkeypatch)
    with pytest.raises(BaseException) as caught:  # noqa: PT011 - of several findings it is a group
        run_state_machine_as_test(Model, settings=quickly)
    kinds = (AssertionError, trio.TooSlowError, KeyError)
    assert any(isinstance(leaf, kinds) for leaf in leaves(caught.value)), repr(caught.value)
