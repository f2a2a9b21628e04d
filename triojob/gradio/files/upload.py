"""Uploads files: checked when a call is submitted, sent when it runs.

Wire source: ``POST /upload`` (gradio 6.31, ``routes.py``, ``upload_file``).
"""

from __future__ import annotations

import errno
import os
import stat
import weakref
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import trio

from ..._core.messages import ProgressUnit, Status, StatusUpdate
from ..._core.sink import MessageSink
from ..._exceptions import FileTooLarge, ProtocolError, shorten
from ..._secrets import scrub
from ..http.client import HTTP
from ..http.files import send_file
from ..protocol.messages import decode_json, is_list
from ..protocol.refusals import caused_by, refusal
from .inputs import FileInput, FilePlaceholders, file_json
from .multipart import Multipart
from .transfer import for_each

CHUNK = 2**18
"""Bytes that are read from disk at a time: an upload holds a few such chunks in memory."""
_UNKNOWN_STEP = 2**20

_read_once: weakref.WeakSet[FileInput] = weakref.WeakSet()
"""Open files that can't seek and have been passed to a call."""

_read_locks: weakref.WeakKeyDictionary[Any, trio.Lock] = weakref.WeakKeyDictionary()
"""An open file has one position: it is read for one call at a time."""

Read = Callable[[int], Awaitable[bytes]]


def check_files(placeholders: FilePlaceholders, endpoint: str, max_file_size: int | None) -> None:
    """Check that the files of a call exist and are not too large for the app.

    Raises:
        FileNotFoundError, IsADirectoryError: A path has no file; other `OSError` if it can't be
        checked.
        ValueError: It is not a regular file, or an open file has been used up.
        FileTooLarge: It is larger than the app accepts.
    """
    for file, parameter in placeholders.parameters.items():
        where = scrub(f"parameter {parameter!r} of {endpoint}", ours=True)
        size: int | None = None
        if file.path is not None:
            size = _size_at(file.path, where)
        elif isinstance(file.source, bytes):
            size = len(file.source)
        elif file.url is None:
            if file.start is None:
                if file in _read_once:
                    raise ValueError(
                        f"{where}: {file.name!r} can't seek, and another call already uses it; "
                        "pass its bytes or a path"
                    )
                _read_once.add(file)
            size = _size_of_open(file)
        if size is not None:
            placeholders.sizes[file] = size
        if max_file_size is not None and size is not None and size > max_file_size:
            raise FileTooLarge(
                f"{where}: {file.name!r} has {size} bytes, which exceeds the maximum file size of "
                f"{max_file_size} bytes that the app accepts"
            )


def _size_at(path: str, where: str) -> int:
    try:
        info = Path(path).stat()
    except OSError as exc:
        # OSError makes the subclass that corresponds to the number.
        raise OSError(exc.errno, f"{where}: {exc.strerror}", path) from None
    except ValueError as exc:  # a NUL
        raise ValueError(f"{where}: {exc}: {path!r}") from None
    if stat.S_ISDIR(info.st_mode):
        raise IsADirectoryError(errno.EISDIR, f"{where}: {os.strerror(errno.EISDIR)}", path)
    if not stat.S_ISREG(info.st_mode):
        raise ValueError(f"{where}: {path!r} is not a regular file")
    return info.st_size


def _size_of_open(file: FileInput) -> int | None:
    if file.start is None:
        return None
    source = cast("Any", file.source)
    place = source.tell()
    size: int = source.seek(0, os.SEEK_END)
    source.seek(place)
    return max(0, size - file.start)


async def upload_files(
    http: HTTP, placeholders: FilePlaceholders, endpoint: str, sink: MessageSink, *, old_form: bool
) -> dict[FileInput, str]:
    """Upload the files of a call, several at once; return the JSON for each file.

    The job's status reports the progress.  Being cancelled ends it and closes all files.

    Raises:
        FileTooLarge: The server accepts no file of that size.
        OSError: A file can no longer be read.
        ValueError: A file changed its size while it was read.
        ConnectionLost, AuthenticationError, TooManyRequests, UnexpectedResponse, ProtocolError: As
        for a call.
    """
    values = {
        file: file_json(file, file.url, None, old_form=old_form)
        for file in placeholders.parameters
        if file.url is not None
    }
    files = [file for file in placeholders.parameters if file.url is None]
    progress = _Progress(files, placeholders.sizes, sink)

    async def upload(place: int) -> None:
        file = files[place]
        async with http.transfers, _opened(file) as (read, size):
            progress.begin(place, size)
            form = Multipart("files", file.name, file.mime_type)
            parts = _Parts(form, read, size, file.name, lambda sent: progress.sent(place, sent))
            response = await send_file(
                http,
                "/upload",
                parts,
                content_type=form.content_type,
                length=None if size is None else form.length(size),
            )
        doing = f"uploading {file.name!r} for {endpoint}"
        if response.status == 413:
            words = f"{doing}: the server accepts no file of {parts.sent} bytes"
            raise caused_by(response, FileTooLarge(f"{words}: {shorten(response.body)}"))
        if response.status != 200:
            raise refusal(response, doing, "")
        path = _path_in(response.body, doing)
        values[file] = file_json(file, path, parts.sent, old_form=old_form)

    if files:
        progress.tell()
        await for_each(range(len(files)), upload, at_once=http.transfers.total_tokens)
        # Progress from the app itself follows.
        sink.status(StatusUpdate(Status.STARTING, progress_data=[]))
    return values


