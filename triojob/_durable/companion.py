"""The file beside a store, ``<store>.triojob``: the inputs of its rows, and a lock."""

from __future__ import annotations

import errno
import json
import os
import stat
import sys
import tempfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from .._exceptions import StoreError, StoreMismatch
from ..gradio.protocol.messages import is_object
from .encoding import encode_line, to_json, write_all


@dataclass(frozen=True)
class Resumption:
    """How a run continues what its store contains."""

    made_by: Mapping[str, str]
    """The inputs that are the same for each row: strings by their names, as an error shows them."""
    may_differ: Collection[str] = ()
    """The names of the inputs that can differ from the earlier run."""
    resume: bool = True
    """Whether to continue a store that has rows."""
    retry_failed: bool = False
    """Whether to remove the failed rows from it first."""


class CompanionFile:
    """The file beside a store, locked while a process writes that store.

    The lock ends with the process, however that ends.

    Raises:
        StoreError: Another process has locked it, or it is not triojob's.
        OSError: It can't be opened.
    """

    def __init__(self, store: Path) -> None:
        self._store = store
        self.path = companion_of(store)
        self._descriptor = open_own(self.path, os.O_RDWR)
        try:
            _lock(self._descriptor, store)
            self._check_is_ours()
        except BaseException:
            self.close()
            raise

    def _check_is_ours(self) -> None:
        """Refuse to overwrite a foreign file."""
        begin = self.path.read_bytes()[: len(_BEGIN)]
        # A killed process may have left only the beginning.
        if not _BEGIN.startswith(begin):
            raise StoreError(
                f"{self.path} was not made by triojob; move it, or choose another store="
            )

    def write(self, made_by: Mapping[str, str]) -> None:
        """Record the inputs of the rows, before the first row that depends on them."""
        os.ftruncate(self._descriptor, 0)
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        write_all(self._descriptor, encode_line(to_json({"version": _VERSION, **made_by})))
        os.fsync(self._descriptor)

    def check(self, how: Resumption) -> None:
        """Refuse a store whose rows have other inputs.

        Raises:
            StoreMismatch: They have.
        """
        try:
            found = json.loads(self.path.read_bytes())
        except ValueError:
            found = None
        if not is_object(found):
            raise unusable(self._store, "is broken")
        for name, now in {"version": _VERSION, **how.made_by}.items():
            if found.get(name) != now and name not in how.may_differ:
                raise StoreMismatch(
                    f"{self._store} can't be resumed: its rows were made with {name} "
                    f"{found.get(name)!r}, but this run has {now!r}; choose another store="
                )

    def close(self) -> None:
        """Release the lock."""
        os.close(self._descriptor)


def companion_of(store: Path) -> Path:
    """Return the path of a store's companion file."""
    return store.with_name(f"{store.name}.triojob")


def unusable(store: Path, wrong: str) -> StoreMismatch:
    """Return the error for a store without a valid companion file."""
    return StoreMismatch(
        f"{store} can't be resumed: its companion file {companion_of(store).name}, "
        f"which records the inputs of its rows, {wrong}"
    )


_VERSION = "1"
_BEGIN = b'{"version": '
"""The beginning of a companion file."""
_FLAGS = os.O_CREAT | sum(getattr(os, f"O_{name}", 0) for name in ("BINARY", "CLOEXEC", "NOFOLLOW"))


def open_own(path: Path, flags: int) -> int:
    """Open one of triojob's files, or create it; return its descriptor.

    Raises:
        StoreError: It is a symbolic link.
        OSError: It can't be opened.
    """
    try:
        return os.open(path, flags | _FLAGS, 0o666)
    except OSError as exc:
        if exc.errno != errno.ELOOP:
            raise
        raise is_link(path) from None


def is_link(path: Path) -> StoreError:
    """Return the error for a symbolic link in the place of a file to write."""
    return StoreError(
        f"{path} is a symbolic link, and triojob follows no links to write; name the file itself"
    )


def file_beside(path: Path, like: Path) -> tuple[BinaryIO, Path]:
    """Create a file that replaces one of triojob's; its name is not in use.

    Args:
        path: The file that it will replace.
        like: The file whose mode it gets.
    """
    descriptor, name = tempfile.mkstemp(".new", f".{path.name}.", path.parent)
    if os.name == "posix":
        os.fchmod(descriptor, stat.S_IMODE(like.stat().st_mode))
    return os.fdopen(descriptor, "wb"), Path(name)


def sync_folder(path: Path) -> None:
    """Sync the file's name to the disk, where a folder can be synced."""
    if os.name == "posix":
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _in_use(path: Path) -> StoreError:
    return StoreError(
        f"another process is writing {path}; wait for it to end, or choose another store="
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
