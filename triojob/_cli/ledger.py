"""The output of ``triojob map``: a line for each finished row, and the data to resume.

The file is only appended to, each line by one write, so a killed process leaves at most one torn
line at its end, and loses no line that was written.  Every second, and at the end, the file is also
synced to the disk: if the whole machine stops, rows of its last second may be lost, and a torn line
is dropped.

A second file beside it, ``<output>.triojob``, records the inputs of the rows.  It is locked while a
process writes, and the lock ends with the process, however that ends.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
import sys
import tempfile
from bisect import bisect_right
from collections.abc import Collection, Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import trio

from ..gradio.protocol.messages import is_object
from .ending import CommandError
from .exit_codes import LOCAL
from .terminal import encode_line, to_json, write_all

SYNC_SECONDS = 1.0
BLOCK = 256
"""Rows per sum of digests, so that a resumed run can verify its input without each digest."""
_MODULUS = 2**64


def digest_of(arguments: Mapping[str, Any]) -> str:
    """Return a digest of a row's arguments: 16 hexadecimal digits."""
    text = json.dumps(arguments, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.blake2b(text.encode("utf-8", "backslashreplace"), digest_size=8).hexdigest()


class Intervals:
    """A set of mostly consecutive numbers, stored as the beginnings and ends of its ranges."""

    def __init__(self) -> None:
        self._edges: list[int] = []
        """Alternating beginnings and ends: [0, 5, 7, 8] is 0 to 4, and 7."""
        self.count = 0

    @property
    def last(self) -> int:
        """The largest number; -1 if the set is empty."""
        return self._edges[-1] - 1 if self._edges else -1

    def __contains__(self, number: int) -> bool:
        return bisect_right(self._edges, number) % 2 == 1

    def add(self, number: int) -> None:
        """Add a number, if it is not in the set yet."""
        edges = self._edges
        place = bisect_right(edges, number)
        if place % 2 == 1:
            return
        self.count += 1
        # Adjacent to the range before, the range after, both or none.
        before = place > 0 and edges[place - 1] == number
        after = place < len(edges) and edges[place] == number + 1
        low = place - 1 if before else place
        high = place + 1 if after else place
        edges[low:high] = [*([] if before else [number]), *([] if after else [number + 1])]


@dataclass
class Finished:
    """The rows that an output contains."""

    rows: Intervals = field(default_factory=Intervals)
    failed: int = 0
    """How many of them have failed."""
    sums: dict[int, int] = field(default_factory=dict[int, int])
    """The sum of the digests of the finished rows of each block."""

    def add(self, row: int, digest: str, *, ok: bool) -> None:
        """Note a row.

        Raises:
            ValueError: It is there already, or the digest is invalid.
        """
        if row in self.rows:
            raise ValueError(f"row {row} appears twice")
        self.rows.add(row)
        self.failed += not ok
        block = row // BLOCK
        self.sums[block] = (self.sums.get(block, 0) + int(digest, 16)) % _MODULUS

    def has_digests(self, block: int, digests: list[str]) -> bool:
        """Return whether the finished rows of a block have these digests."""
        return sum(int(digest, 16) for digest in digests) % _MODULUS == self.sums.get(block, 0)


class Ledger:
    """The output file and its companion file, opened for writing and locked.

    Args:
        path: The output.
        made_by: The inputs of the rows: strings by their names, as an error shows them.
        may_differ: The names of the inputs that can differ from the earlier run.
        resume: Whether to continue an existing output.
        retry_failed: Whether to remove the failed rows from it first.

    Raises:
        CommandError: The output exists and must not be changed: another process writes it, it is
            not triojob's, or it has other inputs.
        OSError: It can't be read or written.
    """

    is_screen = False
    """Whether it is a terminal."""

    def __init__(
        self,
        path: str,
        made_by: Mapping[str, str],
        *,
        may_differ: Collection[str] = (),
        resume: bool = False,
        retry_failed: bool = False,
    ) -> None:
        self.path = Path(path)
        self._made_by = {"version": "1", **made_by}
        self._may_differ = may_differ
        self.finished = Finished()
        self._notes = self.path.with_name(f"{self.path.name}.triojob")
        self._unsynced = False
        self._failure: OSError | None = None
        self._output = -1
        if self._has_rows() and not self._notes.exists():
            # Leave no companion file beside a foreign output.
            raise self._refusal("is missing") if resume else self._is_there()
        self._lock = _open(self._notes, os.O_RDWR)
        try:
            _lock(self._lock, self.path)
            self._check_is_ours()
            if self._has_rows():
                if not resume:
                    raise self._is_there()
                self._check()
                self._read(retry_failed=retry_failed)
            else:
                # Complete before the first row that depends on it.
                _rewrite(self._lock, encode_line(to_json(self._made_by)))
            self._output = _open(self.path, os.O_WRONLY | os.O_APPEND)
            _sync_folder(self.path)
        except BaseException:
            self.close()
            raise

    def _has_rows(self) -> bool:
        return self.path.exists() and self.path.stat().st_size > 0

    def _is_there(self) -> CommandError:
        return CommandError(
            f"{self.path} already has rows; add --resume, or choose another --output"
        )

    def _refusal(self, wrong: str) -> CommandError:
        return CommandError(
            f"{self.path} can't be resumed: its companion file {self._notes.name}, "
            f"which records the inputs of its rows, {wrong}"
        )

    def _check_is_ours(self) -> None:
        """Refuse to overwrite a foreign file beside the output."""
        begin = self._notes.read_bytes()[: len(_BEGIN)]
        # A killed process may have left only the beginning.
        if not _BEGIN.startswith(begin):
            raise CommandError(
                f"{self._notes} was not made by `triojob map`; move it, or choose another --output",
                LOCAL,
            )

    def _check(self) -> None:
        """Refuse an output whose rows have other inputs."""
        try:
            notes = json.loads(self._notes.read_bytes())
        except ValueError:
            notes = None
        if not is_object(notes):
            raise self._refusal("is broken")
        for name, now in self._made_by.items():
            if notes.get(name) != now and name not in self._may_differ:
                raise CommandError(
                    f"{self.path} can't be resumed: its rows were made with {name} "
                    f"{notes.get(name)!r}, but this run has {now!r}; choose another --output"
                )

    def _read(self, *, retry_failed: bool) -> None:
        """Read the rows of the output; drop a torn line, and the rows to retry."""
        kept: BinaryIO | None = None
        scratch = self.path
        try:
            if retry_failed:
                kept, scratch = _file_beside(self.path)
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
            raise CommandError(
                f"{self.path} can't be resumed: line {number}: {exc}", LOCAL
            ) from None

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

    def write(self, record: Mapping[str, Any]) -> None:
        """Append the line of a finished row; on return, the operating system has it.

        Raises:
            OSError: It can't be written, and nothing can be written after it: its partial line must
                stay the last one, for a resumed run to drop it.
        """
        if self._failure is None:
            try:
                write_all(self._output, encode_line(to_json(record)))
            except OSError as exc:
                self._failure = exc
        if self._failure is not None:
            raise OSError(self._failure.errno, self._failure.strerror, str(self.path))
        self._unsynced = True

    async def flush(self) -> None:
        """Return at once: all lines have been passed to the operating system."""

    async def keep_synced(self) -> None:
        """Sync to the disk every second, until cancelled."""
        while True:
            await trio.sleep(SYNC_SECONDS)
            await trio.to_thread.run_sync(self.sync)

    def sync(self) -> None:
        """Sync the written lines to the disk."""
        if self._unsynced:
            self._unsynced = False
            os.fsync(self._output)

    def close(self) -> None:
        """Sync, close, and release the lock."""
        try:
            if self._output >= 0:
                self.sync()
                os.close(self._output)
        finally:
            self._output = -1
            os.close(self._lock)


def _records(
    file: BinaryIO, path: Path
) -> Generator[tuple[int, int, bytes, dict[str, Any]], None, None]:
    """Yield the records of an output: the line's number, its end, the line, the record.

    A torn or invalid line at the end is left out.

    Raises:
        CommandError: There is an invalid line before the end.
    """
    broken: int | None = None
    position = 0
    for number, line in enumerate(file, 1):
        position += len(line)
        record = _record(line)
        if record is None:
            broken = broken or number
        elif broken is not None:
            raise CommandError(
                f"{path} can't be resumed: line {broken} was not written by `triojob map`", LOCAL
            )
        else:
            yield number, position, line, record


def _record(line: bytes) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not is_object(record) or not isinstance(record.get("outcome"), str):
        return None
    row, digest = record.get("row"), record.get("input")
    is_whole = type(row) is int and row >= 0 and isinstance(digest, str)
    return record if is_whole else None


_BEGIN = b'{"version": '
"""The beginning of a companion file."""
_FLAGS = os.O_CREAT | sum(getattr(os, f"O_{name}", 0) for name in ("BINARY", "CLOEXEC", "NOFOLLOW"))


def _open(path: Path, flags: int) -> int:
    """Open one of triojob's files, or create it.

    Raises:
        CommandError: It is a symbolic link.
    """
    try:
        return os.open(path, flags | _FLAGS, 0o666)
    except OSError as exc:
        if exc.errno != errno.ELOOP:
            raise
        raise CommandError(
            f"{path} is a symbolic link, and triojob follows no links to write; name the file "
            "itself",
            LOCAL,
        ) from None


def _file_beside(path: Path) -> tuple[BinaryIO, Path]:
    """Create a file that replaces another one; its name is not in use."""
    descriptor, name = tempfile.mkstemp(".new", f".{path.name}.", path.parent)
    if os.name == "posix":
        os.fchmod(descriptor, stat.S_IMODE(path.stat().st_mode))
    return os.fdopen(descriptor, "wb"), Path(name)


def _rewrite(descriptor: int, data: bytes) -> None:
    os.ftruncate(descriptor, 0)
    os.lseek(descriptor, 0, os.SEEK_SET)
    write_all(descriptor, data)
    os.fsync(descriptor)


def _sync_folder(path: Path) -> None:
    """Sync the file's name to the disk, where a folder can be synced."""
    if os.name == "posix":
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _in_use(path: Path) -> CommandError:
    return CommandError(
        f"another process is writing {path}; wait for it to end, or choose another --output", LOCAL
    )


if sys.platform == "win32":
    import msvcrt

    _FAR = 2**30
    """Past the end: on Windows, other processes can't read a locked range."""

    def _lock(descriptor: int, path: Path) -> None:
        os.lseek(descriptor, _FAR, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            raise _in_use(path) from None

else:
    import fcntl

    def _lock(descriptor: int, path: Path) -> None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _in_use(path) from None
