"""The requests that the server received."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .http import ServerRequest


@dataclass
class RequestLog:
    """The requests and the content of their bodies, in the order of arrival."""

    requests: list[ServerRequest] = field(default_factory=list)
    cancels: list[dict[str, Any]] = field(default_factory=list)
    """The body of each POST /cancel that names a function."""
    dequeues: list[dict[str, Any]] = field(default_factory=list)
    """The body of each other cancel request: it removes an event from the queue, and stops none."""
    unloads: list[str] = field(default_factory=list)
    """The sessions whose heartbeat connection was closed."""
