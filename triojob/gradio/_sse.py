"""Bytes to server-sent events; no I/O.

The rules are those of the WHATWG HTML standard, 9.2.6.
Lines are split in bytes: text would also split at U+2028 and U+0085, which Gradio sends raw.
"""

from __future__ import annotations

from collections.abc import Iterator

from .._errors import ProtocolError, shorten

_MARK = b"\xef\xbb\xbf"
"""The byte order mark, which may stand at the beginning of a stream and is no part of it."""


class EventDecoder:
    """Decodes one event stream, whatever the chunks that it comes in.

    Args:
        max_size: How many bytes one event may have, with the names of its fields; a larger one is
            a `ProtocolError`.
    """

    def __init__(self, max_size: int) -> None:
        self._max_size = max_size
        self._buffer = bytearray()
        self._searched = 0
        """Up to here ``_buffer`` is known to hold no line end."""
        self._data: list[bytes] = []
        self._kind = b""
        self.kind = ""
        """The type of the event that was yielded last; Gradio's main protocols give none."""
        self._size = 0
        """The bytes of the event's lines so far, the names of fields and line ends included."""
        self._after_cr = False
        self._first = True

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Take a chunk; yield the data of each event that it completes.

        Raises:
            ProtocolError: An event is larger than it may be.
        """
        chunk = self._with_simple_ends(chunk)
        if not chunk:
            return
        buffer = self._buffer
        # Most chunks end with an event, so that nothing has to be kept, or copied.
        lines: bytes | bytearray = chunk
        if buffer or self._first:
            buffer += chunk
            lines = buffer
        if self._first and not self._passed_mark(buffer):
            return
        start, searched = 0, self._searched
        while (end := lines.find(b"\n", searched)) >= 0:
            if (
                not self._size
                and lines.startswith(b"data: ", start)
                and lines.startswith(b"\n", end + 1)
            ):
                # This line is all of an event, as Gradio's are.
                if end + 1 - start > self._max_size:
                    raise self._too_large(lines[start:end])
                data = bytes(lines[start + 6 : end])
                start = searched = end + 2
                self.kind = ""
                yield data
                continue
            line = bytes(lines[start:end])
            start = searched = end + 1
            if line:
                self._take(line)
            elif (event := self._whole()) is not None:
                yield event
        self._keep(lines, start)

    def _with_simple_ends(self, chunk: bytes) -> bytes:
        """Return the chunk with line feeds for all line ends."""
        if self._after_cr and chunk.startswith(b"\n"):
            chunk = chunk[1:]
            self._after_cr = False
        if chunk:
            self._after_cr = chunk.endswith(b"\r")
        return chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in chunk else chunk

    def _passed_mark(self, buffer: bytearray) -> bool:
        """Take the byte order mark off the beginning; return whether that is known by now."""
        if len(buffer) < len(_MARK) and _MARK.startswith(buffer):
            return False
        self._first = False
        if buffer.startswith(_MARK):
            del buffer[: len(_MARK)]
        return True

    def _keep(self, lines: bytes | bytearray, start: int) -> None:
        """Keep the beginning of a line that has no end yet."""
        if lines is self._buffer:
            del self._buffer[:start]
        else:
            self._buffer += lines[start:]
        self._searched = len(self._buffer)
        if self._size + len(self._buffer) > self._max_size:
            raise self._too_large(self._buffer)

    def _take(self, line: bytes) -> None:
        self._size += len(line) + 1
        if self._size > self._max_size:
            raise self._too_large(line)
        field, _, value = line.partition(b":")
        # The other fields (id, retry) and comments say nothing to us.
        if field == b"data":
            self._data.append(value.removeprefix(b" "))
        elif field == b"event":
            self._kind = value.removeprefix(b" ")

    def _whole(self) -> bytes | None:
        """Return the data of the event whose last line has come, if there is any."""
        self._size = 0
        kind, self._kind = self._kind, b""
        if not self._data:
            return None
        event = b"\n".join(self._data)
        self._data.clear()
        self.kind = kind.decode("utf-8", "replace")
        return event

    def _too_large(self, shown: bytes | bytearray) -> ProtocolError:
        return ProtocolError(
            f"the server sent an event of more than {self._max_size} bytes "
            f"(Limits.message_size sets the bound): {shorten(shown)}"
        )
