"""HTTP/1.1 over any Trio stream, with h11, and with whatever fault the test asked for.

This half of the scripted server knows nothing of Gradio.
"""

from __future__ import annotations

import contextlib
import json
import math
import socket
import struct
import urllib.parse
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import h11
import trio

from tests.servers.faults import (
    Answer,
    Cut,
    Delay,
    Drip,
    EndAfter,
    Fault,
    Hold,
    HoldFrame,
    Lose,
    Silence,
    Split,
    Stall,
)
from tests.servers.memory_network import MemoryPeer


class Disconnect(Exception):
    """Ends a connection at once."""

    def __init__(self, *, reset: bool = False) -> None:
        super().__init__()
        self.reset = reset


class BrokenOff(Exception):
    """Raised by an event stream's frames: the app itself fails, in mid-answer."""


# What the client's going away looks like from this end.
GONE = (trio.BrokenResourceError, trio.ClosedResourceError)


def compact_json(value: Any) -> bytes:
    """Serialise as Gradio does: no spaces, nothing escaped without need, no NaN."""
    return json.dumps(_finite(value), separators=(",", ":"), ensure_ascii=False).encode()


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value


@dataclass(frozen=True)
class Request:
    """A request, as it came."""

    method: str
    path: str
    """Without the app's mount and API prefix, and without the query."""
    target: str
    """With all of them."""
    query: dict[str, str]
    headers: dict[str, str]
    """Names in lower case; of several with one name, the last."""
    body: bytes
    time: float

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Response:
    """A whole answer."""

    status: int
    body: Any = b""
    """Bytes or text as they are, all else as JSON."""
    headers: list[tuple[str, str]] = field(default_factory=list)
    close: bool = False
    """Drop the connection after it, unannounced."""

    def encoded(self) -> tuple[bytes, list[tuple[str, str]]]:
        """Give body and headers."""
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


class EventStream(Protocol):
    """An answer that goes on."""

    def counted(self) -> contextlib.AbstractContextManager[None]:
        """Count it among the open ones of its kind."""

    def frames(self) -> AsyncGenerator[tuple[str, bytes], None]:
        """Give each frame, with its `msg`; raise `BrokenOff` where the app breaks off."""

    async def heartbeats(self) -> None:
        """Do what goes on beside the frames."""

    def disconnected(self) -> None:
        """Hear that the client went away."""


class Handler(Protocol):
    """What answers the requests of a connection."""

    def split_target(self, target: str) -> tuple[str, str]:
        """Give the path, without what all paths begin with, and the query."""

    def take_faults(self, request: Request) -> list[Fault]:
        """Record a request, and say what is to go wrong with it."""

    async def handle(self, request: Request) -> Response | EventStream:
        """Answer a request."""


