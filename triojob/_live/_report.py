"""The report of a run: one file of HTML, without scripts, that loads nothing."""

from __future__ import annotations

import copy
import errno
import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

from .._version import __version__
from .._whole_file import new_draft, replace_file
from ._charts import Series, bar_chart, chart, number_axis, seconds_axis
from ._html import Markup, element, foreign, own
from ._recorder import SLOWEST, Bin, Outcome, RunRecorder, TimeSeries
from ._style import STYLE
from ._text import one_line
from ._units import duration, latency, per_second, size

MARK = "<!doctype html>\n<!-- a report of triojob -->\n"
"""The beginning of each report, by which a later run recognizes a file that it can replace."""
ROWS = 60
"""Maximum number of rows of the table of all numbers."""
MIN_BINS = 12
"""Maximum number of bins of the charts of a run in which few jobs ended."""
BARS = 30
"""Maximum number of bars of the distribution."""
OUTCOMES: tuple[Outcome, ...] = ("ok", "failed", "cancelled")


@dataclass(frozen=True)
class Heading:
    """What a report says about its run.

    Attributes:
        title: The name of the run, such as that of the endpoint.
        state: How the run ended, in a few words.
        facts: Names and values.
        noun: The things that ended, in the plural: jobs or rows.
        load: What the load counts, in the plural: calls or jobs.
    """

    title: str
    state: str
    facts: Sequence[tuple[str, str]] = ()
    noun: str = "jobs"
    load: str = "calls"


