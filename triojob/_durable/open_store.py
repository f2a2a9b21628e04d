"""Opens the store that a path names, by its suffix."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from .companion import Resumption
from .store import StoreFile

_STORES = {
    ".parquet": ("parquet_store", "ParquetStore"),
    ".db": ("sqlite_store", "SqliteStore"),
    ".sqlite": ("sqlite_store", "SqliteStore"),
    ".sqlite3": ("sqlite_store", "SqliteStore"),
}
"""The modules and classes of stores by suffix; they are imported on first use."""


def open_store(path: Path, how: Resumption) -> StoreFile:
    """Open a store, or create it; a suffix that names no other store means lines of JSON.

    Blocks: it reads a store that exists.

    Raises:
        StoreMismatch, StoreError, OSError: As for `StoreFile`.
        MissingDependency: The store needs a library that is not installed.
    """
    module, name = _STORES.get(path.suffix.lower(), ("jsonl_store", "JsonlStore"))
    store: type[StoreFile] = getattr(import_module(f".{module}", __package__), name)
    return store(path, how)
