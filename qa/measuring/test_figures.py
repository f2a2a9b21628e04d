"""The arithmetic of the benchmarks, and what their report makes of it."""

from __future__ import annotations

import pytest

from benchmarks._cases import (
    CASES,
    GRADIO,
    HTTPX,
    IDEAL,
    LIVE,
    MAP,
    NODE,
    NOOB,
    SESSION,
    TRIOJOB,
)
from benchmarks._figures import exponent, median_of, percentile, summary
from benchmarks._goals import judge
from benchmarks._report import COLUMNS, markdown
from benchmarks._runner import last_error

SIZES = (500, 1000, 2000, 4000)


def row(
    case: str,
    rival: str,
    scenario: str,
    n: int | None = None,
    failed=None,
    server="replay",
    **metrics,
):
    return {
        "scenario": scenario,
        "case": case,
        "server": server,
        "rival": rival,
        "n": n,
        "failed": failed,
        "metrics": metrics,
        "runs": [metrics],
    }


def verdicts(rows: list, part: str) -> list[str]:
    return [goal.verdict for goal in judge(rows) if part in goal.text]


@pytest.mark.parametrize("power", [0, 0.5, 1, 2])
def test_the_exponent_is_that_of_the_cost(power):
    assert exponent({n: 3 * n**power for n in SIZES}) == pytest.approx(power)


def test_noise_is_no_growth():
    assert exponent({500: 0, 1000: 3, 2000: 900}, least=1000) == pytest.approx(0)


def test_the_exponent_of_one_point_is_unknown():
    assert exponent({500: 1}) is None
    assert exponent({500: 1, 1000: 0}) is None


def test_percentiles_are_values_that_were_measured():
    values = [float(value) for value in range(1, 201)]
    assert percentile(values, 0.99) == 198
    assert percentile(reversed(values), 0.5) == 100
    assert percentile([7], 0.99) == 7
    with pytest.raises(ValueError, match="nothing"):
        percentile([], 0.5)


def test_a_run_is_reduced_to_numbers():
    told = {"wall": 2, "peak_kib": None, "latencies": [1, 2, 9], "failures": {"x": 1}}
    assert summary(told) == {
        "wall": 2,
        "latency_first": 1,
        "latency_median": 2,
        "latency_p99": 9,
    }


def test_medians_leave_out_runs_that_lost():
    runs = [{"wall": 1.0, "lost": 5}, {"wall": 3.0, "lost": 0}, {"wall": 5.0, "lost": 0}]
    assert median_of(runs) == {
        "wall": 4,
        "wall_least": 3,
        "wall_most": 5,
        "lost": 5,
        "lost_least": 0,
    }
    assert median_of(runs[:1])["wall"] == 1
    assert median_of([]) == {}


def test_goals_are_judged_within_the_run():
    rows = [
        row("calls one by one", TRIOJOB, "sequential", latency_median=0.001),
        row("calls one by one", GRADIO, "sequential", latency_median=0.05),
        row("calls one by one", HTTPX, "sequential", latency_median=0.0005),
    ]
    assert verdicts(rows, "replay: at most 1/50") == ["PASS"]
    assert verdicts(rows, "replay: at most 1.3 x") == ["MISS"]
    assert verdicts(rows, f"replay: ahead of {NODE}") == ["-"]


def test_a_lost_call_spoils_a_goal():
    rows = [
        row("1,000 calls", TRIOJOB, "concurrent", wall=1.0, lost=1),
        row("1,000 calls", SESSION, "concurrent", wall=1.0, lost=0),
        row("1,000 calls", NODE, "concurrent", wall=2.0, lost=0, lost_least=0),
    ]
    assert verdicts(rows, f"faster than {NODE}") == ["MISS", "PASS"]


def test_rival_that_lost_calls_is_no_measure():
    rows = [
        row("1,000 calls", TRIOJOB, "concurrent", wall=3.0, lost=0),
        row("1,000 calls", SESSION, "concurrent", wall=1.0, lost=0),
        row("1,000 calls", NODE, "concurrent", wall=2.0, lost=900, lost_least=900),
    ]
    assert verdicts(rows, f"faster than {NODE}") == ["-", "PASS"]


