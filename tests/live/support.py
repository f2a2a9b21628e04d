"""What the tests of the live view share: jobs to look at, and things to look at them on."""

from __future__ import annotations

import io
from typing import Any

import trio
from rich.console import Console

from triojob import JobGroup, ProgressUnit, report
from triojob._live._rendering import render
from triojob._live._screens import plain
from triojob._live._watch import Watch

CURSOR_OFF, CURSOR_ON = "\x1b[?25l", "\x1b[?25h"


def recorder(
    *, width: int = 80, height: int = 20, terminal: bool = True, **options: Any
) -> Console:
    """Make a console that writes into memory; `output` reads it."""
    return Console(
        file=io.StringIO(),
        force_terminal=terminal,
        width=width,
        height=height,
        color_system=None,
        _environ={"TERM": "xterm"},
        **options,
    )


def output(console: Console) -> str:
    """Return what was written, control codes included."""
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


class Seen:
    """The lines of a group's jobs, as a view would draw them, without a view."""

    def __init__(self, group: JobGroup, **options: Any) -> None:
        self.changes = 0
        self.watch = Watch(self._count, **options)
        self.watch.adopt(group)

    def _count(self) -> None:
        self.changes += 1

    def lines(self, width: int = 100, height: int = 20) -> list[str]:
        now = trio.current_time()
        return [plain(line) for line in render(self.watch, now, width=width, height=height)]


async def draws(rows: int = 4, of: int = 8, seconds: float = 10) -> str:
    """Tell of some progress, and wait."""
    report.progress(ProgressUnit(rows, of, "rows", None, "drawing"))
    await trio.sleep(seconds)
    return "drawn"


async def fails(message: str = "no") -> None:
    await trio.sleep(0.5)
    raise ValueError(message)
