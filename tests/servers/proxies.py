"""HTTP proxies on loopback.

One that clients are told of, as companies have them, and one in front of a server that buffers, as
nginx does with its defaults.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import trio


async def read_head(stream: trio.abc.ReceiveStream) -> tuple[bytes, bytes]:
    """Read the head of a message; return it, and what came behind it."""
    data = b""
    while b"\r\n\r\n" not in data:
        came = bytes(await stream.receive_some(65536))
        if not came:
            return data, b""
        data += came
    head, _, rest = data.partition(b"\r\n\r\n")
    return head + b"\r\n\r\n", rest


async def pump(source: trio.SocketStream, target: trio.SocketStream) -> None:
    """Pass on all that comes, and the end."""
    try:
        async for data in source:
            await target.send_all(data)
        await target.send_eof()
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        await trio.aclose_forcefully(target)


class Proxy:
    """What both are."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[str] = []
        """The methods and targets of the requests that came."""

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Any]:
        async with trio.open_nursery() as nursery:
            listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
            self.url = f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}"
            nursery.start_soon(trio.serve_listeners, self._serve, listeners)
            yield self
            nursery.cancel_scope.cancel()

    async def _serve(self, client: trio.SocketStream) -> None:
        async with client:
            head, rest = await read_head(client)
            if not head:
                return
            line, _, headers = head.partition(b"\r\n")
            method, target, _ = line.decode().split(" ")
            self.asked.append(f"{method} {target}")
            await self.answer(client, method, target, headers, rest)

    async def answer(
        self, client: trio.SocketStream, method: str, target: str, headers: bytes, rest: bytes
    ) -> None:
        raise NotImplementedError


def once(headers: bytes) -> bytes:
    """Make a request the only one of its connection."""
    return b"Connection: close\r\n" + headers.replace(b"Connection: keep-alive\r\n", b"").replace(
        b"connection: keep-alive\r\n", b""
    )


class ForwardProxy(Proxy):
    """A proxy that is named in a request's target, or told to make a tunnel."""

    def __init__(self) -> None:
        super().__init__()
        self.refuses: dict[str, bytes] = {}
        """What to answer to requests whose method and target contain that text."""

    async def answer(
        self, client: trio.SocketStream, method: str, target: str, headers: bytes, rest: bytes
    ) -> None:
        for text, answer in self.refuses.items():
            if text in self.asked[-1]:
                await client.send_all(answer)
                return
        tunnel = method == "CONNECT"
        url = urlsplit(f"//{target}" if tunnel else target)
        assert url.hostname is not None
        async with await trio.open_tcp_stream(url.hostname, url.port or 80) as server:
            if tunnel:
                await client.send_all(b"HTTP/1.1 200 Connection established\r\n\r\n" + rest)
            else:
                if b"upgrade: websocket" not in headers.lower():
                    headers = once(headers)
                path = url.path + (f"?{url.query}" if url.query else "")
                await server.send_all(f"{method} {path} HTTP/1.1\r\n".encode() + headers + rest)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(pump, client, server)
                await pump(server, client)
                nursery.cancel_scope.cancel()


class BufferingProxy(Proxy):
    """A proxy in front of a server that holds each response back.

    Args:
        server: The server's URL.
        size: How many bytes of a response have to come before they are passed on, unless it ends.
    """

    def __init__(self, server: str, size: int = 4096) -> None:
        super().__init__()
        self._server = urlsplit(server)
        self._size = size

    async def answer(
        self, client: trio.SocketStream, method: str, target: str, headers: bytes, rest: bytes
    ) -> None:
        assert self._server.hostname is not None
        assert self._server.port is not None
        async with await trio.open_tcp_stream(self._server.hostname, self._server.port) as server:
            await server.send_all(f"{method} {target} HTTP/1.0\r\n".encode() + once(headers) + rest)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(pump, client, server)
                held = b""
                async for data in server:
                    held += data
                    if len(held) >= self._size:
                        await client.send_all(held)
                        held = b""
                await client.send_all(held)
                nursery.cancel_scope.cancel()
