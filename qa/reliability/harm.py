"""What goes wrong, when, and what that does to bytes on their way to the client."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import trio

from qa.reliability.reading import Head

End = Literal["reset", "end", "close", "silence", "garbage"]
LOST_SESSION = (
    b'data: {"msg":"unexpected_error","event_id":null,"message":"Session not found",'
    b'"session_not_found":true,"success":false}\n\n'
)


@dataclass(frozen=True)
class Fault:
    """What goes wrong."""

    name: str
    delay: float = 0.0
    """Seconds before the next byte."""
    jitter: float = 0.0
    """Up to so many seconds before each piece."""
    piece: int = 0
    """Bytes come in pieces of so many, each by itself."""
    cut: int | None = None
    """So many bytes pass, and then comes the end."""
    end: End = "reset"
    heard: bool = True
    """Whether the server gets the request."""
    frames: Literal["", "doubled", "swapped"] = ""
    reply: bytes = b""
    """The whole of an answer, in the server's stead."""
    elsewhere: bool = False
    """The request goes to another server, which knows nothing of the session."""
    restart: bool = False
    """All connections are reset, and from then on another server is there."""
    untrusted: bool = False
    """The next connection shows a certificate of somebody else."""
    full: bool = False
    """Nothing goes wrong on the way: the app's own queue is full."""


@dataclass
class Plan:
    """A fault, and when it is to happen."""

    fault: Fault
    matches: Callable[[Head], bool]
    """Which request it befalls."""
    message: str = ""
    """Not the answer to that from its first byte, but from this message on; "any" for the first."""
    count: int = 1
    """The how-manieth such message."""
    instead: bool = False
    """Whether that message is already befallen; otherwise it is the last to pass unharmed."""
    fired: threading.Event = field(default_factory=threading.Event)


class EndOfConnection(Exception):
    """Raised where a connection is to end, by what it is to end."""

    def __init__(self, how: End) -> None:
        self.how: End = how


class Sink:
    """Where bytes for the client go, through whatever is wrong by then."""

    def __init__(self, stream: trio.abc.Stream, dice: random.Random) -> None:
        self._stream = stream
        self._dice = dice
        self.fault: Fault | None = None
        self._passed = 0
        self._delayed = False

    async def send(self, data: bytes) -> None:
        fault = self.fault
        if fault is None:
            await self._stream.send_all(data)
            return
        if fault.delay and not self._delayed:
            self._delayed = True
            await trio.sleep(fault.delay)
        if fault.cut is not None and self._passed + len(data) >= fault.cut:
            await self._stream.send_all(data[: fault.cut - self._passed])
            raise EndOfConnection(fault.end)
        self._passed += len(data)
        size = fault.piece or max(1, len(data))
        for start in range(0, len(data), size):
            if fault.jitter or fault.piece:
                await trio.sleep(fault.jitter * self._dice.random())
            await self._stream.send_all(data[start : start + size])
