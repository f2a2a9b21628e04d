"""What the sessions of one client share: windows, idle sessions, cancel requests."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import trio

from ..._core.call import Batch
from ..._core.latency import LatencyHistogram, merged
from ..._core.rate import RateMeter
from ..http.client import CANCEL_REQUESTS, HTTP
from ..http.settings import Limits, Timeouts
from ..protocol.registry import Drivers
from ..schema.app import EndpointInfo
from .heartbeat import Heartbeats
from .open_calls import OpenCalls
from .pending_call import PendingCall
from .restart import AppWatch
from .session import Session
from .stream_budget import StreamBudget
from .window import WindowStatistics
from .window_limiter import CallLimiter, Slot

_SHARED_FOR = 10.0
"""Seconds in which the calls of a batch join the same session.  Proxies end long responses, some
after 30 s in total, and all calls on the stream are lost with it.
"""

_MOST_IDLE_LIMITERS = 256
"""How many idle functions keep their limiters; ``gr.render`` keeps creating functions."""


@dataclass
class _SharedSession:
    session: Session
    since: float


@final
class SessionRegistry:
    """What the sessions of one client share.

    Args:
        background: The nursery of readers, joins and cancel requests.
        heartbeats: The heartbeats of the kept sessions; they outlive the background.
    """

    def __init__(
        self,
        http: HTTP,
        drivers: Drivers,
        background: trio.Nursery,
        timeouts: Timeouts,
        limits: Limits,
        *,
        heartbeats: Heartbeats,
        watch: AppWatch,
    ) -> None:
        self.watch = watch
        self.http = http
        self.heartbeats = heartbeats
        self.drivers = drivers
        self.background = background
        self.timeouts = timeouts
        self.limits = limits
        self.streams: StreamBudget = StreamBudget(http.streams)
        self._limiters: dict[int, CallLimiter] = {}
        """The limiter of each function, by the function's number."""
        self._dropped = LatencyHistogram()
        """The latencies of the functions whose limiters were dropped."""
        self.completions: RateMeter = RateMeter(trio.current_time())
        """The calls that ended without having been cancelled."""
        self.refusals: int = 0
        """How many requests the server, or a proxy in front of it, refused for load."""
        self.retries: int = 0
        """How many calls were attempted again, because of `Retry`."""
        self._idle: dict[Session, None] = {}
        """Idle sessions for reuse: a server keeps some memory for each session."""
        self._shared: dict[tuple[Batch, int], _SharedSession] = {}
        """The sessions of batches, each for one function."""
        self.joins: set[PendingCall] = set()
        """The calls whose joins have not received a response yet."""
        self.calls: OpenCalls = OpenCalls("the client was closed")
        self.listening: set[Session] = set()
        """Sessions that have received a message on their open stream."""
        self.cancel_requests: trio.CapacityLimiter = trio.CapacityLimiter(CANCEL_REQUESTS)
        self.unresponsive_since: float = -math.inf
        """When a cancel request last timed out; ``-inf`` if a later one received a response."""

    async def aclose(self) -> None:
        """End all calls; bound the remaining time of joins.

        Takes only as long as each call's task needs to run once; a cancellation does not shorten
        it.
        """
        await self.calls.aclose()
        for call in self.joins:
            assert call.join_scope is not None
            call.join_scope.deadline = trio.current_time() + self.timeouts.cancel

    # Calls in flight.

    def slot(self, info: EndpointInfo, number: int) -> Slot:
        """Return a slot among a function's calls in flight, for a call to acquire."""
        limiter = self._limiters.get(info.fn_index)
        if limiter is None:
            if len(self._limiters) >= _MOST_IDLE_LIMITERS:
                for each in (one for one in self._limiters.values() if one.idle):
                    self._dropped.merge(each.latency)
                self._limiters = {f: one for f, one in self._limiters.items() if not one.idle}
            fixed = self.limits.in_flight
            # Calls that need a stream each also wait for the budget of streams.
            limiter = CallLimiter(info.name, fixed, self.completions)
            self._limiters[info.fn_index] = limiter
        return Slot(limiter, number)

    async def acquire_slot(self, call: PendingCall) -> None:
        """Wait until a call has a slot among its function's calls in flight."""
        if call.slot is None:
            call.slot = self.slot(call.info, call.job_id)
        if not call.slot.held:
            await call.slot.acquire()

    def windows(self) -> Mapping[str, WindowStatistics]:
        """Return the numbers of calls in flight, running and waiting, by endpoint name."""
        # A list, which is made at once: other threads may ask, too.
        return {limiter.name: limiter.statistics() for limiter in list(self._limiters.values())}

    def latency(self) -> LatencyHistogram:
        """Return how long the calls of all functions were in flight."""
        limiters = list(self._limiters.values())
        return merged([self._dropped, *(limiter.latency for limiter in limiters)])

    @property
    def is_alive(self) -> bool:
        """Whether the server is alive: an open stream of some session has brought a message."""
        return bool(self.listening)

    # Sessions.

    def isolated(self) -> Session:
        """Return a session that no call uses."""
        return self._idle.popitem()[0] if self._idle else Session(self, reusable=True)

    def shared(self, batch: Batch, fn_index: int) -> Session:
        """Return the session that the calls of a function in a batch use now."""
        key = batch, fn_index
        shared, time = self._shared.get(key), trio.current_time()
        if shared is None or shared.session.ended or time - shared.since >= _SHARED_FOR:
            if shared is None:
                batch.at_end(lambda: self._end_shared(key))
            else:
                shared.session.give_up_lease()
            session = self.isolated().lease()
            shared = self._shared[key] = _SharedSession(session, time)
        return shared.session

    def _end_shared(self, key: tuple[Batch, int]) -> None:
        self._shared.pop(key).session.give_up_lease()

    def give_back(self, session: Session) -> None:
        """Keep an idle session for reuse; the server has no pending events of it."""
        self._idle[session] = None
