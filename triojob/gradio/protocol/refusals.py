"""Maps HTTP responses that are refusals to exceptions; the same in every protocol.

Wire sources: gradio 6.31, ``routes.py`` and ``queueing.py``; HTTP status codes.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any, TypeVar

from ..._exceptions import (
    AuthenticationError,
    ErrorResponse,
    ProtocolError,
    QueueFull,
    ServerStopped,
    TooManyRequests,
    TriojobError,
    UnexpectedResponse,
    ValidationError,
    shorten,
)
from ..._secrets import scrub_start
from ..http.response import Response
from ..http.urls import public_part
from .messages import decode_object, is_list, is_object

E = TypeVar("E", bound=TriojobError)

RETRY = "pass retry=Retry(), or call later"
"""The advice for a call that the server refused before it started."""
_MOST_ERRORS = 1000
"""No call has more invalid parameters than this."""
_MOST_TEXT = 2**16
"""The maximum number of characters of a body that an exception keeps."""


def refusal(response: Response, doing: str, endpoint: str) -> TriojobError:
    """Return the error for a response whose status is not 200.

    Args:
        endpoint: The endpoint that was called; empty for a request that is not a call, for which
            nothing is queued or validated.
    """
    return caused_by(response, _error(response, doing, endpoint), of_call=bool(endpoint))


def caused_by(response: Response, error: E, *, of_call: bool = False) -> E:
    """Attach the response that caused an error, and return the error."""
    text = scrub_start(response.body, _MOST_TEXT)
    error.response = ErrorResponse(response.status, text, of_call)
    return error


def _error(response: Response, doing: str, endpoint: str) -> TriojobError:
    status = response.status
    detail: Any = None
    with suppress(ProtocolError):  # plain text or HTML is shown as it is
        detail = decode_object(response.body, "the response").get("detail")
    words = shorten(detail) if isinstance(detail, str) else _words(response)
    if status == 401:
        return AuthenticationError(
            f"{doing}: the app requires a login; pass auth=(user, password) to Client"
        )
    if status == 429:
        return TooManyRequests(
            f"{doing}: the server limits the rate of requests (429): {words}"
            f"{f'; {RETRY}' if endpoint else ''}",
            retry_after=_seconds(response.retry_after),
        )
    # A full queue and a stopped queue have the same status.
    if status == 503 and endpoint and "full" in words.lower():
        return QueueFull(f"{doing}: {words.rstrip('.')}; {RETRY}")
    if status == 503 and "stopped" in words.lower():
        return ServerStopped(f"{doing}: {words}")
    if status == 422 and endpoint and is_list(detail):
        return _validation_error(detail, doing, endpoint)
    if status == 400 and endpoint and isinstance(detail, str):
        # The exception of a validator, as text.
        return ValidationError(
            f"{doing}: the app refused the input: {shorten(detail, 1000)}", endpoint=endpoint
        )
    if 300 <= status < 400:
        return UnexpectedResponse(
            f"{doing}: the server redirects (status {status}) to "
            f"{shorten(public_part(response.location or 'nowhere'))}; "
            "triojob follows no redirects, which could leak credentials; pass the app's own URL",
            status=status,
        )
    return UnexpectedResponse(
        f"{doing}: the server responded with status {status}: {words}",
        status=status,
        retry_after=_seconds(response.retry_after),
    )


def _words(response: Response) -> str:
    """Return the text of a response without JSON: for a page, only its title."""
    if response.content_type.startswith("text/html"):
        title = re.search(rb"<title>([^<]*)", response.body[:10_000], re.IGNORECASE)
        if title is not None:
            return shorten(title[1].strip())
    return shorten(response.body)


def _validation_error(detail: list[Any], doing: str, endpoint: str) -> ValidationError:
    errors: dict[str, str] = {}
    for place, item in enumerate(detail[:_MOST_ERRORS]):
        if not is_object(item) or item.get("is_valid") is True:
            continue
        # From the app's validator, or from the server's own check of the request (pydantic).
        loc = item.get("loc")
        where = item.get("parameter_name") or ".".join(map(str, loc if is_list(loc) else ()))
        errors[str(where or f"parameter_{place}")] = str(item.get("message", item.get("msg", "")))
    words = "; ".join(f"{name}: {message}" for name, message in errors.items())
    return ValidationError(
        f"{doing}: the app refused the input: {shorten(words or detail, 1000)}",
        errors=errors,
        endpoint=endpoint,
    )


def _seconds(value: str | None) -> float | None:
    # The other form, a date, would need the server's clock.
    return float(value) if value is not None and value.isdecimal() else None
