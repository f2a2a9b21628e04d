"""Reads the event stream of one session: routes each message to its call, and finds lost calls."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, final

import trio

from ..._core.containment import contained
from ..._core.logs import current_call, logger
from ..._exceptions import ConnectionLost, TriojobError
from ..protocol.base import StreamDriver
from ..protocol.event_stream import stream_failure
from ..protocol.messages import InvalidMessage, Json, completes, is_cancel_answer
from .backoff import Refusals, is_refusal, may_have_been_opened
from .pending_call import PendingCall

if TYPE_CHECKING:
    from .registry import SessionRegistry
    from .session import Session

_CLOSE_WITHIN = 1.0
"""Seconds in which the server is expected to close a stream after the last call on it."""


@final
class StreamReader:
    """The event stream of one session, while the session needs it."""

    def __init__(self, session: Session, registry: SessionRegistry) -> None:
        self._session = session
        self._registry = registry
        self._ids = session.event_ids
        self._scope: trio.CancelScope | None = None
        """Around the reading; None while no task reads."""
        self._opening = trio.Lock()
        self._stream_of: int | None = None
        """The job for which this session acquired a stream from the budget."""
        self._unsure: set[PendingCall] = set()
        """The calls whose messages may have gone to a connection that was reset."""
        self._has_leftover_event = False
        """The server may still have an event here that no call waits for: it was cancelled, or its
        id is unknown.  Then the server might never close the stream, so this client closes it.
        """

    async def acquire(self, call: PendingCall) -> None:
        """Acquire a stream from the budget, unless another call has done so."""
        if self.acquire_nowait(call):
            return
        async with self._opening:
            if self._stream_of is None:
                await self._registry.streams.acquire(self._session, call.job_id)
                self._stream_of = call.job_id

    def acquire_nowait(self, call: PendingCall) -> bool:
        """Do the same without waiting; return whether the session has a stream."""
        if self._scope is not None:
            self._scope.deadline = math.inf  # the stream is needed again
        if (
            self._stream_of is None
            and not self._opening.locked()
            and self._registry.streams.acquire_nowait(self._session, call.job_id)
        ):
            self._stream_of = call.job_id
        return self._stream_of is not None

    # Reading.

    def start(self, driver: StreamDriver) -> None:
        """Identify the events of lost calls from the messages so far; start to read the stream."""
        scope = self._new_scope()
        if scope is not None:
            self._registry.background.start_soon(self._read, scope, driver)

    async def read_on(self, driver: StreamDriver) -> None:
        """Do the same, but read the stream in this task, if it must be read and no other task does.

        Call it at the end of a background task, which then need not start another task.
        """
        scope = self._new_scope()
        if scope is not None:
            await self._read(scope, driver)

    def _new_scope(self) -> trio.CancelScope | None:
        """Return the scope in which to read the stream; None if it must not be read now."""
        self._take_found()
        scope: trio.CancelScope | None = None
        if self._scope is None and self._ids.needs_stream:
            scope = self._scope = trio.CancelScope()
        self._shield()
        return scope

    def _take_found(self) -> None:
        while (found := self._ids.find()) is not None:
            call, event_id = found
            self._session.joined(call, event_id)
            self.give_up_lost((call,))

    def give_up_lost(self, calls: Iterable[PendingCall]) -> None:
        """Stop looking for the events of calls whose joins were lost."""
        for call in calls:
            call.lost = False
            self._ids.forget_join(call)
        self._shield()
        for function in self._session.functions.values():
            function.changed.unpark_all()

    def _shield(self) -> None:
        """Shield the reading while it looks for lost calls, also beyond the client's end."""
        if self._scope is not None:
            self._scope.shield = bool(self._ids.lost)

    @trio.lowlevel.enable_ki_protection
    async def _read(self, scope: trio.CancelScope, driver: StreamDriver) -> None:
        # This task was started for one call, and serves all of them.
        current_call.set(None)
        trio.lowlevel.current_task().name = "<event stream>"
        try:
            with contained(self._session.stream_broke, "reading the event stream"), scope:
                while self._ids.needs_stream:
                    # The events that the server has named by now: this stream must report on them.
                    expected, lost = set(self._ids.calls), self._ids.lost
                    refusals = Refusals(self._registry.limits.refused_for)
                    refused = partial(self._wait_to_reopen, refusals)
                    async with driver.open(self._session.hash, refused) as messages:
                        async for message in messages:
                            self.route(message)
                    self._registry.listening.discard(self._session)
                    self._check_closed(expected)
                    # The server has nothing pending here.
                    self.give_up_lost(lost)
                    self._ids.stream_ended()
                    self._unsure.clear()
                    self._has_leftover_event = False
            if scope.cancelled_caught:
                # The server has yet to notice, and will then drop the session's events.
                self._session.retire()
        finally:
            self._scope = None
            self._registry.listening.discard(self._session)
            self._session.release_if_idle()

    async def _wait_to_reopen(self, refusals: Refusals, error: TriojobError) -> None:
        calls = self._ids.calls.values()
        is_reset = self._registry.is_alive and may_have_been_opened(error)
        if is_reset:
            self._unsure = {*calls, *self._ids.joining_calls}
        await self.wait_after_refusal(calls, refusals, error, again=is_reset)

    async def wait_after_refusal(
        self,
        calls: Iterable[PendingCall],
        refusals: Refusals,
        error: TriojobError,
        *,
        again: bool = False,
    ) -> None:
        """Wait until a stream that failed to open can be requested again, or raise the error.

        Args:
            again: Whether to retry even if the server may have opened the stream.
        """
        for call in calls:
            assert call.slot is not None
            call.slot.note_refusal()
        self._registry.http.close_idle()
        seconds = None
        if again or is_refusal(error, alive=self._registry.is_alive):
            self._registry.refusals += 1
            seconds = refusals.pause(error)
        if seconds is None:
            raise error
        await trio.sleep(seconds)

    def _check_closed(self, expected: set[str]) -> None:
        """Raise if calls are left that no further stream would report on.

        The server closes the stream when no event of the session is pending, so a pending event is
        gone.  But an event that joined at that moment, and has received no message yet, appears on
        the next stream: there, at least one message comes before the event's end.

        Raises:
            ConnectionLost: The server closed the stream before a call ended.
        """
        for event_id, call in self._ids.calls.items():
            if not call.believed_ended and (event_id in expected or call.translator.started):
                raise ConnectionLost(
                    f"the server closed the event stream before {call.name} had finished"
                )

    def route(self, message: Json | InvalidMessage) -> None:
        """Route a message to its call."""
        self._registry.listening.add(self._session)
        event_id = _event_of(message)
        if event_id is None:
            if not isinstance(message, InvalidMessage) and message["msg"] == "heartbeat":
                self._give_up_unsure()
            return
        call = self._ids.calls.get(event_id)
        if call is None:
            self._session.canceller.feed_removed(event_id, message)
            # Either the response to the join has not been read yet, or the event has ended.
            self._ids.keep(event_id, message)
            self._take_found()
            return
        self._unsure.discard(call)
        if call.dequeuing and is_cancel_answer(message):
            self._session.canceller.on_dequeued(call, event_id)
            return
        was_running = call.translator.running
        call.feed(message)
        if completes(message):
            self._session.finish(call, end_received=True)
        elif call.translator.finished and not call.abandoned:
            # The call failed with an invalid message: it has ended here but still runs on the
            # server.
            call.abandon()
        elif call.translator.running and not was_running:
            self._session.canceller.start_next_step(call.fn_index)

    def _give_up_unsure(self) -> None:
        """End the calls whose messages went to a connection that was reset.

        Gradio sends each message once.  The first stream of a session begins with the ranks of its
        calls, and a heartbeat follows them.
        """
        reset = "the connection was reset while the event stream was being opened"
        for call in [call for call in self._ids.calls.values() if call in self._unsure]:
            self._has_leftover_event = True  # the server may keep the stream open
            lost = f"{reset}; the server's messages about {call.name} are lost"
            call.translator.fail(ConnectionLost(lost))
            self._session.finish(call, end_received=False)
        self._unsure.intersection_update(self._ids.joining_calls)

    def reset(self) -> None:
        """Reset the state: the session has a new hash, of which the server knows no events."""
        self._unsure.clear()
        self._has_leftover_event = False
        self.give_up_lost(self._ids.lost)

    # Closing.

    @property
    def held(self) -> bool:
        """Whether the session holds a place in the budget of streams; it does while it reads."""
        return self._stream_of is not None

    def release_if_idle(self) -> bool:
        """Release the stream and its place if idle; return whether the session holds neither."""
        session = self._session
        if self._scope is not None:
            if session.ended and self._has_leftover_event:
                self._scope.cancel()
            elif (
                session.reusable or session.ended or self._has_leftover_event
            ) and self._scope.deadline == math.inf:
                # The server closes the stream in a moment; then its connection can be reused.
                self._scope.deadline = trio.current_time() + _CLOSE_WITHIN
            return False
        if self._stream_of is not None:
            self._registry.streams.release(session, self._stream_of)
            self._stream_of = None
        return True

    def note_leftover_event(self) -> None:
        """Note that the server may have an event that no call waits for."""
        self._has_leftover_event = True

    def close(self) -> bool:
        """Close the stream; return whether it was open."""
        if self._scope is None:
            return False
        self._scope.cancel()
        return True


def _event_of(message: Json | InvalidMessage) -> str | None:
    """Return the event id of a message, or None if it names none.

    Raises:
        ConnectionLost: The message reports that the stream has failed.
        Exception: The message can't be parsed, so its event is unknown.
    """
    if isinstance(message, InvalidMessage):
        if message.event_id is None:
            if not message.is_object:
                raise message.error
            logger.warning("ignoring a message for an unknown call: %s", message.error)
        return message.event_id
    event_id: str | None = message.get("event_id")
    if event_id is None and message["msg"] == "unexpected_error":
        forgotten = bool(message.get("session_not_found"))
        raise stream_failure("this session", message.get("message"), forgotten=forgotten)
    return event_id
