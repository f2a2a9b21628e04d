"""Any program of the model keeps the promises: a short run by default, a long one on demand.

After each step of a program, and at its end:

- each job has exactly one end, and it never changes;
- its outputs are a prefix of what the server sent, in order, none twice, for each reader;
- each failure that nobody retrieved is raised by its group, and no other is;
- no job is cancelled that nobody cancelled, and no call is sent twice;
- no task, socket, slot, session or heartbeat is left;
- no wait is without an end.

``TRIOJOB_MODEL_STEPS`` says how many steps the long run has at least; see ``nox -s model``.
"""

from __future__ import annotations

import logging
import os

import pytest
from hypothesis import HealthCheck, Phase, Verbosity, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.model.machine import Model

profile = settings(
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=40,
    stateful_step_count=40,
    suppress_health_check=list(HealthCheck),
    verbosity=Verbosity.normal,
)


def test_any_short_program_keeps_the_promises() -> None:
    run_state_machine_as_test(Model, settings=profile)


@pytest.mark.skipif("TRIOJOB_MODEL_STEPS" not in os.environ, reason="the long run: nox -s model")
def test_many_long_programs_keep_the_promises(capsys: pytest.CaptureFixture[str]) -> None:
    """Run programs until there were enough steps, other ones each time."""
    logging.getLogger("triojob").setLevel(logging.CRITICAL)
    wanted = int(os.environ["TRIOJOB_MODEL_STEPS"])
    Model.counts.clear()
    while Model.counts.total() < wanted:
        run_state_machine_as_test(
            Model,
            settings=settings(
                profile,
                derandomize=False,
                max_examples=25,
                stateful_step_count=80,
                # Shrinking such a program takes longer than finding it.
                phases=[Phase.generate],
            ),
        )
        with capsys.disabled():
            print(f"{Model.counts.total()} steps", flush=True)
    with capsys.disabled():
        for kind, count in Model.counts.most_common():
            print(f"{count:8} {kind}")
