"""What httpx is given and gives: bodies, answers, and lines of its log."""

from __future__ import annotations

import logging
import math
import re
import socket
from collections.abc import AsyncIterator, Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from typing import TYPE_CHECKING, Any

import trio

from .._logs import CLEAN_LINES, clean_line
from .._secrets import MASK
from ._connections import Reading
from ._wires import Broken, TimedOut, keep_alive

if TYPE_CHECKING:
    import httpx

_PIECE = 16 * 1024
"""Bytes to take at once of another protocol, at most: other tasks run between two pieces."""


async def send(client: httpx.AsyncClient, request: httpx.Request) -> httpx.Response:
    """Send a request, following no redirect; return the answer when its head has come.

    The head has to come within the request's time to read.  By itself httpx bounds each wait for
    bytes, and skips interim responses: with those, a server could keep a request for ever.

    Raises:
        TimedOut: The head did not come in time.
        httpx.HTTPError: See there.
    """
    read: float | None = request.extensions["timeout"]["read"]
    seconds = math.inf if read is None else read
    scope = trio.CancelScope()

    async def trace(name: str, info: Mapping[str, Any]) -> None:
        if name == "connection.connect_tcp.complete":
            sock = info["return_value"].get_extra_info("socket")
            if sock is not None:
                keep_alive(sock)
        elif ".receive_response_headers." in name:
            waits = name.endswith(".started")
            scope.deadline = trio.current_time() + seconds if waits else math.inf

    request.extensions["trace"] = trace
    with scope:
        return await client.send(request, stream=True, follow_redirects=False)
    raise TimedOut("read")


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
        error: Exception | None = None
        with trio.CancelScope() as scope:
            # A hook or a transport of the caller's may have read it all already.
            read = response.is_stream_consumed
            async for chunk in response.aiter_bytes() if read else response.aiter_raw():
                if error is not None or reading.stopped:
                    continue
                try:
                    take(chunk, reading)
                except Exception as exc:  # noqa: BLE001 - it is raised below
                    error = exc
                scope.deadline = reading.until
                if error is not None or reading.stopped:
                    scope.cancel()
        if error is not None:
            try:
                raise error
            finally:
                del error  # a cycle by way of its traceback

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


class UpgradedStream:
    """The bytes of a connection after its upgrade to another protocol.

    Raises:
        Broken: The transport of the caller's has no such connections.
    """

    def __init__(self, response: httpx.Response) -> None:
        self._answer = HttpxAnswer(response)
        self._stream: Any = response.extensions.get("network_stream")
        if self._stream is None:
            raise Broken("the transport= of this client can't change protocols")

    def header(self, name: str) -> str | None:
        """Return the value of a header of the answer, or None."""
        return self._answer.header(name)

    async def send(self, data: bytes, seconds: float | None) -> None:
        """Send; raise `TimedOut` if the server takes nothing for so long, `Broken` if it broke."""
        with _of_httpcore():
            await self._stream.write(data, seconds)

    async def receive(self) -> bytes:
        """Return what comes, nothing at the end; raise `Broken` if the connection broke."""
        with _of_httpcore():
            data: bytes = await self._stream.read(_PIECE)
            return data

    async def aclose(self) -> None:
        """Close it at once, without a word to the server."""
        try:
            self._answer.never_again()
        finally:
            await self._answer.aclose()


@contextmanager
def _of_httpcore() -> Generator[None, None, None]:
    """Map the errors of httpcore, which are not those of httpx here."""
    import httpcore

    try:
        yield
    except httpcore.TimeoutException as exc:
        raise TimedOut("write") from exc
    except (httpcore.NetworkError, httpcore.ProtocolError) as exc:
        raise Broken(str(exc)) from exc


@cache
def body_stream() -> type[Any]:
    """Return the class of bodies, made of a function that starts one anew."""
    import httpx

    class ByteStream(httpx.AsyncByteStream):
        def __init__(self, start: Callable[[], AsyncIterator[bytes]]) -> None:
            self._start = start

        def __aiter__(self) -> AsyncIterator[bytes]:
            return self._start()

    return ByteStream


class WholeBody:
    """Iterates over a body in one piece."""

    def __init__(self, body: bytes) -> None:
        self._left: bytes | None = body

    def __aiter__(self) -> WholeBody:
        return self

    async def __anext__(self) -> bytes:
        body, self._left = self._left, None
        if body is None:
            raise StopAsyncIteration
        return body


class _CleanHeaders(logging.Filter):
    """Cleans the lines of httpcore, which have no arguments.

    The cookies that a server sets are in them before anybody knows them.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg = clean_line(_SET_COOKIE.sub(rf"\1'{MASK}'", str(record.msg)))
        return True


_SET_COOKIE = re.compile(r"""(b'set-cookie', b)(?:'(?:[^'\\]|\\.)*'|"[^"]*")""", re.IGNORECASE)
_CLEAN_HEADERS = _CleanHeaders()


def keep_secrets_out_of_the_log() -> None:
    """Have the logs of the libraries that talk to servers show no secret."""
    # Adding a filter twice does nothing.
    logging.getLogger("httpx").addFilter(CLEAN_LINES)
    for name in ("connection", "http11", "http2", "proxy", "socks"):
        logging.getLogger(f"httpcore.{name}").addFilter(_CLEAN_HEADERS)
