"""Lock-free state for threads and signal handlers.

A thread that is interrupted at the wrong instruction keeps its lock, and a signal handler deadlocks
on a lock that its own thread holds.  So each step here is one operation of a built-in dict, which
Python makes atomic: by the GIL, or in free-threaded builds by a lock inside the dict.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from functools import partial
from typing import Generic, TypeVar, final

T = TypeVar("T")
S = TypeVar("S")


class Once(Generic[T]):
    """A value that is set once, by the first thread that sets it."""

    __slots__ = ("_value",)

    def __init__(self) -> None:
        self._value: dict[None, T] = {}

    def set(self, value: T) -> bool:
        """Set the value, if there is none; return whether ``value`` is now the value."""
        return self._value.setdefault(None, value) is value

    def get(self) -> T | None:
        """Return the value, or None while there is none."""
        return self._value.get(None)


@final
class WeakBag(Generic[T]):
    """Objects that stay here until they are removed, or until there is no other reference to them.

    If an interrupt prevents a removal, the object disappears with the interrupted stack.
    """

    __slots__ = ("_references",)

    def __init__(self) -> None:
        self._references: dict[int, weakref.ref[T]] = {}

    def add(self, item: T) -> None:
        # An id is reused only after the callback; the callback's second argument is a default.
        forget = partial(self._references.pop, id(item))
        self._references[id(item)] = weakref.ref(item, forget)

    def discard(self, item: T) -> None:
        self._references.pop(id(item), None)

    def __iter__(self) -> Iterator[T]:
        """Iterate over a snapshot of the objects."""
        for reference in self._references.copy().values():
            item = reference()
            if item is not None:
                yield item

    def __len__(self) -> int:
        return len(self._references)


class _Position(Once["_Position[S]"], Generic[S]):
    """A position in a stream, and the next position once a thread has taken the item here."""

    __slots__ = ("state",)

    def __init__(self, state: S) -> None:
        super().__init__()
        self.state = state


@final
class SharedCursor(Generic[S]):
    """A position in a stream that several threads share: each item goes to one of them.

    Args:
        state: The description of the first position; it is never changed.
    """

    __slots__ = ("_position",)

    def __init__(self, state: S) -> None:
        self._position = _Position(state)

    def take(self, step: Callable[[S], tuple[T, S] | None]) -> tuple[T] | None:
        """Return the next item in a tuple, or None if there is none yet.

        Args:
            step: Returns the item at a position and the position after it.  The result is discarded
                if another thread takes that item first.
        """
        while True:
            position = self._position
            if position.get() is None:
                found = step(position.state)
                if found is None:
                    return None
                item, state = found
                if position.set(after := _Position(state)):
                    self._position = after
                    return (item,)
            # The thread that took the item might have been interrupted before it moved this.
            self._position = position.get() or position
