"""The calls of a `map` whose results nobody has taken yet."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

import trio
from outcome import Error

from .._core.job import Job, record_of


@dataclass(eq=False)
class Entry:
    """An item that was taken, and the job that it became."""

    item: Any
    job: Job[Any]


class ResultQueue:
    """The calls that run, and the results that wait for the consumer.

    Args:
        limit: How many items may have been taken whose results have not.
        ordered: Whether results come in the order of the items; otherwise as the calls end.
        fail_fast: Whether a failure is the last that comes: the calls after it are cancelled.
    """

    def __init__(self, *, limit: int, ordered: bool, fail_fast: bool) -> None:
        self.room: trio.Semaphore = trio.Semaphore(limit)
        self.errors: list[Exception] = []
        """What an iterable has raised, until the consumer gets it; one at most."""
        self.taken: int = 0
        """How many results the consumer has taken."""
        self._ordered = ordered
        self._fail_fast = fail_fast
        self._entries: deque[Entry] = deque()
        """What the consumer gets, in order: all that were started, or those that have ended."""
        self._running: dict[Entry, None] = {}
        """Those whose jobs have not ended, in the order of their start."""
        self._dropped: list[Entry] = []
        """Those after a failure that is the last to come."""
        self._complete = False
        self._news = trio.lowlevel.ParkingLot()

    def add(self, entry: Entry) -> None:
        """Take a call that has just started."""
        self._running[entry] = None
        if self._ordered:
            self._entries.append(entry)

    def complete(self) -> None:
        """Note that no call will be added any more."""
        self._complete = True
        self._news.unpark_all()

    def settle(self, entry: Entry) -> bool:
        """Note that a job has ended; return whether its failure is the last that comes."""
        del self._running[entry]
        if not self._ordered:
            self._entries.append(entry)
        failed = isinstance(record_of(entry.job).outcome, Error)
        is_last = self._fail_fast and failed and entry in self._entries
        if is_last:
            self._drop_after(entry)
        self._news.unpark_all()
        return is_last

    def _drop_after(self, last: Entry) -> None:
        while self._entries[-1] is not last:
            self._dropped.append(self._entries.pop())
        late = self._dropped if self._ordered else self._running
        for entry in tuple(late):
            entry.job.cancel("another call of map failed")

    @property
    def first(self) -> Job[Any] | None:
        """The ended job whose result comes next; None while there is none."""
        ready = bool(self._entries) and self._entries[0].job.done
        return self._entries[0].job if ready else None

    @property
    def exhausted(self) -> bool:
        """Whether nothing comes any more."""
        return self._complete and not self._entries and not self._running

    def take(self) -> Entry:
        """Remove the first one, which makes room for another call."""
        entry = self._entries.popleft()
        self.room.release()
        self.taken += 1
        return entry

    async def wait(self) -> None:
        """Wait until something has changed."""
        await self._news.park()

    def discard(self, reason: str) -> None:
        """Cancel what runs, and let nobody raise what was not taken."""
        for entry in tuple(self._running):
            entry.job.cancel(reason)
        for entry in (*self._entries, *self._dropped):
            if entry.job.done:
                record_of(entry.job).retrieve()
        self.errors.clear()

    def __str__(self) -> str:
        ready = sum(entry.job.done for entry in self._entries)
        return f"{len(self._running)} running, {ready} ready, {self.taken} taken"
