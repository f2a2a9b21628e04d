"""Settings that are values: `Timeouts` and `Limits`."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import cast


@dataclass(frozen=True)
class Timeouts:
    """How long each phase of communication with a server can take, in seconds; None for no limit.

    They bound the network, not the work: a job runs as long as it takes.
    To bound a job, use `trio.move_on_after` or `Job.result` with a timeout.

    Raises:
        ValueError: A timeout is negative or not a number.
    """

    connect: float | None = 10
    """Opening a connection, including TLS; also the check over it whether the app has restarted,
    which can take twice this time in total."""
    write: float | None = 30
    """Sending a part of a request."""
    read: float | None = 120
    """Until a response begins, and between its parts.  Apps run validators within this time."""
    stream_idle: float | None = 60
    """Between two messages on an open event stream; Gradio sends a heartbeat every 15 s.
    After this time, another request checks the app, as a proxy may hold back heartbeats."""
    max_stream_idle: float | None = 3600
    """As ``stream_idle``, if the app responds to that other request."""
    cancel: float = 5
    """Sending a cancel request, in the background; the job has ended by then."""

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
    """How much a client does at once, and how much it accepts from a server.

    Raises:
        ValueError: A limit is not a number, or under 1.
    """

    streams: int | None = None
    """Event streams that are open at once.
    None for 256, or fewer if the process can open fewer files; 32 over your own ``http_client``."""
    in_flight: int | None = None
    """Calls of one endpoint that are in flight at once; the others wait in your program.
    None lets the server's own messages control it, starting at 16: it grows while all calls in
    flight run, and shrinks if calls only wait or are refused."""
    requests: int = 48
    """Short requests that are in flight at once, mostly the requests that make calls.
    Each has a connection."""
    transfers: int | None = None
    """Files that are in flight at once, uploads and downloads together.
    None for 8, or 4 over your own ``http_client``."""
    message_size: int = 64 * 2**20
    """Maximum bytes of one message or response of the server."""
    download_size: int | None = 4 * 2**30
    """Maximum bytes of files that one call downloads automatically, and of one file that a `File`
    downloads.  None for no limit: then a server can fill the disk."""
    refused_for: float = 60
    """Seconds for which a call is retried while the server, or a proxy in front of it, refuses it
    (status 429 or 503, or a failed connection while others are open): then the call fails.  0 to
    fail at once.
    A full queue of the app itself raises `QueueFull` at once."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value: object = getattr(self, field.name)
            if field.name == "refused_for" or (value is None and "None" in str(field.type)):
                continue
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"Limits.{field.name} must be a positive integer, not {value!r}")
        seconds = cast("object", self.refused_for)
        if not isinstance(seconds, (int, float)) or not seconds >= 0:
            raise ValueError(f"Limits.refused_for must be a number of seconds, not {seconds!r}")
