"""Charts over time, as figures of HTML and SVG.

The drawing is stretched to the width of the page, so it has no text: the labels around it are HTML,
which keeps its size.  Each part of the time axis has a title, which browsers show as a tooltip.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from ._html import Markup, element, own

WIDTH, HEIGHT = 1000, 100
"""The units of a drawing."""
Y_TICKS, X_TICKS = 4, 8
"""Maximum number of ticks on an axis, zero apart."""

Values = Sequence[float | None]


@dataclass(frozen=True)
class Series:
    """A line or an area of a chart.

    Attributes:
        label: Its name in the legend.
        style: The class of its color.
        values: A value for each bin; None for a bin without one.
        base: Where the area of each bin begins, for areas on areas.
    """

    label: str
    style: str
    values: Values
    kind: Literal["line", "area"] = "line"
    base: Values | None = None


@dataclass(frozen=True)
class Axis:
    """Marks on an axis: each with its position, as a share of the axis, and its label."""

    end: float
    ticks: Sequence[tuple[float, str]]


def number_axis(most: float, unit: str = "", *, whole: bool = False) -> Axis:
    """Return an axis from zero that reaches to ``most`` or beyond, with round or whole numbers."""
    step = round_step(most / Y_TICKS) if most > 0 else 1.0
    step = max(1, step) if whole else step
    count = max(1, math.ceil(most / step - 1e-9))
    end = step * count
    return Axis(end, [(n / count, f"{round(n * step, 9):,g}{unit}") for n in range(count + 1)])


def seconds_axis(most: float) -> Axis:
    """Return an axis of durations that reaches beyond ``most``."""
    if most < 1:
        return _scaled(number_axis(1000 * most, " ms"), 1000)
    return time_axis(most, ticks=Y_TICKS, reach=True)


def time_axis(seconds: float, *, ticks: int = X_TICKS, reach: bool = False) -> Axis:
    """Return an axis of times.

    Args:
        reach: Whether to extend it to the next tick.
    """
    if seconds <= 180:
        scale, unit, step = 1, "s", round_step(seconds / ticks)
    elif seconds <= 3 * 3600:
        scale, unit = 60, "min"
        step = next(each for each in (1, 2, 5, 10, 20, 30, 60) if each >= seconds / scale / ticks)
    elif seconds <= 72 * 3600:
        scale, unit = 3600, "h"
        step = next(each for each in (1, 2, 3, 6, 12, 24) if each >= seconds / scale / ticks)
    else:
        scale, unit = 86400, "d"
        step = max(1, round_step(seconds / scale / ticks))
    step *= scale
    count = math.ceil(seconds / step - 1e-9) if reach else math.floor(seconds / step + 1e-9)
    end = step * count if reach else seconds
    marks = [(n * step / end, f"{round(n * step / scale, 6):g} {unit}") for n in range(count + 1)]
    return Axis(end, marks)


def _scaled(axis: Axis, factor: float) -> Axis:
    return Axis(axis.end / factor, axis.ticks)


def round_step(least: float) -> float:
    """Return the smallest number from ``least`` up that is 1, 2 or 5 times a power of ten."""
    power: float = 10.0 ** math.floor(math.log10(least))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= least * (1 - 1e-9))


def chart(
    title: str,
    summary: str,
    *,
    edges: Sequence[float],
    series: Sequence[Series],
    axis: Axis,
    tips: Iterable[str],
) -> Markup:
    """Return a chart over time.

    Args:
        summary: What the chart shows, in a sentence, for people who can't see it.
        edges: The start of each bin, and the end of the last, in seconds.
        axis: The axis of the values.
        tips: The title of each bin.
    """
    xs = [WIDTH * edge / edges[-1] for edge in edges]
    draw = {"area": _area, "line": _line}
    drawn = [
        element(
            "path",
            d=own(draw[each.kind](xs, each, axis.end)),
            class_=own(f"{each.kind} {each.style}"),
        )
        for each in series
    ]
    bins = [
        rectangle(own(tip), left, right - left, 1.0)
        for left, right, tip in zip(xs, xs[1:], tips, strict=False)
    ]
    return figure(
        title,
        summary,
        [*drawn, element("g", bins, class_=own("tips"))],
        legend=series,
        y=axis.ticks,
        x=time_axis(edges[-1]).ticks,
    )


def bar_chart(
    title: str, summary: str, bars: Sequence[tuple[int, str]], marks: Sequence[tuple[float, str]]
) -> Markup:
    """Return a chart of bars.

    Args:
        bars: The height of each bar, and its title.
        marks: The marks below the bars, as in `Axis`.
    """
    axis = number_axis(max(height for height, _ in bars), whole=True)
    wide = WIDTH / len(bars)
    drawn = [
        rectangle(own(tip), number * wide, 0.92 * wide, height / axis.end)
        for number, (height, tip) in enumerate(bars)
    ]
    drawing = element("g", drawn, class_=own("bars"))
    return figure(title, summary, [drawing], legend=(), y=axis.ticks, x=marks)


def rectangle(tip: Markup, x: float, width: float, share: float) -> Markup:
    """Return a rectangle that covers a share of the height, from below, with a title."""
    return element(
        "rect",
        element("title", tip),
        x=own(f"{x:.2f}"),
        width=own(f"{width:.2f}"),
        y=own(f"{HEIGHT * (1 - share):.2f}"),
        height=own(f"{HEIGHT * share:.2f}"),
    )


def figure(
    title: str,
    summary: str,
    drawing: Iterable[Markup],
    *,
    legend: Iterable[Series],
    y: Iterable[tuple[float, str]],
    x: Iterable[tuple[float, str]],
) -> Markup:
    """Return a drawing with its title, its legend, a grid, and the labels of its axes."""
    grid = "".join(f"M0 {_y(at, 1)}H{WIDTH}" for at, _ in y)
    entries = [
        element("li", element("i", class_=own(f"{each.kind} {each.style}")), own(each.label))
        for each in legend
    ]
    return element(
        "figure",
        element("figcaption", element("h2", own(title)), element("ul", entries)),
        element(
            "div",
            _labels("y", "bottom", y),
            element(
                "svg",
                element("title", own(title)),
                element("desc", own(summary)),
                element("path", d=own(grid), class_=own("grid")),
                drawing,
                role=own("img"),
                aria_label=own(f"{title}. {summary}"),
                viewBox=own(f"0 0 {WIDTH} {HEIGHT}"),
                preserveAspectRatio=own("none"),
            ),
            _labels("x", "left", x),
            class_=own("plot"),
        ),
    )


def _labels(axis: str, side: str, marks: Iterable[tuple[float, str]]) -> Markup:
    spans = [
        element("span", own(label), style=own(f"{side}:{100 * at:.2f}%")) for at, label in marks
    ]
    return element("div", spans, class_=own(axis))


def _y(value: float, end: float) -> str:
    return f"{HEIGHT * (1 - min(1.0, value / end)):.2f}"


def _line(xs: Sequence[float], series: Series, end: float) -> str:
    """Return the path of a line with a step at each bin; bins without a value interrupt it."""
    path: list[str] = []
    is_open = False
    for left, right, value in zip(xs, xs[1:], series.values, strict=False):
        if value is not None:
            y = _y(value, end)
            path.append(f"V{y}" if is_open else f"M{left:.2f} {y}")
            path.append(f"H{right:.2f}")
        is_open = value is not None
    return "".join(path)


def _area(xs: Sequence[float], series: Series, end: float) -> str:
    """Return the path of an area with a step at each bin."""
    base = series.base or [0.0] * len(series.values)
    path: list[str] = []
    for left, right, value, low in zip(xs, xs[1:], series.values, base, strict=False):
        if value:
            bottom = low or 0.0
            path.append(
                f"M{left:.2f} {_y(bottom, end)}V{_y(bottom + value, end)}"
                f"H{right:.2f}V{_y(bottom, end)}Z"
            )
    return "".join(path)
