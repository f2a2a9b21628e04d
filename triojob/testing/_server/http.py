"""HTTP/1.1 over any Trio stream, with h11: the part of the server that is independent of Gradio."""

from __future__ import annotations

import contextlib
import json
import math
import socket
import struct
import urllib.parse
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

import h11
import trio

from ...gradio.protocol.messages import is_object
from .network import MemoryPeer


class Disconnect(Exception):
    """Ends a connection at once."""

    def __init__(self, *, reset: bool = False) -> None:
        super().__init__()
        self.reset = reset


class BrokenOff(Exception):
    """Raised by an event stream's frames: the app itself fails in the middle of a response."""


# The exceptions that show that the client has disconnected.
GONE = (trio.BrokenResourceError, trio.ClosedResourceError)


def compact_json(value: Any) -> bytes:
    """Serialize as Gradio does: no spaces, no unnecessary escapes, no NaN."""
    text = json.dumps(_finite(value), separators=(",", ":"), ensure_ascii=False)
    # Half of a surrogate pair has no UTF-8, only an escape.
    return text.encode(errors="backslashreplace")


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if is_object(value):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in cast("list[Any]", value)]
    return value


@dataclass(frozen=True)
class ServerRequest:
    """A request, as the server received it."""

    method: str
    path: str
    """Without the app's mount and API prefix, and without the query."""
    target: str
    """Including all of these."""
    query: dict[str, str]
    headers: dict[str, str]
    """Names in lower case; the last value of repeated headers."""
    body: bytes
    time: float

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class ServerResponse:
    """A response with a known body."""

    status: int
    body: Any = b""
    """Bytes or text as they are, any other value as JSON."""
    headers: list[tuple[str, str]] = field(default_factory=list)
    close: bool = False
    """Drop the connection after it, without announcing it."""

    def encoded(self) -> tuple[bytes, list[tuple[str, str]]]:
        """Return body and headers."""
        headers = [("server", "uvicorn"), *self.headers]
        names = {name.lower() for name, _ in headers}
        if isinstance(self.body, bytes):
            content, kind = self.body, "text/plain; charset=utf-8"
        elif isinstance(self.body, str):
            content, kind = self.body.encode(), "text/html; charset=utf-8"
        else:
            content, kind = compact_json(self.body), "application/json"
        if "content-type" not in names:
            headers.append(("content-type", kind))
        return content, [*headers, ("content-length", str(len(content)))]


class StreamedResponse(Protocol):
    """A response that is an event stream."""

    def counted(self) -> contextlib.AbstractContextManager[None]:
        """Count it among the open streams of its kind."""
        ...

    def frames(self) -> AsyncGenerator[tuple[str, bytes], None]:
        """Yield each frame, with its `msg`; raise `BrokenOff` where the app breaks off."""
        ...

    async def heartbeats(self) -> None:
        """Run in parallel to the frames."""

    def disconnected(self) -> None:
        """Handle that the client has closed the connection."""


class Handler(Protocol):
    """Responds to the requests of a connection."""

    def split_target(self, target: str) -> tuple[str, str]:
        """Return the path, without its common prefix, and the query."""
        ...

    def note(self, request: ServerRequest) -> None:
        """Record a request."""

    async def handle(self, request: ServerRequest) -> ServerResponse | StreamedResponse:
        """Respond to a request."""
        ...


