"""How servers mark files in outputs; no I/O.

- since ``sse_v2.1`` (Gradio 4.21): by ``meta._type``; an object without it is not a file;
- before: by the keys of Gradio's ``FileData`` model, all of which are always present;
- Gradio 3: by ``is_file``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .messages import Json, is_object

_KEYS = frozenset({"path", "url", "size", "orig_name", "mime_type", "is_stream", "meta"})
_ALWAYS = frozenset({"path", "url", "size", "orig_name", "mime_type"})
_OF_STREAMS = frozenset({"path", "is_stream", "orig_name"})
"""The keys of a stream's value in ``sse`` to ``sse_v2`` (gradio 4.14, ``Audio.stream_output``)."""


@dataclass(frozen=True)
class FileData:
    """A server's description of a file; none of its fields is verified."""

    path: str
    url: str | None = None
    size: int | None = None
    orig_name: str | None = None
    mime_type: str | None = None
    is_stream: bool = False

    @property
    def key(self) -> tuple[str, bool]:
        """Distinguishes the files of a call."""
        return self.path, self.is_stream


ReadFile = Callable[[Json], "FileData | None"]
"""Returns the file that an object of an output represents, or None."""


def marked_by_type(value: Json) -> FileData | None:
    """Read a file that ``meta._type`` marks."""
    meta = value.get("meta")
    marked = is_object(meta) and meta.get("_type") == "gradio.FileData"
    return file_data(value, value.get("path")) if marked else None


def marked_by_keys(value: Json) -> FileData | None:
    """Read a file that has the keys of Gradio's ``FileData`` model."""
    keys = value.keys()
    whole = _ALWAYS <= keys <= _KEYS
    stream = value.get("is_stream") is True and keys <= _OF_STREAMS
    return file_data(value, value.get("path")) if whole or stream else None


def marked_by_flag(value: Json) -> FileData | None:
    """Read a file that ``is_file`` marks."""
    if value.get("is_file") is True or value.get("is_stream") is True:
        return file_data(value, value.get("name"))
    return None


def file_data(value: Json, path: Any) -> FileData | None:
    """Return an object's description of the file at ``path``, or None if that is not a path."""
    if not isinstance(path, str) or not path:
        return None
    size = value.get("size")

    def text(key: str) -> str | None:
        found = value.get(key)
        return found if isinstance(found, str) else None

    return FileData(
        path,
        text("url"),
        size if type(size) is int and size >= 0 else None,
        text("orig_name"),
        text("mime_type"),
        value.get("is_stream") is True,
    )
