"""The line at the bottom of a terminal: what a person sees of it, even while it narrows."""

from __future__ import annotations

import io
import logging
import os

import pyte
import pytest
from rich.console import Console
from rich.text import Text

from triojob._cli import connecting, screen as module
from triojob._cli.connecting import log_to_stderr
from triojob._cli.screen import Screen


class Terminal(io.StringIO):
    """A terminal in memory."""

    def __init__(self, columns: int) -> None:
        super().__init__()
        self.columns = columns
        self.pyte = pyte.Screen(columns, 8)
        self._stream = pyte.Stream(self.pyte)

    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        return 2

    def write(self, text: str) -> int:
        self._stream.feed(text.replace("\n", "\r\n"))
        return len(text)

    def narrow(self, columns: int, *, wraps: bool) -> None:
        """Get narrower as a terminal does that wraps its lines anew, or as one that cuts them."""
        lines, cursor = self.lines, self.pyte.cursor
        self.columns = columns
        self.pyte = pyte.Screen(columns, 8)
        self._stream = pyte.Stream(self.pyte)
        for number, line in enumerate(lines[: cursor.y + 1]):
            left = line if wraps else line[:columns]
            if number < cursor.y:
                self._stream.feed(f"{left}\r\n")
            else:
                # The cursor stays at its character.
                self._stream.feed(f"{left[: cursor.x]}\x1b7{left[cursor.x :]}\x1b8")

    @property
    def lines(self) -> list[str]:
        return [line.rstrip() for line in self.pyte.display]

    @property
    def shown(self) -> list[str]:
        return [line for line in self.lines if line]


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    made = Terminal(60)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setattr(
        module.os, "get_terminal_size", lambda _=0: os.terminal_size((made.columns, 8))
    )
    return made


@pytest.fixture
def screen(terminal: Terminal) -> Screen:
    return Screen(Console(file=terminal, highlight=False))


@pytest.mark.parametrize("wraps", [True, False])
def test_narrowing_leaves_no_rubbish(screen: Screen, terminal: Terminal, *, wraps: bool) -> None:
    screen.say("before")
    screen.show(Text("x" * 200))
    assert [len(line) for line in terminal.shown] == [6, 59]
    terminal.narrow(20, wraps=wraps)
    screen.show(Text("y" * 200))
    assert terminal.shown == ["before", "y" * 18 + "…"]
    screen.clear()
    assert terminal.shown == ["before"]
    assert not terminal.pyte.cursor.hidden


def test_warnings_stay_above_the_line(screen, terminal, monkeypatch):
    monkeypatch.setattr(connecting, "screen", lambda: screen)
    with log_to_stderr(verbose=False):
        screen.show(Text("the bar"))
        logging.getLogger("triojob").warning("low \x1b[2J disk")
        logging.getLogger("triojob").info("nothing")
        assert terminal.shown == ["warning: low \\x1b[2J disk", "the bar"]
        screen.show(Text("the bar now"))
    screen.clear()
    assert terminal.shown == ["warning: low \\x1b[2J disk"]


@pytest.mark.parametrize("verbose", [False, True])
def test_repeated_warnings_are_counted(screen, terminal, monkeypatch, *, verbose):
    monkeypatch.setattr(connecting, "screen", lambda: screen)
    logger = logging.getLogger("triojob")
    with log_to_stderr(verbose=verbose):
        for number in (1, 2, 3):
            logger.warning("#%d: no response", number)
        logger.warning("low disk")
    counted = ["#1: no response", "low disk", "#1: no response (and 2 more)"]
    every = ["#1: no response", "#2: no response", "#3: no response", "low disk"]
    begin = "WARNING triojob: " if verbose else "warning: "
    assert terminal.shown == [begin + text for text in (every if verbose else counted)]


def test_without_a_terminal_lines_stay(capfd, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    screen = Screen(Console(stderr=True))
    screen.show(Text("the bar"))
    screen.say("one")
    screen.clear()
    assert capfd.readouterr().err == "one\n"
