"""The calls of one function in one session."""

from __future__ import annotations

from typing import final

import trio

from ..._core.limiter import OrderedLimiter
from .pending_call import PendingCall


@final
class FunctionCalls:
    """The calls of one function in one session, and the tasks that wait for changes to them.

    Args:
        at_once: How many calls can be sent at once; `math.inf` for no limit.
    """

    __slots__ = ("abandoned", "calls", "cancelling", "changed", "limiter")

    def __init__(self, at_once: float) -> None:
        self.limiter: OrderedLimiter = OrderedLimiter(at_once)
        self.calls: dict[PendingCall, None] = {}
        """The calls that the server may be running, in the order in which they were sent."""
        self.abandoned: set[PendingCall] = set()
        """The abandoned ones among ``calls``: few, so searching them alone is cheap."""
        self.cancelling: bool = False
        """A cancel request is in flight; a call that joined now would be stopped too."""
        self.changed: trio.lowlevel.ParkingLot = trio.lowlevel.ParkingLot()
        """Where tasks wait for a change of the function's calls."""

    @property
    def idle(self) -> bool:
        """Whether it has no calls, no waiters and no cancel request, so that it can be dropped."""
        return not (self.calls or self.cancelling) and self.limiter.idle

    @property
    def needs_stream(self) -> bool:
        """Whether the server has calls of the function, or is about to receive one.

        A call that waits for its slot does not count: the call that holds the slot might wait for
        the very stream that this session would keep open.
        """
        return self.cancelling or any(
            call.is_sent or (call.slot is not None and call.slot.held) for call in self.calls
        )

    def may_join(self) -> bool:
        """Return whether no cancel request for another call can stop a call that joins now.

        False while cancel requests are being sent.  Also False while the event id of a lost call is
        unknown and all calls that were sent are abandoned: the cancel request follows once the id
        is known.
        """
        lost = any(call.lost for call in self.abandoned)
        return not self.cancelling and not (
            lost and all(call.abandoned for call in self.calls if call.is_sent)
        )
