"""What Hypothesis chooses from: plans, faults, and how much of each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings, strategies as st

from qa.model.app import Plan
from tests.servers.any_faults import breaks, delays, losses, pieces, silences
from tests.servers.faults import Answer, Cut, Fault

profile = settings(
    # The same programs each time: a failure is the change's, never the day's.
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=12,
    stateful_step_count=30,
    suppress_health_check=list(HealthCheck),
)

seconds = st.sampled_from([0, 0.001, 0.5, 1, 1, 2, 5, 20])
plans = st.builds(
    Plan,
    st.lists(
        st.sampled_from(["yield", "yield", "log", "progress", 0, 0.001, 1, 1, 3]), max_size=9
    ).map(tuple),
    st.sampled_from(["return", "return", "return another", "fail", "hang"]),
)
histories = st.sampled_from([None, None, 0, 1, 2])
limits = st.sampled_from([None, None, 1, 2])
sizes = st.integers(0, 1500)
picks = st.sampled_from([0, 0, 0, 1, 1, 2, 3, 5])

FULL = {"detail": "Queue is full. Max size is 1 and size is 1."}
DAMAGE: dict[tuple[str, str], st.SearchStrategy[Fault]] = {
    ("POST", "/queue/join"): losses
    | silences
    | st.sampled_from([Answer(503, FULL), Answer(500, b"no"), Answer(429), Answer(200, b"{")])
    | st.builds(Cut, st.integers(0, 40)),
    ("GET", "/queue/data"): breaks(sizes)
    | losses
    | st.sampled_from([Answer(404, b""), Answer(502, b"proxy")]),
    ("GET", "/config"): st.just(Answer(500, b"no")),
    ("GET", "/app_id"): st.just(Answer(500, b"no")),
}
"""Faults that may fail calls."""
NUISANCES: dict[tuple[str, str], st.SearchStrategy[Fault]] = {
    ("POST", "/cancel"): losses
    | silences
    | delays(st.integers(0, 7))
    | st.just(Answer(500, b"no")),
    ("POST", "/queue/join"): delays(st.integers(0, 3)),
    ("GET", "/queue/data"): delays(st.integers(0, 3))
    | pieces(st.integers(7, 60), st.integers(150, 600), st.sampled_from([0.001, 0.5])),
}
"""Faults that may fail none."""


T = TypeVar("T")


def pick(items: Sequence[T], place: int) -> T:
    return items[place % len(items)]


def faults_of(kinds: dict[tuple[str, str], st.SearchStrategy[Fault]]) -> Any:
    return st.one_of([st.tuples(st.just(place), faults) for place, faults in kinds.items()])
