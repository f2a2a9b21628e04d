"""What the tests of pools share: several scripted replicas in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import trio

from tests.servers.faults import Answer
from tests.servers.scripted import Event, ScriptedServer, open_server
from triojob import Client, ClientPool

JOIN = ("POST", "/queue/join")
FULL = Answer(503, {"detail": "Queue is full. Max size is 1 and size is 1."})
TOO_MANY = Answer(429, {"detail": "slow down"}, {"retry-after": "7"})


class Replicas:
    """Scripted servers of the same app, as ``http://r0.test`` and so on.

    Each has ``/echo``, and ``/slow``, which takes as many seconds as it is told.
    """

    def __init__(self, servers: list[ScriptedServer]) -> None:
        self.servers = servers
        self.seen: dict[str, list[Any]] = {server.url: [] for server in servers}
        """What each was called with, and started."""
        for server in servers:
            self.add_endpoints(server)

    def __getitem__(self, place: int) -> ScriptedServer:
        return self.servers[place]

    @property
    def urls(self) -> list[str]:
        return [server.url for server in self.servers]

    @property
    def counts(self) -> list[int]:
        """How many calls each has started."""
        return [len(self.seen[url]) for url in self.urls]

    def add_endpoints(self, server: ScriptedServer) -> None:
        seen = self.seen[server.url]

        @server.app.endpoint(inputs=["text"], parameter_names=("text",))
        async def echo(event: Event) -> None:
            seen.append(event.data[0])
            await event.completed(event.data)

        @server.app.endpoint(inputs=["seconds"], parameter_names=("seconds",))
        async def slow(event: Event) -> None:
            seen.append(event.data[0])
            await trio.sleep(float(event.data[0]))
            await event.completed(event.data)

    def client(self, url: str) -> Client:
        by_url = {server.url: server for server in self.servers}
        return Client(url, transport=by_url[url].transport())

    def pool(self, make: Callable[[str], Client] | None = None, **options: Any) -> ClientPool:
        return ClientPool(self.urls, make or self.client, **options)


@asynccontextmanager
async def replicas(count: int = 3) -> AsyncIterator[Replicas]:
    async with AsyncExitStack() as stack:
        servers: list[ScriptedServer] = []
        for number in range(count):
            server = await stack.enter_async_context(open_server(memory=True))
            server.serve_in_memory(f"r{number}.test")
            servers.append(server)
        yield Replicas(servers)
