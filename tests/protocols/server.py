"""A scripted server that speaks ``sse_v9``."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from tests.servers.scripted import Message, ScriptedServer
from triojob.testing._server.http import ServerRequest, ServerResponse, StreamedResponse


class NewServer(ScriptedServer):
    """Serves an app in ``sse_v9``."""

    def encode(self, message: Message) -> bytes:
        return super().encode(marked(message))

    async def handle(self, request: ServerRequest) -> ServerResponse | StreamedResponse:
        assert request.path != "/cancel", "sse_v9 has none"
        if request.path == "/stop":
            body = json.loads(request.body)
            old = {
                "session_hash": body["session"],
                "event_id": body["event"],
                "fn_index": body["function"],
            }
            request = replace(request, path="/cancel", body=json.dumps(old).encode())
        return await super().handle(request)


def marked(value: Any) -> Any:
    """Return a value with its files marked as ``sse_v9`` marks them."""
    if isinstance(value, dict):
        meta = value.get("meta")
        if isinstance(meta, dict) and meta.get("_type") == "gradio.FileData":
            rest = {key: item for key, item in value.items() if key not in ("meta", "path")}
            return {"kind": "file", "where": value.get("path"), **rest}
        return {key: marked(item) for key, item in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, str):
        return [marked(item) for item in value]
    return value