class Connection:
    """One HTTP/1.1 connection, requests one after the other."""

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
        """Answer requests until either side has enough."""
        try:
            with self._scope:
                while (request := await self._read_request()) is not None:
                    await self._answer(request)
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
            transport = self._stream
            if isinstance(transport, trio.SSLStream):
                transport = transport.transport_stream
            assert isinstance(transport, trio.SocketStream)
            # Closing with no time to linger sends a reset.
            linger = struct.pack("ii", 1, 0)
            with contextlib.suppress(OSError):
                transport.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        await trio.aclose_forcefully(self._stream)

    # --- Reading ---

    async def _next_event(self) -> Any:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            self._http.receive_data(bytes(await self._stream.receive_some(65536)))
        return event

    async def _read_request(self) -> Request | None:
        head = await self._next_event()
        if not isinstance(head, h11.Request):
            return None  # the client closed it between two requests
        body = bytearray()
        while isinstance(event := await self._next_event(), h11.Data):
            body += event.data
        target = head.target.decode()
        path, query = self._handler.split_target(target)
        return Request(
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

    async def wait_for_ever(self) -> None:
        """Wait until the client closes the connection, and end it then."""
        await self._wait(trio.sleep_forever)

    async def _wait(self, condition: Callable[[], Awaitable[Any]]) -> None:
        """Wait for something; end the connection if the client does so first."""
        gone = False

        async def watch() -> None:
            nonlocal gone
            await self.until_gone()
            gone = True
            nursery.cancel_scope.cancel()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch)
            await condition()
            nursery.cancel_scope.cancel()
        if gone:
            raise Disconnect

    # --- Answering ---

    async def _answer(self, request: Request) -> None:
        faults = self._handler.take_faults(request)
        for fault in faults:
            if isinstance(fault, Answer):
                response = Response(fault.status, fault.body, [*fault.headers.items()])
                await self._send_response(response)
                return
            await self._apply(fault, handled=False)
        answer = await self._handler.handle(request)
        for fault in faults:
            await self._apply(fault, handled=True)
        if isinstance(answer, Response):
            await self._send_response(answer, faults)
        else:
            await _StreamSender(self, answer, faults).send()

    async def _apply(self, fault: Fault, *, handled: bool) -> None:
        """Let a fault of the request as a whole take effect, if this is its moment."""
        if not isinstance(fault, (Hold, Delay, Lose, Silence)) or fault.handled != handled:
            return
        if isinstance(fault, Hold):
            await self._wait(fault.until.wait)
        elif isinstance(fault, Delay):
            seconds = fault.seconds

            async def delay() -> None:
                await trio.sleep(seconds)

            await self._wait(delay)
        elif isinstance(fault, Silence):
            await self._wait(trio.sleep_forever)
        else:
            raise Disconnect(reset=fault.reset)

    async def send(self, event: Any) -> None:
        data = self._http.send(event)
        if data:
            await self._stream.send_all(data)

    async def _send_response(self, response: Response, faults: Sequence[Fault] = ()) -> None:
        content, headers = response.encoded()
        head = h11.Response(status_code=response.status, headers=headers)
        if any(isinstance(fault, (Cut, Stall, Drip, Split)) for fault in faults):
            await self.send(head)
            await BodySender(self, faults, self.wait_for_ever).send(content)
            await self.send(h11.EndOfMessage())
        else:
            data = self._http.send(head) or b""
            data += self._http.send(h11.Data(data=content)) or b""
            data += self._http.send(h11.EndOfMessage()) or b""
            await self._stream.send_all(data)
        if response.close:
            raise Disconnect


class BodySender:
    """Sends pieces of a body by way of the faults that are set for it."""

    def __init__(
        self,
        connection: Connection,
        faults: Sequence[Fault],
        stall: Callable[[], Awaitable[None]],
    ) -> None:
        self._connection = connection
        self._stall = stall
        self._tear = next((fault for fault in faults if isinstance(fault, (Split, Drip))), None)
        self._limit = next((fault for fault in faults if isinstance(fault, (Cut, Stall))), None)
        self._sent = 0

    async def send(self, data: bytes) -> None:
        tear, limit = self._tear, self._limit
        size = tear.size if tear is not None else max(len(data), 1)
        for start in range(0, len(data), size):
            piece = data[start : start + size]
            if limit is not None:
                piece = piece[: limit.after_bytes - self._sent]
            if isinstance(tear, Drip):
                await trio.sleep(tear.interval)
            if piece:
                await self._connection.send(h11.Data(data=piece))
                self._sent += len(piece)
            if limit is not None and self._sent >= limit.after_bytes:
                if isinstance(limit, Stall):
                    await self._stall()
                raise Disconnect(reset=limit.reset)


class _StreamSender:
    """Sends an event stream by way of the faults that are set for it."""

    def __init__(self, connection: Connection, stream: EventStream, faults: list[Fault]) -> None:
        self._connection = connection
        self._stream = stream
        self._faults = faults

    def _find(self, *kinds: type[Any]) -> Any:
        return next((fault for fault in self._faults if isinstance(fault, kinds)), None)

    async def send(self) -> None:
        """Send it to its end, or until the client goes away or a fault strikes."""
        known_to_app = False
        problem: Exception | None = Disconnect()
        try:
            with self._stream.counted():
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._watch, nursery.cancel_scope)
                    if self._find(Stall) is None:
                        nursery.start_soon(self._stream.heartbeats)
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

    async def _send_frames(self) -> None:
        headers = [("server", "uvicorn"), ("content-type", "text/event-stream; charset=utf-8")]
        await self._connection.send(h11.Response(status_code=200, headers=headers))
        body = BodySender(self._connection, self._faults, trio.sleep_forever)
        end_after, hold = self._find(EndAfter), self._find(HoldFrame)
        sent = 0
        async with contextlib.aclosing(self._stream.frames()) as frames:
            while end_after is None or sent < end_after.frames:
                try:
                    msg, data = await anext(frames)
                except StopAsyncIteration:
                    return
                if hold is not None and msg == hold.msg:
                    await hold.until.wait()
                await body.send(data)
                sent += 1
        if end_after.forget:
            self._stream.disconnected()
