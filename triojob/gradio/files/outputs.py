"""A sink in front of a job's own one: it passes an output on once its files are downloaded."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import trio
from outcome import Error, Value

from ..._core.containment import contained
from ..._core.messages import (
    Finished,
    Interrupt,
    LogMessage,
    Message,
    Output,
    RenderUpdate,
    StatusUpdate,
)
from ..._core.sink import MessageSink
from ..._secrets import scrub
from ..protocol.file_marks import FileData, ReadFile
from ..protocol.translator import EditedData
from .data import files_by_edits, find_files, replace_files
from .download import Budget, Folder, download, new_file, remove
from .file import File, FileSource
from .transfer import for_each

_Shown = Mapping[tuple[str, bool], Any]
"""The replacement of each file of a call: the path of its local copy, or a `File`."""


@dataclass(frozen=True)
class OutputFiles:
    """How one client handles files in outputs.

    Args:
        read: Returns the file that an object represents, or None.
        folder: Where to save them; None to leave them with the app.
    """

    source: FileSource
    read: ReadFile
    folder: Folder | None


@dataclass(frozen=True)
class _OutputWithFiles:
    """An output that may contain files, as its job shows it."""

    output: Output
    files: OutputFiles
    shown: _Shown

    @property
    def time(self) -> datetime:
        return self.output.time

    @property
    def known_state(self) -> Any:
        return self.output.known_state

    def advance(self, state: Any, /) -> Any:
        return self.output.advance(state)

    def show(self, state: Any, /) -> Any:
        # Searched each time: keeping the paths for each output of a stream would take too much
        # memory.
        return _show(self.output.show(state), self.files, self.shown)


class _Step(NamedTuple):
    """A message to pass on, and the files that it waits for."""

    message: Message
    has_files: bool = False
    missing: Sequence[FileData] = ()


def _show(value: Any, files: OutputFiles, shown: _Shown) -> Any:
    def show(file: FileData) -> Any:
        # A file inside of another file has not been downloaded.
        return shown.get(file.key) or File(files.source, file)

    return replace_files(value, find_files(value, files.read), show)


class DownloadingSink(MessageSink):
    """Wraps a job's sink: outputs pass once their files are downloaded.

    Messages without files pass at once.  An output with files waits for them, and later messages
    wait with it, so messages keep their order.  A failed download ends the job.

    Args:
        sink: The job's own sink.
        name: The endpoint's name, for messages to people.
        components: The indexes of the components that users see, in the data of an output.
        on_status: Called with each status; None for no callback.
    """

    __slots__ = ("_changed", "_components", "_files", "_has_files", "_name", "_on_status", "_out",
                 "_over", "_shown", "_state", "_waiting")  # fmt: skip

    def __init__(
        self,
        sink: MessageSink,
        files: OutputFiles,
        name: str,
        components: Sequence[int],
        on_status: Callable[[StatusUpdate], object] | None,
    ) -> None:
        super().__init__()
        self._components = components
        self._out = sink
        self._files = files
        self._name = name
        self._state: Any = None
        """The state after the last output that was searched for files."""
        self._has_files = False
        self._shown: dict[tuple[str, bool], Any] = {}
        self._waiting: deque[_Step] = deque()
        self._changed: trio.lowlevel.ParkingLot | None = None
        self._over = False
        self._on_status = on_status

    def put(self, message: Message) -> bool:
        if self._over:
            return False
        if self._on_status is not None and isinstance(message, StatusUpdate):
            self._on_status(message)
        step = self._look_at(message)
        if not self._waiting and not step.missing:
            return self._pass(step)
        if self._changed is not None:
            self._changed.unpark_all()
        elif not self._waiting:
            self._out.put(Interrupt())  # the job's task starts `run`
        self._waiting.append(step)
        return True

    def _look_at(self, message: Message) -> _Step:
        """Find the files of a message."""
        if isinstance(message, (StatusUpdate, LogMessage, RenderUpdate, Interrupt)):
            return _Step(message)
        read = self._files.read
        if isinstance(message, EditedData):
            self._state = message.advance(self._state)
            files = [
                file
                for place in self._components
                if place < len(message.edits)
                for file in files_by_edits(message.edits[place], message.changed[place], read)
            ]
            self._has_files = self._has_files or bool(files)
        else:
            if isinstance(message, Finished):
                if not isinstance(message.outcome, Value):
                    return _Step(message)
                value = message.outcome.value
            else:
                self._state = message.advance(self._state)
                value = message.show(self._state)
            files = [file for _, file in find_files(value, read)]
            self._has_files = bool(files)
        return _Step(message, self._has_files, self._missing(files) if files else ())

    def _pass(self, step: _Step) -> bool:
        """Pass a message on; its files have been downloaded."""
        message = step.message
        if not step.has_files:
            return self._out.put(message)
        if isinstance(message, Finished):
            value = _show(message.outcome.unwrap(), self._files, self._shown)
            return self._out.put(Finished(Value(value), message.cancelled))
        assert not isinstance(message, (StatusUpdate, LogMessage, RenderUpdate, Interrupt))
        return self._out.put(_OutputWithFiles(message, self._files, self._shown))

    def _missing(self, files: list[FileData]) -> list[FileData]:
        missing: dict[tuple[str, bool], FileData] = {}
        source = self._files.source
        for file in files:
            if file.key in self._shown:
                continue
            if self._files.folder is None or file.is_stream:
                # A stream may have only begun; the server would save its current part as the whole.
                self._shown[file.key] = File(source, file)
            elif source.elsewhere(file):
                self._shown[file.key] = file.path
            else:
                missing[file.key] = file
        return list(missing.values())

    async def run(self) -> None:
        """Download the files that outputs wait for, and pass the outputs on, until cancelled."""
        self._changed = trio.lowlevel.ParkingLot()
        with contained(self._fail, self._name):
            budget = Budget(self._files.source.max_size)
            try:
                while True:
                    while not self._waiting:
                        await self._changed.park()
                    await self._hand_on(self._waiting[0], budget)
                    self._waiting.popleft()
            except OSError as exc:  # usually a local error: the disk is full, for example
                self._fail(exc)

    async def _hand_on(self, step: _Step, budget: Budget) -> None:
        fresh: list[Path] = []
        seen = False
        try:
            await self._fetch(step.missing, budget, fresh)
            self._pass(step)
            seen = True
        finally:
            if not seen:
                for path in fresh:
                    remove(path)

    def _fail(self, error: Exception) -> None:
        self._out.finish(Error(error))
        self._over = True

    async def _fetch(self, files: Sequence[FileData], budget: Budget, fresh: list[Path]) -> None:
        # Some of these may have been downloaded with an earlier output.
        missing = [file for file in files if file.key not in self._shown]
        if missing:
            source = self._files.source
            work = partial(self._download, budget=budget, fresh=fresh)
            await for_each(missing, work, at_once=source.http.transfers.total_tokens)

    async def _download(self, file: FileData, *, budget: Budget, fresh: list[Path]) -> None:
        source, folder = self._files.source, self._files.folder
        assert folder is not None
        path = await folder.place(file.orig_name, file.path)
        fresh.append(path)
        what = f"downloading {scrub(path.name)!r} of {self._name}"
        async with new_file(path) as writer:
            await download(source.http, source.urls(file), writer, budget, what)
        self._shown[file.key] = str(path)
