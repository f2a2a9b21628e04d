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
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from qa.model.choices import profile
from qa.model.machine import Model
from tests.servers.direct import go_direct

WAYS = ["httpx", "direct"]
"""By httpx, and by connections of triojob's own."""


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "direct":
        go_direct(monkeypatch)
    return str(request.param)


def test_any_short_program_keeps_the_promises(way: str) -> None:
    run_state_machine_as_test(Model, settings=profile)


@pytest.mark.skipif("TRIOJOB_MODEL_STEPS" not in os.environ, reason="the long run: nox -s model")
def test_many_long_programs_keep_the_promises(way: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Run programs until there were enough steps, other ones each time."""
    logger = logging.getLogger("triojob")
    before = logger.level
    logger.setLevel(logging.CRITICAL)  # what goes wrong here is on purpose
    try:
        _run_many_long_programs(way, capsys)
    finally:
        logger.setLevel(before)


def _run_many_long_programs(way: str, capsys: pytest.CaptureFixture[str]) -> None:
    wanted = int(os.environ["TRIOJOB_MODEL_STEPS"]) // len(WAYS)
    Model.counts.clear()
    with capsys.disabled():
        while Model.counts.total() < wanted:
            long = settings(
                profile,
                derandomize=False,
                max_examples=25,
                stateful_step_count=80,
                # Shrinking such a program takes longer than finding it.
                phases=[Phase.generate],
            )
            run_state_machine_as_test(Model, settings=long)
            print(f"{way}: {Model.counts.total()} steps", flush=True)  # noqa: T201 - it is a long run
        for kind, count in Model.counts.most_common():
            print(f"{count:8} {kind}")  # noqa: T201 - the figures are what it is for
