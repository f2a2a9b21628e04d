"""`Store`: where a durable run keeps the outcomes of its rows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path

from .._exceptions import StoreError, StoreMismatch
from .companion import (
    CompanionFile,
    Resumption,
    companion_of,
    is_link,
    sync_folder,
    unusable,
)
from .finished import FinishedRows


class Store(ABC):
    """The outcomes of rows, each as a line of JSON.

    The methods that read or write the disk are called in threads, except for `write` and `read`,
    which are short.
    """

    finished: FinishedRows
    """The rows of earlier runs."""

    @abstractmethod
    def write(self, row: int, line: str) -> None:
        """Store an outcome; on return, the operating system has it.

        Raises:
            OSError, StoreError: It can't be written, and nothing can be written after it.
        """

    @abstractmethod
    def read(self, row: int) -> str:
        """Return the outcome of a finished row."""

    @abstractmethod
    def digests_of(self, block: int) -> Mapping[int, str]:
        """Return the digests of the finished rows of a block, by row."""

    def sync(self) -> None:  # noqa: B027 - a pipe has no disk
        """Sync the stored outcomes to the disk."""

    def finish(self) -> None:  # noqa: B027 - most stores are complete at any time
        """Complete the store, once all rows are finished."""

    @abstractmethod
    def close(self) -> None:
        """Sync, close, and release what the store holds."""


class StoreFile(Store):
    """A store that is a file, with a companion file beside it.

    Args:
        path: The file.
        how: How to continue it.

    Raises:
        StoreMismatch: It has rows, which have other inputs or are not to be continued.
        StoreError: It can't be used: another process writes it, or it is not triojob's.
        OSError: It can't be read or written.
    """

    def __init__(self, path: Path, how: Resumption) -> None:
        self.path = path
        self.finished = FinishedRows()
        # Before anything is read or written: `open_own` refuses only what is there by then.
        if path.is_symlink():
            raise is_link(path)
        if path.exists() and not path.is_file():
            raise StoreError(f"{path} is not a file; choose another store=")
        if self._has_rows() and not companion_of(path).exists():
            # Leave no companion file beside a foreign file.
            raise unusable(path, "is missing") if how.resume else self._is_there()
        self._companion = CompanionFile(path)
        try:
            if self._has_rows():
                if not how.resume:
                    raise self._is_there()
                self._companion.check(how)
                self._load(retry_failed=how.retry_failed)
            else:
                self._companion.write(how.made_by)
            self._open()
            sync_folder(path)
        except BaseException:
            self.close()
            raise

    def _has_rows(self) -> bool:
        return self.path.exists() and self.path.stat().st_size > 0

    def _is_there(self) -> StoreMismatch:
        return StoreMismatch(
            f"{self.path} already has rows; pass resume=True, or choose another store="
        )

    @abstractmethod
    def _load(self, *, retry_failed: bool) -> None:
        """Read which rows are finished; remove incomplete ones, and those to retry."""

    @abstractmethod
    def _open(self) -> None:
        """Open the file for writing."""

    @abstractmethod
    def _close(self) -> None:
        """Sync and close the file, if it is open."""

    def close(self) -> None:
        """Sync, close, and release the lock."""
        try:
            self._close()
        finally:
            self._companion.close()
