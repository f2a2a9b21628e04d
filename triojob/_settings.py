"""Settings that are values of their own."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Timeouts:
    """How long each phase of talking to a server may take, in seconds; None for no bound.

    They bound the network, not the work: a job runs for as long as it takes.
    For that, use `trio.move_on_after` or `Job.result` with a timeout.

    Raises:
        ValueError: One is negative or not a number.
    """

    connect: float | None = 10
    """Making a connection, TLS included."""
    write: float | None = 30
    """Sending a part of a request."""
    read: float | None = 120
    """Until an answer begins, and between its parts.  Apps run validators within it."""
    stream_idle: float | None = 60
    """Between two signs of life on an open event stream; Gradio gives one every 15 s."""
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
