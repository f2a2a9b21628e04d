"""A store in a SQLite database, for access to single rows, also while the run continues.

Outcomes are written in the Trio thread: in a write-ahead log that is not synced at each commit, an
insertion takes some tens of microseconds, less than the way to a thread and back.  What takes long,
syncing the log and moving it into the database, happens once a second, in a thread and on a
connection of its own.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from .._exceptions import StoreError
from .companion import Resumption
from .finished import BLOCK
from .store import StoreFile

_SCHEMA = """
CREATE TABLE IF NOT EXISTS records (row INTEGER PRIMARY KEY, record TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS keys ON records (json_extract(record, '$.key'));
CREATE VIEW IF NOT EXISTS outcomes AS SELECT
    row,
    json_extract(record, '$.key') AS key,
    json_extract(record, '$.outcome') AS outcome,
    json_extract(record, '$.result') AS result,
    json_extract(record, '$.error.class') AS error_class,
    json_extract(record, '$.error.message') AS error_message,
    json_extract(record, '$.attempts') AS attempts,
    json_extract(record, '$.seconds') AS seconds,
    json_extract(record, '$.input') AS input
FROM records;
"""


class SqliteStore(StoreFile):
    """A store in a SQLite database; see `StoreFile`.

    The view ``outcomes`` has a row for each finished row.
    """

    def __init__(self, path: Path, how: Resumption) -> None:
        self._database: sqlite3.Connection | None = None
        self._unsynced = False
        super().__init__(path, how)

    def _connect(self) -> sqlite3.Connection:
        # `close` is called in a thread; two threads never use a connection at the same time.
        return sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)

    def _load(self, *, retry_failed: bool) -> None:
        with self._errors("be resumed"), closing(self._connect()) as database:
            database.executescript(_SCHEMA)
            if retry_failed:
                database.execute(
                    "DELETE FROM records WHERE json_extract(record, '$.outcome') != 'ok'"
                )
            found = database.execute("SELECT row, input, outcome FROM outcomes")
            for row, digest, outcome in found:
                self.finished.add(row, digest, ok=outcome == "ok")

    def _open(self) -> None:
        with self._errors("be opened"):
            database = self._database = self._connect()
            database.executescript(
                "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA wal_autocheckpoint=0;"
            )
            database.executescript(_SCHEMA)

    def digests_of(self, block: int) -> Mapping[int, str]:
        with self._errors("be read"), closing(self._connect()) as database:
            found = database.execute(
                "SELECT row, input FROM outcomes WHERE row BETWEEN ? AND ?",
                (block * BLOCK, (block + 1) * BLOCK - 1),
            )
            return dict(found.fetchall())

    def read(self, row: int) -> str:
        record: str = self._execute("be read", "SELECT record FROM records WHERE row = ?", row)
        return record

    def write(self, row: int, line: str) -> None:
        self._execute("be written", "INSERT INTO records VALUES (?, ?)", row, line)
        self._unsynced = True

    def _execute(self, what: str, statement: str, *values: object) -> Any:
        assert self._database is not None
        with self._errors(what):
            found = self._database.execute(statement, values).fetchone()
            return None if found is None else found[0]

    def sync(self) -> None:
        if self._unsynced:
            self._unsynced = False
            with self._errors("be synced"), closing(self._connect()) as database:
                database.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def _close(self) -> None:
        if self._database is not None:
            try:
                self.sync()
            finally:
                self._database.close()
                self._database = None

    @contextmanager
    def _errors(self, what: str) -> Generator[None, None, None]:
        try:
            yield
        except (sqlite3.Error, ValueError) as exc:
            raise StoreError(f"{self.path} can't {what}: {exc}") from exc
