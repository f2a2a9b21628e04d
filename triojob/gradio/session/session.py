"""A session: a hash that the server knows, and one event stream for all its calls.

Which calls share a session, and when the server is told of a cancellation, follows from one fact:
Gradio's ``/cancel`` stops *every* running event of a function in a session, and the others never
hear of it (gradio 6.31, ``routes.py``, ``cancel_event``).  So a call of a function without State
has a session to itself, for as long as it lasts; where calls share one, `cancelling` says what may
be asked of the server.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import trio

from ..._errors import (
    AuthenticationError,
    CallInterrupted,
    ConnectionFailed,
    ConnectionLost,
    ProtocolError,
    ServerRestarted,
    ServerStopped,
    TriojobError,
    UnexpectedResponse,
)
from ..._logs import current_call, logger
from ..._messages import Status, StatusUpdate
from ..._turns import Turns
from .._config import AppInfo, EndpointInfo, Render
from .._containment import contained, own_error
from .._drivers import CallDriver, Conversation, Ready, StreamDriver, stream_failure
from .._wire import Garbled, Json, completes, is_cancel_answer
from .cancelling import CancelStep, next_step
from .limiter import Slot
from .pending_call import PendingCall
from .refusals import Refusals, is_refusal, is_stream_refusal

if TYPE_CHECKING:
    from .registry import SessionRegistry

_LINGER = 1.0
"""Seconds that a stream stays open after the last call on it, for the server to close it."""

_ENDED = "its session has ended"

_NOTICE = 0.25
"""Seconds that a server is given to notice that a stream was closed."""


class _Function:
    """The calls of one function in one session."""

    __slots__ = ("calls", "cancelling", "changed", "turns")

    def __init__(self, at_once: float) -> None:
        self.turns = Turns(at_once)
        self.calls: dict[PendingCall, None] = {}
        """Those that the server may be running, in the order in which they were sent."""
        self.cancelling = False
        """The server is being asked to stop calls; one that joined now would be stopped too."""
        self.changed = trio.lowlevel.ParkingLot()
        """Where those wait for whom the state of its calls matters."""

    @property
    def idle(self) -> bool:
        """Whether nothing is to be known of it any more."""
        return not (self.calls or self.cancelling) and self.turns.idle

    def needs_stream(self) -> bool:
        """Tell whether the server knows of calls, or is about to.

        One that waits for its slot does not count: the call that has the slot may wait for the
        very place in the budget of streams that this session would keep.
        """
        return self.cancelling or any(
            call.is_sent or (call.slot is not None and call.slot.held) for call in self.calls
        )

    def may_join(self) -> bool:
        """Tell whether a call that joins now can't be stopped by what is being cancelled."""
        return not self.cancelling


