"""Requests, event streams, and the limiters in front of the pool.

There are two ways to the app.  Calls go over connections of our own (`_connections`), which cost a
third of httpx's.  Where those would not be right (a proxy, a client or a transport of the
caller's), and for files, httpx makes the connections.  Nothing above this module sees which it is.

httpcore 1.0.9 loses a slot of its pool for good when a request is cancelled while it waits for one
(httpcore issue 1093).  So nothing may ever wait inside the pool: each request first takes a place
in a limiter here, and all places together are no more than the pool has.

httpx itself is imported when the first client is made: for a command line of its own it imports
click and rich wherever they are installed, and ``import triojob`` should not.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import urlencode, urlsplit

import trio

from .._errors import (
    ConnectionLost,
    ProtocolError,
    TriojobError,
    shorten,
)
from .._logs import CLEAN_LINES, current_call
from .._secrets import Secrets, secrets_in_headers
from .._settings import Limits, Timeouts
from .._version import __version__
from ._addresses import public_part
from ._connections import Answer, Connections, Reading
from ._direct import Headers, Heads, bypasses_proxies, is_framed_by_caller, is_plain
from ._httpx import (
    HttpxAnswer,
    UpgradedStream,
    WholeBody,
    body_stream,
    keep_secrets_out_of_the_log,
    send,
)
from ._network_errors import MappedErrors
from ._sse import EventDecoder
from ._stream_watch import StreamWatch
from ._wires import Wire, connect

if TYPE_CHECKING:
    import httpx

logger = logging.getLogger("triojob.http")
logger.addFilter(CLEAN_LINES)

Reply: TypeAlias = Answer | HttpxAnswer
Ready: TypeAlias = Callable[[int | None], Awaitable[None]]
"""Awaited before a request is sent; what it raises keeps the request here.

