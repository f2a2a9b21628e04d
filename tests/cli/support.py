"""What these tests share: the command as users run it, and apps that it calls."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.support.hanging import SECONDS
from tests.support.warm import warm_python
from triojob._cli.call import CallOptions
from triojob._cli.connecting import Connection

if sys.version_info < (3, 11):
    from exceptiongroup import BaseExceptionGroup

COMMAND = (sys.executable, "-m", "triojob")
# Runs a program in a terminal: its own stdin and stdout are the keyboard and the screen.
IN_TERMINAL = (
    sys.executable,
    "-c",
    "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))",
)
needs_signals = pytest.mark.skipif(not hasattr(os, "killpg"), reason="needs POSIX signals")


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def lines(self) -> list[Any]:
        """Its output, as lines of JSON."""
        return [json.loads(line) for line in self.stdout.splitlines()]


def environment(**more: str) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("TRIOJOB_")}
    return {**own, "TERM": "xterm", "COLUMNS": "80", "NO_PROXY": "127.0.0.1", **more}


async def run(*words: str | Path, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> Done:
    """Run a command to its end."""
    command = partial(
        warm_python().run,
        *("-m", "triojob", *map(str, words)),
        env=environment(**(env or {})),
        stdin=stdin,
    )
    done = Done(*await trio.to_thread.run_sync(command))
    assert "Traceback" not in done.stderr, done.stderr
    return done


@asynccontextmanager
async def started(
    *words: str | Path, stdin: int = subprocess.DEVNULL
) -> AsyncIterator[trio.Process]:
    """Start a command, whose output goes to pipes; it is gone afterwards."""
    with trio.fail_after(SECONDS):
        process = await trio.lowlevel.open_process(
            [*COMMAND, *map(str, words)],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(),
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            with trio.CancelScope(shield=True):
                await process.wait()


async def read(stream: trio.abc.ReceiveStream | None) -> str:
    assert stream is not None
    return b"".join([chunk async for chunk in stream]).decode()


def call_options(*words: str, **changes: Any) -> CallOptions:
    values: dict[str, Any] = {"as_json": False, "files": None, "timeout": None, "quiet": True}
    return CallOptions(words[0], words[1:], **{**values, **changes})


def connection(url: str, **changes: Any) -> Connection:
    return Connection(url, **changes)


def read_lines(path: Path) -> list[Any]:
    """Return the whole lines of an output."""
    data = path.read_bytes() if path.exists() else b""
    whole = data[: data.rfind(b"\n") + 1]
    return [json.loads(line) for line in whole.splitlines()]


def write_rows(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def leaf(error: BaseException) -> BaseException:
    """Return the one exception that groups are around."""
    while isinstance(error, BaseExceptionGroup):
        (error,) = error.exceptions
    return error
