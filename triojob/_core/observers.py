"""Notifies the observers of a job: listeners, waiting tasks, readers in other threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Literal

import trio

from .history import OutputBuffer
from .messages import Output

Listener = Callable[[Any], object]
Kind = Literal["status", "output", "result"]
"""The events that a listener can listen to."""


class Observers:
    """The observers of one job; made on demand, as few jobs have any.

    Args:
        on_error: Called with whatever a listener or watcher raises, of any kind: it is neither the
            failure of the job nor of its readers.
    """

    __slots__ = ("_changed", "_ended", "_listeners", "_on_error", "_output_state", "watchers")

    def __init__(self, on_error: Callable[[BaseException], None]) -> None:
        self._on_error = on_error
        self._ended: trio.Event | None = None
        self._changed: trio.lowlevel.ParkingLot | None = None
        self.watchers: list[Callable[[], None]] = []
        """Called after each batch of messages, in the Trio thread; for readers in other threads."""
        self._listeners: dict[Kind, deque[Listener]] | None = None
        self._output_state: Any = None
        """The state after the last output, kept from the first listener to outputs on."""

    def listen(self, kind: Kind, listener: Listener, outputs: OutputBuffer) -> None:
        """Call ``listener`` from now on, until the job ends.

        Args:
            outputs: The job's outputs so far.
        """
        if self._listeners is None:
            self._listeners = {"status": deque(), "output": deque(), "result": deque()}
        listeners = self._listeners[kind]
        if kind == "output" and not listeners:
            self._output_state = outputs.state_before(outputs.end)
        listeners.append(listener)

    def stop_listening(self, listener: Listener) -> None:
        """Remove a listener to the result, if it is still registered."""
        if self._listeners is not None:
            with suppress(ValueError):
                self._listeners["result"].remove(listener)

    async def wait_ended(self) -> None:
        """Wait until the outcome is recorded."""
        if self._ended is None:
            self._ended = trio.Event()
        await self._ended.wait()

    async def wait_changed(self) -> None:
        """Wait until something is recorded."""
        if self._changed is None:
            self._changed = trio.lowlevel.ParkingLot()
        await self._changed.park()

    def on_status(self, status: object) -> None:
        """Notify the listeners of a status."""
        self._notify("status", status)

    def on_output(self, output: Output) -> None:
        """Notify the listeners of an output."""
        if self._listeners is not None and self._listeners["output"]:
            self._output_state = output.advance(self._output_state)
            self._notify("output", output.show(self._output_state))

    def on_batch(self) -> None:
        """Notify waiting tasks and watchers that something was recorded."""
        if self._changed is not None:
            self._changed.unpark_all()
        for watcher in tuple(self.watchers):
            self._call(watcher)

    def on_outcome(self) -> None:
        """Wake the tasks that wait for the end, when the outcome is recorded."""
        if self._ended is not None:
            self._ended.set()

    def on_end(self) -> None:
        """Notify listeners of the end, and remove all listeners."""
        # One after the other: a listener can remove another one.
        while self._listeners is not None and self._listeners["result"]:
            self._call(self._listeners["result"].popleft(), None)
        self._listeners = None

    def _notify(self, kind: Kind, value: object) -> None:
        if self._listeners is None:
            return
        listeners = self._listeners[kind]
        for listener in tuple(listeners):
            if not self._call(listener, value):
                listeners.remove(listener)  # only once, even if it is registered several times

    def _call(self, callback: Callable[..., object], *args: object) -> bool:
        """Call a foreign callback; return whether it returned without an exception."""
        try:
            callback(*args)
        except BaseException as exc:  # noqa: BLE001 - the group raises it
            self._on_error(exc)
            return False
        return True
