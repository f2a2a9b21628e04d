"""Sessions: which jobs ride on which event stream, and who may be cancelled when.

Gradio's ``/cancel`` stops *every* running event of a function in a session, and the others never
hear of it (gradio 6.31, ``routes.py``, ``cancel_event``).  So a call of a function without State
gets a session of its own, a *lane*; in a session that calls share, the server is told of a
cancellation only when all that it would stop is cancelled anyway.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Generator
from contextlib import contextmanager, nullcontext
from functools import partial

import trio

from .._errors import (
    AuthenticationError,
    ConnectionFailed,
    ConnectionLost,
    ProtocolError,
    ServerStopped,
    TriojobError,
    UnexpectedResponse,
)
from .._job import JobRecord
from .._logs import current_call, log_job
from .._settings import Timeouts
from .._turns import Turns
from ._config import AppInfo, EndpointInfo, Render
from ._containment import contained, own_error
from ._drivers import (
    CallDriver,
    CallRequest,
    Conversation,
    Drivers,
    StreamDriver,
    stream_failure,
)
from ._event import EventTranslator
from ._heartbeat import Heartbeats
from ._http import GOODBYES, HTTP
from ._restart import AppWatch
from ._wire import Json

_LINGER = 1.0
"""Seconds that the stream of a lane stays open after its job, for the server to close it."""

_CLOSED = "the client was closed"
_ENDED = "its session has ended"

_NOTICE = 0.25
"""Seconds that a server is given to notice that a stream was closed."""


class Delivery:
    """One call on its way: from the moment that the server may hear of it to its last message."""

    __slots__ = (
        "abandoned",
        "conversation_scope",
        "driver",
        "event_id",
        "info",
        "join_scope",
        "number",
        "request",
        "restarts",
        "session",
        "session_hash",
        "translator",
        "waiting",
    )

    def __init__(
        self,
        number: int,
        info: EndpointInfo,
        request: CallRequest,
        driver: StreamDriver | CallDriver,
        translator: EventTranslator,
        *,
        restarts: int,
    ) -> None:
        self.number: int = number
        """Calls that wait for the same get it in this order."""
        self.info: EndpointInfo = info
        self.restarts: int = restarts
        """How often the app had been started anew when the request was made for it."""
        self.request: CallRequest = request
        self.driver: StreamDriver | CallDriver = driver
        self.translator: EventTranslator = translator
        self.session: Session | None = None
        """Set once the server may hear of the call."""
        self.session_hash: str = ""
        self.event_id: str | None = None
        self.abandoned: bool = False
        """The job has ended here; the server is still to be told, or has been."""
        self.join_scope: trio.CancelScope | None = None
        """Around the join, shielded: a cancellation is held until the server named the event."""
        self.conversation_scope: trio.CancelScope | None = None
        """Around a call on a connection of its own; None for one on a session's stream."""
        if isinstance(driver, CallDriver):
            self.conversation_scope = trio.CancelScope()
        self.waiting: trio.CancelScope | None = None
        """Around the wait on this side; cancelled by the end of the session only."""

    @property
    def name(self) -> str:
        """What people call the endpoint."""
        return self.request.name

    @property
    def fn_index(self) -> int:
        """The server's number for the function."""
        return self.request.fn_index

    def wait(self) -> trio.CancelScope:
        """Return the scope to wait in for what the call needs on this side."""
        self.waiting = trio.CancelScope()
        return self.waiting

    @property
    def waited_in_vain(self) -> bool:
        """Whether the session ended while the call waited."""
        return self.waiting is not None and self.waiting.cancel_called

    def log(self, level: int, text: str, *args: object) -> None:
        """Log a line about this call."""
        log_job(level, self.number, self.name, text, *args)

    def abandon(self) -> None:
        """Let the server know, as soon as may be, that nobody waits any more."""
        if self.session is not None and not self.abandoned:
            self.abandoned = True
            self.session.abandoned(self)


