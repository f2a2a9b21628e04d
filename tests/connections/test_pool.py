"""Idle connections, and what becomes of connections whose request is cancelled or breaks."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from triojob.gradio._wires import Broken

from .support import CHUNKED, KEEPALIVE, PLAIN, REQUEST, Peer, ask


async def test_one_request_after_the_other_uses_one_connection(peer: Peer) -> None:
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
    await trio.sleep(KEEPALIVE * 0.9)
    await ask(connections)
    assert len(peer.lines) == 1
    await trio.sleep(KEEPALIVE)
    await ask(connections)
    assert len(peer.lines) == 2
    assert peer.open == 1


async def test_a_connection_that_the_server_has_closed_is_not_used(peer: Peer) -> None:
    peer.answers = [PLAIN, PLAIN]
    peer.hangs_up = True
    connections = peer.connections()
    await ask(connections)
    while not peer.lines[0].hung_up:
        await trio.lowlevel.checkpoint()
    await ask(connections)
    assert len(peer.heard) == len(peer.lines) == 2
    assert peer.lines[0].closed


async def test_a_request_is_sent_once_even_if_the_server_has_just_hung_up(peer: Peer) -> None:
    """It may have been received: who knows."""
    peer.answers = [PLAIN, None]
    connections = peer.connections()
    await ask(connections)
    with pytest.raises(Broken, match="without an answer"):
        await ask(connections)
    assert len(peer.heard) == 2
    assert peer.open == 0


async def test_an_answer_that_comes_before_the_server_hangs_up_counts(peer: Peer) -> None:
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


async def test_what_comes_after_an_answer_is_no_answer_to_the_next_request(peer: Peer) -> None:
    forged = b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged"
    peer.answers = [PLAIN + forged, PLAIN]
    connections = peer.connections()
    for _ in range(2):
        assert await ask(connections) == (200, b"hello")
    assert len(peer.lines) == 2
    assert peer.open == 1


async def test_an_answer_that_is_not_read_ends_its_connection(peer: Peer) -> None:
    peer.answers = [CHUNKED]
    answer = await peer.connections().send("GET", REQUEST, write=None, read=None)
    assert peer.open == 1
    await answer.aclose()
    assert peer.open == 0


async def test_a_connection_that_is_never_to_be_used_again(peer: Peer) -> None:
    peer.answers = [PLAIN]
    answer = await peer.connections().send("GET", REQUEST, write=None, read=None)
    await answer.read(lambda _piece, _reading: None)
    answer.never_again()
    await answer.aclose()
    assert peer.open == 0


async def test_closing_closes_the_idle_ones_and_the_others_when_they_are_done(peer: Peer) -> None:
    peer.answers = [PLAIN] * 3
    connections = peer.connections()
    answer = await connections.send("GET", REQUEST, write=None, read=None)
    await ask(connections)
    assert peer.open == 2
    connections.close()
    assert peer.open == 1
    await answer.read(lambda _piece, _reading: None)
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
