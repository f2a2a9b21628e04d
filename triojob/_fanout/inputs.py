"""The inputs of `map`: reads iterables, sync and async, one item at a time."""

from __future__ import annotations

import inspect
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    Generator,
    Iterable,
)
from contextlib import AsyncExitStack
from typing import Any, cast

import trio

from .._core.call import Submittable
from .._exceptions import short_repr

END = object()
"""The return value of `Puller.pull` after the last item."""


def check_function(helper: str, fn: object, items: str) -> None:
    """Refuse what can't be called for each item.

    Args:
        helper: The name of the function that takes ``fn`` first.
        items: What that function calls its items.

    Raises:
        TypeError: ``fn`` is neither a function nor an endpoint.
    """
    if inspect.iscoroutine(fn):
        fn.close()  # otherwise Python warns that it was never awaited
        raise TypeError(
            f"{helper} takes a function and {items}: {helper}(fn, {items}), "
            f"not {helper}(fn({items}))"
        )
    if not (isinstance(fn, Submittable) or callable(fn)):
        raise TypeError(
            f"{helper} takes an async function or an endpoint first, not {short_repr(fn)}"
        )


def check_pace(limit: int, rate: float | None) -> None:
    """Refuse invalid bounds on the calls in flight, and on the calls per second.

    Raises:
        ValueError: ``limit`` is not a positive integer, or ``rate`` is not positive.
    """
    if not (isinstance(cast("object", limit), int) and limit >= 1):
        raise ValueError(f"limit must be a positive integer, not {limit!r}")
    if rate is not None and not rate > 0:
        raise ValueError(f"rate must be more than 0 calls per second, or None, not {rate!r}")


def check_iterable(helper: str, iterable: object) -> None:
    """Refuse an object that is not iterable.

    Raises:
        TypeError: ``iterable`` is neither an iterable nor an async iterable.
    """
    if isinstance(iterable, (Iterable, AsyncIterable)) or hasattr(iterable, "__getitem__"):
        return
    if inspect.iscoroutine(iterable):
        iterable.close()  # otherwise Python warns that it was never awaited
    hint = " (call the function)" if inspect.isfunction(iterable) else ""
    raise TypeError(
        f"{helper} takes iterables and async iterables, not {short_repr(iterable)}{hint}"
    )


class Puller:
    """Reads several iterables in parallel, until the shortest ends.

    The code of the iterables runs in the task that pulls.
    """

    def __init__(self, iterables: tuple[Any, ...]) -> None:
        self._iterables = iterables
        self._iterators: list[tuple[Any, bool]] = []
        """Each iterator, and whether it is async."""

    def open(self, stack: AsyncExitStack) -> None:
        """Make the iterators, and register generators to be closed with ``stack``."""
        for iterable in self._iterables:
            is_async = isinstance(iterable, AsyncIterable)
            iterator: Any = aiter(cast("Any", iterable)) if is_async else iter(iterable)
            self._iterators.append((iterator, is_async))
            kind = cast("type[object]", type(iterator))
            if issubclass(kind, AsyncGenerator):
                stack.push_async_callback(iterator.aclose)
            elif issubclass(kind, Generator):
                stack.callback(iterator.close)

    @trio.lowlevel.disable_ki_protection
    async def pull(self) -> Any:
        """Return a tuple of the next item of each iterable, or `END`."""
        items: list[Any] = []
        for iterator, is_async in self._iterators:
            try:
                items.append(await anext(iterator) if is_async else next(iterator))
            except (StopIteration, StopAsyncIteration):
                return END
        return tuple(items)


class StartRate:
    """Limits the number of starts per second, evenly spaced.

    Args:
        rate: Maximum starts per second; None for no limit.
    """

    def __init__(self, rate: float | None) -> None:
        self._interval = 0 if rate is None else 1 / rate
        self._next = 0.0

    async def wait(self) -> None:
        """Wait until the next start is allowed; always a checkpoint."""
        await trio.sleep_until(max(self._next, trio.current_time()))

    def started(self) -> None:
        """Record a start."""
        self._next = trio.current_time() + self._interval
