"""How many calls of one function are in flight at once; no I/O.

Gradio sends every waiting event its new rank whenever the queue moves, so calls that wait on the
server cost both sides the square of their number.  Calls that wait in the client cost nothing.  So
the window follows how many calls the server runs at once, according to its own messages:

- It *doubles* when the server has reported every call in flight as running, and more calls wait in
  the client.
- It doubles *for a trial* when at most one call in eight of a whole window has waited on the
  server, although the calls never all run at once: then the round trip takes as long as the work.
  If the trial does not increase the number of calls that end per second, the server is busy enough,
  and the window returns to its former size.
- It *halves* when the server refuses calls or their streams more often than one call in eight: a
  single refusal among many calls is chance, not a limit, and the call is sent again.  From then on
  the window grows by one at a time, as TCP does past its threshold: after two windows of calls that
  end without it being halved, from the second time on after four, and so on, as each attempt may
  cost refusals.
- It *shrinks* by the number of calls that waited on the server during a whole window of calls,
  except for half as many as run: a free slot must be filled at once, without waiting for a message
  from the client.

Measured on gradio 6.31: 1,000 calls at once of 20 ms each on 10 slots take 3.2 s with 12 to 16 in
flight, 4.5 s with 32, and 10 s with 256.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import final

from ..._core.latency import LatencyStatistics

INITIAL = 16
"""How many calls are in flight before the server's first message."""

_FEW = 8
"""One call in this many is too few to count: one that was refused, or that waited on the server."""
_MOST_CREDIT = 8
"""How many such refusals are tolerated in a row, once enough calls have ended; at most as many as
the window has calls.
"""
_MOST_PATIENCE = 32
_SETTLED = 2
"""Windows of calls that end before one is measured: the first calls are of the former size."""


@dataclass(frozen=True)
class WindowStatistics:
    """How many calls of one endpoint wait, run and are in flight, at one moment."""

    size: int
    """The current size of the window: how many calls can be in flight at once."""
    in_flight: int
    """Calls that were sent, or are about to be, and have not ended."""
    running: int
    """Calls in flight that the server has reported as running."""
    waiting_there: int
    """Calls in flight that the server has reported as waiting in its queue."""
    waiting_here: int
    """Calls that wait in your program until there is room in the window."""
    latency: LatencyStatistics = field(default_factory=LatencyStatistics)
    """How long the calls so far were in flight, without those that were cancelled."""


