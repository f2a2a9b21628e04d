"""`File`: a file that stays with the app until you fetch it."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Generator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, contextmanager
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import final

import trio

from ..._core.runs import require_task
from ..._exceptions import ClientClosed, UnexpectedResponse
from ..._secrets import scrub
from ..http.client import HTTP
from ..http.files import Download, file_url, open_file
from ..http.urls import same_origin
from ..protocol.file_marks import FileData
from ..protocol.refusals import refusal
from .download import Budget, download, new_file
from .hls import Playlist, parse_playlist
from .names import safe_name

_POLL = 0.5
"""Seconds between two requests for a stream's playlist: Gradio does not announce changes."""


class FileSource:
    """The settings that the files of one client share.

    Args:
        max_size: The maximum bytes of one file, `math.inf` for no limit.
        guard: Cancels a scope when the client ends.
    """

    def __init__(
        self,
        http: HTTP,
        max_size: float,
        guard: Callable[[trio.CancelScope], AbstractContextManager[None]],
    ) -> None:
        self.http = http
        self.max_size = max_size
        self._guard = guard

    @contextmanager
    def open_for(self, what: str) -> Generator[None, None, None]:
        """Cancel the body when the client ends.

        Raises:
            ClientClosed: The client has ended.
            RuntimeError: The client belongs to another Trio run.
        """
        require_task(what, self.http.token)
        with trio.CancelScope() as scope, self._guard(scope):
            yield
        if scope.cancelled_caught:
            raise ClientClosed(f"{what}: the client has been closed")

    def elsewhere(self, file: FileData) -> bool:
        """Return whether a file is on another server, which never receives a request."""
        return _is_url(file.path) and not same_origin(file.path, self.http.base)

    def urls(self, file: FileData) -> list[str]:
        """Return the possible URLs of a file on the app's origin, the most likely one first."""
        if _is_url(file.path):
            return [file.path]
        if file.is_stream:
            merged = _is_playlist(file)
            folder = PurePosixPath(file.path).parent
            path = str(folder / "playlist-file") if merged else file.path
            return [file_url(self.http, "/stream/", path)]
        urls = [file_url(self.http, "/file=", file.path)]
        # If an app shows another app (gr.load), only the server knows the address.
        if file.url is not None and _is_url(file.url) and same_origin(file.url, self.http.base):
            urls += [file.url] if file.url not in urls else []
        return urls


def _is_url(text: str) -> bool:
    return text.lower().startswith(("http://", "https://"))


def _is_playlist(file: FileData) -> bool:
    return file.path.endswith(".m3u8")


@final
class File:
    """A file of an app's output that is still with the app.

    With ``Client(download_files=False)``, outputs contain `File` objects in the place of files;
    streams of audio and video (`is_stream`) always do.  Its attributes are the server's unverified
    data.  It can be read while the client is open.
    """

    def __init__(self, source: FileSource, data: FileData) -> None:
        self._source = source
        self._data = data

    @property
    def name(self) -> str:
        """The file's name in a safe form, which is one component of a path on every system."""
        return safe_name(self._data.orig_name, self._data.path)

    @property
    def size(self) -> int | None:
        """Its size in bytes, if the server reports it."""
        return self._data.size

    @property
    def mime_type(self) -> str | None:
        """Its MIME type, if the server reports it."""
        return self._data.mime_type

    @property
    def path(self) -> str:
        """Its path on the server."""
        return self._data.path

    @property
    def url(self) -> str:
        """Its URL; if the app requires a login, only this client can fetch it."""
        return self._source.urls(self._data)[0]

    @property
    def is_stream(self) -> bool:
        """Whether it is a stream, which may still grow; see `segments`."""
        return self._data.is_stream

    async def save(self, target: str | os.PathLike[str]) -> Path:
        """Download it; return the path of the whole file.

        For a stream, this is the file that the app makes of its segments.
        An interrupted download is resumed up to three times.
        Being cancelled ends it, and removes the partial file.

        Args:
            target: A folder, in which the file gets its `name` and nothing is overwritten; or the
                path for the file, where the whole file replaces an existing one.

        Raises:
            FileExistsError: The folder has a file of that name.
            OSError: It can't be written.
            FileTooLarge: It has more bytes than `Limits.download_size`.
            UnexpectedResponse: The server refuses to send it.
            NetworkError: The network failed.
            ClientClosed: The client has been closed.
        """
        require_task("File.save()")
        path = Path(target)
        into_folder = await trio.to_thread.run_sync(path.is_dir)
        if into_folder:
            path /= self.name
        # The final name is for the whole file only: until then it has another one.
        partial = path if into_folder else path.with_name(f".{uuid.uuid4().hex}.part")
        what = f"downloading {self._shown}"
        source = self._checked(what)
        with source.open_for(what):
            async with new_file(partial) as sink:
                urls = source.urls(self._data)
                await download(source.http, urls, sink, Budget(source.max_size), what)
        if partial is not path:
            try:
                partial.replace(path)
            except BaseException:
                partial.unlink()
                raise
        return path

    def open(self) -> AbstractAsyncContextManager[trio.abc.ReceiveStream]:
        """Read it without saving it: ``async with file.open() as stream``.

        The stream yields the bytes as they arrive, by ``async for chunk in stream`` or ``await
        stream.receive_some()``.  If the connection breaks, it raises `NetworkError`.
        An open stream counts toward `Limits.transfers`.

        Raises:
            UnexpectedResponse: The server refuses to send it.
            NetworkError: The network failed.
        """
        what = f"reading {self._shown}"
        return _Opening(self._checked(what), self._data, what)

    def segments(self) -> SegmentIterator:
        """Iterate over the segments of a stream (`bytes`), from the first, as the app makes them.

        The loop ends with the stream.  Streams of apps before Gradio 5 have no segments: `open`
        yields their bytes as they arrive.

        Raises:
            TypeError: This is not a stream with segments.
        """
        if not (self._data.is_stream and _is_playlist(self._data)):
            raise TypeError(f"{self._shown} is not a stream of segments; use save() or open()")
        what = f"following {self._shown}"
        return SegmentIterator(self._checked(what), self._data, what)

    @property
    def _shown(self) -> str:
        """Its name, as messages show it."""
        return repr(scrub(self.name))

    def _checked(self, what: str) -> FileSource:
        if self._source.elsewhere(self._data):
            raise UnexpectedResponse(
                f"{what}: it is on another server, to which this client sends no requests; "
                "download its url by other means"
            )
        return self._source

    def __repr__(self) -> str:
        size = "" if self.size is None else f" {self.size} bytes"
        kind = " stream" if self.is_stream else ""
        return f"<File {self._shown}{size}{kind}>"


