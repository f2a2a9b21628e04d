"""Rows of input, read as they are needed: lines of JSON, CSV or Parquet, never a whole file."""

from __future__ import annotations

import codecs
import csv
import importlib
import io
import itertools
import json
import os
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypeAlias

import trio

from triojob import MissingDependency

from ..gradio.protocol.messages import is_object
from .ending import CommandError
from .exit_codes import LOCAL

Format: TypeAlias = Literal["jsonl", "csv", "tsv", "parquet"]

_BY_SUFFIX: dict[str, Format] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
}
_UTF_8 = "utf-8-sig"
"""UTF-8 that may begin with a byte order mark."""
_BATCH = 256
_BATCH_SECONDS = 0.01
"""Rows are passed on in batches: a thread for each row would cost more than reading it."""


@dataclass(frozen=True)
class Row:
    """One row of input."""

    index: int
    """Its number, from 0; empty lines don't count."""
    values: dict[str, Any]
    """The values by column; empty if the row is broken."""
    is_text: bool
    """Whether the values are texts, as in a CSV."""
    error: str | None = None
    """Why it is invalid, or None."""


@dataclass(frozen=True)
class Reading:
    """How to read an input."""

    form: Format | None = None
    """The format; None to use the file's suffix."""
    delimiter: str | None = None
    """The separator of the columns of a CSV; None for the format's default."""
    encoding: str = "utf-8"


async def open_rows(path: str, reading: Reading) -> Rows:
    """Return the rows of a file, or of standard input; see `Rows`.

    Being cancelled ends the wait for the first line of standard input.
    """
    return await trio.to_thread.run_sync(Rows, path, reading, abandon_on_cancel=path == "-")