@final
class Window:
    """The number of calls in flight that maximizes the server's throughput.

    Calls are identified by number.  The sender passes with each change how many calls wait in the
    client.

    Args:
        fixed: The constant size of the window; None for a window that follows the server.
    """

    __slots__ = (
        "_ends_since_resize",
        "_ends_since_review",
        "_fixed",
        "_futile_size",
        "_in_flight",
        "_least_waiting",
        "_patience",
        "_refusal_credit",
        "_reviewed",
        "_reviews",
        "_running",
        "_threshold",
        "_total_ends",
        "_trial",
        "_unhalved",
        "_waited",
        "_waiting",
        "size",
    )

    def __init__(self, fixed: int | None = None) -> None:
        self._fixed = fixed is not None
        self._in_flight: set[int] = set()
        self._unhalved: set[int] = set()
        """The calls in flight that were sent since the window was last halved: the refusals of one
        burst halve it once.
        """
        self._waiting: dict[int, int] = {}
        """The calls that have received a rank and have not started: each with how many calls had
        ended by then.
        """
        self._total_ends = 0
        """How many calls have ended since the window was made."""
        self._running: set[int] = set()
        self._refusal_credit = 2 * _FEW
        """Each call that ends adds one, each refusal costs `_FEW`; a refusal beyond the credit
        halves the window.
        """
        self._threshold = math.inf
        """Up to this size the window doubles; past it, it grows by one."""
        self._patience = 1
        """How many windows of calls must end without a refusal before the window grows by one."""
        self._futile_size = math.inf
        """The smallest size at which a trial brought no gain."""
        self._resize(fixed or INITIAL)

    def _resize(self, size: int) -> None:
        self.size: int = max(1, size)
        self._trial: tuple[int, float] | None = None
        """The former size and the former calls per second, if the window has doubled for a trial.
        """
        self._ends_since_resize = 0
        """How many calls have ended since the window was resized."""
        self._reviews = 0
        """How many windows of calls have ended since then, while the window was full."""
        self._review()

    def _review(self, now: float | None = None) -> None:
        self._reviewed = now
        """When the calls of this window began to end, if known."""
        self._ends_since_review = 0
        """How many calls have ended since the window was last reviewed."""
        self._waited = 0
        """How many calls have started since then that had waited on the server for others to end.
        """
        self._least_waiting = len(self._waiting)
        """The smallest number of calls that have waited on the server since then."""

    @property
    def in_flight(self) -> int:
        """How many calls were sent and have not ended."""
        return len(self._in_flight)

    def statistics(self, waiting_here: int) -> WindowStatistics:
        """Return the current numbers, without a latency."""
        return WindowStatistics(
            self.size, len(self._in_flight), len(self._running), len(self._waiting), waiting_here
        )

    def sent(self, call: int) -> None:
        """Note that a call is in flight."""
        self._in_flight.add(call)
        self._unhalved.add(call)

    def queued(self, call: int) -> None:
        """Note that the server has sent a call its rank."""
        if call in self._in_flight and call not in self._running:
            self._waiting.setdefault(call, self._total_ends)

    def started(self, call: int, waiting_here: int) -> None:
        """Note that the server runs a call."""
        if call not in self._in_flight or call in self._running:
            return
        ends = self._total_ends - self._leave_queue(call)
        self._running.add(call)
        # Some calls end while this one merely passes through the queue.
        if _FEW * ends >= len(self._in_flight):
            self._waited += 1
        self.demanded(waiting_here)

    def demanded(self, waiting_here: int) -> None:
        """Grow the window if nothing waits on the server while calls wait in the client."""
        all_run = len(self._running) == len(self._in_flight) >= self.size
        if self._fixed or not waiting_here or not all_run:
            return
        self._trial, self._futile_size = None, math.inf
        if self.size < self._threshold:
            self._resize(self._doubled)
        elif self._ends_since_resize >= self.size * self._patience:
            self._resize(self.size + 1)

    @property
    def _doubled(self) -> int:
        return int(min(2 * self.size, self._threshold))

    def ended(self, call: int, waiting_here: int, now: float) -> None:
        """Note that a call in flight no longer is, however it ended.

        Args:
            now: The time, in seconds.
        """
        self.withdrawn(call)
        self._total_ends += 1
        self._refusal_credit = min(self._refusal_credit + 1, _FEW * min(self.size, _MOST_CREDIT))
        self._ends_since_resize += 1
        self._ends_since_review += 1
        if self._fixed or not waiting_here:
            self._review()  # the window may not be full, so nothing can be measured
        elif self._reviewed is None or len(self._in_flight) >= self.size:
            self._review(now)  # the window has yet to shrink to its new size
        elif self._ends_since_review >= self.size:
            self._reviews += 1
            self._adjust(self._ends_since_review / max(now - self._reviewed, 1e-6))
            self._review(now)

    def _adjust(self, rate: float) -> None:
        """Resize the window, if necessary, after a window of calls.

        Args:
            rate: How many of them ended per second.
        """
        is_settled = self._reviews >= _SETTLED
        enough = max(2, len(self._running) // 2)
        spare = self._least_waiting - enough
        if is_settled and self._trial is not None:
            size, former_rate = self._trial
            self._trial = None
            if rate < 1.25 * former_rate:
                self._futile_size = self.size
                self._resize(size)
        elif 4 * spare > enough:  # a small surplus does not justify a change
            self._futile_size = math.inf
            self._resize(self.size - spare)
        elif (
            is_settled
            and _FEW * self._waited <= self._ends_since_review
            and self.size < self._doubled < self._futile_size
        ):
            trial = self.size, rate
            self._resize(self._doubled)
            self._trial = trial

    def withdrawn(self, call: int) -> None:
        """Note that a call in flight no longer is, because the server refused it."""
        self._in_flight.remove(call)
        self._unhalved.discard(call)
        self._running.discard(call)
        self._leave_queue(call)

    def _leave_queue(self, call: int) -> int:
        """Return how many calls had ended when this one received its rank, or by now."""
        ends = self._waiting.pop(call, self._total_ends)
        self._least_waiting = min(self._least_waiting, len(self._waiting))
        return ends

    def note_refusal(self, call: int) -> None:
        """Note that the server, or a proxy in front of it, refused a call or its stream."""
        if self._fixed or call not in self._unhalved:
            return
        if self._refusal_credit >= _FEW:
            self._refusal_credit -= _FEW
            return
        self._unhalved.clear()
        self._patience = min(2 * self._patience, _MOST_PATIENCE)
        self._resize(self.size // 2)
        self._threshold = self.size
