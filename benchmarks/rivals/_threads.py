"""The scenarios of clients with the interface of gradio_client."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from ._measure import Meter, ends_well

Result = dict[str, Any]
Opening = Callable[..., Any]


def construct(opening: Opening, url: str, rounds: int) -> Result:
    latencies: list[float] = []
    meter = Meter()
    for _ in range(rounds):
        start = time.perf_counter()
        with opening(url):
            latencies.append(time.perf_counter() - start)
    return {**meter.stop(), "latencies": latencies}


def sequential(opening: Opening, url: str, calls: int) -> Result:
    with opening(url) as client:
        for _ in range(3):
            client.predict("warm", api_name="/echo")
        latencies: list[float] = []
        lost = 0
        meter = Meter()
        for number in range(calls):
            start = time.perf_counter()
            answer = client.predict(f"call {number}", api_name="/echo")
            latencies.append(time.perf_counter() - start)
            lost += answer != f"call {number}"
        return {**meter.stop(), "latencies": latencies, "lost": lost}


def many(opening: Opening, url: str, calls: int, *, fn: str = "echo", **options: Any) -> Result:
    """Submit all calls at once, and wait for each."""
    with opening(url, **options) as client:
        client.predict("warm", api_name="/echo")
        right = 0
        meter = Meter()
        jobs = [client.submit(f"call {number}", api_name=f"/{fn}") for number in range(calls)]
        failures: dict[str, int] = {}
        for number, job in enumerate(jobs):
            try:
                right += job.result() == f"call {number}"
            except BaseException as exc:  # noqa: BLE001 - whatever it raises, the call is lost
                name = type(exc).__name__
                failures[name] = failures.get(name, 0) + 1
        return {**meter.stop(), "lost": calls - right, "failures": failures}


def in_threads(opening: Opening, url: str, calls: int, *, threads: int) -> Result:
    """Make calls one after the other in each of many threads."""
    with opening(url) as client:
        client.predict("warm", api_name="/echo")
        right = 0
        lock = threading.Lock()

        def one(number: int) -> None:
            nonlocal right
            answer = client.predict(f"call {number}", api_name="/echo")
            with lock:
                right += answer == f"call {number}"

        meter = Meter()
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(one, range(calls)))
        return {**meter.stop(), "lost": calls - right}


def stream(opening: Opening, url: str, n: int, *, fn: str) -> Result:
    """Follow one stream, each output as it comes."""
    with opening(url) as client:
        client.predict(2, api_name=f"/{fn}")
        seen = 0
        output: Any = None
        meter = Meter()
        for output in client.submit(n, api_name=f"/{fn}"):  # noqa: B007 - the last is looked at
            seen += 1
        measured = meter.stop()
        return {**measured, "seen": seen, "lost": int(not ends_well(output, n))}


def cancel(opening: Opening, url: str, rounds: int) -> Result:
    """Cancel a running stream; time the end here, and the stop there."""
    raises: list[float] = []
    stops: list[float] = []
    with opening(url) as client:
        for number in range(rounds):
            key = f"threads-{time.monotonic_ns()}-{number}"
            job = client.submit(key, api_name="/endless")
            while len(job.outputs()) < 3:
                time.sleep(0.001)
            start = time.monotonic()
            job.cancel()
            # What it raises is its own business.
            with suppress(BaseException):
                job.result(timeout=10)
            raises.append(time.monotonic() - start)
            while (moment := client.predict(key, api_name="/stopped")) is None:
                time.sleep(0.005)
            stops.append(moment - start)
    return {"raises": raises, "stops": stops, "lost": 0}


def upload(opening: Opening, handle_file: Callable[[str], Any], url: str, path: str) -> Result:
    with opening(url) as client:
        client.predict("warm", api_name="/echo")
        meter = Meter()
        size = client.predict(handle_file(path), api_name="/size_of")
        return {**meter.stop(), "lost": int(size != Path(path).stat().st_size)}


def download(opening: Opening, url: str, mib: int) -> Result:
    with opening(url) as client:
        client.predict("warm", api_name="/echo")
        meter = Meter()
        saved = client.predict(mib, api_name="/make_file")
        return {**meter.stop(), "lost": int(Path(saved).stat().st_size != mib * 2**20)}
