"""The lines of the live view: pieces of text, each with the name of a style."""

from __future__ import annotations

from itertools import chain, islice

from rich.cells import cell_len, set_cell_size

from .._core.messages import LogMessage, ProgressUnit, Status, StatusUpdate
from ._load import Load
from ._meter import ProgressMeter
from ._text import number, one_line
from ._units import duration, latency, per_second, size
from ._watch import Row, Watch

Piece = tuple[str, str]
"""A text without line ends, and a style of rich: a color, ``"dim"``, ``"bold"``, or nothing."""
Line = list[Piece]

BAR, TITLE = 16, 30
"""Width of a bar, and maximum width of a title, in columns."""
GAP = "  "
ROOMY = 10
"""Minimum number of lines for details below the jobs."""
ENOUGH = 10
"""Minimum number of ended jobs for percentiles."""


def render(watch: Watch, now: float, *, width: int, height: int) -> list[Line]:
    """Return the lines that show the current state of the jobs.

    Args:
        now: The time, by the clock of Trio.
        width, height: Maximum number of columns and lines.
    """
    details = details_of(watch) if height >= ROOMY else []
    totals = total_lines(watch, now, width, details)[: max(1, height)]
    rows = choose(watch, height - len(totals))
    columns = [row_pieces(watch, row, now) for row in rows]
    # A column is as wide as its longest text; the words at the end get the rest.
    widths = [max(cell_len(text) for text, _ in column) for column in zip(*columns, strict=True)]
    return [*(join(row, widths, width) for row in columns), *totals]


