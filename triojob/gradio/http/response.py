"""Responses: open, with a body still to be read, and whole."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Response:
    """A response with its whole body."""

    status: int
    body: bytes = field(repr=False)
    header: Callable[[str], str | None] = field(repr=False)
    """Returns the value of a header, or None; its name is in lower case."""

    @property
    def content_type(self) -> str:
        """The media type with its parameters; empty if there is none."""
        return self.header("content-type") or ""

    @property
    def retry_after(self) -> str | None:
        """When to retry, in seconds or as a date."""
        return self.header("retry-after")

    @property
    def location(self) -> str | None:
        """The target of a redirect."""
        return self.header("location")


class OpenResponse(ABC):
    """A response whose headers have arrived; iterate over it for its body, and close it.

    Iteration yields nonempty pieces of the body.

    Raises:
        TransportError: While iterating: the connection broke, or the server was silent for too
            long, or the response is invalid.
        httpx.HTTPError: The same, over httpx.
    """

    status: int

    @abstractmethod
    def header(self, name: str) -> str | None:
        """Return the value of a header, or None; ``name`` is in lower case."""

    def with_body(self, body: bytes) -> Response:
        """Return the response with its body, or with the beginning of its body."""
        return Response(self.status, body, self.header)

    @property
    def has_ended(self) -> bool:
        """Whether all of the body is known to have been yielded."""
        return False

    def __aiter__(self) -> OpenResponse:
        return self

    @abstractmethod
    async def __anext__(self) -> bytes: ...

    @abstractmethod
    def discard(self) -> None:
        """Prevent the reuse of the connection."""

    @abstractmethod
    async def aclose(self) -> None:
        """Close the response; never waits for the server.

        The connection is reused if the response was read to its end.
        """
