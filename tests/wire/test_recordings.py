"""What a real server sent, recorded: bytes to events to messages to outputs."""

from __future__ import annotations

import ast
import re
from typing import Any

import pytest

from tests.servers.recorded import TRACES, load_json
from tests.wire.following import Followed, follow
from triojob import AppError, JobCancelled, ProgressUnit, Status
from triojob.gradio.http.sse import EventDecoder
from triojob.gradio.protocol.messages import decode_message
from triojob.gradio.schema.app import AppInfo

CHUNK = re.compile(r"<<< chunk \d+B (b(['\"]).*\2)$")
SIZES = [1, 2, 3, 7, 64, 1 << 20]


def chunks_of(name: str) -> list[bytes]:
    """Read the chunks as they came."""
    lines = (TRACES / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return [ast.literal_eval(match[1]) for line in lines if (match := CHUNK.search(line))]


def replay(name: str, endpoint: str, size: int = 0) -> Followed:
    """Follow a recorded event, its stream cut into chunks of ``size`` bytes (0: as they came)."""
    info = AppInfo(load_json("config"), load_json("info")).find(endpoint, None)
    chunks = chunks_of(name)
    if size:
        whole = b"".join(chunks)
        chunks = [whole[start : start + size] for start in range(0, len(whole), size)]
    decoder = EventDecoder(1 << 20)
    messages = [decode_message(event) for chunk in chunks for event in decoder.feed(chunk)]
    assert messages[-1] == {"msg": "close_stream", "event_id": None}
    return follow(messages[:-1], name=info.name, streams=info.streams, present=info.present)


QUEUED = [Status.IN_QUEUE, Status.PROCESSING]
ITERATED = [*QUEUED, Status.ITERATING]

VALUES: list[tuple[str, str, list[Any], list[Status]]] = [
    ("greet", "/greet", ["Hello Bob!"], QUEUED),
    ("add", "/add", [(7, 10)], QUEUED),
    ("bump1", "/bump", [1], QUEUED),
    ("bump2", "/bump", [2], QUEUED),
    ("count", "/count", ["0", "1", "2"], ITERATED),
    (
        "tokens",
        "/tokens",
        ["tok0", "tok0 tok1", "tok0 tok1 tok2", "tok0 tok1 tok2 tok3"],
        ITERATED,
    ),
]


@pytest.mark.parametrize("size", [0, *SIZES])
@pytest.mark.parametrize("name, endpoint, outputs, statuses", VALUES)
def test_outputs_results_and_statuses(name, endpoint, outputs, statuses, size):
    followed = replay(name, endpoint, size)
    assert followed.outputs == outputs
    assert followed.value == outputs[-1]
    assert [status.code for status in followed.statuses] == statuses


@pytest.mark.parametrize("size", [0, *SIZES])
def test_progress(size: int) -> None:
    followed = replay("slow", "/slow", size)
    assert followed.outputs == [followed.value]
    told = [status for status in followed.statuses if status.code is Status.PROGRESS]
    assert [status.code for status in followed.statuses] == [
        *QUEUED,
        *[Status.PROGRESS] * len(told),
    ]
    units = [status.progress_data for status in told]
    assert units[0] == [ProgressUnit(None, None, "steps", 0.0, "step 0")]
    assert all(unit is not None and len(unit) == 1 for unit in units)


@pytest.mark.parametrize("size", [0, *SIZES])
def test_an_error_that_is_shown(size: int) -> None:
    followed = replay("fail", "/fail", size)
    assert followed.outputs == []
    error = followed.error
    assert isinstance(error, AppError)
    assert (error.message, error.title, error.duration) == ("boom", "Error", 10)
    assert error.endpoint == "/fail"


@pytest.mark.parametrize("size", [0, *SIZES])
def test_an_error_that_is_hidden(size: int) -> None:
    error = replay("fail_hard", "/fail_hard", size).error
    assert isinstance(error, AppError)
    assert error.message is None
    assert "/fail_hard" in str(error)


@pytest.mark.parametrize("size", [0, *SIZES])
@pytest.mark.parametrize(
    "name, endpoint, outputs",
    [("cancel_slow", "/slow", []), ("cancel_count", "/count", ["0", "1", "2", "3", "4", "5"])],
)
def test_a_cancellation(name: str, endpoint: str, outputs: list[Any], size: int) -> None:
    followed = replay(name, endpoint, size)
    assert followed.outputs == outputs
    assert followed.cancelled
    assert isinstance(followed.error, JobCancelled)


def test_estimates() -> None:
    status = replay("cancel_slow", "/slow").statuses[0]
    assert (status.rank, status.queue_size) == (0, 1)
    assert status.eta == pytest.approx(0.8029403686523438)
