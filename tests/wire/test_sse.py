"""Bytes to events, whatever the chunks."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, SupportsIndex

import pytest
from hypothesis import given, strategies as st

from tests.wire.strategies import checked, chunked
from triojob import ProtocolError
from triojob.gradio.http.sse import EventDecoder, OversizedEvent

LARGE = 1 << 20

ODD = "caf\u00e9 \u2028 \u2029 \u0085 \x0b \x0c \x1c \U0001f600 \ufeff"


def decode(chunks: Iterable[bytes], max_size: int = LARGE) -> list[bytes]:
    events, refused = outcome_of(chunks, max_size)
    assert not refused
    return events


def by_the_standard(stream: bytes) -> list[bytes]:
    """Parse as the WHATWG HTML standard says, 9.2.6, word by word."""
    stream = stream.removeprefix(b"\xef\xbb\xbf")
    *lines, _unfinished = re.split(rb"\r\n|\n|\r", stream)
    events: list[bytes] = []
    data = b""
    for line in lines:
        if not line:
            if data:
                events.append(data.removesuffix(b"\n"))
            data = b""
        elif not line.startswith(b":"):
            field, _, value = line.partition(b":")
            if field == b"data":
                data += value.removeprefix(b" ") + b"\n"
    return events


def outcome_of(chunks: Iterable[bytes], max_size: int) -> tuple[list[bytes], bool]:
    """Return the events, and whether one that is too large came after them."""
    decoder = EventDecoder(max_size)
    events: list[bytes] = []
    for chunk in chunks:
        for event in decoder.feed(chunk):
            if isinstance(event, OversizedEvent):
                return events, True
            events.append(event)
    return events, False


STREAMS: dict[str, tuple[bytes, list[bytes]]] = {
    "as Gradio sends": (b'data: {"a":1}\n\ndata: {"b":2}\n\n', [b'{"a":1}', b'{"b":2}']),
    "separators of text": (f"data: {ODD}\n\n".encode(), [ODD.encode()]),
    "CRLF": (b"data: a\r\n\r\ndata: b\r\n\r\n", [b"a", b"b"]),
    "lone CR": (b"data: a\r\rdata: b\r\r", [b"a", b"b"]),
    "mixed line ends": (b"data: a\r\n\rdata: b\n\r\ndata: c\r\n\n", [b"a", b"b", b"c"]),
    "BOM": (b"\xef\xbb\xbfdata: a\n\n", [b"a"]),
    "BOM after an empty line": (b"\n\xef\xbb\xbfdata: a\n\ndata: b\n\n", [b"b"]),
    "BOM alone on its line": (b"\xef\xbb\xbf\ndata: a\n\n", [b"a"]),
    "BOM after the beginning": (b"data: a\n\n\xef\xbb\xbfdata: b\n\n", [b"a"]),
    "BOM inside a value": (b"data: \xef\xbb\xbfa\n\n", [b"\xef\xbb\xbfa"]),
    "comments": (b": hello\n:\n\ndata: a\n: more\ndata: b\n\n", [b"a\nb"]),
    "several lines": (b"data: a\ndata:\ndata:  b\n\n", [b"a\n\n b"]),
    "no space": (b"data:a\n\ndata::b\n\n", [b"a", b":b"]),
    "a tab is no space": (b"data:\ta\n\n", [b"\ta"]),
    "no colon": (b"data\n\n", [b""]),
    "empty data": (b"data:\n\ndata: \n\n", [b"", b""]),
    "two empty lines of data": (b"data\ndata\n\n", [b"\n"]),
    "other fields": (b"event: x\nid: 1\nretry: 3\nunknown: 4\ndata: a\n\n", [b"a"]),
    "nothing but other fields": (b"event: x\n\ndata: a\n\n", [b"a"]),
    "fields that look alike": (b"Data: a\ndata : b\n data: c\ndatas: d\n\n", []),
    "empty lines": (b"\n\n\r\n\rdata: a\n\n\n\n", [b"a"]),
    "unfinished": (b"data: a\n\ndata: b\n", [b"a"]),
    "unfinished line": (b"data: a\n\ndata: b", [b"a"]),
    "no UTF-8": (b"data: \xff\xfe\xc3\n\n", [b"\xff\xfe\xc3"]),
    "NUL": (b"data: a\x00b\n\n", [b"a\x00b"]),
    "nothing": (b"", []),
}
streams = pytest.mark.parametrize("stream, events", STREAMS.values(), ids=STREAMS)


@streams
def test_the_reference_agrees(stream: bytes, events: list[bytes]) -> None:
    assert by_the_standard(stream) == events


@streams
def test_events_of_a_whole_stream(stream: bytes, events: list[bytes]) -> None:
    assert decode([stream]) == events


@streams
def test_a_split_at_every_offset(stream: bytes, events: list[bytes]) -> None:
    for offset in range(len(stream) + 1):
        assert decode([stream[:offset], stream[offset:]]) == events, offset
        assert decode([stream[:offset], b"", stream[offset:]]) == events, offset


@streams
def test_byte_by_byte(stream: bytes, events: list[bytes]) -> None:
    assert decode(stream[i : i + 1] for i in range(len(stream))) == events


PIECES = st.sampled_from(
    [
        *(b"data", b"data:", b"data: ", b"event: ", b":", b" ", b"x", b"\xef\xbb\xbf", b"\xff"),
        *(
            b"\n",
            b"\r",
            b"\r\n",
            b"\n\n",
            "\u2028".encode(),
            "\u0085".encode(),
            "\U0001f600".encode(),
        ),
    ]
)
any_stream = st.lists(PIECES, max_size=30).map(b"".join)


@checked
@given(any_stream)
def test_any_stream_is_read_as_standard_says(stream: bytes) -> None:
    assert decode([stream]) == by_the_standard(stream)


@checked
@given(any_stream.flatmap(chunked))
def test_any_chunks_give_the_same_events(chunks: list[bytes]) -> None:
    assert decode(chunks) == decode([b"".join(chunks)])


def test_event_comes_with_chunk_that_completes_it() -> None:
    decoder = EventDecoder(LARGE)
    assert list(decoder.feed(b"data: a\n")) == []
    assert list(decoder.feed(b"\n")) == [b"a"]
    # A lone CR ends a line at once: waiting for its LF would hold an event back.
    assert list(decoder.feed(b"data: b\r\r")) == [b"b"]
    assert list(decoder.feed(b"\ndata: c\r\n\r")) == [b"c"]


# --- The bound ---


def test_event_as_large_as_it_may_be() -> None:
    value = b"x" * 1000
    assert decode([b"data: " + value + b"\n\n"] * 3, 1024) == [value] * 3


def test_an_event_that_is_too_large() -> None:
    (event,) = EventDecoder(100).feed(b"data: " + b"x" * 5000 + b"\n\n")
    assert isinstance(event, OversizedEvent)
    assert re.search(r"more than 100 bytes .*message_size", str(event.error))
    assert len(str(event.error)) < 500


def test_events_before_too_large_one_come() -> None:
    stream = b"data: a\n\ndata: b\n\ndata: " + b"x" * 5000
    assert outcome_of([stream], 100) == ([b"a", b"b"], True)


@pytest.mark.parametrize(
    "piece",
    [b"x", b":", b"data: " + b"x" * 60 + b"\n", b"data: x\n", b"data:x\n", b"data\n", b"data:\r"],
)
def test_no_endless_event_is_taken(piece: bytes) -> None:
    decoder = EventDecoder(1000)
    with pytest.raises(ProtocolError):
        for _ in range(30_000):
            list(decoder.feed(piece))


def test_endless_event_is_bounded() -> None:
    """Line breaks are part of an event: an event of nothing else must be bounded too."""
    stream = b"data:\n" * 5000 + b"\n"
    events, refused = outcome_of([stream], 100)
    assert refused, f"an event of {len(events[0])} bytes passed a bound of 100"


@pytest.mark.parametrize("piece", [b": ping\n\n", b"event: x\n\n", b"\n", b"\r"])
def test_endless_stream_of_small_things_is_fine(piece: bytes) -> None:
    decoder = EventDecoder(100)
    for _ in range(1000):
        assert list(decoder.feed(piece)) == []


@pytest.mark.parametrize("frame", [b"data: %b\n\n", b"data:%b\r\n\r\n", b": c\ndata: %b\n\n"])
@pytest.mark.parametrize("size", [5, 14, 15, 16, 17, 20, 21, 22, 23, 40])
def test_chunks_do_not_decide_event_size(frame, size):
    stream = frame % (b"x" * size) + b"data: y\n\n"
    whole = outcome_of([stream], 20)
    for offset in range(len(stream) + 1):
        assert outcome_of([stream[:offset], stream[offset:]], 20) == whole, offset


@pytest.mark.parametrize("frame", [b"data: %b\n\n", b"data:%b\r\n\r\n", b"data: %b\ndata: z\n\n"])
def test_cut_event_is_skipped_in_chunks(frame: bytes) -> None:
    stream = b"data: x\n\n" + frame % (b"a" + b"b" * 40) + b"data: y\n\n"
    for offset in range(len(stream) + 1):
        decoder = EventDecoder(20)
        before, large, after = [
            event for part in (stream[:offset], stream[offset:]) for event in decoder.feed(part)
        ]
        assert (before, after) == (b"x", b"y"), offset
        assert isinstance(large, OversizedEvent)
        assert large.data.startswith(b"ab"), offset


@pytest.mark.parametrize("piece", [b"x" * 50, b"data: x\n", b": x\n"])
def test_cut_event_ends_some_time(piece: bytes) -> None:
    decoder = EventDecoder(1000)
    events: list[object] = []
    with pytest.raises(ProtocolError):
        for _ in range(5000):
            events += decoder.feed(piece)
            assert len(decoder._buffer) + sum(map(len, decoder._data)) <= 1000
    (event,) = events
    assert isinstance(event, OversizedEvent)


def test_byte_order_mark_counts_not() -> None:
    stream = b"\xef\xbb\xbfdata: abc\n\n"
    for offset in range(len(stream) + 1):
        assert outcome_of([stream[:offset], stream[offset:]], 10) == ([b"abc"], False), offset


# --- The cost ---


class CountingBuffer(bytearray):
    """Counts the bytes that are looked at or moved."""

    work = 0

    def find(self, sub: Any, start: Any = 0, end: Any = None) -> int:
        found = super().find(sub, start, len(self) if end is None else end)
        self.work += (len(self) if found < 0 else found) - start
        return found

    def __getitem__(self, key: Any) -> Any:
        result = super().__getitem__(key)
        self.work += len(result) if isinstance(result, bytearray) else 1
        return result

    def __delitem__(self, key: SupportsIndex | slice) -> None:
        before = len(self)
        super().__delitem__(key)
        # What stays is moved to the front, if anything went.
        self.work += len(self) if len(self) < before else 0


def work_of(chunks: Iterable[bytes]) -> int:
    decoder = EventDecoder(1 << 30)
    buffer = decoder._buffer = CountingBuffer()
    for chunk in chunks:
        list(decoder.feed(chunk))
    assert decoder._buffer is buffer
    return buffer.work


@pytest.mark.parametrize("line", [b"x" * 64, b"x" * 63 + b"\n", b"data: " + b"x" * 57 + b"\n"])
def test_many_chunks_cost_their_bytes(line: bytes) -> None:
    costs = [work_of([b"data: ", *[line] * n, b"\n\n"]) for n in (100, 1000)]
    assert costs[0] > 0
    assert costs[1] < 11 * costs[0]


def test_many_events_cost_their_bytes() -> None:
    costs = [work_of([b"data: {}\n\n" * n]) for n in (100, 1000)]
    assert costs[1] < 11 * costs[0]
