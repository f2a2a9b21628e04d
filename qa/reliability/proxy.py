"""A proxy that does harm at a chosen moment: it reads along, and knows which request it carries.

It stands between a client and a Gradio server of any era, passes everything on as it is, and
applies the faults it is told to: to the answer of one request, or from one message of an event
stream (or WebSocket) on.
"""

from __future__ import annotations

import math
import os
import random
import socket
import ssl
import struct
from collections.abc import Callable
from functools import partial

import trio

from qa.reliability.harm import LOST_SESSION, End, EndOfConnection, Fault, Plan, Sink
from qa.reliability.reading import (
    Head,
    Reader,
    chunk,
    message_name,
    read_head,
    read_socket_frame,
    relay_body,
)

HOST = "127.0.0.1"
_IDLE = 1.0
"""Seconds after which a connection to the server isn't used again: it may be about to close it."""

BROKEN = (trio.BrokenResourceError, trio.ClosedResourceError, OSError, ssl.SSLError)


class Proxy:
    """Passes connections on to a server on this machine.

    Args:
        target: The server's port.
        choose: Says of each request which plan it meets; by default the one in `plan`, once.
    """

    def __init__(
        self, target: int = 0, choose: Callable[[Head], Plan | None] | None = None
    ) -> None:
        self.target = target
        self.other = target
        """The port of the server that is there after a restart, and of the one elsewhere."""
        self.plan: Plan | None = None
        self.open = 0
        """How many connections of clients there are."""
        self.port = 0
        self.tls_port = 0
        self._choose = choose or self._by_plan
        self._scopes: set[trio.CancelScope] = set()
        self._ended: set[trio.CancelScope] = set()
        self._untrusted: Plan | None = None
        self.dice = random.Random(6)

    def _by_plan(self, head: Head) -> Plan | None:
        plan = self.plan
        if plan is None or plan.fired.is_set() or not plan.matches(head):
            return None
        return plan

    def arm(self, plan: Plan) -> None:
        """Have this happen, once."""
        self.plan = plan

    def distrust(self, plan: Plan) -> None:
        """Show somebody else's certificate on the next connection."""
        self._untrusted = plan

    def restart(self) -> None:
        """Reset all connections; the other server is in the first one's place then."""
        self.target, self.other = self.other, self.target
        self._ended = set(self._scopes)
        for scope in self._ended:
            scope.cancel(reason="the server was started anew")

    def has_settled(self) -> bool:
        """Tell whether all connections to a server that was restarted have been reset by now."""
        return not (self._ended & self._scopes)

    async def serve(
        self,
        *,
        tls: tuple[ssl.SSLContext, ssl.SSLContext] | None = None,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Serve until cancelled: plain, and if there are certificates, by TLS.

        Args:
            tls: The right certificate, and one that nobody trusts.
        """

        async def serve_tls(stream: trio.SocketStream) -> None:
            assert tls is not None
            plan, self._untrusted = self._untrusted, None
            context = tls[0] if plan is None else tls[1]
            if plan is not None:
                plan.fired.set()
            await self._serve(trio.SSLStream(stream, context, server_side=True), stream)

        async def serve_plain(stream: trio.SocketStream) -> None:
            await self._serve(stream, stream)

        async with trio.open_nursery() as nursery:
            for handler in (serve_plain, serve_tls):
                (listener,) = await trio.open_tcp_listeners(0, host=HOST, backlog=4096)
                port = listener.socket.getsockname()[1]
                if handler is serve_plain:
                    self.port = port
                elif tls is not None:
                    self.tls_port = port
                else:
                    await listener.aclose()
                    break
                nursery.start_soon(partial(trio.serve_listeners, handler, [listener]))
            task_status.started()

    async def _serve(self, stream: trio.abc.Stream, below: trio.SocketStream) -> None:
        connection = _Connection(self, stream, below)
        self.open += 1
        scope = trio.CancelScope()
        self._scopes.add(scope)
        try:
            with scope:
                await connection.run()
            if scope.cancelled_caught:
                connection.reset()
        except BROKEN:
            connection.reset()
        finally:
            await connection.close()
            self._scopes.discard(scope)
            self.open -= 1


class _Connection:
    """One connection of a client: one request after the other."""

    def __init__(self, proxy: Proxy, stream: trio.abc.Stream, below: trio.SocketStream) -> None:
        self._proxy = proxy
        self._stream = stream
        self._below = below
        self._client = Reader(stream)
        self._server: Reader | None = None
        self._used = -math.inf
        self._is_tls = stream is not below
        self._tunnelled: Reader | None = None
        self._held = b""
        self._count = 0

    def reset(self) -> None:
        """Have the connection end by a reset, instead of in good order."""
        self._below.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    async def close(self) -> None:
        await trio.aclose_forcefully(self._below)
        if self._server is not None:
            await trio.aclose_forcefully(self._server.stream)

    async def run(self) -> None:
        while (head := await read_head(self._client)) is not None:
            plan = self._proxy._choose(head)
            try:
                if not await self._carry(head, plan):
                    break
            except EndOfConnection as end:
                await self._end(end.how)
                return
        if self._is_tls:
            with trio.move_on_after(0.5):
                await self._stream.aclose()

    async def _end(self, how: End) -> None:
        if how == "reset":
            self.reset()
        elif how == "close":
            await self._stream.send_all(b"0\r\n\r\n")
        elif how == "garbage":
            await self._below.send_all(os.urandom(200))
        if how in {"silence", "garbage"}:
            # Whatever the client still says goes nowhere, until it leaves.
            while await self._below.receive_some(65536):
                pass

    async def _carry(self, head: Head, plan: Plan | None) -> bool:
        """Pass a request on and its answer back; tell whether another may follow."""
        fault = plan.fault if plan is not None and not plan.message else None
        if plan is not None and fault is not None and fault.untrusted:
            self._proxy.distrust(plan)
            fault = None
        if plan is not None and fault is not None:
            plan.fired.set()
            if fault.restart:
                self._proxy.restart()
                raise EndOfConnection("reset")
            if not fault.heard:
                raise EndOfConnection(fault.end)
            if fault.reply:
                await relay_body(head, self._client, _drop, is_answer=False)
                await self._stream.send_all(fault.reply)
                return False
        server = await self._find_server(elsewhere=fault is not None and fault.elsewhere)
        await server.stream.send_all(head.raw)

        async def send_body(data: bytes) -> None:
            await server.stream.send_all(chunk(data) if head.is_chunked else data)

        await relay_body(head, self._client, send_body, is_answer=False)
        if head.is_chunked:
            await server.stream.send_all(b"0\r\n\r\n")
        goes_on = False
        end: EndOfConnection | None = None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watch, nursery.cancel_scope)
            try:
                goes_on = await self._answer(head, server, plan, fault)
            except EndOfConnection as exc:
                end = exc  # out of here by hand: what leaves a nursery does so in a group
            except BROKEN:
                self.reset()
            nursery.cancel_scope.cancel()
        if end is not None:
            raise end
        # What went elsewhere was one request only.
        strayed = fault is not None and fault.elsewhere
        self._used = -math.inf if strayed else trio.current_time()
        return goes_on

    async def _find_server(self, *, elsewhere: bool) -> Reader:
        fresh = trio.current_time() - self._used < _IDLE
        if self._server is None or elsewhere or not fresh:
            if self._server is not None:
                await trio.aclose_forcefully(self._server.stream)
            port = self._proxy.other if elsewhere else self._proxy.target
            self._server = Reader(await trio.open_tcp_stream(HOST, port))
        return self._server

    async def _watch(self, scope: trio.CancelScope) -> None:
        """Leave, and so tell the server, when the client does."""
        try:
            while await self._client.more():
                if self._tunnelled is not None:
                    data = self._client.take(len(self._client.buffer))
                    await self._tunnelled.stream.send_all(data)
        except BROKEN:
            pass
        scope.cancel(reason="the client left")

    async def _answer(
        self, request: Head, server: Reader, plan: Plan | None, fault: Fault | None
    ) -> bool:
        head = await read_head(server)
        if head is None:
            raise EndOfConnection("end")
        sink = Sink(self._stream, self._proxy.dice)
        sink.fault = fault
        if head.status == 101:
            await sink.send(head.raw)
            await self._tunnel(server, sink, plan)
            return False
        await sink.send(head.with_field(b"connection: close") if self._is_tls else head.raw)
        if request.method == "HEAD":
            return not self._is_tls
        reading = plan is not None and head.is_event_stream
        buffer = bytearray()

        async def take(data: bytes) -> None:
            if not reading:
                await sink.send(chunk(data) if head.is_chunked else data)
                return
            buffer.extend(data)
            while (place := buffer.find(b"\n\n")) >= 0:
                frame = bytes(buffer[: place + 2])
                del buffer[: place + 2]
                await self._pass(sink, plan, chunk(frame), message_name(frame))

        whole = await relay_body(head, server, take, is_answer=True)
        if self._held:
            await sink.send(self._held)
            self._held = b""
        if not whole:
            raise EndOfConnection("end")
        if head.is_chunked:
            await sink.send(b"0\r\n\r\n")
        ends = self._is_tls or not (head.is_chunked or "content-length" in head.fields)
        return not (ends or head.fields.get("connection") == "close")

    async def _pass(self, sink: Sink, plan: Plan | None, raw: bytes, name: str) -> None:
        """Pass one message on."""
        if plan is None or plan.fired.is_set() or not (name and plan.message in {name, "any"}):
            held, self._held = self._held, b""
            await sink.send(raw + held)
            return
        self._count += 1
        if self._count < plan.count:
            await sink.send(raw)
            return
        fault = plan.fault
        if fault.untrusted:
            self._proxy.distrust(plan)
            await sink.send(raw)
            return
        plan.fired.set()
        if fault.frames == "doubled":
            await sink.send(raw + raw)
        elif fault.frames == "swapped":
            self._held = raw
        else:
            if not plan.instead:
                await sink.send(raw)
            if fault.elsewhere:
                await sink.send(chunk(LOST_SESSION))
                raise EndOfConnection("end")
            if fault.restart:
                self._proxy.restart()
                raise EndOfConnection("reset")
            sink.fault = fault
            await sink.send(raw if plan.instead else b"")

    async def _tunnel(self, server: Reader, sink: Sink, plan: Plan | None) -> None:
        """Pass frames of a WebSocket on to the client; `_watch` does the other way."""
        self._tunnelled = server
        while (frame := await read_socket_frame(server)) is not None:
            await self._pass(sink, plan, frame, message_name(frame))
            if frame[0] & 0xF == 8 and self._held:
                await sink.send(self._held)
                self._held = b""
        raise EndOfConnection("end")


async def _drop(data: bytes) -> None:
    """Take a body that goes nowhere."""
