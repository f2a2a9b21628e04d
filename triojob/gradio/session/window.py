"""How many calls of one function are in flight at once; no I/O.

Gradio tells every waiting event its new rank whenever the queue moves, so calls that wait on the
server cost it (and this side) the square of their number.  Calls that wait here cost nothing.  So
the window follows what the server runs at once, as its own messages tell it:

- It *doubles* when every call in flight has been told that it runs, and more calls wait here.
- It doubles *for a trial* when hardly any call of a whole window has waited on the server, though
  never do all of them run: then the way there takes as long as the work.  If no more calls end in
  a second than before, the server has enough to do, and the window goes back to what it was.
- It *halves* when the server refuses calls, or the streams of them, more often than one call in
  eight: a single refusal among many calls is chance, not a limit, and the call is sent again.
  From then on the window grows by one at a time, as TCP does past its threshold: after a window of
  calls that end without being halved, then after two, four and so on, as each attempt may cost
  refusals.
- It *shrinks* by what waited on the server all the while a window of calls ended, but for a few:
  a slot that falls free is to be taken there and then, and not only after a message from here.

Measured on gradio 6.31: 1,000 calls at once of 20 ms each on 10 slots take 3.2 s with 12 to 16 in
flight, 4.5 s with 32, and 10 s with 256.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

INITIAL = 16
"""How many calls are in flight before the server has said anything."""

_FEW = 8
"""One refusal to so many calls that ended is no reason for a smaller window."""
_MOST_CREDIT = 8
"""How many such refusals may come one after the other, once enough calls have ended; no more than
the window has calls."""
_MOST_PATIENCE = 32
_TRIAL = 2
"""Windows of calls that end before a trial is judged: the first ones are of the smaller window."""


@dataclass(frozen=True)
class WindowStatistics:
    """How many calls of one endpoint are where, at one moment."""

    size: int
    """How many calls may be in flight at once, as of now."""
    in_flight: int
    """Calls that were sent, or are about to be, and have not ended."""
    running: int
    """Calls in flight that the server has told that they run."""
    waiting_there: int
    """Calls in flight that wait in the server's queue, as it has told them."""
    waiting_here: int
    """Calls that wait on this side until there is room."""


@final
class Window:
    """The number of calls in flight that a server gets the most out of.

    Calls are known by number.  Whoever sends them asks for `room` first, and says with each change
    how many calls wait on this side.

    Args:
        fixed: Its size for good; None if it follows the server.
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
        """The calls in flight, each with the epoch that it was sent in."""
        self._waiting: dict[int, int] = {}
        """Those that the server has told a rank, and not yet that they run: each with how many
        calls had ended by then."""
        self._total_ends = 0
        """How many calls have ended since the window was made."""
        self._running: set[int] = set()
        self._epoch = 0
        """How often the window has been halved: the refusals of one burst halve it once."""
        self._refusal_credit = 2 * _FEW
        """Each call that ends adds one, a refusal costs `_FEW`; one that costs too much halves the
        window."""
        self._threshold = math.inf
        """Up to this size the window doubles; past it, it grows by one."""
        self._patience = 1
        """How many windows of calls must end without a refusal before it grows by one."""
        self._trial: tuple[int, float] | None = None
        """The size before, and how many calls ended in a second, if it has doubled for a trial."""
        self._futile_size = math.inf
        """The size from which on no trial has brought anything."""
        self._resize(self.size)

    def _resize(self, size: int) -> None:
        self.size = max(1, size)
        self._reviews = 0
        """How many windows of calls have ended since the window was resized."""
        self._rate = 0.0
        """How many calls have ended in a second in the last of those."""
        self._ends_since_resize = 0
        """How many calls have ended since the window was resized."""
        self._starts = -self.size
        """How many calls have started since then, minus ``size``: those that filled the window anew
        tell nothing, so it is negative until they have started."""
        self._starts_that_waited = 0
        """How many of those had waited on the server for other calls to end."""
        self._review()

    def _review(self, now: float | None = None) -> None:
        self._reviewed = now
        """When the calls in this window began to end, if that is known."""
        self._ends_since_review = 0
        """How many calls have ended since the window was last reviewed."""
        self._least_waiting = len(self._waiting)
        """The fewest that have waited on the server since then."""

    @property
    def in_flight(self) -> int:
        """How many calls were sent and have not ended."""
        return len(self._in_flight)

    @property
    def room(self) -> int:
        """How many more calls may be sent; 0 if there are too many."""
        return max(0, self.size - len(self._in_flight))

    def statistics(self, waiting_here: int) -> WindowStatistics:
        """Return the numbers of now."""
        return WindowStatistics(
            self.size, len(self._in_flight), len(self._running), len(self._waiting), waiting_here
        )

    def sent(self, call: int) -> None:
        """Note that a call is in flight from now on."""
        self._in_flight[call] = self._epoch

    def queued(self, call: int) -> None:
        """Note that the server has told a call its rank."""
        if call in self._in_flight and call not in self._running:
            self._waiting.setdefault(call, self._total_ends)

    def started(self, call: int, waiting_here: int) -> None:
        """Note that the server runs a call."""
        if call not in self._in_flight or call in self._running:
            return
        ends = self._total_ends - self._waiting.pop(call, self._total_ends)
        self._running.add(call)
        self._starts += 1
        # Some end while it is merely passing through the queue.
        if self._starts > 0 and 8 * ends >= len(self._in_flight):
            self._starts_that_waited += 1
        self._note_least()
        self.demanded(waiting_here)

    def demanded(self, waiting_here: int) -> None:
        """Grow if the server lets nothing wait while calls wait on this side."""
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
            self._review()  # the window is not in use, so nothing can be said of it
        elif self._reviewed is None or len(self._in_flight) >= self.size:
            self._review(now)  # it is yet to be as small as it shall be
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
        """Note that a call is no longer in flight, as the server would not have it."""
        self._in_flight.pop(call, None)
        self._forget(call)

    def note_refusal(self, call: int) -> None:
        """Note that the server, or a proxy before it, refused a call or the stream of one."""
        epoch = self._in_flight.get(call)
        if self._fixed or epoch != self._epoch:
            return  # it was sent before the window was halved last
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
        # A little more than enough is no reason for a change.
        if not self._fixed and 4 * spare > enough:
            self._trial, self._futile_size = None, math.inf
            self._resize(self.size - spare)
        else:
            self._review(now)
