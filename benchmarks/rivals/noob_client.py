"""noob-gradio, a client for asyncio on aiohttp; each call has a session of its own."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

import noob_gradio  # pyright: ignore[reportMissingTypeStubs] - it has none

from ._measure import Meter, main

Result = dict[str, Any]


def opened(url: str) -> Any:
    """Make a client as its documentation says, without a folder for downloads."""
    return noob_gradio.Client(url, download_files=False)


async def sequential(url: str, calls: int) -> Result:
    async with opened(url) as client:
        for _ in range(10):
            await client.predict("warm", api_name="/echo")
        latencies: list[float] = []
        lost = 0
        meter = Meter()
        for number in range(calls):
            start = time.perf_counter()
            answer = await client.predict(f"call {number}", api_name="/echo")
            latencies.append(time.perf_counter() - start)
            lost += answer != [f"call {number}"]
        return {**meter.stop(), "latencies": latencies, "lost": lost}


async def many(url: str, calls: int, *, fn: str = "echo") -> Result:
    """Make all calls at once; aiohttp opens 100 connections at most."""
    async with opened(url) as client:
        # It asks once what the app offers, and until then each call would.
        await client.predict("warm", api_name="/echo")
        meter = Meter()
        answers = await asyncio.gather(
            *(client.predict(f"call {number}", api_name=f"/{fn}") for number in range(calls)),
            return_exceptions=True,
        )
        measured = meter.stop()
        right = sum(answer == [f"call {number}"] for number, answer in enumerate(answers))
        failures = Counter(
            type(answer).__name__ for answer in answers if isinstance(answer, BaseException)
        )
        return {**measured, "lost": calls - right, "failures": failures}


def in_asyncio(fn: Callable[..., Coroutine[Any, Any, Result]]) -> Callable[..., Result]:
    """Run an async scenario."""

    def scenario(**arguments: Any) -> Result:
        return asyncio.run(fn(**arguments))

    return scenario


if __name__ == "__main__":
    main({fn.__name__: in_asyncio(fn) for fn in (sequential, many)})