class ServerConnection:
    """One HTTP/1.1 connection: requests one after the other."""

    def __init__(
        self, handler: Handler, stream: trio.abc.Stream, peer: MemoryPeer | None = None
    ) -> None:
        self._handler = handler
        self._stream = stream
        self._peer = peer
        self._http = h11.Connection(h11.SERVER)
        self._scope = trio.CancelScope()
        self._reset = False

    def kill(self, *, reset: bool = False) -> None:
        """Break it, whatever it is doing."""
        self._reset = reset
        self._scope.cancel()

    async def serve(self) -> None:
        """Respond to requests until either side ends the connection."""
        try:
            with self._scope:
                while (request := await self._read_request()) is not None:
                    await self._respond(request)
                    if (self._http.our_state, self._http.their_state) != (h11.DONE, h11.DONE):
                        break
                    self._http.start_next_cycle()
        except Disconnect as disconnect:
            self._reset = disconnect.reset
        except (*GONE, h11.RemoteProtocolError):
            pass
        finally:
            await self._close()

    async def _close(self) -> None:
        if self._peer is not None:
            self._peer.closed = True
            self._peer.was_reset = self._reset
        elif self._reset:
            transport: Any = self._stream
            if isinstance(transport, trio.SSLStream):
                transport = cast("Any", transport).transport_stream
            assert isinstance(transport, trio.SocketStream)
            # Closing with a linger time of 0 sends a reset.
            linger = struct.pack("ii", 1, 0)
            with contextlib.suppress(OSError):
                transport.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        await trio.aclose_forcefully(self._stream)

    # --- Reading ---

    async def _next_event(self) -> Any:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            self._http.receive_data(bytes(await self._stream.receive_some(65536)))
        return event

    async def _read_request(self) -> ServerRequest | None:
        head = await self._next_event()
        if not isinstance(head, h11.Request):
            return None  # the client closed it between two requests
        if self._http.they_are_waiting_for_100_continue:
            await self.send(h11.InformationalResponse(status_code=100, headers=[]))
        body = bytearray()
        while isinstance(event := await self._next_event(), h11.Data):
            body += event.data
        target = head.target.decode()
        path, query = self._handler.split_target(target)
        return ServerRequest(
            method=head.method.decode(),
            path=path,
            target=target,
            query=dict(urllib.parse.parse_qsl(query)),
            headers={name.decode().lower(): value.decode() for name, value in head.headers},
            body=bytes(body),
            time=trio.current_time(),
        )

    async def until_gone(self) -> None:
        """Wait until the client closes the connection."""
        with contextlib.suppress(*GONE):
            while data := await self._stream.receive_some(65536):
                self._http.receive_data(bytes(data))

    # --- Responding ---

    async def _respond(self, request: ServerRequest) -> None:
        self._handler.note(request)
        response = await self._handler.handle(request)
        if isinstance(response, ServerResponse):
            await self._send_response(response)
        else:
            await StreamSender(self, response).send()

    async def send(self, event: h11.Event) -> None:
        """Send a part of a response."""
        data = self._http.send(event)
        if data:
            await self._stream.send_all(data)

    async def _send_response(self, response: ServerResponse) -> None:
        content, headers = response.encoded()
        data = self._http.send(h11.Response(status_code=response.status, headers=headers)) or b""
        data += self._http.send(h11.Data(data=content)) or b""
        data += self._http.send(h11.EndOfMessage()) or b""
        await self._stream.send_all(data)
        if response.close:
            raise Disconnect


class StreamSender:
    """Sends an event stream."""

    def __init__(self, connection: ServerConnection, stream: StreamedResponse) -> None:
        self._connection = connection
        self._stream = stream

    async def send(self) -> None:
        """Send it to its end, or until the client disconnects."""
        known_to_app = False
        problem: Exception | None = Disconnect()
        try:
            with self._stream.counted():
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._watch, nursery.cancel_scope)
                    nursery.start_soon(self._heartbeats)
                    try:
                        await self._send_frames()
                    except BrokenOff:
                        known_to_app = True
                    except (Disconnect, *GONE) as error:
                        problem = error
                    else:
                        known_to_app, problem = True, None
                    nursery.cancel_scope.cancel()
        finally:
            if not known_to_app:
                self._stream.disconnected()
        if problem is not None:
            raise problem
        await self._connection.send(h11.EndOfMessage())

    async def _watch(self, scope: trio.CancelScope) -> None:
        await self._connection.until_gone()
        scope.cancel()

    async def _heartbeats(self) -> None:
        await self._stream.heartbeats()

    async def _send_head(self) -> None:
        headers = [("server", "uvicorn"), ("content-type", "text/event-stream; charset=utf-8")]
        await self._connection.send(h11.Response(status_code=200, headers=headers))

    async def _send_frames(self) -> None:
        await self._send_head()
        async with contextlib.aclosing(self._stream.frames()) as frames:
            async for _, data in frames:
                await self._connection.send(h11.Data(data=data))
