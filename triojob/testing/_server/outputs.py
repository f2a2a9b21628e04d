"""The outputs of one event as Gradio sends them: whole the first time, then as edits."""

from __future__ import annotations

import copy
from typing import Any

import trio

from .description import AppEndpoint
from .durations import MeanDurations
from .edits import edits_between
from .session import AppSession


class EventOutputs:
    """Turns the values of a script into the ``output`` of messages."""

    def __init__(
        self, endpoint: AppEndpoint, session: AppSession, durations: MeanDurations, *, edits: bool
    ) -> None:
        self.count = 0
        """How many outputs the script yielded."""
        self.last: list[Any] | None = None
        """The values that it yielded last, without the values of State components."""
        self.render_config: dict[str, Any] | None = None
        """The configuration rendered by the script, sent with the next outputs."""
        self._endpoint = endpoint
        self._session = session
        self._durations = durations
        self._edits = edits
        self._step_started = 0.0

    def start(self) -> None:
        """Measure the duration of the first output from now on."""
        self._step_started = trio.current_time()

    def step(self, data: list[Any]) -> dict[str, Any]:
        """Return the next output of a generator."""
        visible = self._without_state(data)
        values = visible
        if self.last is not None and self._edits:
            values = [edits_between(old, new) for old, new in zip(self.last, visible, strict=True)]
        self.last = visible
        self.count += 1
        return self.raw(values, is_generating=True)

    def whole(self, data: list[Any], *, is_generating: bool = False) -> dict[str, Any]:
        """Return a whole output, not an edit of the previous one."""
        return self.raw(self._without_state(data), is_generating=is_generating)

    def raw(self, data: list[Any], *, is_generating: bool) -> dict[str, Any]:
        """Return an output with the values as they are."""
        now = trio.current_time()
        duration = now - self._step_started
        self._step_started = now
        return {
            "data": data,
            "is_generating": is_generating,
            "duration": duration,
            "average_duration": self._durations.add(self._endpoint, duration),
            "render_config": self.render_config,
            "changed_state_ids": [],
            "used_cache": None,
        }

    def _without_state(self, data: list[Any]) -> list[Any]:
        """Keep the values of State components, and return the values to send in their place."""
        values = copy.deepcopy(list(data))
        for index, component in enumerate(self._endpoint.outputs[: len(values)]):
            if component.is_state:
                self._session.set_state(component, values[index])
                values[index] = None
        return values
