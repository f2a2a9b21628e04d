"""A session: a hash that the server knows, and one event stream for all its calls.

Which calls share a session, and when a cancel request is sent, follows from one fact: Gradio's
``/cancel`` stops *every* running event of a function in a session, and does not report this to the
other events' clients (gradio 6.31, ``routes.py``, ``cancel_event``).  So a call of a function
without State has a session to itself, until it ends; where calls share a session, `cancel_policy`
decides which cancel requests can be sent.
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
        reusable: Whether the session keeps nothing on the server, so that it can serve other calls
            afterwards: the registry gives it to one call, or to the calls of a batch.
        one_at_a_time: Whether to send one call of a function at a time, so that each can be
            cancelled exactly.
    """

    def __init__(
        self, registry: SessionRegistry, *, reusable: bool = False, one_at_a_time: bool = True
    ) -> None:
        self._registry = registry
        self.reusable = reusable
        # The borrower of a reusable session limits its calls.
        self._at_once = 1 if one_at_a_time and not reusable else math.inf
        # A bearer secret: anyone who has it can cancel the session's events.  Never logged.
        self._hash = registry.http.secrets.new_session()
        self.functions: dict[int, FunctionCalls] = {}
        """The functions that have calls here: each time `gr.render` creates a function, it gets a
        new number.
        """
        self.event_ids: EventIds = EventIds()
        """Which call each event of the stream belongs to."""
        self.stream: StreamReader = StreamReader(self, registry)
        self.canceller: Canceller = Canceller(self, registry)
        self.joiner: Joiner = Joiner(self, registry)
        self._conversations = Conversations(self, registry)
        self._renders: dict[int | str | None, Render] = {}
        """What ``gr.render`` has created in this session: the latest state of each render."""
        self._ended = False
        """The session takes no new calls: close the stream as soon as no call needs it."""
        self._leased = False
        """A batch uses the session for further calls."""
        self._restarts_at_last_state_call: int | None = None
        """How often the app had restarted at the last call with State; None if there was none."""
        self._heartbeat: trio.CancelScope | None = None
        """Around the heartbeat of ``_hash``; a reusable session needs none."""

    @property
    def hash(self) -> str:
        """The session hash, a secret."""
        return self._hash

    @property
    def waiting(self) -> int:
        """How many calls wait for the call of the same function that is in flight here."""
        # A list, which is made at once: other threads may ask, too.
        return sum(function.limiter.waiting for function in list(self.functions.values()))

    @property
    def ended(self) -> bool:
        """Whether the session takes no more calls."""
        return self._ended

    def is_free_for(self, fn_index: int) -> bool:
        """Return whether a call of a function would be the function's only call here."""
        return not self._ended and fn_index not in self.functions

    @property
    def app(self) -> AppInfo:
        """The app as this session sees it."""
        app = self._registry.watch.app
        return app.with_renders(self._renders.values()) if self._renders else app

    def rendered(self, config: Json) -> None:
        """Add the functions that the app has rendered for this session only.

        Raises:
            ProtocolError: The configuration is invalid; the session stays as it was.
        """
        render = Render.from_config(config)
        self._renders[render.render_id] = render

    def lease(self) -> Session:
        """Keep the session for the calls of a batch, even while it has none; return it."""
        self._leased = True
        return self

    def give_up_lease(self) -> None:
        """Return the session to the registry as soon as its calls have ended."""
        self._leased = False
        self.release_if_idle()

    def unused(self, slot: Slot | None) -> None:
        """Note that the call for which the session was borrowed does not use it."""
        if slot is not None:
            slot.release()
        self.release_if_idle()

    # What a job's own task calls.

    async def send(self, call: PendingCall) -> bool:
        """Start a call: return when it is about to be sent.

        If it is cancelled here, the server never receives the call.

        Returns:
            False if the session ended while the call waited; that has ended the call too.

        Raises:
            ConnectionFailed: The server can't be reached.
            ServerRestarted: The app has restarted, and the call was meant for the old process.
        """
        function = self.functions.get(call.fn_index)
        if function is None:
            clash = call.driver.traits.mixes_generators and call.request.streams
            function = self.functions[call.fn_index] = FunctionCalls(1 if clash else self._at_once)
        try:
            await function.limiter.acquire(call.job_id)
        except BaseException:
            self._release(function, call)
            raise
        if self._ended:
            self._release(function, call)
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
        """Note that from now on the server may receive the call."""
        call.session = self
        self.about_to_join(call)
        if self._heartbeat is None and not self.reusable:
            self._heartbeat = self._registry.heartbeats.start(self._hash)

    def about_to_join(self, call: PendingCall) -> None:
        """Prepare a shielded wait for the server's response; `SessionRegistry` bounds it."""
        if has_session_stream(call.driver):
            self.event_ids.note_join_sent(call)
        call.session_hash = self._hash
        call.sent = False
        call.join_scope = trio.CancelScope(shield=True)
        self._registry.joins.add(call)

    def abandoned(self, call: PendingCall) -> None:
        """Have an abandoned call cancelled on the server."""
        self.functions[call.fn_index].abandoned.add(call)
        if has_session_stream(call.driver):
            self.canceller.start_next_step(call.fn_index)
        else:
            assert call.conversation_scope is not None
            call.conversation_scope.cancel()

    def end(self) -> None:
        """Cancel all calls that are still in flight, and take no more calls."""
        self._ended = True
        for function in tuple(self.functions.values()):
            for call in tuple(function.calls):
                # Calls of jobs in groups that outlive the session; its own jobs have ended.
                call.translator.cancel(_ENDED)
                call.abandon()
        self.release_if_idle()

    # For the classes that send the calls.

    @property
    def runs_nothing_but_abandoned(self) -> bool:
        """Whether all calls that are in flight here are abandoned."""
        return all(
            call.abandoned for function in self.functions.values() for call in function.calls
        )

    def refusals(self, call: PendingCall) -> Refusals:
        """Return the counter of a call's refusals."""
        return Refusals(self._registry.limits.refused_for if call.patient else 0)

    def pause_after_refusal(
        self, call: PendingCall, refusals: Refusals, error: TriojobError
    ) -> float | None:
        """Return the backoff in seconds before a refused call is sent again; None to give up."""
        assert call.slot is not None
        if not is_refusal(error, alive=self._registry.is_alive):
            if isinstance(error, NetworkError):
                call.slot.note_refusal()  # connection reset: the server may have the call
            return None
        call.slot.note_refusal()
        self._registry.refusals += 1
        self._registry.http.close_idle()
        seconds = refusals.pause(error)
        if seconds is None or call.abandoned:
            return None
        call.log(logging.INFO, "refused (%s); retrying in %.2f s", error, seconds)
        return seconds

    def suspect(self, error: TriojobError) -> None:
        """Check the app before the next call, if its restart may have caused this error."""
        # The new process may have neither the function nor the login.
        suspects = (NetworkError, UnexpectedResponse, AuthenticationError)
        if isinstance(error, suspects) and not isinstance(error, ServerRestarted):
            self._registry.watch.mark_suspect()

    def retire(self) -> None:
        """Prevent the reuse of a lent session: the server may still have an event of it."""
        self._ended = self._ended or self.reusable

    # Joining.

    def joined(self, call: PendingCall, event_id: str) -> None:
        """Note the event id of a call; route the messages already received for it."""
        call.event_id = event_id
        # Log only the beginning: in some Gradio releases, the whole id is enough to stop the event.
        call.log(logging.DEBUG, "sent as event %s...", event_id[:8])
        for message in self.event_ids.joined(call, event_id):
            self.stream.route(message)
        self.canceller.start_next_step(call.fn_index)

    def stream_broke(self, error: TriojobError) -> None:
        """Handle a broken stream, which fails every call that uses it."""
        self._registry.watch.mark_suspect()
        if not self.event_ids.may_be_pending:
            # The server has sent everything: only State is left for it to drop.
            self.stream.give_up_lost(self.event_ids.lost)
            return
        # The server drops the old session's events when it notices, which can be at any moment.
        self._hash = self._registry.http.secrets.new_session()
        self._end_heartbeat()
        self._renders.clear()
        self.stream.reset()
        for call in self.event_ids.clear():
            call.translator.fail(own_error(error, call.name))
            self.leave(call)

    # Ending.

    def finish(self, call: PendingCall, *, end_received: bool) -> None:
        """Remove a call that has ended on the server.

        Args:
            end_received: Whether the stream has reported its end.
        """
        if call.event_id is not None:
            self.event_ids.end(call.event_id, end_received=end_received)
        self.leave(call)

    def leave(self, call: PendingCall) -> None:
        """Remove a call that the server does not have."""
        function = self.functions.get(call.fn_index)
        if function is not None and call in function.calls:
            del function.calls[call]
            function.abandoned.discard(call)
            call.session = None
            call.dequeuing = False
            function.changed.unpark_all()
            self.canceller.start_next_step(call.fn_index)
            self._release(function, call)

    def _release(self, function: FunctionCalls, call: PendingCall) -> None:
        """Release what a call holds, and what the session holds if it was the last call."""
        if call.slot is not None:
            call.slot.release(is_complete=call.translator.started)
        function.limiter.release(call.job_id)
        self.forget_if_idle(call.fn_index)
        self.release_if_idle()

    def forget_if_idle(self, fn_index: int) -> None:
        """Drop a function that has no calls here."""
        function = self.functions.get(fn_index)
        if function is not None and function.idle:
            del self.functions[fn_index]

    def release_if_idle(self) -> None:
        """Release the stream, its place in the budget and the session if no call needs them."""
        # Each call that ends comes here, so thousands of calls must not each be looked at.
        if self.event_ids.may_be_pending:
            return
        if self.stream.held and any(function.needs_stream for function in self.functions.values()):
            return
        if not self.stream.release_if_idle():
            return
        if self.functions:
            return  # some calls have not been sent yet, or a cancel request is in flight
        if self.reusable and not self._leased and not self._ended:
            self._registry.give_back(self)
        if self._ended:
            self._end_heartbeat()

    def _end_heartbeat(self) -> None:
        """Let the app unload the session, which is no longer used."""
        if self._heartbeat is not None:
            self._heartbeat.cancel()
            self._heartbeat = None
