"""Admits as many calls of one function as its window allows, lowest ids first."""

from __future__ import annotations

from collections.abc import Callable
from typing import final

import trio

from ..._core.limiter import OrderedLimiter
from .window import Window, WindowStatistics


@final
class CallLimiter:
    """The calls of one function that wait on this side, and those in flight.

    Args:
        name: What people call the endpoint.
        fixed: How many may be in flight, whatever the server says; None for what it says.
    """

    def __init__(self, name: str, fixed: int | None) -> None:
        self.name: str = name
        self._window = Window(fixed)
        self._line = OrderedLimiter(self._window.size)

    @property
    def idle(self) -> bool:
        """Whether no call waits or is in flight."""
        return not (self._window.in_flight or self._line.waiting)

    @property
    def in_flight(self) -> int:
        """How many calls were sent and have not ended."""
        return self._window.in_flight

    def statistics(self) -> WindowStatistics:
        """Return the numbers of now."""
        return self._window.statistics(self._line.waiting)

    def _change(self, change: Callable[[int], None]) -> None:
        """Tell the window something, and let in what it then has room for."""
        change(self._line.waiting)
        self._line.resize(self._window.size)


@final
class Slot:
    """One call's place among those in flight.

    Args:
        call: Its number.
    """

    __slots__ = ("_call", "_held", "_limiter")

    def __init__(self, limiter: CallLimiter, call: int) -> None:
        self._limiter = limiter
        self._call = call
        self._held = False

    @property
    def held(self) -> bool:
        """Whether the call has its place now."""
        return self._held

    async def acquire(self) -> None:
        """Wait for the place, or for it once more; the call with the lowest number is next.

        Being cancelled leaves the line.
        """
        line, window = self._limiter._line, self._limiter._window
        # It waits only if there is no room, and then it wants some.
        self._limiter._change(lambda waiting: window.demanded(waiting + 1))
        await line.acquire(self._call)
        window.sent(self._call)
        self._held = True

    def queued(self) -> None:
        """Note that the server has told the call its rank."""
        self._limiter._window.queued(self._call)

    def started(self) -> None:
        """Note that the server runs the call."""
        window = self._limiter._window
        self._limiter._change(lambda waiting: window.started(self._call, waiting))

    def note_refusal(self) -> None:
        """Note that the server, or a proxy before it, refused the call or its stream."""
        window = self._limiter._window
        self._limiter._change(lambda _waiting: window.note_refusal(self._call))

    def withdraw(self) -> None:
        """Give the place back, as the server would not have the call."""
        window = self._limiter._window
        self._give_back(lambda _waiting: window.withdrawn(self._call))

    def release(self) -> None:
        """Note that the call is no longer in flight; nothing happens if it is not."""
        window, now = self._limiter._window, trio.current_time()
        self._give_back(lambda waiting: window.ended(self._call, waiting, now))

    def _give_back(self, change: Callable[[int], None]) -> None:
        if self._held:
            self._held = False
            self._limiter._change(change)
            self._limiter._line.release(self._call)
