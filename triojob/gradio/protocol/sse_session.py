"""The protocols ``sse_v1`` to ``sse_v3``: one POST a call, one event stream a session.

They differ in their traits: whether outputs after the first are sent as edits (from ``sse_v2`` on),
how files are marked (differently since ``sse_v2.1``), and whether ``close_stream`` precedes the end
of a stream (``sse_v3``).

Wire sources: gradio 4.14 to 6.31, ``routes.py`` (``/queue/join``, ``/queue/data``, ``/cancel``).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from types import TracebackType

from ..._exceptions import ProtocolError, TriojobError, shorten
from ..http.client import EventStream
from ..http.request import Ready
from ..http.sse import OversizedEvent
from .base import CallRequest, Protocol, StreamDriver
from .cancel import cancel, dequeue
from .event_stream import open_stream
from .file_marks import marked_by_keys
from .messages import InvalidMessage, Json, decode_object, invalid_message, read_message
from .refusals import refusal
from .traits import ProtocolTraits


class SessionStream(StreamDriver):
    """Implements ``sse_v1`` to ``sse_v3``; see `StreamDriver`."""

    async def join(self, session_hash: str, call: CallRequest, ready: Ready | None) -> str:
        response = await self._http.request(
            "POST",
            "/queue/join",
            json=call.body(session_hash),
            headers=call.headers,
            ready=ready,
        )
        if response.status != 200:
            raise refusal(response, f"calling {call.name}", call.name)
        event_id = decode_object(response.body, "the response to /queue/join").get("event_id")
        if not isinstance(event_id, str):
            raise ProtocolError(
                f"the response to /queue/join has no event id: {shorten(response.body)}"
            )
        return event_id

    def open(
        self, session_hash: str, refused: Callable[[TriojobError], Awaitable[None]]
    ) -> Messages:
        path = f"/queue/data?session_hash={session_hash}"
        events = open_stream(self._http, path, "opening the event stream", refused)
        return Messages(events, announces_end=self.traits.announces_end)

    async def cancel(
        self, session_hash: str, call: CallRequest, event_id: str, *, alone: bool
    ) -> None:
        await cancel(self._http, session_hash, call, event_id, alone=alone)

    async def dequeue(self, session_hash: str, event_id: str) -> None:
        await dequeue(self._http, session_hash, event_id)


class Messages:
    """Iterates over the messages of a session's stream, to its end; enter it to open the stream."""

    def __init__(self, events: EventStream, *, announces_end: bool) -> None:
        self._events = events
        self._announces_end = announces_end

    async def __aenter__(self) -> Messages:  # noqa: PYI034 - `Self` is not in the typing of 3.10
        await self._events.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        return await self._events.__aexit__(exc_type, exc, traceback)

    def __aiter__(self) -> Messages:
        return self

    async def __anext__(self) -> Json | InvalidMessage:
        try:
            event = await self._events.__anext__()
        except StopAsyncIteration:
            if self._announces_end:
                raise self._events.ended_early() from None
            raise
        if isinstance(event, OversizedEvent):
            return invalid_message(event.data, event.error)
        message = read_message(event)
        if not isinstance(message, InvalidMessage) and message["msg"] == "close_stream":
            await self._events.finish()
            raise StopAsyncIteration
        return message


_COMMON = ProtocolTraits(session_stream=True, cancels_since=(4, 31), dequeues_since=(6, 14))

PROTOCOLS = (
    Protocol("sse_v1", replace(_COMMON, read_file=marked_by_keys), SessionStream),
    Protocol("sse_v2", replace(_COMMON, diffs=True, read_file=marked_by_keys), SessionStream),
    Protocol("sse_v2.1", replace(_COMMON, diffs=True), SessionStream),
    Protocol("sse_v3", replace(_COMMON, diffs=True, announces_end=True), SessionStream),
)
