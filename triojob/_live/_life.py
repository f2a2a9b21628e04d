"""The life of a live view: the task that draws, and the cleanup at the end."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import trio
from rich.console import Console

from .._core.group import JobGroup
from .._core.job import Job
from .._core.lifetime import NurseryUnwrapper
from .._core.runs import require_task
from ..gradio.client import Client, ClientSession, watch_sessions
from ._recorder import RunRecorder
from ._report import Heading, ReportFile, report
from ._screens import Screen, choose_screen
from ._watch import Watch

logger = logging.getLogger("triojob")


@asynccontextmanager
# Ctrl-C interrupts the body and the jobs, but never a drawing in progress.
@trio.lowlevel.enable_ki_protection
async def show(
    targets: tuple[JobGroup | Client | ClientSession, ...],
    total: float | None,
    title: Callable[[Job[Any]], str | None] | None,
    console: Console | None,
    report_to: str | os.PathLike[str] | None,
) -> AsyncGenerator[None, None]:
    """Show the jobs of the targets; see `triojob.live`."""
    require_task("live()")
    file = None if report_to is None else ReportFile(report_to)
    view = _View(choose_screen(console), total, title)
    watch = view.watch
    state = "interrupted"
    unwatch: list[Callable[[], None]] = []
    clients = {target for target in targets if isinstance(target, Client)}
    with NurseryUnwrapper(nurseries=1) as body:
        view.open()
        try:
            for group in dict.fromkeys(group for each in targets for group in _groups_of(each)):
                watch.adopt(group)
            for client in clients:
                unwatch.append(watch_sessions(client, watch.adopt))
                watch.clients.append(client.statistics)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(view.run, name="<live view>")
                if file is not None:
                    watch.recorder = RunRecorder(watch.load)
                    nursery.start_soon(watch.recorder.run, name="<live report>")
                with body.watched():
                    yield
                    await watch.jobs_ended()
                    state = "finished"
                nursery.cancel_scope.cancel(reason="the jobs that a live view shows have ended")
        finally:
            for end in unwatch:
                end()
            watch.leave()
            view.close()
            if file is not None and watch.recorder is not None:
                _write_report(file, watch.recorder, state, has_clients=bool(clients))


def _groups_of(target: JobGroup | Client | ClientSession) -> tuple[JobGroup, ...]:
    return (target,) if isinstance(target, JobGroup) else target._groups()


def _write_report(
    file: ReportFile, recorder: RunRecorder, state: str, *, has_clients: bool
) -> None:
    names = list(recorder.functions)
    title = names[0] if len(names) == 1 else "Jobs"
    load = "calls" if has_clients else "jobs"
    facts = [("App", url) for url in recorder.urls]
    try:
        file.write(report(recorder, Heading(title, state, facts, load=load)))
    except OSError:
        logger.exception("the report of the live view can't be written to %s", file.path)


class _View:
    """Draws when something has changed, at a limited rate."""

    def __init__(
        self,
        screen: Screen,
        total: float | None,
        title: Callable[[Job[Any]], str | None] | None,
    ) -> None:
        self._screen: Screen | None = screen
        self._news = trio.Event()
        self.watch = Watch(self._changed, total=total, title=title)

    def _changed(self) -> None:
        self._news.set()

    def open(self) -> None:
        assert self._screen is not None
        self._screen.open()

    @trio.lowlevel.enable_ki_protection
    async def run(self) -> None:
        """Draw until cancelled, or until drawing fails."""
        while self._screen is not None:
            with trio.move_on_after(self._screen.tick if self.watch.alive else math.inf):
                await self._news.wait()
            self._news = trio.Event()
            try:
                self._screen.draw(self.watch, trio.current_time())
            except Exception:
                logger.exception("the live view failed and has stopped; its jobs keep running")
                self.close()
                return
            await trio.sleep(self._screen.pause)

    def close(self) -> None:
        """Draw the last state and restore the terminal; only once."""
        screen, self._screen = self._screen, None
        if screen is None:
            return
        try:
            screen.close(self.watch, trio.current_time())
        except Exception:
            logger.exception("the live view failed to draw its final state")
