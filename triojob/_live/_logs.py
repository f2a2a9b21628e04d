"""Redirects log lines on a terminal with a live view, as prints are redirected."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any, TextIO, TypeAlias

# In quotes, because Python 3.10 can't subscript this class at runtime.
Handler: TypeAlias = "logging.StreamHandler[Any]"


class LogStreams:
    """Redirects the handlers that write to some streams to others, until `restore`.

    A handler keeps the stream that it was made with, and most programs make one at their start with
    `logging.basicConfig`; replacing `sys.stderr` does not affect it.

    Args:
        streams: Pairs of a stream and its replacement.
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
        """Restore the streams of the handlers, unless they were given other streams meanwhile."""
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
