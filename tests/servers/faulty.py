"""Connections of a scripted app on which whatever fault the test asked for happens."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

import h11
import trio

from tests.servers.faults import (
    Answer,
    Buffered,
    Cut,
    Delay,
    Drip,
    EndAfter,
    Fault,
    Hold,
    HoldFrame,
    Interim,
    Lose,
    Reply,
    Silence,
    Split,
    Stall,
)
from triojob.testing._server.http import (
    Disconnect,
    Handler,
    ServerConnection,
    ServerRequest,
    ServerResponse,
    StreamedResponse,
    StreamSender,
)
from triojob.testing._server.network import MemoryPeer


class FaultyHandler(Handler, Protocol):
    """What answers the requests, and knows what is to go wrong."""

    def take_faults(self, request: ServerRequest) -> list[Fault]:
        """Say what is to go wrong with a request."""


class FaultyConnection(ServerConnection):
    """One HTTP/1.1 connection; each of its requests may meet faults."""

    def __init__(
        self, handler: FaultyHandler, stream: trio.abc.Stream, peer: MemoryPeer | None = None
    ) -> None:
        super().__init__(handler, stream, peer)
        self._faults_of = handler.take_faults

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

    async def _respond(self, request: ServerRequest) -> None:
        self._handler.note(request)
        faults = self._faults_of(request)
        for fault in faults:
            if isinstance(fault, Answer):
                response = ServerResponse(fault.status, fault.body, [*fault.headers.items()])
                await self._send_response(response)
                return
            if isinstance(fault, Reply):
                await self._send_response(fault.make(request))
                return
            await self._apply(fault, handled=False)
        answer = await self._handler.handle(request)
        for fault in faults:
            await self._apply(fault, handled=True)
        if not isinstance(answer, ServerResponse):
            await _FaultyStreamSender(self, answer, faults).send()
        elif any(isinstance(fault, (Cut, Stall, Drip, Split)) for fault in faults):
            await self._send_by_faults(answer, faults)
        else:
            await self._send_response(answer)

    async def _apply(self, fault: Fault, *, handled: bool) -> None:
        """Let a fault of the request as a whole take effect, if this is its moment."""
        if not isinstance(fault, (Hold, Delay, Lose, Silence, Interim)) or fault.handled != handled:
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
        elif isinstance(fault, Interim):
            seconds = fault.interval

            async def go_on() -> None:
                # Of a client that has gone, what is sent next hears too.
                with contextlib.suppress(trio.BrokenResourceError):
                    while True:
                        await self.send(h11.InformationalResponse(status_code=102, headers=[]))
                        await trio.sleep(seconds)

            await self._wait(go_on)
        else:
            raise Disconnect(reset=fault.reset)

    async def _send_by_faults(self, response: ServerResponse, faults: Sequence[Fault]) -> None:
        content, headers = response.encoded()
        await self.send(h11.Response(status_code=response.status, headers=headers))
        await BodySender(self, faults, self.wait_for_ever).send(content)
        await self.send(h11.EndOfMessage())
        if response.close:
            raise Disconnect


class BodySender:
    """Sends pieces of a body by way of the faults that are set for it."""

    def __init__(
        self,
        connection: ServerConnection,
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


class _FaultyStreamSender(StreamSender):
    """Sends an event stream by way of the faults that are set for it."""

    def __init__(
        self, connection: ServerConnection, stream: StreamedResponse, faults: list[Fault]
    ) -> None:
        super().__init__(connection, stream)
        self._faults = faults

    def _find(self, *kinds: type[Any]) -> Any:
        return next((fault for fault in self._faults if isinstance(fault, kinds)), None)

    async def _heartbeats(self) -> None:
        if self._find(Stall) is None:
            await super()._heartbeats()

    async def _send_frames(self) -> None:
        body = BodySender(self._connection, self._faults, trio.sleep_forever)
        end_after, hold = self._find(EndAfter), self._find(HoldFrame)
        buffered = self._find(Buffered) or Buffered(0, head=False)
        head_is_due, held = True, b""

        async def flush() -> None:
            nonlocal head_is_due, held
            if head_is_due:
                head_is_due = False
                await self._send_head()
            data, held = held, b""
            await body.send(data)

        if not buffered.head:
            await flush()
        sent = 0
        async with contextlib.aclosing(self._stream.frames()) as frames:
            while end_after is None or sent < end_after.frames:
                try:
                    msg, data = await anext(frames)
                except StopAsyncIteration:
                    await flush()
                    return
                if hold is not None and msg == hold.msg:
                    await hold.until.wait()
                held += data
                if len(held) > buffered.size:
                    await flush()
                sent += 1
        if end_after.forget:
            self._stream.disconnected()
