"""Requests over triojob's own connections, at a third of the cost of httpx."""

from __future__ import annotations

import ssl

from .connection import Connection, DirectResponse
from .headers import HeaderCache, Headers, is_framed_by_caller, needs_no_quoting
from .httpx_backend import HttpxBackend
from .pool import ConnectionPool
from .request import Request
from .settings import Timeouts
from .sockets import ByteStream, connect

_KEPT = 1.0
"""Minimum seconds that servers keep an idle connection: nginx keeps it for 75 by default, uvicorn
for 5, and some are configured for 1."""


class DirectBackend:
    """Sends requests over a `ConnectionPool`.

    Args:
        base: The app's URL with a slash at its end.
        tls: The TLS settings, or None for a URL without TLS.
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

    def can_send(self, request: Request) -> bool:
        """Return whether this backend can send a request; if not, only httpx can."""
        body = request.body
        return (
            (body is None or isinstance(body, bytes))
            and needs_no_quoting(request.url.removeprefix(self._base))
            and not is_framed_by_caller(request.headers)
        )

    async def send(self, request: Request) -> DirectResponse:
        """Send a request, once, following no redirect; return when its headers have arrived.

        Args:
            request: One that `can_send` allows.

        Raises:
            TransportError: The network failed, or the response is invalid.
        """
        ready = request.ready

        async def when_ready(connection: int) -> bytes:
            assert ready is not None
            await ready(connection)
            return self._serialize(request)  # afterwards, as cookies may have changed

        response = await self.pool.send(
            self._serialize(request) if ready is None else when_ready,
            write=self._write,
            read=request.read,
            fresh=request.fresh,
        )
        if request.body is not None:
            assert isinstance(request.body, bytes)
            self.pool.traffic.sent += len(request.body)
        try:
            self._keep_cookies(request, response)
        except BaseException:
            response.discard()
            await response.aclose()
            raise
        return response

    async def begin(self, request: Request, announced: int | None) -> Connection:
        """Send a request up to its body, over a connection of its own, which the caller closes.

        Args:
            request: One that `can_send` allows.
            announced: The size in bytes of a body that the request announces and that is not sent:
                the server is asked to say first whether it would take it (``Expect``, RFC 9110,
                10.1.1).  None for a request without a body.

        Raises:
            TransportError: The network failed.
        """
        head = self._head(request)
        if announced is not None:
            head += b"content-length: %d\r\nexpect: 100-continue\r\n" % announced
        connection = await self.pool.open()
        is_sent = False
        try:
            await connection.send(head + b"\r\n", self._write)
            is_sent = True
        finally:
            if not is_sent:
                connection.close()
        return connection

    def _serialize(self, request: Request) -> bytes:
        body = request.body
        assert body is None or isinstance(body, bytes)
        head = self._head(request)
        if body is None and request.method == "GET":
            return head + b"\r\n"
        body = body or b""
        return b"%scontent-length: %d\r\n\r\n%s" % (head, len(body), body)

    def _head(self, request: Request) -> bytes:
        """Return the request line and the headers, without the length of the body."""
        target = request.url.removeprefix(self._base)
        own = tuple(request.headers.items())
        block = self._headers.block(request.method, target.partition("?")[0], own)
        return f"{request.method} {self._base_target}{target} HTTP/1.1\r\n".encode() + block

    def _keep_cookies(self, request: Request, response: DirectResponse) -> None:
        if response.header("set-cookie") is not None:
            self._httpx.keep_cookies(request, response.status, response.headers)
