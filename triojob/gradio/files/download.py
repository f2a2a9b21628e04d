"""Downloads files to disk, and resumes where a connection breaks.

Wire source: ``GET /file=`` (gradio 6.31, ``routes.py``, ``file``; Starlette's ``FileResponse``
for ranges).
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import trio

from ..._exceptions import (
    ConnectionLost,
    FileTooLarge,
    NetworkError,
    UnexpectedResponse,
    shorten,
)
from ..http.client import HTTP
from ..http.files import Download, open_file
from ..protocol.refusals import refusal
from .names import safe_name

_PIECE = 1024 * 1024
"""The number of bytes that are written to the disk at once."""

RESUMES = 3
"""How many times an interrupted download is resumed."""
PAUSE = 0.5
"""Seconds before a resumption, times the number of the attempt."""


class Budget:
    """How many bytes can still be downloaded.

    Args:
        size: The number of bytes, `math.inf` for no limit.
    """

    def __init__(self, size: float) -> None:
        self._size = size
        self._left = size

    def check(self, count: int, what: str) -> None:
        """Refuse ``count`` more bytes if they exceed the budget.

        Raises:
            FileTooLarge: They exceed it.
        """
        if count > self._left:
            raise FileTooLarge(
                f"{what}: more than {self._size:g} bytes (Limits.download_size sets the limit)"
            )

    def take(self, count: int, what: str) -> None:
        """Count received bytes; raises as `check`."""
        self.check(count, what)
        self._left -= count

    def give_back(self, count: int) -> None:
        """Return discarded bytes to the budget."""
        self._left += count


class FileWriter:
    """A new file on disk, being written; `new_file` makes it."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._buffer = bytearray()
        """Bytes still to be written: a switch to a worker thread costs more than writing most
        pieces.
        """
        self.size: int = 0

    async def write(self, data: bytes) -> None:
        """Append ``data``."""
        self._buffer += data
        self.size += len(data)
        if len(self._buffer) >= _PIECE:
            await self.flush()
        else:
            await trio.lowlevel.checkpoint()

    async def flush(self) -> None:
        """Write the buffered bytes; if that is cancelled, the file is unusable."""
        data, self._buffer = self._buffer, bytearray()
        await trio.to_thread.run_sync(_write_all, self._descriptor, data)

    async def restart(self) -> None:
        """Discard all that was written."""
        self._buffer.clear()
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        await trio.to_thread.run_sync(os.ftruncate, self._descriptor, 0)
        self.size = 0


def _write_all(descriptor: int, data: bytearray) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


