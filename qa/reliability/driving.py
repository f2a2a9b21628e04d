"""Runs one cell of the matrix, and looks at what it left."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trio

from qa.eras.support import WAITING, Era
from qa.reliability.cells import (
    CANCEL,
    COMPLETING,
    DOWNLOAD,
    JOIN,
    LISTEN,
    PAGE,
    QUEUED,
    RUNNING,
    STREAMING,
    UPLOAD,
    VALUE,
    Cell,
    is_position,
)
from qa.reliability.faults import PAGE as PAGE_TEXT
from qa.reliability.harm import Plan
from qa.reliability.proxy import Proxy
from qa.reliability.reading import Head
from tests.support.jobs import tasks_living
from tests.support.real import SECONDS, assert_idle, new_key, probe
from triojob import Client, Job, Limits, QueueFull, Timeouts, handle_file

TICKS, TICK = 4, 0.05
ENDLESS = 1000
"""So many ticks take longer than a cell: what ends before was stopped."""
IMPATIENT = Limits(refused_for=0)
SILENCE = Timeouts(read=1.5, stream_idle=1.5, max_stream_idle=1.5, cancel=1, connect=1.5, write=1.5)
TEXT = "some text " * 2_000


@dataclass(frozen=True)
class Rig:
    """What the cells share."""

    era: Era
    proxy: Proxy
    trust: ssl.SSLContext


async def eventually(condition: Callable[[], Awaitable[bool]], what: str) -> None:
    """Wait for what other processes and threads have no way to tell."""
    with trio.move_on_after(SECONDS * 0.6):
        while not await condition():  # noqa: ASYNC110
            await trio.sleep(0.01)
    assert await condition(), what


def plan_of(cell: Cell) -> Plan:
    """Say on which request, and from which message of it on, a cell's fault happens."""
    stream = "/queue/data" if cell.protocol.startswith("sse_v") else "/queue/join"
    paths = {JOIN: ("/queue/join",), LISTEN: ("/queue/data",), UPLOAD: ("/upload",)}
    # Before 4.31 there is no /cancel that works; Gradio 3 is asked by a function of the app.
    old = {"sse_v3": "/cancel", "ws": "/run/predict"}
    paths[CANCEL] = (old.get(cell.protocol, "/reset"),)
    ends = paths.get(cell.moment, (stream,))
    message = {
        LISTEN: "send_hash" if is_position(cell.protocol, LISTEN) else "",
        QUEUED: "estimation",
        RUNNING: "process_starts",
        STREAMING: "process_generating",
        COMPLETING: "process_completed",
    }.get(cell.moment, "")
    if is_position(cell.protocol, LISTEN) and cell.moment == LISTEN:
        ends = (stream,)

    def matches(head: Head) -> bool:
        if cell.moment == DOWNLOAD:
            return "/file=" in head.path
        return head.path.endswith(ends)

    if cell.fault.frames and not message:
        message = "any"
    return Plan(
        cell.fault,
        matches,
        message=message,
        count=2 if cell.moment == STREAMING else 1,
        instead=cell.moment == COMPLETING,
    )


def arm(cell: Cell, proxy: Proxy) -> Plan:
    """Have the cell's fault happen at its moment."""
    plan = plan_of(cell)
    if not cell.fault.untrusted:
        proxy.arm(plan)
    elif cell.moment == LISTEN:
        # Before the connection is made, nobody knows what it will be for: so from the one before.
        plan.matches = lambda head: head.path.endswith("/queue/join")
        plan.message = "send_data" if cell.protocol == "sse" else ""
        proxy.arm(plan)
    elif cell.moment == DOWNLOAD:
        stream = "/queue/data" if cell.protocol.startswith("sse_v") else "/queue/join"
        plan.matches = lambda head: head.path.endswith(stream)
        plan.message = "process_completed"
        proxy.arm(plan)
    else:
        proxy.distrust(plan)
    return plan


async def run(cell: Cell, rig: Rig) -> str:
    """Make the call that meets the fault, show that nothing is left of it; return its outcome."""
    proxy, era = rig.proxy, rig.era
    narrow = cell.moment == QUEUED or cell.fault.full
    ports = [int(url.rpartition(":")[2]) for url in (era.wide, era.narrow)]
    proxy.target, proxy.other = reversed(ports) if narrow else ports
    tls = cell.fault.untrusted or cell.fault.end == "garbage"
    url = f"https://localhost:{proxy.tls_port}" if tls else f"http://127.0.0.1:{proxy.port}"
    times = SILENCE if cell.fault.end in {"silence", "garbage"} else Timeouts()
    key = new_key("cell")

    async def settled() -> bool:
        return proxy.has_settled()

    tasks = tasks_living()
    with trio.fail_after(SECONDS):
        async with Client(url, verify=rig.trust, timeouts=times, limits=IMPATIENT) as client:
            async with _crowd(era, cell):
                job, plan = await _meet(cell, client, proxy, key)
            outcome = await _outcome(job)
            assert plan.fired.is_set() or cell.fault.full, "the fault never happened"
            await eventually(settled, "the server's end was not the end of its connections")
            assert await client.predict("Ada", api_name="/greet") == "Hello Ada!"
            await assert_idle(client)
            assert client.jobs == ()
            async with Client(era.wide) as direct:
                await _assert_not_running(cell, direct, key)

        async def all_closed() -> bool:
            return proxy.open == 0

        await eventually(all_closed, "connections are left")
        assert tasks_living() == tasks
    return outcome


