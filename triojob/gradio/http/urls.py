"""URLs and headers: checked, compared, and shown without secrets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote

_WITHOUT_SCHEME = re.compile(
    r"(?:(?:[\w.-]+|\[[\da-fA-F:.]+\]):\d+|localhost|(?:\d+\.){3}\d+)(?:/|$)"
)
"""A host with a port, localhost, or an IP address: probably an app's URL without its scheme."""


def parse_url(url: str) -> str:
    """Return the base of an app's URL, with a slash at its end.

    Raises:
        ValueError: It is not an absolute http or https URL.
    """
    import httpx

    try:
        parsed = httpx.URL(url)
        host = parsed.host
    except (httpx.InvalidURL, ValueError, TypeError):
        raise ValueError(f"not a URL: {public_part(str(url))!r}") from None
    if parsed.scheme not in ("http", "https") or not host:
        shown = public_part(str(url))
        hint = f"; did you mean 'http://{shown}'?" if _WITHOUT_SCHEME.match(shown) else ""
        raise ValueError(
            f"the URL of an app must start with http:// or https://, not {shown!r}{hint}"
        )
    if parsed.userinfo:
        raise ValueError(
            "the URL contains a user name or password; pass auth=(user, password) instead, or, for "
            "a login of a server in front of the app, an Authorization header in headers="
        )
    base = str(parsed.copy_with(query=None, fragment=None))
    return base if base.endswith("/") else base + "/"


def same_origin(url: str, other: str) -> bool:
    """Return whether two URLs have the same scheme, host and port, and contain no user name."""
    origin = _origin(url)
    return origin is not None and origin == _origin(other)


def _origin(url: str) -> tuple[str, str, int | None] | None:
    """Return scheme, host and port of a URL; None if it has a user name, or is invalid."""
    import httpx

    try:
        given = httpx.URL(url)
        # By idna, which parses the host: not every string that httpx accepts is a name.
        host = given.host
    except (httpx.InvalidURL, ValueError):
        return None
    if given.userinfo:
        return None
    return given.scheme, host, given.port or {"http": 80, "https": 443}.get(given.scheme)


def public_part(url: str) -> str:
    """Return a URL without its possible secrets: user, password, query and fragment."""
    before, separator, rest = url.rpartition("//") if "//" not in url else url.partition("//")
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    user, _, host = authority.rpartition("@")
    if user or not re.search(r":(?!\d*$)", host.rpartition("]")[2]):
        rest = rest[len(authority) - len(host) :]
    else:
        # Not a port, so it is a password, with characters that would have to be quoted.
        rest = rest.rpartition("@")[2] if "@" in rest else host.partition(":")[0]
    return before + separator + re.split(r"[?#]", rest, maxsplit=1)[0]


def quoted(text: str) -> str:
    """Return ``text`` as it is written in a query."""
    return quote(text, safe="")


_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def check_headers(option: str, headers: Mapping[str, str] | None) -> None:
    """Refuse headers or cookies that no request can carry; the message shows no value.

    Raises:
        TypeError: A name or value is not text.
        ValueError: A name or value has characters that a header can't have.
    """
    for name, value in (headers or {}).items():
        if option == "headers" and not _HEADER_NAME.fullmatch(name):
            raise ValueError(f"{option}: {name!r} is not a valid name of a header")
        for text in (name, value):
            if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance] - users' own words
                raise TypeError(
                    f"{option}: the value of {name!r} must be text, not {type(text).__name__}"
                )
            if not text.isascii() or re.search(r"[\x00\r\n]", text):
                raise ValueError(
                    f"{option}: the value of {name!r} contains a line end or another invalid "
                    "character"
                )
