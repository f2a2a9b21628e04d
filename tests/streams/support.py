"""What these tests share: a client of a scripted app in memory, and apps with State."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import trio
import trio.testing

from tests.servers.scripted import Event, ScriptedServer
from triojob import Client
from triojob.testing._server.description import AppEndpoint
from triojob.testing.components import number, state

SECONDS = 10_000
"""On the mock clock it costs nothing; only a test that hangs gets there."""

# More connections than any client here opens, and none that goes stale by the real clock.
ROOMY = httpx.Limits(max_connections=1000, max_keepalive_connections=1000, keepalive_expiry=None)


@asynccontextmanager
async def opened(server: ScriptedServer, **options: Any) -> AsyncIterator[Client]:
    """Open a client of a scripted app, and end whatever hangs in it."""
    with trio.fail_after(SECONDS):
        transport = server.transport(limits=ROOMY)
        async with Client(server.url, transport=transport, **options) as client:
            yield client


async def until(condition: Callable[[], object]) -> None:
    """Wait until a condition holds; on the mock clock that takes no time."""
    with trio.fail_after(SECONDS / 10):
        while not condition():  # noqa: ASYNC110 - a scripted server doesn't tell
            await trio.sleep(0.1)


def add_counter(server: ScriptedServer) -> AppEndpoint:
    """Add a function that counts its calls in a State."""
    counter = state(0)

    async def bump(event: Event) -> None:
        value = event.data[0] + 1
        await event.completed([value, value])

    return server.app.add("bump", bump, inputs=[counter], outputs=[counter, number("count")])


def add_sleeper(server: ScriptedServer, *, stateful: bool = False) -> AppEndpoint:
    """Add a function that sleeps for as many seconds as it is told, and returns their number."""
    kept = [state(0)] if stateful else []

    async def sleep(event: Event) -> None:
        await trio.sleep(event.data[-1])
        await event.completed([*[1 for _ in kept], event.data[-1]])

    return server.app.add(
        "sleep", sleep, inputs=[*kept, number("seconds")], outputs=[*kept, number("slept")]
    )


def heartbeats(server: ScriptedServer) -> list[str]:
    """List the sessions whose heartbeat was asked for, each time it was."""
    paths = [request.path for request in server.requests if request.method == "GET"]
    return [path.removeprefix("/heartbeat/") for path in paths if path.startswith("/heartbeat/")]


def sessions(server: ScriptedServer) -> list[str]:
    """List the session of each call."""
    return [join["session_hash"] for join in server.joins]
