"""How a job ends for other threads."""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType
from typing import Any, final


@final
@dataclass(frozen=True, eq=False, slots=True)
class JobEnd:
    """How a job ended: with a value, with an error, or cancelled."""

    value: Any = None
    error: BaseException | None = None
    traceback: TracebackType | None = None
    """Of the error, without the frames of those who have raised it again."""
    cancelled: bool = False
    reason: str | None = None
    """Why it was cancelled."""

    @classmethod
    def failed(cls, error: BaseException) -> JobEnd:
        """Return the end of a job that failed with ``error``."""
        return cls(error=error, traceback=error.__traceback__)