class Session:
    """A session hash with its one event stream.

    Args:
        reusable: It keeps nothing on the server, so it may serve other calls afterwards: the
            registry lends it to one call, or to those of a batch.
        one_at_a_time: One call of a function at a time, so that each can be cancelled exactly.
    """

    def __init__(
        self, registry: SessionRegistry, *, reusable: bool = False, one_at_a_time: bool = True
    ) -> None:
        self._registry = registry
        self._reusable = reusable
        # Whoever has the loan of a reusable one sees to that itself.
        self._at_once = 1 if one_at_a_time and not reusable else math.inf
        # A bearer secret: whoever knows it can cancel the session's events.  Never logged.
        self._hash = registry.http.secrets.new_session()
        self._functions: dict[int, _Function] = {}
        """Those that have calls here: of what `gr.render` makes anew, each has another number."""
        self._events: dict[str, PendingCall] = {}
        """The calls that the server has named."""
        self._dequeued: dict[str, PendingCall] = {}
        """Those that it has taken out of its queue, by their former ids, until they join again."""
        self._joining = 0
        self._early: dict[str, list[Json | Garbled]] = {}
        """Messages of events that the response to ``/queue/join`` has not named yet."""
        self._renders: dict[int | str | None, Render] = {}
        """What ``gr.render`` has made in this session: the last of each."""
        self._reader: trio.CancelScope | None = None
        self._opening = trio.Lock()
        self._stream_of: int | None = None
        """The number of the call for which this session took a place in the budget of streams."""
        self._held_open = False
        """The server may wait here for an event that we are done with: cancelled, or never named.
        Then it may not close the stream by itself."""
        self._ended = False
        """No new call joins: close the stream as soon as nothing needs it."""
        self._lent = False
        """The registry has lent it out, and is still to get it back."""
        self._leased = False
        """A batch uses it for further calls."""
        self._since: int | None = None
        """How often the app had been restarted at the last call with State; None for none."""
        self._heartbeat: trio.CancelScope | None = None
        """Around the heartbeat of ``_hash``; a reusable session needs none."""

    @property
    def hash(self) -> str:
        """The session's name with the server: a secret."""
        return self._hash

    @property
    def waiting(self) -> int:
        """How many calls wait for the one of the same function that is in flight here."""
        return sum(function.turns.waiting for function in self._functions.values())

    @property
    def ended(self) -> bool:
        """Whether the session takes no more calls."""
        return self._ended

    def is_free_for(self, fn_index: int) -> bool:
        """Tell whether a call of a function would be the only one of that here."""
        function = self._functions.get(fn_index)
        return not self._ended and (function is None or function.turns.idle)

    @property
    def app(self) -> AppInfo:
        """The app as this session has it."""
        app = self._registry.watch.app
        return app.with_renders(self._renders.values()) if self._renders else app

    def rendered(self, config: Json) -> None:
        """Take up what the app has rendered: functions that only this session has.

        Raises:
            ProtocolError: It is not what Gradio sends; the session stays as it was.
        """
        render = Render.from_config(config)
        self._renders[render.render_id] = render

    def lend(self, *, to_batch: bool = False) -> Session:
        """Note that a call, or a batch of them, has the use of this session; return it."""
        self._lent, self._leased = True, to_batch
        return self

    def give_up_lease(self) -> None:
        """Let the registry have the session back as soon as its calls have ended."""
        self._leased = False
        self._release_if_idle()

    def unused(self, slot: Slot | None) -> None:
        """Note that the call for which the session was taken has not come to it."""
        if slot is not None:
            slot.release()
        self._release_if_idle()

    # What a job's own task calls.

    async def send(self, call: PendingCall) -> bool:
        """Start a call: return when it is about to be sent.

        Being cancelled here means that the server never learns of it.

        Returns:
            False if the session ended while the call waited, which has ended with it.

        Raises:
            ConnectionFailed: The server can't be reached.
            ServerRestarted: The app is not the one any more that the call was meant for.
        """
        function = self._functions.get(call.fn_index)
        if function is None:
            clash = isinstance(call.driver, CallDriver) and (
                call.driver.mixes_generators and call.request.streams
            )
            function = self._functions[call.fn_index] = _Function(1 if clash else self._at_once)
        try:
            await function.turns.take(call.number)
        except BaseException:
            if call.slot is not None:
                call.slot.release()
            self._forget_if_idle(call.fn_index)
            raise
        if self._ended:
            function.turns.end(call.number)
            self.unused(call.slot)
            call.translator.cancel(_ENDED)
            return False
        function.calls[call] = None
        if isinstance(call.driver, StreamDriver):
            return await self._send_on_stream(call, call.driver)
        return await self._send_alone(call, call.driver)

    async def _send_on_stream(self, call: PendingCall, driver: StreamDriver) -> bool:
        requests = self._registry.http.requests
        self._joining += 1
        may_send = False
        try:
            with call.wait():
                if call.slot is None:
                    call.slot = await self._registry.acquire(call.info, call.number)
                await self._open(call)
                await self._acquire_request(call)
                may_send = True
            if not call.waited_in_vain:
                self._take_over(call)
        finally:
            if call.session is None:
                if may_send:
                    requests.release_on_behalf_of(call)
                self._joining -= 1
                self._leave(call)
        if call.session is None:
            return False
        self._start_joining(call, driver, again=False)
        return True

    async def _acquire_request(self, call: PendingCall) -> None:
        """Take a place for the join, at a moment when no cancel request can stop the call too."""
        function, requests = self._functions[call.fn_index], self._registry.http.requests
        while True:
            while not function.may_join():
                await function.changed.park()
            if requests.available_tokens > 0:
                requests.acquire_on_behalf_of_nowait(call)
                return
            await requests.acquire_on_behalf_of(call)
            if function.may_join():
                return
            requests.release_on_behalf_of(call)

    async def _open(self, call: PendingCall) -> None:
        """Take a place in the budget of streams, unless another call has done so."""
        if self._reader is not None:
            self._reader.deadline = math.inf  # it is needed again
        if self._stream_of is None:
            async with self._opening:
                if self._stream_of is None:
                    await self._registry.acquire_stream(self, call.number)
                    self._stream_of = call.number

    async def _send_alone(self, call: PendingCall, driver: CallDriver) -> bool:
        has_stream = False
        try:
            with call.wait():
                if call.slot is None:
                    call.slot = await self._registry.acquire(call.info, call.number)
                await self._registry.acquire_stream(call, call.number)
                has_stream = True
            if not call.waited_in_vain:
                self._take_over(call)
        finally:
            if call.session is None:
                if has_stream:
                    self._registry.release_stream(call, call.number)
                self._leave(call)
        if call.session is None:
            return False
        self._registry.background.start_soon(
            self._converse, call, driver, name=f"<call #{call.number} {call.name}>"
        )
        return True

    def _ready(self, info: EndpointInfo, bound: int) -> Ready:
        """Return what refuses a call, just before it is sent, if the app is another one now.

        Args:
            bound: How often the app had been restarted when the call's arguments were encoded.
        """
        watch = self._registry.watch
        known: list[int | None] = []

        async def ready(connection: int | None) -> None:
            known.append(self._since)  # before this call, however often it is sent
            await watch.revalidate(connection)
            if info.stateful:
                self._since = watch.restarts
            watch.check_generation(info, bound, known[0])

        return ready

    def _take_over(self, call: PendingCall) -> None:
        """From here on the server may learn of the call."""
        call.session = self
        call.request = replace(call.request, ready=self._ready(call.info, call.restarts))
        self._about_to_join(call)
        if self._heartbeat is None and not self._reusable:
            self._heartbeat = self._registry.heartbeats.start(self._hash)

    def _about_to_join(self, call: PendingCall) -> None:
        call.session_hash = self._hash
        call.join_scope = trio.CancelScope(shield=True)
        self._registry.joins.add(call)

    def abandoned(self, call: PendingCall) -> None:
        """Nobody waits for this call any more."""
        if isinstance(call.driver, StreamDriver):
            if call.waiting is not None:
                call.waiting.cancel()  # it may wait here to be sent once more
            self._review(call.fn_index)
        elif call.conversation_scope is not None:
            call.conversation_scope.cancel()

    def end(self) -> None:
        """Cancel all calls that are still in flight, and use the session no more."""
        self._ended = True
        for function in tuple(self._functions.values()):
            for call in tuple(function.calls):
                # Of jobs in groups that outlive the session; those of its own have ended.
                call.translator.cancel(_ENDED)
                if call.waiting is not None:
                    call.waiting.cancel()
                call.abandon()
        self._release_if_idle()

    # Calls on connections of their own.

    @trio.lowlevel.enable_ki_protection
    async def _converse(self, call: PendingCall, driver: CallDriver) -> None:
        translator = call.translator
        assert call.slot is not None
        current_call.set((call.number, call.name))
        call.log(logging.DEBUG, "sent on a connection of its own")
        if not driver.tells_start:
            call.slot.started()
        assert call.conversation_scope is not None
        refusals = self._refusals(call)

        def fail(error: TriojobError) -> None:
            if _suggests_restart(error):
                self._registry.watch.mark_suspect()
            translator.fail(error)

        def begin() -> Conversation:
            assert call.join_scope is not None
            return Conversation(
                session_hash=call.session_hash,
                call=call.request,
                deliver=call.feed,
                ended=lambda: translator.finished,
                hold=call.join_scope,
                refused=partial(self._stream_refused, {"": call}, refusals),
            )

        conversation = begin()
        try:
            with contained(fail, call.name), call.conversation_scope:
                while (error := await self._error_of(driver, conversation)) is not None:
                    begun = translator.started or conversation.event_id is not None
                    seconds = None if begun else self._refused(call, refusals, error)
                    if seconds is None:
                        raise error
                    translator.status(StatusUpdate(Status.STARTING))
                    await trio.sleep(seconds)
                    self._about_to_join(call)
                    conversation = begin()
                if not translator.finished:
                    raise ConnectionLost(f"the server hung up without finishing {call.name}")
        finally:
            self._registry.joins.discard(call)
            self._registry.release_stream(call, call.number)
            # In here, as the client's end may cancel this task before it notices that its call was
            # abandoned; what is said to the server is shielded.
            if call.abandoned:
                alone = self._runs_nothing_but_abandoned()
                await self._send_cancel(call, driver.part(conversation, alone=alone))
                self._ended = self._ended or self._reusable
            self._leave(call)

    @staticmethod
    async def _error_of(driver: CallDriver, conversation: Conversation) -> TriojobError | None:
        errors: list[TriojobError] = []
        with contained(errors.append, conversation.call.name):
            await driver.converse(conversation)
        return errors.pop() if errors else None

    # Joining.  The tasks here are shielded from Ctrl-C: it goes to the main task, as it should.

    def _start_joining(self, call: PendingCall, driver: StreamDriver, *, again: bool) -> None:
        self._registry.background.start_soon(
            partial(self._join, call, driver, again=again),
            name=f"<join #{call.number} {call.name}>",
        )

    @trio.lowlevel.enable_ki_protection
    async def _join(self, call: PendingCall, driver: StreamDriver, *, again: bool) -> None:
        """Send a call and learn its event id, come what may: a cancellation is held until then.

        Args:
            again: The server has had the call before, so it is not yet ready to be sent.
        """
        current_call.set((call.number, call.name))
        refusals = self._refusals(call)
        event_id: str | None = None
        error: TriojobError | None = None
        sent = False
        ready = not again or await self._wait_to_join(call)
        while ready:
            sent, ready = True, False
            event_id, error = await self._ask_to_join(call, driver)
            if error is not None and (seconds := self._refused(call, refusals, error)) is not None:
                # The server has provably not started it, so it may be sent again.
                sent = False
                assert call.slot is not None
                call.slot.withdraw()
                self._release_if_idle()  # others may wait for the stream
                call.translator.status(StatusUpdate(Status.STARTING))
                ready = await self._wait_to_join(call, seconds)
        self._joining -= 1
        early = self._early.pop(event_id, []) if event_id is not None else []
        if not self._joining:
            self._early.clear()
        if not sent:
            self._leave(call)
        elif event_id is None:
            await self._not_joined(call, error)
        elif call.session_hash != self._hash:
            # Meanwhile the stream broke, and the server has dropped or will drop all that it had.
            lost = "the session's event stream broke while the call was being sent"
            await self._not_joined(call, ConnectionLost(f"{call.name}: {lost}"))
        elif event_id in self._events:
            other = "the server gave its event the name of another call's"
            await self._not_joined(call, ProtocolError(f"{call.name}: {other}"))
        else:
            call.event_id = event_id
            # Its beginning only: to some releases, the whole of it is enough to stop the event.
            call.log(logging.DEBUG, "sent as event %s...", event_id[:8])
            self._events[event_id] = call
            for message in early:
                self._route(message)
            if self._events and self._reader is None:
                self._reader = trio.CancelScope()
                self._registry.background.start_soon(
                    self._read, self._reader, driver, name="<event stream>"
                )
            self._review(call.fn_index)

    def _refusals(self, call: PendingCall) -> Refusals:
        return Refusals(self._registry.limits.refused_for if call.patient else 0)

    async def _ask_to_join(
        self, call: PendingCall, driver: StreamDriver
    ) -> tuple[str | None, TriojobError | None]:
        """Send a call once; return the event's id, or why there is none if that is known."""
        event_id: str | None = None
        errors: list[TriojobError] = []
        assert call.join_scope is not None
        try:
            with contained(errors.append, call.name), call.join_scope:
                event_id = await driver.join(call.session_hash, call.request)
        finally:
            self._registry.joins.discard(call)
            call.join_scope = None
            self._registry.http.requests.release_on_behalf_of(call)
        return event_id, errors.pop() if errors else None

    def _refused(self, call: PendingCall, refusals: Refusals, error: TriojobError) -> float | None:
        """Return in how many seconds a call that was refused may be sent again; None for never."""
        assert call.slot is not None
        if not is_refusal(error, alive=self._registry.is_heard):
            if isinstance(error, ConnectionLost):
                call.slot.refused()  # reset: whether the server has it is not known
            return None
        call.slot.refused()
        self._registry.http.close_idle()
        seconds = refusals.pause(error)
        if seconds is None or call.abandoned or self._ended or self._registry.closed:
            return None
        call.log(logging.INFO, "refused (%s); sending it again in %.2f s", error, seconds)
        return seconds

    async def _wait_to_join(self, call: PendingCall, seconds: float | None = None) -> bool:
        """Wait until a call that the server does not have may be sent again.

        Args:
            seconds: How long to wait at least, and for its slot then; None if it has one.

        Returns:
            Whether it may be; not if nobody waits for it any more.
        """
        with call.wait():
            if seconds is not None:
                assert call.slot is not None
                await trio.sleep(seconds)
                await call.slot.acquire()
                await self._open(call)
            await self._acquire_request(call)
            self._about_to_join(call)
            return True
        return False

    async def _not_joined(self, call: PendingCall, error: TriojobError | None) -> None:
        if error is not None:
            call.translator.fail(error)
        if _suggests_restart(error):
            self._registry.watch.mark_suspect()
        function = self._functions[call.fn_index]
        unsure = error is None or _may_be_queued(error)
        self._held_open = self._held_open or unsure
        if unsure and len(function.calls) == 1:
            # The server may have queued it under a name that we don't know.  As there is nothing
            # else of this function here, a cancellation by any name stops this call or none.
            function.cancelling = True
            self._ended = self._ended or self._reusable
            await self._post_cancel(call)
            self._cancelled((call,))
            self._cancelling_is_over(call.fn_index)
        else:
            self._leave(call)

    # Reading.

    @trio.lowlevel.enable_ki_protection
    async def _read(self, scope: trio.CancelScope, driver: StreamDriver) -> None:
        current_call.set(None)  # this task was started for one call, and is there for all
        try:
            with contained(self._break, "reading the event stream"), scope:
                while self._events:
                    # Those that the server has named by now: this stream is sure to tell of them.
                    expected = set(self._events)
                    refusals = Refusals(self._registry.limits.refused_for)
                    refused = partial(self._stream_refused, self._events, refusals)
                    await driver.listen(self._hash, self._route, refused)
                    self._registry.listening.discard(self)
                    self._check_closed(expected)
                    self._held_open = False  # the server has nothing pending here
            if scope.cancelled_caught:
                # The server has yet to notice, and will then drop what the session has.
                self._ended = self._ended or self._reusable
        finally:
            self._reader = None
            self._registry.listening.discard(self)
            self._release_if_idle()

    async def _stream_refused(
        self, calls: Mapping[str, PendingCall], refusals: Refusals, error: TriojobError
    ) -> None:
        """Wait until a stream that was not opened may be asked for again, or raise the error."""
        for call in calls.values():
            if call.slot is not None:
                call.slot.refused()
        self._registry.http.close_idle()
        seconds = None
        if is_stream_refusal(error, alive=self._registry.is_heard):
            seconds = refusals.pause(error)
        if seconds is None:
            raise error
        await trio.sleep(seconds)

    def _check_closed(self, expected: set[str]) -> None:
        """Raise if calls are left that no further stream would tell of.

        The server closes the stream when no event of the session is pending, so one that was is
        gone.  But one that joined just then, and has had no message yet, is told of on the next
        stream: there, a message is sure to come before that one's end.
        """
        for event_id, call in self._events.items():
            if not call.off_the_books and (event_id in expected or call.translator.started):
                raise ConnectionLost(
                    f"the server closed the event stream without finishing {call.name}"
                )

    def _route(self, message: Json | Garbled) -> None:
        self._registry.listening.add(self)
        event_id = _event_of(message)
        if event_id is None:
            return
        call = self._events.get(event_id)
        if call is None:
            if event_id in self._dequeued:
                # It was about to start just then, so it has not been taken out.
                self._dequeued[event_id].feed(message)
            # Before the join's response has been read, or after the event's end: those are dropped.
            if self._joining:
                self._early.setdefault(event_id, []).append(message)
            return
        if call.dequeuing and is_cancel_answer(message):
            self._taken_out(call, event_id)
            return
        was_running = call.translator.running
        call.feed(message)
        if completes(message):
            self._finish(call)
        elif call.translator.finished and not call.abandoned:
            # It ended in an invalid message: here it is over, but the server goes on.
            call.abandon()
        elif call.translator.running and not was_running:
            self._functions[call.fn_index].changed.unpark_all()
            self._review(call.fn_index)

    def _break(self, error: TriojobError) -> None:
        """The stream broke, and with it each call that uses it."""
        self._registry.watch.mark_suspect()
        if not (self._events or self._joining):
            return  # all had been said: there is nothing that the server could drop but State
        # The server drops what the old session had when it notices, which may be any moment now.
        self._hash = self._registry.http.secrets.new_session()
        self._end_heartbeat()
        self._renders.clear()
        self._early.clear()
        self._held_open = False
        for call in tuple(self._events.values()):
            call.translator.fail(own_error(error, call.name))
            self._finish(call)

    # Ending.

    def _finish(self, call: PendingCall) -> None:
        """The server is done with this call."""
        if call.event_id is not None:
            self._events.pop(call.event_id, None)
        self._leave(call)

    def _leave(self, call: PendingCall) -> None:
        function = self._functions.get(call.fn_index)
        if function is not None and call in function.calls:
            del function.calls[call]
            call.dequeuing = False
            if call.slot is not None:
                call.slot.release()
            function.turns.end(call.number)
            function.changed.unpark_all()
            self._review(call.fn_index)
            self._forget_if_idle(call.fn_index)
            self._release_if_idle()

    def _forget_if_idle(self, fn_index: int) -> None:
        function = self._functions.get(fn_index)
        if function is not None and function.idle:
            del self._functions[fn_index]

    def _release_if_idle(self) -> None:
        """Let go of what nothing needs any more: the stream, its place, and then the session."""
        if any(function.needs_stream() for function in self._functions.values()):
            return
        if self._reader is not None:
            if self._ended and self._held_open:
                self._reader.cancel()
            elif (
                self._reusable or self._ended or self._held_open
            ) and self._reader.deadline == math.inf:
                # The server closes it in a moment, after which its connection can be used again.
                self._reader.deadline = trio.current_time() + _LINGER
            return
        if self._stream_of is not None:
            self._registry.release_stream(self, self._stream_of)
            self._stream_of = None
        if any(function.calls for function in self._functions.values()):
            return  # some still wait on this side
        if self._lent and not self._leased and not self._ended:
            self._lent = False
            self._registry.give_back(self)
        if self._ended:
            self._end_heartbeat()

    def _end_heartbeat(self) -> None:
        """Let the app unload the session: it is used no more."""
        if self._heartbeat is not None:
            self._heartbeat.cancel()
            self._heartbeat = None

    # Cancelling: `cancelling.next_step` says what, and this does it.

    def _review(self, fn_index: int) -> None:
        """Ask of the server what may be asked now, in a task of its own."""
        function = self._functions.get(fn_index)
        if function is None or function.cancelling or not function.calls:
            return
        driver = next(iter(function.calls)).driver
        if not isinstance(driver, StreamDriver):
            return
        step = next_step(function.calls, dequeues=driver.dequeues)
        if step is None:
            return
        function.cancelling = True
        for call in step.dequeue:
            call.dequeuing = True
        calls = {*step.dequeue, *step.stop}
        first = next(iter(step.stop or step.dequeue))
        which = f"#{first.number}" if len(calls) == 1 else f"{len(calls)} calls of"
        self._registry.background.start_soon(
            self._take_step, function, driver, step, name=f"<cancel {which} {first.name}>"
        )

    @trio.lowlevel.enable_ki_protection
    async def _take_step(self, function: _Function, driver: StreamDriver, step: CancelStep) -> None:
        """Ask the server what the step says; then let those join that have waited for it."""
        async with trio.open_nursery() as nursery:
            for call in step.dequeue:
                assert call.event_id is not None
                taking_out = driver.dequeue(call.session_hash, call.event_id)
                nursery.start_soon(self._send_cancel, call, taking_out)
        bystanders = [call for call in step.dequeue if not call.abandoned]
        review = True
        if not bystanders:
            await self._stop(step, driver)
            self._cancelled(step.stop)
        elif review := await self._are_out(function, bystanders):
            await self._stop(step, driver)
            # What the server had started before it stopped them is told of before their ends.
            await self._until(function, lambda: not any(map(self._is_expected, step.stop)))
            self._cancelled(step.stop)
        for event_id, call in tuple(self._dequeued.items()):
            if call.fn_index == step.fn_index:
                del self._dequeued[event_id]
                self._join_again(call, driver)
        self._cancelling_is_over(step.fn_index)
        if review:
            self._review(step.fn_index)

    def _cancelling_is_over(self, fn_index: int) -> None:
        function = self._functions[fn_index]
        function.cancelling = False
        function.changed.unpark_all()
        self._forget_if_idle(fn_index)
        self._release_if_idle()

    async def _are_out(self, function: _Function, calls: list[PendingCall]) -> bool:
        """Wait until the server has said of each whether it was queued; tell whether all were.

        A function that had started goes on; a generator that had is disturbed by the request, so
        it ends in an error.
        """
        await self._until(function, lambda: not any(call.dequeuing for call in calls))
        for call in calls:
            if call.dequeuing:
                call.dequeuing = False
                call.log(logging.WARNING, "the server did not say whether it left the queue")
        return not any(call.event_id is not None and not call.abandoned for call in function.calls)

    async def _until(self, function: _Function, condition: Callable[[], bool]) -> None:
        """Wait for what the server is about to say, for as long as a cancel request may take."""
        with trio.move_on_after(self._registry.timeouts.cancel, shield=True):
            while not condition():
                await function.changed.park()

    def _is_expected(self, call: PendingCall) -> bool:
        """Tell whether the stream is still to say that a call has ended."""
        return call.event_id in self._events and not call.off_the_books

    def _taken_out(self, call: PendingCall, event_id: str) -> None:
        """The server has answered the request to take a call out of its queue."""
        call.dequeuing = False
        if call.translator.running:
            call.off_the_books = True
            if call.request.streams and not call.abandoned:
                call.translator.fail(
                    CallInterrupted(
                        f"{call.name} was stopped: it started while another call of it in this "
                        "session was being cancelled, and Gradio can't stop one of them alone"
                    )
                )
                call.abandon()
        else:
            del self._events[event_id]
            call.event_id = None
            if call.abandoned:
                self._leave(call)
                return
            self._dequeued[event_id] = call
        self._functions[call.fn_index].changed.unpark_all()
        self._review(call.fn_index)

    def _join_again(self, call: PendingCall, driver: StreamDriver) -> None:
        """Send a call once more that the server had taken out of its queue."""
        if call.translator.running:
            stopped = "was stopped together with another call of it, as it started just then"
            call.translator.fail(CallInterrupted(f"{call.name} {stopped}"))
        if call.abandoned or call.translator.finished:
            self._leave(call)
        else:
            self._joining += 1
            self._start_joining(call, driver, again=True)

    async def _stop(self, step: CancelStep, driver: StreamDriver) -> None:
        """Stop what runs of a function: all of it."""
        if not step.stop:
            return
        if len(step.stop) == 1 and step.stop[0].queued and not driver.dequeues and self._reusable:
            # Before Gradio 6.14 a cancellation leaves a waiting call in the queue.
            # What does take it out is that the session's stream breaks before.
            self._ended = True
            if self._reader is not None:
                self._reader.cancel()
                with trio.move_on_after(min(_NOTICE, self._registry.timeouts.cancel), shield=True):
                    await trio.sleep_forever()
        rest = [call for call in step.stop if call not in step.dequeue]
        # Even if all of them waited: one may have started while it was being taken out.
        async with trio.open_nursery() as nursery:
            for call in rest or step.stop[-1:]:
                nursery.start_soon(self._post_cancel, call)

    def _cancelled(self, calls: Iterable[PendingCall]) -> None:
        """The server has been told of these, and has nothing more to say of them."""
        self._held_open = True
        for call in calls:
            self._finish(call)

    async def _post_cancel(self, call: PendingCall) -> None:
        assert isinstance(call.driver, StreamDriver)
        request = call.driver.cancel(
            call.session_hash,
            call.request,
            call.event_id or "unknown",
            alone=self._runs_nothing_but_abandoned(),
        )
        if not await self._send_cancel(call, request):
            # The server may run it on, so no other call of the function may come here.
            self._ended = self._ended or self._reusable

    def _runs_nothing_but_abandoned(self) -> bool:
        return all(
            call.abandoned for function in self._functions.values() for call in function.calls
        )

    async def _send_cancel(self, call: PendingCall, request: Awaitable[None]) -> bool:
        """Send a cancel request, shielded and bounded; tell whether the server answered."""
        current_call.set((call.number, call.name))
        if call.event_id is not None:
            # To some releases, it is enough to stop the event.
            self._registry.http.secrets.add_passing(call.event_id)
        registry, seconds = self._registry, self._registry.timeouts.cancel
        since, answered = trio.current_time(), False
        with trio.CancelScope(shield=True):
            # However many wait here: a server that answers gets each of them.
            await registry.cancel_requests.acquire_on_behalf_of(call)
        try:
            # While this one waited, or just before, others met with silence: it would, too.
            deaf = registry.deaf_since >= since
            failed = "the server could not be told of a cancellation: %s"
            with contained(partial(call.log, logging.WARNING, failed), "cancelling"):
                with trio.move_on_after(0 if deaf else seconds, shield=True) as scope:
                    await request
                    answered = True
                deaf = scope.cancelled_caught
                registry.deaf_since = trio.current_time() if deaf else -math.inf
                if deaf:
                    silence = "the server did not answer a cancellation within %g s"
                    call.log(logging.WARNING, silence, seconds)
        finally:
            registry.cancel_requests.release_on_behalf_of(call)
        return answered


