"""The protocol of Gradio 3: one WebSocket for each call.

The server requests the session (``send_hash``) and, when the call can start, the data
(``send_data``).  Closing the socket stops a generator at its next output.

Wire sources: gradio 3.50, ``routes.py`` (``/queue/join``), ``queueing.py``; RFC 6455.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import os
from collections.abc import Mapping
from contextlib import suppress
from types import ModuleType
from typing import TYPE_CHECKING, Any

import trio

from ..._exceptions import (
    AuthenticationError,
    ConnectionFailed,
    ConnectionLost,
    MissingDependency,
    NetworkError,
    ProtocolError,
    TriojobError,
)
from ..http.client import HTTP
from ..http.httpx_backend import UpgradedStream
from ..http.sockets import TimedOut, TransportError
from .base import CallDriver, Conversation, Protocol
from .cancel import cancel_by_function
from .file_marks import marked_by_flag
from .messages import decode_message
from .traits import ProtocolTraits

if TYPE_CHECKING:
    from wsproto.connection import Connection
    from wsproto.events import Event

_PATH = "/queue/join"
_POLICY_VIOLATION = 1008
"""The code with which a server closes the socket of a client that is not logged in."""
_PROOF = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""Appended to the key by the server, to prove that it implements WebSocket."""


class CallSocket(CallDriver):
    """Implements the WebSocket protocol; see `CallDriver`.

    Raises:
        MissingDependency: The library for WebSockets is not installed.
    """

    def __init__(self, http: HTTP, traits: ProtocolTraits, version: str) -> None:
        super().__init__(http, traits, version)
        try:
            import wsproto
        except ModuleNotFoundError as exc:
            raise MissingDependency(
                "this app runs Gradio 3, whose protocol needs a WebSocket library; "
                "install it with: pip install 'triojob[ws]'"
            ) from exc
        self._library = wsproto

    async def converse(self, conversation: Conversation) -> None:
        if conversation.ready is not None:
            await conversation.ready(None)
        stream = await self._open(f"calling {conversation.call.name}", conversation.call.headers)
        try:
            with self._http.mapped_errors(f"GET {_PATH}", "the server has stopped responding"):
                await self._talk(_Socket(self._library, self._http, stream), conversation)
        finally:
            await stream.aclose()

    async def try_connection(self) -> bool:
        stream = await self._open("opening a WebSocket", {})
        try:
            with trio.move_on_after(self._http.timeouts.cancel):
                await _Socket(self._library, self._http, stream).close()
        finally:
            await stream.aclose()
        return True

    async def _open(self, doing: str, own_headers: Mapping[str, str]) -> UpgradedStream:
        """Open a WebSocket; nothing of a call has been sent over it."""

        def refuse(status: int) -> TriojobError:
            if status in (401, 403):
                return _login(doing)
            return ConnectionFailed(
                f"{doing}: the server, or a proxy in front of it, refused the "
                f"WebSocket (status {status})"
            )

        key = base64.b64encode(os.urandom(16))
        headers = {
            "connection": "Upgrade",
            "upgrade": "websocket",
            "sec-websocket-version": "13",
            "sec-websocket-key": key.decode(),
            **{name.lower(): value for name, value in own_headers.items()},
        }
        seconds = self._http.timeouts.connect
        try:
            with trio.move_on_after(_seconds(seconds)):
                stream = await self._http.upgrade(_PATH, headers, refuse)
                try:
                    # Not a secret: it proves that the response belongs to this request.
                    proof = base64.b64encode(hashlib.sha1(key + _PROOF).digest())  # noqa: S324
                    if (stream.header("sec-websocket-accept") or "").encode() == proof:
                        return stream
                    raise ConnectionFailed(f"{doing}: the response opens no WebSocket")
                except BaseException:
                    await stream.aclose()
                    raise
        except ConnectionFailed:
            raise
        except NetworkError as exc:
            raise ConnectionFailed(f"{doing}: can't open a WebSocket: {exc}") from exc
        limit = f"{seconds} s (Timeouts.connect sets the limit)"
        raise ConnectionFailed(f"{doing}: can't open a WebSocket within {limit}")

    async def _talk(self, socket: _Socket, conversation: Conversation) -> None:
        call, session_hash = conversation.call, conversation.session_hash
        answered: set[str] = set()
        while not conversation.ended():
            try:
                message = decode_message(await socket.receive())
            except _Closed as exc:
                if exc.code == _POLICY_VIOLATION:
                    raise _login(f"calling {call.name}") from exc
                raise ConnectionLost(
                    f"calling {call.name}: the server closed the WebSocket (code {exc.code}) "
                    "before the call had finished; whether it finished on the server is unknown"
                ) from exc
            # A repeated request receives only one response.
            kind = message["msg"]
            asks = kind not in answered
            answered.add(kind)
            if kind == "send_hash":
                if asks:
                    answer = {"fn_index": call.fn_index, "session_hash": session_hash}
                    await socket.send(json.dumps(answer))
                continue
            conversation.deliver(message)
            if kind == "send_data" and asks:
                await socket.send(call.body(session_hash))
        with trio.move_on_after(self._http.timeouts.cancel):
            await socket.close()

    async def cancel(self, conversation: Conversation, *, alone: bool) -> None:
        await cancel_by_function(
            self._http, conversation.session_hash, conversation.call, alone=alone
        )


