"""The chunked transfer coding, in which event streams come; no I/O.

h11 makes an event of each chunk, and a stream has a chunk for each message: that was a quarter of
what a message cost.  The rules are those of RFC 9112, 7.1; a test holds this to h11.
"""

from __future__ import annotations

import re

# An extension takes all that is left, blanks too: a line can be read in one way only.
_HEAD = re.compile(rb"([0-9A-Fa-f]{1,20})(?:;[^\n]*|[ \t]*)")
_PLAIN_HEAD = re.compile(rb"([0-9A-Fa-f]{1,20})\r\n")
_LARGEST_LINE = 16 * 1024
"""Bytes that the line above a chunk may have, and all trailers together."""


class ChunkedDecoder:
    """Decodes one body, whatever the pieces that it comes in."""

    __slots__ = ("_buffer", "_in_trailers", "_left", "_trailers", "error", "over")

    def __init__(self) -> None:
        self._buffer = b""
        """What has come and is still to be decoded, or stands after the end."""
        self._left: int | None = None
        """Bytes of the chunk that are still to come; None between chunks."""
        self._in_trailers = False
        self._trailers = 0
        """Bytes of trailers so far."""
        self.over: bool = False
        """Whether the body has ended."""
        self.error: str | None = None
        """Why what came can't be decoded, but for what came before that."""

    @property
    def rest(self) -> bytes:
        """What came after the end of the body."""
        return self._buffer if self.over else b""

    def feed(self, data: bytes) -> bytes:
        """Take what came; return what there is of the body in it."""
        if self._buffer:
            data = self._buffer + data
        body: list[bytes] = []
        place = 0
        while not self.over and self.error is None:
            if self._left:
                piece = data[place : place + self._left]
                if not piece:
                    break
                body.append(piece)
                place += len(piece)
                self._left -= len(piece)
                continue
            if self._left is None and not self._in_trailers:
                place = _take_whole(data, place, body)
            # A line: the end of a chunk, the beginning of one, or a trailer.
            end = data.find(b"\r\n", place, place + _LARGEST_LINE)
            if end < 0:
                self._check_line(data, place)
                break
            self._take_line(data, place, end)
            place = end + 2
        self._buffer = data[place:]
        return b"".join(body)

    def _check_line(self, data: bytes, place: int) -> None:
        """Refuse a line that has no end yet and can't come to a good one."""
        if len(data) - place >= _LARGEST_LINE or (
            self._left == 0 and data[place:] not in (b"", b"\r")
        ):
            self.error = f"no line end where one should be: {data[place : place + 20]!r}"

    def _take_line(self, data: bytes, place: int, end: int) -> None:
        if self._in_trailers:
            self._trailers += end + 2 - place
            if self._trailers > _LARGEST_LINE:
                self.error = f"more than {_LARGEST_LINE} bytes of trailers"
            self.over = end == place
        elif self._left is not None:
            if end != place:
                self.error = f"a chunk has more than it says: {data[place : place + 20]!r}"
            self._left = None
        else:
            head = _HEAD.fullmatch(data, place, end)
            if head is None:
                self.error = f"not the beginning of a chunk: {data[place : place + 20]!r}"
                return
            size = int(head[1], 16)
            self._in_trailers = size == 0
            self._left = size or None


def _take_whole(data: bytes, place: int, body: list[bytes]) -> int:
    """Take the chunks that are there to their ends, as most are; return the place after them."""
    while head := _PLAIN_HEAD.match(data, place):
        begin = head.end()
        end = begin + int(head[1], 16)
        if begin == end or data[end : end + 2] != b"\r\n":
            break
        body.append(data[begin:end])
        place = end + 2
    return place
