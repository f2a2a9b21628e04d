"""Answers: how they are framed, what can't be one, and where they may break off."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from triojob.gradio.http.sockets import Broken, TimedOut

from .support import CHUNKED, PLAIN, REQUEST, SECONDS, Peer, ask

REUSABLE = {
    "content_length": (PLAIN, (200, b"hello")),
    "chunked": (CHUNKED, (200, b"hello")),
    "empty": (b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", (200, b"")),
    "no_content": (b"HTTP/1.1 204 No Content\r\n\r\n", (204, b"")),
    "not_modified": (b"HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n", (304, b"")),
    "continue_first": (b"HTTP/1.1 100 Continue\r\n\r\n" + PLAIN, (200, b"hello")),
    "hints_first": (b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" + PLAIN, (200, b"hello")),
    "many_hints_first": (
        b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" * 90 + PLAIN,
        (200, b"hello"),
    ),
    "redirect": (
        b"HTTP/1.1 302 Found\r\nlocation: /b\r\ncontent-length: 0\r\n\r\n",
        (302, b""),
    ),
    "chunked_error": (CHUNKED.replace(b"200", b"404"), (404, b"hello")),
    "kept": (PLAIN.replace(b"\r\n", b"\r\nConnection: keep-alive\r\n", 1), (200, b"hello")),
    "not_only_ascii": (PLAIN.replace(b"\r\n", b"\r\nx: \xe9\r\n", 1), (200, b"hello")),
    "chunked_not_only_ascii": (
        CHUNKED.replace(b"\r\n", b"\r\nx: \xe9\r\n", 1),
        (200, b"hello"),
    ),
    "no_reason": (b"HTTP/1.1 200\r\ncontent-length: 5\r\n\r\nhello", (200, b"hello")),
}
CLOSING = {
    "close": (b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nhi", b"hi"),
    "close_chunked": (
        CHUNKED.replace(b"\r\n", b"\r\nconnection: close\r\n", 1),
        b"hello",
    ),
    "to_the_end": (b"HTTP/1.1 200 OK\r\n\r\nhi", b"hi"),
    "old": (b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nhi", b"hi"),
    "old_to_the_end": (b"HTTP/1.0 200 OK\r\n\r\nhi", b"hi"),
}
IMPOSSIBLE = {
    "garbage": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "no_status": b"HTTP/1.1 OK\r\n\r\n",
    "other_protocol": b"RTSP/1.0 200 OK\r\n\r\n",
    "bad_header": b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
    "bad_header_name": b"HTTP/1.1 200 OK\r\na b: c\r\n\r\n",
    "bad_length": b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
    "two_lengths": b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
    "bad_chunk": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\nabc\r\n0\r\n\r\n",
    "long_chunk": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nabcdef\r\n0\r\n\r\n",
    "other_coding": b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\nabc",
    "switching": b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n",
    "large_head": b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 40_000 + b"\r\n",
    "too_many_hints": b"HTTP/1.1 103 Early Hints\r\n\r\n" * 110 + PLAIN,
    "large_hints": (b"HTTP/1.1 103 Early Hints\r\nlink: %s\r\n\r\n" % (b"a" * 30_000)) * 5 + PLAIN,
    "endless_line": b"HTTP/1.1 200 OK\r\na: " + b"b" * 200_000,
}


@pytest.mark.parametrize("pieces", [None, 1, 7])
@pytest.mark.parametrize("kind", REUSABLE)
async def test_answer_after_which_connection_goes_on(peer, kind, pieces, autojump_clock):
    answer, expected = REUSABLE[kind]
    peer.answers = [answer, answer]
    peer.pieces = pieces
    connections = peer.connections()
    for _ in range(2):
        assert await ask(connections) == expected
    assert len(peer.lines) == 1
    assert peer.heard == [REQUEST] * 2


@pytest.mark.parametrize("pieces", [None, 1])
@pytest.mark.parametrize("kind", CLOSING)
async def test_an_answer_after_which_the_connection_ends(peer, kind, pieces):
    answer, body = CLOSING[kind]
    peer.answers = [answer, answer]
    peer.pieces = pieces
    peer.hangs_up = True
    connections = peer.connections()
    for _ in range(2):
        assert await ask(connections) == (200, body)
        assert peer.open == 0
    assert len(peer.lines) == 2


@pytest.mark.parametrize("pieces", [None, 1])
async def test_trailers_need_proper_line_ends(peer, pieces):
    """Fuzzing found this: h11 takes those, and the way in which a head comes must not matter."""
    peer.answers = [CHUNKED.replace(b"x-trailer: 1\r\n\r\n", b"x:\n\r\n")]
    peer.pieces = pieces
    peer.hangs_up = True
    with pytest.raises(Broken):
        await ask(peer.connections())


@pytest.mark.parametrize("kind", IMPOSSIBLE)
async def test_what_is_no_answer(peer: Peer, kind: str) -> None:
    peer.answers = [IMPOSSIBLE[kind], PLAIN]
    peer.pieces = 65536  # as sockets are read
    connections = peer.connections()
    with trio.fail_after(60), pytest.raises(Broken):
        await ask(connections)
    assert peer.open == 0
    assert await ask(connections) == (200, b"hello")


@pytest.mark.parametrize("answer", [PLAIN, CHUNKED], ids=["plain", "chunked"])
async def test_an_answer_that_breaks_off_anywhere(peer: Peer, answer: bytes) -> None:
    peer.hangs_up = True
    connections = peer.connections()
    for size in range(len(answer)):
        peer.answers = [answer[:size]]
        with pytest.raises(Broken):
            await ask(connections)
        assert peer.open == 0
    peer.answers = [answer]
    assert await ask(connections) == (200, b"hello")


async def test_what_came_before_damage_is_taken_first(peer: Peer) -> None:
    peer.answers = [
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\nxx\r\n"
    ]
    taken = b""
    answer = await peer.connections().send(REQUEST, write=None, read=None)
    with pytest.raises(Broken):
        async for piece in answer:
            taken += piece
    await answer.aclose()
    assert taken == b"abcde"


async def test_headers_are_found_in_small_letters(peer: Peer) -> None:
    head = (
        b"HTTP/1.1 200 OK\r\nContent-Type: a\r\nX-Two: 1\r\nx-two: 2\r\nX-Odd: \xff\r\n"
        b"X-Text: \xc3\xa4\r\nContent-Length: 0\r\n\r\n"
    )
    peer.answers = [head]
    answer = await peer.connections().send(REQUEST, write=None, read=None)
    assert answer.header("content-type") == "a"
    assert answer.header("x-two") == "1, 2"
    assert answer.header("x-odd") == "\xff"
    assert answer.header("x-text") == "ä"
    assert answer.header("x-none") is None
    await answer.aclose()
    await answer.aclose()  # twice does nothing


BEGUN = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n"


@pytest.mark.parametrize("pieces", [None, 1])
async def test_a_reader_that_has_enough(peer: Peer, pieces: int | None) -> None:
    peer.answers = [BEGUN]
    peer.pieces = pieces
    answer = await peer.connections().send(REQUEST, write=None, read=None)
    async for piece in answer:
        assert b"abc".startswith(piece)
        break
    await answer.aclose()
    assert peer.open == 0


async def test_server_that_is_silent_before_its_answer(peer, autojump_clock):
    with pytest.raises(TimedOut) as caught:
        await ask(peer.connections())
    assert caught.value.phase == "read"
    assert trio.current_time() == pytest.approx(SECONDS)
    assert peer.open == 0


@pytest.mark.parametrize(
    "word", [b"HTTP/1.1 102 Processing\r\n\r\n", b"x: y\r\n"], ids=["interim", "header"]
)
async def test_headers_must_come_in_time(peer, autojump_clock, word):
    """However often the server says something that is none."""
    connections = peer.connections()

    async def drip() -> None:
        while not peer.heard:
            await trio.lowlevel.checkpoint()
        stream = peer.lines[0].peer_stream
        await stream.send_all(b"HTTP/1.1 100 Continue\r\n\r\n")
        if word.startswith(b"x"):
            await stream.send_all(b"HTTP/1.1 200 OK\r\n")
        while True:
            await stream.send_all(word)
            await trio.sleep(SECONDS / 4)

    start = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(drip)
        with pytest.raises(TimedOut):
            await ask(connections)
        assert trio.current_time() == pytest.approx(start + SECONDS)
        nursery.cancel_scope.cancel()
    assert peer.open == 0


async def test_server_that_is_silent_in_its_answer(peer: Peer, autojump_clock: MockClock) -> None:
    peer.answers = [BEGUN]
    with pytest.raises(TimedOut) as caught:
        await ask(peer.connections())
    assert caught.value.phase == "read"
    assert peer.open == 0


async def test_a_server_that_takes_nothing(peer: Peer, autojump_clock: MockClock) -> None:
    peer.answers = [PLAIN]
    connections = peer.connections()
    await ask(connections)
    peer.lines[0].clogged = True
    with pytest.raises(TimedOut) as caught:
        await ask(connections)
    assert caught.value.phase == "write"
    assert peer.open == 0


async def test_no_limit_is_no_limit(peer: Peer, autojump_clock: MockClock) -> None:
    with trio.move_on_after(1e6) as scope:
        await peer.connections().send(REQUEST, write=None, read=None)
    assert scope.cancelled_caught
    assert peer.open == 0
