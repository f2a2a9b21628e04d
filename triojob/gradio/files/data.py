"""Files in an app's outputs: what counts as one, finding and replacing them; no I/O.

Servers mark files in three ways:

- since ``sse_v2.1`` (Gradio 4.21) by ``meta._type``, and nothing else is a file;
- before, by the keys of Gradio's ``FileData`` model, all of which are always there;
- Gradio 3 by ``is_file``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..protocol.diff import apply_edits
from ..protocol.messages import Json, is_list, is_object, is_tuple
from ..protocol.properties import PropertyUpdate

_KEYS = frozenset({"path", "url", "size", "orig_name", "mime_type", "is_stream", "meta"})
_ALWAYS = frozenset({"path", "url", "size", "orig_name", "mime_type"})
_OF_STREAMS = frozenset({"path", "is_stream", "orig_name"})
"""What a stream's value has in ``sse`` to ``sse_v2`` (gradio 4.14, ``Audio.stream_output``)."""


@dataclass(frozen=True)
class FileData:
    """What a server says of a file; each field is its word only."""

    path: str
    url: str | None = None
    size: int | None = None
    orig_name: str | None = None
    mime_type: str | None = None
    is_stream: bool = False

    @property
    def key(self) -> tuple[str, bool]:
        """What tells one file of a call from another."""
        return self.path, self.is_stream


ReadFile = Callable[[Json], "FileData | None"]
"""Tells whether an object of an output is a file."""


def file_rule(protocol: str) -> ReadFile:
    """Return how files are told from other values in a protocol."""
    if protocol == "ws":
        return _by_is_file
    return _by_keys if protocol in ("sse", "sse_v1", "sse_v2") else _by_meta


def _by_meta(value: Json) -> FileData | None:
    meta = value.get("meta")
    marked = is_object(meta) and meta.get("_type") == "gradio.FileData"
    return _file_data(value, value.get("path")) if marked else None


def _by_keys(value: Json) -> FileData | None:
    keys = value.keys()
    whole = _ALWAYS <= keys <= _KEYS
    stream = value.get("is_stream") is True and keys <= _OF_STREAMS
    return _file_data(value, value.get("path")) if whole or stream else None


def _by_is_file(value: Json) -> FileData | None:
    if value.get("is_file") is True or value.get("is_stream") is True:
        return _file_data(value, value.get("name"))
    return None


def _file_data(value: Json, path: Any) -> FileData | None:
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


Place = tuple[list[Any], FileData]
"""A file in a value, and the keys and indexes that lead to it."""


def find_files(value: Any, read: ReadFile) -> list[Place]:
    """Return the files in an output, however deep, and where they stand."""
    places: list[Place] = []
    # Not by recursion: a stream's edits may nest a value deeper than Python's stack.
    waiting: list[tuple[Any, _Step | None]] = [(value, None)]
    while waiting:
        item, step = waiting.pop()
        if is_tuple(item) or is_list(item):
            waiting.extend((inner, (step, index)) for index, inner in enumerate(item))
        elif isinstance(item, PropertyUpdate):
            waiting.extend((inner, (step, key)) for key, inner in item.items())
        elif is_object(item):
            file = read(item)
            if file is not None:
                places.append((_path_to(step), file))
            else:
                waiting.extend((inner, (step, key)) for key, inner in item.items())
    return places


_Step = tuple[Any, Any]
"""A key or index, and the step before it: many paths share their beginnings."""


def _path_to(step: _Step | None) -> list[Any]:
    path: list[Any] = []
    while step is not None:
        step, key = step
        path.append(key)
    return path[::-1]


def replace_files(value: Any, places: list[Place], show: Callable[[FileData], Any]) -> Any:
    """Return ``value`` with ``show(file)`` at each place.

    Only the containers on the way to a file are copied; all else is shared with ``value``.
    """
    edits = [["replace", path, show(file)] for path, file in places]
    if not is_tuple(value):
        return _replaced([value], [[action, [0, *path], new] for action, path, new in edits])[0]
    return tuple(_replaced(list(value), edits))


def _replaced(values: list[Any], edits: list[list[Any]]) -> list[Any]:
    # Only a whole output of a component is a property update.
    plain = [dict(value) if isinstance(value, PropertyUpdate) else value for value in values]
    return [
        PropertyUpdate(new) if isinstance(old, PropertyUpdate) else new
        for old, new in zip(values, apply_edits(plain, edits), strict=True)
    ]


def files_by_edits(edits: list[Any], changed: list[Any], read: ReadFile) -> list[FileData]:
    """Return the files that the edits of a component have brought or changed.

    It takes time that is linear in the edits, however large the component is.

    Args:
        changed: The containers that the edits have changed.
    """
    brought = [new for _, _, new in edits if not isinstance(new, str)]  # as most of it is
    found = [file for _, file in find_files(brought, read)] if brought else []
    return found + [
        file
        for container in changed
        if is_object(container) and (file := read(container)) is not None
    ]
