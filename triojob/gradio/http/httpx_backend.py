"""Requests over httpx: for proxies, for the caller's own clients and transports, and for files."""

from __future__ import annotations

import logging
import math
import re
import socket
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from typing import TYPE_CHECKING, Any

import trio

from ..._core.logs import CLEAN_LINES, clean_line
from ..._secrets import MASK, Secrets, secrets_in_headers
from .request import Request
from .response import OpenResponse
from .settings import Timeouts
from .sockets import Broken, TimedOut, TransportError, keep_alive
from .traffic import CountedBody, Traffic

if TYPE_CHECKING:
    from http.cookiejar import CookieJar

    import httpx

_RECEIVE_SIZE = 16 * 1024
"""Maximum bytes to take from an upgraded connection at once: other tasks run in between."""


class HttpxBackend:
    """Sends requests over an ``httpx.AsyncClient``.

    Args:
        client: The client.
        owned: Whether to close it.
        headers, cookies: Sent with each request.
        secrets: Receives the caller's secrets, and the secrets that the server sets.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        *,
        owned: bool,
        headers: Mapping[str, str] | None,
        cookies: Mapping[str, str] | None,
        timeouts: Timeouts,
        secrets: Secrets,
    ) -> None:
        import httpx

        self.client = client
        self._owned = owned
        self._headers = httpx.Headers(headers)
        # A compressed body could expand to any size before its bytes are counted.
        self._headers["accept-encoding"] = "identity"
        # With each request, and not in the client: the caller's own client also knows other hosts.
        self._cookies = dict(cookies or {})
        self._timeouts = timeouts
        self._secrets = secrets
        self.traffic: Traffic = Traffic()
        secrets.add(*secrets_in_headers(self._sent()))

    @property
    def cookies(self) -> CookieJar:
        """The cookies that the server has set."""
        return self.client.cookies.jar

    @property
    def header_names(self) -> list[str]:
        """The names of the headers that each request has."""
        return list(self._headers)

    async def aclose(self) -> None:
        """Close the client, unless it is the caller's own."""
        if self._owned:
            with trio.CancelScope(shield=True):  # closing sockets: nothing here can block for long
                await self.client.aclose()
                await trio.lowlevel.checkpoint()  # there may have been none to close

    def _sent(self) -> Iterator[tuple[str, str]]:
        """Yield the secrets that the caller sends with each request, as headers."""
        yield from self._headers.multi_items()
        yield from self.client.headers.multi_items()
        for name, value in self._cookies.items():
            yield "cookie", f"{name}={value}"
        for cookie in self.client.cookies.jar:
            yield "cookie", f"{cookie.name}={cookie.value}"
        for name, value in self.client.params.multi_items():
            yield f"parameter {name}", value

    def build(self, request: Request) -> httpx.Request:
        """Return a request in the form of httpx, with all headers and cookies."""
        import httpx

        # Case-insensitive, so that each of the caller's headers occurs only once.
        headers = httpx.Headers(self._headers)
        headers.update(request.headers)
        url, _, query = request.url.partition("?")
        times = self._timeouts
        is_whole = request.body is None or isinstance(request.body, bytes)
        built = self.client.build_request(
            request.method,
            url,
            # Apart from the URL, where the client's own parameters would replace it.
            params=query or None,
            headers=headers,
            cookies=self._cookies,
            content=request.body if is_whole else None,
            # The wait for the pool has no limit: nothing waits there.
            timeout=httpx.Timeout(
                connect=times.connect, write=times.write, read=request.read, pool=None
            ),
        )
        if is_whole:
            # httpx sends a body by an async generator, which it leaves unclosed when cancelled.
            body = built.read()
            built.stream = _byte_stream()(lambda: CountedBody(_WholeBody(body), self.traffic))
        else:
            pieces: Any = request.body
            built.stream = _byte_stream()(lambda: CountedBody(pieces, self.traffic))
        return built

    async def send(
        self, request: Request, begun: Callable[[], None] | None = None
    ) -> HttpxResponse:
        """Send a request, once, following no redirect; return when its headers have arrived.

        Args:
            begun: Called when it has a connection, for which it can wait in a pool of the caller's.
                A transport of the caller's may not report that.

        Raises:
            TransportError, httpx.HTTPError: The network failed, or the response is invalid.
        """
        built = self.build(request)  # first, to reject an invalid request early
        if request.ready is not None:
            await request.ready(None)
            built = self.build(request)  # cookies may have changed
        response = await _send(self.client, built, begun)
        self._note_secrets(response)
        return HttpxResponse(response, self.traffic)

    def keep_cookies(
        self, request: Request, status: int, headers: list[tuple[bytes, bytes]]
    ) -> None:
        """Keep the cookies of a response that came over another backend."""
        import httpx

        response = httpx.Response(
            status, headers=headers, request=httpx.Request(request.method, request.url)
        )
        self.client.cookies.extract_cookies(response)
        self._note_secrets(response)

    def _note_secrets(self, response: httpx.Response) -> None:
        """Note the secrets that the caller's client has added, and the received cookies."""
        # Set by an `auth=` or a hook of that client, for example, which only the request shows.
        sent, received = response.request.headers, response.headers
        self._secrets.add_passing(*secrets_in_headers(sent.multi_items()))
        set_here = [("set-cookie", value) for value in received.get_list("set-cookie")]
        self._secrets.add_passing(*secrets_in_headers(set_here))


