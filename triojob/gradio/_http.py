"""The only importer of httpx: requests, event streams, and the limiters in front of the pool.

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
import re
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import quote, urlencode

import trio

from .._errors import (
    ConnectionFailed,
    ConnectionLost,
    ConnectionTimeout,
    ProtocolError,
    TriojobError,
    UnexpectedResponse,
    shorten,
)
from .._logs import current_call
from .._settings import Timeouts
from .._version import __version__
from ._connections import (
    Answer,
    Connections,
    NotConnected,
    Reading,
    TimedOut,
    Wire,
    WireError,
    connect,
)
from ._direct import Headers, Heads, bypasses_proxies, is_framed_by_caller, is_plain
from ._sse import EventDecoder

if TYPE_CHECKING:
    import httpx

logger = logging.getLogger("triojob.http")

HTTPClient: TypeAlias = "httpx.AsyncClient"
"""What ``Client(http_client=)`` takes."""
HTTPTransport: TypeAlias = "httpx.AsyncBaseTransport"
"""What ``Client(transport=)`` takes."""

REQUESTS = 48
"""How many short requests are under way at once, unless the client is told otherwise."""
GOODBYES = 16
"""How many of the requests that tell of a cancellation are: never held up by the others."""
TRANSFERS = 8
"""How many files are under way at once, unless the client is told otherwise."""
_KEEPALIVE = 1.0
"""Seconds; uvicorn closes idle connections after 5, and a request must not meet that.

