"""The checks in their order: each can rely on what those before it have found out."""

from __future__ import annotations

from .address import address, cookies
from .application import errors, queue, release, rendering, state
from .context import Check
from .description import description
from .hub import space
from .limits import connections, idle_connections, request_bodies, request_rate
from .replicas import replicas
from .streams import event_stream, websocket
from .trial import trial

CHECKS: tuple[Check, ...] = (
    Check("the hub", space, needs_app=False),
    Check("description", description, seconds=60, needs_app=False),
    Check("address", address),
    Check("cookies", cookies),
    Check("release", release),
    Check("errors", errors),
    Check("State", state),
    Check("queue", queue),
    Check("rendering", rendering),
    Check("replicas", replicas, repeat=True),
    Check("idle connections", idle_connections, repeat=True),
    Check("request bodies", request_bodies),
    Check("WebSocket", websocket),
    Check("event stream", event_stream, seconds=60, repeat=True),
    # The last, because what they provoke could disturb the others.
    Check("request rate", request_rate, repeat=True),
    Check("connections", connections, repeat=True),
    Check("call", trial, seconds=300),
)
