"""Parses a client's source: a URL, or a Space by its name or page; no I/O.

Every client needs this, so it is separate from the modules that only a Space needs.
"""

from __future__ import annotations

import os
import re
from typing import NamedTuple
from urllib.parse import urlsplit

from ..http.urls import parse_url

DEFAULT_HUB = "https://huggingface.co"
_HUB_HOSTS = ("huggingface.co", "www.huggingface.co", "hf.co")

_NAME = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,95}"
_SPACE_ID = re.compile(f"{_NAME}/{_NAME}")
_SPACE_HOST = re.compile(r"https://(?:[a-z0-9-]+\.)+hf\.space(?::443)?/")


class Source(NamedTuple):
    """The source of a client."""

    hub: str
    """The hub's URL, with a slash at its end."""
    space: str | None
    """The name of a Space whose host the hub knows, or None."""
    url: str
    """The URL of the app with a slash at its end; for a Space by name, the URL of its page."""


def read_source(src: str, hub: str | None, *, with_token: bool) -> Source:
    """Return the source of a client.

    Args:
        src: An app's URL, a Space's name, or the URL of its page on the hub.
        hub: The URL of the hub, or None.
        with_token: Whether a token will be sent to it.

    Raises:
        ValueError: It is invalid, or the token must not be sent to it.
    """
    base = parse_url(hub_url(hub))
    if is_space_id(src):
        return Source(base, src, f"{base}spaces/{src}")
    url = parse_url(src)
    space = space_of_page(url, base)
    if space is not None:
        return Source(base, space, f"{base}spaces/{space}")
    if with_token and not is_space_url(url):
        raise token_refused(url)
    return Source(base, None, url)


def is_space_id(src: object) -> bool:
    """Return whether ``src`` is the name of a Space, ``"owner/name"``."""
    return isinstance(src, str) and _SPACE_ID.fullmatch(src) is not None


def is_space_url(url: str) -> bool:
    """Return whether a URL, as `parse_url` returns it, belongs to a Space's own origin."""
    return _SPACE_HOST.match(url) is not None


def space_of_page(url: str, hub: str) -> str | None:
    """Return the name of the Space with this page on the hub; None for a URL outside of the hub.

    Raises:
        ValueError: It is another page of the hub.
    """
    parts = urlsplit(url)
    if parts.netloc not in (*_HUB_HOSTS, urlsplit(hub).netloc):
        return None
    steps = parts.path.split("/")
    name = "/".join(steps[2:4])
    if steps[1] == "spaces" and is_space_id(name):
        return name
    raise ValueError(
        f"{url} is a page of the hub, but not that of a Space; "
        f"the page of a Space is {parts.netloc}/spaces/owner/name"
    )


def hub_url(hub: str | None) -> str:
    """Return the URL of the hub: the one given, or HF_ENDPOINT, or Hugging Face's own."""
    return hub or os.environ.get("HF_ENDPOINT") or DEFAULT_HUB


def token_refused(url: str) -> ValueError:
    """Return the error for a token with a URL that does not belong to a Space."""
    return ValueError(
        f"token= is sent only to Spaces of Hugging Face, and {url} is not one: a Space has the "
        'name "owner/name", and its own URL starts with https:// and ends in .hf.space; '
        "to send a token to this app anyway, use headers="
    )