Idle on its side: a busy client has read the last answer seconds after it was sent.
"""
_LISTENING = {"accept": "text/event-stream"}
_LINGER = 1.0
"""Seconds that a stream may stay open after its last event, for the server to end it."""


@dataclass(frozen=True)
class Response:
    """An answer, read to its end."""

    status: int
    content_type: str
    retry_after: str | None
    location: str | None
    body: bytes


def parse_url(url: str) -> str:
    """Return the base of an app's URL, with a slash at its end.

    Raises:
        ValueError: It is not an absolute http or https URL.
    """
    import httpx

    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, TypeError):
        raise ValueError(f"not a URL: {public_part(str(url))!r}") from None
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise ValueError(
            f"the URL of an app starts with http:// or https://, unlike {public_part(str(url))!r}"
        )
    if parsed.userinfo:
        raise ValueError("the URL holds a user name or password; pass auth=(user, password)")
    base = str(parsed.copy_with(query=None, fragment=None))
    return base if base.endswith("/") else base + "/"


class HTTP:
    """Requests to one app.

    Args:
        base: The app's URL with a slash at its end.
        streams: How many event streams may be open at once.
        requests: How many short requests may be under way at once.
        transfers: How many files may be under way at once, in both directions together.
        heartbeats: How many heartbeats of sessions may be.
        max_message_size: How many bytes an answer or an event may have.
        client: The caller's own client, which stays theirs to close; or None to make one.
    """

    def __init__(
        self,
        base: str,
        *,
        streams: int,
        heartbeats: int,
        timeouts: Timeouts,
        max_message_size: int,
        requests: int = REQUESTS,
        transfers: int = TRANSFERS,
        headers: Mapping[str, str] | None = None,
        cookies: Mapping[str, str] | None = None,
        verify: bool | ssl.SSLContext = True,
        transport: HTTPTransport | None = None,
        client: HTTPClient | None = None,
    ) -> None:
        import httpx

        _keep_sessions_out_of_the_log()
        self.prefix = ""
        self._base = base
        self._verify = verify
        self.timeouts = timeouts
        self.max_message_size = max_message_size
        self.streams: trio.CapacityLimiter = trio.CapacityLimiter(streams)
        self.transfers: trio.CapacityLimiter = trio.CapacityLimiter(transfers)
        self.heartbeats: trio.CapacityLimiter = trio.CapacityLimiter(heartbeats)
        self.requests: trio.CapacityLimiter = trio.CapacityLimiter(requests)
        self.goodbyes: trio.CapacityLimiter = trio.CapacityLimiter(GOODBYES)
        self._owned = client is None
        self._connections: Connections | None = None
        """Those of our own; None where httpx has to make them."""
        # Compressed, a few bytes could become any number of them before they can be counted.
        self._headers = httpx.Headers(headers)
        self._headers["accept-encoding"] = "identity"
        # With each request, and not in the client: one of the caller's own knows other hosts too.
        self._cookies = dict(cookies or {})
        if client is None:
            places = streams + heartbeats + transfers + requests + GOODBYES
            limits = httpx.Limits(
                max_connections=places,
                max_keepalive_connections=places,
                keepalive_expiry=_KEEPALIVE,
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
                limits=limits,
                transport=transport,
                headers={"user-agent": f"triojob/{__version__}"},
            )
            if direct:
                self._go_direct(client)
        self._client = client

    async def aclose(self) -> None:
        """Close all connections, unless they are those of the caller's own client."""
        if self._connections is not None:
            self._connections.close()
        if self._owned:
            with trio.CancelScope(shield=True):  # closing sockets: nothing here can block for long
                await self._client.aclose()
                await trio.lowlevel.checkpoint()  # there may have been none to close

    @property
    def base(self) -> str:
        """The app's URL, with a slash at its end."""
        return self._base

    # For connections that are not httpx's.

    def socket_url(self, path: str) -> str:
        """Return the WebSocket URL of a path below the API prefix."""
        return "ws" + self._url(path).removeprefix("http")

    def tls(self) -> ssl.SSLContext | None:
        """Return the TLS settings to this app; None where its URL is a plain one."""
        if not self._base.startswith("https:"):
            return None
        if isinstance(self._verify, ssl.SSLContext):
            return self._verify
        import httpx

        return httpx.create_ssl_context(verify=self._verify)

    def own_headers(self, more: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
        """Return the caller's headers, ``more`` of them, and the cookies for this app."""
        request = self._build("GET", self._base, more)
        names = (*self._headers, *more)
        ours = {b"user-agent", b"cookie", *(name.lower().encode() for name in names)}
        return [(name, value) for name, value in request.headers.raw if name.lower() in ours]

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
        request.stream = _byte_stream()(lambda: _Whole(body))
        return request

    def _timeout(self, read: float | None) -> httpx.Timeout:
        times = self.timeouts
        import httpx

        # No bound on the wait for the pool: nothing waits there.
        return httpx.Timeout(connect=times.connect, write=times.write, read=read, pool=None)

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
        what: str | None = None,
    ) -> Response:
        """Send a request, following no redirect; return the answer, whatever its status.

        Args:
            path: Below the API prefix, or below the app's own URL if ``root``.
            json: The body, encoded.
            headers: Sent with this request, in the place of the client's of the same names.
            endless: Whether the answer may take for ever: it comes when the work is done.
            limiter: Where to take a place first; None if the caller holds one.
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
                    what=what,
                )
        what = what or f"{method} {path.partition('?')[0]}"
        # In small letters, so that none stands twice.
        own = {name.lower(): value for name, value in (headers or {}).items()}
        body: bytes | None = None
        if json is not None:
            own |= {"content-type": "application/json", "x-gradio-user": "api"}
            body = json.encode()
        elif form is not None:
            own |= {"content-type": "application/x-www-form-urlencoded"}
            body = urlencode(form).encode()
        with self._mapped_errors(what, f"no answer within {self.timeouts.response} s"):
            read = None if endless else self.timeouts.response
            answer = await self._send(method, self._url(path, root=root), own, body, read)
            return await self._answer(what, answer, broken_from=500)

    async def _send(
        self, method: str, url: str, own: Mapping[str, str], body: bytes | None, read: float | None
    ) -> Reply:
        """Send a request, once; return its answer when the head of that has come.

        Args:
            own: The headers of this request alone.
            read: How many seconds the server may be silent, or None.
        """
        if self._connections is not None:
            data = self._written(method, url, own, body)
            if data is not None:
                write = self.timeouts.write
                answer = await self._connections.send(method, data, write=write, read=read)
                try:
                    self._note(method, url, answer)
                except BaseException:
                    answer.never_again()
                    await answer.aclose()
                    raise
                return answer
        request = self._build(method, url, own, content=body, timeout=self._timeout(read))
        request.stream = _one_piece(request.content)
        return HttpxAnswer(await self._client.send(request, stream=True, follow_redirects=False))

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
        request = self._build(method, url, headers, timeout=self._timeout(self.timeouts.response))
        if body is not None:
            request.stream = _byte_stream()(lambda: body)
        return await self._client.send(request, stream=True, follow_redirects=False)

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
                "(max_message_size= sets the bound)"
            )
        return _response(answer, body)

    async def listen(
        self,
        path: str,
        deliver: Callable[[bytes, str], bool],
        refuse: Callable[[Response], TriojobError],
        *,
        may_end: bool = False,
        what: str | None = None,
    ) -> None:
        """Open an event stream and read it to its end.

        Args:
            deliver: Called with the data and the type of each event; returns whether that was
                the last one.  What it raises ends the reading.
            refuse: Makes an error of an answer that is not an event stream.
            may_end: Whether the stream may end without a last event.
            what: What errors call the request; by default its path without the query.

        Raises:
            ConnectionFailed, ConnectionTimeout, ConnectionLost: The network failed, or the stream
                ended before its last event.
            ProtocolError: An event is too large.
        """
        what = what or f"GET {path.partition('?')[0]}"
        with self._mapped_errors(
            what, f"the event stream was silent for {self.timeouts.silence} s"
        ):
            answer = await self._send(
                "GET", self._url(path), _LISTENING, None, self.timeouts.silence
            )
            try:
                kind = answer.header("content-type") or ""
                if answer.status != 200 or not kind.startswith("text/event-stream"):
                    head = await self._read(answer, 1000)
                    raise refuse(_response(answer, head))
                decoder = EventDecoder(self.max_message_size)
                last = False

                def take(chunk: bytes, reading: Reading) -> None:
                    nonlocal last
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
        self._connections = Connections(make, _KEEPALIVE)

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
            shown = _SESSION_IN_PATH.sub(r"\1...", public_part(url))
            number, name = current_call.get() or (None, None)
            whose = "" if number is None else f"#{number} {name}: "
            logger.debug(
                "%s%s %s: status %d",
                whose,
                method,
                shown,
                answer.status,
                extra={"job": number, "endpoint": name},
            )
        if any(name == b"set-cookie" for name, _ in answer.headers):
            import httpx

            request = httpx.Request(method, url)
            response = httpx.Response(answer.status, headers=answer.headers, request=request)
            self._client.cookies.extract_cookies(response)

    def _mapped_errors(self, what: str, timed_out: str) -> _MappedErrors:
        """Map httpx's errors to ours; no message of ours holds a query, header or cookie."""
        return _MappedErrors(self, what, timed_out)

    def _ours(self, exc: BaseException, what: str, timed_out: str) -> TriojobError | None:
        """Return the error of ours to raise from ``exc``; None if that is not of the network."""
        import httpx

        where = f"{self._base} ({what})"
        if isinstance(exc, WireError):
            return self._mapped(exc, where, timed_out)
        if isinstance(exc, httpx.ConnectTimeout):
            return self._mapped(TimedOut("connect"), where, timed_out)
        if isinstance(exc, (httpx.ConnectError, httpx.UnsupportedProtocol)):
            return ConnectionFailed(f"no connection to {where}: {_words(exc)}")
        if isinstance(exc, httpx.ReadTimeout):
            return self._mapped(TimedOut("read"), where, timed_out)
        if isinstance(exc, httpx.WriteTimeout):
            return self._mapped(TimedOut("write"), where, timed_out)
        if isinstance(exc, httpx.HTTPStatusError):
            # A hook of the caller's own client raises it; its words hold the URL with its query,
            # and so would a traceback that showed it as the cause.
            status = exc.response.status_code
            error = UnexpectedResponse(f"{where}: the server answered {status}", status=status)
            error.__suppress_context__ = True
            return error
        if isinstance(exc, (httpx.InvalidURL, UnicodeError)):
            # httpx looks at where a redirect leads, though it is not to follow it.
            return ProtocolError(f"{where}: the server redirects to no address: {exc}")
        if isinstance(exc, httpx.HTTPError):
            return ConnectionLost(f"lost the connection to {where}: {_words(exc)}")
        return None

    def _mapped(self, error: WireError, where: str, timed_out: str) -> TriojobError:
        if isinstance(error, NotConnected):
            return ConnectionFailed(f"no connection to {where}: {_words(error)}")
        if not isinstance(error, TimedOut):
            return ConnectionLost(f"lost the connection to {where}: {_words(error)}")
        if error.phase == "connect":
            return ConnectionFailed(f"no connection to {where} within {self.timeouts.connect} s")
        if error.phase == "write":
            return ConnectionTimeout(
                f"{where}: the server took nothing for {self.timeouts.write} s"
            )
        return ConnectionTimeout(f"{where}: {timed_out}")


