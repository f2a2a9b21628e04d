"""The batches of engines: reads columns as plain values, and adds columns to a copy.

NumPy, pandas and pyarrow are never imported here: the code that made the batch has done that.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, final

from .._exceptions import short_repr


class Batch(ABC):
    """A table of rows, of any supported kind; it is never changed."""

    names: tuple[str, ...]
    """The names of its columns."""
    length: int
    """The number of rows."""

    @abstractmethod
    def values(self, name: str) -> list[Any]:
        """Return a column as JSON values, as far as possible; None for missing values.

        Raises:
            TypeError: It holds times, which JSON can't represent.
        """

    def misfits(self, values: list[Any]) -> dict[int, str]:
        """Return the values that don't fit into one column with the others, and why, by row."""
        return {}

    @abstractmethod
    def with_columns(self, columns: Mapping[str, list[Any]], texts: Mapping[str, list[Any]]) -> Any:
        """Return a batch of the same kind with further columns, which replace those of their names.

        Args:
            columns: Columns with values of any kind.
            texts: Columns with text or None only.
        """


@final
class ColumnsBatch(Batch):
    """A dict of columns: NumPy arrays, or lists."""

    def __init__(self, batch: Mapping[str, Any]) -> None:
        self._batch = batch
        self.names = tuple(batch)
        lengths = {name: len(column) for name, column in batch.items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"the columns of a batch must have the same length, not {lengths}")
        self.length = next(iter(lengths.values()), 0)

    def values(self, name: str) -> list[Any]:
        column = self._batch[name]
        _refuse_times(name, column)
        return [_plain(value) for value in _listed(column)]

    def with_columns(self, columns: Mapping[str, list[Any]], texts: Mapping[str, list[Any]]) -> Any:
        new = {**columns, **texts}
        arrays = [column for column in self._batch.values() if hasattr(column, "dtype")]
        if arrays:
            new = {name: _object_array(type(arrays[0]), values) for name, values in new.items()}
        return {**self._batch, **new}


@final
class PandasBatch(Batch):
    """A pandas DataFrame."""

    def __init__(self, batch: Any) -> None:
        self._batch = batch
        self.names = tuple(batch.columns)
        self.length = len(batch)

    def values(self, name: str) -> list[Any]:
        column = self._batch[name]
        _refuse_times(name, column)
        there = column.notna()
        return [
            _plain(value) if known else None
            for value, known in zip(column.tolist(), there.tolist(), strict=True)
        ]

    def with_columns(self, columns: Mapping[str, list[Any]], texts: Mapping[str, list[Any]]) -> Any:
        series = sys.modules["pandas"].Series
        # Always of type object: each partition of a table must have the same types.
        return self._batch.assign(
            **{
                name: series(values, index=self._batch.index, dtype=object)
                for name, values in {**columns, **texts}.items()
            }
        )


@final
class ArrowBatch(Batch):
    """A pyarrow Table."""

    def __init__(self, batch: Any) -> None:
        self._batch = batch
        self._arrow: Any = sys.modules["pyarrow"]
        self.names = tuple(batch.column_names)
        self.length = batch.num_rows

    def values(self, name: str) -> list[Any]:
        column = self._batch.column(name)
        if self._arrow.types.is_temporal(column.type):
            raise TypeError(_TIMES.format(name))
        return [_plain(value) for value in column.to_pylist()]

    def misfits(self, values: list[Any]) -> dict[int, str]:
        arrow = self._arrow
        with suppress(arrow.ArrowException):
            arrow.array(values)
            return {}
        found: dict[int, str] = {}
        common = arrow.schema([])
        for row, value in enumerate(values):
            try:
                own = arrow.schema([("value", arrow.infer_type([value]))])
                common = arrow.unify_schemas([common, own], promote_options="permissive")
            except arrow.ArrowException as exc:
                found[row] = f"{type(exc).__name__}: {exc}"
        return found

    def with_columns(self, columns: Mapping[str, list[Any]], texts: Mapping[str, list[Any]]) -> Any:
        table = self._batch
        new = {name: self._arrow.array(values) for name, values in columns.items()}
        kind = self._arrow.string()
        new |= {name: self._arrow.array(values, type=kind) for name, values in texts.items()}
        for name, column in new.items():
            if name in self.names:
                table = table.set_column(table.column_names.index(name), name, column)
            else:
                table = table.append_column(name, column)
        return table


def read_batch(batch: Any) -> Batch:
    """Return the reader of a batch.

    Raises:
        TypeError: It is not of a supported kind.
        ValueError: Its columns differ in length.
    """
    if isinstance(batch, Mapping):
        return ColumnsBatch(batch)  # pyright: ignore[reportUnknownArgumentType] - checked there
    for base in type(batch).__mro__:
        library = base.__module__.partition(".")[0]
        if (library, base.__name__) == ("pandas", "DataFrame"):
            return PandasBatch(batch)
        if (library, base.__name__) == ("pyarrow", "Table"):
            return ArrowBatch(batch)
    raise TypeError(
        "a batch is a dict of arrays or lists, a pandas DataFrame or a pyarrow Table, "
        f"not {short_repr(batch)}"
    )


_TIMES = "column {!r} contains dates or times, which JSON can't represent; convert them to text"


def _refuse_times(name: str, column: Any) -> None:
    # NumPy would silently convert them to integer nanoseconds.
    if getattr(getattr(column, "dtype", None), "kind", "") in ("m", "M"):
        raise TypeError(_TIMES.format(name))


def _listed(column: Any) -> list[Any]:
    return column.tolist() if hasattr(column, "tolist") else list(column)


def _plain(value: Any) -> Any:
    """Return a cell without NumPy types: Python numbers, lists; None for NaN, a missing value."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    return None if isinstance(value, float) and value != value else value  # noqa: PLR0124 - NaN


def _object_array(array_type: Any, values: list[Any]) -> Any:
    array = array_type((len(values),), dtype=object)
    for row, value in enumerate(values):
        array[row] = value  # one by one: NumPy would make a further dimension of lists
    return array
