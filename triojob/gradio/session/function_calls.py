"""The calls of one function in one session."""

from __future__ import annotations

from typing import final

import trio

from ..._core.limiter import OrderedLimiter
from .pending_call import PendingCall


@final
class FunctionCalls:
    """The calls of one function in one session, and who waits for what happens to them.

    Args:
        at_once: How many may be sent; `math.inf` for any number.
    """

    __slots__ = ("abandoned", "calls", "cancelling", "changed", "limiter")

    def __init__(self, at_once: float) -> None:
        self.limiter: OrderedLimiter = OrderedLimiter(at_once)
        self.calls: dict[PendingCall, None] = {}
        """Those that the server may be running, in the order in which they were sent."""
        self.abandoned: set[PendingCall] = set()
        """Those of them that nobody waits for any more: few, so that they are looked at alone."""
        self.cancelling: bool = False
        """The server is being asked to stop calls; one that joined now would be stopped too."""
        self.changed: trio.lowlevel.ParkingLot = trio.lowlevel.ParkingLot()
        """Where those wait for whom the state of its calls matters."""

    @property
    def idle(self) -> bool:
        """Whether it has no calls, no waiters and no cancel request, so that it can be dropped."""
        return not (self.calls or self.cancelling) and self.limiter.idle

    @property
    def needs_stream(self) -> bool:
        """Whether the server knows of calls, or is about to.

        One that waits for its slot does not count: the call that has the slot may wait for the
        very place in the budget of streams that this session would keep.
        """
        return self.cancelling or any(
            call.is_sent or (call.slot is not None and call.slot.held) for call in self.calls
        )

    def may_join(self) -> bool:
        """Return whether no cancel request for another call can stop a call that joins now.

        Not while cancel requests are being sent.  Not either while the event id of a lost call is
        unknown and all calls that were sent are abandoned: the request follows once it is known.
        """
        if self.cancelling:
            return False
        lost = any(call.lost for call in self.abandoned)
        return not lost or not all(call.abandoned for call in self.calls if call.is_sent)