class _MappedErrors:
    """Raises an error of ours for one of the network; a class as there are so many of these."""

    __slots__ = ("_http", "_timed_out", "_what")

    def __init__(self, http: HTTP, what: str, timed_out: str) -> None:
        self._http = http
        self._what = what
        self._timed_out = timed_out

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, exc: BaseException | None, _traceback: object) -> None:
        if exc is not None:
            error = self._http._ours(exc, self._what, self._timed_out)
            if error is not None:
                try:
                    raise error from (None if error.__suppress_context__ else exc)
                finally:
                    del self, exc, error


class HttpxAnswer:
    """An answer of httpx's, with the methods of `Answer`."""

    def __init__(self, response: httpx.Response) -> None:
        self._response = response
        self.status: int = response.status_code

    def header(self, name: str) -> str | None:
        """Return the value of a header, or None."""
        value: str | None = self._response.headers.get(name)
        return value

    async def read(self, take: Callable[[bytes, Reading], None]) -> None:
        """Call ``take`` with each piece of the body; see `Answer.read`.

        The loop is left by its end or by a cancellation only.  Left otherwise, it would leave
        httpx's nested async generators unfinished, for the garbage collector to find.
        """
        response, reading = self._response, Reading()
        error: TriojobError | None = None
        with trio.CancelScope() as scope:
            # A hook or a transport of the caller's may have read it all already.
            read = response.is_stream_consumed
            async for chunk in response.aiter_bytes() if read else response.aiter_raw():
                if error is not None or reading.stopped:
                    continue
                try:
                    take(chunk, reading)
                except TriojobError as exc:
                    error = exc
                scope.deadline = reading.until
                if error is not None or reading.stopped:
                    scope.cancel()
        if error is not None:
            raise error

    def never_again(self) -> None:
        """See to it that the connection is not used again.

        A socket that was shut down is one that httpcore finds readable, and so drops; a closed
        one it could not even ask.
        """
        stream = self._response.extensions.get("network_stream")
        sock = None if stream is None else stream.get_extra_info("socket")
        if sock is not None:
            with suppress(OSError):  # the peer was faster
                sock.shutdown(socket.SHUT_RDWR)

    async def aclose(self) -> None:
        """Close it; never waits for the server."""
        await self._response.aclose()


