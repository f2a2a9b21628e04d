"""Targets that read what comes through a connection: bytes, events and messages."""

from __future__ import annotations

import copy
from contextlib import suppress
from typing import Any

import trio
import trio.testing
from outcome import Error

from qa.fuzz import oracles
from qa.fuzz.common import SHOWN, check_error, decoded
from triojob import (
    AppError,
    JobCancelled,
    LogMessage,
    ProgressUnit,
    ProtocolError,
    QueueFull,
    RenderUpdate,
    StatusUpdate,
)
from triojob._core.messages import Finished
from triojob._core.sink import ChannelSink
from triojob._secrets import scrub
from triojob.gradio.http.pool import ConnectionPool
from triojob.gradio.http.sockets import Broken, ByteStream, TransportError
from triojob.gradio.http.sse import EventDecoder, OversizedEvent
from triojob.gradio.protocol import messages
from triojob.gradio.protocol.properties import PropertyUpdate
from triojob.gradio.protocol.translator import EventTranslator
from triojob.gradio.schema.app import EndpointInfo


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
                if isinstance(event, OversizedEvent):
                    raise event.error
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
        message = messages.decode_message(data)
    except ProtocolError as error:
        check_error(error)
        return
    assert isinstance(message["msg"], str)
    for key in message:
        for read in (messages.number, messages.seconds, messages.text):
            with suppress(ProtocolError):
                value = message[key]
                shown = scrub(value) if isinstance(value, str) else value
                assert read(message, key) in (None, shown)
    for look in (
        messages.data_of,
        messages.output_of,
        messages.progress_units,
        messages.log_message,
    ):
        try:
            seen: Any = look(message)
        except ProtocolError as error:
            check_error(error)
        else:
            units = seen if isinstance(seen, list) else ()
            assert look is not messages.progress_units or all(
                isinstance(unit, ProgressUnit) for unit in units
            )
    try:
        failure = messages.app_error(message, "/app")
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
    sink = ChannelSink()
    translator = EventTranslator(
        "/app",
        streams=bool(flags & 1),
        edits=edits,
        present=info.present,
        sink=sink,
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
            carried.append(sink.receiver.receive_nowait())
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


class Said(ByteStream):
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

    async def connect() -> ByteStream:
        await trio.lowlevel.checkpoint()
        return wire

    connections, body, status = ConnectionPool(connect, 5), bytearray(), 0
    error: type[TransportError] | None = None
    try:
        answer = await connections.send(b"GET / HTTP/1.1\r\n\r\n", write=5, read=5)
        status = answer.status
        answer.header("content-type")
        try:
            async for piece in answer:
                body += piece
        finally:
            await answer.aclose()
    except TransportError as exc:
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
