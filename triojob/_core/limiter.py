"""Turns: so many at once, in the order of their numbers; the limits of groups and of sessions."""

from __future__ import annotations

import heapq
import math

import trio

_LITTLE = 16
"""So many that have left may stay in a line, however short it is."""
_PLENTY = 64
"""Where so many more may run, the order in which they come makes no difference."""


class Turns:
    """Lets so many run at once, those with the lowest numbers first.

    A limiter that tasks wait for would serve them in the order in which Trio happens to run them.

    Args:
        at_once: How many; `math.inf` for no limit.
    """

    def __init__(self, at_once: float) -> None:
        self._at_once = at_once
        self._waiting: dict[int, trio.Event | None] = {}
        """Those that wait, each with what wakes it: None before it is its turn to wait."""
        self._line: list[int] = []
        """A heap of the numbers that wait, and of some that have left."""
        self._having: set[int] = set()

    @property
    def waiting(self) -> int:
        """How many wait for their turn."""
        return len(self._waiting)

    @property
    def idle(self) -> bool:
        """Whether nobody has a turn or waits for one."""
        return not (self._waiting or self._having)

    @trio.lowlevel.enable_ki_protection
    def resize(self, at_once: float) -> None:
        """Let so many run at once from now on; those that run already go on."""
        if at_once != self._at_once:
            self._at_once = at_once
            self._admit()

    @trio.lowlevel.enable_ki_protection
    def take_now(self, number: int) -> bool:
        """Take the turn if nobody waits and so many may run yet that none need line up.

        Returns:
            Whether it has the turn; if not, nothing has changed.
        """
        if self._at_once == math.inf:
            return True
        if self._waiting or self._at_once - len(self._having) < _PLENTY:
            return False
        self._having.add(number)
        return True

    @trio.lowlevel.enable_ki_protection
    async def take(self, number: int) -> None:
        """Line up and wait for the turn, after those with lower numbers that come just now.

        If that is cancelled, it has left the line.
        """
        if self._at_once == math.inf:
            return
        self.line_up(number)
        try:
            # Trio starts tasks in no order: let those that were started with this one line up too.
            await trio.lowlevel.checkpoint()
        except BaseException:
            self.end(number)
            raise
        await self.turn_of(number)

    @trio.lowlevel.enable_ki_protection
    def line_up(self, number: int) -> None:
        """Take a place in the line."""
        if self._at_once == math.inf:
            return
        self._waiting[number] = None
        heapq.heappush(self._line, number)

    @trio.lowlevel.enable_ki_protection
    async def turn_of(self, number: int) -> None:
        """Wait for the turn of ``number``, which has lined up.

        If that is cancelled, it has left the line.
        """
        self._admit()
        if number in self._waiting:
            event = self._waiting[number] = trio.Event()
            try:
                await event.wait()
            except BaseException:
                self.end(number)
                raise
            # Let the one whose turn it was be seen to have ended first.
            await trio.lowlevel.cancel_shielded_checkpoint()

    @trio.lowlevel.enable_ki_protection
    def end(self, number: int) -> None:
        """Leave the line, or end the turn: then it's the next one's."""
        if number in self._waiting:
            del self._waiting[number]
            # Of those that have left, the heap forgets all when they are the most of it.
            if len(self._line) > 2 * len(self._waiting) + _LITTLE:
                self._line = sorted(self._waiting)
        elif number in self._having:
            self._having.discard(number)
            self._admit()

    def _admit(self) -> None:
        while len(self._having) < self._at_once and self._line:
            number = heapq.heappop(self._line)
            if number in self._waiting:
                self._having.add(number)
                event = self._waiting.pop(number)
                if event is not None:
                    event.set()