class _Opening(AbstractAsyncContextManager["trio.abc.ReceiveStream"]):
    def __init__(self, source: FileSource, data: FileData, what: str) -> None:
        self._source = source
        self._data = data
        self._what = what
        self._stream: FileStream | None = None

    async def __aenter__(self) -> FileStream:
        self._stream = await _open(self._source, self._data, self._what)
        return self._stream

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._stream is not None:
            await self._stream.aclose()


async def _open(source: FileSource, data: FileData, what: str) -> FileStream:
    with source.open_for(what):
        urls = source.urls(data)
        for last, url in enumerate(urls, 1 - len(urls)):
            response = await open_file(source.http, url, {})
            try:
                if response.status == 200:
                    return FileStream(source, response, what)
                if last == 0 or response.status not in (403, 404):
                    raise refusal(await response.refusal(), what, "")
            except BaseException:
                await response.aclose()
                raise
            await response.aclose()
    raise AssertionError("there is always one URL")


class FileStream(trio.abc.ReceiveStream):
    """The bytes of a file as they arrive."""

    def __init__(self, source: FileSource, response: Download, what: str) -> None:
        self._source = source
        self._response = response
        self._what = what
        self._budget = Budget(source.max_size)
        self._rest = memoryview(b"")
        """Bytes that were received and not returned yet; a view, whose slices don't copy the rest.
        """
        self._closed = False

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Return some bytes, at most ``max_bytes``; empty at the end."""
        if max_bytes is not None and max_bytes < 1:
            raise ValueError("max_bytes must be at least 1")
        await trio.lowlevel.checkpoint_if_cancelled()
        if self._closed:
            raise trio.ClosedResourceError("this file has been closed, or its download has failed")
        if not self._rest:
            whole = False
            try:
                with self._source.open_for(self._what):
                    self._rest = memoryview(await self._response.receive())
                self._budget.take(len(self._rest), self._what)
                whole = True
            finally:
                self._closed = not whole
        chunk = bytes(self._rest[:max_bytes])
        self._rest = self._rest[len(chunk) :]
        return chunk

    async def aclose(self) -> None:
        """Close it."""
        self._closed = True
        await self._response.aclose()
        await trio.lowlevel.checkpoint()


@final
class SegmentIterator:
    """The segments of a stream; it is a class, so that leaving the loop early needs no cleanup."""

    def __init__(self, source: FileSource, data: FileData, what: str) -> None:
        self._source = source
        self._what = what
        self._data = data
        self._next = 0
        self._looked = False
        self._playlist = Playlist((), ended=False)

    def __aiter__(self) -> SegmentIterator:
        return self

    async def __anext__(self) -> bytes:
        """Wait for the next segment.

        Raises:
            UnexpectedResponse: The server does not know the stream, or has removed it.
            ProtocolError: The playlist is invalid.
            NetworkError: The network failed.
            ClientClosed: The client has been closed.
        """
        segment: bytes | None = None
        with self._source.open_for(self._what):
            await trio.lowlevel.checkpoint()
            while not self._playlist.ended and self._next >= len(self._playlist.segments):
                if self._looked:
                    await trio.sleep(_POLL)
                self._looked = True
                name = PurePosixPath(self._data.path).name
                self._playlist = parse_playlist(await self._get(name))
            if self._next < len(self._playlist.segments):
                segment = await self._get(self._playlist.segments[self._next])
        if segment is None:
            raise StopAsyncIteration
        self._next += 1
        return segment

    async def _get(self, name: str) -> bytes:
        http = self._source.http
        path = str(PurePosixPath(self._data.path).parent / name)
        url = file_url(http, "/stream/", path).removeprefix(http.url(""))
        response = await http.request("GET", f"/{url.lstrip('/')}", limiter=http.requests)
        if response.status != 200:
            raise refusal(response, self._what, "")
        return response.body
