"""How far ``triojob map`` is: a bar on a terminal, now and then a line elsewhere."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from datetime import timedelta

import click
import trio
from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

FRAME_SECONDS = 0.1
LINE_SECONDS = 10.0
_WINDOW_SECONDS = 30.0
"""The rate is that of the last half minute, so that it follows what the app does."""


class Progress:
    """Counts rows and tells of them on standard error.

    Args:
        before: How many rows were there already.
        estimate: Returns how many rows there are in all, or None if nobody knows.
        is_exact: Whether that is no guess.
        quiet: Tell nothing.
    """

    def __init__(
        self,
        *,
        before: int,
        estimate: Callable[[], int | None],
        is_exact: bool,
        quiet: bool = False,
    ) -> None:
        self.ok = 0
        self.failed = 0
        self._before = before
        self._estimate = estimate
        self._of = "of" if is_exact else "of about"
        self._quiet = quiet
        self._began = time.monotonic()
        self._samples: deque[tuple[float, int]] = deque([(self._began, 0)])

    @property
    def done(self) -> int:
        """How many rows this run has finished."""
        return self.ok + self.failed

    @property
    def seconds(self) -> float:
        """For how long it has been going on."""
        return time.monotonic() - self._began

    def add(self, *, ok: bool) -> None:
        """Count a row."""
        if ok:
            self.ok += 1
        else:
            self.failed += 1

    def summary(self, before: int, failed_before: int) -> str:
        """Return how it went.

        Args:
            before: How many rows were there already.
            failed_before: How many of those had failed.
        """
        words = [f"{_rows(self.done)}: {self.ok:,} ok, {self.failed:,} failed"]
        if before:
            failed = f" ({failed_before:,} of them failed)" if failed_before else ""
            words.append(f"{before:,} were there before{failed}")
        rate = self.done / self.seconds if self.seconds else 0.0
        words.append(f"in {_exactly(self.seconds)} ({rate:.1f}/s)")
        return ", ".join(words)

    async def show(self) -> None:
        """Tell of it until cancelled."""
        console = Console(stderr=True, highlight=False)
        if self._quiet:
            await trio.sleep_forever()
        if not console.is_terminal:
            while True:
                await trio.sleep(LINE_SECONDS)
                click.echo(self._words(), err=True)
        # `auto_refresh` would be a thread.
        live = Live(
            console=console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        with live:
            while True:
                live.update(self._bar(), refresh=True)
                await trio.sleep(FRAME_SECONDS)

    def _bar(self) -> Table:
        total = self._estimate()
        table = Table.grid(padding=(0, 1))
        done = self._before + self.done
        bar = ProgressBar(total=total, completed=done, width=24, pulse=total is None)
        table.add_row(bar, Text(self._words()))
        return table

    def _words(self) -> str:
        done, total = self._before + self.done, self._estimate()
        rate = self._rate()
        words = [_rows(done) if total is None else f"{done:,} {self._of} {_rows(total)}"]
        words += [f"{rate:.1f}/s"]
        words += [f"{self.failed:,} failed"] if self.failed else []
        if total is not None and rate > 0:
            words.append(f"ETA {_duration(max(0, total - done) / rate)}")
        return ", ".join(words)

    def _rate(self) -> float:
        now = time.monotonic()
        self._samples.append((now, self.done))
        while self._samples[1][0] < now - _WINDOW_SECONDS:
            self._samples.popleft()
        then, count = self._samples[0]
        return (self.done - count) / (now - then) if now > then else 0.0


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"


def _exactly(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 60 else _duration(seconds)


def _duration(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))
