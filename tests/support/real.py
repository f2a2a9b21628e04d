"""What these tests share: a client with a deadline, and a look at what the server really did."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import repeat
from typing import Any

import trio

import triojob
from tests.support.hanging import SECONDS
from triojob import Client, Job, JobGroup, Status, StatusUpdate

PROMPT = 20.0
"""What is at once takes less than this, on a busy machine too; what is not takes far longer."""

_keys = itertools.count()


def new_key(name: str) -> str:
    """Return a key of the server's records that no other test uses, in whatever process."""
    return f"{name}-{os.getpid()}-{next(_keys)}"


@asynccontextmanager
async def opened(url: str, **options: Any) -> AsyncIterator[Client]:
    """Open a client, and end whatever hangs in it."""
    with trio.fail_after(SECONDS):
        async with Client(url, **options) as client:
            yield client


async def until(condition: Callable[[], Awaitable[Any]]) -> None:
    """Poll the server until ``condition`` holds: it has no way to tell."""
    while not await condition():  # noqa: ASYNC110
        await trio.sleep(0.02)


async def probe(client: Client, key: str) -> dict[str, Any]:
    """Return what the server's runs with this key did so far."""
    record: Any = await client.predict(key, api_name="/probe")
    # The app of the eras gives it as text: not all of those have a JSON output that works.
    found: dict[str, Any] = json.loads(record) if isinstance(record, str) else record
    return found


async def probe_until(client: Client, key: str, **expected: Any) -> dict[str, Any]:
    """Return the record of ``key`` once it has what is expected."""
    record: dict[str, Any] = {}
    with trio.move_on_after(SECONDS / 4):
        while True:
            record = await probe(client, key)
            if expected.items() <= record.items():
                return record
            await trio.sleep(0.02)
    raise AssertionError(f"the server's record of {key} is {record}, and never had {expected}")


async def reach(job: Job[Any], code: Status) -> StatusUpdate:
    """Wait for the job to have a status; return its first."""
    async for update in job.updates():
        if isinstance(update, StatusUpdate) and update.code is code:
            return update
    raise AssertionError(f"{job} never was {code}")


async def assert_stopped(client: Client, key: str) -> None:
    """Show that the server's generator with this key, which had started, has ended unfinished."""
    record = await probe_until(client, key, closed=1)
    assert record["started"] == 1
    assert "finished" not in record


async def assert_cancelled(client: Client, key: str) -> None:
    """Show that the server's function with this key was cancelled while it ran."""
    record = await probe_until(client, key, cancelled=1)
    assert record == {"started": 1, "cancelled": 1}


@asynccontextmanager
async def promptly() -> AsyncIterator[None]:
    """Fail if the body is not done at once."""
    with trio.fail_after(PROMPT):
        yield


async def assert_idle(client: Client) -> None:
    """Show that no stream stays open once nothing needs it."""
    streams = f"0/{client.limits.streams} streams"
    with trio.move_on_after(SECONDS / 4):
        # A client has no way to wait for that.
        while streams not in repr(client):  # noqa: ASYNC110
            await trio.sleep(0.02)
    assert streams in repr(client)


async def call_many(client: Client, how: str) -> list[str]:
    """Make 200 calls at once, of a function without a limit; return what each came to."""
    endpoint, texts = client.endpoint("/parallel_sleep"), [f"call {n}" for n in range(200)]
    if how == "map":
        async with triojob.map(endpoint, repeat(0.05), texts, limit=200) as results:
            return [text async for text in results]
    async with JobGroup() as group:
        jobs = [group.submit(endpoint, 0.05, text) for text in texts]
    return [await job.result() for job in jobs]
