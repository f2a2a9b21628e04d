"""HTTP proxies on loopback: one that clients are told of, as companies have them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
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


class ForwardProxy:
    """A proxy that is named in a request's target, or told to make a tunnel."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[str] = []
        """The methods and targets of the requests that came."""
        self.refuses: dict[str, bytes] = {}
        """What to answer to requests whose method and target contain that text."""

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[ForwardProxy]:
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
                    # One request a connection, but for one that changes the protocol.
                    if b"upgrade: websocket" not in headers.lower():
                        headers = b"Connection: close\r\n" + headers.replace(
                            b"Connection: keep-alive\r\n", b""
                        )
                    path = url.path + (f"?{url.query}" if url.query else "")
                    await server.send_all(f"{method} {path} HTTP/1.1\r\n".encode() + headers + rest)
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(pump, client, server)
                    await pump(server, client)
                    nursery.cancel_scope.cancel()
