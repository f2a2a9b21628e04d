"""The least that a client can do on Trio: the same requests, and nothing else.

No discovery, no checks, no status, no cancellation, no retry, no limits but a number of calls at
once.  What sends the requests is given: httpx, or httptools on sockets.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, aclosing
from functools import partial
from typing import Any, Protocol

import trio

from ._measure import Meter, main

Result = dict[str, Any]
API = "/gradio_api"
STREAMS, POSTS = 256, 48
"""At most so many at once."""
FN_INDEX = {
    fn: index
    for functions in (
        ("echo", "second", "text", "chat", "endless", "stopped", "size_of", "make_file"),
        ("echo", "short_one", "short_ten", "short_any", "long_one", "long_ten", "long_any"),
    )
    for index, fn in enumerate(functions)
}
"""Where `_real_app` has its functions, and where `_default_app` has them."""


class Wire(Protocol):
    """Sends requests to one server."""

    async def post(self, path: str, body: Any) -> Any:
        """Send JSON, and return the JSON of the answer."""
        ...

    def stream(self, path: str) -> AsyncGenerator[bytes, None]:
        """Get the pieces of an answer, as they come."""
        ...


Opening = Callable[[str], AbstractAsyncContextManager[Wire]]


def joining(fn: str, value: Any, session_hash: str) -> dict[str, Any]:
    """Make the body of a call."""
    return {
        "data": [value],
        "event_data": None,
        "fn_index": FN_INDEX[fn],
        "trigger_id": None,
        "session_hash": session_hash,
    }


async def messages(wire: Wire, session_hash: str) -> AsyncIterator[dict[str, Any]]:
    """Read an event stream."""
    buffer = b""
    async with aclosing(wire.stream(f"{API}/queue/data?session_hash={session_hash}")) as pieces:
        async for piece in pieces:
            *frames, buffer = (buffer + piece).split(b"\n\n")
            for frame in frames:
                yield json.loads(frame[6:])


async def call(wire: Wire, fn: str, value: Any) -> tuple[Any, int]:
    """Make one call over a stream of its own; return its last output, and how many there were."""
    session_hash = uuid.uuid4().hex
    await wire.post(f"{API}/queue/join", joining(fn, value, session_hash))
    result, outputs = None, 0
    async for message in messages(wire, session_hash):
        if message["msg"] == "process_generating":
            outputs += 1
        elif message["msg"] == "process_completed":
            result = message["output"]["data"][0]
    return result, outputs


async def sequential(opening: Opening, url: str, calls: int) -> Result:
    async with opening(url) as wire:
        for _ in range(10):
            await call(wire, "echo", "warm")
        latencies: list[float] = []
        lost = 0
        meter = Meter()
        for number in range(calls):
            start = time.perf_counter()
            answer, _ = await call(wire, "echo", f"call {number}")
            latencies.append(time.perf_counter() - start)
            lost += answer != f"call {number}"
        return {**meter.stop(), "latencies": latencies, "lost": lost}


async def many(
    opening: Opening, url: str, calls: int, *, fn: str = "echo", session: bool = False
) -> Result:
    right = 0
    failures: dict[str, int] = {}
    limiter = trio.CapacityLimiter(STREAMS)

    async def one(wire: Wire, number: int) -> None:
        nonlocal right
        try:
            async with limiter:
                answer, _ = await call(wire, fn, f"call {number}")
        except Exception as exc:  # noqa: BLE001 - nothing here makes good for what fails
            name = type(exc).__name__
            failures[name] = failures.get(name, 0) + 1
        else:
            right += answer == f"call {number}"

    async with opening(url) as wire:
        await call(wire, "echo", "warm")
        meter = Meter()
        if session:
            right = await many_in_a_session(wire, calls, fn)
        else:
            async with trio.open_nursery() as nursery:
                for number in range(calls):
                    nursery.start_soon(one, wire, number)
        return {**meter.stop(), "lost": calls - right, "failures": failures}


async def many_in_a_session(wire: Wire, calls: int, fn: str) -> int:
    """Make all calls over one stream; return how many had the right answer."""
    session_hash = uuid.uuid4().hex
    expected: dict[str, str] = {}
    answers: dict[str, Any] = {}
    limiter = trio.CapacityLimiter(POSTS)
    joined = trio.Event()

    async def join(number: int) -> None:
        async with limiter:
            answer = await wire.post(
                f"{API}/queue/join", joining(fn, f"call {number}", session_hash)
            )
        expected[answer["event_id"]] = f"call {number}"
        joined.set()

    async with trio.open_nursery() as nursery:
        for number in range(calls):
            nursery.start_soon(join, number)
        await joined.wait()
        while len(answers) < calls:
            # The stream ends when nothing is under way, and is opened anew for what comes then.
            while len(expected) == len(answers):
                await trio.lowlevel.checkpoint()
            async for message in messages(wire, session_hash):
                if message["msg"] == "process_completed":
                    answers[message["event_id"]] = message["output"]["data"][0]
    return sum(answers[event] == text for event, text in expected.items())


async def stream(opening: Opening, url: str, n: int, *, fn: str) -> Result:
    async with opening(url) as wire:
        await call(wire, fn, 2)
        meter = Meter()
        _, outputs = await call(wire, fn, n)
        return {**meter.stop(), "seen": outputs, "lost": int(outputs != n)}


def in_trio(fn: Callable[..., Awaitable[Result]]) -> Callable[..., Result]:
    """Run an async scenario."""

    def scenario(**arguments: Any) -> Result:
        return trio.run(partial(fn, **arguments))

    return scenario


def floor(opening: Opening, more: dict[str, Any]) -> None:
    """Run the scenario that the command line names over this wire."""

    def run(fn: Callable[..., Awaitable[Result]]) -> Callable[..., Result]:
        return in_trio(partial(fn, opening))

    main({**{fn.__name__: run(fn) for fn in (sequential, many, stream)}, **more})
