"""The protocol of Gradio 3: one WebSocket for each call.

The server asks for the session (``send_hash``) and, when it is the call's turn, for the data
(``send_data``).  Closing the socket stops a generator at its next output.

Wire sources: gradio 3.50, ``routes.py`` (``/queue/join``), ``queueing.py``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

import trio

from ..._errors import (
    AuthenticationError,
    ConnectionFailed,
    ConnectionLost,
    ConnectionTimeout,
    MissingExtra,
    TriojobError,
    leaves,
)
from .._http import HTTP
from .._wire import decode_message
from ._base import CallDriver, Conversation
from ._stopping import cancel_by_function

if TYPE_CHECKING:
    from trio_websocket import WebSocketConnection

_POLICY_VIOLATION = 1008
"""How a server closes the socket of somebody who is not logged in."""


class _Watched(trio.abc.Stream):
    """A stream that tells when the peer has ended it."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream
        self.on_end: Callable[[], object] = bool

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        try:
            data = await self._stream.receive_some(max_bytes)
        except trio.BrokenResourceError:
            self.on_end()
            raise
        if not data:
            self.on_end()
        return data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        try:
            await self._stream.send_all(data)
        except trio.BrokenResourceError:
            self.on_end()
            raise

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        await self._stream.aclose()


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
        failure: Exception | None = None
        with self._mapped_errors(conversation):
            deadline = trio.current_time() + _seconds(self._http.timeouts.connect)
            try:
                with trio.fail_at(deadline):
                    stream = await self._connect()
            except trio.TooSlowError:
                raise self._library.ConnectionTimeout from None
            try:
                async with trio.open_nursery() as nursery:
                    try:
                        await self._talk(nursery, stream, deadline, conversation)
                    except Exception as exc:  # noqa: BLE001 - it is raised below
                        # Out of here by hand: what leaves a nursery does so in a group.
                        failure = exc
                    nursery.cancel_scope.cancel()
            except Exception as exc:  # noqa: BLE001 - it is raised below
                # The library's reader raises what it reads of a refusal.
                failure = cast("Exception", leaves(exc)[0])
            finally:
                # The library leaves it to the garbage collector where the handshake fails, and
                # where the server was the first to close.
                await trio.aclose_forcefully(stream)
            if failure is not None:
                try:
                    raise failure
                finally:
                    del failure  # a cycle by way of its traceback

    async def _connect(self) -> _Watched:
        """Make a connection; the TLS handshake is a part of the other one."""
        url, tls = urlsplit(self._http.socket_url("")), self._http.tls()
        assert url.hostname is not None
        if tls is None:
            return _Watched(await trio.open_tcp_stream(url.hostname, url.port or 80))
        return _Watched(
            await trio.open_ssl_over_tcp_stream(
                url.hostname, url.port or 443, ssl_context=tls, https_compatible=True
            )
        )

    async def _talk(
        self, nursery: trio.Nursery, stream: _Watched, deadline: float, conversation: Conversation
    ) -> None:
        url = urlsplit(self._http.socket_url("/queue/join"))
        socket: WebSocketConnection | None = None
        with trio.CancelScope(deadline=deadline) as opening:
            # By itself, the library would wait on for the answer of a server that has hung up.
            stream.on_end = opening.cancel
            socket = await self._library.wrap_client_stream(
                nursery,
                cast("Any", stream),
                url.netloc,
                url.path,
                extra_headers=self._http.own_headers(conversation.call.headers),
                max_message_size=self._http.max_message_size,
            )
        if socket is None:
            if trio.current_time() < deadline:
                raise ConnectionFailed(
                    f"calling {conversation.call.name}: the connection broke before there was a "
                    "WebSocket"
                )
            raise self._library.ConnectionTimeout
        answered: set[str] = set()
        while not conversation.ended():
            await self._answer(socket, conversation, answered)
        with trio.move_on_after(self._http.timeouts.cancel):
            await socket.aclose()

    async def _answer(
        self, socket: WebSocketConnection, conversation: Conversation, answered: set[str]
    ) -> None:
        """Take the next message, and answer it if it asks for something, each question once."""
        call, session_hash = conversation.call, conversation.session_hash
        text = await self._next(socket, call.name)
        message = decode_message(text.encode() if isinstance(text, str) else text)
        kind = message["msg"]
        asks_anew = kind not in answered
        answered.add(kind)
        if kind == "send_hash":
            answer = {"fn_index": call.fn_index, "session_hash": session_hash}
            if asks_anew:
                await socket.send_message(json.dumps(answer))
            return
        conversation.deliver(message)
        if kind == "send_data" and asks_anew:
            await socket.send_message(call.body(session_hash))

    async def _next(self, socket: WebSocketConnection, name: str) -> str | bytes:
        """Receive a message; ask for a sign of life where the server is silent for long.

        Gradio 3 sends none by itself, and a function may run for hours.
        """
        times = self._http.timeouts
        while True:
            with trio.move_on_after(_seconds(times.stream_idle)):
                return await socket.get_message()
            with trio.move_on_after(_seconds(times.read)):
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
        except (library.HandshakeError, OSError) as exc:
            if isinstance(exc, TriojobError):  # some of ours are the system's, too
                raise
            raise ConnectionFailed(f"calling {name}: no WebSocket: {exc}") from exc

    async def part(self, conversation: Conversation, *, alone: bool) -> None:
        await cancel_by_function(
            self._http, conversation.session_hash, conversation.call, alone=alone
        )


def _seconds(timeout: float | None) -> float:
    return math.inf if timeout is None else timeout
