"""Finds and replaces the files in an app's outputs; no I/O."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..protocol.diff import apply_edits
from ..protocol.file_marks import FileData, ReadFile
from ..protocol.messages import is_list, is_object, is_tuple
from ..protocol.properties import PropertyUpdate

Place = tuple[list[Any], FileData]
"""The keys and indexes that lead to a file in a value, and the file."""


def find_files(value: Any, read: ReadFile) -> list[Place]:
    """Return the files in an output, at any depth, and their paths in it."""
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
    """Return ``value`` with ``show(file)`` at the path of each file.

    Only the containers along the path to a file are copied; everything else is shared with
    ``value``.
    """
    edits = [["replace", path, show(file)] for path, file in places]
    if not is_tuple(value):
        return _replaced([value], [[action, [0, *path], new] for action, path, new in edits])[0]
    return tuple(_replaced(list(value), edits))


def _replaced(values: list[Any], edits: list[list[Any]]) -> list[Any]:
    # Only a component's whole output can be a property update.
    plain = [dict(value) if isinstance(value, PropertyUpdate) else value for value in values]
    return [
        PropertyUpdate(new) if isinstance(old, PropertyUpdate) else new
        for old, new in zip(values, apply_edits(plain, edits), strict=True)
    ]


def files_by_edits(edits: list[Any], changed: list[Any], read: ReadFile) -> list[FileData]:
    """Return the files that the edits of a component have added or changed.

    The time is linear in the edits, even if the component is large.

    Args:
        edits: The edits.
        changed: The containers that the edits have changed.
    """
    brought = [new for _, _, new in edits if not isinstance(new, str)]  # most edits are text
    found = [file for _, file in find_files(brought, read)] if brought else []
    return found + [
        file
        for container in changed
        if is_object(container) and (file := read(container)) is not None
    ]
