"""Answers that are plain HTTP, as nearly all are: their heads, and bodies of a size; no I/O.

h11 looks at each header by itself, which was a quarter of what a call cost.  What is not plain or
has not come in one piece is left to it.  The rules are those of RFC 9112; a test holds them to h11.
"""

from __future__ import annotations

import re

from ._chunked import ChunkedDecoder

_NAME = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
# Each line can match in one way only, and so no server can make this try many: the blanks after a
# value are part of it here.
_VALUE = rb"(?:[!-~][\t -~]*)?"
_HEAD = re.compile(
    rb"HTTP/1\.1 ([2-5][0-9][0-9])(?: [\t -~]*)?\r\n((?:%b:[\t ]*%b\r\n)*)\r\n" % (_NAME, _VALUE)
)
_FIELD = re.compile(rb"(%b):[\t ]*(%b)\r\n" % (_NAME, _VALUE))
_SIZE = re.compile(rb"[0-9]{1,15}")
_WITHOUT_BODY = (204, 304)


class SizedDecoder:
    """Takes a body off what comes whose size is known; as `ChunkedDecoder`."""

    __slots__ = ("_left", "rest")

    error: str | None = None
    """Always None: whatever comes can be a body."""

    def __init__(self, size: int) -> None:
        self._left = size
        self.rest: bytes = b""
        """What came after the end of the body."""

    @property
    def over(self) -> bool:
        """Whether the body has ended."""
        return not self._left

    def feed(self, data: bytes) -> bytes:
        """Take what came; return what there is of the body in it."""
        body, self.rest = data[: self._left], data[self._left :]
        self._left -= len(body)
        return body


BodyDecoder = ChunkedDecoder | SizedDecoder


class PlainHead:
    """The head of a plain answer."""

    __slots__ = ("body", "headers", "rest", "status")

    def __init__(
        self, status: int, headers: list[tuple[bytes, bytes]], body: BodyDecoder, rest: bytes
    ) -> None:
        self.status = status
        self.headers = headers
        """Their names are in lower case."""
        self.body = body
        """What decodes the body."""
        self.rest = rest
        """What came after the head."""


def plain_head(data: bytes) -> PlainHead | None:
    """Return the head that ``data`` begins with, or None if it is not plain, or not all there.

    After a plain answer, which may not be one to HEAD, the connection can be used again.
    """
    match = _HEAD.match(data)
    if match is None:
        return None
    headers: list[tuple[bytes, bytes]] = []
    framing: list[bytes] = []
    body: BodyDecoder | None = None
    status = int(match[1])
    for name, value in _FIELD.findall(match[2]):
        name, value = name.lower(), value.rstrip(b"\t ")  # noqa: PLW2901
        headers.append((name, value))
        if name == b"content-length":
            framing.append(value)
            body = SizedDecoder(int(value)) if _SIZE.fullmatch(value) else None
        elif name == b"transfer-encoding":
            # Streams have status 200.  h11 takes line ends that `ChunkedDecoder` does not, so that
            # what is decoded by which must not depend on the pieces in which the head came.
            framing.append(value)
            body = ChunkedDecoder() if value == b"chunked" and status == 200 else None
        elif name == b"connection" and value.lower() != b"keep-alive":
            return None
    if body is None or len(framing) != 1 or status in _WITHOUT_BODY:
        return None
    return PlainHead(status, headers, body, data[match.end() :])