async def _meet(cell: Cell, client: Client, proxy: Proxy, key: str) -> tuple[Job[Any], Plan]:
    """Make the call, and wait for its end."""
    if cell.moment in {UPLOAD, DOWNLOAD}:
        plan = arm(cell, proxy)
        job = client.submit(handle_file(TEXT.encode(), name="a.txt"), api_name="/upper_file")
        await job.wait()
        return job, plan
    if cell.moment == CANCEL:
        if cell.protocol == "ws":
            # The function that stops it is all that Gradio 3 has for that; it may not be reached.
            job = client.submit(4, key, api_name="/nap")
        else:
            # Servers that may not hear of the end are given one that comes by itself.
            ticks = ENDLESS if _is_told(cell) else 60
            job = client.submit(ticks, TICK, key, api_name="/ticker_async")
        async with Client(_direct(cell, proxy)) as direct:

            async def started() -> bool:
                return bool(await probe(direct, key))

            await eventually(started, "the call never started")
        plan = arm(cell, proxy)
        job.cancel("enough")
        with trio.fail_after(1):
            await job.wait()

        async def told() -> bool:
            return plan.fired.is_set()

        await eventually(told, "the server was never told")
        return job, plan
    plan = arm(cell, proxy)
    fails = cell.expected != VALUE and is_position(cell.protocol, cell.moment)
    ticks = ENDLESS if fails and _is_told(cell) and cell.moment != COMPLETING else TICKS
    job = client.submit(ticks, TICK, key, api_name="/ticker_async")
    if cell.moment == QUEUED:

        async def queued() -> bool:
            return plan.fired.is_set() or job.done

        await eventually(queued, "the call never was in the queue")
        if cell.expected != VALUE and not cell.fault.cut:
            await job.wait()
        # Otherwise it takes another message, which comes when the others are through.
    else:
        await job.wait()
    return job, plan


def _direct(cell: Cell, proxy: Proxy) -> str:
    return f"http://127.0.0.1:{proxy.target}"


def _is_told(cell: Cell) -> bool:
    """Tell whether this server learns that nobody waits: older ones don't see a closed stream."""
    return cell.protocol == "sse_v3"


async def _outcome(job: Job[Any]) -> str:
    with trio.fail_after(SECONDS / 2):
        await job.wait()
    if job.cancelled:
        return "JobCancelled"
    error = job.exception()
    if error is not None:
        assert len(str(error)) < 600
        return type(error).__name__
    value = await job.result()
    if value == str(TICKS - 1):
        return VALUE
    text = Path(value).read_text(encoding="utf-8")
    Path(value).unlink()
    return VALUE if text == TEXT.upper() else PAGE if text == PAGE_TEXT else f"a file: {text[:80]}"


@asynccontextmanager
async def _crowd(era: Era, cell: Cell) -> AsyncIterator[None]:
    """Have others be before the call in the queue, where it is to wait or to be refused."""
    count = 1 + WAITING if cell.fault.full else 1 if cell.moment == QUEUED else 0
    if not count:
        yield
        return
    keys = [new_key("crowd") for _ in range(count)]
    async with Client(era.narrow) as others, Client(era.wide) as watcher:
        await _drain(others)
        jobs = []
        for key in keys:
            jobs.append(others.submit(ENDLESS, TICK, key, api_name="/ticker_async"))

            async def is_there(job: Job[Any] = jobs[-1]) -> bool:
                # The first one runs, and so has left its place in the queue to the next.
                return bool(await probe(watcher, keys[0])) and (
                    job is jobs[0] or job.status().rank is not None
                )

            await eventually(is_there, "the queue was not filled")
        yield
        for job in jobs:
            job.cancel("the call is through")
        await _drain(others)


async def _drain(client: Client) -> None:
    """Wait until nothing is in the queue: older servers keep what nobody waits for any more."""

    async def gets_through() -> bool:
        try:
            await client.predict(0, TICK, "drain", api_name="/ticker_async")
        except QueueFull:
            return False
        return True

    await eventually(gets_through, "the queue is never empty")


async def _assert_not_running(cell: Cell, direct: Client, key: str) -> None:
    """Show that on the server nothing runs for the call any more, and that it ran once at most."""
    record: dict[str, int] = {}

    async def ended() -> bool:
        nonlocal record
        before, record = record, await probe(direct, key)
        ends = sum(record.get(end, 0) for end in ("finished", "closed", "cancelled"))
        if record.get("started", 0) == ends:
            return True
        if _is_told(cell):
            return False
        # An older server may leave a generator where it is, and never close it.
        await trio.sleep(10 * TICK)
        return before == record

    await eventually(ended, "the server still runs the call")
    assert record.get("started", 0) <= 1, "the call was made twice"
