"""Transfers several files at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

import trio

from ..._exceptions import raise_first

T = TypeVar("T")


async def for_each(
    items: Iterable[T], work: Callable[[T], Awaitable[None]], *, at_once: float
) -> None:
    """Call ``work`` with each item, several at once; the first failure cancels the others.

    Raises:
        Exception: The first failure, not in a group.
    """
    waiting = deque(items)
    failures: list[Exception] = []

    async def worker() -> None:
        while waiting:
            item = waiting.popleft()
            try:
                await work(item)
            except Exception as exc:  # noqa: BLE001 - raised below
                failures.append(exc)
                nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        for _ in range(int(min(at_once, len(waiting)))):
            nursery.start_soon(worker)
    raise_first(failures)
