"""The output of ``triojob map``: a line for each finished row, and what it takes to resume.

The file is only ever appended to, a whole line by one write, so a process that is killed leaves at
most one torn line at its end, and no line that was written gets lost.  Every second, and at the
end, the file is also synced to the disk: when the whole machine stops, rows of its last second may
be lost, and what half of a line is left is dropped.

A second file beside it, ``<output>.triojob``, says what the rows were made by.  It is locked while
a process writes, and the lock goes with the process, however that ends.
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
"""Rows whose digests are added up, so that a resumed run knows its input without keeping each."""
_MODULUS = 2**64


def digest_of(arguments: Mapping[str, Any]) -> str:
    """Return what stands for a row's arguments: 16 hexadecimal digits."""
    text = json.dumps(arguments, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.blake2b(text.encode("utf-8", "backslashreplace"), digest_size=8).hexdigest()


class Intervals:
    """A set of numbers that are mostly consecutive, kept as where runs of them begin and end."""

    def __init__(self) -> None:
        self._edges: list[int] = []
        """Begins and ends in turn: [0, 5, 7, 8] is 0 to 4, and 7."""
        self.count = 0

    @property
    def last(self) -> int:
        """The greatest number; -1 if there is none."""
        return self._edges[-1] - 1 if self._edges else -1

    def __contains__(self, number: int) -> bool:
        return bisect_right(self._edges, number) % 2 == 1

    def add(self, number: int) -> None:
        """Add a number, if it is not in yet."""
        edges = self._edges
        place = bisect_right(edges, number)
        if place % 2 == 1:
            return
        self.count += 1
        # Touching what is before, what is after, both or none.
        before = place > 0 and edges[place - 1] == number
        after = place < len(edges) and edges[place] == number + 1
        low = place - 1 if before else place
        high = place + 1 if after else place
        edges[low:high] = [*([] if before else [number]), *([] if after else [number + 1])]


@dataclass
class Finished:
    """Which rows an output has."""

    rows: Intervals = field(default_factory=Intervals)
    failed: int = 0
    """How many of them have failed."""
    sums: dict[int, int] = field(default_factory=dict[int, int])
    """The digests of the finished rows of each block, added up."""

    def add(self, row: int, digest: str, *, ok: bool) -> None:
        """Note a row.

        Raises:
            ValueError: It is there already, or the digest is none.
        """
        if row in self.rows:
            raise ValueError(f"row {row} appears twice")
        self.rows.add(row)
        self.failed += not ok
        block = row // BLOCK
        self.sums[block] = (self.sums.get(block, 0) + int(digest, 16)) % _MODULUS

    def has_digests(self, block: int, digests: list[str]) -> bool:
        """Tell whether the finished rows of a block have these digests."""
        return sum(int(digest, 16) for digest in digests) % _MODULUS == self.sums.get(block, 0)


class Ledger:
    """The output file and the one beside it, opened for writing and locked.

    Args:
        path: The output.
        made_by: What the rows are made by: strings by their names, as an error shows them.
        may_differ: The names of those that may have changed since.
        resume: Whether to go on with an output that is there.
        retry_failed: Whether to take the rows that have failed out of it first.

    Raises:
        CommandError: It is there and must not be touched: another process writes it, it is not
            ours, or it was made by something else.
        OSError: It can't be read or written.
    """

    is_screen = False
    """Whether it is a terminal that people look at."""

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
            # Leave no file of ours beside one that is none.
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
                # Whole before there is a row that it speaks of.
                _rewrite(self._lock, encode_line(to_json(self._made_by)))
            self._output = _open(self.path, os.O_WRONLY | os.O_APPEND)
            _sync_folder(self.path)
        except BaseException:
            self.close()
            raise

    def _has_rows(self) -> bool:
        return self.path.exists() and self.path.stat().st_size > 0

    def _is_there(self) -> CommandError:
        return CommandError(f"{self.path} has rows already: add --resume, or name another --output")

    def _refusal(self, wrong: str) -> CommandError:
        return CommandError(
            f"{self.path} can't be resumed: {self._notes.name} beside it, "
            f"which says what its rows were made by, {wrong}"
        )

    def _check_is_ours(self) -> None:
        """Refuse to write over a file that somebody else has put beside the output."""
        begin = self._notes.read_bytes()[: len(_BEGIN)]
        # A process that was killed may have left the beginning.
        if not _BEGIN.startswith(begin):
            raise CommandError(
                f"{self._notes} was not made by `triojob map`: move it away, or name another "
                "--output",
                LOCAL,
            )

    def _check(self) -> None:
        """Refuse an output whose rows were made by something else."""
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
                    f"{notes.get(name)!r}, which is now {now!r}; name another --output"
                )

    def _read(self, *, retry_failed: bool) -> None:
        """Read which rows there are; drop what is torn, and what is to be called again."""
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
                # All of a line but its end: an editor may have taken that away.
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
        """Append the line of a finished row, which the system has when this returns.

        Raises:
            OSError: It can't be written, nor can anything after that: what was written of it has
                to stay the last, for a resume to drop it.
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
        """Return at once: what was written is out of this process."""

    async def keep_synced(self) -> None:
        """Sync to the disk every second, until cancelled."""
        while True:
            await trio.sleep(SYNC_SECONDS)
            await trio.to_thread.run_sync(self.sync)

    def sync(self) -> None:
        """Have on the disk what was written."""
        if self._unsynced:
            self._unsynced = False
            os.fsync(self._output)

    def close(self) -> None:
        """Sync, close, and let others write."""
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
    """Yield the records of an output: the line's number, where it ends, the line, what it says.

    What is torn or garbage at the end is left out.

    Raises:
        CommandError: There is garbage before the end.
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
                f"{path} can't be resumed: line {broken} is none of `triojob map`", LOCAL
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
"""How our own notes begin."""
_FLAGS = os.O_CREAT | sum(getattr(os, f"O_{name}", 0) for name in ("BINARY", "CLOEXEC", "NOFOLLOW"))


def _open(path: Path, flags: int) -> int:
    """Open a file of ours, or make it.

    Raises:
        CommandError: It is a symbolic link.
    """
    try:
        return os.open(path, flags | _FLAGS, 0o666)
    except OSError as exc:
        if exc.errno != errno.ELOOP:
            raise
        raise CommandError(f"{path} is a symbolic link, which is not followed", LOCAL) from None


def _file_beside(path: Path) -> tuple[BinaryIO, Path]:
    """Make a file that takes the place of another one; no file is there by its name."""
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
    """Have the file's name on the disk, where a folder can be synced."""
    if os.name == "posix":
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _in_use(path: Path) -> CommandError:
    return CommandError(f"another process is writing {path}", LOCAL)


if sys.platform == "win32":
    import msvcrt

    _FAR = 2**30
    """Past the end: what is locked on Windows can't be read by others."""

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
