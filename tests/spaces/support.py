"""What the tests of Spaces share."""

from __future__ import annotations

from typing import Any

import httpx

from tests.servers.hub import Origins
from triojob import Client
from triojob.testing._server.http import ServerRequest

SPACE = "ada/story"


def client_of(origins: Origins, src: str = SPACE, **options: Any) -> Client:
    """Make a client that reaches all three origins, and the hub by `hf_endpoint=`."""
    options.setdefault("hf_endpoint", origins.hub.url)
    options.setdefault("transport", origins.hub.transport())
    return Client(src, **options)


def bearers(requests: list[ServerRequest]) -> list[dict[str, str]]:
    """Give what in each request's headers has to do with tokens."""
    return [
        {name: value for name, value in request.headers.items() if "authorization" in name}
        for request in requests
    ]


class TLSInFront(httpx.AsyncBaseTransport):
    """Lets plain servers in memory stand for https ones."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        assert request.url.scheme == "https"
        request.url = request.url.copy_with(scheme="http")
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self._inner.aclose()
