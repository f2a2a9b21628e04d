"""The simple API of Gradio 4.20 and later: one POST, then one event stream for the call.

It shows whole outputs, but no rank in the queue, no progress and no log lines.  Without a session
hash, the event's id is also its session, so the call can be cancelled alone.

Wire sources: gradio 6.31, ``routes.py`` (``/call/{api_name}``), ``server_messages.py``.
"""

from __future__ import annotations

from typing import Any

from ..._exceptions import ProtocolError, shorten
from ..http.sse import OversizedEvent
from ..http.urls import quoted
from .base import CallDriver, Conversation, Protocol
from .cancel import cancel
from .event_stream import open_stream, stream_failure
from .messages import Json, decode_json, decode_object, is_list, is_object
from .refusals import refusal
from .traits import ProtocolTraits


class SimpleCall(CallDriver):
    """Implements ``/call``; see `CallDriver`."""

    async def converse(self, conversation: Conversation) -> None:
        call = conversation.call
        path = f"/call{call.api_name or ''}"
        with conversation.hold:
            response = await self._http.request(
                "POST",
                path,
                json=call.body(None),
                headers=call.headers,
                ready=conversation.ready,
            )
            if response.status != 200:
                raise refusal(response, f"calling {call.name}", call.name)
            event_id = decode_object(response.body, "the response to /call").get("event_id")
            if not isinstance(event_id, str):
                raise ProtocolError(
                    f"the response to /call has no event id: {shorten(response.body)}"
                )
            self._http.secrets.add_passing(event_id)  # it is the session hash too
            conversation.event_id = event_id
        if conversation.event_id is None:
            return  # the bounded wait for the response has ended without one

        path = f"{path}/{quoted(conversation.event_id)}"
        doing = f"opening the event stream of {call.name}"
        async with open_stream(self._http, path, doing, conversation.refused) as events:
            async for event in events:
                if isinstance(event, OversizedEvent):
                    raise event.error
                value = decode_json(event, "an event of the call")
                message = _message(call.name, events.kind, value)
                if message is not None:
                    conversation.deliver(message)
                if conversation.ended():
                    await events.finish()
                    return
            raise events.ended_early()

    async def cancel(self, conversation: Conversation, *, alone: bool) -> None:
        event_id = conversation.event_id
        if event_id is not None:
            await cancel(self._http, event_id, conversation.call, event_id, alone=True)


def _message(name: str, kind: str, value: Any) -> Json | None:
    """Convert an event of this API to a message of the queue.

    Raises:
        ConnectionLost: The stream failed, and not the function.
        ProtocolError: It is not an event of this API.
    """
    if kind == "generating" and is_list(value):
        return {"msg": "process_generating", "output": {"data": value}, "success": True}
    if kind == "complete" and (value is None or is_list(value)):
        # The response to a cancel request has no data.
        output = {} if value is None else {"data": value}
        return {"msg": "process_completed", "output": output, "success": True}
    if kind == "error":
        if isinstance(value, str):
            # An exception of the function is an object, or null before Gradio 6. A text is an error
            # of the stream: in most cases, this server does not know the event.
            what, forgotten = f"this call of {name}", value.startswith("404")
            raise stream_failure(what, value, forgotten=forgotten)
        output = value if is_object(value) else {"error": value}
        return {"msg": "process_completed", "output": output, "success": False}
    if kind == "heartbeat":
        return None
    raise ProtocolError(f"the call has an invalid event: {shorten(kind)!r}: {shorten(value)}")


CALL = Protocol("call", ProtocolTraits(session_stream=False, announces_start=False), SimpleCall)
