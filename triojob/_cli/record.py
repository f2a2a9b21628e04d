"""``triojob record`` and ``triojob replay``: an app on this machine, until Ctrl-C."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from ..gradio.http.urls import public_part
from .connecting import Connection, read_secret
from .ending import CommandError, in_options
from .screen import screen
from .terminal import Stdout

if TYPE_CHECKING:
    from triojob.testing import ServedApp


async def record(
    connection: Connection, path: Path, *, secrets: tuple[str, ...], max_size: int, port: int
) -> int:
    """Record an app until Ctrl-C; return the exit code.

    Args:
        secrets: Texts to mask.
        max_size: The most megabytes of the recording.
        port: The port of the address to call.

    Raises:
        TriojobError: The app can't be reached.
        CommandError: The app can't be recorded; nothing was written.
        OSError: The port is in use, or the file can't be written.
    """
    # Here, as no other command needs it.
    from triojob.testing import RecordingError, record

    try:
        app = record(
            connection.url,
            path,
            secrets=[read_secret("--secret", secret) for secret in secrets],
            max_size=max_size * 2**20,
            **connection.client_options(),
        )
        await _serve(app, port, f"Recording {public_part(connection.url)}; Ctrl-C writes {path}.")
    except RecordingError as exc:
        raise CommandError(f"nothing was written: {in_options(str(exc))}", 1) from None
    screen().say(f"Wrote {path}; calls: {len(app.calls)}.")
    return 0


async def replay(path: Path, *, speed: float, repeats: bool, port: int) -> int:
    """Play a recording until Ctrl-C; return the exit code: 1 if a call was not recorded.

    Raises:
        CommandError: It is not a recording.
        OSError: The port is in use, or the file can't be read.
    """
    from triojob.testing import CallNotRecorded, RecordedApp, RecordingError

    try:
        app = RecordedApp(path, speed=speed, repeats=repeats)
        await _serve(app, port, f"Playing {path}; Ctrl-C ends it.")
    except RecordingError as exc:
        raise CommandError(str(exc), 1) from None
    except CallNotRecorded as exc:
        screen().say(in_options(str(exc)))  # the difference has several lines
        return 1
    return 0


async def _serve(app: ServedApp, port: int, words: str) -> None:
    """Run an app, and print its URL; end at Ctrl-C or SIGTERM, which are its normal end."""
    async with app.serve(port) as url:
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as received:
            screen().say(words)
            await Stdout().write_bytes(f"{url}\n".encode())
            await anext(aiter(received))
