"""Log lines on a terminal that something is drawn on: they have to go the way that prints go."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any, TextIO, TypeAlias

# In quotes, as Python 3.10 has no such type when it runs.
Handler: TypeAlias = "logging.StreamHandler[Any]"


class LogStreams:
    """Turns the handlers that write to some streams to others, until `restore`.

    A handler keeps the stream that it was made with, as `logging.basicConfig` makes one at the
    start of most programs; putting another object into `sys.stderr` does not reach it.

    Args:
        streams: For each stream that is replaced, what replaces it.
    """

    def __init__(self, streams: Iterable[tuple[TextIO, TextIO]]) -> None:
        self._turned: list[tuple[Handler, TextIO, TextIO]] = []
        for old, new in streams:
            if old is new:
                continue
            for handler in _stream_handlers():
                if handler.stream is old:
                    handler.setStream(new)
                    self._turned.append((handler, old, new))

    def restore(self) -> None:
        """Give the handlers their streams back, but for those that were given others meanwhile."""
        for handler, old, new in self._turned:
            if handler.stream is new:
                handler.setStream(old)
        self._turned.clear()


def _stream_handlers() -> list[Handler]:
    loggers = [logging.root, *logging.root.manager.loggerDict.values()]
    return [
        handler
        for logger in loggers
        if isinstance(logger, logging.Logger)
        for handler in logger.handlers
        if isinstance(handler, logging.StreamHandler)
    ]
