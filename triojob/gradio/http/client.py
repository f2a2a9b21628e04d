"""An HTTP client for one app: requests, event streams, and the limiters in front of the pools.

Requests use triojob's own connections (`DirectBackend`), which cost a third of httpx's.  httpx
(`HttpxBackend`) sends requests through a proxy or over the caller's own client or transport, and
requests for files.  The modules above this one do not depend on the backend.

httpcore 1.0.9 permanently loses a slot of its pool when a request is cancelled while it waits for
one (httpcore issue 1093).  So no request can be allowed to wait inside the pool: each request first
acquires a token of a limiter here, and the pool has at least as many connections as all limiters
have tokens.

httpx itself is imported when the first client is made: for its own command line it imports click
and rich wherever they are installed, and ``import triojob`` should not.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import urlencode, urlsplit

import trio

from ..._core.logs import CLEAN_LINES, current_call
from ..._exceptions import ConnectionLost, ProtocolError, TriojobError, shorten
from ..._secrets import Secrets, secrets_in_headers
from ..._version import __version__
from .connection import Connection
from .direct_backend import DirectBackend
from .errors import NO_RESPONSE, MappedErrors
from .headers import bypasses_proxies, is_framed_by_caller
from .httpx_backend import (
    HttpxBackend,
    HttpxResponse,
    UpgradedStream,
    keep_secrets_out_of_the_log,
)
from .request import Ready, Request
from .response import OpenResponse, Response
from .settings import Limits, Timeouts
from .sse import EventDecoder, OversizedEvent
from .stream_watch import StreamWatch, WatchedStream
from .traffic import Traffic
from .urls import public_part

if TYPE_CHECKING:
    import httpx

logger: logging.Logger = logging.getLogger("triojob.http")
logger.addFilter(CLEAN_LINES)

HTTPClient: TypeAlias = "httpx.AsyncClient"
"""The type of ``Client(http_client=)``."""
HTTPTransport: TypeAlias = "httpx.AsyncBaseTransport"
"""The type of ``Client(transport=)``."""

CANCEL_REQUESTS = 16
"""How many cancel requests are sent at once; no other request delays them."""
_EVENT_STREAM = {"accept": "text/event-stream"}
_LINGER = 1.0
"""Seconds for which a stream can stay open after its last event, for the server to end it."""


class HTTP:
    """Requests to one app.

    Args:
        base: The app's URL with a slash at its end.
        limits: As for `Client`, with a number for each None.
        heartbeats: How many heartbeats of sessions can be open; None for as many as streams.
        client: The caller's own client, which the caller closes; or None to make one.
        secrets: The client's secrets, to which secrets that are sent or set here are added; or
            None.
    """

    def __init__(
        self,
        base: str,
        *,
        limits: Limits,
        timeouts: Timeouts,
        heartbeats: int | None = None,
        headers: Mapping[str, str] | None = None,
        cookies: Mapping[str, str] | None = None,
        verify: bool | ssl.SSLContext = True,
        transport: HTTPTransport | None = None,
        client: HTTPClient | None = None,
        secrets: Secrets | None = None,
    ) -> None:
        import httpx

        keep_secrets_out_of_the_log()
        self.token: trio.lowlevel.TrioToken = trio.lowlevel.current_trio_token()
        """The token of the Trio run in which its connections can be used."""
        self.secrets: Secrets = secrets or Secrets()
        self.base: str = base
        """The app's URL, with a slash at its end."""
        self.prefix: str = ""
        """The path prefix of the app's API."""
        self.timeouts: Timeouts = timeouts
        self.streams_watch: StreamWatch = StreamWatch(base, timeouts)
        assert limits.streams is not None
        assert limits.transfers is not None
        if heartbeats is None:
            heartbeats = limits.streams
        self.max_message_size: int = limits.message_size
        self.streams: trio.CapacityLimiter = trio.CapacityLimiter(limits.streams)
        self.transfers: trio.CapacityLimiter = trio.CapacityLimiter(limits.transfers)
        self.heartbeats: trio.CapacityLimiter = trio.CapacityLimiter(heartbeats)
        self.requests: trio.CapacityLimiter = trio.CapacityLimiter(limits.requests)
        self.cancel_requests: trio.CapacityLimiter = trio.CapacityLimiter(CANCEL_REQUESTS)
        self._verify = verify
        is_direct = (
            client is None
            and transport is None
            and bypasses_proxies(httpx.URL(base).host)
            and not is_framed_by_caller(name.lower() for name in headers or ())
        )
        if is_direct:
            self._verify = self.tls() or verify  # made once, for both backends
        owned = client is None
        if client is None:
            client = httpx.AsyncClient(
                verify=self._verify,
                limits=httpx.Limits(
                    max_connections=limits.streams
                    + heartbeats
                    + limits.transfers
                    + limits.requests
                    + CANCEL_REQUESTS,
                    # httpx can't know how long a server keeps a connection, and does not detect
                    # stray bytes after a response: so each request has its own connection.
                    max_keepalive_connections=0,
                ),
                transport=transport,
                headers={"user-agent": f"triojob/{__version__}"},
            )
        self._httpx = HttpxBackend(
            client,
            owned=owned,
            headers=headers,
            cookies=cookies,
            timeouts=timeouts,
            secrets=self.secrets,
        )
        self.secrets.add(*secrets_in_headers(_passwords_of_proxies()))
        self._direct: DirectBackend | None = None
        """None if httpx has to send every request."""
        if is_direct:
            self.go_direct()

    def go_direct(self) -> None:
        """Send requests over triojob's own connections from now on."""
        self._direct = DirectBackend(self.base, self.tls(), self.timeouts, self._httpx)

    async def aclose(self) -> None:
        """Close all connections, except the connections of the caller's own client."""
        if self._direct is not None:
            self._direct.pool.close()
        await self._httpx.aclose()

    @property
    def httpx_client(self) -> httpx.AsyncClient:
        """The client that sends httpx's requests."""
        return self._httpx.client

    @property
    def opened(self) -> int:
        """How many of triojob's own connections have been opened."""
        return 0 if self._direct is None else self._direct.pool.opened

    @property
    def traffic(self) -> Traffic:
        """The bytes of the bodies sent and received so far, over both backends."""
        direct = Traffic() if self._direct is None else self._direct.pool.traffic
        own = self._httpx.traffic
        return Traffic(own.sent + direct.sent, own.received + direct.received)

    def forget_server(self) -> None:
        """Forget the learned properties of the server: another server has replaced it."""
        if self._direct is not None:
            self._direct.pool.forget()

    def close_idle(self) -> None:
        """Close the idle connections: a proxy may count them."""
        if self._direct is not None:
            self._direct.pool.close_idle()

    def tls(self) -> ssl.SSLContext | None:
        """Return the TLS settings for this app; None if its URL does not use TLS."""
        if not self.base.startswith("https:"):
            return None
        if isinstance(self._verify, ssl.SSLContext):
            return self._verify
        import httpx

        return httpx.create_ssl_context(verify=self._verify)

    def url(self, path: str, *, root: bool = False) -> str:
        """Return a URL of the app's API, or below the app's own URL if ``root``."""
        return self.base + (path if root else self.prefix + path).lstrip("/")

    def mapped_errors(self, what: str, timed_out: str = NO_RESPONSE) -> MappedErrors:
        """Return a context that raises triojob's errors in the place of network errors."""
        return MappedErrors(self.base, self.timeouts, what, timed_out)

    async def request(
        self,
        method: str,
        path: str,
        *,
        json: str | None = None,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        root: bool = False,
        endless: bool = False,
        limiter: trio.CapacityLimiter | None = None,
        ready: Ready | None = None,
        fresh: bool = False,
        what: str | None = None,
    ) -> Response:
        """Send a request, following no redirect; return the response, whatever its status.

        Args:
            path: Below the API prefix, or below the app's own URL if ``root``.
            json: The body, encoded.
            headers: Sent with this request; they override the client's headers of the same names.
            endless: Whether the response can take any length of time, because it follows the app's
                work.
            limiter: Where to acquire a token first; None if the caller holds one.
            ready: Awaited before the request is sent.
            fresh: Whether to open a connection for it.
            what: The name of the request in errors; by default its path without the query.

        Raises:
            NetworkError: The network failed.
            ProtocolError: The response is too large.
        """
        if limiter is not None:
            async with limiter:
                return await self.request(
                    method,
                    path,
                    json=json,
                    form=form,
                    headers=headers,
                    root=root,
                    endless=endless,
                    ready=ready,
                    fresh=fresh,
                    what=what,
                )
        what = what or f"{method} {path.partition('?')[0]}"
        own: dict[str, str] = {}
        if headers:
            # In lower case, so that each name occurs only once.
            own = {name.lower(): value for name, value in headers.items()}
            self.secrets.add_passing(*secrets_in_headers(own.items()))
        body: bytes | None = None
        if json is not None:
            own |= {"content-type": "application/json", "x-gradio-user": "api"}
            body = json.encode()
        elif form is not None:
            own |= {"content-type": "application/x-www-form-urlencoded"}
            body = urlencode(form).encode()
        read = None if endless else self.timeouts.read
        url = self.url(path, root=root)
        with self.mapped_errors(what):
            response = await self._send(Request(method, url, own, body, read, ready, fresh))
            return await self._whole(what, response, broken_from=500)

    async def begin(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        announced: int | None = None,
    ) -> Connection | None:
        """Send a request up to its body; return its connection, which the caller reads and closes.

        Args:
            announced: See `DirectBackend.begin`.

        Returns:
            None if httpx has to send every request, and nothing was sent.

        Raises:
            NetworkError: The network failed.
        """
        if self._direct is None:
            return None
        with self.mapped_errors(f"{method} {path}", ""):
            return await self._direct.begin(
                Request(method, self.url(path), headers or {}), announced
            )

    async def _send(
        self, request: Request, begun: Callable[[], None] | None = None
    ) -> OpenResponse:
        if self._direct is None or not self._direct.can_send(request):
            return await self._httpx.send(request, begun)
        if begun is not None:
            begun()
        response = await self._direct.send(request)
        _log(request, response)
        return response

    async def _whole(self, what: str, response: OpenResponse, *, broken_from: int) -> Response:
        """Read a response to its end and close it.

        Args:
            broken_from: The lowest status at which its connection can't be reused.
        """
        try:
            body = await _body(response, self.max_message_size)
            if response.status >= broken_from:
                # After a 500, uvicorn resets the connection without announcing it; the next request
                # on it would fail without having been received.
                response.discard()
        finally:
            await response.aclose()
        if len(body) > self.max_message_size:
            raise ProtocolError(
                f"the response to {what} has more than {self.max_message_size} bytes "
                "(Limits.message_size sets the limit)"
            )
        return response.with_body(body)

    def open_events(
        self,
        path: str,
        refuse: Callable[[Response], TriojobError],
        *,
        endless: bool = False,
        ready: Ready | None = None,
        failed: Callable[[TriojobError], Awaitable[None]] | None = None,
        what: str | None = None,
    ) -> EventStream:
        """Return an event stream, which is open while in its context.

        Args:
            refuse: Makes an error of a response that is not an event stream.
            endless: Whether it can be silent for any time, as long as the app responds to other
                requests.
            ready: Awaited before the request is sent.
            failed: Called with the error if the stream could not be opened: it returns when to try
                again, or raises.  None to raise the error.
            what: The name of the request in errors; by default its path without the query.
        """
        what = what or f"GET {path.partition('?')[0]}"
        request = Request("GET", self.url(path), _EVENT_STREAM, ready=ready)
        return EventStream(self, request, refuse, failed, what=what, endless=endless)

    async def upgrade(
        self,
        path: str,
        headers: Mapping[str, str],
        refuse: Callable[[int], TriojobError],
    ) -> UpgradedStream:
        """Request an upgrade to another protocol; return the upgraded connection.

        httpx opens it, so that it uses the proxy that the environment names, or the caller's
        client.

        Args:
            headers: The headers that request the upgrade.
            refuse: Makes an error of any other status; the body is not read.

        Raises:
            NetworkError: The network failed.
        """
        with self.mapped_errors(f"GET {path}"):
            request = Request("GET", self.url(path), headers, read=self.timeouts.read)
            response = await self._httpx.send(request)
            try:
                if response.status == 101:
                    return response.upgraded()
                raise refuse(response.status)
            except BaseException:
                response.discard()
                await response.aclose()
                raise

    async def transfer(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: AsyncIterator[bytes] | None = None,
    ) -> HttpxResponse:
        """Send a request for a file; return the response, still to be read and closed.

        Args:
            url: The whole URL, on the app's own origin.
            body: See `Request.body`.

        Raises:
            TransportError, httpx.HTTPError: The network failed.
        """
        return await self._httpx.send(Request(method, url, headers, body, self.timeouts.read))

    async def whole(self, what: str, response: OpenResponse) -> Response:
        """Read the response to a file upload, and close it.

        Raises:
            TransportError, httpx.HTTPError: The network failed.
            ProtocolError: The response is too large.
        """
        # A server that refuses may have responded before it read the whole body.
        return await self._whole(what, response, broken_from=400)


