"""The outputs of the live view: a terminal, plain lines, or a notebook."""

from __future__ import annotations

import importlib
import math
import select
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable
from io import StringIO
from typing import Any, ClassVar, final

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.control import Control
from rich.live import Live
from rich.segment import ControlType, Segment
from rich.style import Style
from rich.text import Text

from ._logs import LogStreams
from ._rendering import Line, counts, details_of, log_text, render, speed
from ._watch import Watch

STYLES = {
    name: Style.parse(name)
    for name in ("dim", "bold", "blue", "cyan", "green", "yellow", "red", "magenta")
}


class Screen(ABC):
    """Shows the state of a `Watch`: it is opened, drawn several times, and closed."""

    pause: ClassVar[float]
    """Minimum seconds between two drawings."""
    tick: ClassVar[float]
    """Seconds after which it is drawn even if nothing has changed, while there are jobs."""

    def open(self) -> None:  # noqa: B027 - most have nothing to do
        """Take over the output."""

    @abstractmethod
    def draw(self, watch: Watch, now: float) -> None:
        """Show the current state."""

    @abstractmethod
    def close(self, watch: Watch, now: float) -> None:
        """Show the final state and restore the output, whatever happens."""


class Lines:
    """Lines for rich to print: without wrapping, markup or measuring."""

    def __init__(self, lines: list[Line]) -> None:
        self.lines = lines

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for number, line in enumerate(self.lines):
            if number:
                yield Segment.line()
            for text, style in line:
                yield Segment(text, STYLES.get(style))

    def height_in(self, width: int) -> int:
        """Return the number of lines on a terminal that has wrapped them at ``width``."""
        lengths = [sum(cell_len(text) for text, _ in line) for line in self.lines]
        return sum(max(1, -(-length // width)) for length in lengths)


@final
class Terminal(Screen):
    """A part of a terminal that is redrawn; printed text goes above it."""

    pause = 0.1
    tick = 1.0
    _open: ClassVar[Terminal | None] = None

    def __init__(self, console: Console) -> None:
        self._console = console
        self._drawn: Lines | None = None
        self._logs: LogStreams | None = None
        # `auto_refresh` would start a thread.  Streams that don't go to the terminal, such as
        # results that are piped into a file, must not be redirected to it.
        self._live = Live(
            console=console,
            auto_refresh=False,
            redirect_stdout=sys.stdout.isatty(),
            redirect_stderr=sys.stderr.isatty(),
            vertical_overflow="crop",
        )

    def open(self) -> None:
        """Hide the cursor.

        Raises:
            RuntimeError: Another live view is open: two would draw over each other.
        """
        if Terminal._open is not None:
            raise RuntimeError(
                "a live view is already open; pass all groups to it: triojob.live(group, other)"
            )
        before = sys.stdout, sys.stderr
        self._live.start()
        Terminal._open = self
        self._logs = LogStreams(zip(before, (sys.stdout, sys.stderr), strict=True))

    def draw(self, watch: Watch, now: float) -> None:
        """Draw, unless the terminal blocks (Ctrl-S, a slow connection): jobs don't wait for it."""
        if takes_output(self._console):
            self._show(watch, now)

    def close(self, watch: Watch, now: float) -> None:
        """Leave the last state on the screen, and show the cursor again."""
        Terminal._open = None
        try:
            self._show(watch, now)
        finally:
            if self._logs is not None:
                self._logs.restore()
            self._live.stop()

    def _show(self, watch: Watch, now: float) -> None:
        width, height = self._console.size
        if self._drawn is not None:
            # A terminal that was made narrower has wrapped the lines, so there are more to erase.
            more = self._drawn.height_in(width) - len(self._drawn.lines)
            up = ((ControlType.CURSOR_UP, 1), (ControlType.ERASE_IN_LINE, 2))
            if more:
                self._console.control(Control((ControlType.ERASE_IN_LINE, 2), *up * more))
        watch.news.clear()  # failures have lines of their own
        # A line of full width would leave the position of the cursor undefined.
        self._drawn = Lines(render(watch, now, width=width - 1, height=height - 1))
        self._live.update(self._drawn, refresh=True)


def takes_output(console: Console) -> bool:
    """Return whether writing to the console would not block now."""
    if not hasattr(select, "poll"):
        return True  # Windows can't report this
    try:
        number = console.file.fileno()
    except OSError:
        return True  # an object in memory, not a file
    poll = select.poll()
    poll.register(number, select.POLLOUT)
    return bool(poll.poll(0))


@final
class Plain(Screen):
    """Lines for a log: the state counts, at most every few seconds, and the failures."""

    pause = 3.0
    tick = 30.0
    most = 10
    """Maximum number of log messages and failures that are printed at once."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._printed = ""
        self._printed_at = -math.inf
        self._told = 0

    def draw(self, watch: Watch, now: float) -> None:
        """Print news, or from time to time that there are none, as silence looks like a hang."""
        self._print_news(watch)
        if plain(counts(watch)) != self._printed or now - self._printed_at >= self.tick:
            self._print_counts(watch, now)

    def close(self, watch: Watch, now: float) -> None:
        """Print news, and the counts if they are not printed yet."""
        self._print_news(watch)
        if plain(counts(watch)) != self._printed:
            self._print_counts(watch, now)

    def _print_news(self, watch: Watch) -> None:
        news = [
            f"{watch.title(row)}: {row.error if message is None else log_text(message)}"
            for row, message in list(watch.news)[-self.most :]
        ]
        left_out = watch.news_count - self._told - len(news)
        self._told = watch.news_count
        watch.news.clear()
        if left_out:
            self._print(f"({left_out} lines of failures and of the app's log omitted)")
        for line in news:
            self._print(line)

    def _print_counts(self, watch: Watch, now: float) -> None:
        self._printed, self._printed_at = plain(counts(watch)), now
        line = f"{self._printed}; {', '.join(speed(watch.meter, now))}"
        self._print("; ".join([line, *details_of(watch)]))

    def _print(self, line: str) -> None:
        encoding = self._console.encoding
        readable = line.encode(encoding, "backslashreplace").decode(encoding)
        self._console.print(Text(readable), soft_wrap=True)


def plain(line: Line) -> str:
    """Return the text of a line."""
    return "".join(text for text, _ in line)


@final
class Notebook(Screen):
    """An output of a notebook cell that newer ones replace."""

    pause = 0.25
    tick = 1.0
    width, height = 110, 30

    def __init__(self, display: Callable[..., Any]) -> None:
        self._display = display
        self._handle: Any = None

    def draw(self, watch: Watch, now: float) -> None:
        """Put the lines into the output of the cell, as HTML and as text."""
        watch.news.clear()
        lines = render(watch, now, width=self.width, height=self.height)
        bundle = {
            "text/plain": "\n".join(map(plain, lines)),
            "text/html": as_html(lines, self.width),
        }
        if self._handle is None:
            self._handle = self._display(bundle, raw=True, display_id=True)
        else:
            self._handle.update(bundle, raw=True)

    def close(self, watch: Watch, now: float) -> None:
        """Leave the last state in the cell."""
        self.draw(watch, now)


def as_html(lines: list[Line], width: int) -> str:
    """Return the lines as HTML, in the colors of rich and the font of the notebook's code."""
    console = Console(
        file=StringIO(), record=True, width=width, force_terminal=True, force_jupyter=False
    )
    console.print(Lines(lines))
    return console.export_html(
        inline_styles=True,
        code_format=(
            '<pre style="white-space:pre;overflow-x:auto;line-height:normal;'
            "font-family:Menlo,'DejaVu Sans Mono',consolas,'Courier New',monospace\">{code}</pre>"
        ),
    )


@final
class QuietConsole(Console):
    """A console that triojob makes: a broken pipe ends the view and not the program."""

    def on_broken_pipe(self) -> None:
        """Raise the exception that rich has caught, for the view to log."""
        raise  # noqa: PLE0704 - rich calls this in its `except`


def choose_screen(console: Console | None) -> Screen:
    """Return the screen that fits the output."""
    if console is None:
        # stderr, as in tqdm: the output of the program might go into a file.
        console = QuietConsole(stderr=True, markup=False, emoji=False, highlight=False)
        # rich treats FORCE_COLOR as a terminal, but a CI log with colors is not one.
        is_terminal = sys.stderr.isatty()
    else:
        is_terminal = console.is_terminal
    if console.is_jupyter:
        # IPython is installed, as this is a Jupyter console.
        return Notebook(importlib.import_module("IPython.display").display)
    if is_terminal and console.is_interactive and console.encoding.startswith("utf"):
        return Terminal(console)
    return Plain(console)
