"""The made-up protocol ``sse_v9``: all of it, as one file.

It differs from ``sse_v3`` in files (``"kind": "file"``), in encoding (outputs are whole), in the
end of a stream (which just ends) and in cancelling (``POST /stop``, and nothing takes a waiting
call out of the queue).
"""

from __future__ import annotations

import json

from triojob.gradio.protocol.base import CallRequest, Protocol
from triojob.gradio.protocol.file_marks import FileData, file_data
from triojob.gradio.protocol.messages import Json
from triojob.gradio.protocol.refusals import refusal
from triojob.gradio.protocol.sse_session import SessionStream
from triojob.gradio.protocol.traits import ProtocolTraits


class StoppableStream(SessionStream):
    """Speaks ``sse_v9``; see `StreamDriver`."""

    async def cancel(
        self, session_hash: str, call: CallRequest, event_id: str, *, alone: bool
    ) -> None:
        body = json.dumps({"session": session_hash, "event": event_id, "function": call.fn_index})
        response = await self._http.request(
            "POST", "/stop", json=body, limiter=self._http.cancel_requests
        )
        if response.status != 200:
            raise refusal(response, "cancelling", "")


def read_kind(value: Json) -> FileData | None:
    """Read a file that ``kind`` marks."""
    return file_data(value, value.get("where")) if value.get("kind") == "file" else None


PROTOCOL = Protocol(
    "sse_v9", ProtocolTraits(session_stream=True, read_file=read_kind), StoppableStream
)