async def _send(
    client: httpx.AsyncClient, request: httpx.Request, begun: Callable[[], None] | None = None
) -> httpx.Response:
    """Send a request, following no redirect; return the response when its headers have arrived.

    The headers must arrive within the request's read timeout.  By itself, httpx bounds each wait
    for bytes, and skips interim responses: by sending those, a server could keep a request open
    forever.

    Raises:
        TimedOut: The headers did not arrive in time.
        httpx.HTTPError: The network failed.
    """
    read: float | None = request.extensions["timeout"]["read"]
    seconds = math.inf if read is None else read
    scope = trio.CancelScope()

    async def trace(name: str, info: Mapping[str, Any]) -> None:
        if name == "connection.connect_tcp.complete":
            sock = info["return_value"].get_extra_info("socket")
            if sock is not None:
                keep_alive(sock)
        elif name.endswith(".send_request_headers.started"):
            if begun is not None:
                begun()
        elif ".receive_response_headers." in name:
            waits = name.endswith(".started")
            scope.deadline = trio.current_time() + seconds if waits else math.inf

    request.extensions["trace"] = trace
    with scope:
        return await client.send(request, stream=True, follow_redirects=False)
    raise TimedOut("read")


class HttpxResponse(OpenResponse):
    """A response of httpx's.

    Args:
        traffic: Counts the bytes of the body.
    """

    def __init__(self, response: httpx.Response, traffic: Traffic) -> None:
        self._response = response
        self._traffic = traffic
        # A hook or a transport of the caller's may have read it already.
        is_read = response.is_stream_consumed
        self._chunks = response.aiter_bytes() if is_read else response.aiter_raw()
        self._is_begun = False
        self.status: int = response.status_code
        self.headers: Mapping[str, str] = response.headers
        """Its names are case-insensitive."""

    def header(self, name: str) -> str | None:
        return self.headers.get(name)

    async def __anext__(self) -> bytes:
        self._is_begun = True
        while not (chunk := await self._chunks.__anext__()):
            pass
        self._traffic.received += len(chunk)
        return chunk

    def discard(self) -> None:
        # httpcore sees that a socket which was shut down is readable, and so drops it; it can't
        # check a closed one.
        stream = self._response.extensions.get("network_stream")
        sock = None if stream is None else stream.get_extra_info("socket")
        if sock is not None:
            with suppress(OSError):  # the peer was faster
                sock.shutdown(socket.SHUT_RDWR)

    async def aclose(self) -> None:
        import httpx

        try:
            if self._is_begun:
                # Under a cancellation, each of httpx's nested generators ends at its next wait;
                # otherwise the garbage collector would find them.
                with (
                    trio.CancelScope() as scope,
                    suppress(StopAsyncIteration, TransportError, httpx.HTTPError),
                ):
                    scope.cancel()
                    while True:
                        await self.__anext__()
        finally:
            with trio.CancelScope(shield=True):  # closing a socket: nothing to wait for
                await self._response.aclose()

    def upgraded(self) -> UpgradedStream:
        """Return the bytes of the connection after its upgrade to another protocol.

        Raises:
            Broken: The caller's transport can't upgrade connections.
        """
        stream: Any = self._response.extensions.get("network_stream")
        if stream is None:
            raise Broken(
                "the transport= of this client can't upgrade a connection to another protocol"
            )
        return UpgradedStream(self, stream, self._traffic)


