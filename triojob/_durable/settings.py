"""The settings of a run, and what its rows are to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

from .._core.instruments import Instrument
from .._core.retry import Retry
from .._fanout.inputs import check_pace

R_contra = TypeVar("R_contra", contravariant=True)


class RowReader(Protocol[R_contra]):
    """Reads what a row of input says."""

    @property
    def has_key(self) -> bool:
        """Whether rows have a key."""
        ...

    def digest(self, row: R_contra, /) -> str:
        """Return a digest of all inputs of the row's call.

        Raises:
            TypeError: The row has none that a later run would recognize.
        """
        ...

    def key(self, row: R_contra, /) -> Any:
        """Return the value that identifies the row in the store."""
        ...

    def arguments_of(self, row: R_contra, /) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
        """Return the arguments of the row's call.

        Raises:
            TypeError, ValueError: The row is invalid; the message says why.
        """
        ...


@dataclass(frozen=True)
class RunSettings:
    """The settings of a run; `durable_map` describes them."""

    limit: int = 32
    ordered: bool = True
    rate: float | None = None
    retry: Retry | None = None
    instruments: Sequence[Instrument] = ()
    timeout: float | None = None
    files: Path | None = None
    max_failures: int | None = 100
    max_outage: float = 600.0
    replay: bool = True

    def __post_init__(self) -> None:
        """Check the arguments of `durable_map`.

        Raises:
            TypeError, ValueError: One is invalid.
        """
        check_pace(self.limit, self.rate)
        retry, timeout = self.retry, self.timeout
        if not isinstance(cast("object", retry), Retry | None):
            raise TypeError(f"retry must be a triojob.Retry or None, not {retry!r}")
        if timeout is not None and not timeout > 0:
            raise ValueError(f"timeout must be more than 0 seconds, or None, not {timeout!r}")
        if self.max_failures is not None and not self.max_failures >= 1:
            raise ValueError(f"max_failures must be at least 1, or None, not {self.max_failures!r}")
        if not self.max_outage >= 0:
            raise ValueError(f"max_outage must be at least 0 seconds, not {self.max_outage!r}")
