"""The queues of a scripted app: of events that wait for a run, and of messages for a client."""

from __future__ import annotations

import math

import trio

from .description import Endpoint
from .event import Event, Message


class Means:
    """Mean durations per endpoint."""

    def __init__(self) -> None:
        self._sums: dict[Endpoint, tuple[float, int]] = {}

    def add(self, endpoint: Endpoint, seconds: float) -> float:
        total, count = self._sums.get(endpoint, (0.0, 0))
        self._sums[endpoint] = (total + seconds, count + 1)
        return (total + seconds) / (count + 1)

    def mean(self, endpoint: Endpoint) -> float | None:
        total, count = self._sums.get(endpoint, (0.0, 0))
        return total / count if count else None


class MessageQueue:
    """A session's messages, each for only one of those who listen."""

    def __init__(self) -> None:
        self._sender, self._receiver = trio.open_memory_channel[Message | bytes](math.inf)

    def put(self, message: Message | bytes) -> None:
        self._sender.send_nowait(message)

    async def get(self, timeout: float) -> Message | bytes | None:
        with trio.move_on_after(timeout):
            return await self._receiver.receive()
        return None


class Waiting:
    """The events that wait for a run of one function, and how many run."""

    def __init__(self, limit: int | None) -> None:
        self.limit = limit
        self.events: list[Event] = []
        self.running: list[Event] = []

    @property
    def has_room(self) -> bool:
        return self.limit is None or len(self.running) < self.limit