Reply: TypeAlias = Answer | HttpxAnswer


@cache
def _byte_stream() -> type[Any]:
    """Return the class of bodies, made of a function that starts one anew."""
    import httpx

    class ByteStream(httpx.AsyncByteStream):
        def __init__(self, start: Callable[[], AsyncIterator[bytes]]) -> None:
            self._start = start

        def __aiter__(self) -> AsyncIterator[bytes]:
            return self._start()

    return ByteStream


class _Whole:
    """Iterates over a body in one piece."""

    def __init__(self, body: bytes) -> None:
        self._left: bytes | None = body

    def __aiter__(self) -> _Whole:
        return self

    async def __anext__(self) -> bytes:
        body, self._left = self._left, None
        if body is None:
            raise StopAsyncIteration
        return body


def _refuse_compressed(answer: Reply) -> None:
    encoding = answer.header("content-encoding")
    if encoding is not None and encoding.strip().lower() != "identity":
        raise ProtocolError(
            f"the server compressed its answer ({shorten(encoding, 40)}); it was asked not to"
        )


def _one_piece(content: bytes) -> httpx.AsyncByteStream:
    """Make a request's body that is no async generator.

    httpx's own is one, and is left unfinished where the connection breaks before the body is sent.
    """
    import httpx

    class OnePiece(httpx.AsyncByteStream):
        def __init__(self) -> None:
            self._pieces = iter((content,))

        def __aiter__(self) -> OnePiece:
            return self

        async def __anext__(self) -> bytes:
            for piece in self._pieces:
                return piece
            raise StopAsyncIteration

    return OnePiece()


