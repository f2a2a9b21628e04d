"""Which driver speaks the protocol that an app names."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from ..._exceptions import ProtocolError, shorten
from ..http.client import HTTP
from .base import CallDriver, StreamDriver
from .call import SimpleCall
from .run import DirectCall
from .sse import CallStream
from .sse_session import SessionStream
from .ws import CallSocket

_QUEUES: dict[str, Callable[[HTTP, bool], StreamDriver | CallDriver]] = {
    "ws": lambda http, _: CallSocket(http),
    "sse": lambda http, _: CallStream(http),
    "sse_v1": partial(SessionStream, edits=False, says_end=False),
    "sse_v2": partial(SessionStream, edits=True, says_end=False),
    "sse_v2.1": partial(SessionStream, edits=True, says_end=False),
    "sse_v3": partial(SessionStream, edits=True, says_end=True),
}

_DEQUEUES = (6, 14)
"""From this version of Gradio on, ``/cancel`` takes a waiting call out of the queue."""


@dataclass(frozen=True)
class Drivers:
    """The ways to one server."""

    queue: StreamDriver | CallDriver
    run: CallDriver
    call: CallDriver


def make_drivers(protocol: str, version: str, http: HTTP) -> Drivers:
    """Return the drivers for the protocol that a server names in ``/config``.

    Args:
        version: Of Gradio; what is no version is taken for a new one.

    Raises:
        ProtocolError: There is none for it.
        MissingDependency: It needs a library that is not installed.
    """
    if protocol not in _QUEUES:
        raise ProtocolError(
            f"the app speaks the protocol {shorten(protocol)!r}; "
            f"this triojob knows {', '.join(_QUEUES)}: is there a newer one?"
        )
    numbers = re.match(r"(\d{1,9})\.(\d{1,9})", version)
    dequeues = numbers is None or (int(numbers[1]), int(numbers[2])) >= _DEQUEUES
    return Drivers(_QUEUES[protocol](http, dequeues), DirectCall(http), SimpleCall(http))
