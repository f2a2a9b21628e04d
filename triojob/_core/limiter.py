"""A limiter that serves in the order of numbers, for groups and sessions."""

from __future__ import annotations

import heapq
import math

import trio

_STALE_ENTRIES = 16
"""The heap keeps numbers that have left, until it has twice as many entries as there are waiters,
plus this many."""
_FREE_PLACES = 64
"""With this many free places and no waiters, `acquire_nowait` skips the line: all get a place."""


class OrderedLimiter:
    """Lets so many run at once, those with the lowest numbers first.

    A limiter that tasks wait for would serve them in the order in which Trio happens to run them.

    Args:
        at_once: How many; `math.inf` for no limit.
    """

    def __init__(self, at_once: float) -> None:
        self._at_once = at_once
        self._waiting: dict[int, trio.Event | None] = {}
        """Those that wait, each with what wakes it; None before it waits."""
        self._line: list[int] = []
        """A heap of the numbers that wait, and of some that have left."""
        self._holders: set[int] = set()

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiting)

    @property
    def idle(self) -> bool:
        """Whether nobody holds it or waits for it."""
        return not (self._waiting or self._holders)

    @trio.lowlevel.enable_ki_protection
    def resize(self, at_once: float) -> None:
        """Let so many run at once from now on; those that run already go on."""
        if at_once != self._at_once:
            self._at_once = at_once
            self._admit()

    @trio.lowlevel.enable_ki_protection
    def acquire_nowait(self, number: int) -> bool:
        """Acquire it if nobody waits and many more may run.

        Returns:
            Whether ``number`` holds it; if not, nothing has changed.
        """
        if self._at_once == math.inf:
            return True
        if self._waiting or self._at_once - len(self._holders) < _FREE_PLACES:
            return False
        self._holders.add(number)
        return True

    @trio.lowlevel.enable_ki_protection
    async def acquire(self, number: int) -> None:
        """Wait to hold it, after those with lower numbers that come just now.

        Being cancelled leaves the line.
        """
        if self._at_once == math.inf:
            return
        self.enqueue(number)
        try:
            # Trio starts tasks in no order: let those that were started with this one line up too.
            await trio.lowlevel.checkpoint()
        except BaseException:
            self.release(number)
            raise
        await self.acquire_queued(number)

    @trio.lowlevel.enable_ki_protection
    def enqueue(self, number: int) -> None:
        """Line up, to wait by `acquire_queued`."""
        if self._at_once == math.inf:
            return
        self._waiting[number] = None
        heapq.heappush(self._line, number)

    @trio.lowlevel.enable_ki_protection
    async def acquire_queued(self, number: int) -> None:
        """Wait until ``number`` holds it, which has lined up.

        Being cancelled leaves the line.
        """
        self._admit()
        if number in self._waiting:
            event = self._waiting[number] = trio.Event()
            try:
                await event.wait()
            except BaseException:
                self.release(number)
                raise
            # Let the one that held it be seen to have ended first.
            await trio.lowlevel.cancel_shielded_checkpoint()

    @trio.lowlevel.enable_ki_protection
    def release(self, number: int) -> None:
        """Leave the line, or let the next one have it."""
        if number in self._waiting:
            del self._waiting[number]
            # Of those that have left, the heap forgets all when they are the most of it.
            if len(self._line) > 2 * len(self._waiting) + _STALE_ENTRIES:
                self._line = sorted(self._waiting)
        elif number in self._holders:
            self._holders.discard(number)
            self._admit()

    def _admit(self) -> None:
        while len(self._holders) < self._at_once and self._line:
            number = heapq.heappop(self._line)
            if number in self._waiting:
                self._holders.add(number)
                event = self._waiting.pop(number)
                if event is not None:
                    event.set()
