"""Admits calls of one function up to the size of its window, lowest ids first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import final

import trio

from ..._core.latency import LatencyHistogram
from ..._core.limiter import OrderedLimiter
from ..._core.rate import RateMeter
from .window import Window, WindowStatistics


@final
class CallLimiter:
    """Limits the calls of one function that are in flight; the other calls wait.

    Args:
        name: The endpoint's name, as users know it.
        fixed: A constant limit of calls in flight; None for a limit that follows the server.
        completions: Counts the calls that end without having been cancelled.
    """

    def __init__(self, name: str, fixed: int | None, completions: RateMeter) -> None:
        self.name: str = name
        self.latency: LatencyHistogram = LatencyHistogram()
        """How long the calls that were not cancelled were in flight."""
        self._completions = completions
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
        """Return the current numbers."""
        counts = self._window.statistics(self._line.waiting)
        return replace(counts, latency=self.latency.statistics())

    def _change(self, change: Callable[[int], None]) -> None:
        """Apply a change to the window, and admit the calls that it then has room for."""
        change(self._line.waiting)
        self._line.resize(self._window.size)


@final
class Slot:
    """One call's slot among the calls in flight.

    Args:
        call: The call's number.
    """

    __slots__ = ("_call", "_held", "_limiter", "_since")

    def __init__(self, limiter: CallLimiter, call: int) -> None:
        self._limiter = limiter
        self._call = call
        self._held = False
        self._since = 0.0
        """When the call acquired it."""

    @property
    def held(self) -> bool:
        """Whether the call holds its slot now."""
        return self._held

    async def acquire(self) -> None:
        """Wait for the slot, the first time or again; the call with the lowest number is next.

        A cancelled call stops waiting.
        """
        line, window = self._limiter._line, self._limiter._window
        # The call waits only if there is no room; then it counts as demand.
        self._limiter._change(lambda waiting: window.demanded(waiting + 1))
        await line.acquire(self._call)
        window.sent(self._call)
        self._held, self._since = True, trio.current_time()

    def queued(self) -> None:
        """Note that the server has sent the call its rank."""
        self._limiter._window.queued(self._call)

    def started(self) -> None:
        """Note that the server runs the call."""
        window = self._limiter._window
        self._limiter._change(lambda waiting: window.started(self._call, waiting))

    def note_refusal(self) -> None:
        """Note that the server, or a proxy in front of it, refused the call or its stream."""
        window = self._limiter._window
        self._limiter._change(lambda _waiting: window.note_refusal(self._call))

    def withdraw(self) -> None:
        """Release the slot, because the server refused the call."""
        window = self._limiter._window
        self._give_back(lambda _waiting: window.withdrawn(self._call))

    def release(self, *, is_complete: bool = False) -> None:
        """Release the slot at the end of the call; do nothing if the call does not hold it.

        Args:
            is_complete: Whether the app took the call; False if it refused it or never got it.
        """
        limiter, window, now = self._limiter, self._limiter._window, trio.current_time()
        if is_complete and self._held:
            limiter.latency.add(now - self._since)
            limiter._completions.count(now)
        self._give_back(lambda waiting: window.ended(self._call, waiting, now))

    def _give_back(self, change: Callable[[int], None]) -> None:
        if self._held:
            self._held = False
            self._limiter._change(change)
            self._limiter._line.release(self._call)
