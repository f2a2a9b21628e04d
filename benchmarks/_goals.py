"""What triojob set itself, as ratios within one run: PASS, MISS, or not measured."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ._cases import (
    EVERY,
    GRADIO,
    HAND,
    HTTPX,
    IDEAL,
    LAST,
    LIVE,
    MAP,
    NODE,
    NOOB,
    SESSION,
    SYNC,
    TRIOJOB,
)
from ._figures import Metrics, exponent

CPU_LEAST = 0.001
"""Seconds: what a process's CPU clock can tell."""
MEMORY_LEAST = 1024
"""KiB of growth that can't be told from an allocator's whims."""
NOISE = 1.02
"""What a clock can't tell apart where the app's own seconds are nearly all of the time."""


@dataclass(frozen=True)
class Goal:
    """One goal, and what came out."""

    text: str
    figure: float | None
    """None if it was not measured."""
    bound: float
    strict: bool = False
    unit: str = "x"
    spoiled: str | None = None
    """Why it is missed whatever the figure is."""
    doubt: str | None = None
    """Why a figure over the bound says nothing."""

    @property
    def verdict(self) -> str:
        """Say PASS, MISS or a dash."""
        if self.spoiled:
            return "MISS"
        if self.figure is None:
            return "-"
        met = self.figure < self.bound if self.strict else self.figure <= self.bound
        if not met and self.doubt:
            return "-"
        return "PASS" if met else "MISS"


