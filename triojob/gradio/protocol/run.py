"""Calls without the queue: one POST, whose response is the output.

Gradio's own page calls functions with ``queue=False`` this way.  There is no status, no progress,
no stream of outputs and no cancellation: the function runs to its end.

Wire sources: gradio 3.50 to 6.31, ``routes.py`` (``/run/{api_name}``).
"""

from __future__ import annotations

from ..._exceptions import ProtocolError
from .base import CallDriver, Conversation, Protocol
from .messages import Json, decode_object
from .refusals import refusal
from .traits import ProtocolTraits


class DirectCall(CallDriver):
    """Implements ``/run``; see `CallDriver`."""

    async def converse(self, conversation: Conversation) -> None:
        call = conversation.call
        # The number in the body selects the function; the name in the path must exist all the same.
        path = f"/run{call.api_name or '/predict'}"
        response = await self._http.request(
            "POST",
            path,
            json=call.body(conversation.session_hash),
            headers=call.headers,
            endless=True,
            ready=conversation.ready,
        )
        doing = f"calling {call.name}"
        output: Json = {}
        if response.status in (200, 500):
            try:
                output = decode_object(response.body, "the response to /run")
            except ProtocolError as exc:  # not the app's response, but its server's or a proxy's
                raise refusal(response, doing, call.name) from exc
        if response.status != 200 and not (response.status == 500 and "error" in output):
            raise refusal(response, doing, call.name)
        conversation.deliver(
            {"msg": "process_completed", "output": output, "success": response.status == 200}
        )

    async def cancel(self, conversation: Conversation, *, alone: bool) -> None:
        """Do nothing: the server can't stop the call."""


RUN = Protocol("run", ProtocolTraits(session_stream=False, announces_start=False), DirectCall)
