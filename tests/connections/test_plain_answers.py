"""Answers that are plain: what is taken for one is what h11 takes it for, and the rest is h11's."""

from __future__ import annotations

from typing import Any

import h11
import pytest
from hypothesis import example, given, strategies as st

from triojob.gradio._chunked import ChunkedDecoder
from triojob.gradio._plain_answers import SizedDecoder, plain_head

OK = b"HTTP/1.1 200 OK\r\n"
SIZED = OK + b"content-length: 5\r\n\r\nhello"
CHUNKED = OK + b"transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"

Read = tuple[int, list[tuple[bytes, bytes]], bytes, bool, bytes]
"""Status, headers, body, whether that has ended, and what came after it."""


def ours(data: bytes) -> Read | None:
    head = plain_head(data)
    if head is None:
        return None
    body = head.body.feed(head.rest)
    if head.body.error is not None:  # test_chunked.py has those
        return None
    return head.status, head.headers, body, head.body.over, head.body.rest


def theirs(data: bytes) -> Read | None:
    """Return what h11 reads; None if it refuses that, or the connection can't be used again."""
    http, body = h11.Connection(h11.CLIENT), b""
    http.send(h11.Request(method="GET", target="/", headers=[("host", "app")]))
    http.send(h11.EndOfMessage())
    try:
        http.receive_data(data)
        head = http.next_event()
        if not isinstance(head, h11.Response):
            return None
        while isinstance(event := http.next_event(), h11.Data):
            body += event.data
    except h11.RemoteProtocolError:
        return None
    over = isinstance(event, h11.EndOfMessage)
    if over and http.their_state is not h11.DONE:
        return None
    headers = [(name.lower(), value) for name, value in head.headers.raw_items()]
    return head.status_code, headers, body, over, http.trailing_data[0] if over else b""


NAMES = ["content-length", "Content-Length", "transfer-encoding", "connection", "set-cookie", "x"]
VALUES = ["5", "0", "05", "chunked", "Chunked", "gzip, chunked", "close", "keep-alive", "a b", ""]
VALUES += ["5, 5", "-1", "+5", "5 ", "\t5", "upgrade", "\xe9", "a\tb", "a\x00b"]


@st.composite
def answers(draw: st.DrawFn) -> bytes:
    """Make an answer; often with a mistake somewhere."""
    version = draw(st.sampled_from(["HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "http/1.1"]))
    status = draw(st.sampled_from(["200", "404", "500", "204", "304", "100", "600", "20"]))
    reason = draw(st.sampled_from([" OK", "", " ", " Not\tFound", " \xe9", " a\x01"]))
    lines = [f"{version} {status}{reason}"]
    lines += draw(
        st.lists(
            st.builds(
                "{}{}{}".format,
                st.sampled_from(NAMES),
                st.sampled_from([": ", ": ", ":", " : ", ":\t "]),
                st.sampled_from(VALUES),
            ),
            max_size=4,
        )
    )
    head = "\r\n".join([*lines, "", ""]).encode("latin-1")
    body = draw(st.sampled_from([b"hello", b"5\r\nhello\r\n0\r\n\r\n", b"", b"hel", b"hello more"]))
    data = head + body
    if draw(st.booleans()):
        place = draw(st.integers(0, len(data) - 1))
        data = data[:place] + draw(st.binary(max_size=2)) + data[place + 1 :]
    return data


@given(answers())
@example(SIZED)
@example(CHUNKED)
@example(SIZED + b"HTTP/1.1 200 OK\r\n")
@example(OK + b"content-length: 5\r\ncontent-length: 5\r\n\r\nhello")
@example(OK + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\nhello")
@example(OK + b"x: a\r\n b\r\ncontent-length: 0\r\n\r\n")
@example(OK.replace(b"\r", b"") + b"content-length: 0\n\n")
def test_what_is_taken_for_plain_is_what_h11_reads(data: bytes) -> None:
    read = ours(data)
    if read is not None:
        assert read == theirs(data)


@pytest.mark.parametrize(
    "line",
    [
        b"content-type: application/json",
        b"x:",
        b"x:  a  b  ",
        b"connection: keep-alive",
        b"Connection: Keep-Alive",
        b"set-cookie: a=b; Path=/; HttpOnly",
    ],
)
@pytest.mark.parametrize("whole", [SIZED, CHUNKED], ids=["sized", "chunked"])
def test_the_answers_of_servers_are_plain(whole: bytes, line: bytes) -> None:
    data = whole.replace(OK, OK + line + b"\r\n")
    assert ours(data) == theirs(data)
    assert ours(data) is not None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        SIZED[:-6],
        OK + b"\r\n",
        SIZED.replace(b"1.1", b"1.0"),
        SIZED.replace(b"200", b"204"),
        SIZED.replace(b"200", b"304"),
        SIZED.replace(b"200", b"103"),
        SIZED.replace(OK, OK + b"connection: close\r\n"),
        SIZED.replace(OK, OK + b"content-length: 5\r\n"),
        SIZED.replace(OK, OK + b"transfer-encoding: chunked\r\n"),
        CHUNKED.replace(b"chunked\r", b"gzip, chunked\r"),
        SIZED.replace(b": 5", b": -5"),
        SIZED.replace(OK, OK + b"x: \xe9\r\n"),
        b" " + SIZED,
        CHUNKED.replace(b"200", b"404"),
    ],
)
def test_what_is_not_plain_or_not_whole_is_left_to_h11(data: bytes) -> None:
    assert plain_head(data) is None


@given(st.binary(), st.lists(st.binary(max_size=5)), st.integers(0, 20))
def test_a_body_of_a_size_ends_there_however_it_comes(
    first: bytes, pieces: list[bytes], size: int
) -> None:
    decoder: Any = SizedDecoder(size)
    come, body = b"", b""
    for piece in [first, *pieces]:
        if decoder.over:
            break
        body += decoder.feed(piece)
        come += piece
    assert body == come[:size]
    assert decoder.rest == come[size:]
    assert decoder.over is (len(come) >= size)


def test_a_long_head_that_is_not_plain_is_told_apart_at_a_linear_cost() -> None:
    """This would take hours else."""
    for line in (
        b"x: " + b" " * 60_000 + b"\xe9",
        b"x: a" + b" b" * 30_000 + b"\x00",
        b"x" * 60_000,
    ):
        assert plain_head(OK + line + b"\r\ncontent-length: 0\r\n\r\n") is None


def test_chunks_are_decoded_as_those_of_a_stream_are() -> None:
    head = plain_head(CHUNKED)
    assert head is not None
    assert isinstance(head.body, ChunkedDecoder)


@pytest.mark.parametrize(
    "line", [b"x: \r\n", b"x:\r\n", b"x:" + b" " * 40 + b"\r\n", b"x: a  \r\n"]
)
@pytest.mark.parametrize("end", [b"", b"\r", b"x: \xe9\r\n\r\n"])
def test_many_headers_of_a_head_that_is_not_plain_cost_what_they_are_long(
    line: bytes, end: bytes
) -> None:
    """A line that can be read in two ways would double the time: this would never end."""
    assert plain_head(OK + line * 1_000 + end) is None
    assert plain_head(OK + line * 1_000 + b"content-length: 0\r\n\r\n") is not None
