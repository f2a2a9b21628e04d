"""A limiter that serves waiters in the order of their numbers, for groups and sessions."""

from __future__ import annotations

import heapq
import math

import trio

_STALE_ENTRIES = 16
"""The heap keeps the numbers of former waiters until it has more than twice as many entries as
there are waiters, plus this number."""
_FREE_PLACES = 64
"""With at least this many free tokens and no waiters, `acquire_nowait` skips the queue."""


class OrderedLimiter:
    """Limits how many tasks run at once; the lowest numbers acquire it first.

    A limiter on which tasks wait would serve them in the order in which Trio happens to run them.

    Args:
        at_once: How many holders at once; `math.inf` for no limit.
    """

    def __init__(self, at_once: float) -> None:
        self._at_once = at_once
        self._waiting: dict[int, trio.Event | None] = {}
        """The waiters, each with the event that wakes it; None until it waits."""
        self._line: list[int] = []
        """A heap of the numbers of the waiters, and of some former waiters."""
        self._holders: set[int] = set()

    @property
    def waiting(self) -> int:
        """The number of waiters."""
        return len(self._waiting)

    @property
    def idle(self) -> bool:
        """Whether it has neither holders nor waiters."""
        return not (self._waiting or self._holders)

    @trio.lowlevel.enable_ki_protection
    def resize(self, at_once: float) -> None:
        """Change the limit; current holders keep running."""
        self._at_once = at_once
        self._admit()

    @trio.lowlevel.enable_ki_protection
    def acquire_nowait(self, number: int) -> bool:
        """Acquire it if there are no waiters and enough free tokens.

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
        """Wait to acquire it, after waiters with lower numbers that arrive in the same step.

        Cancelling the wait removes the waiter.
        """
        if self._at_once == math.inf:
            return
        self.enqueue(number)
        try:
            # Trio starts tasks in any order: let tasks that started together enqueue first.
            await trio.lowlevel.checkpoint()
        except BaseException:
            self.release(number)
            raise
        await self.acquire_queued(number)

    @trio.lowlevel.enable_ki_protection
    def enqueue(self, number: int) -> None:
        """Add a waiter, which must then call `acquire_queued`."""
        if self._at_once == math.inf:
            return
        self._waiting[number] = None
        heapq.heappush(self._line, number)

    @trio.lowlevel.enable_ki_protection
    async def acquire_queued(self, number: int) -> None:
        """Wait until ``number``, which is enqueued, holds it.

        Cancelling the wait removes the waiter.
        """
        self._admit()
        if number in self._waiting:
            event = self._waiting[number] = trio.Event()
            try:
                await event.wait()
            except BaseException:
                self.release(number)
                raise
            # Let others observe the end of the previous holder first.
            await trio.lowlevel.cancel_shielded_checkpoint()

    @trio.lowlevel.enable_ki_protection
    def release(self, number: int) -> None:
        """Remove the waiter, or let the next one acquire it."""
        if number in self._waiting:
            del self._waiting[number]
            # Rebuild the heap when most of its entries are former waiters.
            if len(self._line) > 2 * len(self._waiting) + _STALE_ENTRIES:
                self._line = sorted(self._waiting)
        else:
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
