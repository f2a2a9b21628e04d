"""The interface of drivers: the operations that sessions need from a protocol.

There are two kinds.  A `StreamDriver` has one event stream for all calls of a session; a
`CallDriver` has a connection for each call.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import trio

from ..._exceptions import TriojobError
from ..http.client import HTTP
from ..http.request import Ready
from .messages import InvalidMessage, Json, Trigger
from .traits import ProtocolTraits

if TYPE_CHECKING:
    from typing_extensions import TypeIs


@dataclass(frozen=True)
class CallRequest:
    """The content of a call."""

    name: str
    """The endpoint's name, as users know it."""
    fn_index: int
    api_name: str | None
    """The endpoint's name with its slash, or None if it has none."""
    data: str
    """The call's data, as JSON."""
    canceller: int | None = None
    """The number of a function that cancels this one; servers before Gradio 4.31 need it."""
    oauth_token: str | None = field(default=None, repr=False)
    """The token that the app's function acts with, or None."""
    trigger: Trigger = field(default_factory=Trigger)
    """The event that triggered the call."""
    streams: bool = False
    """Whether its function is a generator."""
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    """Sent with the request that makes the call, in addition to the headers of the client."""

    def body(self, session_hash: str | None, *, data: str | None = None, **more: str) -> str:
        """Return the JSON body of a request that makes the call.

        Args:
            session_hash: The hash of its session, or None.
            data: Data to send in the place of the call's own, as JSON: a further input of a stream.
            more: Further fields; their values are JSON.
        """
        fields = {
            "data": data or self.data,
            "fn_index": str(self.fn_index),
            "event_data": self.trigger.event_data,
            "trigger_id": json.dumps(self.trigger.trigger_id),
            **more,
        }
        if session_hash is not None:
            fields["session_hash"] = f'"{session_hash}"'
        if self.oauth_token is not None:
            fields["oauth_token"] = json.dumps(self.oauth_token)
        return "{" + ",".join(f'"{name}":{value}' for name, value in fields.items()) + "}"

    def canceller_body(self, session_hash: str) -> Json:
        """Return the body of a call of the function that cancels this one."""
        return {"data": [], "fn_index": self.canceller, "session_hash": session_hash}


class Driver:
    """The implementation of a protocol.

    Args:
        version: The server's version of Gradio, as the server reports it.
    """

    def __init__(self, http: HTTP, traits: ProtocolTraits, version: str) -> None:
        self._http = http
        self.traits: ProtocolTraits = traits
        self.cancels: bool = traits.cancels(version)
        """Whether the server has a request that cancels a call."""
        self.dequeues: bool = traits.dequeues(version)
        """Whether the server can remove a waiting call from its queue."""

    async def try_connection(self) -> bool:
        """Open and close the kind of connection that a call needs, without a call.

        Returns:
            False if a call needs nothing but plain requests, and nothing was tried.

        Raises:
            ConnectionFailed: It can't be opened.
            AuthenticationError: The app requires a login.
        """
        return False


class StreamDriver(Driver, ABC):
    """Implements a protocol with one event stream for each session."""

    @abstractmethod
    async def join(self, session_hash: str, call: CallRequest, ready: Ready | None) -> str:
        """Put a call into the server's queue; return the event's id.

        Args:
            ready: Awaited before the request is sent.

        Raises:
            QueueFull, ValidationError, TooManyRequests, AuthenticationError, ServerStopped,
            UnexpectedResponse: The server refused; nothing was queued.
            ConnectionFailed: The server never received the request.
            NetworkError: The network failed; the call may have been queued.
        """

    @abstractmethod
    def open(
        self, session_hash: str, refused: Callable[[TriojobError], Awaitable[None]]
    ) -> AbstractAsyncContextManager[AsyncIterator[Json | InvalidMessage]]:
        """Open the session's event stream, closed at the end of the body.

        Iteration yields each message, and an `InvalidMessage` for each invalid event.  It ends when
        no event of the session is pending.

        Args:
            refused: Called with the error if the stream could not be opened, which has no side
                effect: it returns when to request the stream again, or raises.

        Raises:
            NetworkError: The network failed, or the stream ended before the server announced its
                end.
            ProtocolError: The stream is invalid.
        """

    @abstractmethod
    async def cancel(
        self, session_hash: str, call: CallRequest, event_id: str, *, alone: bool
    ) -> None:
        """Cancel the event; the server may also stop all other running events of its function.

        Args:
            alone: Whether nothing else runs in the session, so that no other call can be affected.

        Raises:
            NetworkError: The network failed.
            UnexpectedResponse: The server refused.
        """

    @abstractmethod
    async def dequeue(self, session_hash: str, event_id: str) -> None:
        """Remove a call from the server's queue, if `dequeues` is true.

        The stream then reports that the event has ended.  It also reports this if the event has
        started meanwhile; then a plain function keeps running, and a generator continues or starts
        again.

        Raises:
            As `cancel`.
        """


@dataclass
class Conversation:
    """One call that has a connection of its own."""

    session_hash: str = field(repr=False)
    call: CallRequest
    ready: Ready | None
    """Awaited before the request that makes the call is sent."""
    deliver: Callable[[Json], None]
    """Receives each message in the format of Gradio's queue: ``{"msg": "process_completed", ...}``.
    """
    ended: Callable[[], bool]
    """Returns whether the last message has been delivered."""
    hold: trio.CancelScope
    """Shielded: for a request whose response must be known in any case."""
    refused: Callable[[TriojobError], Awaitable[None]]
    """As for `StreamDriver.open`."""
    event_id: str | None = field(default=None, init=False, repr=False)
    """The server's name for the event, once the server has assigned it."""


class CallDriver(Driver, ABC):
    """Implements a protocol with a connection for each call."""

    @abstractmethod
    async def converse(self, conversation: Conversation) -> None:
        """Make the call; return when the server has sent the last message.

        Being cancelled closes the connection.

        Raises:
            As `StreamDriver.join` and `StreamDriver.open`.
        """

    @abstractmethod
    async def cancel(self, conversation: Conversation, *, alone: bool) -> None:
        """Send a cancel request for an interrupted conversation, if closing it is not enough.

        Args:
            alone: As for `StreamDriver.cancel`.

        Raises:
            As `StreamDriver.cancel`.
        """


def has_session_stream(driver: StreamDriver | CallDriver) -> TypeIs[StreamDriver]:
    """Return whether a driver reads one event stream for each session."""
    return driver.traits.session_stream


@dataclass(frozen=True)
class Protocol:
    """One protocol: its name in ``/config``, its traits, and the driver that implements it."""

    name: str
    traits: ProtocolTraits
    driver: Callable[[HTTP, ProtocolTraits, str], StreamDriver | CallDriver] = field(repr=False)
    """Receives the server's version of Gradio as its last argument."""