def _event_of(message: Json | Garbled) -> str | None:
    """Return which event a message is of, or None if it is of none.

    Raises:
        ConnectionLost: It says that the stream has failed.
        Exception: Nobody can tell, as it can't be read.
    """
    if isinstance(message, Garbled):
        if message.event_id is None:
            if not message.is_object:
                raise message.error
            logger.warning("ignoring a message that names no call: %s", message.error)
        return message.event_id
    event_id: str | None = message.get("event_id")
    if event_id is None and message["msg"] == "unexpected_error":
        forgotten = bool(message.get("session_not_found"))
        raise stream_failure("this session", message.get("message"), forgotten=forgotten)
    return event_id


def _suggests_restart(error: TriojobError | None) -> bool:
    """Tell whether a call may have failed so because the app was restarted."""
    # The one that is there now may know neither the function nor the login.
    suspects = (ConnectionLost, UnexpectedResponse, AuthenticationError)
    return isinstance(error, suspects) and not isinstance(error, ServerRestarted)


def _may_be_queued(error: TriojobError) -> bool:
    """Tell whether the server may have queued a call that failed so."""
    if isinstance(error, UnexpectedResponse):
        # Of a proxy that gave up: the app behind it may not have.
        return error.status >= 500 and not is_refusal(error, alive=True)
    if isinstance(error, (ConnectionFailed, ServerRestarted, ServerStopped)):
        return False
    return isinstance(error, (ConnectionLost, ProtocolError))
