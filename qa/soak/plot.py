"""Draws what a soak sampled as an SVG file, by matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl

mpl.use("svg")

from matplotlib import pyplot as plt

LINES = {
    "rss_mib": "memory (RSS), MiB",
    "descriptors": "descriptors",
    "threads": "threads",
    "tasks": "Trio tasks",
}


def draw(samples: Sequence[dict[str, float]], path: Path) -> None:
    """Draw each figure over the number of jobs that had ended."""
    mpl.rcParams["svg.hashsalt"] = "triojob"
    mpl.rcParams["svg.fonttype"] = "none"
    mpl.rcParams["font.size"] = 9
    jobs = [sample["jobs"] / 1000 for sample in samples]
    figure, axes = plt.subplots(len(LINES), 1, figsize=(7, 7), sharex=True)
    for axis, (name, label) in zip(axes, LINES.items(), strict=True):
        values = [sample[name] for sample in samples]
        axis.plot(jobs, values, color="#1f6feb", linewidth=0.8)
        axis.set_ylim(0, max(values) * 1.2)
        axis.set_title(label, loc="left", fontsize=9)
        axis.grid(visible=True, color="#d0d7de", linewidth=0.5)
    axes[-1].set_xlabel("jobs that had ended, thousands")
    figure.tight_layout()
    # Its types are only half known.
    figure.savefig(path, metadata={"Date": None})  # pyright: ignore[reportUnknownMemberType]
    plt.close(figure)
