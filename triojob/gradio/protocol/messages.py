"""Decodes events to messages, which are similar in all protocols; no I/O.

The messages are defined in gradio 6.31, ``server_messages.py``.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import Any, NamedTuple, TypeGuard, cast

from ..._core.messages import LogMessage, ProgressUnit
from ..._exceptions import AppError, ProtocolError, short_repr, shorten
from ..._secrets import scrub

Json = dict[str, Any]
_CONTAINERS: tuple[type[Any], ...] = (list, dict)
_decoder = json.JSONDecoder()

MOST_DEPTH = 256
"""How deep containers can be nested in a server's value; Gradio's encoder writes up to 254 levels.

Python's recursion limit leaves room for this depth in `repr`, in comparisons and in triojob's own
code.
"""


class Trigger(NamedTuple):
    """What triggered an event, as a browser reports a click or a selection."""

    event_data: str = "null"
    """As JSON."""
    trigger_id: int | None = None
    """The number of the component."""


def is_object(value: Any) -> TypeGuard[Json]:
    """Return whether a decoded value is an object."""
    return isinstance(value, dict)


def is_list(value: Any) -> TypeGuard[list[Any]]:
    """Return whether a decoded value is a list."""
    return isinstance(value, list)


def is_tuple(value: Any) -> TypeGuard[tuple[Any, ...]]:
    """Return whether a value is a tuple: decoded values never are, several outputs together are."""
    return isinstance(value, tuple)


def are_objects(value: Any) -> TypeGuard[list[Json]]:
    """Return whether a decoded value is a list of objects."""
    return is_list(value) and all(map(is_object, value))


def is_deeper(value: Any, most: int) -> bool:
    """Return whether containers are nested more than ``most`` levels deep, in linear time."""
    level: list[Any] = [value] if isinstance(value, _CONTAINERS) else []
    for _ in range(most):
        if not level:
            return False
        level = [
            inner
            for item in level
            for inner in (item.values() if is_object(item) else item)
            if isinstance(inner, _CONTAINERS)
        ]
    return bool(level)


def decode_object(data: bytes, what: str) -> Json:
    """Decode a JSON object from the server; ``what`` names it in the error.

    Raises:
        ProtocolError: It is not a JSON object in UTF-8, or one that is nested too deep.
    """
    value = decode_json(data, what)
    if isinstance(value, dict):
        return cast("Json", value)
    raise ProtocolError(f"{what} is not a JSON object: {shorten(data)}")


def decode_json(data: bytes, what: str) -> Any:
    """Decode JSON from the server; ``what`` names it in the error.

    Raises:
        ProtocolError: It is not JSON in UTF-8, or it is nested too deep.
    """
    value = _decode(data, what)
    # Most values have fewer brackets than that, and counting them is faster.
    if data.count(b"[") + data.count(b"{") > MOST_DEPTH and is_deeper(value, MOST_DEPTH):
        raise _nested(data, what)
    return value


def _decode(data: bytes, what: str) -> Any:
    try:
        # By itself, json would guess other encodings, and accept surrogates.
        text = str(data, "utf-8")
        try:
            value, end = _decoder.raw_decode(text)
        except ValueError:
            value, end = None, -1
        # White space around the value is rare, so look for it only if necessary.
        return value if end == len(text) else _decoder.decode(text)
    except RecursionError:
        failure = _nested(data, what)
    except ValueError as exc:
        failure = ProtocolError(f"{what} is not JSON ({type(exc).__name__}): {shorten(data)}")
    # Raised outside of the handler, as json's exceptions hold the whole text.
    raise failure


def _nested(data: bytes, what: str) -> ProtocolError:
    return ProtocolError(f"{what} is nested more than {MOST_DEPTH} levels deep: {shorten(data)}")


def decode_message(data: bytes) -> Json:
    """Decode one message of an event stream: an object with a ``msg``.

    Raises:
        ProtocolError: It is something else.
    """
    message = decode_object(data, "a message of the event stream")
    if not isinstance(message.get("msg"), str):
        raise ProtocolError(f"a message of the event stream has no 'msg': {shorten(data)}")
    if not isinstance(message.get("event_id"), (str, type(None))):
        raise ProtocolError(f"a message of the event stream has a bad 'event_id': {shorten(data)}")
    return message


class InvalidMessage(NamedTuple):
    """An event of a stream that is not a valid message."""

    error: Exception
    """Why it is invalid."""
    event_id: str | None = None
    """The event id of its call, if it names one."""
    completes: bool = False
    """Whether it claims to be the last message of that call."""
    is_object: bool = True
    """Whether it could be parsed; if so and without an event id, it belongs to no call."""


_HEAD = re.compile(rb'\s*\{\s*"msg"\s*:\s*"(\w+)"\s*,\s*"event_id"\s*:\s*"([^"\\]+)"')
"""How Gradio begins a message of a call."""


def read_message(data: bytes) -> Json | InvalidMessage:
    """Decode one message of an event stream that calls share; raise nothing.

    An invalid message is a failure of its own call only.
    """
    try:
        return decode_message(data)
    except Exception as exc:  # noqa: BLE001 - it becomes that failure
        return invalid_message(data, exc)


def invalid_message(data: bytes, error: Exception) -> InvalidMessage:
    """Return the information that can be read from an invalid message.

    Args:
        data: The event, or its beginning.
        error: Why it is invalid.
    """
    head = _HEAD.match(data)
    if head is not None:
        return InvalidMessage(
            error, head[2].decode(errors="replace"), head[1] == b"process_completed"
        )
    message: Any = None
    with suppress(ProtocolError):  # with the keys in another order
        message = _decode(data, "a message")
    if not is_object(message):
        return InvalidMessage(error, is_object=False)
    event_id = message.get("event_id")
    return InvalidMessage(error, event_id if isinstance(event_id, str) else None)


def number(message: Json, key: str) -> Any:
    """Return the number in ``message[key]``, or None if there is none.

    Raises:
        ProtocolError: There is something else.
    """
    value = message.get(key)
    if value is None or (isinstance(value, (int, float)) and not isinstance(value, bool)):
        return value
    raise ProtocolError(f"{key!r} is not a number: {short_repr(message)}")


def seconds(message: Json, key: str) -> float | None:
    """Return the number in ``message[key]``, or None: for durations that only the app's page uses.

    ``gr.Error(duration=...)`` accepts any value.
    """
    with suppress(ProtocolError):
        return cast("float | None", number(message, key))
    return None


def text(message: Json, key: str, default: str | None = None) -> str | None:
    """Return ``message[key]`` if it is text, else ``default``: such fields are for people."""
    value = message.get(key)
    return scrub(value) if isinstance(value, str) else default


def data_of(message: Json) -> list[Any] | None:
    """Return ``message["output"]["data"]``, or None if there is none.

    Raises:
        ProtocolError: It is not a list.
    """
    data = output_of(message).get("data")
    if data is None or is_list(data):
        return data
    raise ProtocolError(f"the data of an output is not a list: {short_repr(message)}")


def output_of(message: Json) -> Json:
    """Return ``message["output"]``, an object.

    Raises:
        ProtocolError: It is something else.
    """
    output = message.get("output")
    if is_object(output):
        return output
    raise ProtocolError(f"a message has no 'output' object: {short_repr(message)}")


def completes(message: Json | InvalidMessage) -> bool:
    """Return whether a message is the last one of its event."""
    if isinstance(message, InvalidMessage):
        return message.completes
    kind: str = message["msg"]
    return kind == "process_completed"


def is_cancel_answer(message: Json | InvalidMessage) -> bool:
    """Return whether a message ends a call as the server's response to a cancel request."""
    return (
        not isinstance(message, InvalidMessage)
        and completes(message)
        and message.get("success") is not False
        and message.get("output") == {}
    )


