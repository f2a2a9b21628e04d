"""Requests over triojob's own connections: a third of what they cost over httpx."""

from __future__ import annotations

import ssl

from ..._settings import Timeouts
from .connection import DirectResponse
from .headers import HeaderCache, Headers, needs_no_quoting
from .httpx_backend import HttpxBackend
from .pool import ConnectionPool
from .request import Request
from .sockets import ByteStream, connect

_KEPT = 1.0
"""Seconds that servers keep an idle connection, at least: nginx 75 by default, uvicorn 5, and some
are configured for 1."""


class DirectBackend:
    """Sends requests over a `ConnectionPool`.

    Args:
        base: The app's URL with a slash at its end.
        tls: The settings for it, or None for a plain URL.
        headers: Builds the headers of requests, and keeps the cookies.
    """

    def __init__(
        self, base: str, tls: ssl.SSLContext | None, timeouts: Timeouts, headers: HttpxBackend
    ) -> None:
        import httpx

        url = httpx.URL(base)
        if tls is not None:
            tls.set_alpn_protocols(["http/1.1"])
        host, port = url.raw_host.decode(), url.port or (80 if tls is None else 443)

        async def open_stream() -> ByteStream:
            return await connect(host, port, tls, timeouts.connect)

        def build(method: str, path: str, own: Headers) -> list[tuple[bytes, bytes]]:
            request = Request(method, base + path, dict(own))
            return headers.build(request).headers.raw

        self._base = base
        self._base_target = url.raw_path.decode()
        self._write = timeouts.write
        self._httpx = headers
        self._headers = HeaderCache(build, headers.cookies)
        self.pool: ConnectionPool = ConnectionPool(open_stream, _KEPT)

    def serialize(self, request: Request) -> bytes | None:
        """Return a request as it is sent, or None if only httpx can send it."""
        body = request.body
        target = request.url.removeprefix(self._base)
        if not (body is None or isinstance(body, bytes)) or not needs_no_quoting(target):
            return None
        own = tuple(request.headers.items())
        block = self._headers.block(request.method, target.partition("?")[0], own)
        if block is None:
            return None
        head = f"{request.method} {self._base_target}{target} HTTP/1.1\r\n".encode() + block
        if body is None and request.method == "GET":
            return head + b"\r\n"
        body = body or b""
        return b"%scontent-length: %d\r\n\r\n%s" % (head, len(body), body)

    async def send(self, request: Request, data: bytes) -> DirectResponse:
        """Send a request, once, following no redirect; return when its head has arrived.

        Args:
            data: The request as `serialize` returned it.

        Raises:
            TransportError: The network failed, or the response is invalid.
        """
        ready = request.ready

        async def when_ready(connection: int) -> bytes:
            assert ready is not None
            await ready(connection)
            return self.serialize(request) or data  # cookies may have changed

        response = await self.pool.send(
            data,
            write=self._write,
            read=request.read,
            ready=None if ready is None else when_ready,
            fresh=request.fresh,
        )
        try:
            self._keep_cookies(request, response)
        except BaseException:
            response.discard()
            await response.aclose()
            raise
        return response

    def _keep_cookies(self, request: Request, response: DirectResponse) -> None:
        if any(name == b"set-cookie" for name, _ in response.headers):
            self._httpx.keep_cookies(request, response.status, response.headers)
