"""A session: a hash that the server knows, and one event stream for all its calls.

Which calls share a session, and when the server is told of a cancellation, follows from one fact:
Gradio's ``/cancel`` stops *every* running event of a function in a session, and the others never
hear of it (gradio 6.31, ``routes.py``, ``cancel_event``).  So a call of a function without State
has a session to itself, for as long as it lasts; where calls share one, `cancel_policy` says what
may be asked of the server.
"""

from __future__ import annotations

import logging
import math
from functools import partial
from typing import TYPE_CHECKING

import trio

from ..._core.containment import own_error
from ..._exceptions import (
    AuthenticationError,
    NetworkError,
    ServerRestarted,
    TriojobError,
    UnexpectedResponse,
)
from ..http.request import Ready
from ..protocol.base import has_session_stream
from ..protocol.messages import Json
from ..schema.app import AppInfo, Render
from .backoff import Refusals, is_refusal
from .canceller import Canceller
from .conversations import Conversations
from .event_ids import EventIds
from .function_calls import FunctionCalls
from .joiner import Joiner
from .pending_call import PendingCall
from .stream_reader import StreamReader
from .window_limiter import Slot

if TYPE_CHECKING:
    from .registry import SessionRegistry

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
        self.stream: StreamReader = StreamReader(self, registry)
        self.canceller: Canceller = Canceller(self, registry)
        self.joiner: Joiner = Joiner(self, registry)
        self._conversations = Conversations(self, registry)
        self._renders: dict[int | str | None, Render] = {}
        """What ``gr.render`` has made in this session: the last of each."""
        self._ended = False
        """No new call joins: close the stream as soon as nothing needs it."""
        self._lent = False
        """The registry has lent it out, and is still to get it back."""
        self._leased = False
        """A batch uses it for further calls."""
        self._restarts_at_last_state_call: int | None = None
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
            await function.limiter.acquire(call.job_id)
        except BaseException:
            if call.slot is not None:
                call.slot.release()
            self.forget_if_idle(call.fn_index)
            raise
        if self._ended:
            function.limiter.release(call.job_id)
            self.unused(call.slot)
            call.translator.cancel(_ENDED)
            return False
        function.calls[call] = None
        if has_session_stream(call.driver):
            return await self.joiner.send(call, call.driver)
        return await self._conversations.send(call, call.driver)

    def before_send(self, call: PendingCall) -> Ready:
        """Return the check that HTTP awaits immediately before it sends the call's request.

        It raises `ServerRestarted` if the app has restarted since the call was prepared.
        """
        # Not stored on the call: that would be a reference cycle.
        return partial(self._check_before_send, call)

    async def _check_before_send(self, call: PendingCall, connection: int | None) -> None:
        watch, info = self._registry.watch, call.info
        call.restarts_at_last_state_call.append(self._restarts_at_last_state_call)
        await watch.revalidate(connection)
        if info.stateful:
            self._restarts_at_last_state_call = watch.restarts
        watch.check_generation(info, call.restarts, call.restarts_at_last_state_call[0])
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
            self.event_ids.note_join_sent(call)
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
            self.canceller.start_next_step(call.fn_index)
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

    def pause_after_refusal(
        self, call: PendingCall, refusals: Refusals, error: TriojobError
    ) -> float | None:
        """Return in how many seconds a call that was refused may be sent again; None for never."""
        assert call.slot is not None
        if not is_refusal(error, alive=self._registry.is_alive):
            if isinstance(error, NetworkError):
                call.slot.note_refusal()  # reset: whether the server has it is not known
            return None
        call.slot.note_refusal()
        self._registry.http.close_idle()
        seconds = refusals.pause(error)
        if seconds is None or call.abandoned or self._ended or self._registry.calls.closed:
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
            self.stream.route(message)
        self.canceller.start_next_step(call.fn_index)

    def stream_broke(self, error: TriojobError) -> None:
        """The stream broke, and with it each call that uses it."""
        self._registry.watch.mark_suspect()
        if not self.event_ids.may_be_pending:
            # All had been said: there is nothing that the server could drop but State.
            self.stream.give_up_lost(self.event_ids.lost)
            return
        # The server drops what the old session had when it notices, which may be any moment now.
        self._hash = self._registry.http.secrets.new_session()
        self._end_heartbeat()
        self._renders.clear()
        self.stream.reset()
        for call in self.event_ids.clear():
            call.translator.fail(own_error(error, call.name))
            self.leave(call)

    # Ending.

    def finish(self, call: PendingCall, *, end_received: bool) -> None:
        """Let go of a call that the server is done with.

        Args:
            end_received: Whether the stream has brought its end.
        """
        if call.event_id is not None:
            self.event_ids.end(call.event_id, end_received=end_received)
        self.leave(call)

    def leave(self, call: PendingCall) -> None:
        """Let go of a call that the server does not have."""
        function = self.functions.get(call.fn_index)
        if function is not None and call in function.calls:
            del function.calls[call]
            function.abandoned.discard(call)
            self.stream.forget(call)
            call.dequeuing = False
            if call.slot is not None:
                call.slot.release()
            function.limiter.release(call.job_id)
            function.changed.unpark_all()
            self.canceller.start_next_step(call.fn_index)
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
        if not self.stream.release_if_idle():
            return
        if any(function.calls for function in self.functions.values()):
            return  # some still wait on this side
        if self._lent and not self._leased and not self._ended:
            self._lent = False
            self._registry.give_back(self)
        if self._ended:
            self._end_heartbeat()

    def close_stream(self) -> bool:
        """Use the session no more, and close its stream; return whether it was open."""
        self._ended = True
        return self.stream.close()

    def _end_heartbeat(self) -> None:
        """Let the app unload the session: it is used no more."""
        if self._heartbeat is not None:
            self._heartbeat.cancel()
            self._heartbeat = None
