"""Callbacks for the end of a job."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import final

from ._threads import call_elsewhere


@final
class Callbacks:
    """Functions that are called once each, by the thread that removes them."""

    __slots__ = ("_functions",)

    def __init__(self) -> None:
        self._functions: dict[object, Callable[[], object]] = {}

    def add(self, fn: Callable[[], object]) -> object:
        """Add a function that never raises; return the key to remove it."""
        key = object()
        self._functions[key] = fn
        return key

    def remove(self, key: object) -> bool:
        """Remove a function; return whether this call removed it."""
        return self._functions.pop(key, None) is not None

    def call_all(self) -> None:
        """Remove all functions and call them, one after the other, in a new thread."""
        if self._functions:
            removed = [self._functions.pop(key, None) for key in self._functions.copy()]
            functions = [fn for fn in removed if fn is not None]
            # They can take long, and wait for other jobs.
            call_elsewhere(partial(_call_each, functions))


def _call_each(functions: Iterable[Callable[[], object]]) -> None:
    for fn in functions:
        fn()
