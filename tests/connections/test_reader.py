"""Responses from bytes: read alike however they arrive, and never read in two ways."""

from __future__ import annotations

import httpx
import pytest
import trio
import trio.testing
from hypothesis import example, given, strategies as st

from tests.servers.scripted import Event, ScriptedServer
from tests.support.hanging import SECONDS
from triojob.gradio.http.reader import ResponseReader
from triojob.testing.components import textbox

from .support import check_pieces, in_pieces, raw_responses, read_by_h11, read_by_us

OK = b"HTTP/1.1 200 OK\r\n"
SIZED = OK + b"content-length: 5\r\n\r\nhello"
CHUNKED = (
    OK + b"transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n6;name=value\r\n world\r\n0\r\n\r\n"
)

# --- What servers send ---


async def test_what_h11_sends_is_read_alike(memory_app: ScriptedServer) -> None:

    async def echo(event: Event) -> None:
        await event.completed(event.data)

    memory_app.app.add("echo", echo, inputs=[textbox("in")], outputs=[textbox("out")])
    ours, theirs = trio.testing.memory_stream_pair()
    memory_app.listener.accept(theirs)
    with trio.fail_after(SECONDS):
        for data in await raw_responses(ours, "echo", ["Ada"]):
            assert check_pieces(data) == read_by_h11(data)


@pytest.mark.real
async def test_what_uvicorn_sends_is_read_alike(gradio_url: str) -> None:
    url = httpx.URL(gradio_url)
    with trio.fail_after(SECONDS):
        assert url.port is not None
        stream = await trio.open_tcp_stream(url.host, url.port)
        for data in await raw_responses(stream, "greet", ["Ada"]):
            assert check_pieces(data) == read_by_h11(data)


# --- What they must not send ---

NAMES = ["content-length", "Content-Length", "transfer-encoding", "connection", "set-cookie", "x"]
VALUES = ["5", "0", "05", "chunked", "Chunked", "gzip, chunked", "close", "keep-alive", "a b", ""]
VALUES += ["5, 5", "-1", "+5", "5 ", "\t5", "upgrade", "\xe9", "a\tb", "a\x00b"]


