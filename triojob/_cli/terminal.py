"""Output of commands: data to standard output, as bytes, and messages to standard error."""

from __future__ import annotations

import codecs
import sys
from typing import Any

import trio

from .._durable.encoding import encode_line, to_json, write_all
from .._printable import printable


def as_text(value: Any, *, pretty: bool) -> str:
    """Return an output for people: a text as it is, any other value as JSON."""
    if isinstance(value, str):
        return value
    return to_json(value, indent=2 if pretty else None)


def write_json(value: Any) -> None:
    """Write a line of JSON to standard output."""
    write_all(sys.stdout.fileno(), encode_line(to_json(value)))


class Stdout:
    """Standard output, for data.

    It is written in a thread: a slow reader delays nothing else.
    It bypasses Python's own buffer, which a hanging thread would keep locked.
    """

    def __init__(self) -> None:
        sys.stdout.flush()
        self.is_terminal = sys.stdout.isatty()
        self._descriptor = sys.stdout.fileno()

    async def write_bytes(self, data: bytes | bytearray) -> None:
        """Write bytes as they are.

        Raises:
            BrokenPipeError: There is no reader.

        Being cancelled while the reader is slow leaves a part of them written.
        """
        if data:
            await trio.to_thread.run_sync(write_all, self._descriptor, data, abandon_on_cancel=True)

    async def write(self, text: str) -> None:
        """Write a text; on a terminal, without control characters."""
        shown = printable(text) if self.is_terminal else text
        await self.write_bytes(shown.encode("utf-8", "replace"))

    async def write_file(self, stream: trio.abc.ReceiveStream) -> None:
        """Write the bytes of a file as they arrive; on a terminal, as decoded text."""
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        async for chunk in stream:
            if self.is_terminal:
                await self.write(decoder.decode(chunk))
            else:
                await self.write_bytes(chunk)

    async def write_line(self, value: Any) -> None:
        """Write a line of JSON."""
        await self.write_bytes(encode_line(to_json(value)))
