"""Files of a scripted app: uploads as files on disk, and files on disk as downloads."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

from ..gradio.protocol.messages import is_list, is_object


class AppFiles:
    """The files of one run of an app; closing it removes the files made for its functions.

    Args:
        files: The files that the app serves, by path.
        url: The URL of the app's API.
    """

    def __init__(self, files: dict[str, bytes], url: str) -> None:
        self._files = files
        self._url = url
        self._stack = ExitStack()
        self._folder: Path | None = None

    def close(self) -> None:
        """Remove the written files."""
        self._stack.close()

    def taken(self, value: Any, kind: Callable[[str], Any]) -> Any:
        """Return a function's argument for the value of a file component: its path, as a ``kind``.

        Raises:
            ValueError: The app has no such file.
        """
        if is_list(value):
            return [self.taken(item, kind) for item in value]
        return None if value is None else kind(self._written(value))

    def _written(self, value: Any) -> str:
        path = str(value.get("path") if is_object(value) else value)
        if path not in self._files:
            raise ValueError(f"the app has no file {path!r}: it was not uploaded")
        if self._folder is None:
            folder = tempfile.TemporaryDirectory(prefix="triojob-testing-")
            self._folder = Path(self._stack.enter_context(folder))
        # Named by its content, as in Gradio.
        copy = self._folder / path.split("/")[-2] / path.rsplit("/", maxsplit=1)[-1]
        copy.parent.mkdir(exist_ok=True)
        copy.write_bytes(self._files[path])
        return str(copy)

    def given(self, value: Any) -> Any:
        """Return the data to send for the file, or the list of files, that a function returned."""
        if isinstance(value, (list, tuple)):
            return [self.given(item) for item in cast("list[Any]", value)]
        return self._described(Path(value)) if isinstance(value, (str, Path)) else value

    def _described(self, source: Path) -> dict[str, Any]:
        content = source.read_bytes()
        path = f"/srv/tmp/{hashlib.sha256(content).hexdigest()}/{source.name}"
        self._files[path] = content
        return {
            "path": path,
            "url": f"{self._url}/file={quote(path)}",
            "size": len(content),
            "orig_name": source.name,
            "mime_type": None,
            "is_stream": False,
            "meta": {"_type": "gradio.FileData"},
        }
