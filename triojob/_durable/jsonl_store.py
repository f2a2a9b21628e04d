"""A store of lines of JSON: one for each finished row.

The file is only appended to, each line by one write, so a killed process leaves at most one torn
line at its end, and loses no line that was written.  Every second, and at the end, the file is also
synced to the disk: if the whole machine stops, rows of its last second may be lost, and a torn line
is dropped.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from .._exceptions import StoreError
from .companion import Resumption, file_beside, open_own
from .encoding import encode_line, write_all
from .finished import BLOCK
from .outcome import parse_record
from .store import StoreFile


class JsonlStore(StoreFile):
    """A store of lines of JSON; see `StoreFile`."""

    def __init__(self, path: Path, how: Resumption) -> None:
        self._output = -1
        self._unsynced = False
        self._failure: OSError | None = None
        self._reading: BinaryIO | None = None
        self._offsets = array("q")
        """Where the line of each row begins, once a row was read; -1 for no line."""
        super().__init__(path, how)

    def _load(self, *, retry_failed: bool) -> None:
        """Read the finished rows; drop a torn line, and the rows to retry."""
        kept: BinaryIO | None = None
        scratch = self.path
        try:
            if retry_failed:
                kept, scratch = file_beside(self.path, self.path)
            end, ends_line = 0, True
            with self.path.open("rb") as file:
                for number, position, line, record in _records(file, self.path):
                    if retry_failed and record["outcome"] != "ok":
                        continue
                    self._add(number, record)
                    end, ends_line = position, line.endswith(b"\n")
                    if kept is not None:
                        kept.write(line if ends_line else line + b"\n")
            if kept is not None:
                kept.flush()
                os.fsync(kept.fileno())
                kept.close()
                scratch.replace(self.path)
                return
        finally:
            if kept is not None:
                kept.close()
                scratch.unlink(missing_ok=True)
        with self.path.open("r+b") as file:
            file.truncate(end)
            if not ends_line:
                # A complete line without its end: an editor may have removed it.
                file.seek(end)
                file.write(b"\n")

    def _add(self, number: int, record: Mapping[str, Any]) -> None:
        try:
            self.finished.add(record["row"], record["input"], ok=record["outcome"] == "ok")
        except ValueError as exc:
            raise StoreError(f"{self.path} can't be resumed: line {number}: {exc}") from None

    def _open(self) -> None:
        self._output = open_own(self.path, os.O_WRONLY | os.O_APPEND)

    def digests_of(self, block: int) -> dict[int, str]:
        """Return the digests of the finished rows of a block, from the file.

        Raises:
            OSError: It can't be read.
        """
        with self.path.open("rb") as file:
            return {
                record["row"]: record["input"]
                for _, _, _, record in _records(file, self.path)
                if record["row"] // BLOCK == block
            }

    def read(self, row: int) -> str:
        if self._reading is None:
            self._reading = self.path.open("rb")
            self.index(self._reading)
        self._reading.seek(self._offsets[row])
        # An editor may have put a byte-order mark before the first line.
        return self._reading.readline().decode("utf-8-sig")

    def index(self, file: BinaryIO) -> array[int]:
        """Read where the line of each row begins; return -1 for a row without one."""
        offsets = self._offsets = array("q")
        for _, position, line, record in _records(file, self.path):
            row = record["row"]
            if row >= len(offsets):
                offsets.extend([-1] * (row + 1 - len(offsets)))
            offsets[row] = position - len(line)
        return offsets

    def write(self, row: int, line: str) -> None:
        """Append the line of a finished row; on return, the operating system has it.

        Raises:
            OSError: It can't be written, and nothing can be written after it: its partial line must
                stay the last one, for a resumed run to drop it.
        """
        if self._failure is None:
            try:
                write_all(self._output, encode_line(line))
            except OSError as exc:
                self._failure = exc
        if self._failure is not None:
            raise OSError(self._failure.errno, self._failure.strerror, str(self.path))
        self._unsynced = True

    def sync(self) -> None:
        if self._unsynced:
            self._unsynced = False
            os.fsync(self._output)

    def _close(self) -> None:
        if self._reading is not None:
            self._reading.close()
        if self._output >= 0:
            try:
                self.sync()
            finally:
                os.close(self._output)
                self._output = -1


def _records(
    file: BinaryIO, path: Path
) -> Generator[tuple[int, int, bytes, dict[str, Any]], None, None]:
    """Yield the records of a store: the line's number, its end, the line, the record.

    A torn or invalid line at the end is left out.

    Raises:
        StoreError: There is an invalid line before the end.
    """
    broken: int | None = None
    position = 0
    for number, line in enumerate(file, 1):
        position += len(line)
        record = parse_record(line)
        if record is None:
            broken = broken or number
        elif broken is not None:
            raise StoreError(f"{path} can't be resumed: line {broken} was not written by triojob")
        else:
            yield number, position, line, record
