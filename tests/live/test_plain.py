"""Where the output is no terminal: few lines, each of which says something."""

from __future__ import annotations

import io
import os
import sys
from typing import Any

import pytest
import trio
from rich.console import Console
from trio.testing import MockClock

import triojob
from tests.live.support import draws, fails, output, recorder
from tests.support.jobs import BaseExceptionGroup
from triojob import JobGroup, report
from triojob._live._screens import Notebook, Plain, Terminal, choose_screen


async def test_lines_come_at_changes_or_sometimes(autojump_clock: MockClock):
    console = recorder(terminal=False)
    async with JobGroup(limit=1) as group, triojob.live(group, total=4, console=console):
        for seconds in (0.5, 1, 1, 5):
            group.submit(trio.sleep, seconds)
    first, *lines = output(console).splitlines()
    assert first.endswith("0 of 4 ended, 0.0 s")
    assert lines == [
        "1 running, 3 done; 3 of 4 ended, 1.0/s, eta 1.0 s, 3.0 s",
        "4 done; 4 of 4 ended, 0.5/s, 7.5 s",
    ]


async def test_uncounted_messages_make_no_lines(autojump_clock: MockClock):
    async def tells() -> None:
        for number in range(300):
            report.progress((number, 300))
            await trio.sleep(0.1)

    console = recorder(terminal=False)
    async with JobGroup() as group, triojob.live(group, console=console):
        group.submit(tells)
    # The first, one after half a minute of silence at most, and the last.
    assert len(output(console).splitlines()) <= 4


async def test_long_silence_is_broken_now_and_then(autojump_clock: MockClock):
    console = recorder(terminal=False)
    async with JobGroup() as group, triojob.live(group, console=console):
        group.submit(trio.sleep, 300)
    assert 9 <= len(output(console).splitlines()) <= 12


async def test_failures_and_lines_of_app_are_printed(autojump_clock: MockClock):
    async def warns() -> None:
        report.log("mind [red]the\x1b[2J gap", "warning")
        await trio.sleep(5)

    console = recorder(terminal=False)
    with pytest.raises(BaseExceptionGroup):
        async with JobGroup() as group, triojob.live(group, console=console, title=str):
            group.submit(warns)
            group.submit(fails, "\x1b]0;title\x07 " + "x" * 200)
    lines = output(console).splitlines()
    assert any(line.endswith(": warning: mind [red]the\\x1b[2J gap") for line in lines)
    assert any("ValueError: \\x1b]0;title\\x07 xxx" in line for line in lines)
    assert lines[-1].startswith("1 done, 1 failed; ")
    assert "\x1b" not in output(console)


async def test_many_failures_are_few_lines(autojump_clock: MockClock):
    console = recorder(terminal=False)
    with pytest.raises(BaseExceptionGroup):
        async with JobGroup() as group, triojob.live(group, console=console):
            for number in range(500):
                group.submit(fails, str(number))
    lines = output(console).splitlines()
    assert sum("ValueError" in line for line in lines) == 10
    assert "(490 lines of failures and of the app's log omitted)" in lines
    assert len(lines) < 15


async def test_what_the_encoding_lacks_is_escaped(autojump_clock: MockClock):
    file = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    console = Console(file=file, force_terminal=False, width=80)
    with pytest.raises(BaseExceptionGroup):
        async with JobGroup() as group, triojob.live(group, console=console):
            group.submit(fails, "größer")
    file.seek(0)
    assert "ValueError: gr\\xf6\\xdfer" in file.read()


async def test_nothing_is_printed_of_nothing_but_end(autojump_clock: MockClock):
    console = recorder(terminal=False)
    async with JobGroup() as group, triojob.live(group, console=console):
        await trio.sleep(100)
    assert output(console).splitlines() == ["0 done; 0 ended, 1 min 40 s"]


# --- What suits where ---


class Stream(io.StringIO):
    """A stream that says whether it is a terminal."""

    def __init__(self, *, tty: bool, encoding: str = "utf-8") -> None:
        super().__init__()
        self._tty, self._encoding = tty, encoding

    def isatty(self) -> bool:
        return self._tty

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._encoding


@pytest.mark.parametrize(
    "tty, environ, kind",
    [
        (True, {"TERM": "xterm"}, Terminal),
        (True, {"TERM": "xterm", "NO_COLOR": "1"}, Terminal),
        (True, {"TERM": "dumb"}, Plain),
        (False, {"TERM": "xterm"}, Plain),
        (False, {"TERM": "xterm", "FORCE_COLOR": "1"}, Plain),
    ],
)
def test_a_terminal_that_can_is_drawn_on(monkeypatch, tty, environ, kind):
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_INTERACTIVE", "TTY_COMPATIBLE"):
        monkeypatch.delitem(os.environ, name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "stderr", Stream(tty=tty))
    assert type(choose_screen(None)) is kind


def test_a_terminal_without_unicode_gets_lines(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", Stream(tty=True, encoding="latin-1"))
    assert type(choose_screen(None)) is Plain


def test_own_console_decides():
    assert type(choose_screen(recorder())) is Terminal
    assert type(choose_screen(recorder(terminal=False))) is Plain


async def test_without_colours_none_are_sent(autojump_clock: MockClock):
    def console(**options: Any) -> Console:
        return Console(
            file=io.StringIO(), force_terminal=True, _environ={"TERM": "xterm"}, **options
        )

    for colours in (console(no_color=False), console(no_color=True)):
        async with JobGroup() as group, triojob.live(group, console=colours):
            group.submit(draws)
        assert ("\x1b[32m1 done" in output(colours)) is not colours.no_color


# --- Readers that go away ---


async def test_leaving_reader_ends_view_only(autojump_clock, monkeypatch, caplog):
    class Gone(Stream):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stderr", Gone(tty=False))
    async with JobGroup() as group, triojob.live(group):
        job = group.submit(draws)
    monkeypatch.undo()
    assert await job.result() == "drawn"
    assert "its jobs keep running" in caplog.records[0].message


# --- Notebooks ---


class Cell:
    """What IPython's `display` shows, and its handle."""

    def __init__(self) -> None:
        self.shown: list[dict[str, str]] = []

    def __call__(self, bundle: dict[str, str], *, raw: bool, display_id: bool) -> Cell:
        assert raw
        assert display_id
        assert not self.shown
        self.shown.append(bundle)
        return self

    def update(self, bundle: dict[str, str], *, raw: bool) -> None:
        assert raw
        self.shown.append(bundle)


async def test_in_a_notebook_one_output_is_replaced(autojump_clock, monkeypatch):
    cell = Cell()
    monkeypatch.setattr("triojob._live._life.choose_screen", lambda _: Notebook(cell))
    with pytest.raises(BaseExceptionGroup):
        async with JobGroup() as group, triojob.live(group):
            group.submit(draws)
            group.submit(fails, "<b>&amp;</b>\x1b[31m")
    assert 10 < len(cell.shown) < 30
    last = cell.shown[-1]
    assert "ValueError: <b>&amp;</b>\\x1b[31m\n1 done, 1 failed" in last["text/plain"]
    assert "ValueError: &lt;b&gt;&amp;amp;&lt;/b&gt;\\x1b[31m" in last["text/html"]
    assert last["text/html"].startswith("<pre ")
    assert "color: #800000" in last["text/html"]
