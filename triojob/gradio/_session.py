"""Sessions: which jobs ride on which event stream, and who may be cancelled when.

Gradio's ``/cancel`` stops *every* running event of a function in a session, and the others never
hear of it (gradio 6.31, ``routes.py``, ``cancel_event``).  So a call of a function without State
gets a session of its own, a *lane*; in a session that calls share, the server is told of a
cancellation only when all that it would stop is cancelled anyway.
"""

from __future__ import annotations

import logging
import math
import uuid
from collections.abc import Awaitable, Generator
from contextlib import contextmanager

import trio

from .._errors import (
    ConnectionFailed,
    ConnectionLost,
    GroupClosed,
    ServerStopped,
    TriojobError,
    shorten,
)
from .._settings import Timeouts
from .._turns import Turns
from ._drivers import (
    CallDriver,
    CallRequest,
    Conversation,
    Drivers,
    StreamDriver,
)
from ._event import EventTranslator
from ._http import HTTP
from ._wire import Json

logger = logging.getLogger("triojob")

_LINGER = 1.0
"""Seconds that the stream of a lane stays open after its job, for the server to close it."""

_NOTICE = 0.25
"""Seconds that a server is given to notice that a stream was closed."""


class Delivery:
    """One call on its way: from the moment that the server may hear of it to its last message."""

    __slots__ = (
        "abandoned",
        "conversation_scope",
        "driver",
        "event_id",
        "join_scope",
        "number",
        "request",
        "session",
        "session_hash",
        "translator",
    )

    def __init__(
        self,
        number: int,
        request: CallRequest,
        driver: StreamDriver | CallDriver,
        translator: EventTranslator,
    ) -> None:
        self.number = number
        """Calls that wait for the same get it in this order."""
        self.request = request
        self.driver = driver
        self.translator = translator
        self.session: Session | None = None
        """Set once the server may hear of the call."""
        self.session_hash = ""
        self.event_id: str | None = None
        self.abandoned = False
        """The job has ended here; the server is still to be told, or has been."""
        # Shielded: a cancellation is held until the server has named the event.
        self.join_scope = trio.CancelScope(shield=True)
        self.conversation_scope = trio.CancelScope()
        """Around a call on a connection of its own."""

    @property
    def name(self) -> str:
        """What people call the endpoint."""
        return self.request.name

    @property
    def fn_index(self) -> int:
        """The server's number for the function."""
        return self.request.fn_index

    def abandon(self) -> None:
        """Let the server know, as soon as may be, that nobody waits any more."""
        if self.session is not None and not self.abandoned:
            self.abandoned = True
            self.session.abandoned(self)


class Hub:
    """What the sessions of one client share.

    Args:
        background: The nursery of readers, joins and goodbyes.
    """

    def __init__(
        self, http: HTTP, drivers: Drivers, background: trio.Nursery, timeouts: Timeouts
    ) -> None:
        self.http = http
        self.drivers = drivers
        self.background = background
        self.timeouts = timeouts
        self._lanes: list[Session] = []
        """Lanes that nothing rides on, to be used again: a server keeps a little for each."""
        self.joins: set[Delivery] = set()
        """The calls that the server has yet to answer."""
        self._calls: set[trio.CancelScope] = set()
        self._left = trio.lowlevel.ParkingLot()
        self.closed = False

    @contextmanager
    def call(self, scope: trio.CancelScope) -> Generator[None, None, None]:
        """See to it that the client's end cancels ``scope``, the one around a call."""
        if self.closed:
            scope.cancel(reason="the client was closed")
        self._calls.add(scope)
        try:
            yield
        finally:
            self._calls.discard(scope)
            self._left.unpark_all()

    async def aclose(self) -> None:
        """End all calls, those in groups that outlive the client too; return when they have.

        Takes no longer than the calls' tasks need to run once; a cancellation doesn't shorten it.
        """
        self.closed = True
        for scope in self._calls:
            scope.cancel(reason="the client was closed")
        with trio.CancelScope(shield=True):
            while self._calls:
                await self._left.park()
        for delivery in self.joins:
            delivery.join_scope.deadline = trio.current_time() + self.timeouts.goodbye

    def take_lane(self) -> Session:
        """Return a session that nothing rides on."""
        return self._lanes.pop() if self._lanes else Session(self, lane=True)

    def give_back(self, lane: Session) -> None:
        """Keep a lane on which all has ended well."""
        self._lanes.append(lane)


