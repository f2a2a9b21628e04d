"""Decodes server-sent events; no I/O.

The rules are those of the WHATWG HTML standard, 9.2.6.
Lines are split in bytes: text would also split at U+2028 and U+0085, which Gradio sends raw.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..._exceptions import ProtocolError, shorten

_HEAD = 1000
"""Bytes to show of an event that is too large."""
_LONGEST_SKIP = 16
"""A skipped event can be at most this many times as large as allowed: it must end at some point."""
_MARK = b"\xef\xbb\xbf"
"""The byte order mark, which may precede a stream and is not part of it."""


@dataclass(frozen=True)
class OversizedEvent:
    """The beginning of an event that exceeds the size limit; the rest of it is skipped."""

    data: bytes
    error: ProtocolError


class EventDecoder:
    """Decodes one event stream, received in chunks of any size.

    Args:
        max_size: The maximum bytes of one event, including the names of its fields.
    """

    def __init__(self, max_size: int) -> None:
        self._max_size = max_size
        self._skipping = False
        """Whether the next bytes belong to an event that is too large."""
        self._buffer = bytearray()
        self._searched = 0
        """Up to this position ``_buffer`` is known to contain no line end."""
        self._data: list[bytes] = []
        self._kind = b""
        self.kind: str = ""
        """The type of the event that was yielded last; Gradio's main protocols send none."""
        self._size = 0
        """The bytes of the event's lines so far, including the names of fields and line ends."""
        self._after_cr = False
        self._first = True

    def feed(self, chunk: bytes) -> Iterator[bytes | OversizedEvent]:
        """Take a chunk; yield the data of each event that it completes.

        Raises:
            ProtocolError: An event exceeds the size limit many times over.
        """
        chunk = self._with_simple_ends(chunk)
        if not chunk:
            return
        buffer = self._buffer
        # Most chunks end with an event, so nothing has to be kept or copied.
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
                # This line is a whole event, as Gradio's events are.
                line, start = bytes(lines[start:end]), end + 2
                searched = start
                self.kind = ""
                if len(line) < self._max_size:
                    yield line[6:]
                else:
                    yield self._oversized(line)
                continue
            line = bytes(lines[start:end])
            start = searched = end + 1
            event = self._take(line) if line else self._whole()
            if event is not None:
                yield event
        oversized = self._keep(lines, start)
        if oversized is not None:
            yield oversized

    def _with_simple_ends(self, chunk: bytes) -> bytes:
        """Return the chunk with line feeds for all line ends."""
        if self._after_cr and chunk.startswith(b"\n"):
            chunk = chunk[1:]
            self._after_cr = False
        if chunk:
            self._after_cr = chunk.endswith(b"\r")
        return chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in chunk else chunk

    def _passed_mark(self, buffer: bytearray) -> bool:
        """Remove the byte order mark at the beginning; return whether enough bytes have arrived."""
        if len(buffer) < len(_MARK) and _MARK.startswith(buffer):
            return False
        self._first = False
        if buffer.startswith(_MARK):
            del buffer[: len(_MARK)]
        return True

    def _keep(self, lines: bytes | bytearray, start: int) -> OversizedEvent | None:
        """Keep the beginning of a line that has no end yet; see `_skip`."""
        oversized: OversizedEvent | None = None
        if lines is self._buffer:
            del self._buffer[:start]
        else:
            self._buffer += lines[start:]
        if self._buffer and self._size + len(self._buffer) > self._max_size:
            oversized = self._skip(bytes(self._buffer))
            self._size += len(self._buffer) - 1
            self._buffer[:] = b":"  # treat the rest of the line as a comment
        self._searched = len(self._buffer)
        return oversized

    def _take(self, line: bytes) -> OversizedEvent | None:
        """Take a line of an event; see `_skip`."""
        self._size += len(line) + 1
        if self._size > self._max_size:
            return self._skip(line)
        field, _, value = line.partition(b":")
        # The other fields (id, retry) and comments are not needed.
        if field == b"data":
            self._data.append(value.removeprefix(b" "))
        elif field == b"event":
            self._kind = value.removeprefix(b" ")
        return None

    def _whole(self) -> bytes | None:
        """Return the data of the event whose last line has arrived, if it has any."""
        self._size = 0
        self._skipping = False
        kind, self._kind = self._kind, b""
        if not self._data:
            return None
        event = b"\n".join(self._data)
        self._data.clear()
        self.kind = kind.decode("utf-8", "replace")
        return event

    def _skip(self, line: bytes) -> OversizedEvent | None:
        """Skip the rest of an event that is too large; return it when it becomes too large."""
        if not self._skipping:
            self._skipping = True
            oversized = self._oversized(self._data[0] if self._data else line)
            self._data.clear()
            return oversized
        if self._size > _LONGEST_SKIP * self._max_size:
            raise self._too_large(line)
        return None

    def _oversized(self, line: bytes) -> OversizedEvent:
        data = line[:_HEAD].removeprefix(b"data:").lstrip(b" ")
        return OversizedEvent(data, self._too_large(line))

    def _too_large(self, shown: bytes) -> ProtocolError:
        return ProtocolError(
            f"the server sent an event of more than {self._max_size} bytes "
            f"(Limits.message_size sets the limit): {shorten(shown)}"
        )