def progress_units(message: Json) -> list[ProgressUnit]:
    """Return the units of a ``progress`` message, outermost first.

    Raises:
        ProtocolError: They are something else.
    """
    units = message.get("progress_data")
    if not are_objects(units):
        raise ProtocolError(f"'progress_data' is not a list: {short_repr(message)}")
    return [
        ProgressUnit(
            number(unit, "index"),
            number(unit, "length"),
            text(unit, "unit"),
            number(unit, "progress"),
            text(unit, "desc"),
        )
        for unit in units
    ]


def log_message(message: Json) -> LogMessage:
    """Return the content of a ``log`` message."""
    return LogMessage(
        text(message, "log", "") or "",
        text(message, "level", "info") or "info",
        title=text(message, "title"),
        duration=seconds(message, "duration"),
        visible=message.get("visible") is not False,
    )


def app_error(message: Json, endpoint: str) -> AppError | None:
    """Return the error that a ``process_completed`` message reports, or None if it reports none."""
    output = output_of(message)
    if message.get("success") is not False and "error" not in output:
        return None
    error = output.get("error")
    failure = AppError(
        error if error is None or isinstance(error, str) else json.dumps(error),
        title=text(output, "title") or text(message, "title"),
        duration=seconds(output, "duration"),
        visible=output.get("visible") is not False,
        endpoint=endpoint,
    )
    failure.details = {name: _bare(output[name]) for name in _ERROR_FIELDS if name in output}
    return failure


_ERROR_FIELDS = ("error", "title", "duration", "visible", "print_exception")


def _bare(value: Any) -> Any:
    """Return a field of an error without secrets; Gradio puts at most one value into each."""
    if isinstance(value, str):
        return scrub(value)
    return short_repr(value) if is_object(value) or is_list(value) else value
