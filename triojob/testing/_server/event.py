"""One call of an endpoint: the data for its script, and the messages that the script sends."""

from __future__ import annotations

import copy
import uuid
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import trio

from .description import AppEndpoint
from .http import ServerResponse
from .inputs import EventInputs
from .messages import Message
from .outputs import EventOutputs
from .session import AppSession

State = Literal["waiting", "running", "finished", "failed", "cancelled", "removed", "abandoned"]


class GradioError(Exception):
    """Raised by a script to fail as with `gr.Error`."""

    def __init__(
        self,
        message: str | None,
        *,
        title: str = "Error",
        duration: float | None = 10,
        visible: bool = True,
    ) -> None:
        super().__init__(message)
        self.output: dict[str, Any] = {
            "error": message,
            "duration": duration,
            "visible": visible,
            "title": title,
        }


class Abandoned(Exception):
    """Stops a generator whose client has disconnected, at its next yield."""


def progress_unit(unit: float | tuple[int, int | None] | Mapping[str, Any]) -> dict[str, Any]:
    """Complete a unit, given by its fields or by fraction or (index, length) as in Gradio."""
    empty = {"index": None, "length": None, "unit": "steps", "progress": None, "desc": None}
    if isinstance(unit, Mapping):
        return {**empty, **unit}
    if isinstance(unit, tuple):
        return {**empty, "index": unit[0], "length": unit[1]}
    return {**empty, "progress": float(unit)}