class _Function:
    """The calls of one function in one session."""

    __slots__ = ("calls", "telling", "told", "turns")

    def __init__(self, at_once: float) -> None:
        self.turns = Turns(at_once)
        self.calls: dict[Delivery, None] = {}
        """Those that the server may be running, in the order in which they were sent."""
        self.telling = False
        """The server is being told to stop all of them; what joined now would be stopped too."""
        self.told = trio.lowlevel.ParkingLot()


class Session:
    """A session hash with its one event stream.

    Args:
        lane: One call at a time, and given back to the hub afterwards.
        one_at_a_time: One call of a function at a time, so that each can be cancelled exactly.
    """

    def __init__(self, hub: Hub, *, lane: bool = False, one_at_a_time: bool = True) -> None:
        self._hub = hub
        self._lane = lane
        self._at_once = 1 if one_at_a_time else math.inf
        # A bearer secret: whoever knows it can cancel the session's events.  Never logged.
        self._hash = uuid.uuid4().hex
        self._functions: dict[int, _Function] = {}
        self._deliveries: dict[str, Delivery] = {}
        self._joining = 0
        self._early: dict[str, list[Json]] = {}
        """Messages of events that the answer to ``/queue/join`` has not named yet."""
        self._reader: trio.CancelScope | None = None
        self._opening = trio.Lock()
        self._has_place = False
        """Whether this session holds a place in the client's budget of streams."""
        self._last_use = False
        """Nothing new rides on this session: close its stream as soon as nothing needs it."""

    @property
    def ended(self) -> bool:
        """Whether the session takes no more calls."""
        return self._last_use

    # What a job's own task calls.

    async def send(self, delivery: Delivery) -> None:
        """Start a call: return when it is about to be sent.

        Being cancelled here means that the server never hears of it.

        Raises:
            GroupClosed: The session has ended.
        """
        function = self._functions.get(delivery.fn_index)
        if function is None:
            clash = isinstance(delivery.driver, CallDriver) and (
                delivery.driver.mixes_generators and delivery.request.streams
            )
            function = _Function(1 if clash else self._at_once)
            self._functions[delivery.fn_index] = function
        function.turns.line_up(delivery.number)
        try:
            # Trio starts tasks in no order: let those that were started with this one line up too.
            await trio.lowlevel.checkpoint()
            await function.turns.turn_of(delivery.number)
        except BaseException:
            function.turns.end(delivery.number)
            raise
        function.calls[delivery] = None
        if isinstance(delivery.driver, StreamDriver):
            await self._send_on_stream(delivery, delivery.driver)
        else:
            await self._send_alone(delivery, delivery.driver)

    async def _send_on_stream(self, delivery: Delivery, driver: StreamDriver) -> None:
        function = self._functions[delivery.fn_index]
        self._joining += 1
        try:
            while function.telling:
                await function.told.park()
            async with self._opening:
                if not self._has_place:
                    await self._hub.http.streams.acquire_on_behalf_of(self)
                    self._has_place = True
            await self._hub.http.requests.acquire_on_behalf_of(delivery)
            if self._last_use:
                self._hub.http.requests.release_on_behalf_of(delivery)
                raise GroupClosed(f"the session that {delivery.name} is pinned to has ended")
        except BaseException:
            self._joining -= 1
            self._leave(delivery)
            raise
        delivery.session = self
        delivery.session_hash = self._hash
        self._hub.joins.add(delivery)
        self._hub.background.start_soon(
            self._join, delivery, driver, name=f"<join {delivery.name}>"
        )

    async def _send_alone(self, delivery: Delivery, driver: CallDriver) -> None:
        try:
            await self._hub.http.streams.acquire_on_behalf_of(delivery)
            if self._last_use:
                self._hub.http.streams.release_on_behalf_of(delivery)
                raise GroupClosed(f"the session that {delivery.name} is pinned to has ended")
        except BaseException:
            self._leave(delivery)
            raise
        delivery.session = self
        delivery.session_hash = self._hash
        self._hub.joins.add(delivery)
        self._hub.background.start_soon(
            self._converse, delivery, driver, name=f"<call of {delivery.name}>"
        )

    def abandoned(self, delivery: Delivery) -> None:
        """Nobody waits for this call any more."""
        if isinstance(delivery.driver, StreamDriver):
            self._tell_if_possible(delivery.fn_index)
        else:
            delivery.conversation_scope.cancel()

    def end(self) -> None:
        """Cancel all calls that are still under way, and use the session no more."""
        self._last_use = True
        for function in tuple(self._functions.values()):
            for delivery in tuple(function.calls):
                # Of jobs in groups that outlive the session; those of its own have ended.
                delivery.translator.cancel("its session has ended")
                delivery.abandon()
        self._rest()

    # Calls on connections of their own.

    @trio.lowlevel.enable_ki_protection
    async def _converse(self, delivery: Delivery, driver: CallDriver) -> None:
        translator = delivery.translator
        conversation = Conversation(
            session_hash=delivery.session_hash,
            call=delivery.request,
            deliver=translator.feed,
            ended=lambda: translator.finished,
            hold=delivery.join_scope,
        )
        try:
            with delivery.conversation_scope:
                await driver.converse(conversation)
                if not translator.finished:
                    raise ConnectionLost(f"the server hung up without finishing {delivery.name}")
        except TriojobError as exc:
            translator.fail(exc)
        finally:
            self._hub.joins.discard(delivery)
            self._hub.http.streams.release_on_behalf_of(delivery)
            # In here, as the client's end may cancel this task before it notices that its call was
            # abandoned; what is said to the server is shielded.
            if delivery.abandoned:
                alone = self._runs_nothing_but_abandoned()
                await self._say_goodbye(delivery, driver.part(conversation, alone=alone))
            self._leave(delivery)
        if self._lane and not delivery.abandoned:
            self._hub.give_back(self)

    # Joining.  The tasks here are shielded from Ctrl-C: it goes to the main task, as it should.

    @trio.lowlevel.enable_ki_protection
    async def _join(self, delivery: Delivery, driver: StreamDriver) -> None:
        """Send a call and learn its event id, come what may: a cancellation is held until then."""
        event_id: str | None = None
        error: TriojobError | None = None
        try:
            with delivery.join_scope:
                event_id = await driver.join(delivery.session_hash, delivery.request)
        except TriojobError as exc:
            error = exc
        finally:
            self._joining -= 1
            self._hub.joins.discard(delivery)
            self._hub.http.requests.release_on_behalf_of(delivery)
        early = self._early.pop(event_id, []) if event_id is not None else []
        if not self._joining:
            self._early.clear()
        if event_id is None:
            await self._not_joined(delivery, error)
        elif delivery.session_hash != self._hash:
            # Meanwhile the stream broke, and the server has dropped or will drop all that it had.
            lost = "the session's event stream broke while the call was being sent"
            await self._not_joined(delivery, ConnectionLost(f"{delivery.name}: {lost}"))
        else:
            delivery.event_id = event_id
            self._deliveries[event_id] = delivery
            for message in early:
                self._route(message)
            if self._deliveries and self._reader is None:
                self._reader = trio.CancelScope()
                self._hub.background.start_soon(
                    self._read, self._reader, driver, name="<event stream>"
                )
            self._tell_if_possible(delivery.fn_index)
        self._rest()

    async def _not_joined(self, delivery: Delivery, error: TriojobError | None) -> None:
        if error is not None:
            delivery.translator.fail(error)
        function = self._functions[delivery.fn_index]
        unsure = error is None or (
            isinstance(error, ConnectionLost)
            and not isinstance(error, (ConnectionFailed, ServerStopped))
        )
        if unsure and len(function.calls) == 1:
            # The server may have queued it under a name that we don't know.  As there is nothing
            # else of this function here, a cancellation by any name stops this call or none.
            function.telling = True
            self._last_use = self._last_use or self._lane
            await self._post_cancel(delivery)
            self._told(function, (delivery,))
        else:
            self._leave(delivery)

    # Reading.

    @trio.lowlevel.enable_ki_protection
    async def _read(self, scope: trio.CancelScope, driver: StreamDriver) -> None:
        try:
            with scope:
                while self._deliveries:
                    # Those that the server has named by now: this stream is sure to tell of them.
                    expected = set(self._deliveries)
                    await driver.listen(self._hash, self._route)
                    self._check_closed(expected)
            if scope.cancelled_caught and self._lane:
                # The server has yet to notice, and will then drop what the session has.
                self._last_use = True
        except TriojobError as exc:
            self._break(exc)
        finally:
            self._reader = None
            self._rest()

    def _check_closed(self, expected: set[str]) -> None:
        """Raise if calls are left that no further stream would tell of.

        The server closes the stream when no event of the session is pending, so one that was is
        gone.  But one that joined just then, and has had no message yet, is told of on the next
        stream: there, a message is sure to come before that one's end.
        """
        for event_id, delivery in self._deliveries.items():
            if event_id in expected or delivery.translator.started:
                raise ConnectionLost(
                    f"the server closed the event stream without finishing {delivery.name}"
                )

    def _route(self, message: Json) -> None:
        event_id = message.get("event_id")
        if event_id is None:
            if message["msg"] == "unexpected_error":
                raise _stream_error(message)
            return
        delivery = self._deliveries.get(event_id)
        if delivery is None:
            # Before the join's answer has been read, or after the event's end: those are dropped.
            if self._joining:
                self._early.setdefault(event_id, []).append(message)
            return
        delivery.translator.feed(message)
        if message["msg"] == "process_completed":
            self._settle(delivery)
        elif delivery.translator.finished and not delivery.abandoned:
            # It ended in a message that can't be: here it is over, but the server goes on.
            delivery.abandon()

    def _break(self, error: TriojobError) -> None:
        """The stream broke, and with it each call that rides on it."""
        # The server drops what the old session had when it notices, which may be any moment now.
        self._hash = uuid.uuid4().hex
        self._early.clear()
        for delivery in tuple(self._deliveries.values()):
            delivery.translator.fail(error)
            self._settle(delivery)

    # Ending.

    def _settle(self, delivery: Delivery) -> None:
        """The server is done with this call."""
        if delivery.event_id is not None:
            self._deliveries.pop(delivery.event_id, None)
        self._leave(delivery)

    def _leave(self, delivery: Delivery) -> None:
        function = self._functions[delivery.fn_index]
        if delivery in function.calls:
            del function.calls[delivery]
            function.turns.end(delivery.number)
            self._tell_if_possible(delivery.fn_index)
            self._rest()

    def _rest(self) -> None:
        """Let go of what nothing needs any more: the stream, and then the place for it."""
        if self._deliveries or self._joining or any(f.telling for f in self._functions.values()):
            return
        if self._reader is not None:
            if self._last_use:
                self._reader.cancel()
            elif self._lane and self._reader.deadline == math.inf:
                # The server closes it in a moment; if not, it has forgotten to.
                self._reader.deadline = trio.current_time() + _LINGER
        elif self._has_place:
            self._has_place = False
            self._hub.http.streams.release_on_behalf_of(self)
            if self._lane and not self._last_use:
                self._hub.give_back(self)

    def _tell_if_possible(self, fn_index: int) -> None:
        function = self._functions[fn_index]
        if (
            function.calls
            and not function.telling
            and all(call.abandoned and call.event_id is not None for call in function.calls)
        ):
            function.telling = True
            self._last_use = self._last_use or self._lane
            self._hub.background.start_soon(self._tell, function, name="<goodbye>")

    @trio.lowlevel.enable_ki_protection
    async def _tell(self, function: _Function) -> None:
        """Tell the server to stop all calls of a function: each by its name, as some may wait."""
        calls = tuple(function.calls)
        if self._lane and self._reader is not None and not calls[0].translator.running:
            # For long, a cancellation left a waiting call in Gradio's queue (up to 6.10 at least).
            # What does take it out is that the session's stream breaks before.
            self._reader.cancel()
            with trio.move_on_after(min(_NOTICE, self._hub.timeouts.goodbye), shield=True):
                await trio.sleep_forever()
        for call in calls:
            await self._post_cancel(call)
        self._told(function, calls)

    def _told(self, function: _Function, calls: tuple[Delivery, ...]) -> None:
        for call in calls:
            self._settle(call)
        function.telling = False
        function.told.unpark_all()
        self._rest()

    async def _post_cancel(self, call: Delivery) -> None:
        assert isinstance(call.driver, StreamDriver)
        goodbye = call.driver.cancel(
            call.session_hash,
            call.request,
            call.event_id or "unknown",
            alone=self._runs_nothing_but_abandoned(),
        )
        await self._say_goodbye(call, goodbye)

    def _runs_nothing_but_abandoned(self) -> bool:
        return all(
            call.abandoned for function in self._functions.values() for call in function.calls
        )

    async def _say_goodbye(self, call: Delivery, goodbye: Awaitable[None]) -> None:
        try:
            with trio.move_on_after(self._hub.timeouts.goodbye, shield=True) as scope:
                await goodbye
        except TriojobError as exc:
            logger.warning("%s: the server could not be told of a cancellation: %s", call.name, exc)
        else:
            if scope.cancelled_caught:
                logger.warning(
                    "%s: the server did not answer a cancellation within %g s",
                    call.name,
                    self._hub.timeouts.goodbye,
                )


def _stream_error(message: Json) -> ConnectionLost:
    words = shorten(message.get("message") or "no reason given")
    if message.get("session_not_found"):
        return ConnectionLost("the server no longer knows this session")
    if "stopped" in words.lower():
        return ServerStopped(words)
    return ConnectionLost(f"the server's event stream failed: {words}")
