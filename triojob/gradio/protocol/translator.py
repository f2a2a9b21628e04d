"""Converts one event's messages for its job's memory channel; no I/O."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import zip_longest
from sys import intern
from typing import Any

from outcome import Error, Outcome, Value

from ..._core.containment import call_failure
from ..._core.logs import log_job
from ..._core.messages import UNKNOWN, Output, RenderUpdate, Status, StatusUpdate, now
from ..._core.sink import MessageSink
from ..._exceptions import JobCancelled, ProtocolError, QueueFull, short_repr, shorten
from . import messages
from .diff import EditError, apply_edits, grow_text, settled
from .messages import InvalidMessage, Json
from .refusals import RETRY

_RUNNING = (Status.PROCESSING, Status.PROGRESS)

Present = Callable[[list[Any]], Any]
"""Converts an output's data to the value that the user receives."""


@dataclass(frozen=True, slots=True)
class FullData:
    """An output that was received whole."""

    data: list[Any]
    present: Present
    time: datetime = field(default_factory=now)

    @property
    def known_state(self) -> list[Any]:
        return self.data

    def advance(self, _state: Any, /) -> list[Any]:
        return self.data

    def show(self, state: Any, /) -> Any:
        return self.present(state)


@dataclass(slots=True)
class EditedData:
    """An output that was received as edits of the previous one, a list for each component."""

    edits: list[Any]
    present: Present
    time: datetime = field(default_factory=now)
    after: list[Any] | None = field(default=None, repr=False)
    """The state after it, while it is one of the last two outputs.

    It saves readers that keep up from applying the edits again; also readers that keep only the
    last output, which need the state before it.
    """
    changed: Sequence[list[Any]] = field(default=(), repr=False)
    """For each component, the containers that the edits have changed, while it is handed on."""

    @property
    def known_state(self) -> Any:
        after = self.after  # read once: another thread may be reading while it is cleared
        return UNKNOWN if after is None else after

    def advance(self, state: Any, /) -> list[Any]:
        after = self.after
        return apply_data_edits(state, self.edits) if after is None else after

    def show(self, state: Any, /) -> Any:
        return self.present(list(map(settled, state)))


def apply_data_edits(
    data: list[Any], edits: list[Any], changed: list[list[Any]] | None = None
) -> list[Any]:
    """Return ``data`` with the edits of each component applied; ``data`` does not change.

    A new component starts from None.
    A component whose text only grows becomes a `GrowingText`, until it is read.

    Args:
        changed: Receives a list for each component, see `apply_edits`.

    Raises:
        EditError: An edit does not fit, or a component has none.
    """
    if len(edits) < len(data):
        raise EditError("a component has no list of edits")
    if changed is None:
        return [
            grow_text(value, edit) or apply_edits(settled(value), edit)
            for value, edit in zip_longest(data, edits)
        ]
    changed += ([] for _ in edits)
    return [
        grow_text(value, edit) or apply_edits(settled(value), edit, containers)
        for value, edit, containers in zip_longest(data, edits, changed)
    ]


def share_parts(edits: list[Any], path: list[Any]) -> list[Any]:
    """Let applied edits share equal parts, to save memory; return their last path.

    Outputs are kept as their edits, and the edits of a stream mostly differ only in a text.

    Args:
        path: The path of an earlier edit, which replaces equal paths.
    """
    for component in edits:
        for edit in component:
            edit[0] = intern(edit[0])
            # Equal paths are identical: in edits that can be applied, no key is True or 1.0.
            if edit[1] == path:
                edit[1] = path
            else:
                path = edit[1]
    return path


