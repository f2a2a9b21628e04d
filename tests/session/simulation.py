"""A server with a queue and a client with a window, as a discrete simulation without any I/O."""

from __future__ import annotations

import heapq
import math
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from triojob.gradio.session.window import Window


@dataclass
class Server:
    """Runs so many calls at once, and tells of each start, as a Gradio app does.

    Args:
        slots: How many calls run at once; may be changed while it runs.
        seconds: How long a call runs.
        latency: How long a message is on its way, in either direction.
        connections: How many calls in flight a proxy before it lets through.
        chance: The share of calls that are refused by chance, whatever is in flight.
        others: How many calls of other clients wait here all the time.
    """

    slots: float
    seconds: float = 0.02
    latency: float = 0.002
    connections: float = math.inf
    chance: float = 0
    others: int = 0
    queue: deque[int] = field(default_factory=deque[int])
    running: int = 0


class Simulation:
    """All of ``calls`` calls, submitted at once, through a window to a server."""

    def __init__(self, server: Server, window: Window, calls: int) -> None:
        self.server = server
        self.window = window
        self.now = 0.0
        self.waiting = deque(range(calls))
        self.left = calls
        self.refusals = 0
        self.sizes: list[int] = []
        """The window's size at each end of a call."""
        self.most_queued = 0
        self._there = 0
        self._dice = random.Random(3)
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        server.queue.extend([-1] * server.others)

    def run(self, changes: dict[float, Callable[[], None]] | None = None) -> Simulation:
        """Run until all calls have ended; ``changes`` come at their times."""
        for time, change in (changes or {}).items():
            self._at(time, change)
        self._send()
        while self.left:
            self.now, _, happen = heapq.heappop(self._agenda)
            happen()
        return self

    def _at(self, time: float, happen: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._agenda, (time, self._count, happen))

    def _later(self, seconds: float, happen: Callable[[], None]) -> None:
        self._at(self.now + seconds, happen)

    # The client.

    def _send(self) -> None:
        while self.waiting and self.window.in_flight < self.window.size:
            call = self.waiting.popleft()
            self.window.sent(call)
            self._later(self.server.latency, lambda call=call: self._join(call))
        self.window.demanded(len(self.waiting))
        if self.waiting and self.window.in_flight < self.window.size:
            self._send()

    def _told_of_start(self, call: int) -> None:
        self.window.started(call, len(self.waiting))
        self._send()

    def _told_of_end(self, call: int) -> None:
        self.left -= 1
        self.window.ended(call, len(self.waiting), self.now)
        self.sizes.append(self.window.size)
        self._send()

    def _told_of_refusal(self, call: int) -> None:
        self.refusals += 1
        self.window.note_refusal(call)
        self.window.withdrawn(call)
        self.waiting.appendleft(call)
        self._later(0.05, self._send)

    # The server.

    def _join(self, call: int) -> None:
        full = self._there >= self.server.connections
        if full or self._dice.random() < self.server.chance:
            self._later(self.server.latency, lambda: self._told_of_refusal(call))
            return
        self._there += 1
        self.server.queue.append(call)
        self._later(self.server.latency, lambda: self.window.queued(call))
        self.most_queued = max(self.most_queued, len(self.server.queue))
        self._dispatch()

    def _dispatch(self) -> None:
        server = self.server
        while server.queue and server.running < server.slots:
            call = server.queue.popleft()
            server.running += 1
            if call >= 0:
                self._later(server.latency, lambda call=call: self._told_of_start(call))
            self._later(server.seconds, lambda call=call: self._end(call))

    def _end(self, call: int) -> None:
        self.server.running -= 1
        if call >= 0:
            self._there -= 1
            self._later(self.server.latency, lambda: self._told_of_end(call))
        else:
            self.server.queue.append(call)  # other clients always have another one
        self._dispatch()
