"""The calls of a `map` whose results the consumer has not received yet."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

import trio
from outcome import Error

from .._core.job import Job, record_of


@dataclass(eq=False)
class Entry:
    """An item of the input, and its job."""

    item: Any
    job: Job[Any]


class ResultQueue:
    """The calls that run, and the results that wait for the consumer.

    Args:
        limit: How many items can be ahead of the results that the consumer has received.
        ordered: Whether results come in the order of the items; otherwise as the calls end.
        fail_fast: Whether a failure ends the results: the calls after it are cancelled.
    """

    def __init__(self, *, limit: int, ordered: bool, fail_fast: bool) -> None:
        self.room: trio.Semaphore = trio.Semaphore(limit)
        self.errors: list[Exception] = []
        """The exception of an iterable, until the consumer receives it; at most one."""
        self.taken: int = 0
        """How many results the consumer has received."""
        self._ordered = ordered
        self._fail_fast = fail_fast
        self._entries: deque[Entry] = deque()
        """The entries for the consumer, in order: all started ones, or the finished ones."""
        self._running: dict[Entry, None] = {}
        """The entries whose jobs have not ended, in the order of their start."""
        self._dropped: list[Entry] = []
        """The entries after a failure that ends the results."""
        self._complete = False
        self._news = trio.lowlevel.ParkingLot()

    def add(self, entry: Entry) -> None:
        """Add a call that has just started."""
        self._running[entry] = None
        if self._ordered:
            self._entries.append(entry)

    def complete(self) -> None:
        """Record that no more calls will be added."""
        self._complete = True
        self._news.unpark_all()

    def settle(self, entry: Entry) -> bool:
        """Record the end of a job; return whether its failure ends the results."""
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
        """The finished job whose result comes next; None if there is none yet."""
        ready = bool(self._entries) and self._entries[0].job.done
        return self._entries[0].job if ready else None

    @property
    def exhausted(self) -> bool:
        """Whether there are no more results."""
        return self._complete and not self._entries and not self._running

    def take(self) -> Entry:
        """Remove the first entry, which makes room for another call."""
        entry = self._entries.popleft()
        self.room.release()
        self.taken += 1
        return entry

    async def wait(self) -> None:
        """Wait until something has changed."""
        await self._news.park()

    def discard(self, reason: str) -> None:
        """Cancel the jobs that run, and mark all remaining failures as retrieved."""
        for entry in tuple(self._running):
            entry.job.cancel(reason)
        for entry in (*self._entries, *self._dropped):
            if entry.job.done:
                record_of(entry.job).retrieve()
        self.errors.clear()

    def __str__(self) -> str:
        ready = sum(entry.job.done for entry in self._entries)
        return f"{len(self._running)} running, {ready} ready, {self.taken} taken"
