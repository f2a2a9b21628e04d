"""The live view in a real terminal: a pseudo-terminal, and what a person would see of it."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pyte
import pytest
import trio

from tests.live.support import CURSOR_OFF, CURSOR_ON
from tests.support.hanging import SECONDS

fcntl = pytest.importorskip("fcntl", reason="there are pseudo-terminals on POSIX only")
termios = pytest.importorskip("termios", reason="there are pseudo-terminals on POSIX only")

SCRIPT = Path(__file__).with_name("shown.py")


class Terminal:
    """A program in a terminal."""

    def __init__(self, width: int, height: int) -> None:
        self.master, self.slave = os.openpty()
        self.bytes = b""
        self.screen = pyte.HistoryScreen(width, height, history=1000)
        self._stream = pyte.ByteStream(self.screen)
        self.resize(width, height)

    def resize(self, width: int, height: int) -> None:
        size = struct.pack("HHHH", height, width, 0, 0)
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, size)
        self.screen.resize(height, width)

    @property
    def lines(self) -> list[str]:
        return [line.rstrip() for line in self.screen.display if line.strip()]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def type(self, keys: bytes) -> None:
        os.write(self.master, keys)

    async def read(self) -> bool:
        await trio.lowlevel.wait_readable(self.master)
        try:
            data = os.read(self.master, 65536)
        except OSError:  # on Linux, when the program has ended
            data = b""
        self.bytes += data
        self._stream.feed(data)
        return bool(data)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Read until the screen shows it."""
        while not condition():
            assert await self.read(), f"it ended, and the screen shows:\n{self.text}"


@asynccontextmanager
async def shown(
    *arguments: str, width: int = 70, height: int = 14, stdout: int | None = None
) -> AsyncIterator[tuple[Terminal, subprocess.Popen[bytes]]]:
    """Run `shown.py` in a terminal."""
    terminal = Terminal(width, height)
    environ = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES", "NO_COLOR")}
    process = subprocess.Popen(  # noqa: ASYNC220 - the test itself has to read the terminal
        [sys.executable, "-W", "error", str(SCRIPT), *arguments],
        stdin=terminal.slave,
        stdout=terminal.slave if stdout is None else stdout,
        stderr=terminal.slave,
        env={**environ, "TERM": "xterm-256color", "PYTHONIOENCODING": "utf-8"},
        # It makes the terminal its own, so that the keyboard's Ctrl-C goes to it.
        start_new_session=True,
    )
    os.close(terminal.slave)
    try:
        with trio.fail_after(SECONDS):
            yield terminal, process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        process.wait()
        os.close(terminal.master)


async def end(terminal: Terminal, process: subprocess.Popen[bytes]) -> int:
    while await terminal.read():
        pass
    return process.wait()


async def test_repaints_stay_and_leave_last_state():
    async with shown("work") as (terminal, process):
        await terminal.until(lambda: "3/40 steps" in terminal.text)
        assert terminal.bytes.count(CURSOR_OFF.encode()) == 1
        terminal.type(b"\n")  # not for us: it lets the jobs end
        assert await end(terminal, process) == 0
    # Each line is there once, however often it was drawn.
    first, second, counts, totals, *rest = terminal.lines[1:]
    assert first.startswith("#1 work  done")
    assert second.startswith("#2 work  done")
    assert counts == "2 done"
    assert "100%  2 of 2 ended" in totals
    assert rest == ["after"]
    assert not terminal.screen.cursor.hidden
    assert terminal.bytes.count(CURSOR_ON.encode()) == 1


async def test_what_the_body_prints_goes_above_it():
    async with shown("prints") as (terminal, process):
        assert await end(terminal, process) == 0
    shown_lines = [line for line in terminal.lines if not line.startswith("#")]
    assert shown_lines[:4] == [
        "[bold]to stdout[/]",
        "to stderr",
        "red, with an escape of its own",
        "WARNING:mine:logged",
    ]
    assert terminal.lines[4] == "without an end of line"
    assert terminal.lines[5].startswith("#1 work  done")
    assert terminal.lines[-1] == "WARNING:mine:logged after"


async def test_files_are_no_terminals(tmp_path: Path):
    with (tmp_path / "out").open("wb") as file:
        async with shown("prints", stdout=file.fileno()) as (terminal, process):
            assert await end(terminal, process) == 0
    lines = (tmp_path / "out").read_text("utf-8").splitlines()
    assert lines[0] == "[bold]to stdout[/]"
    assert "to stdout" not in terminal.text
    assert "to stderr" in terminal.text
    assert CURSOR_OFF.encode() in terminal.bytes


@pytest.mark.parametrize("how", ["ctrl-c", "error"])
async def test_ctrl_c_and_errors_give_terminal_back(how: str):
    async with shown(*(("hangs", "2") if how == "ctrl-c" else ("raises",))) as (terminal, process):
        if how == "ctrl-c":
            await terminal.until(lambda: "running" in terminal.text)
            assert terminal.screen.cursor.hidden
            terminal.type(b"\x03")
        code = await end(terminal, process)
    assert code == 1
    assert terminal.bytes.count(CURSOR_ON.encode()) == 1
    after = terminal.bytes.rpartition(CURSOR_ON.encode())[2]
    # The traceback comes under the last state.
    assert b"Traceback" in after
    assert (b"KeyboardInterrupt" if how == "ctrl-c" else b"KeyError") in after
    assert b"\x1b" not in after
    assert not terminal.screen.cursor.hidden


async def test_terminal_is_filled_to_its_size():
    async with shown("hangs", "30", width=70, height=14) as (terminal, process):
        await terminal.until(lambda: len(terminal.lines) == 13)
        terminal.resize(40, 9)
        terminal.screen.reset()
        await terminal.until(lambda: len(terminal.lines) == 8)
        assert max(map(len, terminal.lines)) <= 39
        terminal.resize(70, 20)
        terminal.screen.reset()
        await terminal.until(lambda: len(terminal.lines) == 19)
        terminal.type(b"\x03")
        await end(terminal, process)
    assert not terminal.screen.cursor.hidden


async def test_lines_that_terminal_has_wrapped_are_erased():
    async with shown("hangs", "2", width=70, height=14) as (terminal, process):
        await terminal.until(lambda: "2 running" in terminal.text)
        before = terminal.lines
        # What most terminals do when they are made narrower: each line becomes several.
        wrapped = [line[at : at + 20] for line in before for at in range(0, len(line), 20)]
        assert len(wrapped) > len(before)
        terminal.resize(20, 14)
        terminal.screen.reset()
        terminal._stream.feed("\r\n".join(["above", *wrapped]).encode())
        await terminal.until(lambda: len(terminal.lines) == len(before) + 1)
        assert terminal.lines[0] == "above"
        terminal.type(b"\x03")
        await end(terminal, process)


async def test_a_stopped_terminal_stops_no_job(tmp_path: Path):
    file = tmp_path / "count"
    async with shown("counts", str(file)) as (terminal, process):
        await terminal.until(lambda: "running" in terminal.text)
        terminal.type(b"\x13")  # Ctrl-S
        enough = file.stat().st_size + 60
        # Polls: nobody tells us, as the terminal is silent.  It is drawn several times meanwhile.
        while file.stat().st_size < enough:  # noqa: ASYNC110
            await trio.sleep(0.02)
        terminal.type(b"\x11\n")  # Ctrl-Q
        assert await end(terminal, process) == 0
    assert "1 cancelled" in terminal.text
