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
        job_id: Calls that wait for the same limit are served in the order of their job ids.
        slot: Its slot among the calls in flight, or None if it has yet to acquire one.
        restarts: How often the app had restarted when the call's request was encoded.
        patient: Whether to retry while the server refuses the call.
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
        """The endpoint's name, as users know it."""
        self.fn_index: int = request.fn_index
        """The server's number for the function."""
        self.driver: StreamDriver | CallDriver = driver
        self.translator: EventTranslator = translator
        self.slot: Slot | None = slot
        self.patient: bool = patient
        self.session: Session | None = None
        """Set while the server may have the call, or is about to receive it."""
        self.session_hash: str = ""
        self.restarts_at_last_state_call: list[int | None] = []
        """One item for each attempt to send this call: the restart count that the session had at
        its last call with State, or None if there was no such call.  Only the first item counts.
        """
        self.sent: bool = False
        """The request that makes the call may have been sent."""
        self.event_id: str | None = None
        self.lost: bool = False
        """The response to its join was lost, so the server may have the call; the stream may
        identify its event.
        """
        self.abandoned: bool = False
        """The call's task no longer waits; the cancel request is due, or has been sent."""
        self.dequeuing: bool = False
        """The server was asked to remove the call from its queue, and has not confirmed it."""
        self.believed_ended: bool = False
        """The server considers the call ended, but its function still runs and will complete."""
        self._is_started = False
        """The limiter knows that the call runs."""
        self.join_scope: trio.CancelScope | None = None
        """Around a join, shielded: a cancellation is held back until the server has named the
        event.
        """
        self.conversation_scope: trio.CancelScope | None = None
        """Around a call that uses a connection; None for a call on a session's stream."""
        if not has_session_stream(driver):
            self.conversation_scope = trio.CancelScope()
        self.waiting: trio.CancelScope | None = None
        """Around a wait before the call is sent; the end of the session or of the call cancels it.
        """

    @property
    def is_sent(self) -> bool:
        """Whether the server may have the call."""
        return self.event_id is not None or self.join_scope is not None or self.lost

    @property
    def queued(self) -> bool:
        """Whether the call waits in the server's queue, according to the latest message."""
        return self.event_id is not None and not self.translator.running

    def waiting_scope(self) -> trio.CancelScope:
        """Return the scope to wait in for the limits that the call needs before it is sent."""
        self.waiting = trio.CancelScope()
        if self.abandoned:
            self.waiting.cancel()
        return self.waiting

    @property
    def wait_was_ended(self) -> bool:
        """Whether the session or the call ended while the call waited."""
        return self.waiting is not None and self.waiting.cancel_called

    def feed(self, message: Json | InvalidMessage) -> None:
        """Process one message of the event."""
        self.translator.feed(message)
        if isinstance(message, InvalidMessage):
            return  # the invalid message has ended the event
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
        """Let the server stop the call as soon as possible, because no task waits for it."""
        if self.waiting is not None:
            self.waiting.cancel()
        if self.session is not None and not self.abandoned:
            self.abandoned = True
            if self.slot is not None:
                self.slot.release()  # the next call need not wait until the server has responded
            self.session.abandoned(self)
