"""A store that ends as a Parquet file: a journal of lines of JSON, and the file made of it.

A Parquet file can't be appended to: until its end is written, nothing can read it.  So outcomes go
to a journal, ``<store>.jsonl``, which survives a kill and is what a later run resumes.  Once all
rows are finished, the Parquet file is made of it, in the order of the rows.
"""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from .._exceptions import MissingDependency, StoreError
from .companion import Resumption, file_beside, sync_folder, unusable
from .encoding import to_json
from .jsonl_store import JsonlStore

_BATCH = 4096
"""Rows per row group."""
_TYPES: dict[type[object], str] = {bool: "bool_", int: "int64", float: "float64", str: "string"}
"""The types of columns whose values all have one type."""
_JSON = {"triojob": "json"}
"""Marks the columns of other values: each is a text of JSON."""


class ParquetStore(JsonlStore):
    """A store that ends as a Parquet file; see `StoreFile`.

    Raises:
        MissingDependency: pyarrow is not installed.
    """

    def __init__(self, path: Path, how: Resumption) -> None:
        self._target = path
        try:
            # Not with import statements: the library has no types.
            self._arrow: Any = importlib.import_module("pyarrow")
            self._parquet: Any = importlib.import_module("pyarrow.parquet")
        except ImportError:
            raise MissingDependency(
                "writing Parquet needs pyarrow, which is not installed; "
                "install it with: pip install 'triojob[parquet]'"
            ) from None
        journal = path.with_name(f"{path.name}.jsonl")
        if path.exists():
            if not journal.exists():
                raise unusable(journal, "is missing")
            self._refuse_other_file()
        super().__init__(journal, how)

    def _refuse_other_file(self) -> None:
        """Refuse to replace what no durable run wrote.

        Raises:
            StoreError: It is another file.
        """
        try:
            names = self._parquet.read_schema(self._target).names
        except (self._arrow.ArrowException, OSError):
            names = []
        if names != self._columns(set(), set()).names:
            raise StoreError(
                f"{self._target} was not written by a durable run, so it is not replaced; "
                "choose another store=, or delete it"
            )

    def finish(self) -> None:
        """Make the Parquet file, in the place of an earlier one.

        Raises:
            OSError: It can't be written.
        """
        output, scratch = file_beside(self._target, self.path)
        try:
            with self.path.open("rb") as journal, output:
                offsets = [offset for offset in self.index(journal) if offset >= 0]
                schema = self._schema(journal, offsets)
                with self._parquet.ParquetWriter(output, schema) as writer:
                    for begin in range(0, len(offsets), _BATCH):
                        rows = [*_rows(journal, offsets[begin : begin + _BATCH])]
                        columns = [self._column(rows, field) for field in schema]
                        writer.write_batch(self._arrow.record_batch(columns, schema=schema))
                output.flush()
                os.fsync(output.fileno())
            scratch.replace(self._target)
        finally:
            scratch.unlink(missing_ok=True)
        sync_folder(self._target)

    def _schema(self, journal: BinaryIO, offsets: list[int]) -> Any:
        """Return the columns; those of keys and results have the type of their values."""
        keys, results = set[str | None](), set[str | None]()
        for row in _rows(journal, offsets):
            for name, types in (("key", keys), ("result", results)):
                if row.get(name) is not None:
                    types.add(_type_of(row[name]))
        return self._columns(keys, results)

    def _columns(self, keys: set[str | None], results: set[str | None]) -> Any:
        """Return the columns for keys and results of these types."""
        arrow = self._arrow
        return arrow.schema(
            [
                arrow.field("row", arrow.int64(), nullable=False),
                self._field("key", keys),
                arrow.field("outcome", arrow.string(), nullable=False),
                self._field("result", results),
                arrow.field("error_class", arrow.string()),
                arrow.field("error_message", arrow.string()),
                arrow.field("attempts", arrow.int64()),
                arrow.field("seconds", arrow.float64()),
                arrow.field("input", arrow.string()),
            ]
        )

    def _field(self, name: str, types: set[str | None]) -> Any:
        """Return the column for values of these types."""
        arrow = self._arrow
        only = next(iter(types)) if len(types) == 1 else None
        if only is not None:
            return arrow.field(name, getattr(arrow, only)())
        return arrow.field(name, arrow.string(), metadata=_JSON if types else None)

    def _column(self, rows: list[dict[str, Any]], field: Any) -> Any:
        values = [row.get(field.name) for row in rows]
        if field.metadata:
            values = [None if value is None else to_json(value) for value in values]
        elif field.type == self._arrow.string():
            # Half of a surrogate pair, which JSON escapes, has no UTF-8.
            values = [value and value.encode(errors="backslashreplace") for value in values]
        return self._arrow.array(values, field.type)


def _type_of(value: object) -> str | None:
    """Return the Parquet type of a value, or None if it becomes JSON."""
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return None
    return _TYPES.get(type(value))


def _rows(journal: BinaryIO, offsets: list[int]) -> Iterator[dict[str, Any]]:
    for offset in offsets:
        journal.seek(offset)
        record = json.loads(journal.readline())
        error = record.get("error", {})
        yield {
            **record,
            "error_class": error.get("class"),
            "error_message": error.get("message"),
        }
