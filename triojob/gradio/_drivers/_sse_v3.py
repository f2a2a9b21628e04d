"""The protocol ``sse_v3``: one POST a call, one event stream a session.

Wire sources: gradio 6.31, ``routes.py`` (``/queue/join``, ``/queue/data``, ``/cancel``).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from ..._errors import (
    AuthenticationError,
    ProtocolError,
    QueueFull,
    ServerStopped,
    TooManyRequests,
    TriojobError,
    UnexpectedResponse,
    ValidationError,
    shorten,
)
from .._http import HTTP, Response, quoted
from .._wire import Json, Trigger, decode_message, decode_object, is_list, is_object


class SseV3:
    """Speaks ``sse_v3``; see `Driver`."""

    edits = True

    def __init__(self, http: HTTP) -> None:
        self._http = http

    async def join(
        self, session_hash: str, fn_index: int, data: str, endpoint: str, trigger: Trigger
    ) -> str:
        body = (
            f'{{"data":{data},"fn_index":{fn_index},"session_hash":"{session_hash}",'
            f'"event_data":{trigger.event_data},"trigger_id":{json.dumps(trigger.trigger_id)}}}'
        )
        response = await self._http.request("POST", "/queue/join", json=body)
        if response.status != 200:
            raise refusal(response, f"calling {endpoint}", endpoint)
        event_id = decode_object(response.body, "the answer to /queue/join").get("event_id")
        if not isinstance(event_id, str):
            raise ProtocolError(
                f"the answer to /queue/join names no event: {shorten(response.body)}"
            )
        return event_id

    async def listen(self, session_hash: str, deliver: Callable[[Json], None]) -> None:
        def take(event: bytes) -> bool:
            message = decode_message(event)
            if message["msg"] == "close_stream":
                return True
            deliver(message)
            return False

        def refuse(response: Response) -> TriojobError:
            return refusal(response, "opening the event stream", "")

        await self._http.listen(f"/queue/data?session_hash={quoted(session_hash)}", take, refuse)

    async def cancel(self, session_hash: str, fn_index: int, event_id: str) -> None:
        body = json.dumps(
            {"session_hash": session_hash, "fn_index": fn_index, "event_id": event_id}
        )
        response = await self._http.request(
            "POST", "/cancel", json=body, limiter=self._http.goodbyes
        )
        if response.status != 200:
            raise refusal(response, "cancelling", "")


def refusal(response: Response, doing: str, endpoint: str) -> TriojobError:
    """Make an error of an answer that is not 200."""
    status = response.status
    detail: Any = None
    with suppress(ProtocolError):  # plain text or HTML is shown as it is
        detail = decode_object(response.body, "the answer").get("detail")
    words = shorten(detail if isinstance(detail, str) else response.body)
    if status == 401:
        return AuthenticationError(
            f"{doing}: the app wants a login; pass auth=(user, password) to Client"
        )
    if status == 429:
        return TooManyRequests(
            f"{doing}: the server limits the rate of requests (429): {words}",
            retry_after=_seconds(response.retry_after),
        )
    # The status is the same for a queue that is full and one that has stopped.
    if status == 503 and "full" in words.lower():
        return QueueFull(f"{doing}: {words}")
    if status == 503 and "stopped" in words.lower():
        return ServerStopped(f"{doing}: {words}")
    if status == 422 and is_list(detail):
        return _validation_error(detail, doing, endpoint)
    if status == 400 and isinstance(detail, str):
        # What a validator raised, as text.
        return ValidationError(f"{doing}: the app refused the input: {words}", endpoint=endpoint)
    if 300 <= status < 400:
        return UnexpectedResponse(
            f"{doing}: the server redirects (status {status}) to "
            f"{shorten((response.location or 'nowhere').partition('?')[0])}; "
            "credentials are never sent there: if that is the app, pass its URL",
            status=status,
        )
    return UnexpectedResponse(f"{doing}: the server answered {status}: {words}", status=status)


def _validation_error(detail: list[Any], doing: str, endpoint: str) -> ValidationError:
    errors: dict[str, str] = {}
    for place, item in enumerate(detail):
        if not is_object(item) or item.get("is_valid") is True:
            continue
        # Of the app's validator, or of the server's own check of the request (pydantic).
        where = item.get("parameter_name") or ".".join(map(str, item.get("loc") or ()))
        errors[str(where or f"parameter {place}")] = str(item.get("message") or item.get("msg"))
    words = "; ".join(f"{name}: {message}" for name, message in errors.items())
    return ValidationError(
        f"{doing}: the app refused the input: {shorten(words or detail, 1000)}",
        errors=errors,
        endpoint=endpoint,
    )


def _seconds(value: str | None) -> float | None:
    # The other form, a date, would need the server's clock.
    return float(value) if value is not None and value.isdecimal() else None