class Hub:
    """What the sessions of one client share.

    Args:
        background: The nursery of readers, joins and goodbyes.
        heartbeats: Those of the sessions that are kept; they outlive the background.
    """

    def __init__(
        self,
        http: HTTP,
        drivers: Drivers,
        background: trio.Nursery,
        timeouts: Timeouts,
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
        self._places = Turns(http.streams.total_tokens)
        """The budget of streams, given out in the order of the calls' numbers."""
        self._lanes: list[Session] = []
        """Lanes that nothing rides on, to be used again: a server keeps a little for each."""
        self.joins: set[Delivery] = set()
        """The calls that the server has yet to answer."""
        self._calls: dict[trio.CancelScope, JobRecord | None] = {}
        """The scopes around what the client's end cancels, and whose they are if that is a job."""
        self._left = trio.lowlevel.ParkingLot()
        self.closed: bool = False
        self.parting: trio.CapacityLimiter = trio.CapacityLimiter(GOODBYES)
        self.deaf_since: float = -math.inf
        """When the server let a goodbye go unanswered, if it has answered none since."""

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
    def waiting(self) -> int:
        """How many calls wait for a place in the budget of streams."""
        return self._places.waiting

    @property
    def under_way(self) -> int:
        """How many calls have not ended."""
        return len(self._calls)

    def left(self, scope: trio.CancelScope) -> None:
        """Hear that a call has ended."""
        self._calls.pop(scope, None)
        self._left.unpark_all()

    async def wait_idle(self) -> None:
        """Wait until no call is under way."""
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
        for delivery in self.joins:
            assert delivery.join_scope is not None
            delivery.join_scope.deadline = trio.current_time() + self.timeouts.cancel

    async def wait_for_place(self, number: int) -> None:
        """Wait for a place in the budget of streams: the call with the lowest number is next."""
        await self._places.take(number)

    def take_place(self, owner: object) -> None:
        """Note whose the place is that was waited for."""
        self.http.streams.acquire_on_behalf_of_nowait(owner)

    def give_place(self, owner: object, number: int) -> None:
        """Give back the place that ``owner`` has for the call with this number."""
        self.http.streams.release_on_behalf_of(owner)
        self._places.end(number)

    async def lane_on_stream(self, number: int) -> Session:
        """Wait for a place in the budget; return a lane that has it until nothing rides there."""
        await self.wait_for_place(number)
        lane = self.take_lane()
        lane.take_place(number)
        return lane

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
        # Of a lane's calls, the hub sees to it that there is but one.
        self._at_once = 1 if one_at_a_time and not lane else math.inf
        # A bearer secret: whoever knows it can cancel the session's events.  Never logged.
        self._hash = hub.http.secrets.new_session()
        self._functions: dict[int, _Function] = {}
        self._deliveries: dict[str, Delivery] = {}
        self._joining = 0
        self._early: dict[str, list[Json]] = {}
        """Messages of events that the answer to ``/queue/join`` has not named yet."""
        self._renders: dict[int | str | None, Render] = {}
        """What ``gr.render`` has made in this session: the last of each."""
        self._reader: trio.CancelScope | None = None
        self._opening = trio.Lock()
        self._place: int | None = None
        """The number of the call for which this session took a place in the budget of streams."""
        self._held_open = False
        """The server may wait here for an event that we have done with: cancelled, or never named.
        Then it doesn't close the stream by itself."""
        self._last_use = False
        """Nothing new rides on this session: close its stream as soon as nothing needs it."""
        self._since: int | None = None
        """How often the app had been started anew at the last call with State; None for none."""
        self._heartbeat: trio.CancelScope | None = None
        """Around the heartbeat of ``_hash``; a lane keeps nothing on the server and needs none."""

    @property
    def hash(self) -> str:
        """The session's name with the server: a secret."""
        return self._hash

    @property
    def waiting(self) -> int:
        """How many calls wait for the one of the same function that is under way here."""
        return sum(function.turns.waiting for function in self._functions.values())

    @property
    def ended(self) -> bool:
        """Whether the session takes no more calls."""
        return self._last_use

    @property
    def app(self) -> AppInfo:
        """The app as this session has it."""
        app = self._hub.watch.app
        return app.with_renders(self._renders.values()) if self._renders else app

    def rendered(self, config: Json) -> None:
        """Take up what the app has rendered: functions that only this session has.

        Raises:
            ProtocolError: It is not what Gradio sends; the session stays as it was.
        """
        render = Render.from_config(config)
        self._renders[render.render_id] = render

    def take_place(self, number: int) -> None:
        """Have the place in the budget that was waited for by the call with this number."""
        self._hub.take_place(self)
        self._place = number

    # What a job's own task calls.

    async def send(self, delivery: Delivery) -> bool:
        """Start a call: return when it is about to be sent.

        Being cancelled here means that the server never hears of it.

        Returns:
            False if the session has ended while the call waited, which has ended with it.

        Raises:
            ConnectionFailed: The server can't be reached.
            ServerRestarted: The app is not the one any more that the call was meant for.
        """
        function = self._functions.get(delivery.fn_index)
        if function is None:
            clash = isinstance(delivery.driver, CallDriver) and (
                delivery.driver.mixes_generators and delivery.request.streams
            )
            function = _Function(1 if clash else self._at_once)
            self._functions[delivery.fn_index] = function
        await function.turns.take(delivery.number)
        if self._last_use:
            function.turns.end(delivery.number)
            delivery.translator.cancel(_ENDED)
            return False
        function.calls[delivery] = None
        if isinstance(delivery.driver, StreamDriver):
            return await self._send_on_stream(delivery, delivery.driver)
        return await self._send_alone(delivery, delivery.driver)

    async def _send_on_stream(self, delivery: Delivery, driver: StreamDriver) -> bool:
        function = self._functions[delivery.fn_index]
        requests = self._hub.http.requests
        self._joining += 1
        may_send = False
        if self._reader is not None:
            self._reader.deadline = math.inf  # it is needed again
        try:
            # What waits for a lane ends with its own job only: no session ends there.
            with nullcontext() if self._lane else delivery.wait():
                while function.telling:
                    await function.told.park()
                if self._place is None:
                    await self._open(delivery)
                await self._hub.watch.look()
                if requests.available_tokens > 0:
                    requests.acquire_on_behalf_of_nowait(delivery)
                else:
                    await requests.acquire_on_behalf_of(delivery)
                may_send = True
            if not delivery.waited_in_vain:
                self._vouch(delivery)
                self._take_over(delivery)
        finally:
            if delivery.session is None:
                if may_send:
                    requests.release_on_behalf_of(delivery)
                self._joining -= 1
                self._leave(delivery)
        if delivery.session is None:
            return False
        self._hub.background.start_soon(
            self._join, delivery, driver, name=f"<join #{delivery.number} {delivery.name}>"
        )
        return True

    async def _open(self, delivery: Delivery) -> None:
        """Take a place in the budget of streams, unless another call does so first."""
        async with self._opening:
            if self._place is None:
                await self._hub.wait_for_place(delivery.number)
                self.take_place(delivery.number)

    async def _send_alone(self, delivery: Delivery, driver: CallDriver) -> bool:
        has_place = False
        try:
            with delivery.wait():
                await self._hub.watch.look()
                await self._hub.wait_for_place(delivery.number)
                self._hub.take_place(delivery)
                has_place = True
            if not delivery.waited_in_vain:
                self._vouch(delivery)
                self._take_over(delivery)
        finally:
            if delivery.session is None:
                if has_place:
                    self._hub.give_place(delivery, delivery.number)
                self._leave(delivery)
        if delivery.session is None:
            return False
        self._hub.background.start_soon(
            self._converse, delivery, driver, name=f"<call #{delivery.number} {delivery.name}>"
        )
        return True

    def _vouch(self, delivery: Delivery) -> None:
        """Refuse a call that was meant for the app as it was before."""
        watch, since = self._hub.watch, self._since
        if delivery.info.stateful:
            self._since = watch.restarts
        watch.vouch(delivery.info, delivery.restarts, since)

    def _take_over(self, delivery: Delivery) -> None:
        """From here on the server may hear of the call."""
        delivery.session = self
        delivery.session_hash = self._hash
        delivery.join_scope = trio.CancelScope(shield=True)
        if self._heartbeat is None and not self._lane:
            self._heartbeat = self._hub.heartbeats.start(self._hash)
        self._hub.joins.add(delivery)

    def abandoned(self, delivery: Delivery) -> None:
        """Nobody waits for this call any more."""
        if isinstance(delivery.driver, StreamDriver):
            self._tell_if_possible(delivery.fn_index)
        elif delivery.conversation_scope is not None:
            delivery.conversation_scope.cancel()

    def end(self) -> None:
        """Cancel all calls that are still under way, and use the session no more."""
        self._last_use = True
        for function in tuple(self._functions.values()):
            for delivery in tuple(function.calls):
                # Of jobs in groups that outlive the session; those of its own have ended.
                delivery.translator.cancel(_ENDED)
                if delivery.waiting is not None:
                    delivery.waiting.cancel()
                delivery.abandon()
        self._rest()

    # Calls on connections of their own.

    @trio.lowlevel.enable_ki_protection
    async def _converse(self, delivery: Delivery, driver: CallDriver) -> None:
        translator = delivery.translator
        assert delivery.join_scope is not None
        current_call.set((delivery.number, delivery.name))
        delivery.log(logging.DEBUG, "sent on a connection of its own")
        conversation = Conversation(
            session_hash=delivery.session_hash,
            call=delivery.request,
            deliver=translator.feed,
            ended=lambda: translator.finished,
            hold=delivery.join_scope,
        )
        assert delivery.conversation_scope is not None

        def fail(error: TriojobError) -> None:
            if _suggests_restart(error):
                self._hub.watch.doubt()
            translator.fail(error)

        try:
            with contained(fail, delivery.name), delivery.conversation_scope:
                await driver.converse(conversation)
                if not translator.finished:
                    raise ConnectionLost(f"the server hung up without finishing {delivery.name}")
        finally:
            self._hub.joins.discard(delivery)
            self._hub.give_place(delivery, delivery.number)
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
        errors: list[TriojobError] = []
        assert delivery.join_scope is not None
        current_call.set((delivery.number, delivery.name))
        try:
            with contained(errors.append, delivery.name), delivery.join_scope:
                event_id = await driver.join(delivery.session_hash, delivery.request)
        finally:
            self._joining -= 1
            self._hub.joins.discard(delivery)
            delivery.join_scope = None
            self._hub.http.requests.release_on_behalf_of(delivery)
        early = self._early.pop(event_id, []) if event_id is not None else []
        if not self._joining:
            self._early.clear()
        if event_id is None:
            await self._not_joined(delivery, errors.pop() if errors else None)
        elif delivery.session_hash != self._hash:
            # Meanwhile the stream broke, and the server has dropped or will drop all that it had.
            lost = "the session's event stream broke while the call was being sent"
            await self._not_joined(delivery, ConnectionLost(f"{delivery.name}: {lost}"))
        elif event_id in self._deliveries:
            other = "the server gave its event the name of another call's"
            await self._not_joined(delivery, ProtocolError(f"{delivery.name}: {other}"))
        else:
            delivery.event_id = event_id
            # Its beginning only: to some releases, the whole of it is enough to stop the event.
            delivery.log(logging.DEBUG, "sent as event %s...", event_id[:8])
            self._deliveries[event_id] = delivery
            for message in early:
                self._route(message)
            if self._deliveries and self._reader is None:
                self._reader = trio.CancelScope()
                self._hub.background.start_soon(
                    self._read, self._reader, driver, name="<event stream>"
                )
            self._tell_if_possible(delivery.fn_index)

    async def _not_joined(self, delivery: Delivery, error: TriojobError | None) -> None:
        if error is not None:
            delivery.translator.fail(error)
        if _suggests_restart(error):
            self._hub.watch.doubt()
        function = self._functions[delivery.fn_index]
        unsure = error is None or _may_be_queued(error)
        self._held_open = self._held_open or unsure
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
        current_call.set(None)  # this task was started for one call, and is there for all
        try:
            with contained(self._break, "reading the event stream"), scope:
                while self._deliveries:
                    # Those that the server has named by now: this stream is sure to tell of them.
                    expected = set(self._deliveries)
                    await driver.listen(self._hash, self._route)
                    self._check_closed(expected)
            if scope.cancelled_caught:
                # The server has yet to notice, and will then drop what the session has.
                self._last_use = self._last_use or self._lane
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
                forgotten = bool(message.get("session_not_found"))
                raise stream_failure("this session", message.get("message"), forgotten=forgotten)
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
        self._hub.watch.doubt()
        if not (self._deliveries or self._joining):
            return  # all had been said: there is nothing that the server could drop but State
        # The server drops what the old session had when it notices, which may be any moment now.
        self._hash = self._hub.http.secrets.new_session()
        self._end_heartbeat()
        self._renders.clear()
        self._early.clear()
        self._held_open = False
        for delivery in tuple(self._deliveries.values()):
            delivery.translator.fail(own_error(error, delivery.name))
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
            if self._last_use and self._held_open:
                self._reader.cancel()
            elif (
                self._lane or self._last_use or self._held_open
            ) and self._reader.deadline == math.inf:
                # The server closes it in a moment, after which its connection can be used again.
                self._reader.deadline = trio.current_time() + _LINGER
            return
        if self._place is not None:
            self._hub.give_place(self, self._place)
            self._place = None
            if self._lane and not self._last_use:
                self._hub.give_back(self)
        if self._last_use:
            self._end_heartbeat()

    def _end_heartbeat(self) -> None:
        """Let the app unload the session: it is used no more."""
        if self._heartbeat is not None:
            self._heartbeat.cancel()
            self._heartbeat = None

    def _tell_if_possible(self, fn_index: int) -> None:
        function = self._functions[fn_index]
        if (
            function.calls
            and not function.telling
            and all(call.abandoned and call.event_id is not None for call in function.calls)
        ):
            function.telling = True
            self._last_use = self._last_use or self._lane
            # Those of now: one that comes while the task starts is not to be stopped.
            calls = tuple(function.calls)
            which = f"#{calls[0].number}" if len(calls) == 1 else f"of {len(calls)} calls of"
            name = f"<goodbye {which} {calls[0].name}>"
            self._hub.background.start_soon(self._tell, function, calls, name=name)

    @trio.lowlevel.enable_ki_protection
    async def _tell(self, function: _Function, calls: tuple[Delivery, ...]) -> None:
        """Tell the server to stop all calls of a function: each by its name, as some may wait."""
        driver, waits = calls[0].driver, not calls[0].translator.running
        assert isinstance(driver, StreamDriver)
        if waits and self._lane and self._reader is not None and not driver.unqueues:
            # Before Gradio 6.14 a cancellation leaves a waiting call in the queue.
            # What does take it out is that the session's stream breaks before.
            self._reader.cancel()
            with trio.move_on_after(min(_NOTICE, self._hub.timeouts.cancel), shield=True):
                await trio.sleep_forever()
        for call in calls:
            await self._post_cancel(call)
        self._told(function, calls)

    def _told(self, function: _Function, calls: tuple[Delivery, ...]) -> None:
        self._held_open = True
        for call in calls:
            self._settle(call)
        function.telling = False
        function.told.unpark_all()
        self._rest()

    async def _post_cancel(self, call: Delivery) -> None:
        assert isinstance(call.driver, StreamDriver)
        current_call.set((call.number, call.name))
        if call.event_id is not None:
            # To some releases, it is enough to stop the event.
            self._hub.http.secrets.add_passing(call.event_id)
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
        hub, seconds, since = self._hub, self._hub.timeouts.cancel, trio.current_time()
        with trio.CancelScope(shield=True):
            # However many wait here for their turn: a server that answers hears of each.
            await hub.parting.acquire_on_behalf_of(call)
        try:
            # While this one waited, or just before, others met with silence: it would, too.
            deaf = hub.deaf_since >= since
            failed = "the server could not be told of a cancellation: %s"
            with contained(partial(call.log, logging.WARNING, failed), "cancelling"):
                with trio.move_on_after(0 if deaf else seconds, shield=True) as scope:
                    await goodbye
                deaf = scope.cancelled_caught
                hub.deaf_since = trio.current_time() if deaf else -math.inf
                if deaf:
                    silence = "the server did not answer a cancellation within %g s"
                    call.log(logging.WARNING, silence, seconds)
        finally:
            hub.parting.release_on_behalf_of(call)


def _suggests_restart(error: TriojobError | None) -> bool:
    """Tell whether a call may have failed so because the app was started anew."""
    # The one that is there now may know neither the function nor the login.
    return isinstance(error, (ConnectionLost, UnexpectedResponse, AuthenticationError))


def _may_be_queued(error: TriojobError) -> bool:
    """Tell whether the server may have queued a call that failed so."""
    if isinstance(error, UnexpectedResponse):
        # Of a proxy that gave up: the app behind it may not have.
        return error.status >= 500
    if isinstance(error, (ConnectionFailed, ServerStopped)):
        return False
    return isinstance(error, (ConnectionLost, ProtocolError))
