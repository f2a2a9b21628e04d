"""Scripted apps with faults: those of `triojob.testing`, to which things happen on the way.

`tests/test_scripted_server.py` and `tests/testing` hold them to the real thing.

A test says what an endpoint does by a *script*, an async function that gets an `Event`::

    async with open_server() as server:

        @server.app.endpoint(inputs=["name"])
        async def greet(event: Event) -> None:
            await event.completed([f"Hello {event.data[0]}!"])
"""

from __future__ import annotations

import contextlib
import math
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import trio

from tests.servers.faults import Fault
from tests.servers.faulty import FaultyConnection
from triojob.testing._server.description import App
from triojob.testing._server.event import Event, GradioError
from triojob.testing._server.http import ServerConnection, ServerRequest
from triojob.testing._server.messages import Message, frame
from triojob.testing._server.network import MemoryPeer
from triojob.testing._server.server import AppServer
from triojob.testing._server.streams import MessageStream

__all__ = [
    "Event",
    "GradioError",
    "Message",
    "MessageStream",
    "ScriptedServer",
    "frame",
    "open_server",
]


@dataclass
class _FaultRule:
    method: str
    path: str
    faults: list[Fault]
    left: float

    def applies_to(self, request: ServerRequest) -> bool:
        if self.left < 1 or request.method != self.method:
            return False
        return request.path == self.path or request.path.startswith(self.path + "/")


class ScriptedServer(AppServer):
    """Serves an `App` on loopback sockets or in memory, with the faults that a test asks for."""

    def __init__(self, app: App, nursery: trio.Nursery) -> None:
        super().__init__(app, nursery)
        self._rules: list[_FaultRule] = []

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} {self.url} {len(self.requests)} requests,"
            f" {len(self.running)} running, {len(self.waiting)} waiting,"
            f" {self.streams.open} streams, {self.open_connections} connections>"
        )

    # --- What a test asks ---

    @property
    def requests(self) -> list[ServerRequest]:
        return self.log.requests

    @property
    def joins(self) -> list[dict[str, Any]]:
        """The body of each POST /queue/join."""
        return [
            request.json
            for request in self.requests
            if (request.method, request.path) == ("POST", "/queue/join")
        ]

    @property
    def cancels(self) -> list[dict[str, Any]]:
        return self.log.cancels

    @property
    def dequeues(self) -> list[dict[str, Any]]:
        return self.log.dequeues

    def paths(self) -> list[str]:
        """List "METHOD /path" of each request."""
        return [f"{request.method} {request.path}" for request in self.requests]

    @property
    def events(self) -> dict[str, Event]:
        """Every event that ever joined the queue, by id, in order."""
        return self.queue.events

    @property
    def running(self) -> list[Event]:
        return self.queue.running

    @property
    def waiting(self) -> list[Event]:
        return self.queue.waiting

    @property
    def files(self) -> dict[str, bytes]:
        """What /file= serves: uploads, and what the test puts there."""
        return self.storage.files

    @property
    def open_connections(self) -> int:
        return len(self.listener.connections)

    def client(self, **options: Any) -> httpx.AsyncClient:
        """Make a raw httpx client for the API: paths are relative to the prefix."""
        base = self.url + self.app.api_prefix
        transport = None if self.listener.has_sockets else self.transport()
        return httpx.AsyncClient(base_url=base, transport=transport, trust_env=False, **options)

    async def settled(self, timeout: float = 5) -> None:
        """Wait until nothing runs, waits or streams; heartbeats live as long as their sessions."""
        with trio.move_on_after(timeout):
            # Polled: none of the three says when it ends.
            while self.running or self.waiting or self.streams.open:  # noqa: ASYNC110
                await trio.sleep(0.01)
            return
        raise AssertionError(f"did not settle: {self!r}, {self.running}, {self.waiting}")

    # --- What a test does ---

    def post(self, session_hash: str, message: Message | bytes) -> None:
        """Put a message, or bytes in the place of a frame, into a session's stream."""
        self.queue.sessions[session_hash].post(message)

    def kill_connections(self, *, reset: bool = False) -> None:
        """Break every open connection. The server goes on."""
        self.listener.kill_connections(reset=reset)

    def fault(self, method: str, path: str, *faults: Fault, times: float = math.inf) -> None:
        """Let something go wrong with the next requests to a path (without prefix and query).

        A request meets the oldest rule that still applies to it, and all the faults of that rule.
        """
        self._rules.append(_FaultRule(method, path, list(faults), times))

    def clear_faults(self) -> None:
        self._rules.clear()

    def take_faults(self, request: ServerRequest) -> list[Fault]:
        """Say what is to go wrong with a request."""
        for rule in self._rules:
            if rule.applies_to(request):
                rule.left -= 1
                return rule.faults
        return []

    def connection(self, stream: trio.abc.Stream, peer: MemoryPeer | None) -> ServerConnection:
        return FaultyConnection(self, stream, peer)


class Chosen:
    """What `open_server` serves apps with, unless they name another protocol."""

    protocol = "sse_v3"
    server = ScriptedServer


@contextlib.asynccontextmanager
async def open_server(
    app: App | None = None, *, memory: bool = False, tls: ssl.SSLContext | None = None
) -> AsyncIterator[ScriptedServer]:
    """Serve an app on a loopback socket, or in memory.

    What the body raises comes out bare; what a script raises comes out in an `ExceptionGroup`.
    """
    failure: BaseException | None = None
    async with trio.open_nursery() as nursery:
        app = app or App()
        if app.protocol == "sse_v3":
            app.protocol = Chosen.protocol
        server = Chosen.server(app, nursery)
        if memory:
            server.serve_in_memory()
        else:
            await server.listen(tls)
        try:
            yield server
        except trio.Cancelled:
            raise
        except BaseException as error:  # noqa: BLE001 - pytest's own failures are none of Exception
            failure = error
        finally:
            server.die()
            nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure
