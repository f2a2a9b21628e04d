"""Converts a row of input to the arguments of a call; no I/O."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from triojob import handle_file

from .._durable.finished import digest_of
from ..gradio.protocol.messages import is_list
from ..gradio.schema.app import EndpointInfo
from ..gradio.schema.parameters import Parameter
from .arguments import from_text, read_arguments, unknown_parameter
from .ending import CommandError
from .rows import Row


@dataclass(frozen=True)
class PlanOptions:
    """The options of the command line about columns."""

    constants: Sequence[str]
    """Arguments that are the same for each row, as typed."""
    columns: Sequence[str]
    """Renamed columns: ``parameter=column``."""
    file_columns: Sequence[str]
    """Columns that contain paths or URLs of files."""
    key: str | None
    """The column that is copied to the output of each row."""


class Plan:
    """The column for each parameter of an endpoint.

    Args:
        stdin: The result of `read_stdin` for the constants.

    Raises:
        CommandError: The options name a missing parameter, or contradict each other.
    """

    def __init__(
        self, info: EndpointInfo, options: PlanOptions, stdin: bytes | None = None
    ) -> None:
        self._info = info
        self._options = options
        self._constants = read_arguments(info, options.constants, stdin)
        renamed: dict[str, str] = {}
        names = [parameter.name for parameter in info.parameters]
        for pair in options.columns:
            name, equals, column = pair.partition("=")
            if not equals:
                raise CommandError(f"write --column as PARAMETER=COLUMN, not {pair!r}")
            if name not in names:
                raise CommandError(f"--column: {unknown_parameter(info, name)}")
            if name in self._constants:
                raise CommandError(
                    f"{name} has both a constant value and a --column; use one of them"
                )
            renamed[name] = column
        self._renamed = renamed
        self._columns: list[tuple[Parameter, str]] = [
            (parameter, renamed.get(parameter.name, parameter.name))
            for parameter in info.parameters
            if parameter.name not in self._constants
        ]
        self._file_columns = frozenset(options.file_columns)
        used = {column for _, column in self._columns}
        for column in sorted(self._file_columns - used):
            raise CommandError(f"--file-column: no parameter uses the column {column!r}")

    def check_columns(self, columns: Iterable[str]) -> None:
        """Refuse an input without a column that a call needs.

        Raises:
            CommandError: A column is missing.
        """
        there = list(columns)
        for parameter, column in self._columns:
            if column not in there and (parameter.required or parameter.name in self._renamed):
                near = difflib.get_close_matches(column, there, 1, 0.5)
                hint = f" (did you mean {near[0]!r}?)" if near else ""
                raise CommandError(
                    f"the input has no column {column!r} for {parameter.name} of "
                    f"{self._info.name}{hint}; add --column {parameter.name}=COLUMN, or "
                    f"{parameter.name}=VALUE for all rows; its columns are {', '.join(there)}"
                )
        if self._options.key is not None and self._options.key not in there:
            raise CommandError(f"--key: the input has no column {self._options.key!r}")

        for parameter, column in self._columns:
            if column in there and parameter.takes_files and column not in self._file_columns:
                raise CommandError(_not_marked(parameter, column))

    def unused(self, columns: Iterable[str]) -> list[str]:
        """Return the unused columns."""
        used = {column for _, column in self._columns} | {self._options.key}
        return [column for column in columns if column not in used]

    def digest(self, row: Row) -> str:
        """Return a digest of all data of a row's call."""
        values = {
            parameter.name: row.values[column]
            for parameter, column in self._columns
            if column in row.values
        }
        constants = sorted(self._options.constants)
        return digest_of({"values": values, "constants": constants, "error": row.error})

    def key(self, row: Row) -> Any:
        """Return the value that identifies the row in the output, or None."""
        return None if self._options.key is None else row.values.get(self._options.key)

    def arguments_of(self, row: Row) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments of a row's call; see `arguments`."""
        return (), self.arguments(row)

    @property
    def has_key(self) -> bool:
        """Whether rows have a key."""
        return self._options.key is not None

    def arguments(self, row: Row) -> dict[str, Any]:
        """Return the arguments of a row's call.

        Raises:
            ValueError: The row is broken, or a value is invalid; the message names it.
        """
        if row.error is not None:
            raise ValueError(row.error)
        arguments = dict(self._constants)
        for parameter, column in self._columns:
            if column in row.values:
                value = row.values[column]
                if column in self._file_columns:
                    value = _as_file(parameter, column, value)
                elif parameter.takes_files and value and isinstance(value, str):
                    raise ValueError(_not_marked(parameter, column))
                elif row.is_text:
                    if not value and parameter.kind != "string":
                        continue  # an empty cell: the parameter's default
                    value = _read(parameter, column, value)
                arguments[parameter.name] = value
            elif parameter.name in self._renamed:
                raise ValueError(f"the row has no column {column!r}")
        return arguments


def _not_marked(parameter: Parameter, column: str) -> str:
    return (
        f"{parameter.name} takes files; add --file-column {column} "
        "if that column contains the paths or URLs of files to upload"
    )


def _read(parameter: Parameter, column: str, text: str) -> Any:
    try:
        return from_text(parameter, text)
    except ValueError as exc:
        raise ValueError(f"column {column!r}: {exc}") from None


def _as_file(parameter: Parameter, column: str, value: Any) -> Any:
    if value is None or value == "":
        return None
    paths = value if is_list(value) else [value]
    if not all(isinstance(path, str) for path in paths):
        raise ValueError(f"column {column!r}: write a path or URL as text")
    files = [handle_file(path) for path in paths]
    return files if parameter.kind == "array" else files[0]