class Rows:
    """The rows of a run, to be looked up."""

    def __init__(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self.rows = rows

    def find(self, scenario: str, case: str, server: str | None, rival: str) -> Metrics | None:
        """Return a client's figures of a case; ``case`` is how its name begins."""
        for row in self.rows:
            if (row["scenario"], row["server"], row["rival"]) == (scenario, server, rival) and row[
                "case"
            ].startswith(case):
                return row["metrics"] or None
        return None

    def failed(self, scenario: str, case: str, server: str | None, rival: str) -> str | None:
        """Return why a client has no figures of a case."""
        for row in self.rows:
            if (row["scenario"], row["server"], row["rival"]) == (scenario, server, rival) and row[
                "case"
            ].startswith(case):
                failed: str | None = row["failed"]
                return failed
        return None

    def cases(self, scenario: str, server: str | None) -> list[str]:
        """Return the names of a scenario's cases, in order."""
        found = [
            row["case"]
            for row in self.rows
            if row["scenario"] == scenario and row["server"] == server
        ]
        return list(dict.fromkeys(found))

    def ratio(
        self,
        scenario: str,
        case: str,
        server: str | None,
        metric: str,
        pair: tuple[str, str],
    ) -> float | None:
        """Divide the first client's figure by the second's."""
        ours, theirs = (self.find(scenario, case, server, rival) for rival in pair)
        if ours is None or theirs is None or metric not in ours or not theirs.get(metric):
            return None
        return ours[metric] / theirs[metric]

    def time_ratio(self, where: tuple[str, str, str], ours: str, other: str) -> float | None:
        """Divide a client's time of a case by another's.

        Of another one that took too long, its time limit counts, if ours was done before that: the
        ratio is smaller still then.
        """
        metrics, others = self.find(*where, ours), self.find(*where, other)
        if metrics is None:
            return None
        wall = metrics["wall"]
        if others is not None:
            return wall / others["wall"]
        timeout = re.fullmatch(r"> ([\d.]+) s", self.failed(*where, other) or "")
        if timeout is None or wall > float(timeout[1]):
            return None
        return wall / float(timeout[1])

    def growth(self, fn: str, server: str, rival: str, metric: str) -> dict[int, float]:
        """Return a stream's cost by n."""
        return {
            row["n"]: row["metrics"][metric]
            for row in self.rows
            if row["scenario"] == "streams"
            and row["case"].startswith(f"{fn},")
            and row["server"] == server
            and row["rival"] == rival
            and metric in row["metrics"]
        }

    def fitted(self, fn: str, server: str, rival: str) -> dict[str, float | None]:
        """Return how CPU and peak memory of a stream grow with n, as exponents."""
        return {
            metric: exponent(self.growth(fn, server, rival, metric), least)
            for metric, least in (("cpu", CPU_LEAST), ("grown_kib", MEMORY_LEAST))
        }


def judge(rows: Sequence[Mapping[str, Any]]) -> list[Goal]:
    """Hold the rows to all goals."""
    found = Rows(rows)
    parts: list[Callable[[Rows], list[Goal]]] = [
        _sequential,
        _concurrent,
        _defaults,
        _seconds,
        _streams,
        _rest,
    ]
    return [goal for part in parts for goal in part(found)]


def _sequential(rows: Rows) -> list[Goal]:
    where = ("sequential", "calls", "replay", "latency_median")
    goals = [
        Goal(
            f"sequential call, replay: at most 1/50 of {GRADIO}",
            rows.ratio(*where, (TRIOJOB, GRADIO)),
            1 / 50,
        ),
    ]
    for server in ("replay", "real"):
        where = ("sequential", "calls", server, "latency_median")
        goals += [
            *(
                Goal(
                    f"sequential call, {server}: ahead of {other}",
                    rows.ratio(*where, (TRIOJOB, other)),
                    1,
                    strict=True,
                )
                for other in (NODE, NOOB)
            ),
            Goal(
                f"sequential call, {server}: at most 1.3 x {HTTPX}",
                rows.ratio(*where, (TRIOJOB, HTTPX)),
                1.3,
            ),
        ]
    return goals


def _ahead(rows: Rows, where: tuple[str, str, str], ours: str, other: str, text: str) -> Goal:
    """Make the goal of being faster than another client without losing a call."""
    lost = (rows.find(*where, ours) or {}).get("lost")
    others = (rows.find(*where, other) or {}).get("lost_least")
    return Goal(
        f"{text}: faster than {other}, none lost",
        rows.time_ratio(where, ours, other),
        1,
        strict=True,
        spoiled=rows.failed(*where, ours) or (f"{lost:g} lost" if lost else None),
        doubt=f"{other} lost {others:g}, so it was done early" if others else None,
    )


def _concurrent(rows: Rows) -> list[Goal]:
    return [
        _ahead(
            rows,
            ("concurrent", case, server),
            ours,
            other,
            f"{case} at once, {server}, {ours}",
        )
        for server in ("replay", "real")
        for case in rows.cases("concurrent", server)
        for ours in (TRIOJOB, SESSION)
        for other in (NODE, NOOB)
    ]


def _defaults(rows: Rows) -> list[Goal]:
    goals: list[Goal] = []
    for ours, bound in ((TRIOJOB, 1.7), (MAP, 1.4)):
        where = ("defaults", "20 ms, limit 10: 1,000 calls", "default")
        goals.append(
            Goal(
                f"{where[1]}, {ours}: at most {bound} x the ideal",
                rows.time_ratio(where, ours, IDEAL),
                bound,
                spoiled=rows.failed(*where, ours),
            )
        )
    for case in rows.cases("defaults", "default"):
        where = ("defaults", case, "default")
        if case.startswith("20 ms"):
            goals += [_ahead(rows, where, TRIOJOB, other, case) for other in (NOOB, NODE)]
        else:
            ratios = [rows.time_ratio(where, TRIOJOB, other) for other in (NOOB, NODE, GRADIO)]
            goals.append(
                Goal(
                    f"{case}: at most {NOISE} x the best of the other clients",
                    max((ratio for ratio in ratios if ratio is not None), default=None),
                    NOISE,
                    spoiled=rows.failed(*where, TRIOJOB),
                )
            )
    few, many = (
        (rows.find("defaults", f"20 ms, limit 10: {calls} calls", "default", TRIOJOB) or {}).get(
            "cpu_a_call"
        )
        for calls in ("100", "5,000")
    )
    goals.append(
        Goal(
            "20 ms, limit 10: CPU a call of 5,000 at most 1.3 x that of 100",
            many / few if few and many else None,
            1.3,
        )
    )
    return goals


def _seconds(rows: Rows) -> list[Goal]:
    goals: list[Goal] = []
    for case in rows.cases("seconds", "replay")[-1:]:
        metrics = rows.find("seconds", case, "replay", SESSION) or {}
        failed = rows.failed("seconds", case, "replay", SESSION)
        lost = failed or (f"{metrics['lost']:g} lost" if metrics.get("lost") else None)
        goals += [
            Goal(
                f"{case} in one session, replay: at most 2 s",
                metrics.get("wall"),
                2,
                unit="s",
                spoiled=lost,
            ),
            Goal(
                "the same: at most 20 KB a job",
                metrics["kib_a_call"] * 1.024 if "kib_a_call" in metrics else None,
                20,
                unit="KB",
            ),
            Goal("the same: one thread", metrics.get("threads"), 1, unit="threads"),
        ]
    return goals


def _streams(rows: Rows) -> list[Goal]:
    goals: list[Goal] = []
    for fn in ("text", "chat"):
        for ours, how in ((LIVE, "live, history=1"), (LAST, "last only")):
            for metric, fitted in rows.fitted(fn, "replay", ours).items():
                what = "CPU" if metric == "cpu" else "peak memory"
                text = f"{fn} stream, {how}: exponent of {what} at most 1.1"
                goals.append(Goal(text, fitted, 1.1, unit=""))
        cases = [case for case in rows.cases("streams", "replay") if case.startswith(f"{fn},")]
        for case in cases[-1:]:
            goals += [
                Goal(
                    f"{case}, {ours}: ahead of {NODE}",
                    rows.ratio("streams", case, "replay", "wall", (ours, NODE)),
                    1,
                    strict=True,
                )
                for ours in (LIVE, LAST, EVERY)
            ]
    return goals


def _rest(rows: Rows) -> list[Goal]:
    goals: list[Goal] = []
    for server in ("replay", "real"):
        metrics = rows.find("cancel", "a running", server, TRIOJOB) or {}
        worst = metrics.get("raise_median")
        goals.append(
            Goal(
                f"cancel() to the raise, {server}: under 1 ms",
                None if worst is None else worst * 1000,
                1,
                strict=True,
                unit="ms",
            )
        )
    goals += [
        Goal(
            f"JobGroup.submit: at most 3 x {HAND}",
            rows.ratio("submit", "10,000", None, "wall", (TRIOJOB, HAND)),
            3,
        ),
        Goal(
            "import: at most 1.25 x importing trio and httpx",
            rows.ratio("imports", "import", None, "wall", (TRIOJOB, HTTPX)),
            1.25,
        ),
    ]
    for case, metric in (
        ("calls one by one", "latency_median"),
        ("all submitted at once", "wall"),
        ("from 32 threads", "wall"),
    ):
        goals.append(
            Goal(
                f"{SYNC}, {case}: at most 2 x {TRIOJOB}",
                rows.ratio("sync", case, "replay", metric, (SYNC, TRIOJOB)),
                2,
            )
        )
    return goals
