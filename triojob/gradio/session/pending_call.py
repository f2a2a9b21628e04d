"""One call, from its first request to its last message."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from ..._core.logs import log_job
from ..protocol.base import CallDriver, CallRequest, StreamDriver, has_session_stream
from ..protocol.messages import InvalidMessage, Json
from ..protocol.translator import EventTranslator
from ..schema.app import EndpointInfo
from .window_limiter import Slot

if TYPE_CHECKING:
    from .session import Session


class PendingCall:
    """A call of an endpoint, as sessions see it.

    Args:
        job_id: Calls that wait for the same are served in the order of these.
        slot: Its place among the calls in flight, or None if it has yet to wait for one.
        restarts: How often the app had been restarted when the request was made for it.
        patient: Whether it waits for a server that refuses it.
    """

    __slots__ = (
        "_is_started",
        "abandoned",
        "believed_ended",
        "conversation_scope",
        "dequeuing",
        "driver",
        "event_id",
        "fn_index",
        "info",
        "job_id",
        "join_scope",
        "lost",
        "name",
        "patient",
        "request",
        "restarts",
        "restarts_at_last_state_call",
        "sent",
        "session",
        "session_hash",
        "slot",
        "translator",
        "waiting",
    )

    def __init__(
        self,
        job_id: int,
        info: EndpointInfo,
        request: CallRequest,
        driver: StreamDriver | CallDriver,
        translator: EventTranslator,
        *,
        slot: Slot | None,
        restarts: int,
        patient: bool,
    ) -> None:
        self.job_id: int = job_id
        self.info: EndpointInfo = info
        self.restarts: int = restarts
        self.request: CallRequest = request
        self.name: str = request.name
        """What people call the endpoint."""
        self.fn_index: int = request.fn_index
        """The server's number for the function."""
        self.driver: StreamDriver | CallDriver = driver
        self.translator: EventTranslator = translator
        self.slot: Slot | None = slot
        self.patient: bool = patient
        self.session: Session | None = None
        """Set once the server may learn of the call."""
        self.session_hash: str = ""
        self.restarts_at_last_state_call: list[int | None] = []
        """One item for each attempt to send this call: the restart count that the session had at
        its last call with State, or None if there was no such call.  The first one counts."""
        self.sent: bool = False
        """The request that makes the call may have gone out."""
        self.event_id: str | None = None
        self.lost: bool = False
        """The response to its join was lost, so the server may have it; the stream may say as
        which event."""
        self.abandoned: bool = False
        """Nobody waits for it any more; the server is still to be told, or has been."""
        self.dequeuing: bool = False
        """The server was asked to take it out of its queue, and has not said that it did."""
        self.believed_ended: bool = False
        """The server believes that it has ended, but it runs there and will complete."""
        self._is_started = False
        """The limiter knows that it runs."""
        self.join_scope: trio.CancelScope | None = None
        """Around a join, shielded: a cancellation is held until the server named the event."""
        self.conversation_scope: trio.CancelScope | None = None
        """Around a call on a connection of its own; None for one on a session's stream."""
        if not has_session_stream(driver):
            self.conversation_scope = trio.CancelScope()
        self.waiting: trio.CancelScope | None = None
        """Around a wait on this side; the end of the session cancels it, or of the call."""

    @property
    def is_sent(self) -> bool:
        """Whether the server may have it."""
        return self.event_id is not None or self.join_scope is not None or self.lost

    @property
    def queued(self) -> bool:
        """Whether it waits in the server's queue, as far as the server has said."""
        return self.event_id is not None and not self.translator.running

    def waiting_scope(self) -> trio.CancelScope:
        """Return the scope to wait in for what the call needs on this side."""
        self.waiting = trio.CancelScope()
        return self.waiting

    @property
    def wait_was_ended(self) -> bool:
        """Whether the session, or the call, ended while the call waited."""
        return self.waiting is not None and self.waiting.cancel_called

    def feed(self, message: Json | InvalidMessage) -> None:
        """Take one message of the event."""
        self.translator.feed(message)
        if isinstance(message, InvalidMessage):
            return  # it has ended the event
        if not self._is_started and self.slot is not None:
            kind = message["msg"]
            if kind == "estimation":
                self.slot.queued()
            elif self.translator.running or kind.startswith("process_"):
                self._is_started = True
                self.slot.started()

    def log(self, level: int, text: str, *args: object) -> None:
        """Log a line about this call."""
        log_job(level, self.job_id, self.name, text, *args)

    def abandon(self) -> None:
        """Let the server know, as soon as may be, that nobody waits any more."""
        if self.session is not None and not self.abandoned:
            self.abandoned = True
            if self.slot is not None:
                self.slot.release()  # what comes next need not wait until the server has answered
            self.session.abandoned(self)