class ReportFile:
    """The file of a report, which is replaced at once when the report is written.

    Args:
        path: Where to write it.

    Raises:
        FileExistsError: There is a file that is not a report.
        OSError: A file can't be written there.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._check()
        new_draft(self.path).unlink()

    def _check(self) -> None:
        try:
            with self.path.open("rb") as file:
                found = file.read(len(MARK))
        except FileNotFoundError:
            return
        if found not in (b"", MARK.encode()) or not self.path.is_file():
            raise FileExistsError(
                errno.EEXIST, "not a report of triojob, so it is not replaced", str(self.path)
            )

    def write(self, text: str) -> None:
        """Write the report, or leave the former one untouched.

        Raises:
            OSError: As at the start.
        """
        self._check()
        replace_file(self.path, text.encode())


def report(recorder: RunRecorder, heading: Heading) -> str:
    """Return the report of a run as HTML."""
    recorder.sample()
    seconds, has_all = recorder.seconds, _has_all_spans(recorder)
    document = element(
        "html",
        element(
            "head",
            element("meta", charset=own("utf-8")),
            element(
                "meta", name=own("viewport"), content=own("width=device-width, initial-scale=1")
            ),
            # Whatever the texts contain: no script runs, and nothing is loaded.
            element(
                "meta",
                http_equiv=own("Content-Security-Policy"),
                content=own("default-src 'none'; style-src 'unsafe-inline'"),
            ),
            element("title", f"triojob: {heading.title}"),
            element("style", Markup(STYLE)),
        ),
        element(
            "body",
            element(
                "main",
                _header(recorder, heading, seconds),
                _tiles(recorder, heading, seconds),
                # With few jobs, each says more than a chart of all.
                _spans(recorder, heading, seconds) if has_all else (),
                _charts(recorder, heading, seconds),
                _failures(recorder, heading),
                () if has_all else _spans(recorder, heading, seconds),
                _functions(recorder),
                _numbers(recorder, seconds),
            ),
            element(
                "footer",
                own(f"triojob {__version__}, Python {platform.python_version()}"),
            ),
        ),
        lang=own("en"),
    )
    return f"{MARK}{document}\n"


def _header(recorder: RunRecorder, heading: Heading, seconds: float) -> Markup:
    ended = recorder.started + timedelta(seconds=seconds)
    facts = [
        *heading.facts,
        ("Started", f"{recorder.started:%Y-%m-%d %H:%M:%S %z}"),
        ("Ended", f"{ended:%Y-%m-%d %H:%M:%S %z}"),
    ]
    return element(
        "header",
        element("h1", heading.title, element("small", heading.state)),
        element(
            "dl",
            [element("div", element("dt", name), element("dd", value)) for name, value in facts],
        ),
    )


def _tiles(recorder: RunRecorder, heading: Heading, seconds: float) -> Markup:
    ended = sum(recorder.ends.values())
    told, totals = recorder.latency.statistics(), recorder.totals
    tiles: list[tuple[str, str, str]] = [
        (f"{heading.noun} ended", f"{ended:,}", ""),
        *(
            (each, f"{recorder.ends.get(each, 0):,}", each)
            for each in OUTCOMES
            if each == "ok" or recorder.ends.get(each)
        ),
        ("duration", duration(seconds), ""),
        ("average rate", per_second(ended / seconds) if ended and seconds else "-", ""),
        ("latency p50", latency(told.p50), ""),
        ("latency p90", latency(told.p90), ""),
        ("latency p99", latency(told.p99), ""),
        ("longest latency", latency(told.longest), ""),
        (f"most {heading.load} in flight", f"{recorder.peaks.get('in_flight', 0):,}", ""),
        (f"most {heading.load} waiting", f"{recorder.peaks.get('waiting_here', 0):,}", ""),
    ]
    if totals.bytes_sent:
        tiles += [
            ("refusals", f"{totals.refusals:,}", ""),
            ("retries", f"{totals.retries:,}", ""),
            ("sent", size(totals.bytes_sent), ""),
            ("received", size(totals.bytes_received), ""),
        ]
    shares = [
        element("i", class_=own(each), style=own(f"flex:{recorder.ends[each]}"))
        for each in OUTCOMES
        if recorder.ends.get(each)
    ]
    shown = [
        element("div", element("dt", own(name)), element("dd", own(value)), class_=own(style))
        for name, value, style in tiles
    ]
    return element(
        "section",
        element("h2", own("Summary"), class_=own("hidden")),
        element("div", shares, class_=own("shares"), aria_hidden=own("true")),
        element("dl", shown, class_=own("tiles")),
    )


def _charts(recorder: RunRecorder, heading: Heading, seconds: float) -> list[Markup]:
    whole = recorder.history
    # A bin needs some ends for a rate.
    coarse = _coarse(whole, max(MIN_BINS, sum(recorder.ends.values()) // 8))
    charts = [_ends_chart(coarse, seconds, heading)]
    if not _has_all_spans(recorder):
        charts.append(_latency_chart(coarse, seconds, heading))
    charts += _load_charts(whole, seconds, heading)
    if not _has_all_spans(recorder):
        charts += _distribution(recorder, heading)
    return charts


def _coarse(history: TimeSeries, most: int) -> TimeSeries:
    """Return a copy with at most ``most`` bins."""
    history = copy.deepcopy(history)
    while len(history.bins) > most:
        history.double()
    return history


def _spans_of(edges: Sequence[float]) -> list[str]:
    return [f"{_moment(a)} to {_moment(b)}" for a, b in pairwise(edges)]


def _edges(history: TimeSeries, seconds: float) -> list[float]:
    """Return the start of each bin, and the end of the last."""
    count = len(history.bins)
    starts = [number * history.width for number in range(count)]
    # The last bin may be incomplete, but a sliver would make any count a high rate.
    return [*starts, max(min(count * history.width, seconds), (count - 0.75) * history.width)]


def _moment(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds < 10 else duration(seconds)


def _ends_chart(history: TimeSeries, seconds: float, heading: Heading) -> Markup:
    bins, edges = history.bins, _edges(history, seconds)
    spans = _spans_of(edges)
    widths = [right - left for left, right in pairwise(edges)]
    totals = [sum(each.ends.values()) / width for each, width in zip(bins, widths, strict=True)]
    most, unit, factor = max(totals), "second", 1
    for longer in ("minute", "hour"):
        if 0 < most * factor < 1:
            unit, factor = longer, factor * 60
    series: list[Series] = []
    base = [0.0] * len(bins)
    for outcome in OUTCOMES:
        values = [
            factor * each.ends.get(outcome, 0) / width
            for each, width in zip(bins, widths, strict=True)
        ]
        if any(values):
            series.append(Series(outcome, outcome, values, "area", base))
            base = [low + value for low, value in zip(base, values, strict=True)]
    tips = [
        f"{span}: {_counts(each.ends)}, {per_second(total)}"
        for span, each, total in zip(spans, bins, totals, strict=True)
    ]
    return chart(
        f"{heading.noun.capitalize()} ended per {unit}",
        f"At most {per_second(most)}.",
        edges=edges,
        series=series,
        axis=number_axis(factor * most),
        tips=tips,
    )


def _counts(ends: dict[Outcome, int]) -> str:
    return ", ".join(f"{ends[each]} {each}" for each in OUTCOMES if ends.get(each)) or "none ended"


def _latency_chart(history: TimeSeries, seconds: float, heading: Heading) -> Markup:
    bins, edges = history.bins, _edges(history, seconds)
    spans = _spans_of(edges)
    told = [each.latency.statistics() for each in bins]
    longest = max((each.p99 for each in told if each.p99 is not None), default=1.0)
    tips = [
        f"{span}: " + (
            f"p50 {latency(each.p50)}, p90 {latency(each.p90)}, p99 {latency(each.p99)}, "
            f"longest {latency(each.longest)}" if each.count else "none ended"
        )
        for span, each in zip(spans, told, strict=True)
    ]  # fmt: skip
    return chart(
        "Latency",
        f"How long {heading.noun} took that ended at that time: p99 was at most "
        f"{latency(longest)}.",
        edges=edges,
        series=[
            Series("p99", "p99", [each.p99 for each in told]),
            Series("p90", "p90", [each.p90 for each in told]),
            Series("p50", "p50", [each.p50 for each in told]),
        ],
        axis=seconds_axis(longest or 0.001),
        tips=tips,
    )


def _load_charts(history: TimeSeries, seconds: float, heading: Heading) -> Iterable[Markup]:
    bins, edges = history.bins, _edges(history, seconds)
    spans = _spans_of(edges)
    window, flying, running, waiting = (
        _held(bins, name) for name in ("window", "in_flight", "running", "waiting_here")
    )
    others = [max(0, a - b) for a, b in zip(flying, running, strict=True)]
    series = [
        Series("running", "running", running, "area"),
        Series("in flight, not running", "queued", others, "area", running),
    ]
    has_window = any(window)
    if has_window:
        series.append(Series("window", "window", [each or None for each in window]))
    tips = [
        f"{span}: {a} in flight, {b} running" + (f", window {c}" if has_window else "")
        for span, a, b, c in zip(spans, flying, running, window, strict=True)
    ]
    yield chart(
        f"{heading.load.capitalize()} in flight" + (" and their window" if has_window else ""),
        f"At most {max(flying):,} in flight" + (
            f"; the window was {min(filter(None, window)):,} to {max(window):,}."
            if has_window else "."
        ),
        edges=edges,
        series=series,
        axis=number_axis(max(*flying, *window), whole=True),
        tips=tips,
    )  # fmt: skip
    if any(waiting):
        yield chart(
            f"{heading.load.capitalize()} that wait here",
            f"At most {max(waiting):,} waited in this program.",
            edges=edges,
            series=[Series("waiting", "queued", waiting, "area")],
            axis=number_axis(max(waiting), whole=True),
            tips=[f"{span}: {value} waiting" for span, value in zip(spans, waiting, strict=True)],
        )
    refusals, retries = (
        [each.increases.get(name, 0) for each in bins] for name in ("refusals", "retries")
    )
    if any(refusals) or any(retries):
        yield chart(
            "Refusals and retries",
            f"{sum(refusals):,} refusals and {sum(retries):,} retries.",
            edges=edges,
            series=[
                Series("refusals", "failed", refusals, "area"),
                Series("retries", "cancelled", retries, "area", refusals),
            ],
            axis=number_axis(
                max(a + b for a, b in zip(refusals, retries, strict=True)), whole=True
            ),
            tips=[
                f"{span}: {a} refusals, {b} retries"
                for span, a, b in zip(spans, refusals, retries, strict=True)
            ],
        )


def _held(bins: Sequence[Bin], name: str) -> list[int]:
    """Return the values of a gauge; a bin without a sample has that of the bin before."""
    values: list[int] = []
    value = next((each.gauges[name] for each in bins if each.gauges), 0)
    for each in bins:
        value = each.gauges.get(name, value)
        values.append(value)
    return values


def _distribution(recorder: RunRecorder, heading: Heading) -> list[Markup]:
    """Return the distribution of the latencies, if they differ."""
    groups = recorder.latency.groups(BARS)
    if len(groups) < 2:
        return []
    bars = [
        (count, f"{latency(start)} to {latency(end)}: {count:,} {heading.noun}")
        for start, end, count in groups
    ]
    ends = [*(start for start, _, _ in groups), groups[-1][1]]
    step = max(1, round(len(groups) / 5))
    marks = [(index / len(groups), latency(ends[index])) for index in range(0, len(ends), step)]
    summary = f"From {latency(ends[0])} to {latency(ends[-1])}, on a logarithmic scale."
    return [bar_chart("Distribution of the latency", summary, bars, marks)]


def _spans(recorder: RunRecorder, heading: Heading, seconds: float) -> list[Markup]:
    """Return the slowest jobs, each with a bar from its start to its end."""
    spans = recorder.slowest
    if not spans:
        return []
    has_all, noun = _has_all_spans(recorder), heading.noun
    rows: list[Markup] = []
    for span in spans:
        left, right = (
            100 * max(0, at) / seconds if seconds else 0
            for at in (span.began, span.began + span.seconds)
        )
        bar = element(
            "i",
            class_=own(span.outcome),
            style=own(f"left:{left:.2f}%;width:{right - left:.2f}%"),
        )
        time = latency(span.seconds) + ("" if span.outcome == "ok" else f", {span.outcome}")
        rows.append(
            element(
                "li",
                element("span", one_line(span.title), class_=own("title")),
                element("span", bar, class_=own("track"), aria_hidden=own("true")),
                element("span", own(time), class_=own("time")),
            )
        )
    note = "In the order in which they began; each bar is a part of the whole run."
    return [
        element(
            "section",
            element("h2", own(f"All {noun}" if has_all else f"The {len(spans)} slowest {noun}")),
            element("p", own(note), class_=own("note")),
            element("ol", rows, class_=own("spans")),
        )
    ]


def _has_all_spans(recorder: RunRecorder) -> bool:
    return sum(recorder.ends.values()) <= SLOWEST


def _failures(recorder: RunRecorder, heading: Heading) -> list[Markup]:
    if not recorder.failures:
        return []
    rows: list[Markup] = []
    for kind, failures in sorted(recorder.failures.items(), key=lambda item: -item[1].count):
        number = failures.count
        words = f" {number:,} {heading.noun}, the first: " if number > 1 else ": "
        rows.append(
            element(
                "li",
                element("strong", kind),
                own(words),
                one_line(failures.title),
                element("code", one_line(failures.message)),
            )
        )
    found = element("ul", rows, class_=own("failures"))
    return [element("section", element("h2", own("Failures")), found)]


def _functions(recorder: RunRecorder) -> list[Markup]:
    if len(recorder.functions) < 2:
        return []
    rows: list[list[str]] = []
    for name, tally in recorder.functions.items():
        told = tally.latency.statistics()
        rows.append(
            [
                foreign(one_line(name)),
                *(own(f"{tally.ends.get(each, 0):,}") for each in OUTCOMES),
                *map(own, map(latency, (told.p50, told.p90, told.p99, told.longest))),
            ]
        )
    columns = ("function", *OUTCOMES, "p50", "p90", "p99", "longest")
    return [element("section", element("h2", own("Functions")), _table("Functions", columns, rows))]


def _numbers(recorder: RunRecorder, seconds: float) -> Markup:
    """Return the numbers of the charts as a table."""
    history = _coarse(recorder.history, ROWS)
    bins, edges = history.bins, _edges(history, seconds)
    gauges = [_held(bins, name) for name in ("window", "in_flight", "running", "waiting_here")]
    rows: list[list[str]] = []
    for number, each in enumerate(bins):
        told = each.latency.statistics()
        cells = [
            f"{_moment(edges[number])}",
            *(f"{each.ends.get(outcome, 0):,}" for outcome in OUTCOMES),
            *map(latency, (told.p50, told.p90, told.p99)),
            *(f"{values[number]:,}" for values in gauges),
            *(f"{each.increases.get(name, 0):,}" for name in ("refusals", "retries")),
        ]
        rows.append([own(cell) for cell in cells])
    columns = (
        *("from", *OUTCOMES, "p50", "p90", "p99"),
        *("window", "in flight", "running", "waiting", "refusals", "retries"),
    )
    return element(
        "details",
        element("summary", own("All numbers as a table")),
        _table("All numbers", columns, rows),
    )


def _table(label: str, columns: Iterable[str], rows: Iterable[Iterable[str]]) -> Markup:
    return element(
        "div",
        element(
            "table",
            element(
                "thead",
                element("tr", [element("th", own(each), scope=own("col")) for each in columns]),
            ),
            element(
                "tbody",
                [
                    element(
                        "tr",
                        element("th", first, scope=own("row")),
                        [element("td", cell) for cell in cells],
                    )
                    for first, *cells in rows
                ],
            ),
        ),
        class_=own("table"),
        role=own("region"),
        aria_label=own(label),
        tabindex=0,
    )
