"""What the server was asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .http import ServerRequest


@dataclass
class RequestLog:
    """The requests, and what their bodies said, in the order in which they came."""

    requests: list[ServerRequest] = field(default_factory=list)
    cancels: list[dict[str, Any]] = field(default_factory=list)
    """The body of each POST /cancel that names a function."""
    dequeues: list[dict[str, Any]] = field(default_factory=list)
    """The body of each other one: it takes an event out of the queue, and stops none."""
    unloads: list[str] = field(default_factory=list)
    """The sessions whose heartbeat connection was closed."""
