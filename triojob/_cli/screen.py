"""Standard error for people: permanent lines, and below them one line that changes."""

from __future__ import annotations

import os
from contextlib import suppress
from functools import cache

import click
from rich.console import Console, RenderableType

from .._printable import printable

_ERASE = "\r\x1b[J"
_HIDE, _SHOW = "\x1b[?25l", "\x1b[?25h"


class Screen:
    """Writes lines to standard error, and on a terminal a last line that changes.

    The cursor stays at the beginning of the last line.  When the terminal becomes narrower, it may
    or may not wrap the line: in both cases the whole line is after the cursor, and is erased from
    there.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._line = ""

    @property
    def is_terminal(self) -> bool:
        """Whether there can be a line that changes."""
        console = self._console
        return console.is_terminal and not (console.is_dumb_terminal or console.legacy_windows)

    def say(self, words: str) -> None:
        """Write permanent lines."""
        self._write(_ERASE if self._line else "", f"{printable(words)}\n", self._line)

    def show(self, line: RenderableType) -> None:
        """Replace the last line; does nothing unless this is a terminal."""
        if not self.is_terminal:
            return
        begins = _ERASE if self._line else _HIDE
        with self._console.capture() as capture:
            self._console.print(
                line, width=self._width(), no_wrap=True, overflow="ellipsis", crop=True
            )
        self._line = capture.get().partition("\n")[0] + "\r"
        self._write(begins, self._line)

    def clear(self) -> None:
        """Remove the last line."""
        if self._line:
            self._line = ""
            self._write(_ERASE, _SHOW)

    def _width(self) -> int:
        """Return the maximum width of a line: one column less than the terminal's, lest it wrap."""
        columns = self._console.width
        with suppress(OSError, ValueError):
            # The current width, or 0: rich uses the environment's value.
            now = os.get_terminal_size(self._console.file.fileno()).columns
            columns = min(columns, now or columns)
        return max(1, columns - 1)

    def _write(self, *parts: str) -> None:
        click.echo("".join(parts), file=self._console.file, nl=False, color=True)


@cache
def screen() -> Screen:
    """Return the screen of this process."""
    return Screen(Console(stderr=True, highlight=False))
