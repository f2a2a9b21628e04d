"""`triojob.live`: the task that draws, and the life of the view."""

from __future__ import annotations

import logging
import math
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any

import trio

from .._errors import MissingExtra
from .._group import JobGroup
from .._job import Job
from ..gradio._bare import BareBody
from ..gradio._client import Client, ClientSession
from ._watch import Watch

if TYPE_CHECKING:
    from rich.console import Console

    from ._screens import Screen

logger = logging.getLogger("triojob")


def live(
    *targets: JobGroup | Client | ClientSession,
    total: float | None = None,
    title: Callable[[Job[Any]], str | None] | None = None,
    console: Console | None = None,
) -> AbstractAsyncContextManager[None]:
    """Show the jobs of groups while they run: ``async with triojob.live(group):``.

    A terminal has a line for each job that runs or has failed, and the totals; what is printed
    meanwhile goes above it, and the last state stays.  Anything else gets plain lines from time to
    time, and a notebook an output that is replaced.  All of it goes to stderr, as results may go
    to stdout.

    Leaving the block waits until no job of the targets is left, and shows that; if the body
    raises, nothing is waited for, and the exception passes through bare.
    The view is a task of Trio that sleeps until something changes, and draws ten times a second
    at most.  If it can't draw, that is logged and the jobs go on.
    To be shown a failure is not to see it: the group still raises what nobody has asked for.

    Args:
        targets: Whose jobs to show, those submitted before too: groups; sessions; clients, with
            all their sessions, but not groups of your own that call the client.
        total: How many jobs there will be in all; then there is a remaining time for the whole.
        title: Names a job, or returns None for its number and what it calls.  It is called at
            each drawing, so a dict that is filled after `JobGroup.submit` will do: its ``get``.
        console: Your own ``rich.console.Console``, to say where and how.

    Raises:
        MissingExtra: rich is not installed: ``pip install "triojob[cli]"``.
        TypeError: There is no target, or one is something else.
        ValueError: ``total`` is negative or not a number.
        RuntimeError: On entering, in a terminal: another live view is open.
    """
    if not targets or not all(map(_has_jobs, targets)):
        raise TypeError("live takes groups, clients or sessions: triojob.live(group)")
    if total is not None and not 0 <= total < math.inf:
        raise ValueError(f"total must be a number from 0 up, or None, not {total!r}")
    try:
        from ._screens import choose_screen
    except ModuleNotFoundError as exc:
        if (exc.name or "").partition(".")[0] != "rich":
            raise
        raise MissingExtra(
            "the live view needs rich, which is not installed; "
            'get it with: pip install "triojob[cli]"'
        ) from None
    return _live(targets, total, title, lambda: choose_screen(console))


@asynccontextmanager
# Ctrl-C strikes the body and the jobs, but not half-way through a drawing.
@trio.lowlevel.enable_ki_protection
async def _live(
    targets: tuple[JobGroup | Client | ClientSession, ...],
    total: float | None,
    title: Callable[[Job[Any]], str | None] | None,
    choose_screen: Callable[[], Screen],
) -> AsyncGenerator[None, None]:
    view = _View(choose_screen(), total, title)
    watch = view.watch
    clients = [target for target in targets if isinstance(target, Client)]
    with BareBody(nurseries=1) as body:
        view.open()
        try:
            for group in dict.fromkeys(group for each in targets for group in _groups_of(each)):
                watch.adopt(group)
            for client in clients:
                client._session_watchers.append(watch.adopt)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(view.run, name="<live view>")
                with body.watched():
                    yield
                    await watch.jobs_ended()
                nursery.cancel_scope.cancel(reason="the jobs that a live view shows have ended")
        finally:
            for client in clients:
                client._session_watchers.remove(watch.adopt)
            watch.leave()
            view.close()


def _has_jobs(target: object) -> bool:
    return isinstance(target, (JobGroup, Client, ClientSession))


def _groups_of(target: JobGroup | Client | ClientSession) -> tuple[JobGroup, ...]:
    return (target,) if isinstance(target, JobGroup) else target._groups()


class _View:
    """Draws when something has changed, and not too often."""

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
        """Draw until cancelled, or until that fails."""
        while self._screen is not None:
            with trio.move_on_after(self._screen.tick if self.watch.alive else math.inf):
                await self._news.wait()
            self._news = trio.Event()
            try:
                self._screen.draw(self.watch, trio.current_time())
            except Exception:
                logger.exception("the live view can't be drawn and ends; its jobs go on")
                self.close()
                return
            await trio.sleep(self._screen.pause)

    def close(self) -> None:
        """Draw the last state and give the terminal back; once."""
        screen, self._screen = self._screen, None
        if screen is None:
            return
        try:
            screen.close(self.watch, trio.current_time())
        except Exception:
            logger.exception("the live view could not draw its end")
