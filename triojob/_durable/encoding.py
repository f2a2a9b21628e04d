"""Lines of JSON: how outcomes are stored and printed."""

from __future__ import annotations

import json
import math
import os
from typing import Any

from .._printable import printable_json


def to_json(value: Any, *, indent: int | None = None) -> str:
    """Return ``value`` as JSON, in one line unless there is an indent.

    JSON has neither NaN nor infinity: these become null.
    Control characters for terminals are escaped, wherever the JSON is written: its meaning is the
    same.

    Raises:
        TypeError, ValueError, RecursionError: JSON has no form for it.
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
