"""Portals: access to a Trio run for other threads.

`start_portal` starts a thread with a Trio run in it; `open_portal` opens one into the run that it
is called in.  Clients without a portal share one, which is started on first use.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, TypeVar, final

import trio
from outcome import Error, Outcome, acapture

from .._core.lifetime import NurseryUnwrapper
from .._core.runs import require_task
from .._exceptions import GroupClosed, raise_first, split
from ._atomic import Once
from ._entry import CLOSED, RunEntry
from ._waiting import Notifier, refuse_in_trio

T = TypeVar("T")


@final
class Portal:
    """Access to a Trio run for other threads; `start_portal` and `open_portal` make it."""

    def __init__(self) -> None:
        self._entry = RunEntry()

    @property
    def closed(self) -> bool:
        """Whether the Trio run has ended, or belongs to another process."""
        return self._entry.closed

    def call(self, fn: Callable[..., Awaitable[T]], /, *args: Any) -> T:
        """Run ``await fn(*args)`` as a task of the Trio run; return its value.

        Interrupting the wait, by Ctrl-C or by a cancellation, cancels the task.

        Raises:
            GroupClosed: The portal has been closed.
            RuntimeError: This is the thread that Trio runs in.
            Exception: The exception of ``fn``.
        """
        refuse_in_trio("Portal.call()", "await the function")
        value: T = self._outcome_of(_PortalCall(fn, args)).unwrap()
        return value

    def _outcome_of(self, task: _PortalCall) -> Outcome[Any]:
        entry = self._entry
        try:
            entry.hold(task)
            entry.post(lambda: task.start(entry.nursery))
            task.ended.wait_until(lambda: task.outcome is not None)
        except BaseException:
            with suppress(GroupClosed):  # then the task has ended
                entry.post(task.cancel)
            raise
        finally:
            entry.release(task)
        assert task.outcome is not None
        return task.outcome

    def __repr__(self) -> str:
        return f"<Portal: {'closed' if self.closed else 'open'}>"


def entry_of(portal: Portal) -> RunEntry:
    """Return the entry by which a portal accesses its Trio run."""
    return portal._entry


def nursery_of(portal: Portal) -> trio.Nursery:
    """Return the nursery of an open portal, for tasks that live as long as the portal."""
    nursery = portal._entry.nursery
    assert nursery is not None
    return nursery


@final
class _PortalCall:
    """A call of an async function for a thread that waits."""

    def __init__(self, fn: Callable[..., Awaitable[Any]], args: tuple[Any, ...]) -> None:
        self._fn = fn
        self._args = args
        self._scope = trio.CancelScope()
        self.ended = Notifier()
        self.outcome: Outcome[Any] | None = None

    def start(self, nursery: trio.Nursery | None) -> None:
        assert nursery is not None
        try:
            nursery.start_soon(self._run, name=f"<call of {self._fn!r} from a thread>")
        except RuntimeError:
            self.orphan(GroupClosed(CLOSED), forked=False)

    def cancel(self) -> None:
        self._scope.cancel(reason="the waiting thread was interrupted")

    async def _run(self) -> None:
        result: Outcome[Any] | None = None
        try:
            with self._scope:
                result = await acapture(self._fn, *self._args)
                if isinstance(result, Error):
                    stops, failures = split(result.error, trio.Cancelled)
                    result = Error(failures.pop()) if failures else None
                    raise_first(stops)
        finally:
            self.outcome = result or Error(GroupClosed(CLOSED))
            self.ended.notify_all()

    def orphan(self, error: GroupClosed, *, forked: bool) -> None:
        if self.outcome is None:
            self.outcome = Error(error)
            if not forked:  # in a forked child, the waiting thread does not exist
                self.ended.notify_all()


@final
class _PortalThread:
    """A thread with a Trio run and a portal into it."""

    def __init__(self) -> None:
        self.portal = Portal()
        self._entry = entry_of(self.portal)
        self._runner: Once[threading.Thread | _PortalThread] = Once()
        """The thread; or this object, if it was closed before a thread was started."""
        self._opened = False
        self._open_notifier = Notifier()
        self._closing = trio.Event()
        self._close_called = False
        self.successor: Once[_PortalThread] = Once()
        """The thread that replaces this one when its run has ended."""

    def start(self) -> None:
        """Start the thread, and return when its run is open; safe to call from any thread.

        Each call before the run is open starts a thread, the first of which runs Trio: so no caller
        depends on another one, which could be interrupted.
        """
        if not self._opened:
            # A daemon, so that it never keeps the interpreter alive: the starter must end it.
            threading.Thread(target=self._main, name="triojob", daemon=True).start()
            self._open_notifier.wait_until(lambda: self._opened)

    def _main(self) -> None:
        if not self._runner.set(threading.current_thread()):
            return
        why = CLOSED
        try:
            trio.run(self._entry.serve, self._open, self._closing)
        except BaseException as exc:
            why = f"the Trio run of the portal failed: {exc!r}"
            raise
        finally:
            self._entry.end(why)
            if not self._opened:
                self._open()

    def _open(self) -> None:
        if self._close_called:
            self._closing.set()
        self._opened = True
        self._open_notifier.notify_all()

    def close_soon(self) -> None:
        """Request that the run ends; do not wait for it."""
        self._close_called = True  # for a run that is about to open
        with suppress(GroupClosed):
            self._entry.post(self._closing.set)

    def close(self) -> None:
        """End the run, and wait until it has sent its cancel requests to the servers."""
        self.close_soon()
        if self._runner.set(self):
            self._entry.end()
            self._open()
        runner = self._runner.get()
        if isinstance(runner, threading.Thread) and runner is not threading.current_thread():
            runner.join()


class _Block:
    """An owner whose lifetime is the ``with`` block of a portal."""


@contextmanager
def start_portal() -> Generator[Portal, None, None]:
    """Start a thread with a Trio run in it, for the duration of the ``with`` block.

    Leaving the block cancels the calls that still run, on the server too, and ends the thread.
    """
    refuse_in_trio("start_portal()", "use open_portal()")
    thread = _PortalThread()
    owner = _Block()
    # For an interrupt just before `close`.
    dropped = weakref.finalize(owner, thread.close_soon)
    dropped.atexit = False
    try:
        thread.start()
        yield thread.portal
    finally:
        thread.close()
        dropped.detach()


@asynccontextmanager
async def open_portal() -> AsyncGenerator[Portal, None]:
    """Open a portal into the Trio run of the caller, for the duration of an ``async with`` block.

    Threads of `trio.to_thread.run_sync` and other threads can use it inside the block.
    Leaving the block cancels the calls that still run for them, on the server too; an exception of
    the body propagates unwrapped.
    """
    require_task("open_portal()")
    portal = Portal()
    entry = entry_of(portal)
    closing = trio.Event()
    try:
        with NurseryUnwrapper(nurseries=1) as body:
            async with trio.open_nursery() as nursery:
                opened = trio.Event()
                nursery.start_soon(entry.serve, opened.set, closing, name="<portal>")
                await opened.wait()
                try:
                    with body.watched():
                        yield portal
                finally:
                    closing.set()
    finally:
        entry.end()


# --- The portal that clients without a portal share ---


class _Shared:
    thread = _PortalThread()
    """It is not started before the first client is made."""


def shared_portal() -> Portal:
    """Return the portal of this process, started on first use and closed at exit."""
    thread = _Shared.thread
    while thread.portal.closed:
        new = _PortalThread()
        thread = new if thread.successor.set(new) else thread.successor.get() or new
    _Shared.thread = thread  # or an older one, if another thread was faster; it has a successor
    thread.start()
    return thread.portal


def close_shared_portal() -> None:
    """Close the shared portal, and wait until it has sent its cancel requests to the servers."""
    thread: _PortalThread | None = _Shared.thread
    while thread is not None:
        thread.close()
        thread = thread.successor.get()


def forget_shared_portal() -> None:
    """Forget the shared portal, which belongs to the parent process."""
    _Shared.thread = _PortalThread()
