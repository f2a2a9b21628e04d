"""ConnectionPool over real loopback sockets, by TLS and not."""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import trio

from tests.servers.tls import Authority
from tests.support.hanging import SECONDS
from triojob.gradio.http.pool import ConnectionPool
from triojob.gradio.http.sockets import Broken, ByteStream, NotConnected, TimedOut, connect

from .support import CHUNKED, PLAIN, ask

Serve = Callable[[trio.SocketStream], Awaitable[None]]


@asynccontextmanager
async def serving(serve: Serve, host: str = "127.0.0.1") -> AsyncIterator[int]:
    """Serve on a port of its own, and show at the end that the client has closed all it opened."""

    async def whole(stream: trio.SocketStream) -> None:
        async with stream:
            await serve(stream)
            try:
                while await stream.receive_some():
                    pass
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                pass

    with trio.fail_after(SECONDS):
        async with trio.open_nursery() as nursery:
            listeners = await trio.open_tcp_listeners(0, host=host)
            server = await nursery.start(trio.serve_listeners, whole, listeners)
            yield server[0].socket.getsockname()[1]
            for listener in listeners:
                await listener.aclose()
            nursery.cancel_scope.cancel()


async def say_hello(stream: trio.SocketStream) -> None:
    while await stream.receive_some():
        await stream.send_all(PLAIN)


def to(
    port: int,
    tls: ssl.SSLContext | None = None,
    *,
    host: str = "127.0.0.1",
    seconds: float | None = SECONDS,
) -> ConnectionPool:
    async def make() -> ByteStream:
        return await connect(host, port, tls, seconds)

    return ConnectionPool(make, 1)


async def test_requests_over_a_socket() -> None:
    async with serving(say_hello) as port:
        connections = to(port)
        for _ in range(3):
            assert await ask(connections) == (200, b"hello")
        connections.close()


async def test_the_name_of_a_host() -> None:
    async with serving(say_hello) as port:
        connections = to(port, host="localhost")
        assert await ask(connections) == (200, b"hello")
        connections.close()


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6")
async def test_ipv6() -> None:
    try:
        async with serving(say_hello, host="::1") as port:
            connections = to(port, host="::1")
            assert await ask(connections) == (200, b"hello")
            connections.close()
    except OSError:
        pytest.skip("no IPv6 on this machine")


async def test_nobody_listens() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(NotConnected, match="connect"):
            await ask(to(unused.getsockname()[1]))


async def test_no_such_host() -> None:
    with pytest.raises(NotConnected):
        await ask(to(1, host="nothing.invalid"))


