"""The protocol ``sse``, of Gradio 4.0 to 4.8: one event stream for each call, asked for by a GET.

The server sends ``send_data`` when it is the call's turn, and waits 5 seconds for the data.
Closing the stream leaves a call in the queue until its turn.
``/reset`` stops a generator at its next output.

Wire sources: gradio 4.0, ``routes.py`` (``/queue/join``, ``/queue/data``), ``queueing.py``.
"""

from __future__ import annotations

import trio

from ..._errors import ProtocolError, TriojobError, short_repr
from .._addresses import quoted
from .._http import HTTP, Response
from .._wire import decode_message
from ._base import CallDriver, Conversation
from ._refusals import refusal
from ._stopping import stop


class CallStream(CallDriver):
    """Speaks ``sse``; see `CallDriver`."""

    edits = False

    def __init__(self, http: HTTP) -> None:
        self._http = http

    async def converse(self, conversation: Conversation) -> None:
        call = conversation.call
        asked = trio.Event()

        def take(event: bytes, _kind: str) -> bool:
            message = decode_message(event)
            if message["msg"] == "send_data":
                event_id = message.get("event_id")
                if not isinstance(event_id, str):
                    raise ProtocolError(
                        f"{call.name}: the server asks for data and names no event: "
                        f"{short_repr(message)}"
                    )
                conversation.event_id = event_id
                asked.set()
            conversation.deliver(message)
            return conversation.ended()

        def refuse(response: Response) -> TriojobError:
            return refusal(response, f"calling {call.name}", call.name)

        failure: TriojobError | None = None

        async def send_data() -> None:
            nonlocal failure
            await asked.wait()
            body = call.body(conversation.session_hash, event_id=f'"{conversation.event_id}"')
            try:
                response = await self._http.request(
                    "POST",
                    "/queue/data",
                    json=body,
                    headers=call.headers,
                    limiter=self._http.requests,
                )
                if response.status != 200:
                    raise refuse(response)
            except TriojobError as exc:
                failure = exc
                nursery.cancel_scope.cancel()

        path = (
            f"/queue/join?fn_index={call.fn_index}&session_hash={quoted(conversation.session_hash)}"
        )
        async with trio.open_nursery() as nursery:
            nursery.start_soon(send_data)
            try:
                await self._http.listen(path, take, refuse, may_end=True)
            except TriojobError as exc:
                # Out of here by hand: what leaves a nursery does so in a group.
                failure = exc
            nursery.cancel_scope.cancel()
        if failure is not None:
            raise failure

    async def part(self, conversation: Conversation, *, alone: bool) -> None:
        if conversation.event_id is not None:
            await stop(
                self._http,
                conversation.session_hash,
                conversation.call,
                conversation.event_id,
                alone=alone,
            )
