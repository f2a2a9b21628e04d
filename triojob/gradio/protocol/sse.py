"""The protocol ``sse``, of Gradio 4.0 to 4.8: one event stream for each call, opened by a GET.

The server sends ``send_data`` when the call can start, and waits 5 seconds for the data.
Closing the stream leaves a call in the queue until it would start.
``/reset`` stops a generator at its next output.

Wire sources: gradio 4.0, ``routes.py`` (``/queue/join``, ``/queue/data``), ``queueing.py``.
"""

from __future__ import annotations

import json

import trio

from ..._core.containment import contained
from ..._exceptions import ProtocolError, TriojobError, short_repr
from ..http.response import Response
from ..http.sse import OversizedEvent
from .base import CallDriver, Conversation, Protocol
from .cancel import stop
from .file_marks import marked_by_keys
from .messages import Json, decode_message
from .refusals import refusal
from .traits import ProtocolTraits


class CallStream(CallDriver):
    """Implements ``sse``; see `CallDriver`."""

    async def converse(self, conversation: Conversation) -> None:
        call = conversation.call
        asked = trio.Event()

        def refuse(response: Response) -> TriojobError:
            return refusal(response, f"calling {call.name}", call.name)

        failure: TriojobError | None = None

        def fail(error: TriojobError) -> None:
            # Kept and raised outside the nursery, which would wrap it in a group.
            nonlocal failure
            failure = failure or error
            nursery.cancel_scope.cancel()

        async def send_data() -> None:
            await asked.wait()
            with contained(fail, call.name):
                response = await self._http.request(
                    "POST",
                    "/queue/data",
                    json=call.body(
                        conversation.session_hash, event_id=json.dumps(conversation.event_id)
                    ),
                    headers=call.headers,
                    limiter=self._http.requests,
                )
                if response.status != 200:
                    raise refuse(response)

        path = f"/queue/join?fn_index={call.fn_index}&session_hash={conversation.session_hash}"
        async with trio.open_nursery() as nursery:
            nursery.start_soon(send_data)
            with contained(fail, call.name):
                async with self._http.open_events(path, refuse, ready=conversation.ready) as events:
                    async for event in events:
                        if isinstance(event, OversizedEvent):
                            raise event.error
                        message = decode_message(event)
                        if message["msg"] == "send_data":
                            conversation.event_id = _event_of(call.name, message)
                            asked.set()
                        conversation.deliver(message)
                        if conversation.ended():
                            await events.finish()
                            break
            nursery.cancel_scope.cancel()
        if failure is not None:
            raise failure

    async def cancel(self, conversation: Conversation, *, alone: bool) -> None:
        if conversation.event_id is not None:
            self._http.secrets.add_passing(conversation.event_id)  # enough to stop the event
            await stop(
                self._http,
                conversation.session_hash,
                conversation.call,
                conversation.event_id,
                alone=alone,
            )


def _event_of(name: str, message: Json) -> str:
    """Return the id of the event whose data the server requests.

    Raises:
        ProtocolError: The message contains no event id.
    """
    event_id = message.get("event_id")
    if not isinstance(event_id, str):
        raise ProtocolError(
            f"{name}: the server requests data without an event id: {short_repr(message)}"
        )
    return event_id


PROTOCOLS = (
    Protocol("sse", ProtocolTraits(session_stream=False, read_file=marked_by_keys), CallStream),
)
