"""Portals: the way of other threads into a Trio run.

`start_portal` starts a thread with a Trio run in it; `open_portal` opens one into the run that it
is called in.  Clients that are given neither share one that is started on first use.
"""

from __future__ import annotations

import atexit
import os
import threading
import weakref
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, Protocol, TypeVar, final

import trio
from outcome import Error, Outcome, acapture

from .._call import split_cancelled
from .._errors import GroupClosed
from .._group import JobGroup
from .._runs import require_task
from ..gradio._bare import BareBody
from ._waiting import Bell, daemons_asleep, refuse_in_trio

T = TypeVar("T")

_CLOSED = "the portal has been closed"


class Unfinished(Protocol):
    """What is to be told if the run that would have finished it goes first."""

    def orphan(self, error: GroupClosed, *, forked: bool) -> None:
        """End with ``error``, unless it has ended.

        Args:
            forked: This is a forked child: the locks that other threads held stay locked for ever.
        """


@final
class Portal:
    """A way into a Trio run for threads outside of it; `start_portal` and `open_portal` make it."""

    def __init__(self) -> None:
        self._token: trio.lowlevel.TrioToken | None = None
        self._nursery: trio.Nursery | None = None
        self._unfinished: dict[Unfinished, None] = {}
        self._over: str | None = None
        """Why nothing can be done here any more."""
        _portals.add(self)

    @property
    def closed(self) -> bool:
        """Whether the run on the other side has ended, or is another process's."""
        return self._over is not None

    def call(self, fn: Callable[..., Awaitable[T]], /, *args: Any) -> T:
        """Run ``await fn(*args)`` as a task of the Trio run; return what it returns.

        If the wait for it is cut short, by Ctrl-C or by a cancellation, the task is cancelled.

        Raises:
            GroupClosed: The portal has been closed.
            RuntimeError: This is the thread that Trio runs in.
            Exception: What ``fn`` raises.
        """
        refuse_in_trio("Portal.call()", "await the function")
        result: Outcome[T] = self._outcome_of(_Task(fn, args))
        try:
            return result.unwrap()
        finally:
            # The traceback of what is raised holds this frame, which must not hold that.
            del result

    def _outcome_of(self, task: _Task) -> Outcome[Any]:
        self._hold(task)
        try:
            self._post(lambda: task.start(self._nursery))
            task.bell.wait_until(lambda: task.outcome is not None)
        except BaseException:
            with suppress(GroupClosed):  # then the task has ended
                self._post(task.cancel)
            raise
        finally:
            self._release(task)
        assert task.outcome is not None
        return task.outcome

    # For the clients and jobs of this package.

    def _post(self, fn: Callable[[], object]) -> None:
        """Have ``fn()`` called in the Trio thread, soon, in the order of the posts.

        Raises:
            GroupClosed: The run has ended.
        """
        if self._over is None and self._token is not None:
            try:
                self._token.run_sync_soon(fn)
            except trio.RunFinishedError:
                pass
            else:
                return
        raise GroupClosed(self._over or _CLOSED)

    def _hold(self, thing: Unfinished) -> None:
        """See to it that ``thing`` is told if the run ends before `_release`."""
        self._unfinished[thing] = None
        if self._over is not None and self._unfinished.pop(thing, thing) is None:
            thing.orphan(GroupClosed(self._over), forked=False)  # it ended just before

    def _release(self, thing: Unfinished) -> None:
        self._unfinished.pop(thing, None)

    def _end(self, why: str, *, forked: bool = False) -> None:
        """Note that the run is gone, and tell what waits for it."""
        self._over = why
        # Other threads take things out meanwhile, so that it may be empty at any moment.
        with suppress(KeyError):
            while True:
                thing, _ = self._unfinished.popitem()
                thing.orphan(GroupClosed(why), forked=forked)

    async def _serve(self, opened: Callable[[], object], closing: trio.Event) -> None:
        """Be open until ``closing`` or a cancellation."""
        try:
            async with trio.open_nursery() as nursery:
                self._token = trio.lowlevel.current_trio_token()
                self._nursery = nursery
                opened()
                await closing.wait()
                nursery.cancel_scope.cancel(reason=_CLOSED)
        finally:
            # What was posted until now still finds the nursery closed, and says so.
            self._over = _CLOSED

    def __repr__(self) -> str:
        return f"<Portal: {'closed' if self.closed else 'open'}>"


_portals: weakref.WeakSet[Portal] = weakref.WeakSet()
_of_groups: weakref.WeakKeyDictionary[JobGroup, Portal] = weakref.WeakKeyDictionary()


def portal_of(group: JobGroup) -> Portal:
    """Return a portal into the run that ``group`` lives in; it is the group that ends its jobs.

    Raises:
        GroupClosed: The group has not been entered.
    """
    with _Shared.lock:
        portal = _of_groups.get(group)
        if portal is None:
            token = group.trio_token
            portal = _of_groups[group] = Portal()
            portal._token = token
        return portal


