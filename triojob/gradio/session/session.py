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
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

import trio

from ..._core.containment import contained, own_error
from ..._core.logs import current_call, logger
from ..._exceptions import (
    AuthenticationError,
    ConnectionLost,
    NetworkError,
    ServerRestarted,
    TriojobError,
    UnexpectedResponse,
)
from ..http.request import Ready
from ..protocol.base import StreamDriver, has_session_stream
from ..protocol.event_stream import stream_failure
from ..protocol.messages import Garbled, Json, completes, is_cancel_answer
from ..schema.app import AppInfo, Render
from .backoff import Refusals, is_refusal, may_have_been_opened
from .canceller import Canceller
from .conversations import Conversations
from .event_ids import EventIds
from .function_calls import FunctionCalls
from .joiner import Joiner
from .pending_call import PendingCall
from .window_limiter import Slot

if TYPE_CHECKING:
    from .registry import SessionRegistry

_LINGER = 1.0
"""Seconds that a stream stays open after the last call on it, for the server to close it."""

_ENDED = "its session has ended"


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
        self.reusable = reusable
        # Whoever has the loan of a reusable one sees to that itself.
        self._at_once = 1 if one_at_a_time and not reusable else math.inf
        # A bearer secret: whoever knows it can cancel the session's events.  Never logged.
        self._hash = registry.http.secrets.new_session()
        self.functions: dict[int, FunctionCalls] = {}
        """Those that have calls here: of what `gr.render` makes anew, each has another number."""
        self.event_ids: EventIds = EventIds()
        """Which events of its stream its calls are."""
        self.canceller: Canceller = Canceller(self, registry)
        self.joiner: Joiner = Joiner(self, registry)
        self._conversations = Conversations(self, registry)
        self._renders: dict[int | str | None, Render] = {}
        """What ``gr.render`` has made in this session: the last of each."""
        self._reader: trio.CancelScope | None = None
        self._opening = trio.Lock()
        self._stream_of: int | None = None
        """The number of the call for which this session took a place in the budget of streams."""
        self._unsure: set[PendingCall] = set()
        """The calls whose messages may have gone to a connection that was reset."""
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
        return sum(function.limiter.waiting for function in self.functions.values())

    @property
    def ended(self) -> bool:
        """Whether the session takes no more calls."""
        return self._ended

    def is_free_for(self, fn_index: int) -> bool:
        """Tell whether a call of a function would be the only one of that here."""
        function = self.functions.get(fn_index)
        return not self._ended and (function is None or function.limiter.idle)

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
        self.release_if_idle()

    def unused(self, slot: Slot | None) -> None:
        """Note that the call for which the session was taken has not come to it."""
        if slot is not None:
            slot.release()
        self.release_if_idle()

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
        function = self.functions.get(call.fn_index)
        if function is None:
            clash = call.driver.traits.mixes_generators and call.request.streams
            function = self.functions[call.fn_index] = FunctionCalls(1 if clash else self._at_once)
        try:
            await function.limiter.acquire(call.number)
        except BaseException:
            if call.slot is not None:
                call.slot.release()
            self.forget_if_idle(call.fn_index)
            raise
        if self._ended:
            function.limiter.release(call.number)
            self.unused(call.slot)
            call.translator.cancel(_ENDED)
            return False
        function.calls[call] = None
        if has_session_stream(call.driver):
            return await self.joiner.send(call, call.driver)
        return await self._conversations.send(call, call.driver)

    async def open_stream(self, call: PendingCall) -> None:
        """Take a place in the budget of streams, unless another call has done so."""
        if self.open_stream_now(call):
            return
        async with self._opening:
            if self._stream_of is None:
                await self._registry.acquire_stream(self, call.number)
                self._stream_of = call.number

    def open_stream_now(self, call: PendingCall) -> bool:
        """Do the same if that needs no waiting; return whether there is a place."""
        if self._reader is not None:
            self._reader.deadline = math.inf  # it is needed again
        if (
            self._stream_of is None
            and not self._opening.locked()
            and self._registry.acquire_stream_now(self, call.number)
        ):
            self._stream_of = call.number
        return self._stream_of is not None

    def ready(self, call: PendingCall) -> Ready:
        """Return what refuses a call, just before it is sent, if the app is another one now."""
        # The call must not hold it, or only the garbage collector would free them.
        return partial(self._get_ready, call)

    async def _get_ready(self, call: PendingCall, connection: int | None) -> None:
        watch, info = self._registry.watch, call.info
        call.since.append(self._since)
        await watch.revalidate(connection)
        if info.stateful:
            self._since = watch.restarts
        watch.check_generation(info, call.restarts, call.since[0])
        call.sent = True

    def take_over(self, call: PendingCall) -> None:
        """From here on the server may learn of the call."""
        call.session = self
        self.about_to_join(call)
        if self._heartbeat is None and not self.reusable:
            self._heartbeat = self._registry.heartbeats.start(self._hash)

    def about_to_join(self, call: PendingCall) -> None:
        """Have the server's response awaited, come what may, which `SessionRegistry` bounds."""
        if has_session_stream(call.driver):
            self.event_ids.joining(call)
        call.session_hash = self._hash
        call.sent = False
        call.join_scope = trio.CancelScope(shield=True)
        self._registry.joins.add(call)

    def abandoned(self, call: PendingCall) -> None:
        """Nobody waits for this call any more."""
        function = self.functions.get(call.fn_index)
        if function is not None and call in function.calls:
            function.abandoned.add(call)
        if has_session_stream(call.driver):
            if call.waiting is not None:
                call.waiting.cancel()  # it may wait here to be sent once more
            self.canceller.review(call.fn_index)
        elif call.conversation_scope is not None:
            call.conversation_scope.cancel()

    def end(self) -> None:
        """Cancel all calls that are still in flight, and use the session no more."""
        self._ended = True
        for function in tuple(self.functions.values()):
            for call in tuple(function.calls):
                # Of jobs in groups that outlive the session; those of its own have ended.
                call.translator.cancel(_ENDED)
                if call.waiting is not None:
                    call.waiting.cancel()
                call.abandon()
        self.release_if_idle()

    # For those that send the calls.

    @property
    def runs_nothing_but_abandoned(self) -> bool:
        """Whether nobody waits for any of the calls that are in flight here."""
        return all(
            call.abandoned for function in self.functions.values() for call in function.calls
        )

    def refusals(self, call: PendingCall) -> Refusals:
        """Return what counts how often a call is refused."""
        return Refusals(self._registry.limits.refused_for if call.patient else 0)

    def refused(self, call: PendingCall, refusals: Refusals, error: TriojobError) -> float | None:
        """Return in how many seconds a call that was refused may be sent again; None for never."""
        assert call.slot is not None
        if not is_refusal(error, alive=self._registry.is_heard):
            if isinstance(error, NetworkError):
                call.slot.refused()  # reset: whether the server has it is not known
            return None
        call.slot.refused()
        self._registry.http.close_idle()
        seconds = refusals.pause(error)
        if seconds is None or call.abandoned or self._ended or self._registry.closed:
            return None
        call.log(logging.INFO, "refused (%s); sending it again in %.2f s", error, seconds)
        return seconds

    def suspect(self, error: TriojobError) -> None:
        """Have the app looked at before the next call, if its restart may have failed one so."""
        # The one that is there now may know neither the function nor the login.
        suspects = (NetworkError, UnexpectedResponse, AuthenticationError)
        if isinstance(error, suspects) and not isinstance(error, ServerRestarted):
            self._registry.watch.mark_suspect()

    def retire(self) -> None:
        """Have no other call use a session that was lent: the server may have something there."""
        self._ended = self._ended or self.reusable

    # Joining.

    def joined(self, call: PendingCall, event_id: str) -> None:
        """Note which event a call is; take what the stream has told of it by now."""
        call.event_id = event_id
        # Its beginning only: to some releases, the whole of it is enough to stop the event.
        call.log(logging.DEBUG, "sent as event %s...", event_id[:8])
        for message in self.event_ids.joined(call, event_id):
            self._route(message)
        self.canceller.review(call.fn_index)

    def identify_lost(self, driver: StreamDriver) -> None:
        """Find out which events the lost calls are, as far as the stream tells; have it read."""
        reader = self._new_reader()
        if reader is not None:
            self._registry.background.start_soon(self._read, reader, driver)

    async def read_on(self, driver: StreamDriver) -> None:
        """Do the same, and read the stream in this task if it is to be read and no other one does.

        To be called at the end of a task of the background: that need not start another one then.
        """
        reader = self._new_reader()
        if reader is not None:
            await self._read(reader, driver)

    def _new_reader(self) -> trio.CancelScope | None:
        """Return the scope in which to read the stream from now on; None if that is not due."""
        self._take_found()
        reader: trio.CancelScope | None = None
        if self._reader is None and self.event_ids.needs_stream:
            reader = self._reader = trio.CancelScope()
        self._shield_reader()
        return reader

    def _take_found(self) -> None:
        while (found := self.event_ids.find()) is not None:
            call, event_id = found
            self.joined(call, event_id)
            self.give_up_lost((call,))

    def give_up_lost(self, calls: Iterable[PendingCall]) -> None:
        """Look no longer for the events of calls whose joins were lost."""
        for call in calls:
            call.lost = False
            self.event_ids.not_joined(call)
        self._shield_reader()
        for function in self.functions.values():
            function.changed.unpark_all()

    def _shield_reader(self) -> None:
        """Have the stream read at the client's end too, while it is to find lost calls."""
        if self._reader is not None:
            self._reader.shield = bool(self.event_ids.lost)

    # Reading.

    @trio.lowlevel.enable_ki_protection
    async def _read(self, scope: trio.CancelScope, driver: StreamDriver) -> None:
        # This task was started for one call, and is there for all.
        current_call.set(None)
        trio.lowlevel.current_task().name = "<event stream>"
        try:
            with contained(self._break, "reading the event stream"), scope:
                while self.event_ids.needs_stream:
                    # Those that the server has named by now: this stream is sure to tell of them.
                    expected, lost = set(self.event_ids.calls), self.event_ids.lost
                    refusals = Refusals(self._registry.limits.refused_for)
                    refused = partial(self._stream_refused, refusals)
                    async with driver.open(self._hash, refused) as messages:
                        async for message in messages:
                            self._route(message)
                    self._registry.listening.discard(self)
                    self._check_closed(expected)
                    # The server has nothing pending here.
                    self.give_up_lost(lost)
                    self.event_ids.stream_ended()
                    self._unsure.clear()
                    self._held_open = False
            if scope.cancelled_caught:
                # The server has yet to notice, and will then drop what the session has.
                self.retire()
        finally:
            self._reader = None
            self._registry.listening.discard(self)
            self.release_if_idle()

    async def _stream_refused(self, refusals: Refusals, error: TriojobError) -> None:
        calls = self.event_ids.calls.values()
        is_reset = self._registry.is_heard and may_have_been_opened(error)
        if is_reset:
            self._unsure |= {*calls, *self.event_ids.joining_calls}
        await self.stream_refused(calls, refusals, error, again=is_reset)

    async def stream_refused(
        self,
        calls: Iterable[PendingCall],
        refusals: Refusals,
        error: TriojobError,
        *,
        again: bool = False,
    ) -> None:
        """Wait until a stream that was not opened may be asked for again, or raise the error.

        Args:
            again: Whether it may be where it is not sure that the server has not opened it.
        """
        for call in calls:
            if call.slot is not None:
                call.slot.refused()
        self._registry.http.close_idle()
        seconds = None
        if again or is_refusal(error, alive=self._registry.is_heard):
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
        for event_id, call in self.event_ids.calls.items():
            if not call.off_the_books and (event_id in expected or call.translator.started):
                raise ConnectionLost(
                    f"the server closed the event stream without finishing {call.name}"
                )

    def _route(self, message: Json | Garbled) -> None:
        self._registry.listening.add(self)
        event_id = _event_of(message)
        if event_id is None:
            if self._unsure and not isinstance(message, Garbled) and message["msg"] == "heartbeat":
                self._give_up_unsure()
            return
        call = self.event_ids.calls.get(event_id)
        if call is None:
            self.canceller.feed_taken_out(event_id, message)
            # Before the join's response has been read, or after the event's end.
            self.event_ids.keep(event_id, message)
            self._take_found()
            return
        if call.dequeuing and is_cancel_answer(message):
            self.canceller.taken_out(call, event_id)
            return
        self._unsure.discard(call)
        was_running = call.translator.running
        call.feed(message)
        if completes(message):
            self.finish(call, told=True)
        elif call.translator.finished and not call.abandoned:
            # It ended in an invalid message: here it is over, but the server goes on.
            call.abandon()
        elif call.translator.running and not was_running:
            self.functions[call.fn_index].changed.unpark_all()
            self.canceller.review(call.fn_index)

    def _give_up_unsure(self) -> None:
        """End the calls whose messages went to a connection that was reset.

        Gradio sends each message once.  A stream that was not opened before begins with the ranks
        of its calls, and a heartbeat comes after those.
        """
        lost = "the connection was reset as the event stream was opened, and with it went"
        for call in [call for call in self.event_ids.calls.values() if call in self._unsure]:
            self._unsure.discard(call)
            self._held_open = True  # the server has nothing to close the stream for
            call.translator.fail(ConnectionLost(f"{lost} what the server told of {call.name}"))
            self.finish(call, told=True)

    def _break(self, error: TriojobError) -> None:
        """The stream broke, and with it each call that uses it."""
        self._registry.watch.mark_suspect()
        if not self.event_ids.may_be_pending:
            # All had been said: there is nothing that the server could drop but State.
            self.give_up_lost(self.event_ids.lost)
            return
        # The server drops what the old session had when it notices, which may be any moment now.
        self._hash = self._registry.http.secrets.new_session()
        self._end_heartbeat()
        self._renders.clear()
        self._unsure.clear()
        self._held_open = False
        self.give_up_lost(self.event_ids.lost)
        for call in self.event_ids.clear():
            call.translator.fail(own_error(error, call.name))
            self.leave(call)

    # Ending.

    def finish(self, call: PendingCall, *, told: bool) -> None:
        """Let go of a call that the server is done with.

        Args:
            told: Whether the stream has told of its end.
        """
        if call.event_id is not None:
            self.event_ids.end(call.event_id, told=told)
        self.leave(call)

    def leave(self, call: PendingCall) -> None:
        """Let go of a call that the server does not have."""
        function = self.functions.get(call.fn_index)
        if function is not None and call in function.calls:
            del function.calls[call]
            function.abandoned.discard(call)
            self._unsure.discard(call)
            call.dequeuing = False
            if call.slot is not None:
                call.slot.release()
            function.limiter.release(call.number)
            function.changed.unpark_all()
            self.canceller.review(call.fn_index)
            self.forget_if_idle(call.fn_index)
            self.release_if_idle()

    def forget_if_idle(self, fn_index: int) -> None:
        """Let go of a function that has no calls here."""
        function = self.functions.get(fn_index)
        if function is not None and function.idle:
            del self.functions[fn_index]

    def release_if_idle(self) -> None:
        """Let go of what nothing needs any more: the stream, its place, and then the session."""
        if any(function.needs_stream for function in self.functions.values()):
            return
        if self._reader is not None:
            if self._ended and self._held_open:
                self._reader.cancel()
            elif (
                self.reusable or self._ended or self._held_open
            ) and self._reader.deadline == math.inf:
                # The server closes it in a moment, after which its connection can be used again.
                self._reader.deadline = trio.current_time() + _LINGER
            return
        if self._stream_of is not None:
            self._registry.release_stream(self, self._stream_of)
            self._stream_of = None
        if any(function.calls for function in self.functions.values()):
            return  # some still wait on this side
        if self._lent and not self._leased and not self._ended:
            self._lent = False
            self._registry.give_back(self)
        if self._ended:
            self._end_heartbeat()

    def may_stay_open(self) -> None:
        """Note that the server may not close the stream by itself: nobody waits for an event."""
        self._held_open = True

    def close_stream(self) -> bool:
        """Use the session no more, and close its stream; return whether it was open."""
        self._ended = True
        if self._reader is None:
            return False
        self._reader.cancel()
        return True

    def _end_heartbeat(self) -> None:
        """Let the app unload the session: it is used no more."""
        if self._heartbeat is not None:
            self._heartbeat.cancel()
            self._heartbeat = None


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