@asynccontextmanager
async def new_file(path: Path) -> AsyncGenerator[FileWriter, None]:
    """Make a new file; if the body fails or is cancelled, remove it.

    Raises:
        OSError: A file exists at ``path`` already, or the system refuses.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL
    for name in ("O_BINARY", "O_CLOEXEC", "O_NOFOLLOW"):
        flags |= getattr(os, name, 0)
    descriptor = await trio.to_thread.run_sync(os.open, path, flags, 0o600)
    whole = False
    try:
        writer = FileWriter(descriptor)
        yield writer
        await writer.flush()
        whole = True
    finally:
        os.close(descriptor)
        if not whole:
            discard(path)


def discard(path: Path) -> None:
    """Remove a file, if it exists."""
    with suppress(FileNotFoundError):
        path.unlink()


class Folder:
    """The folder for the files of a client's outputs: its own one, made for the first file.

    Args:
        parent: The folder to make it in; None for the system's folder for temporary files.
    """

    def __init__(self, parent: Path | None) -> None:
        self._parent = parent
        self._made: Path | None = None
        self._making = trio.Lock()

    async def place(self, *names: str | None) -> Path:
        """Return the path for a new file, in a new folder that only this user can read."""
        async with self._making:
            if self._made is None:
                self._made = await trio.to_thread.run_sync(_make_folder, self._parent)
        made = await trio.to_thread.run_sync(lambda: tempfile.mkdtemp(dir=self._made))
        return Path(made) / safe_name(*names)

    def remove_if_empty(self) -> None:
        """Remove the folder if it contains no file."""
        if self._made is not None:
            with suppress(OSError):
                self._made.rmdir()


def _make_folder(parent: Path | None) -> Path:
    if parent is not None:
        parent.mkdir(parents=True, exist_ok=True)
        parent = parent.resolve()
    return Path(tempfile.mkdtemp(prefix="triojob-", dir=parent))


def remove(path: Path) -> None:
    """Remove a file and its folder, as `Folder.place` made it."""
    discard(path)
    with suppress(OSError):
        path.parent.rmdir()


async def download(
    http: HTTP, urls: list[str], writer: FileWriter, budget: Budget, what: str
) -> None:
    """Write a file of the app into ``writer``.

    An interrupted download is resumed up to three times, after half a second and more: from the
    break if the server marks the version of the file (``ETag``), otherwise from its start.

    Args:
        urls: Its possible URLs, the most likely one first; all on the app's own origin.
        what: The operation, for messages.

    Raises:
        NetworkError: The network failed in each attempt.
        FileTooLarge: It has more bytes than ``budget`` has left.
        UnexpectedResponse: The server refuses to send it.
    """
    transfer = _Transfer(http, writer, budget, what)
    broken = 0
    while True:
        try:
            await transfer.attempt(urls)
            return
        except NetworkError:
            broken += 1
            if broken > RESUMES:
                raise
        await trio.sleep(PAUSE * broken)


class _Transfer:
    def __init__(self, http: HTTP, writer: FileWriter, budget: Budget, what: str) -> None:
        self._http = http
        self._writer = writer
        self._budget = budget
        self._what = what
        self._version: str | None = None
        """The ETag of the file whose beginning has been written."""

    async def attempt(self, urls: list[str]) -> None:
        """Try each URL until one has the file."""
        for last, url in enumerate(urls, 1 - len(urls)):
            wanted: dict[str, str] = {}
            if self._writer.size and self._version is not None:
                wanted = {"range": f"bytes={self._writer.size}-", "if-range": self._version}
            async with await open_file(self._http, url, wanted) as response:
                if response.status in (403, 404) and last < 0:
                    continue
                await self._take(response, resumes=bool(wanted))
                return

    async def _take(self, response: Download, *, resumes: bool) -> None:
        what = self._what
        if resumes and response.status in (206, 416):
            if response.status == 416 or not self._continues(response):
                # Another range or version than requested: start again.
                self._version = None
                raise ConnectionLost(f"{what}: the file changed while it was being downloaded")
        elif response.status == 200:
            if self._writer.size:
                self._budget.give_back(self._writer.size)
                await self._writer.restart()
            version = response.headers.get("etag")
            # A weak ETag promises an equivalent file, not one with the same bytes.
            self._version = version if version and not version.startswith("W/") else None
        else:
            raise refusal(await response.refusal(), what, "")
        encoding = response.headers.get("content-encoding", "identity")
        if encoding != "identity":
            raise UnexpectedResponse(
                f"{what}: the server sent it encoded as {shorten(encoding, 50)!r}, which was not "
                "requested",
                status=response.status,
            )
        length = response.headers.get("content-length", "")
        if length.isdecimal() and len(length) < 20:
            # Only an early check: the received bytes are counted all the same.
            self._budget.check(int(length), what)
        while chunk := await response.receive():
            self._budget.take(len(chunk), what)
            await self._writer.write(chunk)

    def _continues(self, response: Download) -> bool:
        span = re.match(r"bytes ([0-9]{1,19})-", response.headers.get("content-range", ""))
        version = response.headers.get("etag")
        return (
            span is not None
            and int(span[1]) == self._writer.size
            and version in (None, self._version)
        )
