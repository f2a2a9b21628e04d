"""Draws results as SVG files, by matplotlib."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")

from matplotlib import pyplot as plt

from ._cases import EVERY, GRADIO, HTTPX, LAST, LIVE, NODE, NOOB
from ._goals import Rows

Row = Mapping[str, Any]
# The same client has the same colour in all plots.
COLOURS = {
    "triojob": "#1f6feb",
    "trio + ": "#8c959f",
    NODE: "#bf8700",
    NOOB: "#8250df",
    GRADIO: "#cf222e",
}
DOTS = {
    "sequential": ("latency_median", 1000, "median of a call, ms"),
    "concurrent": ("wall", 1, "time for all, s"),
    "defaults": ("wall", 1, "time for all, s"),
    "seconds": ("wall", 1, "time for all, s"),
    "cancel": ("raise_median", 1000, "from cancel() to the raise, ms"),
    "files": ("wall", 1, "time, s"),
}

ANSWER = ("defaults", "20 ms, limit 10: 1,000 calls")
"""The scenario and the case that the performance page begins with."""


def draw(rows: Sequence[Row], folder: Path) -> list[Path]:
    """Draw what there are rows for; return the files."""
    # Nothing in a file changes that did not change in the figures.
    mpl.rcParams["svg.hashsalt"] = "triojob"
    mpl.rcParams["svg.fonttype"] = "none"
    mpl.rcParams["font.size"] = 9
    drawn: list[Path] = []
    for scenario, (metric, factor, label) in DOTS.items():
        own = [
            row
            for row in rows
            if row["scenario"] == scenario
            and (metric in row["metrics"] or str(row["failed"]).startswith(">"))
        ]
        if any(row["metrics"] for row in own):
            drawn.append(_dots(own, metric, factor, label, folder / f"{scenario}.svg"))
    answer = [row for row in rows if (row["scenario"], row["case"]) == ANSWER]
    if any(row["metrics"] for row in answer):
        metric, factor, label = DOTS["defaults"]
        drawn.append(_dots(answer, metric, factor, label, folder / "answer.svg"))
    found = Rows(rows)
    drawn += [
        _growth(found, fn, folder / f"streams-{fn}.svg")
        for fn in ("text", "chat")
        if found.growth(fn, "replay", LIVE, "cpu")
    ]
    return drawn


def colour(rival: str) -> str:
    """Return a client's colour."""
    return next((found for start, found in COLOURS.items() if rival.startswith(start)), "black")


def _dots(rows: Sequence[Row], metric: str, factor: float, label: str, path: Path) -> Path:
    """Draw one dot for each client, case by case, on one logarithmic axis."""
    cases = list(dict.fromkeys((row["case"], row["server"]) for row in rows))
    heights = [sum((row["case"], row["server"]) == case for row in rows) for case in cases]
    figure, axes = plt.subplots(
        len(cases),
        1,
        squeeze=False,
        sharex=True,
        figsize=(7, 0.6 * len(cases) + 0.24 * sum(heights)),
        height_ratios=heights,
        layout="constrained",
    )
    for (case, server), axis in zip(cases, axes[:, 0], strict=True):
        own = [row for row in rows if (row["case"], row["server"]) == (case, server)][::-1]
        for place, row in enumerate(own):
            if metric not in row["metrics"]:
                note = f"  {row['failed']}"
                axis.text(0, place, note, va="center", transform=axis.get_yaxis_transform())
                continue
            value = row["metrics"][metric] * factor
            lost = row["metrics"].get("lost")
            axis.plot(value, place, "o", color=colour(row["rival"]))
            text = f"  {value:.3g}" + (f" ({lost:g} lost)" if lost else "")
            axis.text(value, place, text, va="center")
        axis.set_yticks(range(len(own)), [row["rival"] for row in own])
        axis.set_ylim(-0.6, len(own) - 0.4)
        axis.set_xscale("log")
        axis.grid(axis="x", color="#d0d7de", linewidth=0.5)
        axis.set_title(f"{case}, {server} server", loc="left", fontsize=9)
        axis.spines[["top", "right"]].set_visible(False)
    values = [row["metrics"][metric] * factor for row in rows if metric in row["metrics"]]
    axes[-1, 0].set_xlim(min(values) / 2, max(values) * 5)
    axes[-1, 0].set_xlabel(f"{label} (logarithmic)")
    return _save(figure, path)


def _growth(rows: Rows, fn: str, path: Path) -> Path:
    """Draw CPU and memory of a stream against n, both logarithmic."""
    figure, axes = plt.subplots(1, 2, figsize=(8, 3.4), layout="constrained")
    styles = {LIVE: "o-", LAST: "o--", EVERY: "o:", HTTPX: "s-", GRADIO: "^-", NODE: "v-"}
    for axis, (metric, factor, label) in zip(
        axes,
        (("cpu", 1, "CPU, s"), ("grown_kib", 1 / 1024, "peak memory grown, MiB")),
        strict=True,
    ):
        for rival, style in styles.items():
            points = rows.growth(fn, "replay", rival, metric)
            if points:
                values = [value * factor for value in points.values()]
                axis.plot(
                    list(points), values, style, color=colour(rival), label=rival, markersize=3
                )
        axis.set_xscale("log")
        axis.set_yscale("log")
        sizes = sorted({row["n"] for row in rows.rows if row["n"] and row["scenario"] == "streams"})
        axis.set_xticks(sizes, [f"{n:,}" for n in sizes])
        axis.minorticks_off()
        axis.set_xlabel("n, steps of the stream")
        axis.set_title(label, loc="left", fontsize=9)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].legend(fontsize=7, frameon=False)
    return _save(figure, path)


def _save(figure: Any, path: Path) -> Path:
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
    return path
