"""The progress of ``triojob map``: a bar on a terminal, otherwise occasional lines."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import trio
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from .._durable.outage import Reachability
from .._live._meter import ProgressMeter
from .._live._text import one_line
from .._live._units import duration, per_second
from .screen import screen

FRAME_SECONDS = 0.1
LINE_SECONDS = 10.0


class Progress:
    """Counts rows and shows the progress on standard error.

    Args:
        app: Whether the app is reachable.
        before: How many rows were finished by earlier runs.
        estimate: Returns the total number of rows, or None if unknown.
        is_exact: Whether that number is exact.
        quiet: Whether to show nothing.
    """

    def __init__(
        self,
        app: Reachability,
        *,
        before: int,
        estimate: Callable[[], int | None],
        is_exact: bool,
        quiet: bool = False,
    ) -> None:
        self.ok = 0
        self.failed = 0
        self.failures: dict[str, dict[str, Any]] = {}
        """By kind: how many rows failed that way, and the first of them."""
        self._app = app
        self._meter = ProgressMeter(trio.current_time())
        self._meter.credit(before)
        self._estimate = estimate
        self._of = "of" if is_exact else "of about"
        self._quiet = quiet

    @property
    def done(self) -> int:
        """How many rows this run has finished."""
        return self.ok + self.failed

    @property
    def seconds(self) -> float:
        """The duration of the run so far."""
        return trio.current_time() - self._meter.began

    def add(self, kind: str, row: int, error: Mapping[str, str] | None) -> None:
        """Count a row.

        Args:
            kind: Its outcome.
            error: The error of a failed row; None for a success.
        """
        self._meter.count(trio.current_time())
        if error is None:
            self.ok += 1
        else:
            self.failed += 1
            first = {"row": row, **error}
            self.failures.setdefault(kind, {"rows": 0, "first": first})["rows"] += 1

    def summary(self, before: int, failed_before: int) -> str:
        """Return a summary.

        Args:
            before: How many rows were finished by earlier runs.
            failed_before: How many of those had failed.
        """
        words = [f"{_rows(self.done)}: {self.ok:,} ok, {self.failed:,} failed"]
        if before:
            failed = f" ({failed_before:,} of them failed)" if failed_before else ""
            words.append(f"{before:,} were finished earlier{failed}")
        rate = f" ({per_second(self.done / self.seconds)})" if self.done and self.seconds else ""
        words.append(f"in {duration(self.seconds)}{rate}")
        return "\n".join([", ".join(words), *self._reasons()])

    def _reasons(self) -> list[str]:
        """Return a line for each kind of failure, the most frequent first."""
        kinds = sorted(self.failures.items(), key=lambda item: -item[1]["rows"])
        return [
            f"  {failures['rows']:,} {kind}, the first in row {first['row']}: "
            f"{first['class']}: {one_line(first['message'])}"
            for kind, failures in kinds
            for first in [failures["first"]]
        ]

    async def show(self) -> None:
        """Show the progress until cancelled."""
        if self._quiet:
            await trio.sleep_forever()
        if not screen().is_terminal:
            while True:
                await trio.sleep(LINE_SECONDS)
                screen().say(self._words())
        try:
            while True:
                screen().show(self._bar())
                await trio.sleep(FRAME_SECONDS)
        finally:
            screen().clear()

    def _bar(self) -> Table:
        total = self._estimate()
        table = Table.grid(padding=(0, 1))
        table.add_column()
        table.add_column(no_wrap=True, overflow="ellipsis")
        bar = ProgressBar(total=total, completed=self._meter.done, width=24, pulse=total is None)
        table.add_row(bar, Text(self._words()))
        return table

    def _words(self) -> str:
        now, done = trio.current_time(), self._meter.done
        self._meter.total = total = self._estimate()
        rate, eta = self._meter.rate(now), self._meter.eta(now)
        if self._app.since is not None:
            outage = f"app unreachable since {self._app.since}, retrying"
            rate = eta = None
        else:
            outage = ""
        words = [_rows(done) if total is None else f"{done:,} {self._of} {_rows(total)}"]
        words += [] if rate is None else [per_second(rate)]
        words += [f"{self.failed:,} failed"] if self.failed else []
        words += [] if eta is None else [f"ETA {duration(eta)}"]
        return ", ".join(filter(None, [outage, *words]))


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"
