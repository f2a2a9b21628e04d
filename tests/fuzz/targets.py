"""What is fuzzed: each target takes any bytes, and fails where a promise is broken.

The promises: no exception but the documented ones, whatever comes; what is kept and what is shown
is bounded; and where there is a plain way to do the same, the answer is the same.
A target that takes something of JSON returns where the bytes are none.
"""

from __future__ import annotations

import copy
import email.parser
import email.policy
import json
import math
import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import trio
import trio.testing
from outcome import Error

from tests.fuzz import oracles
from triojob import (
    AppError,
    EndpointNotFound,
    JobCancelled,
    LogMessage,
    ProgressUnit,
    ProtocolError,
    QueueFull,
    RenderUpdate,
    StatusUpdate,
)
from triojob._messages import Finished, Message
from triojob._reporter import Reporter
from triojob.gradio import _file_data, _file_names, _wire
from triojob.gradio._config import AppInfo, EndpointInfo
from triojob.gradio._connections import Broken, Connections, Wire, WireError
from triojob.gradio._edits import EditError, apply_edits
from triojob.gradio._event import EventTranslator
from triojob.gradio._hls import parse_playlist
from triojob.gradio._multipart import Multipart
from triojob.gradio._parameters import Parameter, encode_value
from triojob.gradio._properties import PropertyUpdate, unwrap
from triojob.gradio._sse import EventDecoder
from triojob.gradio._view import describe_app

SHOWN = 2000
"""Characters that the text of any error may have at most."""


def check_error(error: Exception) -> None:
    assert len(str(error)) <= SHOWN, "an error shows too much of what the server sent"


def decoded(data: bytes) -> Any:
    """Return what bytes of JSON say; None for what is none, and for what is too deep to compare."""
    with suppress(ValueError, RecursionError):
        value = json.loads(data)
        copy.deepcopy(value)
        return value
    return None


# --- Bytes ---


def sse(data: bytes) -> None:
    """The first byte says how large the chunks are, and the second how large an event may be."""
    if len(data) < 2:
        return
    size, most, stream = data[0] % 23 + 1, data[1], data[2:]
    if data[0] >= 128:
        size = len(stream) + 1
    decoder = EventDecoder(most)
    got: list[tuple[str, bytes]] = []
    refused = False
    try:
        for start in range(0, len(stream), size):
            for event in decoder.feed(stream[start : start + size]):
                got.append((decoder.kind, event))
            kept = len(decoder._buffer) + sum(map(len, decoder._data)) + len(decoder._kind)
            assert kept <= most + 3, "more is kept than an event may have"
    except ProtocolError as error:
        check_error(error)
        refused = True
    assert (got, refused) == oracles.events_of(stream, most)


def wire(data: bytes) -> None:
    """One message, as bytes."""
    try:
        message = _wire.decode_message(data)
    except ProtocolError as error:
        check_error(error)
        return
    assert isinstance(message["msg"], str)
    for key in message:
        for read in (_wire.number, _wire.seconds, _wire.text):
            with suppress(ProtocolError):
                assert read(message, key) is None or read(message, key) == message[key]
    for look in (_wire.data_of, _wire.output_of, _wire.progress_units, _wire.log_message):
        try:
            seen: Any = look(message)
        except ProtocolError as error:
            check_error(error)
        else:
            units = seen if isinstance(seen, list) else ()
            assert look is not _wire.progress_units or all(
                isinstance(unit, ProgressUnit) for unit in units
            )
    try:
        failure = _wire.app_error(message, "/app")
    except ProtocolError as error:
        check_error(error)
    else:
        assert failure is None or isinstance(str(failure), str)


