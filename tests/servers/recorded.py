"""What a real Gradio 6.31.0 sent for a small app, read back from `traces`.

A recording is a text file of time-stamped lines: requests, answers, chunks of the event stream.
The app had these functions: greet, add, count, tokens, slow, fail, fail_hard and bump, and hid its
errors.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

Message = dict[str, Any]

VERSION = "6.31.0"
TRACES = Path(__file__).parent / "traces" / VERSION

# Fields that hold seconds: of two runs, no two are the same.
_SECONDS = frozenset(
    {"duration", "average_duration", "rank_eta", "eta", "cache_duration", "avg_time"}
)

_JOIN = re.compile(r">>> POST \S+/queue/join (\{.*\})$")
_CHUNK = re.compile(r"<<< chunk \d+B (b(['\"]).*\2)$")
_CANCEL = re.compile(r"### POST /cancel (\{.*?\}) ->")


@dataclass(frozen=True)
class Recording:
    """One call, as recorded."""

    name: str
    join: dict[str, Any]
    """The body of the POST /queue/join."""
    messages: list[Message]
    """The messages of the event stream."""
    cancelled_after: int | None
    """How many messages had come when the caller cancelled, if it did."""


def load(name: str) -> Recording:
    """Read the recording of a call."""
    join: dict[str, Any] | None = None
    stream = b""
    cancelled_after = None
    for line in (TRACES / f"{name}.txt").read_text(encoding="utf-8").splitlines():
        if match := _JOIN.search(line):
            join = json.loads(match[1])
        elif match := _CHUNK.search(line):
            stream += ast.literal_eval(match[1])
        elif _CANCEL.search(line):
            cancelled_after = len(messages_in(stream))
    assert join is not None, f"{name} has no join"
    return Recording(name, join, messages_in(stream), cancelled_after)


def load_json(name: str) -> Any:
    """Read `config` or `info`."""
    return json.loads((TRACES / f"{name}.json").read_text(encoding="utf-8"))


def messages_in(stream: bytes) -> list[Message]:
    """Parse the whole frames of an event stream."""
    frames = stream.split(b"\n\n")[:-1]
    return [json.loads(frame.removeprefix(b"data: ")) for frame in frames]


def normalised(messages: Iterable[Message]) -> list[str]:
    """Write messages down without ids and durations; as text, since the order of fields counts."""
    return [json.dumps(_normalised(message), ensure_ascii=False) for message in messages]


def _normalised(value: Any, name: str | None = None) -> Any:
    if isinstance(value, dict):
        # In an error, `duration` says how long to show it: it is no measurement.
        is_error = "error" in value or value.get("msg") == "log"
        return {
            key: item if is_error and key == "duration" else _normalised(item, key)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_normalised(item) for item in value]
    if name == "event_id" and value is not None:
        return "<event>"
    if name in _SECONDS and value is not None:
        return "<seconds>"
    return value


# --- Calling, with nothing but httpx ---


async def read_stream(
    client: httpx.AsyncClient, session_hash: str
) -> AsyncGenerator[Message, None]:
    """Listen to a session; `client` has the API's base URL.

    To leave it before its end, cancel it. httpx's iterators can't be closed from outside, and Trio
    warns of each that is left lying about.
    """
    url = f"/queue/data?session_hash={session_hash}"
    async with client.stream("GET", url, timeout=30) as response:
        buffer = b""
        async for chunk in response.aiter_bytes():
            whole, separator, buffer = (buffer + chunk).rpartition(b"\n\n")
            for message in messages_in(whole + separator):
                yield message


async def call(
    client: httpx.AsyncClient,
    fn_index: int,
    data: list[Any],
    *,
    session_hash: str,
    on_message: Callable[[Message, list[Message]], Awaitable[None]] | None = None,
) -> list[Message]:
    """Join the queue, then listen to the session until its stream ends."""
    body = {
        "data": data,
        "event_data": None,
        "fn_index": fn_index,
        "trigger_id": None,
        "session_hash": session_hash,
    }
    joined = await client.post("/queue/join", json=body)
    assert joined.status_code == 200, joined.text
    messages: list[Message] = []
    async with aclosing(read_stream(client, session_hash)) as stream:
        async for message in stream:
            messages.append(message)
            if on_message is not None:
                await on_message(message, messages)
    return messages


def cancel_after(
    client: httpx.AsyncClient, count: int, fn_index: int, session_hash: str
) -> Callable[[Message, list[Message]], Awaitable[None]]:
    """Make an `on_message` that cancels the call once so many messages came."""

    async def on_message(message: Message, messages: list[Message]) -> None:
        if len(messages) == count:
            body = {
                "session_hash": session_hash,
                "fn_index": fn_index,
                "event_id": message["event_id"],
            }
            answer = await client.post("/cancel", json=body)
            assert answer.json() == {"success": True}

    return on_message


# In the order in which they were made: what ran before decides on the estimates.
RECORDINGS = [
    "greet",
    "add",
    "count",
    "tokens",
    "slow",
    "fail",
    "fail_hard",
    "bump1",
    "bump2",
    "cancel_slow",
    "cancel_count",
]


async def replay(client: httpx.AsyncClient, recording: Recording) -> list[Message]:
    """Make a recorded call again."""
    fn_index, session = recording.join["fn_index"], recording.join["session_hash"]
    on_message = None
    if recording.cancelled_after is not None:
        on_message = cancel_after(client, recording.cancelled_after, fn_index, session)
    data = recording.join["data"]
    return await call(client, fn_index, data, session_hash=session, on_message=on_message)