def choose(watch: Watch, room: int) -> list[Row]:
    """Choose the jobs to show: all if there is room; else the most interesting ones.

    These are the last failures, in at most half of the lines if other jobs fill the rest; running
    jobs, the oldest first; and jobs in the server's queue.
    """
    kept = (watch.waiting, watch.queued, watch.running)
    ended = watch.succeeded + watch.failed + watch.cancelled
    if watch.alive + ended <= room:
        rows = chain(*(group.values() for group in kept), watch.failures, watch.others)
        return sorted(rows, key=by_number)
    room = max(0, room)
    most = max(room // 2, room - len(watch.running) - len(watch.queued))
    failures = list(watch.failures)[max(0, len(watch.failures) - most) :]
    # The oldest jobs keep their lines until they end.
    under_way = chain(watch.running.values(), watch.queued.values())
    return [*failures, *sorted(islice(under_way, room - len(failures)), key=by_number)]


def by_number(row: Row) -> int:
    return row.number


def row_pieces(watch: Watch, row: Row, now: float) -> list[Piece]:
    """Return the columns of a job: title, state, time, count, bar, and finally its words."""
    state, style = describe(row.status)
    text, text_style = words(row)
    share = None
    count = ""
    if row.ended is None and row.status.code >= Status.PROCESSING:
        share, count = progress(row.status, row.outputs)
    return [
        (shorten(watch.title(row), TITLE), ""),
        (state, style),
        (timing(row, now), "dim"),
        (count, ""),
        (bar(share, BAR) if share is not None else "", "cyan"),
        (text, text_style),
    ]


def describe(status: StatusUpdate) -> Piece:
    """Return the state of a job as text, with its style."""
    if status.code is Status.STARTING:
        return "waiting", "dim"
    if status.code is Status.IN_QUEUE and status.rank is not None:
        place = number(status.rank) or "?"
        return ("queued, next" if place == "0" else f"queued, {place} ahead"), "yellow"
    if status.code < Status.PROCESSING:
        return ("queue full" if status.code is Status.QUEUE_FULL else "sent"), "yellow"
    if status.code < Status.FINISHED:
        return "running", "cyan"
    if status.code is Status.FINISHED:
        return ("done", "green") if status.success else ("failed", "red")
    return "cancelled", "magenta"


def progress(status: StatusUpdate, outputs: int) -> tuple[float | None, str]:
    """Return the completed share, 0 to 1 or None, and the progress as text."""
    unit = status.progress_data[0] if status.progress_data else None
    if unit is None:
        return None, f"{outputs} outputs" if outputs > 1 else ""
    index, length, share = number(unit.index), number(unit.length), share_of(unit)
    name = one_line(str(unit.unit or ""))[:12]
    if index is not None:
        of = index if length is None else f"{index}/{length}"
        return share, f"{of} {name}".rstrip()
    return share, "" if share is None else f"{share:.0%}"


def share_of(unit: ProgressUnit) -> float | None:
    """Return the completed share, if the app reports valid numbers."""
    if number(unit.progress) is not None:
        share = float(unit.progress or 0)
    elif number(unit.index) is not None and number(unit.length) not in (None, "0"):
        share = float(unit.index or 0) / float(unit.length or 1)
    else:
        return None
    return min(1.0, max(0.0, share))


def timing(row: Row, now: float) -> str:
    """Return how long a job has been running, and the server's estimate."""
    if row.began is None:
        return ""
    taken = duration((now if row.ended is None else row.ended) - row.began)
    if row.ended is not None or number(row.status.eta) is None:
        return taken
    left = float(row.status.eta or 0) - (now - row.said_at)
    return f"{taken}, eta {duration(left)}" if left > 0 else taken


def words(row: Row) -> Piece:
    """Return the last text of the app, or the error."""
    if row.ended is not None:
        return row.error, "red"
    latest = row.latest
    if isinstance(latest, LogMessage):
        return log_text(latest), "yellow" if latest.level in ("warning", "error") else "blue"
    if latest == "output":
        return row.output_text(), "tail"
    data = row.status.progress_data
    said = [one_line(str(unit.desc)) for unit in data or () if unit.desc]
    return (said[-1] if said else ""), ""


def log_text(message: LogMessage) -> str:
    """Return a log message of an app as one line."""
    title = f"{message.title}: " if message.title else ""
    return one_line(f"{message.level}: {title}{message.text}")


def total_lines(watch: Watch, now: float, width: int, details: list[str]) -> list[Line]:
    """Return the number of jobs and calls in each state, and the rate at which they end."""
    meter = watch.meter
    line: Line = []
    share = meter.share()
    if share is not None:
        line += [(bar(share, BAR), "green"), (f"{GAP}{share:.0%}", "bold")]
    for text in speed(meter, now):
        line.append((f"{GAP if line else ''}{text}", "dim" if line else ""))
    lines = [counts(watch), *([(text, "dim")] for text in details), line]
    return [crop(each, width) for each in lines]


def details_of(watch: Watch) -> list[str]:
    """Return how long jobs took, and the load of clients, as far as these are known."""
    return [text for text in (*clients(watch), latencies(watch)) if text]


def latencies(watch: Watch) -> str:
    """Return how long the jobs took, if enough have ended for percentiles."""
    told = watch.latency.statistics()
    if told.count < ENOUGH:
        return ""
    p50, p90, p99, longest = map(latency, (told.p50, told.p90, told.p99, told.longest))
    return f"latency: p50 {p50}, p90 {p90}, p99 {p99}, longest {longest}"


def clients(watch: Watch) -> list[str]:
    """Return what the clients have in flight, and what they have sent and received."""
    load = Load.of(watch.clients)
    lines: list[str] = []
    if load.in_flight or load.waiting_here:
        words = (
            f"window {load.window}: {load.in_flight} in flight, {load.running} running, "
            f"{load.waiting_there} queued there"
        )
        lines.append(f"{words}, {load.waiting_here} waiting here" if load.waiting_here else words)
    if load.bytes_sent:
        words = f"{size(load.bytes_sent)} sent, {size(load.bytes_received)} received"
        if load.refusals or load.retries:
            words += f", {load.refusals} refusals, {load.retries} retries"
        lines.append(words)
    return lines


def counts(watch: Watch) -> Line:
    """Return the number of jobs in each state, without the empty states."""
    line: Line = []
    for count, text, style in (
        (len(watch.running), "running", "cyan"),
        (len(watch.queued), "queued", "yellow"),
        (len(watch.waiting), "waiting", "dim"),
        (watch.succeeded, "done", "green"),
        (watch.failed, "failed", "red"),
        (watch.cancelled, "cancelled", "magenta"),
    ):
        if count or text == "done":
            line.append((f"{', ' if line else ''}{count} {text}", style))
    return line


def speed(meter: ProgressMeter, now: float) -> list[str]:
    """Return how many jobs have ended, their rate, the remaining time, and the elapsed time."""
    of = "" if meter.total is None else f" of {number(meter.total)}"
    said = [f"{meter.done}{of} ended"]
    rate, eta = meter.rate(now), meter.eta(now)
    if rate is not None:
        said.append(per_second(rate))
    if eta:
        said.append(f"eta {duration(eta)}")
    said.append(duration(now - meter.began))
    return said


def bar(share: float, width: int) -> str:
    """Draw a bar."""
    done = int(share * width)
    return "━" * done + "╌" * (width - done)


def join(row: list[Piece], widths: list[int], width: int) -> Line:
    """Join the columns of a row; the words fill the last column and empty ones before it."""
    line: Line = []
    *columns, (text, style) = row
    while columns and not columns[-1][0]:
        columns.pop()
    for (cell, cell_style), wide in zip(columns, widths, strict=False):
        if wide:
            line += [(set_cell_size(cell, wide), cell_style), (GAP, "")]
    left = width - sum(cell_len(piece) for piece, _ in line)
    if left > 0:
        line.append((shorten(text, left, tail=style == "tail"), "" if style == "tail" else style))
    return crop(line, width)


def crop(line: Line, width: int) -> Line:
    """Cut the text beyond ``width``, and white space at the end."""
    cropped: Line = []
    for text, style in line:
        if cell_len(text) > width:
            text = set_cell_size(text, max(0, width))  # noqa: PLW2901 - the rest is cut
        width -= cell_len(text)
        cropped.append((text, style))
    while cropped and not cropped[-1][0].strip():
        cropped.pop()
    if cropped:
        cropped[-1] = (cropped[-1][0].rstrip(), cropped[-1][1])
    return cropped


def shorten(text: str, width: int, *, tail: bool = False) -> str:
    """Shorten a text to ``width`` columns, with an ellipsis at the end or, for a tail, first."""
    if cell_len(text) <= width:
        return text
    if not tail:
        return set_cell_size(text, width - 1).rstrip() + "…"
    while cell_len(text) > width - 1:
        # A character is at most two columns wide, so this takes few steps.
        text = text[max(1, (cell_len(text) - width + 1) // 2) :]
    return "…" + text
