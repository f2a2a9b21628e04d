"""What the acts of the demo show themselves on: a terminal, or plain lines."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, final

from rich import box
from rich.console import Console, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from triojob import Job, Status, StatusUpdate

FRAME_SECONDS = 0.05


class Stage:
    """Shows what happens, and keeps what goes into the table at the end.

    Nothing here has a thread or a timer of its own: the jobs' messages move the picture.
    """

    def __init__(self, console: Console, *, plain: bool) -> None:
        self.console = console
        self.plain = plain or not console.is_terminal
        self._results: list[tuple[str, str, str]] = []
        self._act = ""
        self._began = 0.0

    def say(self, text: str, style: str = "") -> None:
        """Print a line; `Text`, because brackets in an app's words are no markup of ours."""
        self.console.print(Text(text, style=style), soft_wrap=self.plain)

    def block(self, text: str, title: str) -> None:
        """Print a longer text."""
        if self.plain:
            self.say(f"-- {title}\n{text}")
        else:
            self.console.print(Panel(Text(text), title=Text(title), expand=False))

    def act(self, title: str, how: str) -> None:
        """Begin the next act; ``how`` says it in code."""
        self._act, self._began = f"{len(self._results) + 1}. {title}", time.monotonic()
        if self.plain:
            self.say(f"\n== {self._act}")
        else:
            self.console.print()
            self.console.rule(Text(self._act, style="bold"), align="left")
        self.say(how, style="cyan")

    def end_act(self, result: str) -> None:
        """Tell how the act came out, and keep it for the table."""
        self._results.append((self._act, result, f"{time.monotonic() - self._began:.1f} s"))
        self.say(result, style="green")

    def show_results(self) -> None:
        """Show the table of what happened."""
        table = Table(box=None if self.plain else box.ROUNDED, title_justify="left")
        table.add_column("act", no_wrap=True)
        table.add_column("what happened")
        table.add_column("time", justify="right", no_wrap=True)
        for row in self._results:
            table.add_row(*map(Text, row))
        self.console.print()
        self.console.print(table)

    @contextmanager
    def waiting(self, text: str) -> Generator[None, None, None]:
        """Show that something takes a while."""
        if self.plain:
            self.say(f"{text} ...")
            yield
        else:
            with self.console.status(Text(f"{text} ...")):
                yield

    @contextmanager
    def words(self, title: str) -> Generator[Callable[[str], None], None, None]:
        """Give a function that shows a text which grows from call to call."""
        if self.plain:
            shown = 0

            def add(text: str) -> None:
                nonlocal shown
                self.console.print(Text(text[shown:]), end="", soft_wrap=True)
                shown = len(text)

            try:
                yield add
            finally:
                self.console.print()
        else:
            with Picture(self.console) as picture:
                yield lambda text: picture.show(Panel(Text(text), title=Text(title), width=64))

    @contextmanager
    def board(self) -> Generator[Callable[[str, Job[Any]], None], None, None]:
        """Give a function that puts a job, with a title, on a board of jobs."""
        if self.plain:
            yield self._tell_of
        else:
            with Picture(self.console) as picture:
                board = Board(rows=max(3, self.console.height - 6), changed=picture.show)
                yield board.add

    def _tell_of(self, title: str, job: Job[Any]) -> None:
        told = ""

        def tell(status: StatusUpdate) -> None:
            nonlocal told
            state = describe(status)[0]
            if state != told:
                told = state
                self.say(f"{title:<20} {state}")

        tell(job.status())
        job.on_status(tell)


@final
class Picture:
    """A part of the terminal that is drawn again and again, but not too often."""

    def __init__(self, console: Console) -> None:
        # `auto_refresh` would be a thread.
        self._live = Live(console=console, auto_refresh=False)
        self._drawn = 0.0

    def __enter__(self) -> Picture:
        self._live.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        # Draws the last state, and gives the terminal its cursor back.
        self._live.stop()

    def show(self, picture: RenderableType) -> None:
        """Show ``picture`` in place of the one before."""
        is_due = time.monotonic() - self._drawn >= FRAME_SECONDS
        self._live.update(picture, refresh=is_due)
        if is_due:
            self._drawn = time.monotonic()


@dataclass
class Board:
    """The jobs of a fan-out, a row for each, as a picture that follows their status."""

    rows: int
    changed: Callable[[RenderableType], None]
    jobs: list[tuple[str, Job[Any], datetime]] = field(default_factory=list[Any])

    def add(self, title: str, job: Job[Any]) -> None:
        """Add a job."""
        self.jobs.append((title, job, datetime.now(timezone.utc)))
        # A listener is a plain function, called at each change: no task, no polling.
        job.on_status(lambda _: self.changed(self))

    def __rich__(self) -> Table:
        """Draw it, from snapshots of the jobs."""
        ended = sum(job.done for _, job, _ in self.jobs)
        table = Table(box=box.ROUNDED, caption=f"{ended} of {len(self.jobs)} ended")
        table.add_column("job", no_wrap=True)
        table.add_column("state", min_width=18, no_wrap=True)
        table.add_column("progress", max_width=20)
        table.add_column("time", min_width=8, justify="right", no_wrap=True)
        shown = self.jobs
        if len(shown) > self.rows:
            shown = sorted(shown, key=lambda item: item[1].done)[: self.rows]
        for title, job, added in shown:
            status = job.status()
            state, style = describe(status)
            seconds = (status.time - added).total_seconds()
            table.add_row(
                Text(title),
                Text(state, style=style),
                bar(status),
                f"{seconds:.1f} s" if job.done else f"eta {status.eta:.0f} s" if status.eta else "",
            )
        return table


def bar(status: StatusUpdate) -> RenderableType:
    """Draw the progress that the app tells of."""
    if status.code is Status.FINISHED:
        return ProgressBar(total=1, completed=1)
    unit = status.progress_data[0] if status.progress_data else None
    if unit is None or not unit.length:
        return ""
    return ProgressBar(total=unit.length, completed=unit.index or 0)


def describe(status: StatusUpdate) -> tuple[str, str]:
    """Say where a job is, in words and in a style."""
    if status.code is Status.STARTING:
        return "waits in the group", "dim"
    if status.code is Status.IN_QUEUE and status.rank is not None:
        return f"queued, {status.rank} ahead", "yellow"
    if status.code <= Status.IN_QUEUE:
        return "on its way", "yellow"
    if status.code < Status.FINISHED:
        return "running", "cyan"
    if status.code is Status.FINISHED:
        return ("done", "green") if status.success else ("failed", "red")
    return "cancelled", "red"
