"""One driver for each protocol that Gradio has spoken, and for each way around the queue."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..._errors import ProtocolError, shorten
from .._http import HTTP
from ._base import (
    CallDriver as CallDriver,
    CallRequest as CallRequest,
    Conversation as Conversation,
    StreamDriver as StreamDriver,
)
from ._call import SimpleCall
from ._refusals import refusal as refusal
from ._run import DirectCall
from ._sse import CallStream
from ._stream import SessionStream
from ._ws import CallSocket

_QUEUES: dict[str, Callable[[HTTP], StreamDriver | CallDriver]] = {
    "ws": CallSocket,
    "sse": CallStream,
    "sse_v1": lambda http: SessionStream(http, edits=False, says_end=False),
    "sse_v2": lambda http: SessionStream(http, edits=True, says_end=False),
    "sse_v2.1": lambda http: SessionStream(http, edits=True, says_end=False),
    "sse_v3": lambda http: SessionStream(http, edits=True, says_end=True),
}


@dataclass(frozen=True)
class Drivers:
    """The ways to one server."""

    queue: StreamDriver | CallDriver
    run: CallDriver
    call: CallDriver


def make_drivers(protocol: str, http: HTTP) -> Drivers:
    """Return the drivers for the protocol that a server names in ``/config``.

    Raises:
        ProtocolError: There is none for it.
        MissingExtra: It needs a library that is not installed.
    """
    if protocol not in _QUEUES:
        raise ProtocolError(
            f"the app speaks the protocol {shorten(protocol)!r}; "
            f"this triojob knows {', '.join(_QUEUES)}: is there a newer one?"
        )
    return Drivers(_QUEUES[protocol](http), DirectCall(http), SimpleCall(http))
