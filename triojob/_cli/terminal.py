"""Output of commands: data to standard output, as bytes, and messages to standard error."""

from __future__ import annotations

import codecs
import json
import math
import os
import sys
from typing import Any

import trio

from .._printable import printable, printable_json


def to_json(value: Any, *, indent: int | None = None) -> str:
    """Return ``value`` as JSON, in one line unless there is an indent.

    JSON has neither NaN nor infinity: these become null.
    Control characters for terminals are escaped, wherever the JSON is written: its meaning is the
    same.
    """
    options: dict[str, Any] = {"ensure_ascii": False, "allow_nan": False, "indent": indent}
    try:
        text = json.dumps(value, **options)
    except ValueError:
        text = json.dumps(_finite(value), **options)
    return printable_json(text)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]  # pyright: ignore[reportUnknownVariableType]
    return value


def encode_line(text: str) -> bytes:
    """Return a line of JSON as UTF-8."""
    return f"{text}\n".encode()


def write_all(descriptor: int, data: bytes | bytearray) -> None:
    """Write all of ``data``.

    Raises:
        OSError: It can't be written; `BrokenPipeError` if there is no reader.
    """
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


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
