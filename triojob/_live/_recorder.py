"""Records a run for its report, in bounded memory."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Literal, TypeAlias, final

import trio

from .._core.latency import LatencyHistogram
from ._load import Load

Outcome: TypeAlias = Literal["ok", "failed", "cancelled"]

BINS = 240
"""Maximum number of bins of a history."""
FIRST_WIDTH = 1 / 64
"""Seconds of a bin at first."""
SAMPLE_SECONDS = 0.1
"""Minimum seconds between two samples of the load."""
SLOWEST = 20
"""Maximum number of jobs that are remembered one by one."""
MOST_GROUPS = 50
"""Maximum number of kinds of failures, and of functions; the rest is counted together."""
OTHERS = "others"

GAUGES = ("window", "in_flight", "running", "waiting_here")
"""Fields of `Load` whose values a bin keeps."""
COUNTERS = ("refusals", "retries")
"""Fields of `Load` whose increase a bin keeps."""


@final
class Bin:
    """What happened in one part of the run."""

    __slots__ = ("ends", "gauges", "increases", "latency")

    def __init__(self) -> None:
        self.ends: dict[Outcome, int] = {}
        """How many jobs ended, by outcome."""
        self.latency = LatencyHistogram()
        self.gauges: dict[str, int] = {}
        """The largest values that were sampled; empty if there was no sample."""
        self.increases: dict[str, int] = {}

    def merge(self, other: Bin) -> None:
        """Add what happened in another part."""
        for outcome, count in other.ends.items():
            self.ends[outcome] = self.ends.get(outcome, 0) + count
        self.latency.merge(other.latency)
        for name, value in other.gauges.items():
            self.gauges[name] = max(value, self.gauges.get(name, 0))
        for name, value in other.increases.items():
            self.increases[name] = self.increases.get(name, 0) + value


@final
class TimeSeries:
    """A run, divided into bins of equal width; when these are full, two become one.

    Attributes:
        width: Seconds of a bin.
        bins: The bins from the start of the run to the last event.
    """

    def __init__(self) -> None:
        self.width = FIRST_WIDTH
        self.bins: list[Bin] = []

    def at(self, seconds: float) -> Bin:
        """Return the bin of a moment, in seconds since the start."""
        while seconds >= self.width * BINS:
            self.double()
        number = int(seconds / self.width)
        while len(self.bins) <= number:
            self.bins.append(Bin())
        return self.bins[number]

    def double(self) -> None:
        """Merge each two bins into one."""
        for left, right in zip(self.bins[::2], self.bins[1::2], strict=False):
            left.merge(right)
        del self.bins[1::2]
        self.width *= 2


@dataclass
class Tally:
    """How the jobs of one function ended."""

    ends: dict[Outcome, int] = field(default_factory=dict[Outcome, int])
    latency: LatencyHistogram = field(default_factory=LatencyHistogram)


@dataclass
class FailureKind:
    """The failures of one kind."""

    count: int
    title: str
    """The job that failed first."""
    message: str
    """What it raised."""


@dataclass(frozen=True, order=True)
class Span:
    """One job, in seconds since the start of the run."""

    seconds: float
    """How long it took, from being sent to its end."""
    began: float
    title: str
    outcome: Outcome


@final
class RunRecorder:
    """Records how the jobs of a run ended, and the load of its clients.

    Its memory is bounded, however long the run is and however many jobs it has.

    Args:
        read_load: Returns the current load.
    """

    def __init__(self, read_load: Callable[[], Load]) -> None:
        self.started = datetime.now().astimezone()
        self.history = TimeSeries()
        self.latency = LatencyHistogram()
        self.ends: dict[Outcome, int] = {}
        self.functions: dict[str, Tally] = {}
        self.failures: dict[str, FailureKind] = {}
        self.urls: dict[str, None] = {}
        """The URLs of the apps."""
        self.peaks: dict[str, int] = {}
        """The largest values of the gauges."""
        self._slowest: list[Span] = []
        self._began = trio.current_time()
        self._read_load = read_load
        self._first = self._last = read_load()

    @property
    def seconds(self) -> float:
        """The duration of the run so far."""
        return trio.current_time() - self._began

    @property
    def slowest(self) -> list[Span]:
        """The jobs that took the longest time, in the order in which they began."""
        return sorted(self._slowest, key=lambda span: (span.began, span.seconds))

    def note_end(
        self,
        outcome: Outcome,
        *,
        name: str,
        title: Callable[[], str],
        seconds: float | None,
        failure: tuple[str, str] | None = None,
        url: str | None = None,
    ) -> None:
        """Record the end of a job, now.

        Args:
            name: The name of its function.
            title: Returns its title, as one line; called only if the report shows it.
            seconds: How long it took, from being sent; None if it was never sent.
            failure: Its kind and its message, as one line; None if it did not fail.
            url: The URL of its app, if any.
        """
        if url is not None and len(self.urls) < MOST_GROUPS:
            self.urls.setdefault(url)
        now = self.seconds
        tally = self.functions.get(name)
        if tally is None:
            key = name if len(self.functions) < MOST_GROUPS else OTHERS
            tally = self.functions.setdefault(key, Tally())
        part = self.history.at(now)
        for ends in (self.ends, tally.ends, part.ends):
            ends[outcome] = ends.get(outcome, 0) + 1
        if seconds is not None and outcome != "cancelled":
            for latency in (self.latency, tally.latency, part.latency):
                latency.add(seconds)
        if seconds is not None:
            self._keep_slow(outcome, seconds, now - seconds, title)
        if failure is not None:
            kind, message = failure
            if kind not in self.failures and len(self.failures) >= MOST_GROUPS:
                kind = OTHERS
            if kind in self.failures:
                self.failures[kind].count += 1
            else:
                self.failures[kind] = FailureKind(1, title(), message)

    def _keep_slow(
        self, outcome: Outcome, seconds: float, began: float, title: Callable[[], str]
    ) -> None:
        if len(self._slowest) < SLOWEST:
            heapq.heappush(self._slowest, Span(seconds, began, title(), outcome))
        elif seconds > self._slowest[0].seconds:
            heapq.heapreplace(self._slowest, Span(seconds, began, title(), outcome))

    def sample(self) -> None:
        """Record the load of the clients, now."""
        load = self._read_load()
        part = self.history.at(self.seconds)
        for name in GAUGES:
            value = getattr(load, name)
            part.gauges[name] = max(value, part.gauges.get(name, 0))
            self.peaks[name] = max(value, self.peaks.get(name, 0))
        for name in COUNTERS:
            increase = getattr(load, name) - getattr(self._last, name)
            if increase:
                part.increases[name] = part.increases.get(name, 0) + increase
        self._last = load

    @property
    def totals(self) -> Load:
        """The increases of the load's fields since the start, as of the last sample."""
        names = [each.name for each in fields(Load)]
        return Load(*(getattr(self._last, name) - getattr(self._first, name) for name in names))

    async def run(self) -> None:
        """Sample the load until cancelled."""
        while True:
            self.sample()
            await trio.sleep(max(SAMPLE_SECONDS, self.history.width))
