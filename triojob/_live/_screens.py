"""What the live view is shown on: a terminal, plain lines, or a notebook."""

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
from ._picture import Line, counts, log_text, picture, speed
from ._watch import Watch

STYLES = {
    name: Style.parse(name)
    for name in ("dim", "bold", "blue", "cyan", "green", "yellow", "red", "magenta")
}


class Screen(ABC):
    """Shows the state of a `Watch`; it is opened, drawn some times, and closed."""

    pause: ClassVar[float]
    """How many seconds lie between two drawings, at least."""
    tick: ClassVar[float]
    """After how many seconds it is drawn though nothing has changed, while there are jobs."""

    def open(self) -> None:  # noqa: B027 - most have nothing to do
        """Take the place over."""

    @abstractmethod
    def draw(self, watch: Watch, now: float) -> None:
        """Show how things are."""

    @abstractmethod
    def close(self, watch: Watch, now: float) -> None:
        """Show how things are at the end, and give the place back, whatever happens."""


class Lines:
    """Lines as rich prints them: no wrapping, no markup, nothing to measure."""

    def __init__(self, lines: list[Line]) -> None:
        self.lines = lines

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for number, line in enumerate(self.lines):
            if number:
                yield Segment.line()
            for text, style in line:
                yield Segment(text, STYLES.get(style))

    def height_in(self, width: int) -> int:
        """Return how many lines these are on a terminal that has wrapped them at ``width``."""
        lengths = [sum(cell_len(text) for text, _ in line) for line in self.lines]
        return sum(max(1, -(-length // width)) for length in lengths)


@final
class Terminal(Screen):
    """A part of a terminal that is drawn again and again; what is printed goes above it."""

    pause = 0.1
    tick = 1.0
    _open: ClassVar[Terminal | None] = None

    def __init__(self, console: Console) -> None:
        self._console = console
        self._drawn: Lines | None = None
        self._logs: LogStreams | None = None
        # `auto_refresh` would be a thread.  What does not go to the terminal anyway, such as
        # results that are piped into a file, must not be turned to it.
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
            RuntimeError: There is a live view already: two would draw over each other.
        """
        if Terminal._open is not None:
            raise RuntimeError(
                "a live view is already open; give it all groups: triojob.live(group, other)"
            )
        before = sys.stdout, sys.stderr
        self._live.start()
        Terminal._open = self
        self._logs = LogStreams(zip(before, (sys.stdout, sys.stderr), strict=True))

    def draw(self, watch: Watch, now: float) -> None:
        """Draw, unless the terminal takes nothing now (Ctrl-S, a slow line): jobs don't wait."""
        if takes_output(self._console):
            self._show(watch, now)

    def close(self, watch: Watch, now: float) -> None:
        """Leave the last state on the screen, and give the cursor back."""
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
            # A terminal made narrower has wrapped the lines, so there are more of them to erase.
            more = self._drawn.height_in(width) - len(self._drawn.lines)
            up = ((ControlType.CURSOR_UP, 1), (ControlType.ERASE_IN_LINE, 2))
            if more:
                self._console.control(Control((ControlType.ERASE_IN_LINE, 2), *up * more))
        watch.news.clear()  # they have lines of their own
        # A full line would leave the cursor nowhere.
        self._drawn = Lines(picture(watch, now, width=width - 1, height=height - 1))
        self._live.update(self._drawn, refresh=True)


def takes_output(console: Console) -> bool:
    """Return whether writing to the console would not block now."""
    if not hasattr(select, "poll"):
        return True  # Windows, which has no way to ask
    try:
        number = console.file.fileno()
    except OSError:
        return True  # no file, but something in memory
    poll = select.poll()
    poll.register(number, select.POLLOUT)
    return bool(poll.poll(0))


@final
class Plain(Screen):
    """Lines for a log: how many jobs are where, at most every few seconds, and what failed."""

    pause = 3.0
    tick = 30.0
    most = 10
    """How many lines of apps and of failures are printed at once."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._printed = ""
        self._printed_at = -math.inf
        self._told = 0

    def draw(self, watch: Watch, now: float) -> None:
        """Print what is new; and now and then that nothing is, as silence could be a fault."""
        self._print_news(watch)
        if plain(counts(watch)) != self._printed or now - self._printed_at >= self.tick:
            self._print_counts(watch, now)

    def close(self, watch: Watch, now: float) -> None:
        """Print what is new, and the counts if they are not there yet."""
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
            self._print(f"({left_out} lines of failures and of the app's log left out)")
        for line in news:
            self._print(line)

    def _print_counts(self, watch: Watch, now: float) -> None:
        self._printed, self._printed_at = plain(counts(watch)), now
        self._print(f"{self._printed}; {', '.join(speed(watch.pace, now))}")

    def _print(self, line: str) -> None:
        encoding = self._console.encoding
        readable = line.encode(encoding, "backslashreplace").decode(encoding)
        self._console.print(Text(readable), soft_wrap=True)


def plain(line: Line) -> str:
    """Return the text of a line."""
    return "".join(text for text, _ in line)


@final
class Notebook(Screen):
    """One output of a notebook's cell that is replaced by newer ones."""

    pause = 0.25
    tick = 1.0
    width, height = 110, 30

    def __init__(self, display: Callable[..., Any]) -> None:
        self._display = display
        self._handle: Any = None

    def draw(self, watch: Watch, now: float) -> None:
        """Put the lines into the cell's output, as HTML and as text."""
        watch.news.clear()
        lines = picture(watch, now, width=self.width, height=self.height)
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
    """Return the lines as HTML, in the colours of rich and the font of the notebook's code."""
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
    """A console of our own: if its reader goes away, that ends the view and not the program."""

    def on_broken_pipe(self) -> None:
        """Raise what rich has caught, for the view to log."""
        raise  # noqa: PLE0704 - rich calls this in its `except`


def choose_screen(console: Console | None) -> Screen:
    """Return what suits where the output goes."""
    if console is None:
        # Where tqdm writes, too: what the program prints may go into a file.
        console = QuietConsole(stderr=True, markup=False, emoji=False, highlight=False)
        # rich takes FORCE_COLOR for a terminal; a log of CI with colours is none all the same.
        is_terminal = sys.stderr.isatty()
    else:
        is_terminal = console.is_terminal
    if console.is_jupyter:
        # As it is one, IPython is there.
        return Notebook(importlib.import_module("IPython.display").display)
    if is_terminal and console.is_interactive and console.encoding.startswith("utf"):
        return Terminal(console)
    return Plain(console)