def test_clients_are_judged_by_the_ideal():
    case = "20 ms, limit 10: 1,000 calls"
    walls = {TRIOJOB: 3.4, MAP: 2.9, NOOB: 6.0, IDEAL: 2.0}
    rows = [
        row(case, rival, "defaults", server="default", wall=wall) for rival, wall in walls.items()
    ]
    assert verdicts(rows, "x the ideal") == ["PASS", "MISS"]
    assert verdicts(rows, f"{case}: faster than") == ["PASS", "-"]


@pytest.mark.parametrize("wall, verdict", [(9.0, "PASS"), (40.0, "-"), (None, "MISS")])
def test_overlong_run_counts_as_its_limit(wall, verdict):
    case = "20 ms, limit 10: 5,000 calls"
    ours = {"failed": "> 120 s"} if wall is None else {"wall": wall}
    rows = [
        row(case, TRIOJOB, "defaults", server="default", **ours),
        row(case, NODE, "defaults", server="default", failed="> 30 s"),
    ]
    assert verdicts(rows, f"{case}: faster than {NODE}") == [verdict]


@pytest.mark.parametrize("wall, verdict", [(25.4, "PASS"), (26.0, "MISS")])
def test_best_rival_is_the_measure(wall, verdict):
    walls = {TRIOJOB: wall, NOOB: 25.3, NODE: 27.0}
    rows = [
        row("1 s, no limit: 1,000 calls", rival, "defaults", server="default", wall=seconds)
        for rival, seconds in walls.items()
    ]
    assert verdicts(rows, "the best of the other clients") == [verdict]


@pytest.mark.parametrize("cost, verdict", [(0.0012, "PASS"), (0.0014, "MISS")])
def test_many_calls_cost_what_few_do(cost, verdict):
    rows = [
        row(f"20 ms, limit 10: {calls} calls", TRIOJOB, "defaults", server="default", **metrics)
        for calls, metrics in (
            ("100", {"wall": 1.0, "cpu_a_call": 0.001}),
            ("5,000", {"wall": 1.0, "cpu_a_call": cost}),
        )
    ]
    assert verdicts(rows, "CPU a call of 5,000") == [verdict]


def test_streams_are_judged_by_how_they_grow():
    rows = [
        row(f"text, n = {n:,}", LIVE, "streams", n, cpu=n * 1e-4, grown_kib=4 * n**1.5, wall=1.0)
        for n in SIZES
    ]
    assert verdicts(rows, "text stream, live, history=1: exponent of CPU") == ["PASS"]
    assert verdicts(rows, "text stream, live, history=1: exponent of peak memory") == ["MISS"]
    assert verdicts(rows, "text stream, last only") == ["-", "-"]


def test_the_report_shows_figures_losses_and_failures():
    rows = [
        row("1,000 calls", TRIOJOB, "concurrent", wall=2.0, lost=0),
        row("1,000 calls", NODE, "concurrent", wall=1.0, lost=3),
        row("1,000 calls", GRADIO, "concurrent", failed="> 60 s"),
    ]
    text = markdown({"quick": True, "facts": {"cores": "2"}, "notes": ["a note"], "rows": rows})
    assert "| cores | 2 |" in text
    assert "quick run" in text
    assert f"| `{TRIOJOB}` | 2 | 0 | 1 |" in text
    assert f"| `{NODE}` | 1 | 3 | 0.5 |" in text
    assert f"| `{GRADIO}` | > 60 s |  |  |" in text
    assert "- `a note`" in text
    assert "not measured" not in text


def test_error_inside_a_group_is_shown():
    said = "  + Traceback:\n  | ExceptionGroup: many\n    | httpx.ReadError: gone\n    +--"
    assert last_error(said) == "httpx.ReadError: gone"
    assert last_error("no traceback\n") == "no traceback"
    assert last_error("") == "it said nothing"


@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_each_scenario_has_cases_and_a_table(name, quick):
    cases = list(CASES[name](quick=quick))
    assert cases
    assert COLUMNS[name]
    for case in cases:
        assert case.scenario == name
        assert any(rival.label.startswith(TRIOJOB) for rival in case.rivals)
        assert len({rival.label for rival in case.rivals}) == len(case.rivals)