@st.composite
def responses(draw: st.DrawFn) -> bytes:
    """Make a response; often with a mistake somewhere."""
    version = draw(st.sampled_from(["HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "http/1.1"]))
    status = draw(st.sampled_from(["200", "404", "500", "204", "304", "100", "600", "20"]))
    reason = draw(st.sampled_from([" OK", "", " ", " Not\tFound", " \xe9", " a\x01"]))
    lines = [f"{version} {status}{reason}"]
    header = st.builds(
        "{}{}{}".format,
        st.sampled_from(NAMES),
        st.sampled_from([": ", ": ", ":", " : ", ":\t "]),
        st.sampled_from(VALUES),
    )
    lines += draw(st.lists(header, max_size=4))
    body = draw(
        st.sampled_from(
            [b"hello", b"5\r\nhello\r\n0\r\n\r\n", b"", b"hel", b"hello more", b"0\r\na: b\r\n\r\n"]
        )
    )
    data = "\r\n".join([*lines, "", ""]).encode("latin-1") + body
    if draw(st.booleans()):
        place = draw(st.integers(0, len(data) - 1))
        data = data[:place] + draw(st.binary(max_size=2)) + data[place + 1 :]
    return data


@given(responses(), st.lists(st.integers(0, 200), max_size=6))
@example(SIZED, [])
@example(CHUNKED, [])
@example(SIZED + OK, [])
@example(OK + b"content-length: 5\r\ncontent-length: 5\r\n\r\nhello", [])
@example(OK + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\nhello", [])
@example(OK + b"x: a\r\n b\r\ncontent-length: 0\r\n\r\n", [])
@example(OK.replace(b"\r", b"") + b"content-length: 0\n\n", [])
def test_reused_connection_reads_as_h11(data: bytes, places: list[int]) -> None:
    read = read_by_us([data])
    split = read_by_us(in_pieces(data, places))
    assert (split.status, split.body, split.complete) == (read.status, read.body, read.complete)
    expected = read_by_h11(data)
    if read.reusable and not expected.refused:
        assert read == expected


REFUSED = {
    "another protocol": SIZED.replace(b"HTTP/1.1", b"RTSP/1.0"),
    "a later version": SIZED.replace(b"HTTP/1.1", b"HTTP/2.0"),
    "two codings": CHUNKED.replace(b"chunked\r", b"gzip, chunked\r"),
    "a coding twice": CHUNKED.replace(OK, OK + b"transfer-encoding: chunked\r\n"),
    "chunks in HTTP/1.0": CHUNKED.replace(b"1.1", b"1.0", 1),
    "length and chunks": CHUNKED.replace(OK, OK + b"content-length: 5\r\n"),
    "two lengths": SIZED.replace(OK, OK + b"content-length: 5\r\n"),
    "a signed length": SIZED.replace(b": 5", b": +5"),
    "a folded header": SIZED.replace(OK, OK + b"x: a\r\n b\r\n"),
    "a space before a colon": SIZED.replace(OK, OK + b"x : a\r\n"),
    "a NUL": SIZED.replace(OK, OK + b"x: a\x00b\r\n"),
    "a bare line feed": SIZED.replace(b"length: 5\r\n", b"length: 5\n"),
    "a bare line feed after a size": CHUNKED.replace(b"5\r\n", b"5\n"),
    "a blank after a size": CHUNKED.replace(b"5\r\n", b"5 \r\n"),
    "a chunk that is longer": CHUNKED.replace(b"5\r\nhello", b"4\r\nhello"),
    "a huge length": SIZED.replace(b": 5", b": 99999999999999999999"),
    "a huge chunk": CHUNKED.replace(b"5\r\nhello", b"fffffffffffffffff\r\nhello"),
    "a switch of protocols": b"HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
}


@pytest.mark.parametrize("kind", REFUSED)
def test_ambiguous_framing_is_refused(kind: str) -> None:
    assert check_pieces(REFUSED[kind]).refused


@pytest.mark.parametrize("response", [SIZED, CHUNKED], ids=["sized", "chunked"])
@pytest.mark.parametrize("unasked", [SIZED, b"H", b"\x00", b"\r\n\r\nHTTP/1.1"])
def test_unasked_bytes_end_the_connection(response: bytes, unasked: bytes) -> None:
    body = read_by_us([response]).body
    read = read_by_us([response + unasked])
    assert (read.body, read.complete, read.reusable, read.refused) == (body, True, False, False)


# --- Bounds ---


@pytest.mark.parametrize("size", [1, 1000, 65536])
@pytest.mark.parametrize(
    "start, endless",
    [
        (OK, b"name: value\r\n"),
        (OK + b"name: ", b"v"),
        (b"HTTP/1.1 200 ", b"OK"),
        (b"", b"HTTP/1.1 102 Processing\r\n\r\n"),
        (b"", b"HTTP/1.1 103 Early Hints\r\nlink: </style.css>\r\n\r\n"),
        (CHUNKED[:-5] + b"1;", b"extension"),
        (CHUNKED[:-5] + b"0\r\n", b"name: value\r\n"),
        (CHUNKED[:-5] + b"0\r\nname: ", b"v"),
    ],
)
def test_nothing_but_body_goes_on_for_ever(start: bytes, endless: bytes, size: int) -> None:
    reader, fed = ResponseReader(), 0
    if start:
        reader.feed(start)
    piece = (endless * (1 + size // len(endless)))[: max(size, len(endless))]
    piece = piece[: len(piece) // len(endless) * len(endless)]
    while reader.error is None:
        pieces = [piece] if size > 1 else [piece[i : i + 1] for i in range(len(piece))]
        for each in pieces:
            reader.feed(each)
        fed += len(piece)
        assert fed <= 100 * 1024 + 65536
    reader.close()


def test_many_small_chunks_are_no_long_line() -> None:
    reader = ResponseReader()
    reader.feed(OK + b"transfer-encoding: chunked\r\n\r\n")
    reader.feed(b"1\r\na\r\n" * 10_000)
    for _ in range(20_000):
        reader.feed(b"1\r\na\r\n")
    assert reader.error is None
    assert reader.take_body() == b"a" * 30_000
    reader.close()


@pytest.mark.parametrize(
    "head, ends",
    [
        (SIZED[:-1], False),
        (CHUNKED[:-1], False),
        (OK, False),
        (OK + b"\r\nhello", True),
        (OK + b"connection: close\r\n\r\nhello", True),
    ],
)
def test_only_unbounded_body_may_end_with_connection(head: bytes, ends: bool) -> None:
    reader = ResponseReader()
    reader.feed(head)
    reader.feed_eof()
    assert reader.complete is ends
    assert (reader.error is None) is ends
    assert not (reader.complete and reader.is_reusable)
    reader.close()
