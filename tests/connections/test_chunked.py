"""The chunked coding: what h11 takes is taken, what it refuses is refused, however it comes."""

from __future__ import annotations

import itertools
import re

import h11
import pytest
from hypothesis import example, given, strategies as st

from triojob.gradio._chunked import ChunkedDecoder

HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
GOOD = b"5\r\nhello\r\n6;name=value \r\n world\r\n0\r\n\r\n"


def ours(pieces: list[bytes]) -> tuple[bytes, bool, bytes, bool]:
    """Return the body, whether it ended, what came after it, and whether it was refused."""
    decoder, body = ChunkedDecoder(), b""
    for piece in pieces:
        if decoder.over or decoder.error:
            break
        body += decoder.feed(piece)
    return body, decoder.over, decoder.rest, decoder.error is not None


def theirs(coded: bytes) -> tuple[bytes, bool, bytes, bool]:
    connection, body = h11.Connection(h11.CLIENT), bytearray()
    connection.send(h11.Request(method="GET", target="/", headers=[("host", "app")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(HEAD + coded)
    assert isinstance(connection.next_event(), h11.Response)
    while True:
        try:
            event = connection.next_event()
        except h11.RemoteProtocolError:
            return bytes(body), False, b"", True
        if isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.EndOfMessage):
            return bytes(body), True, connection.trailing_data[0], False
        else:
            return bytes(body), False, b"", False


def cut(data: bytes, places: list[int]) -> list[bytes]:
    ends = sorted({place % (len(data) + 1) for place in places} | {0, len(data)})
    return [data[start:end] for start, end in itertools.pairwise(ends)]


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """Make a coded body; often with a mistake somewhere."""
    coded = b""
    for data in draw(st.lists(st.binary(min_size=1, max_size=20), max_size=5)):
        size = format(len(data), draw(st.sampled_from(["x", "X", "04x"]))).encode()
        extension = draw(st.sampled_from([b"", b"", b"  ", b";a", b" ;a=b ", b"\t;\xff"]))
        coded += size + extension + b"\r\n" + data + b"\r\n"
    coded += draw(st.sampled_from([b"0\r\n\r\n", b"0\r\na: b\r\n\r\n", b"000;x\r\n\r\n", b""]))
    coded += draw(st.sampled_from([b"", b"", b"HTTP/1.1 200 OK"]))
    if coded and draw(st.booleans()):
        place = draw(st.integers(0, len(coded) - 1))
        coded = coded[:place] + draw(st.binary(max_size=3)) + coded[place + 1 :]
    return coded


@given(bodies(), st.lists(st.integers(0, 10_000), max_size=20))
@example(GOOD, list(range(len(GOOD))))
@example(b"0\r\n\r\nrest", [4])
@example(b"\r\n", [])
@example(b"-1\r\n", [])
@example(b"1\r\naX\r\n", [5])
@example(b"1\r\na\r\r\n", [5])
@example(b"1\na\n0\n\n", [])
@example(b"1" * 21 + b"\r\n", [])
def test_it_decodes_what_h11_does_and_refuses_what_h11_does(
    coded: bytes, places: list[int]
) -> None:
    expected = theirs(coded)
    if re.search(rb"^0+[^\r\n]*\r\n(?=[^\r])", coded, re.MULTILINE):
        # Trailers say nothing to us, so their syntax is not looked at.
        expected = (*expected[:1], *ours([coded])[1:])
    got = ours(cut(coded, places))
    assert got[0] == expected[0]
    assert got[1] == expected[1]
    assert got[3] == expected[3]
    if len(places) == 0:
        assert got[2] == expected[2]


@pytest.mark.parametrize("step", [1, 2, 3, 7, 100])
def test_a_body_comes_in_pieces(step: int) -> None:
    pieces = [GOOD[start : start + step] for start in range(0, len(GOOD), step)]
    assert ours(pieces) == (b"hello world", True, b"", False)


def test_what_came_of_a_chunk_is_there_before_the_rest() -> None:
    decoder = ChunkedDecoder()
    assert decoder.feed(b"a\r\n0123") == b"0123"
    assert decoder.feed(b"456") == b"456"
    assert decoder.feed(b"789\r\n") == b"789"
    assert not decoder.over


def test_what_comes_before_a_mistake_is_there() -> None:
    decoder = ChunkedDecoder()
    assert decoder.feed(b"2\r\nok\r\nnonsense\r\n") == b"ok"
    assert decoder.error is not None
    assert "nonsense" in decoder.error


@pytest.mark.parametrize(
    "endless",
    [b"1;" + b"x" * 100, b"0\r\n" + b"name: value\r\n" * 10, b"0\r\nname: " + b"x" * 100],
    ids=["extension", "trailers", "trailer"],
)
def test_neither_a_line_nor_trailers_may_go_on_for_ever(endless: bytes) -> None:
    decoder = ChunkedDecoder()
    decoder.feed(endless)
    fed = len(endless)
    while decoder.error is None:
        decoder.feed(endless[-13:])
        fed += 13
        assert fed < 20_000
    assert decoder.error is not None


@pytest.mark.parametrize("blank", [b" ", b"\t", b"x", b";"])
@pytest.mark.parametrize("end", [b"\n\r\n", b"\r\n", b"\x00\r\n", b""])
def test_long_lines_are_refused_before_they_are_read(blank: bytes, end: bytes) -> None:
    """The time for such a line once grew with its square: 14 s for one of 64 KB."""
    for start in (b"5;", b"5", b"0\r\nname: "):
        for pieces in ([start + blank * 65_000 + end], [start, *[blank * 1000] * 65, end]):
            assert ours(pieces)[3]


@pytest.mark.parametrize("middle", [b"%s", b" %s", b";%s", b"; %s;"])
def test_a_line_is_read_in_one_way_only(middle: bytes) -> None:
    """Each line has nearly the largest size, and there are many: read twice, this never ends."""
    for blanks in (b" " * 16_000, b" \t" * 8_000, b"; " * 8_000):
        line = b"5" + middle % blanks
        for _ in range(2_000):
            assert ours([line + b"\n\r\n"])[3]
