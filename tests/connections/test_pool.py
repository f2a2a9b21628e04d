"""Idle connections, and what becomes of connections whose request is cancelled or breaks."""

from __future__ import annotations

import pytest
import trio
from hypothesis import example, given, settings, strategies as st
from trio.testing import MockClock

from triojob.gradio.http.pool import ConnectionPool
from triojob.gradio.http.sockets import Broken, ByteStream, NotConnected

from .support import CHUNKED, KEPT, PLAIN, REQUEST, Distant, Peer, ask, read


async def test_one_request_after_other_uses_one_connection(peer: Peer) -> None:
    peer.answers = [PLAIN, CHUNKED] * 5
    connections = peer.connections()
    for _ in range(10):
        await ask(connections)
    assert len(peer.lines) == 1


async def test_requests_at_once_use_one_each(peer: Peer) -> None:
    peer.answers = [PLAIN] * 8
    connections = peer.connections()
    for _ in range(2):
        async with trio.open_nursery() as nursery:
            for _ in range(4):
                nursery.start_soon(ask, connections)
    assert len(peer.lines) == 4
    assert peer.open == 4


async def test_an_idle_connection_expires(peer: Peer, autojump_clock: MockClock) -> None:
    peer.answers = [PLAIN] * 4
    connections = peer.connections()
    await ask(connections)
    await trio.sleep(KEPT * 0.45)
    await ask(connections)
    assert len(peer.lines) == 1
    await trio.sleep(KEPT / 2)
    await ask(connections)
    assert len(peer.lines) == 2
    assert peer.open == 1


async def test_what_expires_is_closed_by_next_answer(peer, autojump_clock):
    """Those of many requests at once are not left for a client that has few from then on."""
    peer.answers = [PLAIN] * 10
    connections = peer.connections()
    async with trio.open_nursery() as nursery:
        for _ in range(8):
            nursery.start_soon(ask, connections)
    answer = await connections.send(REQUEST, write=None, read=None)
    await trio.sleep(KEPT)
    assert peer.open == 8
    await read(answer)
    await answer.aclose()
    assert peer.open == 1


# --- Servers that close idle connections ---


@given(
    keeps=st.sampled_from([1.0, 2.0, 5.0, 75.0]),
    way=st.sampled_from([0.0, 0.001, 0.03, 0.1, 0.3, 0.6]),
    works=st.sampled_from([0.0, 0.01, 0.5, 3.0]),
    pauses=st.lists(st.floats(0, 1.5), min_size=1, max_size=20),
)
@example(keeps=1.0, way=0.03, works=0.0, pauses=[0.91, 0.94, 0.97, 1.0] * 5)
@settings(deadline=None)
def test_no_request_meets_a_closing_connection(keeps, way, works, pauses):
    async def main() -> None:
        server = Distant(keeps, way, works)
        connections = server.connections()
        for count, pause in enumerate(pauses, 1):
            assert await ask(connections) == (200, b"hello")
            assert server.heard == count
            await trio.sleep(pause)

    trio.run(main, clock=MockClock(autojump_threshold=0))


async def test_short_pauses_are_made_on_one_connection(autojump_clock: MockClock) -> None:
    server = Distant(keeps=1, way=0.03)
    connections = server.connections()
    for _ in range(10):
        await ask(connections)
        await trio.sleep(0.4)
    assert server.made == 1


@pytest.mark.parametrize("keeps", [0.0, 0.01, 0.07, 0.2, 0.4])
@pytest.mark.parametrize("pause", [0.0, 0.009, 0.065, 0.17, 0.37])
async def test_server_keeping_connections_briefly_is_noticed(autojump_clock, keeps, pause):
    """Nothing says how early such a server closes; but what is lost is lost once."""
    server = Distant(keeps, way=0.03)
    connections = server.connections()
    lost = 0
    for _ in range(10):
        try:
            await ask(connections)
        except Broken:
            lost += 1
        await trio.sleep(pause)
    assert lost <= 1
    assert server.heard == 10 - lost


async def test_what_was_learned_is_forgotten_with_server(autojump_clock: MockClock) -> None:
    server = Distant(keeps=0.1, way=0)
    connections = server.connections()
    for made in (1, 2, 3):
        await ask(connections)
        assert server.made == made
        await trio.sleep(0.11)
    server.keeps = 5
    await ask(connections)
    await trio.sleep(0.4)
    await ask(connections)
    assert server.made == 5
    connections.forget()
    for _ in range(3):
        await trio.sleep(0.4)
        await ask(connections)
    assert server.made == 5


