"""Which call each event of a session belongs to; no I/O.

The response to ``/queue/join`` says which event is a call's, and the session's event stream may
tell of the event before that.  If the response is lost, the stream alone can say it: every event
that joins the queue is told its rank first, and an event that no other join can have made is the
lost one's.  Where the responses to several joins are lost, their calls get the ids in the order
of the stream: each cancel request then names an event that nobody waits for, so none can take
another call out of the queue.
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
    """An event that is of no call that is known."""

    joins: int
    """How many joins had been sent when the stream first told of it."""
    messages: list[Message]

    @property
    def from_its_start(self) -> bool:
        """Whether the stream told of it for the first time, and not after the end of its call."""
        first = self.messages[0]
        return not isinstance(first, InvalidMessage) and first["msg"] == "estimation"


@final
class EventIds:
    """The events of one session by their ids, and the calls that are yet to get one."""

    def __init__(self) -> None:
        self.calls: dict[str, PendingCall] = {}
        """The calls whose events are known and have not ended, by event id."""
        self._joins = 0
        """How many joins have been sent."""
        self._joining: dict[PendingCall, int] = {}
        """The calls whose joins are in flight, each with how many joins were sent before."""
        self._lost: dict[PendingCall, int] = {}
        """The calls whose joins got no response: likewise."""
        self._early: dict[str, _EarlyEvent] = {}
        self._ended: set[str] = set()
        """Events that have ended on this side, and whose end the stream is yet to tell."""

    @property
    def joining_calls(self) -> tuple[PendingCall, ...]:
        """The calls whose joins are in flight."""
        return tuple(self._joining)

    @property
    def lost(self) -> tuple[PendingCall, ...]:
        """The calls that the server may have under ids that are not known."""
        return tuple(self._lost)

    @property
    def seeking(self) -> bool:
        """Whether the stream is there for nothing but to tell which events the lost calls are."""
        return bool(self._lost) and not self.calls

    @property
    def needs_stream(self) -> bool:
        """Whether the stream is to be read.

        To find lost calls alone it is not while others join: if it broke, those would be lost too.
        """
        return bool(self.calls) or (self.seeking and not self._joining)

    @property
    def may_be_pending(self) -> bool:
        """Whether the server may have events of which the stream is yet to tell more."""
        return bool(self.calls or self._joining)

    def note_join_sent(self, call: PendingCall) -> None:
        """Note that the join of a call is about to be sent."""
        self._joining[call] = self._joins
        self._joins += 1

    def joined(self, call: PendingCall, event_id: str) -> list[Message]:
        """Note which event is a call's; return what the stream has already told of it."""
        self.forget_join(call)
        self.calls[event_id] = call
        early = self._early.pop(event_id, None)
        return [] if early is None else early.messages

    def forget_join(self, call: PendingCall) -> None:
        """Note that a call has no event, or that it will not be known which."""
        self._joining.pop(call, None)
        self._lost.pop(call, None)

    def note_join_lost(self, call: PendingCall) -> None:
        """Note that the join of a call got no response: the stream is to say which event it is."""
        self._lost[call] = self._joining.pop(call)

    def keep(self, event_id: str, message: Message) -> None:
        """Keep a message of an event that is of no call that is known, if it may be of one."""
        if event_id in self._ended:
            if completes(message):
                self._ended.discard(event_id)
        elif event_id in self._early:
            self._early[event_id].messages.append(message)
        elif self._joining or self._lost:
            self._early[event_id] = _EarlyEvent(self._joins, [message])

    def find(self) -> tuple[PendingCall, str] | None:
        """Return a lost call and the id that is known now to be its, for `joined`; None for none.

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
        """Note that an event is over on this side.

        Args:
            end_received: Whether the stream has brought its end.
        """
        if self.calls.pop(event_id, None) is not None and not end_received:
            self._ended.add(event_id)

    def stream_ended(self) -> None:
        """Note that the server has told all that it had to tell."""
        self._ended.clear()

    def clear(self) -> list[PendingCall]:
        """Forget all events, as their session is used no more; return the calls they were."""
        calls = [*self.calls.values()]
        for known in (self.calls, self._joining, self._lost, self._early, self._ended):
            known.clear()
        return calls
