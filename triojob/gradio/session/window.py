"""How many calls of one function are in flight at once; no I/O.

Gradio sends every waiting event its new rank whenever the queue moves, so calls that wait on the
server cost both sides the square of their number.  Calls that wait in the client cost nothing.  So
the window follows how many calls the server runs at once, according to its own messages:

- It *doubles* when the server has reported every call in flight as running, and more calls wait in
  the client.
- It doubles *for a trial* when hardly any call of a whole window has waited on the server, although
  the calls never all run at once: then the round trip takes as long as the work.  If the trial does
  not increase the number of calls that end per second, the server is busy enough, and the window
  returns to its former size.
- It *halves* when the server refuses calls or their streams more often than one call in eight: a
  single refusal among many calls is chance, not a limit, and the call is sent again.  From then on
  the window grows by one at a time, as TCP does past its threshold: after one window of calls that
  end without being halved, then after two, four and so on, as each attempt may cost refusals.
- It *shrinks* by the number of calls that waited on the server during a whole window of calls,
  except for a few: a free slot must be filled at once, without waiting for a message from the
  client.

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
"""One refusal in this many ended calls does not shrink the window."""
_MOST_CREDIT = 8
"""How many such refusals are tolerated in a row, once enough calls have ended; at most as many as
the window has calls.
"""
_MOST_PATIENCE = 32
_TRIAL = 2
"""Windows of calls that end before a trial is judged: the first calls are of the smaller window."""


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

    Calls are identified by number.  The sender checks `room` before each call, and passes with each
    change how many calls wait in the client.

    Args:
        fixed: The constant size of the window; None for a window that follows the server.
    """

    __slots__ = (
        "_ends_since_resize",
        "_ends_since_review",
        "_epoch",
        "_fixed",
        "_futile_size",
        "_in_flight",
        "_least_waiting",
        "_patience",
        "_rate",
        "_refusal_credit",
        "_reviewed",
        "_reviews",
        "_running",
        "_starts",
        "_starts_that_waited",
        "_threshold",
        "_total_ends",
        "_trial",
        "_waiting",
        "size",
    )

    def __init__(self, fixed: int | None = None) -> None:
        self._fixed = fixed is not None
        self.size: int = fixed or INITIAL
        self._in_flight: dict[int, int] = {}
        """The calls in flight, each with the epoch in which it was sent."""
        self._waiting: dict[int, int] = {}
        """The calls that have received a rank and have not started: each with how many calls had
        ended by then.
        """
        self._total_ends = 0
        """How many calls have ended since the window was made."""
        self._running: set[int] = set()
        self._epoch = 0
        """How many times the window has been halved: the refusals of one burst halve it once."""
        self._refusal_credit = 2 * _FEW
        """Each call that ends adds one, each refusal costs `_FEW`; a refusal beyond the credit
        halves the window.
        """
        self._threshold = math.inf
        """Up to this size the window doubles; past it, it grows by one."""
        self._patience = 1
        """How many windows of calls must end without a refusal before the window grows by one."""
        self._trial: tuple[int, float] | None = None
        """The former size and the former calls per second, if the window has doubled for a trial.
        """
        self._futile_size = math.inf
        """The smallest size at which a trial brought no gain."""
        self._resize(self.size)

    def _resize(self, size: int) -> None:
        self.size = max(1, size)
        self._reviews = 0
        """How many windows of calls have ended since the window was resized."""
        self._rate = 0.0
        """How many calls ended per second in the last of these windows."""
        self._ends_since_resize = 0
        """How many calls have ended since the window was resized."""
        self._starts = -self.size
        """How many calls have started since then, minus ``size``: the calls that first fill the
        resized window carry no information, so the count is negative until they have started.
        """
        self._starts_that_waited = 0
        """How many of the counted calls had waited on the server for other calls to end."""
        self._review()

    def _review(self, now: float | None = None) -> None:
        self._reviewed = now
        """When the calls of this window began to end, if known."""
        self._ends_since_review = 0
        """How many calls have ended since the window was last reviewed."""
        self._least_waiting = len(self._waiting)
        """The smallest number of calls that have waited on the server since then."""

    @property
    def in_flight(self) -> int:
        """How many calls were sent and have not ended."""
        return len(self._in_flight)

    @property
    def room(self) -> int:
        """How many more calls can be sent; 0 if the window is full."""
        return max(0, self.size - len(self._in_flight))

    def statistics(self, waiting_here: int) -> WindowStatistics:
        """Return the current numbers, without a latency."""
        return WindowStatistics(
            self.size, len(self._in_flight), len(self._running), len(self._waiting), waiting_here
        )

    def sent(self, call: int) -> None:
        """Note that a call is in flight."""
        self._in_flight[call] = self._epoch

    def queued(self, call: int) -> None:
        """Note that the server has sent a call its rank."""
        if call in self._in_flight and call not in self._running:
            self._waiting.setdefault(call, self._total_ends)

    def started(self, call: int, waiting_here: int) -> None:
        """Note that the server runs a call."""
        if call not in self._in_flight or call in self._running:
            return
        ends = self._total_ends - self._waiting.pop(call, self._total_ends)
        self._running.add(call)
        self._starts += 1
        # Some calls end while this one merely passes through the queue.
        if self._starts > 0 and 8 * ends >= len(self._in_flight):
            self._starts_that_waited += 1
        self._note_least()
        self.demanded(waiting_here)

    def demanded(self, waiting_here: int) -> None:
        """Grow the window if nothing waits on the server while calls wait in the client."""
        if self._fixed or not waiting_here or len(self._in_flight) < self.size:
            return
        if len(self._running) == len(self._in_flight):
            self._trial, self._futile_size = None, math.inf
            if self.size < self._threshold:
                self._resize(int(min(2 * self.size, self._threshold)))
            elif self._ends_since_resize >= self.size * self._patience:
                self._resize(self.size + 1)
        elif self._starts >= self.size:
            if 8 * self._starts_that_waited <= self._starts and self._rate and self._trial is None:
                self._try_more()
            self._starts = self._starts_that_waited = 0

    def _try_more(self) -> None:
        larger = int(min(2 * self.size, self._threshold))
        if self.size < larger < self._futile_size:
            trial = self.size, self._rate
            self._resize(larger)
            self._trial = trial

    def ended(self, call: int, waiting_here: int, now: float) -> None:
        """Note that a call is no longer in flight, however it ended.

        Args:
            now: The time, in seconds.
        """
        if self._in_flight.pop(call, None) is None:
            return
        self._forget(call)
        self._total_ends += 1
        self._refusal_credit = min(self._refusal_credit + 1, _FEW * min(self.size, _MOST_CREDIT))
        self._ends_since_resize += 1
        self._ends_since_review += 1
        if not waiting_here:
            self._review()  # the window is not full, so nothing can be measured
        elif self._reviewed is None or len(self._in_flight) >= self.size:
            self._review(now)  # the window has yet to shrink to its new size
        elif self._ends_since_review >= self.size:
            self._reviews += 1
            self._rate = self._ends_since_review / max(now - self._reviewed, 1e-6)
            if self._trial is not None and self._reviews >= _TRIAL:
                self._end_trial(*self._trial)
            else:
                self._shrink(now)

    def _end_trial(self, size: int, rate: float) -> None:
        self._trial = None
        if self._rate < 1.25 * rate:
            self._futile_size = self.size
            self._resize(size)

    def withdrawn(self, call: int) -> None:
        """Note that a call is no longer in flight, because the server refused it."""
        self._in_flight.pop(call, None)
        self._forget(call)

    def note_refusal(self, call: int) -> None:
        """Note that the server, or a proxy in front of it, refused a call or its stream."""
        epoch = self._in_flight.get(call)
        if self._fixed or epoch != self._epoch:
            return  # the call was sent before the window was last halved
        if self._refusal_credit >= _FEW:
            self._refusal_credit -= _FEW
            return
        self._epoch += 1
        self._trial = None
        self._patience = min(2 * self._patience, _MOST_PATIENCE)
        self._threshold = max(1, self.size // 2)
        self._resize(self._threshold)

    def _forget(self, call: int) -> None:
        self._waiting.pop(call, None)
        self._running.discard(call)
        self._note_least()

    def _note_least(self) -> None:
        self._least_waiting = min(self._least_waiting, len(self._waiting))

    def _shrink(self, now: float) -> None:
        enough = max(2, len(self._running) // 2)
        spare = self._least_waiting - enough
        # A small surplus does not justify a change.
        if not self._fixed and 4 * spare > enough:
            self._trial, self._futile_size = None, math.inf
            self._resize(self.size - spare)
        else:
            self._review(now)