@pytest.mark.parametrize(
    "header, seconds",
    [
        ("Keep-Alive: timeout=0", 0),
        ("keep-alive: max=5, timeout=0.9", 0),
        ("Keep-Alive: Timeout = 60, max=2", KEPT / 2),
        ("Keep-Alive: max=2", KEPT / 2),
        ("Keep-Alive: timeout=", KEPT / 2),
        ("Connection: close", 0),
        ("Connection: keep-alive\r\nKeep-Alive: timeout=1", KEPT / 2),
    ],
)
async def test_what_server_says_of_idle_connections_holds(peer, autojump_clock, header, seconds):
    peer.answers = [PLAIN.replace(b"\r\n", b"\r\n%s\r\n" % header.encode(), 1)] * 3
    connections = peer.connections()
    await ask(connections)
    await trio.sleep(seconds * 0.9)
    await ask(connections)
    assert len(peer.lines) == (1 if seconds else 2)
    await trio.sleep(seconds)
    await ask(connections)
    assert len(peer.lines) == (2 if seconds else 3)


async def test_closed_connection_is_not_used(peer: Peer) -> None:
    peer.answers = [PLAIN, PLAIN]
    peer.hangs_up = True
    connections = peer.connections()
    await ask(connections)
    while not peer.lines[0].hung_up:
        await trio.lowlevel.checkpoint()
    await ask(connections)
    assert len(peer.heard) == len(peer.lines) == 2
    assert peer.lines[0].closed


async def test_request_after_hangup_is_sent_once(peer: Peer) -> None:
    """It may have been received: who knows."""
    peer.answers = [PLAIN, None]
    connections = peer.connections()
    await ask(connections)
    with pytest.raises(Broken, match="without a response"):
        await ask(connections)
    assert len(peer.heard) == 2
    assert peer.open == 0


async def test_answer_before_hangup_counts(peer: Peer) -> None:
    """Also where the request could not be sent any more: it says why."""
    peer.answers = [PLAIN]
    peer.is_quick = True
    connections = peer.connections()
    await ask(connections)
    line = peer.lines[0]
    refused = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
    await line.peer_stream.send_all(refused)
    await line.peer_stream.aclose()
    assert await ask(connections) == (408, b"")


async def test_extra_bytes_answer_no_request(peer: Peer) -> None:
    forged = b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged"
    peer.answers = [PLAIN + forged, PLAIN]
    connections = peer.connections()
    for _ in range(2):
        assert await ask(connections) == (200, b"hello")
    assert len(peer.lines) == 2
    assert peer.open == 1


async def test_unread_answer_ends_its_connection(peer: Peer) -> None:
    peer.answers = [CHUNKED]
    answer = await peer.connections().send(REQUEST, write=None, read=None)
    assert peer.open == 1
    await answer.aclose()
    assert peer.open == 0


async def test_discarded_connection_is_not_used_again(peer: Peer) -> None:
    peer.answers = [PLAIN]
    answer = await peer.connections().send(REQUEST, write=None, read=None)
    await read(answer)
    answer.discard()
    await answer.aclose()
    assert peer.open == 0


async def test_closing_closes_idle_and_later_busy_ones(peer: Peer) -> None:
    peer.answers = [PLAIN] * 3
    connections = peer.connections()
    answer = await connections.send(REQUEST, write=None, read=None)
    await ask(connections)
    assert peer.open == 2
    connections.close()
    assert peer.open == 1
    await read(answer)
    await answer.aclose()
    assert peer.open == 0


@pytest.mark.parametrize("pieces", [None, 10])
async def test_a_cancellation_anywhere_leaves_no_connection(peer: Peer, pieces: int | None) -> None:
    """Cancel at the first step, then at the second, and so on, until the request comes through."""
    peer.pieces = pieces
    connections = peer.connections()
    steps = 0
    while True:
        peer.answers = [PLAIN]
        left = steps
        with trio.CancelScope() as scope:

            async def step(scope: trio.CancelScope = scope) -> None:
                nonlocal left
                left -= 1
                if left == 0:
                    scope.cancel()
                await trio.lowlevel.checkpoint()

            peer.step = step
            assert await ask(connections) == (200, b"hello")
        peer.step = trio.lowlevel.checkpoint
        if not scope.cancelled_caught and left > 0:
            break
        # One that is idle may have come through just before the cancellation.
        assert peer.open == len(connections._idle)
        connections.close()
        connections = peer.connections()
        assert peer.open == 0
        steps += 1
    assert steps > 4
    peer.answers = [PLAIN]
    assert await ask(connections) == (200, b"hello")


async def test_server_leaving_before_request_is_unconnected(peer: Peer) -> None:
    peer.answers = [PLAIN]
    gone = False

    async def connect() -> ByteStream:
        if gone:
            raise NotConnected("gone")
        return await peer.connect()

    async def ready(_number: int) -> bytes:
        nonlocal gone
        await trio.lowlevel.checkpoint()
        peer.lines[0].hung_up = gone = True
        return REQUEST

    connections = ConnectionPool(connect, KEPT)
    await ask(connections)
    with pytest.raises(NotConnected, match="gone"):
        await connections.send(ready, write=None, read=None)
    assert peer.open == 0