class EventStream:
    """The events of a stream, in the order in which the server sends them.

    Entering opens it; at the end of the context it is closed, without waiting for the server.
    It is a class rather than a generator, because each call opens one.
    Iteration yields the data of each event, or an `OversizedEvent`.
    `HTTP.open_events` makes it, and documents the arguments.

    Raises:
        NetworkError: While entering and iterating: the network failed.
        ProtocolError: While iterating: an event does not end.
    """

    def __init__(
        self,
        http: HTTP,
        request: Request,
        refuse: Callable[[Response], TriojobError],
        failed: Callable[[TriojobError], Awaitable[None]] | None,
        *,
        what: str,
        endless: bool,
    ) -> None:
        self._http = http
        self._request = request
        self._refuse = refuse
        self._failed = failed
        self._what = what
        self._endless = endless
        self._mapped = http.mapped_errors(what, "")
        self._decoder = EventDecoder(http.max_message_size)
        self._events: Iterator[bytes | OversizedEvent] = iter(())
        self._watched: WatchedStream | None = None
        self._response: OpenResponse | None = None

    async def __aenter__(self) -> EventStream:  # noqa: PYI034 - `Self` is not in the typing of 3.10
        while True:
            try:
                await self._open()
            except TriojobError as exc:
                if self._failed is None:
                    raise
                await self._failed(exc)
            else:
                return self

    async def _open(self) -> None:
        self._watched = self._http.streams_watch.watching(self._what, endless=self._endless)
        self._watched.__enter__()
        try:
            with self._mapped:
                self._response = response = await self._http._send(
                    self._request, self._watched.begin
                )
            self._watched.begin()
            self._watched.heard()
            kind = response.header("content-type") or ""
            if response.status != 200 or not kind.startswith("text/event-stream"):
                with self._mapped:
                    head = await _body(response, 1000)
                raise self._refuse(response.with_body(head))
            _refuse_compressed(response)
        except BaseException as exc:
            await self.__aexit__(type(exc), exc, exc.__traceback__)
            raise

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        assert self._watched is not None
        response, self._response = self._response, None
        try:
            if response is not None:
                # Under a cancellation too: this does not wait for the server.
                await response.aclose()
        finally:
            caught = self._watched.__exit__(exc_type, exc, traceback)
        return caught

    @property
    def kind(self) -> str:
        """The type of the event that was yielded last."""
        return self._decoder.kind

    def __aiter__(self) -> EventStream:
        return self

    async def __anext__(self) -> bytes | OversizedEvent:
        assert self._response is not None
        assert self._watched is not None
        while True:
            for event in self._events:
                return event
            with self._mapped:
                chunk = await self._response.__anext__()
            self._watched.heard()
            self._events = self._decoder.feed(chunk)

    async def finish(self) -> None:
        """Read on briefly after the last event, so that the connection can be reused."""
        assert self._response is not None
        if self._response.has_ended:
            return  # the usual case: its end arrived with the last event
        with suppress(TriojobError), self._mapped, trio.move_on_after(_LINGER):
            async for _ in self._response:
                pass

    def ended_early(self) -> ConnectionLost:
        """Return the error for a stream that ended before its last event."""
        return ConnectionLost(
            f"the server ended the event stream of {self._http.base} before the calls had "
            "finished; whether they finished on the server is unknown"
        )


