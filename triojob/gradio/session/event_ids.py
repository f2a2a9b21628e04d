"""Which call each event of a session belongs to; no I/O.

The response to ``/queue/join`` names the event of a call.  The session's event stream may send
messages about the event before that response arrives.  If the response is lost, only the stream can
identify the event: every event that joins the queue receives its rank first, and an event that no
other join can have created is the lost one.  If the responses to several joins are lost, their
calls get the ids in the order of the stream: each cancel request then names an event of an
abandoned call, so none can remove another call from the queue.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

from ..protocol.messages import InvalidMessage, Json, completes
from .pending_call import PendingCall

Message = Json | InvalidMessage


@dataclass
class _EarlyEvent:
    """An event that belongs to no known call."""

    joins: int
    """How many joins had been sent when the stream first mentioned the event."""
    messages: list[Message]

    @property
    def from_its_start(self) -> bool:
        """Whether the stream sent the event's first message, not only messages after its end."""
        first = self.messages[0]
        return not isinstance(first, InvalidMessage) and first["msg"] == "estimation"


@final
class EventIds:
    """The events of one session by their ids, and the calls that have no event id yet."""

    def __init__(self) -> None:
        self.calls: dict[str, PendingCall] = {}
        """The calls whose events are known and have not ended, by event id."""
        self._joins = 0
        """How many joins have been sent."""
        self._joining: dict[PendingCall, int] = {}
        """The calls whose joins are in flight, each with the number of joins sent before it."""
        self._lost: dict[PendingCall, int] = {}
        """The calls whose joins received no response, each with the number of joins sent before it.
        """
        self._early: dict[str, _EarlyEvent] = {}
        self._ended: set[str] = set()
        """Events that have ended for this client, while the stream has not reported their end yet.
        """

    @property
    def joining_calls(self) -> tuple[PendingCall, ...]:
        """The calls whose joins are in flight."""
        return tuple(self._joining)

    @property
    def lost(self) -> tuple[PendingCall, ...]:
        """The calls that the server may have under unknown ids."""
        return tuple(self._lost)

    @property
    def seeking(self) -> bool:
        """Whether the stream is needed only to find the events of lost calls."""
        return bool(self._lost) and not self.calls

    @property
    def needs_stream(self) -> bool:
        """Whether the stream must be read.

        While joins are in flight, it is not read just to find lost calls: if it broke, the calls of
        those joins would be lost too.
        """
        return bool(self.calls) or (self.seeking and not self._joining)

    @property
    def may_be_pending(self) -> bool:
        """Whether the server may have events that the stream has yet to report on."""
        return bool(self.calls or self._joining)

    def note_join_sent(self, call: PendingCall) -> None:
        """Note that the join of a call is about to be sent."""
        self._joining[call] = self._joins
        self._joins += 1

    def joined(self, call: PendingCall, event_id: str) -> list[Message]:
        """Note the event id of a call; return the messages already received for it."""
        self.forget_join(call)
        self.calls[event_id] = call
        early = self._early.pop(event_id, None)
        return [] if early is None else early.messages

    def forget_join(self, call: PendingCall) -> None:
        """Note that a call has no event, or that its event id will stay unknown."""
        self._joining.pop(call, None)
        self._lost.pop(call, None)

    def note_join_lost(self, call: PendingCall) -> None:
        """Note that the join of a call received no response: the stream must identify its event."""
        self._lost[call] = self._joining.pop(call)

    def keep(self, event_id: str, message: Message) -> None:
        """Keep a message of an unknown event, if the event may belong to a call."""
        if event_id in self._ended:
            if completes(message):
                self._ended.discard(event_id)
        elif event_id in self._early:
            self._early[event_id].messages.append(message)
        elif self._joining or self._lost:
            self._early[event_id] = _EarlyEvent(self._joins, [message])

    def find(self) -> tuple[PendingCall, str] | None:
        """Return a lost call and its event id, for `joined`; None if none is identified.

        Drops the kept messages of events that neither a join in flight nor a lost one can have
        created.
        """
        first = next(iter(self._joining.values()), math.inf)
        while self._early:
            event_id, early = next(iter(self._early.items()))
            if first < early.joins:
                return None
            for call, before in self._lost.items():
                if before < early.joins and early.from_its_start:
                    return call, event_id
            del self._early[event_id]
        return None

    def end(self, event_id: str, *, end_received: bool) -> None:
        """Note that an event has ended for this client.

        Args:
            end_received: Whether the stream has reported its end.
        """
        if self.calls.pop(event_id, None) is not None and not end_received:
            self._ended.add(event_id)

    def stream_ended(self) -> None:
        """Note that the server has sent everything that was pending."""
        self._ended.clear()

    def clear(self) -> list[PendingCall]:
        """Forget all events, because their session is no longer used; return their calls."""
        calls = [*self.calls.values()]
        for known in (self.calls, self._joining, self._lost, self._early, self._ended):
            known.clear()
        return calls
