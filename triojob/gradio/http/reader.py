"""Parses HTTP/1.1 responses with httptools; no I/O.

httptools is llhttp, the parser of Node and uvicorn.  It rejects ambiguous input: conflicting or
repeated lengths, a length beside chunks, bare line feeds, folded headers, spaces before colons.
This module adds the rules that llhttp leaves to its users: how large the parts of a response can
be, which transfer codings are supported, and whether the connection can be reused.
"""

from __future__ import annotations

import httptools

_MAX_HEAD = 100 * 1024
"""Bytes of status line, headers and interim responses before the body; httpcore's limit."""
_MAX_INTERIM = 100
"""Interim responses (status 1xx) before a response."""
_MAX_FRAMING = 16 * 1024
"""Bytes that are not body between two pieces of a chunked body, and bytes of trailers."""
_CHUNK_FRAMING = 32
"""Bytes around each chunk that are not counted: its size in hexadecimal, and line ends."""
_START = b"HTTP/1."
_BODYLESS = (204, 304)


class ResponseReader:
    """Parses the responses on one connection, one at a time.

    Feed it until `complete` or `error` is set.  A new reader is ready for the first response; call
    `begin` for each further one.
    """

    __slots__ = ("_begun", "_ends_with_connection", "_fed", "_framing", "_head_size", "_parser",
                 "body", "complete", "error", "fields", "headers", "interim", "is_reusable",
                 "status")  # fmt: skip

    def __init__(self) -> None:
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)
        self.begin()

    def begin(self) -> None:
        """Get ready for the next response."""
        self.status: int = 0
        """0 until the headers of the response are complete."""
        self.headers: list[tuple[bytes, bytes]] = []
        """Names are in lower case."""
        self.fields: dict[bytes, bytes] = {}
        """The headers by name; the values of repeated headers are joined with commas."""
        self.body: list[bytes] = []
        """Pieces of the body that were read and not yet taken."""
        self.complete: bool = False
        """Whether the response has ended."""
        self.is_reusable: bool = False
        """Whether the connection is ready for the next request once the response is complete."""
        self.interim: int = 0
        """How many interim responses (status 1xx) have preceded the response."""
        self.error: str | None = None
        """Why the rest of the response is invalid."""
        self._begun = b""
        """The first bytes, until they suffice to identify the protocol."""
        self._ends_with_connection = False
        self._fed = 0
        self._head_size = 0
        self._framing = 0

    def close(self) -> None:
        """Break the reference cycle with the parser, which holds on to the callbacks below."""
        self._parser = None

    def feed(self, data: bytes) -> None:
        """Read ``data``, which is not empty."""
        assert self._parser is not None
        in_head = not self.status
        if in_head:
            if len(self._begun) < len(_START):
                self._check_start(data)
                if self.error is not None:
                    return
            self._fed += len(data)
        pieces = len(self.body)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._fail("the server switched protocols, which was not requested")
        except httptools.HttpParserError as exc:
            self._fail(str(exc))
        if in_head:
            if not self.status and self._fed > _MAX_HEAD:
                self._fail(f"the headers of the response have more than {_MAX_HEAD} bytes")
        elif not self.complete:
            self._check_framing(len(data), self.body[pieces:])

    def feed_eof(self) -> None:
        """Read the end of the connection."""
        if not self.status:
            self._fail("the server closed the connection without a response")
        elif self._ends_with_connection:
            self.complete = True
        else:
            self._fail("the server closed the connection in the middle of its response")

    def take_body(self) -> bytes:
        """Return the part of the body that was read and not yet taken."""
        body = self.body
        piece = body[0] if len(body) == 1 else b"".join(body)
        body.clear()
        return piece

    def _fail(self, error: str) -> None:
        if self.complete:
            self.is_reusable = False  # bytes behind the response are invalid; it is not
        elif self.error is None:
            self.error = error

    def _check_start(self, data: bytes) -> None:
        # llhttp also parses RTSP and other protocols.  Empty lines before a response are harmless.
        self._begun = (self._begun + data[:_MAX_FRAMING]).lstrip(b"\r\n")[: len(_START)]
        if not _START.startswith(self._begun):
            self._fail(f"the server does not speak HTTP/1.1; its response begins {self._begun!r}")

    def _check_framing(self, fed: int, pieces: list[bytes]) -> None:
        framing = fed - sum(map(len, pieces))
        self._framing = framing if pieces else self._framing + framing
        if self._framing > _MAX_FRAMING + _CHUNK_FRAMING * len(pieces):
            self._fail(f"more than {_MAX_FRAMING} bytes between two chunks of the body")

    # Callbacks of the parser.

    def on_message_begin(self) -> None:
        if self.complete:
            self.is_reusable = False  # stray bytes, which must not be taken for the next response
        else:
            self.headers.clear()  # of an interim response

    def on_status(self, reason: bytes) -> None:
        self._head_size += len(reason)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.complete:
            return
        if not self.status:
            self.headers.append((name.lower(), value.rstrip(b" \t")))
            return
        self._head_size += _size_of(name, value)
        if self._head_size > _MAX_FRAMING:
            self._fail(f"more than {_MAX_FRAMING} bytes of trailers")

    def on_headers_complete(self) -> None:
        if self.complete:
            return
        assert self._parser is not None
        status = self._parser.get_status_code()
        if status < 200 or self._fed > _MAX_HEAD:  # otherwise the headers are small enough
            self._head_size += sum(_size_of(name, value) for name, value in self.headers)
        if self._head_size > _MAX_HEAD:
            self._fail(f"the headers of the response have more than {_MAX_HEAD} bytes")
        if status < 200:
            self.interim += 1
            if self.interim > _MAX_INTERIM:
                self._fail(f"more than {_MAX_INTERIM} interim responses before the response")
        else:
            self._read_framing(status)
        if status >= 200 and self.error is None:
            self._head_size = 0
            self.status = status

    def _read_framing(self, status: int) -> None:
        """Determine how the body ends."""
        assert self._parser is not None
        headers = self.headers
        self.fields = fields = dict(headers)
        if len(fields) < len(headers):
            for name in fields:
                fields[name] = b", ".join(value for known, value in headers if known == name)
        coding = fields.get(b"transfer-encoding")
        if coding is not None:
            if coding.lower() != b"chunked":
                self._fail(f"the body has an unsupported transfer coding: {coding!r}")
            elif self._parser.get_http_version() == "1.0":
                self._fail("the body is chunked, which HTTP/1.0 does not support")
        is_framed = coding is not None or b"content-length" in fields or status in _BODYLESS
        self._ends_with_connection = not is_framed
        # The parser can tell this only now.
        self.is_reusable = is_framed and self._parser.should_keep_alive()

    def on_body(self, piece: bytes) -> None:
        if self.status and not self.complete:
            self.body.append(piece)

    def on_message_complete(self) -> None:
        if self.status:
            self.complete = True


def _size_of(name: bytes, value: bytes) -> int:
    """Return the size of a header in bytes, including its colon, a space and the line end."""
    return len(name) + len(value) + 4