async def _body(response: OpenResponse, enough: int) -> bytes:
    """Return the body, or its beginning with a little more than ``enough`` bytes."""
    _refuse_compressed(response)
    pieces: list[bytes] = []
    size = 0
    async for piece in response:
        pieces.append(piece)
        size += len(piece)
        if size > enough:
            break
    return b"".join(pieces)


def _refuse_compressed(response: OpenResponse) -> None:
    encoding = response.header("content-encoding")
    if encoding is not None and encoding.strip().lower() != "identity":
        raise ProtocolError(
            f"the server compressed its response ({shorten(encoding, 40)}), which was not requested"
        )


def _log(request: Request, response: OpenResponse) -> None:
    if logger.isEnabledFor(logging.DEBUG):
        number, name = current_call.get() or (None, None)
        whose = "" if number is None else f"#{number} {name}: "
        logger.debug(
            "%s%s %s: status %d",
            whose,
            request.method,
            public_part(request.url),
            response.status,
            extra={"job": number, "endpoint": name},
        )


def _passwords_of_proxies() -> Iterator[tuple[str, str]]:
    """Yield the passwords of the proxies that the environment names, as headers."""
    from urllib.request import getproxies

    for proxy in getproxies().values():
        with suppress(ValueError):  # not a URL; httpx reports it
            yield "proxy", urlsplit(proxy).password or ""


def is_json(response: Response) -> bool:
    """Return whether a response declares JSON as its type."""
    return response.content_type.partition(";")[0].strip() == "application/json"
