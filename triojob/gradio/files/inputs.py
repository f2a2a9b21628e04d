"""`handle_file`, and the placeholders for files in encoded arguments; no I/O.

Only files that `handle_file` returned are ever read from this machine: never a dictionary, and
never a default of the server, whatever its content.
"""

from __future__ import annotations

import io
import json
import mimetypes
import os
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO, TypeAlias, cast, final
from urllib.parse import unquote, urlsplit

from ..._exceptions import short_repr

FileSource: TypeAlias = "str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO"
"""The types that `handle_file` takes."""

META = {"_type": "gradio.FileData"}


@final
@dataclass(frozen=True, eq=False)
class FileInput:
    """A file to upload to an app; `handle_file` makes it.

    The same object can occur several times: within one call it is uploaded once.
    """

    source: str | bytes | BinaryIO = field(repr=False)
    """A path, an http(s) URL, the bytes themselves, or an open file."""
    name: str
    """The name under which the app receives the file."""
    mime_type: str | None
    """Its MIME type, or None if unknown."""
    start: int | None = None
    """The initial position of an open file; None if it can't seek."""

    @property
    def url(self) -> str | None:
        """The URL, if the source is one."""
        return self.source if isinstance(self.source, str) and _is_url(self.source) else None

    @property
    def path(self) -> str | None:
        """The path on this machine, if the source is one."""
        return self.source if isinstance(self.source, str) and self.url is None else None

    def __repr__(self) -> str:
        kind = (
            "URL"
            if self.url is not None
            else "path"
            if self.path is not None
            else "bytes"
            if isinstance(self.source, bytes)
            else "open file"
        )
        return f"<FileInput {self.name!r} ({kind})>"


def handle_file(
    source: FileSource, name: str | None = None, mime_type: str | None = None
) -> FileInput:
    """Mark a file for upload to an app; nothing is read yet.

    The result can be anywhere in the arguments of a call, in lists and dictionaries too.
    Submitting the call checks that the file exists; it is read when the call runs.

    Args:
        source: A path (`str` or `os.PathLike`); an http or https URL, which the app's server
            fetches; `bytes`; or a binary file that is open for reading, from its current position.
            An open file that can't seek can be used in one call only.
        name: The name under which the app receives the file; its suffix tells the app the format.
            None for the source's own name, and ``"file"`` for bytes.
        mime_type: Its MIME type; None to guess it from the name.

    Raises:
        TypeError: The source has another type.
        ValueError: An open file has no name of its own and none is given, or a name is a path.
    """
    kept: Any
    own: str | None = None
    start: int | None = None
    if isinstance(source, (bytes, bytearray, memoryview)):
        kept, own = bytes(source), "file"
    elif isinstance(source, str):
        kept = source
        own = unquote(urlsplit(source).path) if _is_url(source) else source
    elif isinstance(source, os.PathLike):
        path = os.fspath(source)
        if not isinstance(cast("object", path), str):
            raise TypeError(f"handle_file takes str paths, not {short_repr(path)}")
        kept = own = path
    elif callable(getattr(source, "read", None)) and not isinstance(
        cast("object", source), io.TextIOBase
    ):
        kept = source
        start = source.tell() if source.seekable() else None
        given = getattr(source, "name", None)  # for a file opened by descriptor, it is a number
        own = given if isinstance(given, str) else None
        if name is None and own is None:
            raise ValueError("an open file without a name needs handle_file(file, name=...)")
    else:
        raise TypeError(
            "handle_file takes a path, a URL, bytes or a file open for reading bytes, "
            f"not {short_repr(source)}"
        )
    if name is not None and (not name or re.search(r"[/\\\x00]", name)):
        raise ValueError(f"name must be a file name without slashes, not {name!r}")
    name = name or os.path.basename(own or "") or "file"  # noqa: PTH119 - no I/O: of URLs too
    if mime_type is None:
        mime_type = mimetypes.guess_type(name)[0]
    return FileInput(kept, name, mime_type, start)


def _is_url(text: str) -> bool:
    return text.lower().startswith(("http://", "https://"))


class FilePlaceholders:
    """The placeholders of files in one call's arguments, from encoding to upload.

    In the place of a file, the encoded JSON has a token that nothing else can contain; once the
    server has reported the paths of the uploaded files, `fill` inserts their JSON.
    """

    def __init__(self) -> None:
        self._token = ""
        self._files: list[FileInput] = []
        self.parameters: dict[FileInput, str] = {}
        """Each file once, in order, with the first parameter that contains it."""
        self.sizes: dict[FileInput, int] = {}
        """The sizes in bytes at the time of the submission, if known."""

    def mark(self, file: FileInput, parameter: str) -> str:
        """Add a placeholder for ``file``; return its token as a JSON string."""
        self._token = self._token or uuid.uuid4().hex
        self.parameters.setdefault(file, parameter)
        self._files.append(file)
        return f"{self._token}-{len(self._files) - 1}"

    def fill(self, data: str, values: Mapping[FileInput, str]) -> str:
        """Return the encoded arguments with the JSON of each file in the place of its tokens."""
        # Not by a regular expression: each call would leave its own one in the cache of `re`.
        whole, *parts = data.split(f'"{self._token}-')
        for part in parts:
            number, _, rest = part.partition('"')
            whole += values[self._files[int(number)]] + rest
        return whole


def file_json(file: FileInput, path: str, size: int | None, *, old_form: bool) -> str:
    """Return the JSON that passes a file to an app.

    Args:
        path: Its path on the server, or its URL.
        size: Its size in bytes, or None if it is not known.
        old_form: Whether to use the format of Gradio 3.
    """
    value: dict[str, Any]
    if old_form:
        value = {"name": path, "data": None, "is_file": True, "orig_name": file.name}
    else:
        value = {
            "path": path,
            "orig_name": file.name,
            "mime_type": file.mime_type,
            "size": size,
            "meta": META,
        }
        if file.url is not None:
            value["url"] = path
    return json.dumps(value, separators=(",", ":"))
