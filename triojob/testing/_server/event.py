"""One call of a scripted app: what its script hears about it, and how it answers."""

from __future__ import annotations

import copy
import uuid
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal

import trio

from .description import Endpoint
from .edits import edits_between
from .http import compact_json

if TYPE_CHECKING:
    from .server import AppServer

Message = dict[str, Any]
State = Literal["waiting", "running", "finished", "failed", "cancelled", "removed", "abandoned"]


class GradioError(Exception):
    """What a script raises to fail as by `gr.Error`."""

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
    """Stops a generator whose client went away, at its next yield."""


def frame(message: Message) -> bytes:
    """Put one message into one frame of an event stream."""
    return b"data: " + compact_json(message) + b"\n\n"


def progress_unit(unit: float | tuple[int, int | None] | Mapping[str, Any]) -> dict[str, Any]:
    """Complete a unit, given by its fields or as to `gr.Progress`: a fraction, index and length."""
    empty = {"index": None, "length": None, "unit": "steps", "progress": None, "desc": None}
    if isinstance(unit, Mapping):
        return {**empty, **unit}
    if isinstance(unit, tuple):
        return {**empty, "index": unit[0], "length": unit[1]}
    return {**empty, "progress": float(unit)}


class Event:
    """One call of an endpoint: what the script hears about it, and how it answers."""

    def __init__(self, server: AppServer, endpoint: Endpoint, body: dict[str, Any]) -> None:
        self.server = server
        self.endpoint = endpoint
        self.body = body
        self.event_id = uuid.uuid4().hex
        self.session_hash: str = body["session_hash"]
        self.state: State = "waiting"
        self.alive = True
        """Whether its messages still go anywhere; not after its client's stream broke."""
        self.ended = False
        """Whether a process_completed was sent."""
        self.finished = trio.Event()
        """Set when the run is over, however it went."""
        self.cancel_scope = trio.CancelScope()
        self.steps = 0
        """How many outputs it yielded."""
        self.input_closed = False
        self._input_came = trio.Event()
        self.render_config: dict[str, Any] | None = None
        """What its next outputs say that it has rendered."""
        self._silent = False
        self._last: list[Any] | None = None
        self._step_started = 0.0
        self.started_at = 0.0

    def __repr__(self) -> str:
        return f"<Event {self.endpoint.name} {self.event_id[:6]} {self.state}>"

    @property
    def data(self) -> list[Any]:
        """One value for each input; of a State the session's value."""
        values = list(self.body["data"])
        for index, component in enumerate(self.endpoint.inputs[: len(values)]):
            if component.is_state:
                values[index] = self.server.state_of(self.session_hash, component)
        return values

    # --- What it sends ---

    def send_nowait(self, message: Message) -> None:
        """Put a message of this event into its session's queue."""
        msg, rest = message["msg"], {k: v for k, v in message.items() if k != "msg"}
        if self.alive:
            self.server.post(self.session_hash, {"msg": msg, "event_id": self.event_id, **rest})

    async def send(self, message: Message) -> None:
        """Send any message at all, with this event's id."""
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
        """Yield outputs, one for each component: whole the first time, as edits from then on."""
        visible = self._take(data)
        edits = self.server.app.sends_edits and not self.body.get("simple_format")
        if self._last is not None and edits:
            wire = [edits_between(old, new) for old, new in zip(self._last, visible, strict=True)]
        else:
            wire = visible
        self._last = visible
        self.steps += 1
        output = self._output(wire, is_generating=True)
        await self.send(
            {
                "msg": "process_generating",
                "output": output,
                "success": success,
                "time_limit": None,
            }
        )
        if not self.alive:
            raise Abandoned

    async def streaming(self, data: list[Any]) -> None:
        """Answer one of several inputs, of an endpoint with `connection: "stream"`."""
        output = self._output(self._take(data), is_generating=True)
        await self.send(
            {"msg": "process_streaming", "output": output, "success": True, "time_limit": None}
        )
        if not self.alive:
            raise Abandoned

    async def next_input(self, time_limit: float = 30) -> bool:
        """Wait for the next input, which is in `data` then; tell whether there is one."""
        with trio.move_on_after(time_limit) as scope:
            await self._input_came.wait()
        self._input_came = trio.Event()
        return not (scope.cancelled_caught or self.input_closed)

    def take_input(self, body: dict[str, Any] | None) -> None:
        """Take the next input, or None for the end of inputs."""
        if body is None:
            self.input_closed = True
        else:
            # As in Gradio, an input that comes too early takes the place of the one before.
            self.body = {**self.body, "data": body["data"]}
        self._input_came.set()

    async def generating_raw(self, data: list[Any]) -> None:
        """Send outputs as they are: edits of the test's own making, say."""
        output = self._output(copy.deepcopy(data), is_generating=True)
        await self.send(
            {"msg": "process_generating", "output": output, "success": True, "time_limit": None}
        )

    async def completed(self, data: list[Any]) -> None:
        """Complete with outputs, one for each component."""
        self._complete(self._take(data))
        await trio.lowlevel.checkpoint()

    async def fail(self, output: Mapping[str, Any]) -> None:
        """Fail with an error dict, such as `{"error": "boom", "visible": True}`."""
        self._fail(output)
        await trio.lowlevel.checkpoint()

    async def raw(self, data: bytes) -> None:
        """Send bytes as they are, in the place of a frame."""
        if self.alive:
            self.server.inject(self.session_hash, data)
        await trio.lowlevel.checkpoint()

    def never_complete(self) -> None:
        """Send no completion when the script returns."""
        self._silent = True

    # --- How it runs; for the server ---

    def _take(self, data: list[Any]) -> list[Any]:
        """Keep the values of State components, and give what is sent in their stead."""
        values = copy.deepcopy(list(data))
        for index, component in enumerate(self.endpoint.outputs[: len(values)]):
            if component.is_state:
                self.server.set_state(self.session_hash, component, values[index])
                values[index] = None
        return values

    def _output(self, data: list[Any], *, is_generating: bool) -> dict[str, Any]:
        now = trio.current_time()
        duration = now - self._step_started
        self._step_started = now
        return {
            "data": data,
            "is_generating": is_generating,
            "duration": duration,
            "average_duration": self.server.step_times.add(self.endpoint, duration),
            "render_config": self.render_config,
            "changed_state_ids": [],
            "used_cache": None,
        }

    def _complete(self, data: list[Any]) -> None:
        output = self._output(data, is_generating=False)
        cached = self.endpoint.cached
        self._end(
            "finished",
            output,
            success=True,
            used_cache="full" if cached else None,
            cache_duration=output["duration"],
            avg_time=output["average_duration"],
        )

    def _fail(self, output: Mapping[str, Any]) -> None:
        midway = self.steps > 0
        self._end(
            "failed",
            dict(output),
            success=False,
            title=None if midway else output.get("title", "Error"),
            # Gradio reads this from whatever it sends; in an error that is how long to show it.
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

    async def run(self) -> None:
        """Run the script to its end, or until it is cancelled."""
        self.state = "running"
        self._step_started = trio.current_time()
        with self.cancel_scope:
            if not self.endpoint.manual and not self.endpoint.cached:
                self.send_nowait(
                    {
                        "msg": "process_starts",
                        "eta": self.server.run_times.mean(self.endpoint),
                    }
                )
            try:
                await self.endpoint.script(self)
            except GradioError as error:
                self._fail(error.output)
            except Abandoned:
                self.state = "abandoned"
            else:
                if not self.ended and not self._silent:
                    self._complete(self._last or [None] * len(self.endpoint.outputs))
        self._settle(trio.current_time() - self.started_at)

    def _settle(self, seconds: float) -> None:
        """Say how the run went, where it did not say so itself."""
        if self.cancel_scope.cancelled_caught:
            self.state = "cancelled"
        elif self.state == "finished":
            self.server.run_times.add(self.endpoint, seconds)
        elif self.state == "running":
            self.state = "finished"
