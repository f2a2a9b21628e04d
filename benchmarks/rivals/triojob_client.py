"""triojob as its users have it."""

from __future__ import annotations

import time

_START = time.perf_counter()

import triojob

IMPORT = time.perf_counter() - _START

import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import trio

from triojob import Client, ClientSession, File, Job, JobCancelled, JobGroup, handle_file

from ._floor import in_trio
from ._measure import Meter, ends_well, main

Result = dict[str, Any]


@asynccontextmanager
async def opened(url: str, *, session: bool) -> AsyncGenerator[Client | ClientSession, None]:
    """Open a client, and a session of it if that is what is measured."""
    async with Client(url) as client:
        if not session:
            yield client
            return
        async with client.session() as own:
            yield own


def importing() -> Result:
    return {"wall": IMPORT, "version": triojob.__version__}


async def construct(url: str, rounds: int) -> Result:
    latencies: list[float] = []
    meter = Meter()
    for _ in range(rounds):
        start = time.perf_counter()
        async with Client(url):
            latencies.append(time.perf_counter() - start)
    return {**meter.stop(), "latencies": latencies}


async def sequential(url: str, calls: int, *, session: bool = False) -> Result:
    async with opened(url, session=session) as client:
        echo = client.endpoint("/echo")
        for _ in range(10):
            await echo("warm")
        latencies: list[float] = []
        lost = 0
        meter = Meter()
        for number in range(calls):
            start = time.perf_counter()
            answer = await echo(f"call {number}")
            latencies.append(time.perf_counter() - start)
            lost += answer != f"call {number}"
        return {**meter.stop(), "latencies": latencies, "lost": lost}


async def many(
    url: str, calls: int, *, fn: str = "echo", session: bool = False, by_map: bool = False
) -> Result:
    """Make all calls at once, as jobs or by `triojob.map`."""
    async with opened(url, session=session) as client:
        endpoint = client.endpoint(f"/{fn}")
        await client.predict("warm", api_name="/echo")
        texts = [f"call {number}" for number in range(calls)]
        meter = Meter()
        if by_map:
            # Without the jobs, so that the calls share a session.
            async with triojob.map(endpoint, texts, limit=calls) as results:
                answers = [answer async for answer in results]
            lost = sum(answer != text for answer, text in zip(answers, texts, strict=True))
            return {**meter.stop(), "lost": lost}
        jobs: list[Job[Any]] = []
        async with JobGroup() as group:
            jobs += [group.submit(endpoint, text) for text in texts]
            for job in jobs:
                await job.wait()
        measured = meter.stop()
        right = 0
        for text, job in zip(texts, jobs, strict=True):
            right += job.exception() is None and await job.result() == text
        return {**measured, "lost": calls - right}


async def in_threads(url: str, calls: int, *, threads: int) -> Result:
    """Make calls one after the other in each of many tasks, in place of threads."""
    async with Client(url) as client:
        echo = client.endpoint("/echo")
        await echo("warm")
        numbers = iter(range(calls))
        right = 0

        async def one_by_one() -> None:
            nonlocal right
            for number in numbers:
                answer = await echo(f"call {number}")
                right += answer == f"call {number}"

        meter = Meter()
        async with trio.open_nursery() as nursery:
            for _ in range(threads):
                nursery.start_soon(one_by_one)
        return {**meter.stop(), "lost": calls - right}


async def stream(
    url: str, n: int, *, fn: str, live: bool = True, history: int | None = 1
) -> Result:
    """Follow one stream: each output as it comes, or the last one only."""
    async with Client(url, history=history) as client:
        await client.predict(2, api_name=f"/{fn}")
        seen = 0
        output: Any = None
        meter = Meter()
        job = client.submit(n, api_name=f"/{fn}")
        if live:
            async for output in job:  # noqa: B007 - the last is looked at
                seen += 1
        else:
            output = await job.result()
        measured = meter.stop()
        return {**measured, "seen": seen, "lost": int(not ends_well(output, n))}


async def cancel(url: str, rounds: int) -> Result:
    """Cancel a running stream; time the raise here, and the stop there."""
    raises: list[float] = []
    stops: list[float] = []
    async with Client(url) as client:
        for number in range(rounds):
            key = f"triojob-{time.monotonic_ns()}-{number}"
            job = client.submit(key, api_name="/endless")
            outputs = aiter(job)
            for _ in range(3):
                await anext(outputs)
            start = time.monotonic()
            job.cancel()
            try:
                await job.result()
            except JobCancelled:
                raises.append(time.monotonic() - start)
            stops.append(
                await when_stopped(partial(client.predict, key, api_name="/stopped")) - start
            )
    return {"raises": raises, "stops": stops, "lost": rounds - len(raises)}


async def when_stopped(ask: Callable[[], Awaitable[float | None]]) -> float:
    """Ask until the server has stopped; return when that was."""
    while (moment := await ask()) is None:  # noqa: ASYNC110 - it has no way to tell
        await trio.sleep(0.005)
    return moment


async def submit(calls: int) -> Result:
    """Run empty async functions as jobs, and take each one's result."""

    async def nothing() -> int:
        return 1

    total = 0
    meter = Meter()
    async with JobGroup() as group:
        for job in [group.submit(nothing) for _ in range(calls)]:
            total += await job.result()
    return {**meter.stop(), "lost": calls - total}


async def upload(url: str, path: str) -> Result:
    async with Client(url) as client:
        await client.predict(handle_file(b"warm", name="warm.bin"), api_name="/size_of")
        meter = Meter()
        size = await client.predict(handle_file(path), api_name="/size_of")
        return {**meter.stop(), "lost": int(size != Path(path).stat().st_size)}


async def download(url: str, mib: int) -> Result:
    with tempfile.TemporaryDirectory() as folder:
        async with Client(url, download_files=False) as client:
            made = await client.predict(mib, api_name="/make_file")
            assert isinstance(made, File)
            meter = Meter()
            made = await client.predict(mib, api_name="/make_file")
            saved = await made.save(Path(folder) / "saved.bin")
            return {**meter.stop(), "lost": int(Path(saved).stat().st_size != mib * 2**20)}


if __name__ == "__main__":
    asyncs = (construct, sequential, many, in_threads, stream, cancel, submit, upload, download)
    main({"import": importing, **{fn.__name__: in_trio(fn) for fn in asyncs}})