def _path_in(body: bytes, doing: str) -> str:
    paths = decode_json(body, f"{doing}: the response")
    if not is_list(paths) or len(paths) != 1 or not isinstance(paths[0], str):
        raise ProtocolError(f"{doing}: the response is not a list of one path: {shorten(body)}")
    return paths[0]


class _Progress:
    """Reports progress at each percent, or at each further twentieth if sizes are unknown."""

    def __init__(
        self, files: list[FileInput], sizes: dict[FileInput, int], sink: MessageSink
    ) -> None:
        self._sink = sink
        self._units = [ProgressUnit(0, sizes.get(file), "bytes", None, file.name) for file in files]
        self._reported = 0.0

    def begin(self, place: int, size: int | None) -> None:
        self._units[place] = replace(self._units[place], length=size)

    def sent(self, place: int, count: int) -> None:
        unit = self._units[place] = replace(self._units[place], index=count)
        done = sum(unit.index or 0 for unit in self._units)
        lengths = [unit.length for unit in self._units]
        if None in lengths:
            step = max(_UNKNOWN_STEP, done / 20)
        else:
            step = sum(length or 0 for length in lengths) / 100
        if done - self._reported >= step or count == unit.length:
            self._reported = done
            self.tell()

    def tell(self) -> None:
        self._sink.status(StatusUpdate(Status.STARTING, progress_data=list(self._units)))


class _Parts:
    """The body of an upload; it is a class rather than an async generator, see `send_file`."""

    def __init__(
        self,
        form: Multipart,
        read: Read,
        size: int | None,
        name: str,
        report: Callable[[int], None],
    ) -> None:
        self._form = form
        self._read = read
        self._size = size
        self._name = name
        self._report = report
        self._next = "head"
        self.sent = 0
        """How many bytes of the file have been passed on."""

    def __aiter__(self) -> _Parts:
        return self

    async def __anext__(self) -> bytes:
        if self._next == "head":
            self._next = "file"
            return self._form.head
        if self._next == "file":
            # A request for more means that the previous piece has been written.
            self._report(self.sent)
            left = CHUNK if self._size is None else min(CHUNK, self._size - self.sent)
            chunk = await self._read(left) if left else b""
            if chunk:
                self.sent += len(chunk)
                return chunk
            if self._size is not None and self.sent < self._size:
                raise ValueError(f"{self._name!r} became shorter while it was being uploaded")
            self._next = "end"
            return self._form.tail
        raise StopAsyncIteration


@asynccontextmanager
async def _opened(file: FileInput) -> AsyncGenerator[tuple[Read, int | None], None]:
    """Open the source of a file; yield a function that reads it, and its size in bytes."""
    source = file.source
    if isinstance(source, bytes):
        yield _reader_of_bytes(source), len(source)
    elif isinstance(source, str):
        flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
        descriptor = await trio.to_thread.run_sync(os.open, source, flags)
        try:

            async def read(count: int) -> bytes:
                return await trio.to_thread.run_sync(os.read, descriptor, count)

            yield read, os.fstat(descriptor).st_size
        finally:
            os.close(descriptor)
    else:
        async with _read_locks.setdefault(source, trio.Lock()):
            size = await trio.to_thread.run_sync(_size_of_open, file)
            if file.start is not None:
                await trio.to_thread.run_sync(source.seek, file.start)

            async def read_open(count: int) -> bytes:
                # A pipe may stay silent forever: a cancellation does not wait for it.
                chunk: Any = await trio.to_thread.run_sync(
                    source.read, count, abandon_on_cancel=file.start is None
                )
                if not isinstance(chunk, bytes):
                    raise TypeError(f"{file.name!r} is not open for reading bytes")
                return bytes(chunk)

            yield read_open, size


def _reader_of_bytes(source: bytes) -> Read:
    place = 0

    async def read(count: int) -> bytes:
        nonlocal place
        await trio.lowlevel.checkpoint()
        chunk = source[place : place + count]
        place += len(chunk)
        return chunk

    return read
