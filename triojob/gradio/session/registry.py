"""What the sessions of one client share: who may send, by which one, and what has not ended."""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import final

import trio

from ..._core.call import Batch
from ..._core.limiter import OrderedLimiter
from ..._core.record import JobRecord
from ..http.client import CANCEL_REQUESTS, HTTP
from ..http.settings import Limits, Timeouts
from ..protocol.registry import Drivers
from ..schema.app import EndpointInfo
from .heartbeat import Heartbeats
from .pending_call import PendingCall
from .restart import AppWatch
from .session import Session
from .window import WindowStatistics
from .window_limiter import CallLimiter, Slot

_CLOSED = "the client was closed"

_SHARED_FOR = 10.0
"""Seconds for which the calls of a batch join the same session.  Proxies end long responses, some
after 30 s in all, and with the stream all calls on it are lost."""

_MOST_IDLE_LIMITERS = 256
"""Functions that are remembered while nothing calls them; ``gr.render`` makes ever new ones."""


@dataclass
class _SharedSession:
    session: Session
    since: float


@final
class SessionRegistry:
    """What the sessions of one client share.

    Args:
        background: The nursery of readers, joins and cancel requests.
        heartbeats: Those of the sessions that are kept; they outlive the background.
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
        self._streams = OrderedLimiter(http.streams.total_tokens)
        """The budget of streams, given out in the order of the calls' numbers."""
        self._limiters: dict[int, CallLimiter] = {}
        """The calls in flight of each function, by its number."""
        self._idle: list[Session] = []
        """Sessions that no call uses, to be used again: a server keeps a little for each."""
        self._shared: dict[tuple[Batch, int], _SharedSession] = {}
        """The sessions of batches, each for one function."""
        self.joins: set[PendingCall] = set()
        """The calls that the server has yet to answer."""
        self._calls: dict[trio.CancelScope, JobRecord | None] = {}
        """The scopes around what the client's end cancels, and whose they are if that is a job."""
        self._left = trio.lowlevel.ParkingLot()
        self.listening: set[Session] = set()
        """Sessions whose open stream has brought a message."""
        self.closed: bool = False
        self.cancel_requests: trio.CapacityLimiter = trio.CapacityLimiter(CANCEL_REQUESTS)
        self.deaf_since: float = -math.inf
        """When the server let a cancel request go unanswered, if it has answered none since."""

    # The calls of the client, whatever they wait for.

    @contextmanager
    def call(
        self, scope: trio.CancelScope, record: JobRecord | None = None
    ) -> Generator[None, None, None]:
        """See to it, while in the block, that the client's end cancels ``scope``; see `enter`."""
        self.enter(scope, record)
        try:
            yield
        finally:
            self.left(scope)

    def enter(self, scope: trio.CancelScope, record: JobRecord | None = None) -> None:
        """See to it that the client's end cancels ``scope``, that of a job or another one."""
        self._calls[scope] = record
        if self.closed:
            self._cancel(scope)

    def _cancel(self, scope: trio.CancelScope) -> None:
        self._note_reason(scope)
        scope.cancel(reason=_CLOSED)

    def _note_reason(self, scope: trio.CancelScope) -> None:
        # A frame of its own, as none that cancels may hold a job; see `JobRecord.to_cancel`.
        record = self._calls[scope]
        if record is not None:
            record.to_cancel(_CLOSED)

    @property
    def unfinished(self) -> int:
        """How many calls have not ended."""
        return len(self._calls)

    def left(self, scope: trio.CancelScope) -> None:
        """Note that a call has ended."""
        self._calls.pop(scope, None)
        if not self._calls:
            self._left.unpark_all()

    async def wait_idle(self) -> None:
        """Wait until all calls have ended."""
        while self._calls:
            await self._left.park()

    async def aclose(self) -> None:
        """End all calls, those in groups that outlive the client too; return when they have.

        Takes no longer than the calls' tasks need to run once; a cancellation doesn't shorten it.
        """
        self.closed = True
        for scope in self._calls:
            self._cancel(scope)
        with trio.CancelScope(shield=True):
            await self.wait_idle()
        for call in self.joins:
            assert call.join_scope is not None
            call.join_scope.deadline = trio.current_time() + self.timeouts.cancel

    # Calls in flight.

    def slot(self, info: EndpointInfo, number: int) -> Slot:
        """Return a place among the calls of a function in flight, for a call to acquire."""
        limiter = self._limiters.get(info.fn_index)
        if limiter is None:
            if len(self._limiters) >= _MOST_IDLE_LIMITERS:
                self._limiters = {f: one for f, one in self._limiters.items() if not one.idle}
            fixed = self.limits.in_flight
            cap = fixed or int(self.http.streams.total_tokens)
            limiter = CallLimiter(info.name, cap, fixed=fixed is not None)
            self._limiters[info.fn_index] = limiter
        return Slot(limiter, number)

    def windows(self) -> Mapping[str, WindowStatistics]:
        """Return, for each endpoint that was called, how many of its calls are where."""
        return {limiter.name: limiter.statistics() for limiter in self._limiters.values()}

    @property
    def is_heard(self) -> bool:
        """Whether the server lives: some session has had a message on a stream that is open."""
        return bool(self.listening)

    # The budget of streams.

    @property
    def waiting_for_stream(self) -> int:
        """How many calls wait for a place in the budget of streams."""
        return self._streams.waiting

    async def acquire_stream(self, owner: object, number: int) -> None:
        """Wait for a place in the budget of streams; the call with the lowest number is next."""
        await self._streams.acquire(number)
        self.http.streams.acquire_on_behalf_of_nowait(owner)

    def acquire_stream_now(self, owner: object, number: int) -> bool:
        """Take a place in the budget of streams if there are plenty; return whether it has one."""
        if not self._streams.acquire_nowait(number):
            return False
        self.http.streams.acquire_on_behalf_of_nowait(owner)
        return True

    def release_stream(self, owner: object, number: int) -> None:
        """Give back the place that ``owner`` has for the call with this number."""
        self.http.streams.release_on_behalf_of(owner)
        self._streams.release(number)

    # Sessions.

    def isolated(self) -> Session:
        """Return a session that no call uses."""
        session = self._idle.pop() if self._idle else Session(self, reusable=True)
        return session.lend()

    def shared(self, batch: Batch, fn_index: int) -> Session:
        """Return the session that the calls of a function in a batch use now."""
        key = batch, fn_index
        shared, time = self._shared.get(key), trio.current_time()
        if shared is None or shared.session.ended or time - shared.since >= _SHARED_FOR:
            if shared is None:
                batch.at_end(lambda: self._end_shared(key))
            else:
                shared.session.give_up_lease()
            session = self.isolated().lend(to_batch=True)
            shared = self._shared[key] = _SharedSession(session, time)
        return shared.session

    def _end_shared(self, key: tuple[Batch, int]) -> None:
        self._shared.pop(key).session.give_up_lease()

    def give_back(self, session: Session) -> None:
        """Keep a session that no call uses, and that the server has nothing pending of."""
        self._idle.append(session)
