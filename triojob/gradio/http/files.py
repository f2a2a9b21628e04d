"""File transfers over HTTP: bodies are sent and read in parts, never whole in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from types import TracebackType
from urllib.parse import quote

from ..._secrets import scrub
from .client import HTTP
from .httpx_backend import HttpxResponse
from .response import Response


async def send_file(
    http: HTTP, path: str, parts: AsyncIterator[bytes], *, content_type: str, length: int | None
) -> Response:
    """Post a body in parts, as they become available; return the response, whatever its status.

    The caller holds a token of ``http.transfers``.  Being cancelled ends it at once; the caller
    must close the source of ``parts``.

    Args:
        parts: Not an async generator, see `Request.body`.
        length: The total number of bytes, or None if it is not known.

    Raises:
        NetworkError: The network failed.
        ProtocolError: The response is too large.
        Exception: The exceptions of ``parts``.
    """
    framing = (
        {"transfer-encoding": "chunked"} if length is None else {"content-length": str(length)}
    )
    what = f"POST {path}"
    with http.mapped_errors(what):
        headers = {"content-type": content_type, **framing}
        response = await http.transfer("POST", http.url(path), headers, parts)
        return await http.whole(what, response)


async def open_file(http: HTTP, url: str, headers: Mapping[str, str]) -> Download:
    """Request a file; return the response, whatever its status, to be read and closed.

    Waits for a token of ``http.transfers``, which the response holds until it is closed.
    No redirect is followed.

    Args:
        url: On the app's own origin: the credentials are sent with it.

    Raises:
        NetworkError: The network failed.
    """
    holder = object()  # not the task: it may read one file and request another
    await http.transfers.acquire_on_behalf_of(holder)

    def release() -> None:
        http.transfers.release_on_behalf_of(holder)

    try:
        what = f"GET {scrub(url.removeprefix(http.base).partition('?')[0])}"
        with http.mapped_errors(what):
            # Ranges and sizes refer to the transferred bytes: these must be the file itself.
            wanted = {"accept-encoding": "identity", **headers}
            response = await http.transfer("GET", url, wanted)
        return Download(http, what, response, release)
    except BaseException:
        release()
        raise


def file_url(http: HTTP, route: str, path: str) -> str:
    """Return the URL of a file of the app, under the app's URL and API prefix.

    Args:
        route: Such as ``"/file="``.
        path: The server's path of the file, in any format.
    """
    parts = quote(path, safe="/").split("/")
    # A component of dots would be removed from the URL, together with the one before it.
    safe = ("%2E" * len(part) if part in (".", "..") else part for part in parts)
    return http.url(route + "/".join(safe))


class Download:
    """The response to a request for a file, to be read in pieces and then closed."""

    def __init__(
        self, http: HTTP, what: str, response: HttpxResponse, release: Callable[[], None]
    ) -> None:
        self._http = http
        self._what = what
        self._response = response
        self._release: Callable[[], None] | None = release
        self.status: int = response.status
        self.headers: Mapping[str, str] = response.headers
        """Its names are case-insensitive."""

    async def receive(self) -> bytes:
        """Return some bytes; empty at the end.

        Raises:
            NetworkError: The network failed, or the response broke off.
        """
        silence = "no data arrived for {} s (Timeouts.read sets the limit)"
        with self._http.mapped_errors(self._what, silence):
            async for piece in self._response:
                return piece
        return b""

    async def refusal(self) -> Response:
        """Return the beginning of a response that is not a file."""
        body = bytearray()
        while len(body) < 1000 and (piece := await self.receive()):
            body += piece
        return self._response.with_body(bytes(body))

    async def aclose(self) -> None:
        """Close it, whether read to its end or not; never waits for the server."""
        release, self._release = self._release, None
        if release is None:
            return
        try:
            await self._response.aclose()
        finally:
            release()

    async def __aenter__(self) -> Download:  # noqa: PYI034 - `Self` is not in the typing of 3.10
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()
