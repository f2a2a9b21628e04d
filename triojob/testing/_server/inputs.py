"""The inputs of one event: the inputs of its request, and later ones of an input stream."""

from __future__ import annotations

from typing import Any

import trio

from .description import AppEndpoint
from .session import AppSession


class EventInputs:
    """The inputs of an event."""

    def __init__(self, endpoint: AppEndpoint, session: AppSession, body: dict[str, Any]) -> None:
        self.body = body
        """The body of the request, with the data of the latest input."""
        self._endpoint = endpoint
        self._session = session
        self._closed = False
        self._came = trio.Event()

    @property
    def data(self) -> list[Any]:
        """One value for each input; for a State, the session's value."""
        values = list(self.body["data"])
        for index, component in enumerate(self._endpoint.inputs[: len(values)]):
            if component.is_state:
                values[index] = self._session.state_of(component)
        return values

    async def next(self, time_limit: float) -> bool:
        """Wait for the next input, which is then in `data`; return whether there is one."""
        with trio.move_on_after(time_limit) as scope:
            await self._came.wait()
        self._came = trio.Event()
        return not (scope.cancelled_caught or self._closed)

    def take(self, body: dict[str, Any] | None) -> None:
        """Take the next input, or None for the end of inputs."""
        if body is None:
            self._closed = True
        else:
            # As in Gradio, an input that arrives too early replaces the previous one.
            self.body = {**self.body, "data": body["data"]}
        self._came.set()
