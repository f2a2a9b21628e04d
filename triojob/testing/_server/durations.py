"""Mean durations per endpoint, from which Gradio estimates when a call starts and ends."""

from __future__ import annotations

from .description import AppEndpoint


class MeanDurations:
    """The mean duration of an endpoint's runs, or of its steps, in seconds."""

    def __init__(self) -> None:
        self._sums: dict[AppEndpoint, tuple[float, int]] = {}

    def add(self, endpoint: AppEndpoint, seconds: float) -> float:
        """Add a duration; return the mean with it."""
        total, count = self._sums.get(endpoint, (0.0, 0))
        self._sums[endpoint] = (total + seconds, count + 1)
        return (total + seconds) / (count + 1)

    def mean(self, endpoint: AppEndpoint) -> float | None:
        total, count = self._sums.get(endpoint, (0.0, 0))
        return total / count if count else None
