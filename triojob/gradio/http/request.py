"""Requests, as the two backends take them: `DirectBackend` and `HttpxBackend`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

Ready: TypeAlias = Callable[[int | None], Awaitable[None]]
"""Awaited before a request is sent; an exception that it raises keeps the request from being sent.

It receives the number of the connection, or None if httpx is about to open one: the caller's pool
may have no room for two.
"""


@dataclass(frozen=True)
class Request:
    """A request, sent once."""

    method: str
    url: str
    """The whole URL, on the app's own origin."""
    headers: Mapping[str, str]
    """The headers of this request alone; names are in lower case."""
    body: bytes | AsyncIterator[bytes] | None = None
    """An iterator has ``__anext__`` and is not an async generator: httpx does not close it when it
    fails or is cancelled.  The headers state its length."""
    read: float | None = None
    """How many seconds the server can be silent, or None."""
    ready: Ready | None = None
    fresh: bool = False
    """Whether to open a connection for it, as httpx always does."""
