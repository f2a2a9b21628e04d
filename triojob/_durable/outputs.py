"""Converts an app's outputs to JSON, and saves their files on this machine."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any

import trio

from ..gradio.files.file import File
from ..gradio.protocol.messages import is_list, is_object, is_tuple
from ..gradio.protocol.properties import PropertyUpdate


def files_in(value: Any) -> list[File]:
    """Return the files in an output, in order."""
    found: list[File] = []
    waiting: list[Any] = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, File):
            found.append(item)
        elif is_object(item) or isinstance(item, PropertyUpdate):
            waiting += reversed([*item.values()])
        elif is_list(item) or is_tuple(item):
            waiting += reversed(item)
    return found


def as_data(value: Any, saved: Mapping[str, Path] | None = None) -> Any:
    """Return an output as JSON data: several values as a list, a file as its path or its URL.

    Args:
        saved: The local paths of saved files, by their path on the server.
    """
    if isinstance(value, File):
        path = None if saved is None else saved.get(value.path)
        return value.url if path is None else str(path)
    if isinstance(value, PropertyUpdate):
        return {"__type__": "update", **as_data(dict(value), saved)}
    if is_object(value):
        return {name: as_data(item, saved) for name, item in value.items()}
    if is_list(value) or is_tuple(value):
        return [as_data(item, saved) for item in value]
    return value


class Saver:
    """Saves the files of one call's outputs in a folder, each of them once.

    Args:
        folder: Created for the first file.  If it contains a file of the same name, the new one
            gets a number.
    """

    def __init__(self, folder: Path) -> None:
        self.saved: dict[str, Path] = {}
        """The local paths of the files, by their path on the server."""
        self._taken: set[Path] = set()
        self._last: dict[str, int] = {}
        """The last number that was appended to each name."""
        self._folder = folder

    async def save(self, value: Any, *, final: bool) -> None:
        """Save the files in an output that are not saved yet.

        Args:
            final: Whether it is the last output; until then, streams may still grow.

        Raises:
            OSError: A file can't be written.
            TriojobError: A file can't be downloaded; see `File.save`.
        """
        for file in files_in(value):
            if file.path not in self.saved and (final or not file.is_stream):
                await trio.to_thread.run_sync(self._make_folder)
                self.saved[file.path] = await file.save(self._place_for(file.name))

    def _make_folder(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)

    def _place_for(self, name: str) -> Path:
        stem, suffix = PurePath(name).stem, PurePath(name).suffix
        path, number = self._folder / name, self._last.get(name, 1)
        # A dangling link counts as existing, too.
        while path in self._taken or os.path.lexists(path):
            number += 1
            path = self._folder / f"{stem}-{number}{suffix}"
        self._taken.add(path)
        self._last[name] = number
        return path
