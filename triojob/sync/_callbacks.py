"""What is to be called when a job has ended."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import final

from ._threads import call_elsewhere


@final
class Callbacks:
    """Functions that are called once each; whoever removes one calls it."""

    __slots__ = ("_functions",)

    def __init__(self) -> None:
        self._functions: dict[object, Callable[[], object]] = {}

    def add(self, fn: Callable[[], object]) -> object:
        """Add a function that raises nothing; return what removes it."""
        key = object()
        self._functions[key] = fn
        return key

    def remove(self, key: object) -> bool:
        """Remove a function; return whether nobody else has done so."""
        return self._functions.pop(key, None) is not None

    def call_all(self) -> None:
        """Remove all functions and call them, one after the other, in a thread of their own."""
        if self._functions:
            removed = [self._functions.pop(key, None) for key in self._functions.copy()]
            functions = [fn for fn in removed if fn is not None]
            # They may take their time, and wait for other jobs.
            call_elsewhere(partial(_call_each, functions))


def _call_each(functions: Iterable[Callable[[], object]]) -> None:
    for fn in functions:
        fn()
