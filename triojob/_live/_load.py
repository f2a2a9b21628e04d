"""What clients have in flight together, and have done so far."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, fields
from typing import TypeAlias

from .._exceptions import ClientClosed
from ..gradio.statistics import ClientStatistics

Reader: TypeAlias = Callable[[], ClientStatistics]
"""Returns the statistics of a client, such as the method `Client.statistics`."""


@dataclass(frozen=True)
class Load:
    """Sums of the fields of `ClientStatistics` with the same names."""

    window: int = 0
    in_flight: int = 0
    running: int = 0
    waiting_there: int = 0
    waiting_here: int = 0
    refusals: int = 0
    retries: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0

    @classmethod
    def of(cls, clients: Iterable[Reader]) -> Load:
        """Return the sums over the clients that have been entered."""
        told: list[ClientStatistics] = []
        for statistics in clients:
            with suppress(ClientClosed):
                told.append(statistics())
        return cls(*(sum(getattr(each, field.name) for each in told) for field in fields(cls)))
