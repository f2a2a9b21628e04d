"""One event's messages, through a real translator and sink, to a job's channel."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from outcome import Error, Value

from triojob import LogMessage, RenderUpdate, StatusUpdate
from triojob._core.messages import Finished, Message
from triojob._core.sink import ChannelSink
from triojob.gradio.protocol.messages import Json
from triojob.gradio.protocol.translator import EventTranslator


def bare(data: list[Any]) -> Any:
    """Present an output as an endpoint with one output does."""
    return data[0] if len(data) == 1 else tuple(data)


@dataclass
class Followed:
    """What the channel carried, outputs built as a reader builds them."""

    carried: list[Any] = field(default_factory=list)
    """Each message: a status, a log line, ``("output", value)`` or ``("finished", ...)``."""
    outputs: list[Any] = field(default_factory=list)
    statuses: list[StatusUpdate] = field(default_factory=list)
    logs: list[LogMessage] = field(default_factory=list)
    finished: list[Finished] = field(default_factory=list)

    def add(self, message: Message, state: Any) -> Any:
        """Take a message from the channel; return the state after it."""
        if isinstance(message, StatusUpdate):
            self.statuses.append(message)
            self.carried.append(message)
        elif isinstance(message, LogMessage):
            self.logs.append(message)
            self.carried.append(message)
        elif isinstance(message, RenderUpdate):
            self.carried.append(message)
        elif isinstance(message, Finished):
            self.finished.append(message)
            self.carried.append("finished")
        else:
            state = message.advance(state)
            value = message.show(state)
            self.outputs.append(value)
            self.carried.append(("output", value))
        return state

    @property
    def value(self) -> Any:
        """The value that the event ended with."""
        (last,) = self.finished
        assert isinstance(last.outcome, Value), last
        return last.outcome.value

    @property
    def error(self) -> BaseException:
        """The error that the event ended with."""
        (last,) = self.finished
        assert isinstance(last.outcome, Error), last
        return last.outcome.error

    @property
    def cancelled(self) -> bool:
        (last,) = self.finished
        return last.cancelled


def follow(
    messages: Iterable[Json],
    *,
    name: str = "/app",
    streams: bool = False,
    edits: bool = True,
    present: Callable[[list[Any]], Any] = bare,
) -> Followed:
    """Feed messages to a translator, and read the channel to its end."""
    sink = ChannelSink()
    translator = EventTranslator(name, streams=streams, edits=edits, present=present, sink=sink)
    followed = Followed()
    state: Any = None
    for message in messages:
        translator.feed(message)
    for sent in sink.close():
        state = followed.add(sent, state)
    assert translator.finished is bool(followed.finished)
    return followed


# --- Messages as Gradio 6.31 writes them ---

EVENT = "0123456789abcdef0123456789abcdef"


def estimation(rank: Any = 0, queue_size: Any = 1, rank_eta: Any = None) -> Json:
    return {
        "msg": "estimation",
        "event_id": EVENT,
        "rank": rank,
        "queue_size": queue_size,
        "rank_eta": rank_eta,
    }


def starts(eta: Any = None) -> Json:
    return {"msg": "process_starts", "event_id": EVENT, "eta": eta}


def progress(*units: Any) -> Json:
    return {"msg": "progress", "event_id": EVENT, "progress_data": list(units)}


def unit(**changes: Any) -> Json:
    return {
        "index": None,
        "length": None,
        "unit": "steps",
        "progress": None,
        "desc": None,
        **changes,
    }


def log(text: str, **changes: Any) -> Json:
    return {
        "msg": "log",
        "event_id": EVENT,
        "log": text,
        "level": "info",
        "title": "Info",
        "duration": 10,
        "visible": True,
        **changes,
    }


def _output(data: list[Any], **changes: Any) -> Json:
    return {
        "data": data,
        "is_generating": True,
        "duration": 0.1,
        "average_duration": 0.1,
        "render_config": None,
        "changed_state_ids": [],
        "used_cache": None,
        **changes,
    }


def generating(*data: Any, **changes: Any) -> Json:
    return {
        "msg": "process_generating",
        "event_id": EVENT,
        "output": _output(list(data)),
        "success": True,
        "time_limit": None,
        **changes,
    }


def streaming(*data: Any, **changes: Any) -> Json:
    return {**generating(*data, time_limit=12.5), "msg": "process_streaming", **changes}


def completed(*data: Any, **changes: Any) -> Json:
    return {
        "msg": "process_completed",
        "event_id": EVENT,
        "output": _output(list(data), is_generating=False),
        "success": True,
        "title": None,
        "used_cache": None,
        "cache_duration": 0.1,
        "avg_time": 0.1,
        **changes,
    }


def failed(output: Json, **changes: Any) -> Json:
    return completed(output=output, success=False, **changes)


def cancelled() -> Json:
    return completed(output={}, cache_duration=None, avg_time=None)