It gets the number of the connection: those of our own are counted.  Of one of httpx's it is None:
it is yet to be made, as in a pool of the caller's there may be no place for two.
"""
HTTPClient: TypeAlias = "httpx.AsyncClient"
"""What ``Client(http_client=)`` takes."""
HTTPTransport: TypeAlias = "httpx.AsyncBaseTransport"
"""What ``Client(transport=)`` takes."""

CANCEL_REQUESTS = 16
"""How many of the requests that tell of a cancellation are: never held up by the others."""
_KEPT = 1.0
"""Seconds that servers keep an idle connection, at least: nginx 75 as it comes, uvicorn 5, and
some that were told to 1."""
_LISTENING = {"accept": "text/event-stream"}
_LINGER = 1.0
"""Seconds that a stream may stay open after its last event, for the server to end it."""


@dataclass(frozen=True)
class Response:
    """An answer, read to its end."""

    status: int
    content_type: str
    retry_after: str | None
    location: str | None = field(repr=False)
    body: bytes = field(repr=False)


class HTTP:
    """Requests to one app.

    Args:
        base: The app's URL with a slash at its end.
        limits: As for `Client`, with a number for each None.
        heartbeats: How many heartbeats of sessions may be open; None for as many as streams.
        client: The caller's own client, which stays theirs to close; or None to make one.
        secrets: Those of the client, to which what is sent and set here is added; or None.
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
        """That of the Trio run where its connections can be used."""
        self.secrets: Secrets = secrets or Secrets()
        self.prefix = ""
        self._base = base
        self._verify = verify
        self.timeouts = timeouts
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
        self._owned = client is None
        self._connections: Connections | None = None
        """Those of our own; None where httpx has to make them."""
        # Compressed, a few bytes could become any number of them before they can be counted.
        self._headers = httpx.Headers(headers)
        self._headers["accept-encoding"] = "identity"
        # With each request, and not in the client: one of the caller's own knows other hosts too.
        self._cookies = dict(cookies or {})
        if client is None:
            places = (
                limits.streams + heartbeats + limits.transfers + limits.requests + CANCEL_REQUESTS
            )
            pool = httpx.Limits(
                # httpx can't tell how long a server keeps a connection, and sees no bytes that came
                # unasked behind an answer: so each of its requests has a connection of its own.
                max_connections=places,
                max_keepalive_connections=0,
            )
            direct = (
                transport is None
                and bypasses_proxies(httpx.URL(base).host)
                and not is_framed_by_caller(self._headers)
            )
            if direct:
                self._verify = verify = self.tls() or verify  # made once, for both ways
            client = httpx.AsyncClient(
                verify=verify,
                limits=pool,
                transport=transport,
                headers={"user-agent": f"triojob/{__version__}"},
            )
            if direct:
                self._go_direct(client)
        self._client = client
        self.secrets.add(*secrets_in_headers(self._may_be_secret()))

    async def aclose(self) -> None:
        """Close all connections, unless they are those of the caller's own client."""
        if self._connections is not None:
            self._connections.close()
        if self._owned:
            with trio.CancelScope(shield=True):  # closing sockets: nothing here can block for long
                await self._client.aclose()
                await trio.lowlevel.checkpoint()  # there may have been none to close

    @property
    def opened(self) -> int:
        """How many connections of our own there have been."""
        return 0 if self._connections is None else self._connections.opened

    def forget_server(self) -> None:
        """Hear that another server has taken the place of the one before."""
        if self._connections is not None:
            self._connections.forget()

    def close_idle(self) -> None:
        """Close the connections that nothing uses: a proxy may count them."""
        if self._connections is not None:
            self._connections.close_idle()

    @property
    def base(self) -> str:
        """The app's URL, with a slash at its end."""
        return self._base

    def _may_be_secret(self) -> Iterator[tuple[str, str]]:
        """Yield what the caller has sent, or has sent on the way, as headers."""
        yield from self._headers.multi_items()
        yield from self._client.headers.multi_items()
        for name, value in self._cookies.items():
            yield "cookie", f"{name}={value}"
        for cookie in self._client.cookies.jar:
            yield "cookie", f"{cookie.name}={cookie.value}"
        for name, value in self._client.params.multi_items():
            yield f"parameter {name}", value
        from urllib.request import getproxies

        for proxy in getproxies().values():
            with suppress(ValueError):  # not a URL; httpx says so
                yield "proxy", urlsplit(proxy).password or ""

    def _note_secrets(self, response: httpx.Response) -> None:
        """Note what the caller's client has put into a request, and the cookies that came back."""
        # Set by an `auth=` or a hook of that client, say, which nobody else can look into.
        sent, received = response.request.headers, response.headers
        self.secrets.add_passing(*secrets_in_headers(sent.multi_items()))
        set_here = [("set-cookie", value) for value in received.get_list("set-cookie")]
        self.secrets.add_passing(*secrets_in_headers(set_here))

    def tls(self) -> ssl.SSLContext | None:
        """Return the TLS settings to this app; None where its URL is a plain one."""
        if not self._base.startswith("https:"):
            return None
        if isinstance(self._verify, ssl.SSLContext):
            return self._verify
        import httpx

        return httpx.create_ssl_context(verify=self._verify)

    def _url(self, path: str, *, root: bool = False) -> str:
        return self._base + (path if root else self.prefix + path).lstrip("/")

    def _build(
        self, method: str, url: str, own: Mapping[str, str], **options: Any
    ) -> httpx.Request:
        import httpx

        # Whatever the case of the caller's headers: none may stand twice.
        headers = httpx.Headers(self._headers)
        headers.update(own)
        url, _, query = url.partition("?")
        request = self._client.build_request(
            method,
            url,
            # Apart from the URL: in it, it would be lost beside parameters of the client's own.
            params=query or None,
            headers=headers,
            cookies=self._cookies,
            **options,
        )
        # httpx sends a body by an async generator, which it leaves lying about when cancelled.
        body = request.read()
        request.stream = body_stream()(lambda: WholeBody(body))
        return request

    def _timeout(self, read: float | None) -> httpx.Timeout:
        times = self.timeouts
        import httpx

        # No bound on the wait for the pool: nothing waits there.
        return httpx.Timeout(connect=times.connect, write=times.write, read=read, pool=None)

    def mapped_errors(self, what: str, timed_out: str) -> MappedErrors:
        """Raise errors of ours for those of the network, while in the context."""
        return MappedErrors(self._base, self.timeouts, what, timed_out)

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
        """Send a request, following no redirect; return the answer, whatever its status.

        Args:
            path: Below the API prefix, or below the app's own URL if ``root``.
            json: The body, encoded.
            headers: Sent with this request, in the place of the client's of the same names.
            endless: Whether the answer may take for ever: it comes when the work is done.
            limiter: Where to take a place first; None if the caller holds one.
            ready: Awaited before the request is sent.
            fresh: Whether to open a connection for it.
            what: What errors call the request; by default its path without the query.

        Raises:
            ConnectionFailed, ConnectionTimeout, ConnectionLost: The network failed.
            ProtocolError: The answer is too large.
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
        # In small letters, so that none stands twice.
        own = {name.lower(): value for name, value in (headers or {}).items()}
        self.secrets.add_passing(*secrets_in_headers(own.items()))
        body: bytes | None = None
        if json is not None:
            own |= {"content-type": "application/json", "x-gradio-user": "api"}
            body = json.encode()
        elif form is not None:
            own |= {"content-type": "application/x-www-form-urlencoded"}
            body = urlencode(form).encode()
        with self.mapped_errors(what, f"no answer within {self.timeouts.read} s"):
            read = None if endless else self.timeouts.read
            url = self._url(path, root=root)
            answer = await self._send(method, url, own, body, read, ready=ready, fresh=fresh)
            return await self._answer(what, answer, broken_from=500)

    async def _send(
        self,
        method: str,
        url: str,
        own: Mapping[str, str],
        body: bytes | None,
        read: float | None,
        *,
        ready: Ready | None,
        fresh: bool = False,
    ) -> Reply:
        """Send a request, once; return its answer when the head of that has come.

        Args:
            own: The headers of this request alone.
            read: How many seconds the server may be silent, or None.
            ready: Awaited before the request is sent.
            fresh: Whether to open a connection for it, as httpx always does.
        """
        if self._connections is not None:
            data = self._written(method, url, own, body)
            if data is not None:

                async def when_ready(connection: int) -> bytes:
                    assert ready is not None
                    await ready(connection)
                    # Cookies may have changed.
                    return self._written(method, url, own, body) or data

                answer = await self._connections.send(
                    method,
                    data,
                    write=self.timeouts.write,
                    read=read,
                    ready=None if ready is None else when_ready,
                    fresh=fresh,
                )
                try:
                    self._note(method, url, answer)
                except BaseException:
                    answer.never_again()
                    await answer.aclose()
                    raise
                return answer
        if ready is not None:
            await ready(None)
        request = self._build(method, url, own, content=body, timeout=self._timeout(read))
        return HttpxAnswer(await self._send_by_httpx(request))

    async def _send_by_httpx(self, request: httpx.Request) -> httpx.Response:
        response = await send(self._client, request)
        self._note_secrets(response)
        return response

    async def exchange(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: AsyncIterator[bytes] | None = None,
    ) -> httpx.Response:
        """Send a request for `_http_files`; return the answer, which is still to be read.

        Args:
            url: The whole of it, on the app's own origin.
            body: An object with ``__anext__``, and not an async generator: httpx leaves off in
                the middle of it when it fails or is cancelled.  ``headers`` tells its length.
        """
        request = self._build(method, url, headers, timeout=self._timeout(self.timeouts.read))
        if body is not None:
            request.stream = body_stream()(lambda: body)
        return await self._send_by_httpx(request)

    async def _answer(self, what: str, answer: Reply, *, broken_from: int) -> Response:
        """Read an answer to its end and close it.

        Args:
            broken_from: From which status on its connection can't be used again.
        """
        try:
            body = await self._read(answer, self.max_message_size)
            if answer.status >= broken_from:
                # After a 500 uvicorn resets the connection, though it has not said so; the next
                # request on it would fail without having been heard.
                answer.never_again()
        finally:
            await answer.aclose()
        if len(body) > self.max_message_size:
            raise ProtocolError(
                f"the answer to {what} has more than {self.max_message_size} bytes "
                "(Limits.message_size sets the bound)"
            )
        return _response(answer, body)

    async def listen(
        self,
        path: str,
        deliver: Callable[[bytes, str], bool],
        refuse: Callable[[Response], TriojobError],
        *,
        opened: Callable[[], None] | None = None,
        cut: Callable[[bytes, ProtocolError], None] | None = None,
        may_end: bool = False,
        endless: bool = False,
        ready: Ready | None = None,
        what: str | None = None,
    ) -> None:
        """Open an event stream and read it to its end.

        Args:
            deliver: Called with the data and the type of each event; returns whether that was
                the last one.  What it raises ends the reading.
            refuse: Makes an error of an answer that is not an event stream.
            opened: Called when the server has begun to respond with an event stream.
            cut: Called with the beginning of an event that is too large, and the error, which else
                ends the reading.
            may_end: Whether the stream may end without a last event.
            endless: Whether it may be silent for ever, as long as the app answers other requests.
            ready: Awaited before the request is sent.
            what: What errors call the request; by default its path without the query.

        Raises:
            ConnectionFailed, ConnectionTimeout, ConnectionLost: The network failed, or the stream
                ended before its last event.
            ProtocolError: An event is too large.
        """
        what = what or f"GET {path.partition('?')[0]}"
        with (
            self.mapped_errors(what, ""),
            self.streams_watch.watching(what, endless=endless) as stream,
        ):
            url = self._url(path)
            answer = await self._send("GET", url, _LISTENING, None, None, ready=ready)
            stream.heard()
            try:
                kind = answer.header("content-type") or ""
                if answer.status != 200 or not kind.startswith("text/event-stream"):
                    head = await self._read(answer, 1000)
                    raise refuse(_response(answer, head))
                if opened is not None:
                    opened()
                decoder = EventDecoder(self.max_message_size, cut)
                last = False

                def take(chunk: bytes, reading: Reading) -> None:
                    nonlocal last
                    stream.heard()
                    for event in decoder.feed(chunk):
                        if not last and deliver(event, decoder.kind):
                            last = True
                            # The end of the answer is a moment away.  With it, the connection
                            # can be used again.
                            reading.linger(_LINGER)

                _refuse_compressed(answer)
                await answer.read(take)
            finally:
                # Under a cancellation too: it is closed without waiting for the peer.
                await answer.aclose()
        if not (last or may_end):
            raise ConnectionLost(
                f"the server ended the event stream of {self._base} with work unfinished; "
                "what became of it there is not known"
            )

    async def upgrade(
        self,
        path: str,
        headers: Mapping[str, str],
        refuse: Callable[[int], TriojobError],
    ) -> UpgradedStream:
        """Ask the server to speak another protocol; return the connection on which it does.

        It is made by httpx, the way that all else would go: by the proxy that the environment
        names, or by the caller's client.

        Args:
            headers: Those that ask for it.
            refuse: Makes an error of any other status; the body is not read.

        Raises:
            ConnectionFailed, ConnectionTimeout, ConnectionLost: The network failed.
        """
        what = f"GET {path}"
        with self.mapped_errors(what, f"no answer within {self.timeouts.read} s"):
            timeout = self._timeout(self.timeouts.read)
            request = self._build("GET", self._url(path), headers, timeout=timeout)
            response = await self._send_by_httpx(request)
            try:
                if response.status_code == 101:
                    return UpgradedStream(response)
                raise refuse(response.status_code)
            except BaseException:
                answer = HttpxAnswer(response)
                answer.never_again()
                await answer.aclose()
                raise

    async def _read(self, answer: Reply, enough: int) -> bytes:
        """Return the body, or somewhat more than ``enough`` bytes of it."""
        body = bytearray()

        def take(chunk: bytes, reading: Reading) -> None:
            body.extend(chunk)
            if len(body) > enough:
                reading.stop()

        _refuse_compressed(answer)
        await answer.read(take)
        return bytes(body)

    # Connections of our own.

    def _go_direct(self, client: httpx.AsyncClient) -> None:
        """Make calls over connections of our own; ``client`` says what is in the requests."""
        import httpx

        url = httpx.URL(self._base)
        tls = self.tls()
        if tls is not None:
            tls.set_alpn_protocols(["http/1.1"])
        host, port = url.raw_host.decode(), url.port or (80 if tls is None else 443)
        self._base_target = url.raw_path.decode()

        async def make() -> Wire:
            return await connect(host, port, tls, self.timeouts.connect)

        def headers(method: str, path: str, own: Headers) -> list[tuple[bytes, bytes]]:
            return self._build(method, self._base + path, dict(own)).headers.raw

        self._heads = Heads(headers, client.cookies.jar)
        self._connections = Connections(make, _KEPT)

    def _written(
        self, method: str, url: str, own: Mapping[str, str], body: bytes | None
    ) -> bytes | None:
        """Return a request as it is sent, or None if that is better left to httpx."""
        rest = url.removeprefix(self._base)
        if not is_plain(rest):
            return None
        block = self._heads.block(method, rest.partition("?")[0], tuple(own.items()))
        if block is None:
            return None
        head = f"{method} {self._base_target}{rest} HTTP/1.1\r\n".encode() + block
        if body is None and method == "GET":
            return head + b"\r\n"
        body = body or b""
        return b"%scontent-length: %d\r\n\r\n%s" % (head, len(body), body)

    def _note(self, method: str, url: str, answer: Answer) -> None:
        """Log a request, and put the cookies of its answer where those of httpx's own are."""
        if logger.isEnabledFor(logging.DEBUG):
            number, name = current_call.get() or (None, None)
            whose = "" if number is None else f"#{number} {name}: "
            logger.debug(
                "%s%s %s: status %d",
                whose,
                method,
                public_part(url),
                answer.status,
                extra={"job": number, "endpoint": name},
            )
        if any(name == b"set-cookie" for name, _ in answer.headers):
            import httpx

            request = httpx.Request(method, url)
            response = httpx.Response(answer.status, headers=answer.headers, request=request)
            self._client.cookies.extract_cookies(response)
            self._note_secrets(response)


def _refuse_compressed(answer: Reply) -> None:
    encoding = answer.header("content-encoding")
    if encoding is not None and encoding.strip().lower() != "identity":
        raise ProtocolError(
            f"the server compressed its answer ({shorten(encoding, 40)}); it was asked not to"
        )


def _response(answer: Reply, body: bytes) -> Response:
    return Response(
        answer.status,
        answer.header("content-type") or "",
        answer.header("retry-after"),
        answer.header("location"),
        body,
    )


def is_json(response: Response) -> bool:
    """Tell whether an answer says that it is JSON."""
    return response.content_type.partition(";")[0].strip() == "application/json"
