"""Settings that are values of their own: `Timeouts` and `Limits`."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import cast


@dataclass(frozen=True)
class Timeouts:
    """How long each phase of talking to a server may take, in seconds; None for no bound.

    They bound the network, not the work: a job runs for as long as it takes.
    For that, use `trio.move_on_after` or `Job.result` with a timeout.

    Raises:
        ValueError: One is negative or not a number.
    """

    connect: float | None = 10
    """Making a connection, TLS included; and asking over it whether the app was restarted, for
    which there is twice that time in all."""
    write: float | None = 30
    """Sending a part of a request."""
    read: float | None = 120
    """Until a response begins, and between its parts.  Apps run validators within it."""
    stream_idle: float | None = 60
    """Between two signs of life on an open event stream; Gradio gives one every 15 s.
    After that, the app is asked by another request, as a proxy may hold the signs back."""
    max_stream_idle: float | None = 3600
    """As ``stream_idle``, where the app answers that other request."""
    cancel: float = 5
    """Telling the server of a cancellation, in the background; the job has ended by then."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is None and field.name != "cancel":
                continue
            endless = field.name == "cancel" and value == math.inf
            if endless or not isinstance(value, (int, float)) or not value >= 0:
                raise ValueError(
                    f"Timeouts.{field.name} must be a number of seconds, not {value!r}"
                )


@dataclass(frozen=True)
class Limits:
    """How much a client does at once, and how much it takes from a server.

    Raises:
        ValueError: One is not a number, or under 1.
    """

    streams: int | None = None
    """Event streams that are open at once.
    None for 256, or fewer where the process may open fewer files; 32 over your own
    ``http_client``."""
    in_flight: int | None = None
    """Calls of one endpoint that are in flight at once; the others wait on this side.
    None lets the server's own messages drive it, from 16 on: it grows while all that
    is in flight runs, and shrinks where calls only wait, or are refused."""
    requests: int = 48
    """Short requests that are in flight at once, those that make calls above all.
    Each has a connection."""
    transfers: int | None = None
    """Files that are in flight at once, up and down together.
    None for 8, or 4 over your own ``http_client``."""
    message_size: int = 64 * 2**20
    """Bytes of one message or response of the server."""
    download_size: int | None = 4 * 2**30
    """Bytes of files that one call downloads by itself, and of one file that a `File` downloads.
    None for no bound: then a server can fill the disk."""
    refused_for: float = 60
    """Seconds for which a call is sent again that the server, or a proxy before it, refuses (status
    429 or 503, or no connection while others are open): then it fails.  0 to fail at once.
    A full queue of the app's own is `QueueFull` at once."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value: object = getattr(self, field.name)
            if field.name == "refused_for" or (value is None and "None" in str(field.type)):
                continue
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(
                    f"Limits.{field.name} must be a whole number from 1 up, not {value!r}"
                )
        seconds = cast("object", self.refused_for)
        if not isinstance(seconds, (int, float)) or not seconds >= 0:
            raise ValueError(f"Limits.refused_for must be a number of seconds, not {seconds!r}")
