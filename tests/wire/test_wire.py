"""Events to messages: what is no message is a `ProtocolError`, and nothing else."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import given, strategies as st

from tests.support.steps import assert_linear
from tests.wire.strategies import checked, json_values
from triojob import ProtocolError
from triojob.gradio.protocol import messages
from triojob.gradio.protocol.messages import MOST_DEPTH

MESSAGES = ["", "heartbeat", "close_stream", "unheard_of", "\u2028", "process_completed"]


@pytest.mark.parametrize("msg", MESSAGES)
@pytest.mark.parametrize("ids", [{}, {"event_id": None}, {"event_id": "abc"}])
def test_message_is_object_with_msg(msg: str, ids: dict[str, Any]) -> None:
    message = {"msg": msg, **ids, "unknown": [1, {"a": None}]}
    assert messages.decode_message(json.dumps(message).encode()) == message
    assert messages.decode_message(json.dumps(message, ensure_ascii=False).encode()) == message


def nested(depth: int) -> bytes:
    inner = b"[]" if depth % 2 else b"0"
    return b'[{"a": ' * (depth // 2) + inner + b"}]" * (depth // 2)


@pytest.mark.parametrize("brackets", [0, 1000])
def test_nesting_of_values_is_bounded(brackets: int) -> None:
    for depth in (MOST_DEPTH, MOST_DEPTH + 1):
        value = b'[%s, "%s"]' % (nested(depth - 1), b"[" * brackets)
        message = b'{"msg": "x", "event_id": "e", "more": %s}' % nested(depth - 1)
        if depth == MOST_DEPTH:
            assert messages.decode_json(value, "it") == json.loads(value)
            assert messages.decode_message(message) == json.loads(message)
        else:
            with pytest.raises(ProtocolError, match="it is nested more than 256 levels deep"):
                messages.decode_json(value, "it")
            # So that no event fails but that one.
            invalid_message = messages.read_message(message)
            assert isinstance(invalid_message, messages.InvalidMessage)
            assert invalid_message.event_id == "e"


@pytest.mark.parametrize("make", [lambda n: [[]] * n, lambda n: [{"a": [0]} for _ in range(n)]])
def test_looking_for_depth_takes_linear_time(make: Callable[[int], Any]) -> None:
    assert_linear(lambda n: partial(messages.is_deeper, make(n), MOST_DEPTH), 1000)


NO_MESSAGES = [
    b"",
    b" ",
    b"\x00",
    b"nonsense",
    b"\xff\xfe",
    b'{"msg": "a\xff"}',
    b'{"msg": "a"',
    b'{"msg": "a"} x',
    b'{"msg": "a"}{"msg": "b"}',
    b"null",
    b"3",
    b'"msg"',
    b"[]",
    b'["msg"]',
    b"{}",
    b'{"msg": null}',
    b'{"msg": 3}',
    b'{"msg": ["a"]}',
    b'{"msg": {"a": 1}}',
    b'{"msg": true}',
    b'{"event_id": "a"}',
    b'{"msg": "a", "event_id": 3}',
    b'{"msg": "a", "event_id": ["a"]}',
    b'{"msg": "a", "event_id": {}}',
    b'{"msg": "a", "event_id": false}',
    b'{"msg": "a", "n": ' + b"9" * 5000 + b"}",
    b"[" * 200_000,
    b'{"msg": "a", "deep": ' + b"[" * 200_000 + b"]" * 200_000 + b"}",
    b'{"a":' * 200_000,
]


@pytest.mark.parametrize("data", NO_MESSAGES, ids=range(len(NO_MESSAGES)))
def test_other_data_is_a_protocol_error(data: bytes) -> None:
    with pytest.raises(ProtocolError) as caught:
        messages.decode_message(data)
    assert len(str(caught.value)) < 400
    assert data[:20].decode("utf-8", "replace") in str(caught.value)


@checked
@given(st.binary(max_size=20) | json_values.map(json.dumps).map(str.encode))
def test_any_bytes_are_message_or_protocol_error(data: bytes) -> None:
    with contextlib.suppress(ProtocolError):
        assert isinstance(messages.decode_message(data)["msg"], str)


def test_only_utf_8_is_read() -> None:
    """A stream of events is UTF-8; another encoding is somebody's mistake, or a trick."""
    for encoding in ("utf-16", "utf-16-le", "utf-32-be"):
        with pytest.raises(ProtocolError):
            messages.decode_object('{"msg": "a"}'.encode(encoding), "it")


@pytest.mark.parametrize("data", [b'{"s": "\xed\xa0\x80"}', b'{"s": "\xc0\xaf"}'])
def test_invalid_utf_8_is_refused(data: bytes) -> None:
    """Python's json lets surrogates through that UTF-8 has no bytes for."""
    with pytest.raises(ProtocolError):
        messages.decode_object(data, "it")


def test_text_comes_as_it_was_sent() -> None:
    text = "caf\u00e9 \u2028\u2029\u0085\x0b\x1c \U0001f600 \ufeff \x7f"
    data = json.dumps({"msg": text}, ensure_ascii=False).encode()
    assert messages.decode_message(data)["msg"] == text


def test_numbers() -> None:
    message = {"int": 0, "float": 1.5, "null": None, "true": True, "text": "1", "list": []}
    assert messages.number(message, "int") == 0
    assert messages.number(message, "float") == 1.5
    assert messages.number(message, "null") is None
    assert messages.number(message, "absent") is None
    for key in ("true", "text", "list"):
        with pytest.raises(ProtocolError, match=f"'{key}' is not a number"):
            messages.number(message, key)


def test_progress_units() -> None:
    (unit,) = messages.progress_units({"progress_data": [{}]})
    assert (unit.index, unit.length, unit.progress, unit.desc) == (None,) * 4
    assert messages.progress_units({"progress_data": []}) == []
