"""Transfers several files at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

import trio

T = TypeVar("T")


async def for_each(
    items: Iterable[T], work: Callable[[T], Awaitable[None]], *, at_once: float
) -> None:
    """Call ``work`` with each item, some at once; the first failure cancels the others.

    Raises:
        Exception: That first failure, bare.
    """
    waiting = deque(items)
    failure: Exception | None = None

    async def worker() -> None:
        nonlocal failure
        while waiting:
            item = waiting.popleft()
            try:
                await work(item)
            except Exception as exc:  # noqa: BLE001 - raised below
                failure = failure or exc
                nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        for _ in range(int(min(at_once, len(waiting)))):
            nursery.start_soon(worker)
    if failure is not None:
        try:
            raise failure
        finally:
            # The traceback holds this frame, which must not hold the exception.
            del failure