def same_origin(url: str, other: str) -> bool:
    """Tell whether two URLs have scheme, host and port in common, and no user name in them."""
    import httpx

    try:
        parsed = [httpx.URL(url), httpx.URL(other)]
    except httpx.InvalidURL:
        return False
    one, two = (
        (given.scheme, given.host, given.port or {"http": 80, "https": 443}.get(given.scheme))
        for given in parsed
    )
    return one == two and not any(given.userinfo for given in parsed)


def _response(answer: Reply, body: bytes) -> Response:
    return Response(
        answer.status,
        answer.header("content-type") or "",
        answer.header("retry-after"),
        answer.header("location"),
        body,
    )


def _words(exc: BaseException) -> str:
    # Of a failed TLS handshake only the innermost cause has any.
    cause: BaseException | None = exc
    while cause is not None:
        if str(cause):
            return str(cause)
        cause = cause.__cause__ or cause.__context__
    return type(exc).__name__


def public_part(url: str) -> str:
    """Return a URL without what may be a secret: user, password, query and fragment."""
    shown = re.split(r"[?#]", url, maxsplit=1)[0]
    scheme, separator, rest = shown.rpartition("//")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"


_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def check_headers(option: str, headers: Mapping[str, str] | None) -> None:
    """Refuse headers or cookies that no request can carry; the message shows no value.

    Raises:
        ValueError: A name or value has characters that a header can't have.
    """
    for name, value in (headers or {}).items():
        if option == "headers" and not _HEADER_NAME.fullmatch(name):
            raise ValueError(f"{option}: {name!r} is no name that a header can have")
        for text in (name, value):
            if not text.isascii() or re.search(r"[\x00\r\n]", text):
                raise ValueError(
                    f"{option}: {name!r} has a line end, or what else no header can have"
                )


class _WithoutSessions(logging.Filter):
    """Takes the session hash, which is a secret, out of the URLs that httpx logs."""

    def filter(self, record: logging.LogRecord) -> bool:
        import httpx

        def public(arg: object) -> object:
            if not isinstance(arg, httpx.URL):
                return arg
            if b"session_hash=" in arg.query:
                arg = arg.copy_with(query=None)
            return arg.copy_with(path=_SESSION_IN_PATH.sub(r"\1...", arg.path))

        if isinstance(record.args, tuple):
            record.args = tuple(map(public, record.args))
        return True


# The event of a `/call` is its session too.
_SESSION_IN_PATH = re.compile(r"(/heartbeat/|/call/[^/]+/)[^/]+$")
_WITHOUT_SESSIONS = _WithoutSessions()


def _keep_sessions_out_of_the_log() -> None:
    logging.getLogger("httpx").addFilter(_WITHOUT_SESSIONS)  # adding it twice does nothing


def quoted(text: str) -> str:
    """Return ``text`` as it stands in a query."""
    return quote(text, safe="")


def is_json(response: Response) -> bool:
    """Tell whether an answer says that it is JSON."""
    return response.content_type.partition(";")[0].strip() == "application/json"
