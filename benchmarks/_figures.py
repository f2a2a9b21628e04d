"""Arithmetic of measurements: medians, percentiles, how a cost grows. Pure functions."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Metrics = dict[str, float]

SERIES = {"latencies": "latency", "raises": "raise", "stops": "stop"}
"""What a run tells one by one, and the name that its median and percentile get."""


def percentile(values: Iterable[float], share: float) -> float:
    """Return the smallest value that is at least so large as ``share`` (0 to 1) of all.

    Raises:
        ValueError: There are no values.
    """
    ordered = sorted(values)
    if not ordered:
        raise ValueError("there is no percentile of nothing")
    return ordered[max(math.ceil(share * len(ordered)) - 1, 0)]


def exponent(points: Mapping[int, float], least: float = 0) -> float | None:
    """Fit ``cost = a * n ** k`` to the points by least squares of the logarithms; return ``k``.

    Args:
        points: Cost by n.
        least: What can be told from noise: a smaller cost counts as this.

    Returns:
        None for fewer than two points.
    """
    logs = [
        (math.log(n), math.log(max(cost, least)))
        for n, cost in points.items()
        if max(cost, least) > 0
    ]
    if len(logs) < 2:
        return None
    xs, ys = zip(*logs, strict=True)
    return statistics.linear_regression(xs, ys).slope


def summary(run: Mapping[str, Any]) -> Metrics:
    """Reduce what one run told to numbers: series to median and 99th percentile."""
    metrics: Metrics = {
        name: float(value)
        for name, value in run.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
    for series, name in SERIES.items():
        if values := run.get(series):
            metrics[f"{name}_first"] = values[0]
            metrics[f"{name}_median"] = statistics.median(values)
            metrics[f"{name}_p99"] = percentile(values, 0.99)
    return metrics


def median_of(runs: Sequence[Metrics]) -> Metrics:
    """Return each number's median over the runs, and the range of the wall clock.

    A run that lost calls had less to do, so it counts only if all runs did.
    What was lost is the worst of all runs: a median would hide it.
    """
    lost = max((run["lost"] for run in runs if "lost" in run), default=None)
    runs = [run for run in runs if not run.get("lost")] or runs
    names = {name for run in runs for name in run}
    metrics = {
        name: statistics.median([run[name] for run in runs if name in run])
        for name in sorted(names)
    }
    walls = [run["wall"] for run in runs if "wall" in run]
    if walls:
        metrics |= {"wall_least": min(walls), "wall_most": max(walls)}
    if lost is not None:
        metrics |= {"lost": lost, "lost_least": min(run.get("lost", 0) for run in runs)}
    return metrics
