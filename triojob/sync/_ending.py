"""The outcome of a job, for other threads."""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType
from typing import Any, final


@final
@dataclass(frozen=True, eq=False, slots=True)
class JobEnd:
    """The outcome of a job: a value, an error, or a cancellation."""

    value: Any = None
    error: BaseException | None = None
    traceback: TracebackType | None = None
    """The traceback of the error, without the frames of code that has raised it again."""
    cancelled: bool = False
    reason: str | None = None
    """The reason of the cancellation."""

    @classmethod
    def failed(cls, error: BaseException) -> JobEnd:
        """Return the outcome of a job that failed with ``error``."""
        return cls(error=error, traceback=error.__traceback__)
