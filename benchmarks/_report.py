"""Writes results as Markdown: facts, goals, one table a case, and how streams grow."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ._cases import CASES, EVERY, GRADIO, HTTPX, LAST, LIVE, NODE, TRIOJOB
from ._goals import Goal, Rows, judge

Row = Mapping[str, Any]
Format = Callable[[float], str]


def number(value: float) -> str:
    """Write a number with three digits that count."""
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def ms(value: float) -> str:
    """Write seconds as milliseconds."""
    return number(value * 1000)


def mib(value: float) -> str:
    """Write KiB as MiB."""
    return number(value / 1024)


Column = tuple[str, str, Format]
COLUMNS: dict[str, list[Column]] = {
    "sequential": [
        ("median, ms", "latency_median", ms),
        ("p99, ms", "latency_p99", ms),
        ("CPU a call, ms", "cpu_a_call", ms),
    ],
    "concurrent": [
        ("time, s", "wall", number),
        ("least", "wall_least", number),
        ("most", "wall_most", number),
        ("CPU, s", "cpu", number),
        ("lost", "lost", number),
        ("KiB a call", "kib_a_call", number),
        ("threads", "threads", number),
        ("server's CPU, s", "server_cpu", number),
    ],
    "streams": [
        ("time, s", "wall", number),
        ("CPU, s", "cpu", number),
        ("memory grown, MiB", "grown_kib", mib),
        ("outputs seen", "seen", number),
        ("lost", "lost", number),
    ],
    "cancel": [
        ("to the raise, ms", "raise_median", ms),
        ("p99", "raise_p99", ms),
        ("to the server's stop, ms", "stop_median", ms),
        ("p99", "stop_p99", ms),
    ],
    "construct": [
        ("first, ms", "latency_first", ms),
        ("median, ms", "latency_median", ms),
        ("p99, ms", "latency_p99", ms),
    ],
    "imports": [("time, ms", "wall", ms), ("least", "wall_least", ms), ("most", "wall_most", ms)],
    "submit": [
        ("time, ms", "wall", ms),
        ("least", "wall_least", ms),
        ("most", "wall_most", ms),
        ("memory grown, MiB", "grown_kib", mib),
    ],
    "files": [
        ("time, s", "wall", number),
        ("CPU, s", "cpu", number),
        ("memory grown, MiB", "grown_kib", mib),
        ("lost", "lost", number),
    ],
}
COLUMNS["defaults"] = [
    *COLUMNS["concurrent"][:4],
    ("CPU a call, ms", "cpu_a_call", ms),
    *COLUMNS["concurrent"][4:],
]
COLUMNS["seconds"] = COLUMNS["concurrent"]
COLUMNS["sync"] = [
    ("median, ms", "latency_median", ms),
    ("p99, ms", "latency_p99", ms),
    *COLUMNS["concurrent"],
]


def markdown(results: Mapping[str, Any]) -> str:
    """Write all results as one page."""
    rows: Sequence[Row] = results["rows"]
    parts = [facts_table(results["facts"])]
    if results["quick"]:
        parts.append("This was a quick run: small sizes, one round.")
    goals = judge(rows)
    if {row["scenario"] for row in rows} < set(CASES):
        goals = [goal for goal in goals if goal.figure is not None or goal.spoiled]
    parts += [heading("Goals"), goals_table(goals)]
    for scenario, describe in CASES.items():
        of_scenario = [row for row in rows if row["scenario"] == scenario]
        if of_scenario:
            parts += [heading(scenario.capitalize()), (describe.__doc__ or "").strip()]
            parts += case_tables(of_scenario, COLUMNS[scenario])
        if scenario == "streams" and of_scenario:
            parts += ["How the cost of n steps grows: the exponent of n.", growth_table(Rows(rows))]
    if results["notes"]:
        parts += [heading("Notes"), "\n".join(f"- `{note}`" for note in results["notes"])]
    return "\n\n".join(parts) + "\n"


def heading(text: str) -> str:
    """Write a heading under the page's own."""
    return f"### {text}"


def table(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Write a table whose first column is text, and the others numbers."""
    rule = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join("| " + " | ".join(line) + " |" for line in [header, rule, *lines])


def facts_table(facts: Mapping[str, str]) -> str:
    """Write what the figures were taken on."""
    return table(["what", "on this run"], [[name, value] for name, value in facts.items()])


def goals_table(goals: Iterable[Goal]) -> str:
    """Write what was aimed at and what came out."""
    lines: list[list[str]] = []
    for goal in goals:
        figure = "not measured" if goal.figure is None else number(goal.figure)
        if goal.figure is not None and goal.unit:
            figure += f" {goal.unit}"
        if remark := goal.spoiled or goal.doubt:
            figure += f" ({remark})"
        lines.append([goal.text, figure, number(goal.bound), goal.verdict])
    return table(["goal", "measured", "bound", "verdict"], lines)


def case_tables(rows: Sequence[Row], columns: Sequence[Column]) -> list[str]:
    """Write one table for each case and server."""
    parts: list[str] = []
    for case, server in dict.fromkeys((row["case"], row["server"]) for row in rows):
        own = [row for row in rows if (row["case"], row["server"]) == (case, server)]
        shown = [column for column in columns if any(column[1] in row["metrics"] for row in own)]
        parts.append(f"**{case}**" + (f", {server} server" if server else ""))
        reference = reference_of(own)
        lines = [
            [
                f"`{row['rival']}`",
                *cells(row, shown),
                ratio_cell(row, reference),
            ]
            for row in own
        ]
        parts.append(table(["client", *[title for title, _, _ in shown], "x triojob"], lines))
    return parts


def cells(row: Row, columns: Sequence[Column]) -> list[str]:
    """Write the figures of one client, or why there are none."""
    metrics = row["metrics"]
    written = [write(metrics[metric]) if metric in metrics else "" for _, metric, write in columns]
    if row["failed"] and not metrics:
        return [row["failed"], *written[1:]] if written else []
    return written


def speed(row: Row) -> float | None:
    """Return what clients are compared by: the latency where there is one, or the time."""
    metrics = row["metrics"]
    for metric in ("latency_median", "raise_median", "wall"):
        if metric in metrics:
            return float(metrics[metric])
    return None


def reference_of(rows: Iterable[Row]) -> float | None:
    """Return triojob's figure of a case: of its default way, unless only another takes part."""
    ours = [row for row in rows if row["rival"].startswith(TRIOJOB)]
    return speed(ours[0]) if ours else None


def ratio_cell(row: Row, reference: float | None) -> str:
    """Write how many times triojob's figure a client's is."""
    value = speed(row)
    if value is None or not reference:
        return ""
    return number(value / reference)


def growth_table(rows: Rows) -> str:
    """Write the exponents of all clients."""
    lines: list[list[str]] = []
    for fn in ("text", "chat"):
        for rival in (LIVE, LAST, EVERY, HTTPX, GRADIO, NODE):
            fitted = rows.fitted(fn, "replay", rival)
            sizes = list(rows.growth(fn, "replay", rival, "cpu"))
            if len(sizes) > 1:
                cells = ["" if value is None else f"{value:.2f}" for value in fitted.values()]
                lines.append([f"{fn}, `{rival}`", *cells, f"{sizes[0]:,} to {sizes[-1]:,}"])
    return table(["stream", "CPU", "peak memory", "n"], lines)