def _login(doing: str) -> AuthenticationError:
    return AuthenticationError(
        f"{doing}: the app requires a login; pass auth=(user, password) to Client"
    )


class _Closed(Exception):
    """The server has closed the WebSocket, or violated its protocol; no more messages follow."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class _Socket:
    """A WebSocket over an upgraded connection.

    Args:
        library: wsproto, which handles the frames.
    """

    def __init__(self, library: ModuleType, http: HTTP, stream: UpgradedStream) -> None:
        self._http = http
        self._stream = stream
        self._events: Any = library.events
        self._states: Any = library.connection.ConnectionState
        self._protocol: Connection = library.connection.Connection(library.ConnectionType.CLIENT)

    async def send(self, text: str) -> None:
        """Send a message."""
        await self._send(self._events.TextMessage(text))

    async def _send(self, event: Event) -> None:
        await self._stream.send(self._protocol.send(event), self._http.timeouts.write)

    async def receive(self) -> bytes:
        """Return the next message.

        Raises:
            _Closed: No more messages follow.
            ProtocolError: The message is too large.
            TransportError: The network failed.
        """
        kinds = self._events
        message = bytearray()
        size = 0
        while True:
            event: Any
            for event in self._protocol.events():
                if isinstance(event, kinds.Message):
                    data: str | bytes = event.data
                    message += data.encode() if isinstance(data, str) else data
                    size += len(data) + 1  # there may be any number of empty parts
                    if size > self._http.max_message_size:
                        raise ProtocolError(
                            f"the server sent a message of more than {self._http.max_message_size} "
                            "bytes (Limits.message_size sets the limit)"
                        )
                    if event.message_finished:
                        return bytes(message)
                elif isinstance(event, kinds.CloseConnection):
                    raise _Closed(event.code)
                elif isinstance(event, kinds.Ping) and self._protocol.state is self._states.OPEN:
                    await self._send(event.response())
            self._protocol.receive_data(await self._next() or None)

    async def _next(self) -> bytes:
        """Wait for the next bytes; send a ping if the server is silent for long.

        Gradio 3 sends no pings by itself, and a function may run for hours.
        """
        times = self._http.timeouts
        with trio.move_on_after(_seconds(times.stream_idle)):
            return await self._stream.receive()
        await self._send(self._events.Ping())
        with trio.move_on_after(_seconds(times.read)):
            return await self._stream.receive()
        raise TimedOut("read")

    async def close(self) -> None:
        """Send a close frame, and wait for the server's."""
        with suppress(_Closed, TransportError, ProtocolError):  # all messages have been exchanged
            await self._send(self._events.CloseConnection(code=1000))
            while True:
                await self.receive()


def _seconds(timeout: float | None) -> float:
    return math.inf if timeout is None else timeout


PROTOCOLS = (
    Protocol(
        "ws",
        ProtocolTraits(
            session_stream=False,
            read_file=marked_by_flag,
            old_file_arguments=True,
            mixes_generators=True,
            queues_all=False,
        ),
        CallSocket,
    ),
)
