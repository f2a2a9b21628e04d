"""Lets clients of a server in memory make connections of their own, and not httpx's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpcore
import httpx
import pytest
import trio

from triojob.gradio.http.client import HTTP
from triojob.gradio.http.sockets import ByteStream, NotConnected, TimedOut
from triojob.testing._server.network import MemoryNetwork


class MemoryStream(ByteStream):
    """A connection of a `MemoryNetwork`."""

    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream

    async def send_all(self, data: bytes) -> None:
        with _unmapped():
            await self._stream.write(data)

    async def receive_some(self) -> bytes:
        with _unmapped():
            return await self._stream.read(65536)

    def is_stale(self) -> bool:
        return bool(self._stream.get_extra_info("is_readable"))

    def close(self) -> None:
        stream: Any = self._stream
        while isinstance(stream, httpcore.AsyncNetworkStream):
            stream = stream._stream  # type: ignore[attr-defined]
        stream.send_stream.close()
        stream.receive_stream.close()


@contextmanager
def _unmapped() -> Iterator[None]:
    try:
        yield
    except (httpcore.ReadError, httpcore.WriteError) as exc:
        raise trio.BrokenResourceError(str(exc)) from exc


def go_direct(patch: pytest.MonkeyPatch) -> None:
    """Let clients that are given the transport of a `MemoryNetwork` make connections of their own.

    What that transport would connect to is what they connect to; files still go through it.
    """
    original = HTTP.__init__

    def init(http: HTTP, base: str, *, transport: Any = None, **options: Any) -> None:
        original(http, base, transport=transport, **options)
        network = getattr(getattr(transport, "_pool", None), "_network_backend", None)
        if not isinstance(network, MemoryNetwork):
            return
        url = httpx.URL(base)
        port = url.port or {"http": 80, "https": 443}[url.scheme]

        async def make() -> ByteStream:
            try:
                seconds = http.timeouts.connect
                return MemoryStream(await network.connect_tcp(url.host, port, seconds))
            except httpcore.ConnectTimeout as exc:
                raise TimedOut("connect") from exc
            except httpcore.ConnectError as exc:
                raise NotConnected(str(exc)) from exc

        http.go_direct()
        assert http._direct is not None
        connections = http._direct.pool
        connections._connect = make
        pool = transport._pool
        kept = pool._keepalive_expiry if pool._max_keepalive_connections else 0
        connections._kept = float("inf") if kept is None else kept

    patch.setattr(HTTP, "__init__", init)
