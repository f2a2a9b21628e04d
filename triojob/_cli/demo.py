"""``triojob demo``: starts the app, plays the acts, and cleans up."""

from __future__ import annotations

import math
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import cast

import trio
from rich.console import Console

from triojob import Client

from . import demo_acts
from .demo_stage import Stage
from .ending import cancel_on_signal

if sys.version_info < (3, 11):
    from exceptiongroup import BaseExceptionGroup

APP = Path(__file__).with_name("demo_app.py")
BOOT_SECONDS = 90
_READY = re.compile(rb"^READY (\S+)\s", re.MULTILINE)


class DemoError(Exception):
    """The app did not start, or ended too early."""


@dataclass(frozen=True)
class Options:
    """The options of the command line."""

    jobs: int
    limit: int
    port: int
    plain: bool


@dataclass(frozen=True)
class Served:
    """A running app."""

    url: str
    pid: int


def run(options: Options) -> int:
    """Run the demo to its end; return the exit code.

    Raises:
        DemoError: The app did not start, or ended too early.
        KeyboardInterrupt: Ctrl-C came twice.
    """
    try:
        return trio.run(_main, options)
    except BaseExceptionGroup as group:
        # If the app dies, the jobs lose their connections too: show the cause, not its
        # consequences.  If the reader has exited, as in `triojob demo | head`, rich raises
        # SystemExit.
        error: BaseException | None = group.subgroup((DemoError, KeyboardInterrupt, SystemExit))
        if error is None:
            raise
        while isinstance(error, BaseExceptionGroup):
            error = cast("BaseExceptionGroup[BaseException]", error).exceptions[0]
        raise error from None


async def _main(options: Options) -> int:
    stage = Stage(Console(highlight=False, force_terminal=False if options.plain else None))
    # A proxy that the environment names is not for an app on this machine.
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1"
    signals: list[int] = []
    # The nursery holds the app's process, which must outlive the show.
    async with trio.open_nursery() as nursery:
        with trio.CancelScope() as show:
            await nursery.start(cancel_on_signal, show, signals)
            with stage.waiting("Starting a Gradio app in a separate process"):
                app: Served = await nursery.start(serve_app, options.port)
            stage.say(f"The app runs in process {app.pid}.")
            async with Client(app.url) as client:
                await demo_acts.play(client, stage, jobs=options.jobs, limit=options.limit)
        # Only now: the cancel requests of jobs needed the server.
        nursery.cancel_scope.cancel(reason="the demo is over")
    if signals:
        stage.say("\nStopped. All jobs and processes have ended.")
        # The status that a shell reports for a process ended by such a signal.
        return 128 + signals[0]
    return 0


async def serve_app(
    port: int, *, task_status: trio.TaskStatus[Served] = trio.TASK_STATUS_IGNORED
) -> None:
    """Keep the app running in a separate process until this task is cancelled.

    Args:
        port: Where it listens on the loopback interface; 0 for a free port.
        task_status: Receives the `Served` once the app responds.

    Raises:
        DemoError: In a group: the app did not start in time, or ended.
    """
    said = b""
    async with trio.open_nursery() as nursery:
        # Cancelling `run_process` ends the process: SIGTERM first, and SIGKILL if that has no
        # effect.
        process: trio.Process = await nursery.start(
            partial(
                trio.run_process,
                [sys.executable, "-u", str(APP), "--port", str(port)],
                # Never written to.  It closes when this process ends, even by SIGKILL, and the app
                # watches it.
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                check=False,
                # Ctrl-C goes to the whole foreground process group: keep the app out of it, as the
                # jobs still have to send their cancel requests.
                start_new_session=True,
            )
        )
        assert process.stdout is not None
        with trio.move_on_after(BOOT_SECONDS) as boot:
            # Read continuously: a process whose output is not read blocks when the pipe is full.
            async for chunk in process.stdout:
                said = (said + chunk)[-8192:]
                if boot.deadline < math.inf and (ready := _READY.search(said)):
                    boot.deadline = math.inf
                    task_status.started(Served(ready[1].decode(), process.pid))
            await process.wait()
        if boot.cancelled_caught:
            what = f"did not start within {BOOT_SECONDS} seconds"
        else:
            what = f"exited with code {process.returncode}"
        last = said.decode(errors="replace").rstrip().rpartition("\n")[2]
        raise DemoError(f"the app {what}; its last line of output: {last}")