class EventTranslator:
    """Follows one event from its first message to its last.

    Args:
        name: The endpoint's name, for messages to people.
        number: The job's id, for the log.
        streams: Whether the endpoint is a generator.
        edits: Whether the protocol sends later outputs as edits.
        present: Converts an output's data to the value that the user receives.
        sink: Receives the job's messages.
        rendered: Called with the configuration that a ``gr.render`` of the app has created.
        answered: Called after each output that is the response to one of several inputs.
    """

    __slots__ = (
        "_answered",
        "_data",
        "_edits",
        "_in_step",
        "_last",
        "_last_but_one",
        "_name",
        "_number",
        "_path",
        "_present",
        "_rendered",
        "_sink",
        "_streams",
        "finished",
        "running",
        "started",
    )

    def __init__(
        self,
        name: str,
        *,
        number: int | None = None,
        streams: bool,
        edits: bool,
        present: Present,
        sink: MessageSink,
        rendered: Callable[[Json], None] | None = None,
        answered: Callable[[], None] | None = None,
    ) -> None:
        self._name = name
        self._number = number
        self._streams = streams
        self._edits = edits
        self._present = present
        self._sink = sink
        self._rendered = rendered
        self._answered = answered
        self._data: list[Any] | None = None
        """The data of the last output, rebuilt from its edits."""
        self._last: EditedData | None = None
        """The last output, if it was received as edits."""
        self._last_but_one: EditedData | None = None
        """The output before the last, if both were received as edits."""
        self._in_step = True
        self._path: list[Any] = []
        """The path of the last edit."""
        self.started: bool = False
        """Whether any message has been received."""
        self.running: bool = False
        """Whether the event has left the server's queue."""
        self.finished: bool = False
        """Whether the sink has received the outcome."""

    def feed(self, message: Json | InvalidMessage) -> None:
        """Process one message of this event; an invalid one ends the event with `ProtocolError`.

        Raises nothing: any `Exception` that a message causes is a failure of this call.
        """
        self.started = True
        if self.finished:
            return
        try:
            if isinstance(message, InvalidMessage):
                raise message.error
            self._feed(message)
        except Exception as exc:  # noqa: BLE001 - it becomes the outcome
            self.fail(call_failure(exc, self._name))

    def status(self, status: StatusUpdate) -> None:
        """Report a status that the client itself determines, unless the event has ended."""
        if not self.finished:
            self._sink.status(status)

    def fail(self, error: Exception) -> None:
        """End the event with ``error``, unless it has ended."""
        if not self.finished:
            if isinstance(error, QueueFull):
                self._sink.status(StatusUpdate(Status.QUEUE_FULL))
            self._finish(Error(error))

    def cancel(self, reason: str | None = None) -> None:
        """End the event as cancelled by something other than its job, unless it has ended."""
        if not self.finished:
            where = "" if reason else " on the server"
            error = JobCancelled(f"{self._name} was cancelled{where}", reason=reason)
            self._finish(Error(error), cancelled=True)

    def _finish(
        self, result: Outcome[Any], *, output: Output | None = None, cancelled: bool = False
    ) -> None:
        """Pass on the outcome; the event has not ended until the sink has received it."""
        self._sink.finish(result, output=output, cancelled=cancelled)
        self.finished = True

    def _feed(self, message: Json) -> None:
        kind = message["msg"]
        if kind in ("process_generating", "process_streaming"):  # first, as most messages are
            data = messages.data_of(message)
            self._take_render(message)
            # Without data, it is the error of one step; the completion reports it.
            if data is not None and message.get("success") is not False:
                self._output(data, whole=kind == "process_streaming" or not self._edits)
            if kind == "process_streaming" and self._answered is not None:
                self._answered()
        elif kind == "process_completed":
            self._complete(message)
        elif (status := _status(message)) is not None:
            self.running = self.running or status.code in _RUNNING
            self._sink.status(status)
        elif kind == "queue_full":
            self.fail(QueueFull(f"calling {self._name}: the app's queue is full; {RETRY}"))
        elif kind == "log":
            self._sink.put(messages.log_message(message))
        else:
            # A newer server may send more messages than this client knows.
            self._log("ignoring a message of unknown kind %r", shorten(kind))

    def _log(self, text: str, about: object) -> None:
        log_job(logging.DEBUG, self._number, self._name, text, about)

    def _output(self, data: list[Any], *, whole: bool) -> None:
        if whole or self._data is None:
            self._follow_on(None)
            self._data = data
            self._present(data)  # data that can't be shown ends the event here, not in a reader
            self._sink.output(FullData(data, self._present))
        elif self._in_step:
            try:
                changed: list[list[Any]] = []
                self._data = apply_data_edits(self._data, data, changed)
            except EditError as exc:
                # Gradio's own diff miscounts some deletions, so this does not fail the job: the
                # completion contains the full data again.
                self._in_step = False
                self._log("can't apply a diff; outputs until the completion are skipped: %s", exc)
            else:
                self._path = share_parts(data, self._path)
                output = EditedData(data, self._present, after=self._data, changed=changed)
                self._follow_on(output)
                self._sink.output(output)
                output.changed = ()

    def _follow_on(self, output: EditedData | None) -> None:
        """Drop the states of all but the last two outputs; None is a whole output."""
        if self._last_but_one is not None:
            self._last_but_one.after = None
        self._last_but_one, self._last = self._last, output

    def _take_render(self, message: Json) -> None:
        config = messages.output_of(message).get("render_config")
        if messages.is_object(config):
            if self._rendered is not None:
                self._rendered(config)
            self._sink.put(RenderUpdate(config))

    def _complete(self, message: Json) -> None:
        error = messages.app_error(message, self._name)
        if error is not None:
            self.fail(error)
            return
        data = messages.data_of(message)
        if data is None:
            if messages.output_of(message):
                raise ProtocolError(f"{self._name} completed without data: {short_repr(message)}")
            # An empty output is the server's response to a cancel request, never a result.
            self.cancel()
            return
        self._take_render(message)
        value = self._present(data)
        output = None
        if self._data is None:
            output = None if self._streams else FullData(data, self._present)
        elif not self._in_step or data != list(map(settled, self._data)):
            # The completion repeats the last yield, so it is a new output only if it differs.
            output = FullData(data, self._present)
        self._finish(Value(value), output=output)


class ObservedTranslator(EventTranslator):
    """Shows each valid message of its event to an observer, before it translates the message."""

    __slots__ = ("_observer",)

    def __init__(self, name: str, *, observer: Callable[[Json], object], **options: Any) -> None:
        super().__init__(name, **options)
        self._observer = observer

    def feed(self, message: Json | InvalidMessage) -> None:
        if not self.finished and not isinstance(message, InvalidMessage):
            self._observer(message)
        super().feed(message)


def _status(message: Json) -> StatusUpdate | None:
    """Return the status of the event that a message reports, or None if it reports none."""
    kind = message["msg"]
    if kind == "estimation":
        return StatusUpdate(
            Status.IN_QUEUE,
            rank=messages.number(message, "rank"),
            queue_size=messages.number(message, "queue_size"),
            eta=messages.number(message, "rank_eta"),
        )
    if kind == "process_starts":
        return StatusUpdate(Status.PROCESSING, eta=messages.number(message, "eta"))
    if kind == "send_data":
        return StatusUpdate(Status.SENDING_DATA)
    if kind == "progress":
        return StatusUpdate(Status.PROGRESS, progress_data=messages.progress_units(message))
    return None
