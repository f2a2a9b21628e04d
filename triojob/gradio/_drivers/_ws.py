"""The protocol of Gradio 3: one WebSocket for each call.

The server asks for the session (``send_hash``) and, when it is the call's turn, for the data
(``send_data``).  Closing the socket stops a generator at its next output.

Wire sources: gradio 3.50, ``routes.py`` (``/queue/join``), ``queueing.py``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import trio

from ..._errors import (
    AuthenticationError,
    ConnectionFailed,
    ConnectionLost,
    ConnectionTimeout,
    MissingExtra,
)
from .._http import HTTP
from .._wire import decode_message
from ._base import CallDriver, Conversation
from ._stopping import cancel_by_function

if TYPE_CHECKING:
    from trio_websocket import WebSocketConnection

_POLICY_VIOLATION = 1008
"""How a server closes the socket of somebody who is not logged in."""


class CallSocket(CallDriver):
    """Speaks WebSocket; see `CallDriver`.

    Raises:
        MissingExtra: The library for WebSockets is not installed.
    """

    edits = False
    mixes_generators = True

    def __init__(self, http: HTTP) -> None:
        try:
            import trio_websocket
        except ModuleNotFoundError as exc:
            raise MissingExtra(
                "this app runs Gradio 3, which speaks WebSocket; "
                "to call it, install: pip install 'triojob[ws]'"
            ) from exc
        self._library = trio_websocket
        self._http = http

    async def converse(self, conversation: Conversation) -> None:
        times = self._http.timeouts
        with self._mapped_errors(conversation):
            async with self._library.open_websocket_url(
                self._http.socket_url("/queue/join"),
                self._http.tls(),
                extra_headers=self._http.own_headers(conversation.call.headers),
                max_message_size=self._http.max_message_size,
                connect_timeout=math.inf if times.connect is None else times.connect,
                disconnect_timeout=times.goodbye,
            ) as socket:
                try:
                    while not conversation.ended():
                        await self._answer(socket, conversation)
                    with trio.move_on_after(times.goodbye):
                        await socket.aclose()
                finally:
                    # Where the server was the first to close, the library leaves the connection to
                    # the garbage collector, and waits for the server to close that too.
                    await trio.aclose_forcefully(socket._stream)

    async def _answer(self, socket: WebSocketConnection, conversation: Conversation) -> None:
        call, session_hash = conversation.call, conversation.session_hash
        text = await self._next(socket, call.name)
        message = decode_message(text.encode() if isinstance(text, str) else text)
        if message["msg"] == "send_hash":
            answer = {"fn_index": call.fn_index, "session_hash": session_hash}
            await socket.send_message(json.dumps(answer))
        else:
            conversation.deliver(message)
            if message["msg"] == "send_data":
                await socket.send_message(call.body(session_hash))

    async def _next(self, socket: WebSocketConnection, name: str) -> str | bytes:
        """Receive a message; ask for a sign of life where the server is silent for long.

        Gradio 3 sends none by itself, and a function may run for hours.
        """
        times = self._http.timeouts
        while True:
            with trio.move_on_after(_seconds(times.silence)):
                return await socket.get_message()
            with trio.move_on_after(_seconds(times.response)):
                await socket.ping()
                continue
            raise ConnectionTimeout(f"{name}: the server has gone silent")

    @contextmanager
    def _mapped_errors(self, conversation: Conversation) -> Generator[None, None, None]:
        """Map the library's errors to ours."""
        library = self._library
        name = conversation.call.name
        try:
            yield
        except library.ConnectionRejected as exc:
            if exc.status_code in (401, 403):
                raise AuthenticationError(
                    f"calling {name}: the app wants a login; pass auth=(user, password) to Client"
                ) from exc
            raise ConnectionFailed(
                f"calling {name}: the server refuses a WebSocket (status {exc.status_code})"
            ) from exc
        except library.ConnectionTimeout as exc:
            raise ConnectionFailed(
                f"calling {name}: no connection within {self._http.timeouts.connect} s"
            ) from exc
        except library.ConnectionClosed as exc:
            code = None if exc.reason is None else exc.reason.code
            if code == _POLICY_VIOLATION:
                raise AuthenticationError(
                    f"calling {name}: the app wants a login; pass auth=(user, password) to Client"
                ) from exc
            if not conversation.ended():
                raise ConnectionLost(
                    f"calling {name}: the server closed the WebSocket (code {code}) with work "
                    "unfinished; what became of it there is not known"
                ) from exc
        except library.DisconnectionTimeout:
            # All has been said; the library has closed its side.
            if not conversation.ended():
                raise
        except library.HandshakeError as exc:
            raise ConnectionFailed(
                f"calling {name}: no WebSocket: {exc.__cause__ or type(exc).__name__}"
            ) from exc

    async def part(self, conversation: Conversation, *, alone: bool) -> None:
        await cancel_by_function(
            self._http, conversation.session_hash, conversation.call, alone=alone
        )


def _seconds(timeout: float | None) -> float:
    return math.inf if timeout is None else timeout
