"""Which requests use triojob's own connections, and their headers as bytes; no I/O."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from http.cookiejar import CookieJar

Headers = tuple[tuple[str, str], ...]
HeaderKey = tuple[str, str, Headers]
"""Identifies a block of headers: the method, the path, and the request's own headers."""

Cookie = tuple[str, str, str, str | None, int | None]
"""Domain, path, name, value and the time at which it expires."""

_MAX_BLOCKS = 64
_FRAMING = frozenset(
    ("connection", "content-length", "expect", "keep-alive", "proxy-connection", "te", "trailer",
     "transfer-encoding", "upgrade")
)  # fmt: skip
_PLAIN = r"[A-Za-z0-9\-._~!$&()*+,;=:@/?]*"
_UNCHANGED = re.compile(rf"{_PLAIN}(?:%[0-9A-Fa-f]{{2}}{_PLAIN})*")


def is_framed_by_caller(names: Iterable[str]) -> bool:
    """Return whether headers frame the request or its connection, which triojob does itself.

    Args:
        names: In lower case.
    """
    return not _FRAMING.isdisjoint(names)


def needs_no_quoting(target: str) -> bool:
    """Return whether a path below the app's URL, with its query, is sent unchanged."""
    # httpx would remove a component of dots.
    return _UNCHANGED.fullmatch(target) is not None and "/." not in f"/{target}"


def bypasses_proxies(host: str) -> bool:
    """Return whether the environment certainly has no proxy for ``host``.

    Only names and addresses in ``NO_PROXY`` are considered, as httpx reads them; everything else is
    left to httpx.
    """
    from urllib.request import getproxies

    proxies = getproxies()
    if not any(proxies.get(scheme) for scheme in ("http", "https", "all")):
        return True
    host = host.lower()
    for entry in proxies.get("no", "").lower().split(","):
        name = entry.strip()
        # For httpx, "localhost" means only that name.
        below = name not in ("", "localhost") and host.endswith("." + name.lstrip("."))
        if below or name in ("*", host):
            return True
    return False


class HeaderCache:
    """The headers of requests as bytes, built once for all requests with the same headers.

    Args:
        build: Returns the headers of a request to a path, as they are sent, with its cookies.
        jar: The cookies that the server has set.
    """

    def __init__(
        self,
        build: Callable[[str, str, Headers], Iterable[tuple[bytes, bytes]]],
        jar: CookieJar,
    ) -> None:
        self._build = build
        self._jar = jar
        self._cookies: list[Cookie] = []
        self._blocks: dict[HeaderKey, bytes] = {}

    def block(self, method: str, path: str, own: Headers) -> bytes:
        """Return the headers as they are sent, without the length of the body.

        Args:
            path: Without the query.
            own: The headers of this request.
        """
        key = (method, "", own)
        cookies = [
            (cookie.domain, cookie.path, cookie.name, cookie.value, cookie.expires)
            for cookie in self._jar
        ]
        if cookies or self._cookies:
            key = (method, path, own)
            if cookies != self._cookies or any(cookie[-1] is not None for cookie in cookies):
                self._blocks.clear()
                self._cookies = cookies
        if key not in self._blocks:
            if len(self._blocks) >= _MAX_BLOCKS:
                self._blocks.clear()
            self._blocks[key] = self._joined(method, path, own)
        return self._blocks[key]

    def _joined(self, method: str, path: str, own: Headers) -> bytes:
        return b"".join(
            name + b": " + value + b"\r\n"
            for name, value in self._build(method, path, own)
            if name.lower() != b"content-length"
        )