async def test_reset_in_midst_of_answer() -> None:
    async def serve(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        await stream.send_all(PLAIN[:-2])
        # Closing with no time to linger sends a reset.
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await stream.aclose()

    async with serving(serve) as port:
        with pytest.raises(Broken):
            await ask(to(port))


async def test_a_server_that_closes_an_idle_connection() -> None:
    closed = trio.Event()
    made = 0

    async def serve(stream: trio.SocketStream) -> None:
        nonlocal made
        made += 1
        await stream.receive_some()
        await stream.send_all(PLAIN)
        await stream.aclose()
        closed.set()

    async with serving(serve) as port:
        connections = to(port)
        for count in (1, 2, 3):
            assert await ask(connections) == (200, b"hello")
            await closed.wait()
            closed = trio.Event()
            assert made == count
        connections.close()


async def test_a_wire_that_was_closed_is_stale() -> None:
    async with serving(say_hello) as port:
        wire = await connect("127.0.0.1", port, None, SECONDS)
        assert not wire.is_stale()
        wire.close()
        assert wire.is_stale()


# --- TLS ---


def by_tls(
    settings: ssl.SSLContext, serve: Callable[[trio.SSLStream[trio.SocketStream]], Awaitable[None]]
) -> Serve:
    async def serve_securely(stream: trio.SocketStream) -> None:
        secure = trio.SSLStream(stream, settings, server_side=True, https_compatible=True)
        try:
            await secure.do_handshake()
            await serve(secure)
        except trio.BrokenResourceError:
            pass

    return serve_securely


async def say_hello_securely(stream: trio.SSLStream[trio.SocketStream]) -> None:
    while await stream.receive_some():
        await stream.send_all(PLAIN)


async def test_requests_by_tls(authority: Authority, trusting: ssl.SSLContext) -> None:
    settings = authority.server("127.0.0.1")
    async with serving(by_tls(settings, say_hello_securely)) as port:
        connections = to(port, trusting)
        for _ in range(3):
            assert await ask(connections) == (200, b"hello")
        assert len(connections._idle) == 1
        connections.close()


FORGED = b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged"


def a_record(tls: ssl.SSLObject, bio: ssl.MemoryBIO) -> bytes:
    tls.write(FORGED)
    return bio.read()


def half_a_record(tls: ssl.SSLObject, bio: ssl.MemoryBIO) -> bytes:
    return a_record(tls, bio)[:-9]


def an_end(tls: ssl.SSLObject, bio: ssl.MemoryBIO) -> bytes:
    with pytest.raises(ssl.SSLWantReadError):
        tls.unwrap()
    return bio.read()


def many_records(tls: ssl.SSLObject, bio: ssl.MemoryBIO) -> bytes:
    return b"".join(a_record(tls, bio) for _ in range(100))


@pytest.mark.parametrize("behind", [a_record, half_a_record, an_end, many_records])
@pytest.mark.parametrize("answer", [PLAIN, CHUNKED, CHUNKED.replace(b"200", b"404")])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_records_behind_an_answer_end_its_connection(
    authority, trusting, behind, answer, version
):
    """They come with it, and lie in the buffers of TLS: the socket shows nothing of them."""
    settings = authority.server("127.0.0.1")
    settings.maximum_version = version
    settings.num_tickets = 0  # which trio would hold back, and send with what it sends next
    made = 0

    async def serve(stream: trio.SSLStream[trio.SocketStream]) -> None:
        nonlocal made
        made += 1
        tls, bio = stream._ssl_object, stream._outgoing
        await stream.receive_some()
        tls.write(answer)
        await stream.transport_stream.send_all(bio.read() + behind(tls, bio))

    async with serving(by_tls(settings, serve)) as port:
        connections = to(port, trusting)
        for count in (1, 2):
            assert (await ask(connections))[1] == b"hello"
            assert made == count
        connections.close()


async def test_long_answer_and_long_request_by_tls(authority, trusting):
    settings = authority.server("127.0.0.1")
    body = bytes(range(256)) * 10_000

    async def serve(stream: trio.SSLStream[trio.SocketStream]) -> None:
        for _ in range(2):
            come = 0
            while come < len(body):
                come += len(await stream.receive_some())
            await stream.send_all(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % come + body)

    async with serving(by_tls(settings, serve)) as port:
        connections = to(port, trusting)
        for _ in range(2):
            answer = await connections.send(body, write=SECONDS, read=SECONDS)
            pieces = [piece async for piece in answer]
            await answer.aclose()
            assert b"".join(pieces) == body
        assert len(connections._idle) == 1
        connections.close()


@pytest.mark.parametrize("ending", ["", "word", "reset"])
async def test_answer_that_is_cut_short_by_tls(authority, trusting, ending):
    async def serve(stream: trio.SSLStream[trio.SocketStream]) -> None:
        await stream.receive_some()
        await stream.send_all(PLAIN[:-2])
        if ending == "word":
            with pytest.raises(ssl.SSLWantReadError):
                stream._ssl_object.unwrap()
            await stream.transport_stream.send_all(stream._outgoing.read())
        elif ending == "reset":
            await stream.transport_stream.send_all(b"no record of TLS")
        await stream.transport_stream.aclose()

    async with serving(by_tls(authority.server("127.0.0.1"), serve)) as port:
        with pytest.raises(Broken):
            await ask(to(port, trusting))


@pytest.mark.parametrize("name", ["127.0.0.1", "other.test"])
async def test_a_certificate_that_is_not_trusted(authority, trusting, name):
    """Of an authority that nobody knows, or for another name."""
    settings = authority.server(name)
    tls = trusting if name == "other.test" else ssl.create_default_context()
    async with serving(by_tls(settings, say_hello_securely)) as port:
        with pytest.raises(NotConnected) as caught:
            await ask(to(port, tls))
        assert "certificate" in f"{caught.value} {caught.value.__cause__!r} " + repr(
            caught.value.__cause__ and caught.value.__cause__.__cause__
        )


async def test_a_server_that_never_shakes_hands(trusting: ssl.SSLContext) -> None:
    async def be_silent(stream: trio.SocketStream) -> None:
        await trio.lowlevel.checkpoint()

    async with serving(be_silent) as port:
        with pytest.raises(TimedOut) as caught:
            await ask(to(port, trusting, seconds=0.05))
        assert caught.value.phase == "connect"


async def test_a_cancellation_in_the_handshake(trusting: ssl.SSLContext) -> None:
    connected = trio.Event()

    async def be_silent(stream: trio.SocketStream) -> None:
        await stream.receive_some(1)
        connected.set()

    async with serving(be_silent) as port, trio.open_nursery() as nursery:
        nursery.start_soon(ask, to(port, trusting))
        await connected.wait()
        nursery.cancel_scope.cancel()


async def test_a_server_that_speaks_no_tls(trusting: ssl.SSLContext) -> None:
    async with serving(say_hello) as port:
        with pytest.raises(NotConnected):
            await ask(to(port, trusting))
