"""Which requests go over connections of our own, and how their heads are put together; no I/O."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from http.cookiejar import CookieJar

Headers = tuple[tuple[str, str], ...]
Head = tuple[str, str, Headers]
"""What a block of headers depends on: the method, the path, and the request's own headers."""

Cookie = tuple[str, str, str, str | None, int | None]
"""Domain, path, name, value and the time when it expires."""

_MOST_BLOCKS = 64
_FRAMING = frozenset(
    ("connection", "content-length", "expect", "keep-alive", "proxy-connection", "te", "trailer",
     "transfer-encoding", "upgrade")
)  # fmt: skip
_SURE = re.compile(r"(?:[A-Za-z0-9\-._~!$&()*+,;=:@/?]|%[0-9A-Fa-f]{2})*")


def is_framed_by_caller(names: Iterable[str]) -> bool:
    """Tell whether headers say how a request or its connection ends, which is ours to say."""
    return any(name.lower() in _FRAMING for name in names)


def is_plain(target: str) -> bool:
    """Tell whether a path below the app's URL, with its query, can stand as it is."""
    # A component of dots would be taken out.
    return _SURE.fullmatch(target) is not None and "/." not in f"/{target}"


def bypasses_proxies(host: str) -> bool:
    """Tell whether the environment surely has no proxy for ``host``.

    Of what ``NO_PROXY`` may hold only names and addresses count, as httpx reads them; whatever
    else is there is left to httpx.
    """
    from urllib.request import getproxies

    proxies = getproxies()
    if not any(proxies.get(scheme) for scheme in ("http", "https", "all")):
        return True
    host = host.lower()
    for entry in proxies.get("no", "").lower().split(","):
        name = entry.strip()
        # By "localhost" httpx means that name alone.
        below = name not in ("", "localhost") and host.endswith("." + name.lstrip("."))
        if below or name in ("*", host):
            return True
    return False


class Heads:
    """The headers of requests, put together once for all requests that have the same.

    Args:
        build: Makes the headers for a request to a path, as they are sent, with its cookies.
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
        self._blocks: dict[Head, bytes | None] = {}

    def block(self, method: str, path: str, own: Headers) -> bytes | None:
        """Return the headers as they are sent, but for the length of the body.

        None if the request's own headers say how it is framed.

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
            if len(self._blocks) >= _MOST_BLOCKS:
                self._blocks.clear()
            self._blocks[key] = self._put_together(method, path, own)
        return self._blocks[key]

    def _put_together(self, method: str, path: str, own: Headers) -> bytes | None:
        if is_framed_by_caller(name for name, _ in own):
            return None
        return b"".join(
            name + b": " + value + b"\r\n"
            for name, value in self._build(method, path, own)
            if name.lower() != b"content-length"
        )
