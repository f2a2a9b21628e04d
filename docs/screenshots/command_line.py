"""Draw the pictures of docs/command-line.md: real runs in a terminal against the app of the demo.

``python docs/screenshots/command_line.py`` writes ``info.svg``, ``call.svg`` and ``map.svg`` to its
own folder, or to the folder in its argument.
It needs ``pip install "triojob[demo]" pyte``, a system with pseudo-terminals, the port 7860, and
about 30 seconds.
"""

import contextlib
import fcntl
import io
import itertools
import json
import os
import pty
import re
import shlex
import signal
import struct
import sys
import tempfile
import termios
from pathlib import Path

import pyte
import trio
from pyte.screens import Char
from rich.console import Console
from rich.style import Style
from rich.text import Text

from triojob._cli.demo import Served, serve_app
from triojob._cli.demo_acts import VIEWS

TARGET = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else Path(__file__).resolve().parent
PORT = 7860
# More columns would be too small to read on a telephone, 420 pixels wide.
WIDTH = 60
# Fonts that rich's pictures would load from another server.
FONT_FACE = re.compile(r"\s*@font-face \{.*?\}", re.DOTALL)
# Where the names of pyte differ from those of rich.
COLORS = {"brown": "yellow", "brightbrown": "bright_yellow"}


class Terminal:
    """A terminal in memory, in which real commands run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.screen = pyte.Screen(WIDTH, 60)
        self.stream = pyte.ByteStream(self.screen)

    async def run(self, command: str, *, seconds: float = 60, stop: int | None = None) -> None:
        """Type a command and show its output until it ends, or for some seconds.

        After these it receives the signal ``stop``, and its further output is shown too; without a
        signal it is killed.
        """
        self.stream.feed(f"\x1b[32m$\x1b[0m {command}\r\n".encode())
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 60, WIDTH, 0, 0))
        program, *arguments = shlex.split(command)
        assert program == "triojob"
        try:
            process = await trio.lowlevel.open_process(
                [sys.executable, "-m", "triojob", *arguments],
                stdin=theirs,
                stdout=theirs,
                stderr=theirs,
                cwd=self.folder,
                env={**os.environ, "TERM": "xterm-256color", "COLUMNS": str(WIDTH)},
            )
        finally:
            os.close(theirs)
        async with trio.lowlevel.FdStream(ours) as output:
            with trio.move_on_after(seconds) as watching:
                await self._watch(output)
            if watching.cancelled_caught and stop is not None:
                process.send_signal(stop)
                await self._watch(output)
            elif watching.cancelled_caught:
                process.kill()
            await process.wait()

    async def _watch(self, output: trio.lowlevel.FdStream) -> None:
        """Show what is written, until no process has the terminal open."""
        with contextlib.suppress(trio.BrokenResourceError):  # on Linux, the end of the output
            while data := await output.receive_some():
                self.stream.feed(bytes(data))

    def save(self, name: str, title: str) -> None:
        """Write the screen as a picture."""
        lines = [self._line(row) for row in range(self.screen.lines)]
        while not lines[-1].plain.strip():
            lines.pop()
        console = Console(
            file=io.StringIO(), record=True, force_terminal=True, width=WIDTH, legacy_windows=False
        )
        for line in lines:
            console.print(line, no_wrap=True, crop=True)
        picture = FONT_FACE.sub("", console.export_svg(title=title, unique_id=f"triojob-{name}"))
        picture = "\n".join(line.rstrip() for line in picture.splitlines())
        (TARGET / f"{name}.svg").write_text(f"{picture}\n", encoding="utf-8")

    def _line(self, row: int) -> Text:
        cells = self.screen.buffer[row]
        text = Text()
        for style, run in itertools.groupby(map(cells.__getitem__, range(WIDTH)), style_of):
            text.append("".join(cell.data for cell in run), style)
        text.rstrip()
        return text


def style_of(cell: Char) -> Style:
    """Return the style of a character."""
    return Style(
        color=color(cell.fg),
        bgcolor=color(cell.bg),
        bold=cell.bold,
        italic=cell.italics,
        underline=cell.underscore,
        reverse=cell.reverse,
    )


def color(name: str) -> str | None:
    """Return rich's name of one of pyte's colors."""
    if name == "default":
        return None
    if re.fullmatch(r"[0-9a-f]{6}", name):
        return f"#{name}"
    return COLORS.get(name, name.replace("bright", "bright_"))


async def main(folder: Path) -> None:
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1"
    rows = [json.dumps({"view": view, "rows": 16}) for view in VIEWS * 5]
    await trio.Path(folder, "views.jsonl").write_text("\n".join(rows), encoding="utf-8")
    async with trio.open_nursery() as nursery:
        app: Served = await nursery.start(serve_app, PORT)
        await take(folder, app.url.rstrip("/"))
        nursery.cancel_scope.cancel()


async def take(folder: Path, url: str) -> None:
    """Take the pictures."""
    terminal = Terminal(folder)
    await terminal.run(f"triojob info {url} /render")
    terminal.save("info", "triojob info")

    terminal = Terminal(folder)
    await terminal.run(f"triojob call {url} /translate text='Structured concurrency' target=Leet")
    await terminal.run(f"triojob call {url} /story hero=Ada sentences=2")
    await terminal.run(f"triojob call {url} /oracle question='Tell me something.'")
    await terminal.run(f"triojob call {url} /story heroine=Ada")
    terminal.save("call", "triojob call")

    command = f"triojob map {url} /render --input views.jsonl --output pictures.jsonl"
    terminal = Terminal(folder)
    await terminal.run(command, seconds=6, stop=signal.SIGINT)
    await terminal.run(f"{command} --resume", seconds=7)
    terminal.save("map", "triojob map")


with tempfile.TemporaryDirectory() as name:
    trio.run(main, Path(name))
