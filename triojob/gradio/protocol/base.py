"""The interface of drivers: what sessions ask of a protocol.

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
    """What a call asks for."""

    name: str
    """What people call the endpoint."""
    fn_index: int
    api_name: str | None
    """The endpoint's name with its slash, or None if it has none."""
    data: str
    """The call's data, as JSON."""
    canceller: int | None = None
    """The number of a function that cancels this one; servers before Gradio 4.31 need it."""
    oauth_token: str | None = field(default=None, repr=False)
    """For the app's function to act with, or None."""
    trigger: Trigger = field(default_factory=Trigger)
    """What set the call off."""
    streams: bool = False
    """Whether it is a generator."""
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    """Sent with the request that makes the call, beside those of the client."""

    def body(self, session_hash: str | None, *, data: str | None = None, **more: str) -> str:
        """Return the JSON body of a request that makes the call.

        Args:
            data: Other data than the call's, as JSON: a further input of a stream of them.
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
    """What speaks a protocol.

    Args:
        version: The server's version of Gradio, as it says.
    """

    def __init__(self, http: HTTP, traits: ProtocolTraits, version: str) -> None:
        self._http = http
        self.traits: ProtocolTraits = traits
        self.dequeues: bool = traits.dequeues(version)
        """Whether the server can take a call out of its queue that waits there."""


class StreamDriver(Driver, ABC):
    """Speaks a protocol with one event stream for each session."""

    @abstractmethod
    async def join(self, session_hash: str, call: CallRequest, ready: Ready | None) -> str:
        """Put a call into the server's queue; return the event's id.

        Args:
            ready: Awaited before the request is sent.

        Raises:
            QueueFull, ValidationError, TooManyRequests, AuthenticationError, ServerStopped,
            UnexpectedResponse: The server refused; nothing was queued.
            ConnectionFailed: The server never saw it.
            NetworkError: The network failed; whether anything was queued is not known.
        """

    @abstractmethod
    def open(
        self, session_hash: str, refused: Callable[[TriojobError], Awaitable[None]]
    ) -> AbstractAsyncContextManager[AsyncIterator[Json | InvalidMessage]]:
        """Open the session's event stream, closed at the end of the body.

        Iteration yields each message, and each event that is not a valid one.  It ends when no
        event of the session is pending.

        Args:
            refused: Called with the error if the stream could not be opened, which harms nothing:
                it returns when to ask for it again, or raises.

        Raises:
            NetworkError: The network failed, or the stream ended before the server said so.
            ProtocolError: The stream is invalid.
        """

    @abstractmethod
    async def cancel(
        self, session_hash: str, call: CallRequest, event_id: str, *, alone: bool
    ) -> None:
        """Cancel the event; the server may stop all running events of that function there too.

        Args:
            alone: Whether nothing else runs in the session, so that nothing else can be harmed.

        Raises:
            NetworkError: The network failed.
            UnexpectedResponse: The server refused.
        """

    @abstractmethod
    async def dequeue(self, session_hash: str, event_id: str) -> None:
        """Take a call out of the server's queue, where `dequeues` says that this can be done.

        The stream then says that the event has ended.  It says so too if the event has started
        meanwhile; then a plain function runs on, and a generator goes on or starts anew.

        Raises:
            As `cancel`.
        """


@dataclass
class Conversation:
    """One call on a connection of its own."""

    session_hash: str = field(repr=False)
    call: CallRequest
    ready: Ready | None
    """Awaited before the request that makes the call is sent."""
    deliver: Callable[[Json], None]
    """Takes each message, in the words of Gradio's queue: ``{"msg": "process_completed", ...}``."""
    ended: Callable[[], bool]
    """Tells whether the last message has been delivered."""
    hold: trio.CancelScope
    """Shielded: for a request whose answer must be known, come what may."""
    refused: Callable[[TriojobError], Awaitable[None]]
    """As for `StreamDriver.open`."""
    event_id: str | None = field(default=None, init=False, repr=False)
    """The server's name for it, once it has given one."""


class CallDriver(Driver, ABC):
    """Speaks a protocol with a connection for each call."""

    @abstractmethod
    async def converse(self, conversation: Conversation) -> None:
        """Make the call; return when the server has said the last word.

        Being cancelled closes the connection.

        Raises:
            As `StreamDriver.join` and `StreamDriver.open`.
        """

    @abstractmethod
    async def cancel(self, conversation: Conversation, *, alone: bool) -> None:
        """Tell the server that a conversation was cut short, where closing is not enough.

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
    """One protocol: its name in ``/config``, its traits, and the driver that speaks it."""

    name: str
    traits: ProtocolTraits
    driver: Callable[[HTTP, ProtocolTraits, str], StreamDriver | CallDriver] = field(repr=False)
    """Takes the server's version of Gradio last."""
