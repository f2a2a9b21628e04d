"""What can go wrong on the way to a scripted server; each is given to `ScriptedServer.fault`.

Those of the request as a whole can be combined with those of its stream.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import trio

from triojob.testing._server.http import ServerRequest, ServerResponse


@dataclass(frozen=True)
class Hold:
    """Keep the request waiting for an event: before handling it, or with the answer in hand."""

    until: trio.Event
    handled: bool = True


@dataclass(frozen=True)
class Delay:
    """Keep the request waiting for some seconds."""

    seconds: float
    handled: bool = True


@dataclass(frozen=True)
class Lose:
    """Drop the connection without an answer, the request having been handled or not."""

    handled: bool = True
    reset: bool = False
    """By a reset (RST) in place of an orderly close."""


@dataclass(frozen=True)
class Silence:
    """Never answer, and leave the connection open."""

    handled: bool = True


@dataclass(frozen=True)
class Interim:
    """Send interim responses in place of the answer, so many seconds apart, without end."""

    interval: float
    handled: bool = True


@dataclass(frozen=True)
class Answer:
    """Answer this, without handling the request."""

    status: int
    body: Any = b""
    """Bytes as they are, text as UTF-8, all else as JSON."""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Reply:
    """Answer what a function makes of the request, without handling it."""

    make: Callable[[ServerRequest], ServerResponse]


# --- Of the body of an answer: an event stream, or any other for Cut, Stall, Split and Drip ---


@dataclass(frozen=True)
class Cut:
    """Lose the connection after so many bytes of the stream's body; the server notices."""

    after_bytes: int
    reset: bool = False


@dataclass(frozen=True)
class Stall:
    """Go silent after so many bytes of the stream's body, the connection staying open."""

    after_bytes: int


@dataclass(frozen=True)
class EndAfter:
    """End the stream cleanly after so many frames, as a proxy ends what takes too long."""

    frames: int
    forget: bool = False
    """Whether the app takes that for a client that went away, and drops the session's queue."""


@dataclass(frozen=True)
class HoldFrame:
    """Keep the first frame of a kind back, and all after it, until an event."""

    until: trio.Event
    msg: str
    """Such as "close_stream"."""


@dataclass(frozen=True)
class Split:
    """Send the stream in pieces of `size` bytes, so that frames and characters are torn apart."""

    size: int


@dataclass(frozen=True)
class Drip:
    """Send the stream in pieces of `size` bytes, `interval` seconds apart."""

    size: int
    interval: float


@dataclass(frozen=True)
class Buffered:
    """Hold back what is sent until so many bytes have come or the stream ends, as proxies do."""

    size: int = 4096
    head: bool = True
    """Whether the head of the answer is held back too."""


Fault = (
    Hold
    | Delay
    | Lose
    | Silence
    | Interim
    | Answer
    | Reply
    | Cut
    | Stall
    | EndAfter
    | HoldFrame
    | Buffered
    | Split
    | Drip
)