@final
class _Task:
    """A call of an async function for a thread that waits."""

    def __init__(self, fn: Callable[..., Awaitable[Any]], args: tuple[Any, ...]) -> None:
        self._fn = fn
        self._args = args
        self._scope = trio.CancelScope()
        self.bell = Bell()
        self.outcome: Outcome[Any] | None = None

    def start(self, nursery: trio.Nursery | None) -> None:
        assert nursery is not None
        try:
            nursery.start_soon(self._run, name=f"<call of {self._fn!r} from a thread>")
        except RuntimeError:
            self.orphan(GroupClosed(_CLOSED), forked=False)

    def cancel(self) -> None:
        self._scope.cancel(reason="the thread that waited has left")

    async def _run(self) -> None:
        result: Outcome[Any] | None = None
        try:
            with self._scope:
                result = await acapture(self._fn, *self._args)
                if isinstance(result, Error):
                    stop, failure = split_cancelled(result.error)
                    result = None if failure is None else Error(failure)
                    if stop is not None:
                        try:
                            raise stop
                        finally:
                            del stop, failure
                    del failure
        finally:
            self.outcome = result or Error(GroupClosed(_CLOSED))
            self.bell.ring()

    def orphan(self, error: GroupClosed, *, forked: bool) -> None:
        if self.outcome is None:
            self.outcome = Error(error)
            if not forked:  # else the thread that waits is not there any more
                self.bell.ring()


class _Thread:
    """A thread with a Trio run and a portal into it."""

    def __init__(self) -> None:
        self.portal = Portal()
        self._closing = trio.Event()
        self._opened = threading.Event()
        # A daemon, as it must never keep the interpreter alive: whoever starts it ends it.
        self._thread = threading.Thread(target=self._main, name="triojob", daemon=True)
        self._thread.start()
        try:
            self._opened.wait()
        except BaseException:
            self._opened.wait()  # that takes no time to speak of
            self.close()
            raise

    def _main(self) -> None:
        why = _CLOSED
        try:
            trio.run(self.portal._serve, self._opened.set, self._closing)
        except BaseException as exc:
            why = f"the Trio run of the portal broke: {exc!r}"
            raise
        finally:
            self._opened.set()
            self.portal._end(why)

    def close(self) -> None:
        """End the run, and wait until it has told the servers of what it cancelled."""
        with suppress(GroupClosed):
            self.portal._post(self._closing.set)
        if threading.current_thread() is not self._thread:
            self._thread.join()


@contextmanager
def start_portal() -> Generator[Portal, None, None]:
    """Start a thread with a Trio run in it, for as long as the ``with`` block.

    Leaving the block cancels what still runs there, on the server too, and ends the thread.
    """
    refuse_in_trio("start_portal()", "use open_portal()")
    thread = _Thread()
    try:
        yield thread.portal
    finally:
        thread.close()


@asynccontextmanager
async def open_portal() -> AsyncGenerator[Portal, None]:
    """Open a portal into the Trio run that this is called in, for an ``async with`` block.

    Threads that `trio.to_thread.run_sync` has started, or others, may use it inside the block.
    Leaving it cancels what still runs for them, on the server too; what the body raises passes
    through bare.
    """
    require_task("open_portal()")
    portal = Portal()
    closing = trio.Event()
    try:
        with BareBody(nurseries=1) as body:
            async with trio.open_nursery() as nursery:
                opened = trio.Event()
                nursery.start_soon(portal._serve, opened.set, closing, name="<portal>")
                await opened.wait()
                try:
                    with body.watched():
                        yield portal
                finally:
                    closing.set()
    finally:
        portal._end(_CLOSED)


# --- The one that clients share which are given none ---


_callers: weakref.WeakSet[threading.Thread] = weakref.WeakSet()
"""Threads that call what jobs have been given to be called at their ends."""


class _Shared:
    lock = threading.Lock()
    thread: _Thread | None = None
    last: list[Callable[[], object]] | None = None
    """What is to be called when the thread has ended, at exit; None before."""


def shared_portal() -> Portal:
    """Return the portal of this process, started on first use and closed at exit."""
    with _Shared.lock:
        if _Shared.thread is None or _Shared.thread.portal.closed:
            _Shared.thread = _Thread()
        return _Shared.thread.portal


def call_elsewhere(fn: Callable[[], object]) -> None:
    """Have ``fn()`` called in another thread than this one, which is one of Trio.

    Raises:
        RuntimeError: There can't be another thread any more.
    """
    last = _Shared.last
    if last is not None:
        last.append(fn)  # nobody waits for threads any more
    else:
        # No daemon, as the one that starts it is: what is under way at exit must come to its end.
        thread = threading.Thread(target=fn, name="triojob callbacks", daemon=False)
        thread.start()
        _callers.add(thread)


def _close_shared() -> None:
    thread = _Shared.thread
    if thread is None:
        return
    _Shared.last = []
    with daemons_asleep():
        thread.close()
    for caller in tuple(_callers):
        caller.join()  # it was started as Python had just stopped to wait for threads
    last, _Shared.last = _Shared.last, None
    for fn in last:
        fn()


def _forget_other_processes_threads() -> None:
    """In a forked child there is one thread, and nothing will ever come from the others."""
    _Shared.lock, _Shared.thread, _Shared.last = threading.Lock(), None, None
    _callers.clear()
    for portal in tuple(_portals):
        portal._end(
            "this was started in the process that this one was forked from, where it goes on; "
            "jobs and portals don't come along",
            forked=True,
        )


# After the threads that keep the interpreter alive have ended; they may be waiting for jobs.
atexit.register(_close_shared)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_other_processes_threads)