class Event:
    """One call of an endpoint: the data for its script, and the messages that the script sends."""

    def __init__(
        self, endpoint: AppEndpoint, session: AppSession, inputs: EventInputs, outputs: EventOutputs
    ) -> None:
        self.event_id = uuid.uuid4().hex
        self.endpoint = endpoint
        self.session = session
        self.inputs = inputs
        self.outputs = outputs
        self.state: State = "waiting"
        self.alive = True
        """Whether its messages can still be delivered; False after its client's stream broke."""
        self.ended = False
        """Whether a process_completed was sent."""
        self.finished = trio.Event()
        """Set when the run has ended, however it ended."""
        self.cancel_scope = trio.CancelScope()
        self._admitted = trio.Event()
        self.refusal: ServerResponse | None = None
        """The response to that request if the call was refused."""
        self._silent = False

    def __repr__(self) -> str:
        return f"<Event {self.endpoint.name} {self.event_id[:6]} {self.state}>"

    @property
    def session_hash(self) -> str:
        return self.session.hash

    @property
    def data(self) -> list[Any]:
        """One value for each input; for a State, the session's value."""
        return self.inputs.data

    # --- Its messages ---

    def send_nowait(self, message: Message) -> None:
        """Send any message, with this event's id."""
        msg, rest = message["msg"], {k: v for k, v in message.items() if k != "msg"}
        if self.alive:
            self.session.post({"msg": msg, "event_id": self.event_id, **rest})

    async def send(self, message: Message) -> None:
        """Send a message like `send_nowait`, and let other tasks run."""
        self.send_nowait(message)
        await trio.lowlevel.checkpoint()

    async def estimation(
        self, rank: int | None = 0, size: int = 1, eta: float | None = None
    ) -> None:
        await self.send({"msg": "estimation", "rank": rank, "queue_size": size, "rank_eta": eta})

    async def starts(self, eta: float | None = None) -> None:
        await self.send({"msg": "process_starts", "eta": eta})

    async def progress(
        self, units: Iterable[float | tuple[int, int | None] | Mapping[str, Any]]
    ) -> None:
        """Report progress. Unlike Gradio, which samples it, this sends each report."""
        data = [progress_unit(unit) for unit in units]
        await self.send({"msg": "progress", "progress_data": data})

    async def log(
        self,
        text: str,
        *,
        level: str = "info",
        title: str | None = None,
        duration: float | None = 10.0,
        visible: bool = True,
    ) -> None:
        await self.send(
            {
                "msg": "log",
                "log": text,
                "level": level,
                "duration": duration,
                "visible": visible,
                "title": level.capitalize() if title is None else title,
            }
        )

    async def generating(self, data: list[Any], *, success: bool = True) -> None:
        """Yield outputs, one for each component: whole the first time, then as edits."""
        await self._send_step("process_generating", self.outputs.step(data), success=success)

    async def streaming(self, data: list[Any]) -> None:
        """Respond to one of several inputs, of an endpoint with `connection: "stream"`."""
        await self._send_step(
            "process_streaming", self.outputs.whole(data, is_generating=True), success=True
        )

    async def _send_step(self, msg: str, output: dict[str, Any], *, success: bool) -> None:
        await self.send({"msg": msg, "output": output, "success": success, "time_limit": None})
        if not self.alive:
            raise Abandoned

    async def next_input(self, time_limit: float = 30) -> bool:
        """Wait for the next input, which is then in `data`; return whether there is one."""
        return await self.inputs.next(time_limit)

    async def generating_raw(self, data: list[Any]) -> None:
        """Send outputs as they are, such as edits that a test made."""
        output = self.outputs.raw(copy.deepcopy(data), is_generating=True)
        await self.send(
            {"msg": "process_generating", "output": output, "success": True, "time_limit": None}
        )

    async def completed(self, data: list[Any]) -> None:
        """Complete with outputs, one for each component."""
        self._complete(self.outputs.whole(data))
        await trio.lowlevel.checkpoint()

    async def fail(self, output: Mapping[str, Any]) -> None:
        """Fail with an error dict, such as `{"error": "boom", "visible": True}`."""
        self._fail(output)
        await trio.lowlevel.checkpoint()

    async def raw(self, data: bytes) -> None:
        """Send bytes as they are, in the place of a frame."""
        if self.alive:
            self.session.post(data)
        await trio.lowlevel.checkpoint()

    # --- Messages of another app ---

    @property
    def waits_elsewhere(self) -> bool:
        """Whether it waits in the queue of the app whose messages it relays."""
        return self.endpoint.relayed and self.state == "waiting"

    def admit(self) -> None:
        """Let the request that made it receive its response now.

        Otherwise, that waits for the first message of the other app, or for a refusal.
        """
        self._admitted.set()

    async def wait_admitted(self) -> None:
        """Wait until the other app has admitted or refused it."""
        await self._admitted.wait()

    async def relay(self, message: Message) -> None:
        """Send a message of another app, which tells how far the call is.

        Raises:
            Abandoned: The client has disconnected.
        """
        kind = message["msg"]
        if kind in ("process_completed", "queue_full"):
            self.ended = True
            self.state = "failed" if message.get("success") is False else "finished"
        elif kind == "progress" or kind.startswith("process_"):
            self.state = "running"
        self.send_nowait(message)
        self._admitted.set()
        await trio.lowlevel.checkpoint()
        if not self.alive:
            raise Abandoned

    def refuse(self, response: ServerResponse) -> None:
        """Respond to the request that made it with a refusal: the call was never queued.

        If it has received its response already, the call fails.
        """
        if self._admitted.is_set():
            self._fail({"error": f"the app refused the call with status {response.status}"})
            return
        self.refusal = response
        self.ended = True
        self.state = "failed"
        self.session.pending.discard(self.event_id)

    def never_complete(self) -> None:
        """Send no completion when the script returns."""
        self._silent = True

    # --- Its run, for the queue ---

    def _complete(self, output: dict[str, Any]) -> None:
        self._end(
            "finished",
            output,
            success=True,
            used_cache="full" if self.endpoint.cached else None,
            cache_duration=output["duration"],
            avg_time=output["average_duration"],
        )

    def _fail(self, output: Mapping[str, Any]) -> None:
        midway = self.outputs.count > 0
        self._end(
            "failed",
            dict(output),
            success=False,
            title=None if midway else output.get("title", "Error"),
            # Gradio reads this from any output; in an error, it is the duration of its display.
            cache_duration=output.get("duration") if midway else None,
        )

    def _end(
        self,
        state: State,
        output: dict[str, Any],
        *,
        success: bool,
        title: str | None = None,
        used_cache: str | None = None,
        cache_duration: float | None = None,
        avg_time: float | None = None,
    ) -> None:
        self.ended = True
        self.state = state
        self.send_nowait(
            {
                "msg": "process_completed",
                "output": output,
                "success": success,
                "title": title,
                "used_cache": used_cache,
                "cache_duration": cache_duration,
                "avg_time": avg_time,
            }
        )

    async def run(self, eta: float | None) -> None:
        """Run the script to its end, or until it is cancelled.

        Args:
            eta: The estimated duration in seconds, as Gradio computes it.
        """
        is_relayed = self.endpoint.relayed
        self.state = "waiting" if is_relayed else "running"
        self.outputs.start()
        with self.cancel_scope:
            if not (self.endpoint.manual or self.endpoint.cached or is_relayed):
                self.send_nowait({"msg": "process_starts", "eta": eta})
            try:
                await self.endpoint.script(self)
            except GradioError as error:
                self._fail(error.output)
            except Abandoned:
                self.state = "abandoned"
            else:
                if not self.ended and not self._silent:
                    values = self.outputs.last or [None] * len(self.endpoint.outputs)
                    self._complete(self.outputs.raw(values, is_generating=False))
        if self.cancel_scope.cancelled_caught:
            self.state = "cancelled"
        elif self.state == "running":
            self.state = "finished"
        self._admitted.set()