class Rows:
    """The rows of a file, or of standard input.

    Args:
        path: The file, or ``"-"``.
        reading: How to read it.

    Raises:
        CommandError: It can't be read, or not with these settings.
        MissingDependency: It needs a library that is not installed.
    """

    def __init__(self, path: str, reading: Reading) -> None:
        self.path = path
        self.columns: list[str] | None = None
        """The names of the columns, if the file lists them before its rows."""
        self.total: int | None = None
        """The number of rows, if the file contains it."""
        self._is_stdin = path == "-"
        self._read = 0
        self._size: int | None = None
        self._file: BinaryIO | None = None
        self._failure: CommandError | None = None
        form = reading.form
        if form is None:
            form = "jsonl" if self._is_stdin else _BY_SUFFIX.get(Path(path).suffix.lower())
        if form is None:
            raise CommandError(
                f"--input {path}: unknown format; set --format to jsonl, csv, tsv or parquet"
            )
        self._encoding = _codec(reading.encoding)
        if form == "parquet" and self._encoding != _UTF_8:
            raise CommandError("--encoding does not apply to parquet")
        try:
            self._iterator = self._open(form, _delimiter(reading.delimiter, form))
        except OSError as exc:
            raise CommandError(f"--input: {exc.strerror or exc}: {path!r}", LOCAL) from None

    def _open(self, form: Format, delimiter: str) -> Iterator[Row]:
        if form == "parquet":
            return self._open_parquet()
        # Standard input with a separate file object: Python locks its own one at exit, which a
        # thread that waits for a line would block.
        file = open(0 if self._is_stdin else self.path, "rb", closefd=not self._is_stdin)  # noqa: SIM115 - see `close`
        if not self._is_stdin:
            self._file = file
            self._size = os.fstat(file.fileno()).st_size
        if form == "jsonl":
            return self._read_jsonl(file)
        rows = self._read_csv(file, delimiter)
        # The header is read now, so that a missing column is reported before the first call.
        try:
            next(rows, None)
        except CommandError:
            self.close()
            raise
        return rows

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    @property
    def share(self) -> float | None:
        """How much of the input has been read, 0 to 1, or None if its size is not known."""
        return None if not self._size else min(1.0, self._read / self._size)

    async def next_batch(self) -> list[Row]:
        """Return the next rows; empty at the end.

        Raises:
            CommandError: The rest of the input can't be read.

        Being cancelled while it waits for standard input loses no rows.
        """
        return await trio.to_thread.run_sync(self._next_batch, abandon_on_cancel=self._is_stdin)

    def _next_batch(self) -> list[Row]:
        batch: list[Row] = []
        # Waiting for a pipe's next line must not delay the lines before it.
        most = 1 if self._is_stdin else _BATCH
        until = time.monotonic() + _BATCH_SECONDS
        try:
            if self._failure is None:
                for row in self._iterator:
                    batch.append(row)
                    if len(batch) >= most or time.monotonic() > until:
                        break
        except OSError as exc:
            words = f"--input: {exc.strerror or exc}: {self.path!r}"
            self._failure = CommandError(words, LOCAL)
        except CommandError as exc:
            self._failure = exc
        # The rows before the failure are valid.
        if self._failure is not None and not batch:
            raise self._failure
        return batch

    def _lines(self, file: BinaryIO) -> Generator[str | UnicodeDecodeError, None, None]:
        """Yield the lines as text, or the error of a line that can't be decoded."""
        decoder = codecs.getincrementaldecoder(self._encoding)()
        begun = ""
        # In a multi-byte encoding, a line of bytes may end inside a character.
        for data in itertools.chain(file, [b""]):
            self._read += len(data)
            try:
                begun += decoder.decode(data, not data)
            except UnicodeDecodeError as exc:
                decoder.reset()
                begun = ""
                yield exc
                continue
            *whole, begun = begun.split("\n")
            for line in whole:
                yield f"{line}\n"
        if begun:
            yield begun

    def _read_jsonl(self, file: BinaryIO) -> Generator[Row, None, None]:
        index = 0
        for line in self._lines(file):
            if isinstance(line, UnicodeDecodeError):
                yield Row(index, {}, is_text=False, error=f"the line is not valid JSON: {line}")
                index += 1
            elif line.strip():
                yield self._json_row(index, line)
                index += 1

    @staticmethod
    def _json_row(index: int, line: str) -> Row:
        try:
            values = json.loads(line)
        except (ValueError, RecursionError) as exc:
            return Row(index, {}, is_text=False, error=f"the line is not valid JSON: {exc}")
        if not is_object(values):
            return Row(
                index, {}, is_text=False, error='the line is not a JSON object, {"name": ...}'
            )
        return Row(index, values, is_text=False)

    def _read_csv(self, file: BinaryIO, delimiter: str) -> Generator[Any, None, None]:
        """Yield the rows, after a None once the header has been read."""
        csv.field_size_limit(2**31 - 1)
        reader = csv.reader(self._decoded(file), delimiter=delimiter, strict=True)
        try:
            columns = next(reader, list[str]())
            if len(set(columns)) < len(columns):
                raise CommandError(
                    f"--input {self.path}: two columns have the same name; rename one of them"
                )
            self.columns = columns
            yield None
            index = 0
            for cells in reader:
                if not cells:
                    continue
                if len(cells) == len(columns):
                    values = dict(zip(columns, cells, strict=True))
                    yield Row(index, values, is_text=True)
                else:
                    wrong = f"the row has {len(cells)} cells, but the header has {len(columns)}"
                    yield Row(index, {}, is_text=True, error=wrong)
                index += 1
        except csv.Error as exc:
            # With invalid quotes, the beginning of the next row is unknown.
            raise CommandError(
                f"--input {self.path}: line {reader.line_num} is not valid CSV: {exc}"
            ) from None

    def _decoded(self, file: BinaryIO) -> Generator[str, None, None]:
        for number, line in enumerate(self._lines(file), 1):
            if isinstance(line, UnicodeDecodeError):
                name = "UTF-8" if self._encoding == _UTF_8 else self._encoding
                raise CommandError(
                    f"--input {self.path}: line {number} is not valid {name}; set --encoding"
                )
            yield line

    def _open_parquet(self) -> Iterator[Row]:
        if self._is_stdin:
            raise CommandError("--input -: Parquet can't be read from a pipe; use a file")
        try:
            # Not with an import statement: the library has no types.
            failure: type[Exception] = importlib.import_module("pyarrow").ArrowException
            parquet: Any = importlib.import_module("pyarrow.parquet")
        except ImportError:
            raise MissingDependency(
                "reading Parquet needs pyarrow, which is not installed; "
                "install it with: pip install 'triojob[parquet]'"
            ) from None
        try:
            self._file = Path(self.path).open("rb")  # noqa: SIM115 - see `close`
            file: Any = parquet.ParquetFile(self._file)
        except failure as exc:
            self.close()
            raise CommandError(f"--input {self.path} is not valid Parquet: {exc}") from None
        self.columns = list(file.schema_arrow.names)
        self.total = file.metadata.num_rows
        return self._read_parquet(file, failure)

    def _read_parquet(self, file: Any, failure: type[Exception]) -> Generator[Row, None, None]:
        index = 0
        try:
            for batch in file.iter_batches(batch_size=_BATCH):
                for values in batch.to_pylist():
                    yield Row(index, values, is_text=False)
                    index += 1
        except failure as exc:
            raise CommandError(f"--input {self.path}: after row {index}: {exc}") from None

    def estimate(self, read: int) -> int | None:
        """Return the estimated number of rows after ``read`` of them, or None if unknown."""
        if self.total is not None:
            return self.total
        share = self.share
        return round(read / share) if share and read else None


def _codec(encoding: str) -> str:
    """Return the codec of an encoding.

    Raises:
        CommandError: There is no such encoding.
    """
    try:
        name = io.TextIOWrapper(io.BytesIO(), encoding).encoding
    except LookupError:
        raise CommandError(f"--encoding: {encoding!r} is not a text encoding") from None
    return _UTF_8 if codecs.lookup(name).name == "utf-8" else name


def _delimiter(given: str | None, form: Format) -> str:
    """Return the separator of columns.

    Raises:
        CommandError: The format has none, or it is not one character.
    """
    if given is None:
        return "\t" if form == "tsv" else ","
    if form not in ("csv", "tsv"):
        raise CommandError(f"--delimiter applies to csv and tsv, not to {form}")
    delimiter = given.replace("\\t", "\t")
    if len(delimiter) != 1 or delimiter in '"\r\n':
        raise CommandError(f"--delimiter must be one character, not {given!r}")
    return delimiter
