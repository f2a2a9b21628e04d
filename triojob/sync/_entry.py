"""Access to a Trio run for other threads, and cleanup if that run ends first."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol, final

import trio

from .._core.group import JobGroup
from .._exceptions import GroupClosed
from ._atomic import WeakBag

CLOSED = "the portal has been closed"


class Unfinished(Protocol):
    """A job or call that must end if the run that would have finished it ends first."""

    def orphan(self, error: GroupClosed, *, forked: bool) -> None:
        """End with ``error``, unless it has ended.

        Args:
            forked: Whether this is a forked child, in which the waiting threads don't exist.
        """


@final
class RunEntry:
    """Access to one Trio run, for any thread; no method waits for that run."""

    __slots__ = ("__weakref__", "_closed_reason", "nursery", "token", "unfinished")

    def __init__(self, token: trio.lowlevel.TrioToken | None = None) -> None:
        self.token: trio.lowlevel.TrioToken | None = token
        """None until the run is open."""
        self.nursery: trio.Nursery | None = None
        """For tasks that live as long as this entry; None until `serve` has opened it."""
        self.unfinished: WeakBag[Unfinished] = WeakBag()
        self._closed_reason: str | None = None
        """Why the entry is closed; None while it is open."""
        _entries.add(self)

    @property
    def closed(self) -> bool:
        """Whether the Trio run has ended, or belongs to another process."""
        return self._closed_reason is not None

    def post(self, fn: Callable[[], object]) -> None:
        """Call ``fn()`` in the Trio thread, soon, in the order of the posts.

        Raises:
            GroupClosed: The run has ended.
        """
        if self._closed_reason is None and self.token is not None:
            try:
                self.token.run_sync_soon(fn)
            except trio.RunFinishedError:
                pass
            except BaseException:
                # An interrupt can come between the queueing and the waking of Trio.
                with suppress(trio.RunFinishedError):
                    self.token.run_sync_soon(_do_nothing, idempotent=True)
                raise
            else:
                return
        raise GroupClosed(self._closed_reason or CLOSED)

    def hold(self, thing: Unfinished) -> None:
        """End ``thing`` if the run ends before `release`."""
        self.unfinished.add(thing)
        if self._closed_reason is not None:
            self._orphan(thing, forked=False)  # the run has just ended

    def release(self, thing: Unfinished) -> None:
        """Undo `hold`, because ``thing`` has ended."""
        self.unfinished.discard(thing)

    def _orphan(self, thing: Unfinished, *, forked: bool) -> None:
        self.release(thing)
        thing.orphan(GroupClosed(self._closed_reason or CLOSED), forked=forked)

    def end(self, why: str = CLOSED, *, forked: bool = False) -> None:
        """Mark the run as ended, and end everything that waits for it."""
        self._closed_reason = why
        for thing in self.unfinished:
            self._orphan(thing, forked=forked)

    async def serve(self, opened: Callable[[], object], closing: trio.Event) -> None:
        """Stay open until ``closing`` or a cancellation."""
        try:
            async with trio.open_nursery() as nursery:
                self.token = trio.lowlevel.current_trio_token()
                self.nursery = nursery
                opened()
                await closing.wait()
                nursery.cancel_scope.cancel(reason=CLOSED)
        finally:
            # Functions posted before this find the nursery closed, and report it.
            self._closed_reason = CLOSED


def _do_nothing() -> None:
    pass


_entries: WeakBag[RunEntry] = WeakBag()
_of_groups: weakref.WeakKeyDictionary[JobGroup, RunEntry] = weakref.WeakKeyDictionary()


def entry_of_group(group: JobGroup) -> RunEntry:
    """Return an entry into the run in which ``group`` lives; the group itself ends its jobs.

    Raises:
        GroupClosed: The group has not been entered.
    """
    entry = _of_groups.get(group)
    if entry is None:
        # If several threads come here at once, one of them wins.
        entry = _of_groups.setdefault(group, RunEntry(group.trio_token))
    return entry


def end_entries_of_parent() -> None:
    """In a forked child, end everything that waits for a run of the parent process."""
    for entry in _entries:
        entry.end(
            "this belongs to the parent process, where it keeps running; a forked process can't "
            "use the jobs and portals of its parent",
            forked=True,
        )
