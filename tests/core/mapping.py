"""What the tests of `map` share: a function that counts, and iterables that tell."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import trio


class Worker:
    """A function to map, which knows how many of its calls run and ran."""

    def __init__(self, seconds: float = 1) -> None:
        self.seconds = seconds
        self.running = self.peak = 0
        self.started: list[Any] = []
        self.starts: list[float] = []
        self.cancelled: list[Any] = []

    async def work(self, item: Any) -> Any:
        self.running += 1
        self.peak = max(self.peak, self.running)
        self.started.append(item)
        self.starts.append(trio.current_time())
        try:
            await trio.sleep(self.seconds)
        except trio.Cancelled:
            self.cancelled.append(item)
            raise
        finally:
            self.running -= 1
        return item


class Source:
    """Numbers from 0, and how many of them were taken."""

    def __init__(self, end: float = float("inf"), interval: float = 0) -> None:
        self.end = end
        self.interval = interval
        self.taken = 0
        self.closed = False

    def items(self) -> Iterator[int]:
        try:
            while self.taken < self.end:
                self.taken += 1
                yield self.taken - 1
        finally:
            self.closed = True

    async def aitems(self) -> AsyncIterator[int]:
        try:
            while self.taken < self.end:
                await trio.sleep(self.interval)
                self.taken += 1
                yield self.taken - 1
        finally:
            self.closed = True
