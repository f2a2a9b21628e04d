"""Displays the acts of the demo, on a terminal or as plain lines."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import final

from rich import box
from rich.console import Console, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

FRAME_SECONDS = 0.05


class Stage:
    """Shows events, and keeps the rows of the final table.

    It has no thread and no timer of its own: the jobs' messages update the picture.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self.plain = not console.is_terminal
        self._results: list[tuple[str, str, str]] = []
        self._act = ""
        self._began = 0.0

    def say(self, text: str, style: str = "") -> None:
        """Print a line; as `Text`, because brackets in an app's text are not markup."""
        self.console.print(Text(text, style=style), soft_wrap=self.plain)

    def block(self, text: str, title: str) -> None:
        """Print a longer text."""
        if self.plain:
            self.say(f"-- {title}\n{text}")
        else:
            self.console.print(Panel(Text(text), title=Text(title), expand=False))

    def act(self, title: str, how: str) -> None:
        """Begin the next act; ``how`` shows it as code."""
        self._act, self._began = f"{len(self._results) + 1}. {title}", time.monotonic()
        if self.plain:
            self.say(f"\n== {self._act}")
        else:
            self.console.print()
            self.console.rule(Text(self._act, style="bold"), align="left")
        self.say(how, style="cyan")

    def end_act(self, result: str) -> None:
        """Show the result of the act, and keep it for the table."""
        self._results.append((self._act, result, f"{time.monotonic() - self._began:.1f} s"))
        self.say(result, style="green")

    def show_results(self) -> None:
        """Show the table of results."""
        table = Table(box=None if self.plain else box.ROUNDED, title_justify="left")
        table.add_column("act", no_wrap=True)
        table.add_column("result")
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
        """Yield a function that shows a text which grows from call to call."""
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


@final
class Picture:
    """A part of the terminal that is redrawn repeatedly, at a limited rate."""

    def __init__(self, console: Console) -> None:
        # `auto_refresh` would be a thread.
        self._live = Live(console=console, auto_refresh=False)
        self._drawn = 0.0

    def __enter__(self) -> Picture:
        self._live.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        # Draws the last state, and restores the terminal's cursor.
        self._live.stop()

    def show(self, picture: RenderableType) -> None:
        """Show ``picture`` in the place of the previous one."""
        is_due = time.monotonic() - self._drawn >= FRAME_SECONDS
        self._live.update(picture, refresh=is_due)
        if is_due:
            self._drawn = time.monotonic()