class UpgradedStream:
    """The bytes of a connection after its upgrade to another protocol.

    Args:
        stream: The stream of httpcore.
        traffic: Counts the bytes.
    """

    def __init__(self, response: HttpxResponse, stream: Any, traffic: Traffic) -> None:
        self._response = response
        self._stream = stream
        self._traffic = traffic

    def header(self, name: str) -> str | None:
        """Return the value of a header of the response, or None."""
        return self._response.header(name)

    async def send(self, data: bytes, seconds: float | None) -> None:
        """Send; raise `TimedOut` if the server accepts nothing in time, `Broken` if it broke."""
        with _mapped():
            await self._stream.write(data, seconds)
            self._traffic.sent += len(data)

    async def receive(self) -> bytes:
        """Return the next bytes, empty at the end; raise `Broken` if the connection broke."""
        with _mapped():
            data: bytes = await self._stream.read(_RECEIVE_SIZE)
            self._traffic.received += len(data)
            return data

    async def aclose(self) -> None:
        """Close it immediately, without notifying the server."""
        try:
            self._response.discard()
        finally:
            await self._response.aclose()


@contextmanager
def _mapped() -> Generator[None, None, None]:
    """Map the errors of httpcore, which httpx does not do for an upgraded connection."""
    import httpcore

    try:
        yield
    except httpcore.TimeoutException as exc:
        raise TimedOut("write") from exc
    except (httpcore.NetworkError, httpcore.ProtocolError) as exc:
        raise Broken(str(exc)) from exc


@cache
def _byte_stream() -> type[Any]:
    """Return the class of bodies; each is made from a function that restarts it."""
    import httpx

    class ByteStream(httpx.AsyncByteStream):
        def __init__(self, start: Callable[[], AsyncIterator[bytes]]) -> None:
            self._start = start

        def __aiter__(self) -> AsyncIterator[bytes]:
            return self._start()

    return ByteStream


class _WholeBody:
    """Iterates over a body in one piece."""

    def __init__(self, body: bytes) -> None:
        self._left: bytes | None = body

    def __aiter__(self) -> _WholeBody:
        return self

    async def __anext__(self) -> bytes:
        body, self._left = self._left, None
        if body is None:
            raise StopAsyncIteration
        return body


class _CleanHeaders(logging.Filter):
    """Cleans the lines of httpcore, which have no arguments.

    They contain the cookies that a server sets, before these are known as secrets.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg = clean_line(_SET_COOKIE.sub(rf"\1'{MASK}'", str(record.msg)))
        return True


_SET_COOKIE = re.compile(r"""(b'set-cookie', b)(?:'(?:[^'\\]|\\.)*'|"[^"]*")""", re.IGNORECASE)
_CLEAN_HEADERS = _CleanHeaders()


def keep_secrets_out_of_the_log() -> None:
    """Keep secrets out of the logs of the HTTP libraries."""
    # Adding a filter twice does nothing.
    logging.getLogger("httpx").addFilter(CLEAN_LINES)
    for name in ("connection", "http11", "http2", "proxy", "socks"):
        logging.getLogger(f"httpcore.{name}").addFilter(_CLEAN_HEADERS)
