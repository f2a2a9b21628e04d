"""What a session asks of the protocol that its server speaks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from .._wire import Json, Trigger


class Driver(Protocol):
    """One protocol era."""

    edits: bool
    """Whether outputs after the first come as edits."""

    async def join(
        self, session_hash: str, fn_index: int, data: str, endpoint: str, trigger: Trigger
    ) -> str:
        """Put a call into the server's queue; return the event's id.

        Args:
            data: The call's data, as JSON.
            endpoint: What people call the endpoint.
            trigger: What set the call off.

        Raises:
            QueueFull, ValidationError, TooManyRequests, AuthenticationError, ServerStopped,
            UnexpectedResponse: The server refused; nothing was queued.
            ConnectionFailed: The server never saw it.
            ConnectionLost: The network failed; whether anything was queued is not known.
        """
        ...

    async def listen(self, session_hash: str, deliver: Callable[[Json], None]) -> None:
        """Read the session's event stream; return when no event of the session is pending.

        Args:
            deliver: Called with each message; what it raises ends the reading.

        Raises:
            ConnectionLost: The network failed, or the stream ended without that word.
            ProtocolError: The server sent what can't be.
        """
        ...

    async def cancel(self, session_hash: str, fn_index: int, event_id: str) -> None:
        """Cancel the event, and all running events of that function in that session.

        Raises:
            ConnectionLost: The network failed.
            UnexpectedResponse: The server refused.
        """
