"""The app's data of one session: unsent messages, unfinished events, its State."""

from __future__ import annotations

import copy
from typing import Any

from ..components import Component
from .messages import Message, MessageQueue


class AppSession:
    """One session of the app, by its session hash."""

    def __init__(self, session_hash: str) -> None:
        self.hash = session_hash
        self.messages: MessageQueue | None = None
        """None before its first event, and after its stream broke."""
        self.pending: set[str] = set()
        """The ids of the events whose completion has not been sent on a stream."""
        self._state: dict[Component, Any] = {}

    def open(self) -> None:
        """Keep messages from now on."""
        if self.messages is None:
            self.messages = MessageQueue()

    def post(self, message: Message | bytes) -> None:
        """Put a message, or bytes in the place of a frame, into its stream."""
        if self.messages is not None:
            self.messages.put(message)

    def delivered(self, message: Message) -> bool:
        """Note that a message was sent; return whether that was the last one."""
        if message["msg"] != "process_completed":
            return False
        self.pending.discard(message["event_id"])
        return not self.pending

    def state_of(self, component: Component) -> Any:
        """Return the session's value of a State."""
        return copy.deepcopy(self._state.get(component, component.value))

    def set_state(self, component: Component, value: Any) -> None:
        self._state[component] = value