def event(data: bytes) -> None:
    """All messages of one event: a list, the first item of which says what the endpoint is."""
    messages = decoded(data)
    if not isinstance(messages, list) or not messages:
        return
    flags = messages[0] if type(messages[0]) is int else 0
    messages = [m for m in messages if isinstance(m, dict) and isinstance(m.get("msg"), str)]
    shown = ((0,), (0, 1), (), (1,))[flags // 4 % 4]
    info = endpoint_info(shown)
    edits = bool(flags & 2)
    send, receive = trio.open_memory_channel[Message](math.inf)
    translator = EventTranslator(
        "/app",
        streams=bool(flags & 1),
        edits=edits,
        present=info.present,
        reporter=Reporter(send),
        rendered=lambda config: None,
        answered=lambda: None,
    )
    until: int | None = None
    for number, message in enumerate(messages):
        before = copy.deepcopy(message)
        translator.feed(message)
        assert repr(message) == repr(before), "a message was changed"
        if translator.finished and until is None:
            until = number
    carried: list[Any] = []
    with suppress(trio.WouldBlock):
        while True:
            carried.append(receive.receive_nowait())
    ends = [item for item in carried if isinstance(item, Finished)]
    assert len(ends) == translator.finished
    assert not ends or carried[-1] is ends[0], "something came after the end"
    outputs = [
        item
        for item in carried
        if not isinstance(item, (StatusUpdate, LogMessage, RenderUpdate, Finished))
    ]
    # Twice, as two readers do, one after the other.
    for _ in range(2):
        state: Any = None
        values = []
        for output in outputs:
            state = output.advance(state)
            values.append(output.show(state))
        states = oracles.outputs_of(messages[:until], edits=edits)
        expected = [shown_of(state, shown) for state in states]
        # The completion may bring another.
        assert repr(values[: len(expected)]) == repr(expected)
        assert len(values) <= len(expected) + 1
    if ends and isinstance(ends[0].outcome, Error):
        error = ends[0].outcome.error
        assert isinstance(error, (AppError, ProtocolError, QueueFull, JobCancelled))
        assert isinstance(error, AppError) or len(str(error)) <= SHOWN


def endpoint_info(shown: tuple[int, ...]) -> EndpointInfo:
    return EndpointInfo(
        fn_index=0,
        api_name="/app",
        visibility="public",
        description="",
        parameters=(),
        returns=(),
        input_count=0,
        shown_outputs=shown,
        streams=True,
        takes_stream=False,
        stateful=False,
    )


def shown_of(data: list[Any], shown: tuple[int, ...]) -> Any:
    values = []
    for place in shown:
        value = data[place]
        if isinstance(value, dict) and value.get("__type__") == "update":
            rest = {key: value[key] for key in value if key != "__type__"}
            value = value["value"] if "value" in value else PropertyUpdate(rest)
        values.append(value)
    return values[0] if len(values) == 1 else tuple(values)


class Said(Wire):
    """A connection on which a server says what it says, in pieces, and hangs up."""

    def __init__(self, data: bytes, size: int) -> None:
        self._pieces = [data[start : start + size] for start in range(0, len(data), size)]
        self.closed = False

    async def send_all(self, data: bytes) -> None:
        await trio.lowlevel.checkpoint()

    async def receive_some(self) -> bytes:
        await trio.lowlevel.checkpoint()
        return self._pieces.pop(0) if self._pieces else b""

    def is_stale(self) -> bool:
        return not self._pieces

    def close(self) -> None:
        self.closed = True


async def _ask(wire: Said) -> tuple[Any, ...]:
    """Make one request; return the status, the body as far as it came, and the kind of error."""

    async def connect() -> Wire:
        await trio.lowlevel.checkpoint()
        return wire

    connections, body, status = Connections(connect, 5), bytearray(), 0
    error: type[WireError] | None = None
    try:
        answer = await connections.send("GET", b"GET / HTTP/1.1\r\n\r\n", write=5, read=5)
        status = answer.status
        answer.header("content-type")
        try:
            await answer.read(lambda piece, reading: body.extend(piece))
        finally:
            await answer.aclose()
    except WireError as exc:
        error = type(exc)
    connections.close()
    assert wire.closed, "a connection is left"
    return status, bytes(body), error


def connections(data: bytes) -> None:
    """The first byte says how large the pieces are of what a server says."""
    size, said = data[0] % 29 + 1 if data else 1, data[1:]
    seen = [
        trio.run(_ask, Said(said, pieces), clock=trio.testing.MockClock(autojump_threshold=0))
        for pieces in (len(said) + 1, size)
    ]
    assert seen[0] == seen[1], "what is understood depends on the pieces"
    status, body, error = seen[0]
    assert len(body) <= len(said)
    assert error in (None, Broken)
    assert error is not None or status


# --- Values ---


def edits(data: bytes) -> None:
    """A pair: a value, and edits of it."""
    match decoded(data):
        case [root, changes]:
            before = repr((root, changes))
        case _:
            return
    try:
        expected, refused = oracles.edited(root, changes), False
    except oracles.Refused:
        expected, refused = None, True
    for _ in range(2):
        try:
            made = apply_edits(root, changes)
        except EditError as error:
            assert refused
            assert len(str(error)) < 200
        else:
            assert not refused
            assert repr(made) == repr(expected)
        assert repr((root, changes)) == before, "the old value or the edits were changed"


def file_data(data: bytes) -> None:
    """A pair: a value with files, and edits of it."""
    match decoded(data):
        case [value, changes] if isinstance(changes, list):
            pass
        case _:
            return
    for protocol in ("sse_v3", "sse_v2", "ws"):
        rule = _file_data.file_rule(protocol)
        places = _file_data.find_files(value, rule)
        if protocol == "sse_v3":
            found = [file.path for _, file in places]
            assert sorted(found) == sorted(oracles.files_of(value, by_meta=True))
        before = repr(value)
        replaced = _file_data.replace_files(value, places, lambda file: [file.path])
        assert repr(value) == before
        for path, file in places:
            node = replaced
            for key in path:
                node = node[key]
            assert node == [file.path]
            assert isinstance(file.size, (int, type(None)))
        try:
            after = apply_edits(value, changes)
        except EditError:
            continue
        # What is said to change no file changes none.
        if not _file_data.may_change_files([changes], rule):
            files = sorted(repr(file) for _, file in places)
            later = sorted(repr(file) for _, file in _file_data.find_files(after, rule))
            assert set(later) <= set(files), "an edit brought a file unseen"


def properties(data: bytes) -> None:
    """One output of one component."""
    value = decoded(data)
    shown = unwrap(value)
    if isinstance(shown, PropertyUpdate):
        assert dict(shown) == {k: v for k, v in value.items() if k != "__type__"}
        assert len(shown) == len(list(shown))
    elif isinstance(value, dict) and value.get("__type__") == "update":
        assert shown is value["value"]
    else:
        assert shown is value


# --- Descriptions ---


def config(data: bytes) -> None:
    """A pair: ``/config`` and ``/info``; a third item is what a render made."""
    match decoded(data):
        case [dict(description), dict(info), *renders]:
            pass
        case _:
            return
    before = repr((description, info))
    try:
        app = AppInfo(description, info)
        app = app.with_renders([item for item in renders if isinstance(item, dict)])
    except ProtocolError as error:
        check_error(error)
        return
    names = app.names(all_endpoints=True)
    assert set(app.names()) <= set(names)
    found: list[EndpointInfo] = []
    for name, number in [*((name, None) for name in names), (None, 0), (None, 1), (None, None)]:
        try:
            found.append(app.find(name, number))
        except EndpointNotFound as error:
            check_not_found(error, names)
        except ProtocolError as error:
            check_error(error)
    for endpoint in found:
        check_endpoint(endpoint)
    assert isinstance(describe_app("http://a/", app, found), str)
    assert repr((description, info)) == before


def check_not_found(error: EndpointNotFound, names: tuple[str, ...]) -> None:
    assert set(error.available) <= set(names)
    assert error.nearest is None or error.nearest in names


def check_endpoint(endpoint: EndpointInfo) -> None:
    assert len(endpoint.signature.parameters) == len(endpoint.parameters)
    assert all(parameter.place < endpoint.input_count for parameter in endpoint.parameters)
    for values in ((), ("x",) * len(endpoint.parameters), (None,) * len(endpoint.parameters)):
        try:
            encoded = endpoint.encode(values, {}, validate=True)
        except (TypeError, ValueError):
            continue
        assert len(json.loads(encoded)) == endpoint.input_count
    width = max(endpoint.shown_outputs, default=-1) + 1
    endpoint.present([None] * width)
    if width:
        with suppress(ProtocolError):
            endpoint.present([None] * (width - 1))
            raise AssertionError("an output with too few values was shown")


def parameters(data: bytes) -> None:
    """A triple: a parameter of ``/info``, its component's props, and an argument for it."""
    match decoded(data):
        case [dict(item), props, value]:
            pass
        case _:
            return
    parameter = Parameter.from_info("x", 0, item, props)
    assert isinstance(str(parameter.as_python(after_optional=False)), str)
    try:
        parameter.check("/app", value)
    except (TypeError, ValueError) as error:
        check_error(error)
    try:
        encoded = encode_value(value, "the argument")
    except (TypeError, ValueError):
        return
    assert repr(json.loads(encoded)) == repr(value)


# --- Files ---


def file_names(data: bytes) -> None:
    """Names, one a line; surrogates stand for bytes that are no UTF-8."""
    names = data.decode("utf-8", "surrogateescape").split("\n")
    name = _file_names.safe_name(*names)
    assert name
    assert len(name.encode()) <= _file_names.MAX_NAME
    assert not re.search(r'[/\\<>:"|?*\x00-\x1f\x7f]', name)
    assert not name.startswith((".", " "))
    assert not name.endswith((".", " "))
    assert name.partition(".")[0].rstrip(" ").upper() not in _file_names._DEVICES
    assert _file_names.safe_name(name) == name, "a safe name is not safe yet"


def hls(data: bytes) -> None:
    """A playlist."""
    try:
        playlist = parse_playlist(data)
    except ProtocolError as error:
        check_error(error)
        return
    assert data.startswith((b"#EXTM3U", b" ", b"\t", b"\r", b"\x0b", b"\x0c", b"\x1c", b"\xc2"))
    for name in playlist.segments:
        assert re.fullmatch(r"[A-Za-z0-9_.~-]{1,200}", name)
        assert name not in (".", "..")


def multipart(data: bytes) -> None:
    """A file's name and type, one a line each, and what it holds."""
    name, _, rest = data.partition(b"\n")
    kind, _, content = rest.partition(b"\n")
    text = name.decode("utf-8", "surrogateescape")
    form = Multipart("files", text, kind.decode("latin-1") or None)
    body = form.head + content + form.tail
    assert form.length(len(content)) == len(body)
    lines = form.head.split(b"\r\n")
    assert len(lines) == 5, "a name or a type has brought a line of its own"
    assert b"\n" not in form.head.replace(b"\r\n", b"")
    assert b"\r" not in form.head.replace(b"\r\n", b"")
    head = f"Content-Type: {form.content_type}\r\n\r\n".encode()
    if b"\r" in content or b"\n" in content:
        return  # the parser of the standard library is for mail, and changes line ends
    parsed = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + body)
    (part,) = parsed.iter_parts()
    assert part.get_param("name", header="content-disposition") == "files"
    assert part.get_payload(decode=True) == content


TARGETS: dict[str, Callable[[bytes], None]] = {
    "sse": sse,
    "connections": connections,
    "wire": wire,
    "event": event,
    "edits": edits,
    "file_data": file_data,
    "properties": properties,
    "config": config,
    "parameters": parameters,
    "file_names": file_names,
    "hls": hls,
    "multipart": multipart,
}
