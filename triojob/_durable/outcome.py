"""`RowOutcome`: the outcome of a row, as the store has it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from .._exceptions import StoreError, shorten
from ..gradio.protocol.messages import is_object


@dataclass(frozen=True)
class RowOutcome:
    """The outcome of a row of a durable run, as the store has it."""

    row: int
    """The row's number, from 0."""
    key: Any
    """What ``key=`` says of the row; None without ``key=``."""
    outcome: str
    """``"ok"``, or how the row failed: ``"app_error"``, ``"timeout"``, ..."""
    result: Any
    """The result as JSON data, or None: a tuple is a list, a file its path or URL."""
    error_class: str | None
    """The name of the exception's class, or None."""
    error_message: str | None
    """The message of the exception, or None."""
    attempts: int
    """The number of attempts."""
    seconds: float
    """The time from the start of the row to its end."""
    input: str
    """A digest of the row's inputs, by which a later run recognizes the row."""

    @property
    def ok(self) -> bool:
        """Whether the row has a result."""
        return self.outcome == "ok"

    @classmethod
    def from_line(cls, line: str) -> RowOutcome:
        """Return the outcome in a line of JSON.

        Raises:
            StoreError: It is not as triojob writes it.
        """
        record = parse_record(line)
        if record is None:
            raise StoreError(f"this record of a store was not written by triojob: {shorten(line)}")
        error = record.get("error", {})
        return cls(
            row=record["row"],
            key=record.get("key"),
            outcome=record["outcome"],
            result=record.get("result"),
            error_class=error.get("class"),
            error_message=error.get("message"),
            attempts=record["attempts"],
            seconds=record["seconds"],
            input=record["input"],
        )


def parse_record(line: str | bytes) -> dict[str, Any] | None:
    """Return the record in a line of JSON, or None if it is not as triojob writes it."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not is_object(record):
        return None
    row = record.get("row")
    is_whole = (
        type(row) is int
        and row >= 0
        and isinstance(record.get("outcome"), str)
        and isinstance(record.get("input"), str)
        and type(record.get("attempts")) is int
        and type(record.get("seconds")) in (int, float)
        and is_object(record.get("error", {}))
    )
    return record if is_whole else None
