"""Threads under fire: many threads on one client, and everything that can happen to them at once.

Each call must end in exactly one way, nothing may hang, and nothing may be left.
Set ``TRIOJOB_FIRE=1`` (``nox -s fire``) for 64 threads with 100 calls each; TRIOJOB_FIRE_SEED
takes another course.  What happened is printed: see it with ``-s``.
"""

from __future__ import annotations

import concurrent.futures
import faulthandler
import gc
import os
import random
import sys
import threading
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.hanging import SECONDS
from tests.support.threads import (
    ServerThread,
    Watched,
    frequent_switches,
    threads,
    wait_for,
)
from triojob import ClientClosed, GroupClosed, JobCancelled, JobTimeout
from triojob.sync import AppError, Client, Job, start_portal

FULL = bool(os.environ.get("TRIOJOB_FIRE"))
THREADS, CALLS = (64, 100) if FULL else (16, 12)
SEED = int(os.environ.get("TRIOJOB_FIRE_SEED", "1"))
LONGEST = 900 if FULL else SECONDS
"""After so many the stacks are shown, and the process ends."""

Outcome = Callable[[Job, random.Random], str]


@pytest.fixture(autouse=True)
def _watchdog() -> Iterator[None]:
    faulthandler.dump_traceback_later(LONGEST, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()


def tell(*what: object) -> None:
    print(*what)  # noqa: T201 - pytest shows it with -s, and when a test fails


def descriptors() -> int:
    return len([*Path("/proc/self/fd").iterdir()]) if sys.platform == "linux" else 0


@contextmanager
def nothing_left() -> Iterator[None]:
    """Show that no thread, and no file, is left by the body."""
    before, files = threads(), descriptors()
    yield
    gc.collect()
    wait_for(
        lambda: threads() <= before and descriptors() <= files,
        lambda: (threads() - before, descriptors() - files),
    )


class Volley:
    """The calls of many threads on one client, and how each of them ended."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.ends: Counter[str] = Counter()
        self.fired = 0
        self.called_back: Counter[Job] = Counter()
        self._lock = threading.Lock()

    def fire(self, number: int) -> None:
        """Make the calls of one thread."""
        rng = random.Random(f"{SEED}/{number}")
        for call in range(CALLS):
            with self._lock:
                self.fired += 1
            end = self._one(rng, f"{number}/{call}")
            with self._lock:
                self.ends[end] += 1

    def _one(self, rng: random.Random, text: str) -> str:
        kind = rng.choice(["greet", "count", "pause", "fail", "cancel", "cancel", "timeout"])
        try:
            if kind == "count":
                job = self.client.submit(4, api_name="/count")
            elif kind == "fail":
                job = self.client.submit(text, api_name="/fail")
            elif kind in ("pause", "timeout"):
                job = self.client.submit(rng.random() / 20, text, api_name="/pause")
            elif kind == "cancel":
                job = self.client.submit(text, api_name="/hang")
            else:
                job = self.client.submit(text, api_name="/greet")
        except (ClientClosed, GroupClosed):
            return "refused"
        job.add_done_callback(self._count)
        expected = {"count": "3", "greet": f"Hello {text}!"}.get(kind, text)
        end = self._wait(rng, kind, job, expected)
        # However it ended, that is how it stays.
        assert job.done()
        assert self._settled(job) == end.removeprefix("after a timeout: ")
        assert concurrent.futures.wait([job], 0).not_done == set()
        return end

    def _wait(self, rng: random.Random, kind: str, job: Job, expected: str) -> str:
        late = ""
        if kind == "cancel":
            with suppress(JobTimeout, JobCancelled, ClientClosed, GroupClosed, httpx.HTTPError):
                job.result(rng.choice([0, 0.001, 0.02]))
            canceller = Watched(job.cancel)
            job.cancel()
            canceller.get()
        elif kind == "timeout":
            try:
                job.result(timeout=rng.random() / 50)
            except JobTimeout:
                late = "after a timeout: "
            except Exception:  # noqa: BLE001 - told by `_settled`
                pass
        elif kind == "count":
            seen = list(job)
            assert seen == ["0", "1", "2", "3"][: len(seen)]
        end = self._settled(job)
        if end == "ok":
            assert job.result() == expected
        if end == "failed: AppError":
            assert kind == "fail"
        return late + end

    def _settled(self, job: Job) -> str:
        try:
            job.result()
        except JobCancelled:
            assert job.cancelled()
            return "cancelled"
        except Exception as error:  # noqa: BLE001 - counted
            assert job.exception() is error  # noqa: PT017 - it was raised to be counted
            return f"failed: {type(error).__name__}"
        return "ok"

    def _count(self, job: Job) -> None:
        with self._lock:
            self.called_back[job] += 1

    def run(self, meanwhile: Callable[[], object] = lambda: None) -> None:
        """Fire from all threads; do something else in the midst of it."""
        with frequent_switches():
            shooters = [Watched(self.fire, number) for number in range(THREADS)]
            wait_for(lambda: self.fired > THREADS * CALLS / 3)
            meanwhile()
            for shooter in shooters:
                # The watchdog bounds it.
                shooter.join()
                shooter.get()
        jobs = THREADS * CALLS - self.ends["refused"]
        wait_for(lambda: self.called_back.total() >= jobs, self.called_back.total)
        assert set(self.called_back.values()) <= {1}
        assert self.ends.total() == THREADS * CALLS
        tell(f"\n{THREADS} x {CALLS}:", dict(self.ends.most_common()))


def test_each_call_ends_in_one_way(own_server: ServerThread) -> None:
    with nothing_left(), start_portal() as portal:
        client = Client(own_server.url, portal=portal)
        volley = Volley(client)
        volley.run()
        assert {end.rpartition(": ")[2] for end in volley.ends} == {"ok", "cancelled", "AppError"}
        own_server.until(lambda server: not server.running)
        assert client.predict("ada", api_name="/greet") == "Hello ada!"
        assert not portal._entry.unfinished
        client.close()


def test_calls_end_with_their_client(own_server):
    with nothing_left(), start_portal() as portal:
        client = Client(own_server.url, portal=portal)
        volley = Volley(client)
        volley.run(client.close)
        assert volley.ends["refused"]
        assert not portal._entry.unfinished
        own_server.until(lambda server: not server.running and not server.open_connections)


def test_calls_end_with_their_portal(own_server):
    with nothing_left():
        manager = start_portal()
        portal = manager.__enter__()
        volley = Volley(Client(own_server.url, portal=portal))
        volley.run(lambda: manager.__exit__(None, None, None))
        assert not portal._entry.unfinished
        own_server.until(lambda server: not server.running and not server.open_connections)


def test_calls_end_when_sessions_are_reset(own_server: ServerThread) -> None:
    with nothing_left(), start_portal() as portal, Client(own_server.url, portal=portal) as client:
        volley = Volley(client)

        def reset() -> None:
            for _ in range(20):
                client.reset_session()

        volley.run(reset)
        assert "refused" not in volley.ends
        assert volley.ends["ok"]


def test_calls_end_when_the_server_dies(own_server: ServerThread) -> None:
    with nothing_left(), start_portal() as portal:
        client = Client(own_server.url, portal=portal)
        volley = Volley(client)
        volley.run(lambda: own_server.call(own_server.server.die))
        # Which of the two depends on where each call is; what comes later can't connect.
        assert any(end.endswith(("ConnectionLost", "ConnectionFailed")) for end in volley.ends)
        client.close()


def test_each_call_ends_on_the_real_server(gradio_url: str) -> None:
    with start_portal() as portal, Client(gradio_url, portal=portal) as client:
        fire_at_gradio(client)


def test_calls_end_with_a_real_server(start_gradio: Any) -> None:
    server = start_gradio()
    with nothing_left(), start_portal() as portal:
        client = Client(server.url, portal=portal)
        ends = fire_at_gradio(client, server.kill)
        assert any(end.startswith("failed: Connection") for end in ends)
        client.close()


def fire_at_gradio(client: Client, meanwhile: Callable[[], object] = lambda: None) -> Counter[str]:
    """Call the test app from many threads; cancel some calls, wait too short for others."""
    ends: Counter[str] = Counter()
    lock, begun = threading.Lock(), threading.Semaphore(0)

    def one(rng: random.Random, text: str) -> str:
        job = client.submit(rng.random() / 10, text, api_name="/parallel_sleep")
        begun.release()
        late = ""
        try:
            assert job.result(rng.choice([0, 0.03, None, None])) == text
        except JobTimeout:
            late = "after a timeout: "
            if rng.random() < 0.5:
                job.cancel()
        except Exception:  # noqa: BLE001 - told below
            pass
        try:
            assert job.result() == text
        except JobCancelled:
            return late + "cancelled"
        except Exception as error:  # noqa: BLE001 - counted
            return f"failed: {type(error).__name__}"
        return late + "ok"

    def fire(number: int) -> None:
        rng = random.Random(f"{SEED}/{number}")
        for call in range(CALLS):
            end = one(rng, f"{number}/{call}")
            with lock:
                ends[end] += 1

    shooters = [Watched(fire, number) for number in range(THREADS)]
    for _ in range(THREADS * CALLS // 3):
        begun.acquire()
    meanwhile()
    for shooter in shooters:
        shooter.join()
        shooter.get()
    assert ends.total() == THREADS * CALLS
    tell(f"\n{THREADS} x {CALLS}:", dict(ends.most_common()))
    return ends


def test_memory_stays_flat_over_many_rounds(own_server: ServerThread) -> None:
    """The server, in the same process, keeps every request; only what clients allocate counts."""
    ours = [
        tracemalloc.Filter(True, "*/triojob/*"),
        tracemalloc.Filter(False, "*/triojob/testing/*"),
    ]
    rounds, calls = (6, 12) if FULL else (4, 4)

    def measure() -> int:
        gc.collect()
        snapshot = tracemalloc.take_snapshot().filter_traces(ours)
        return sum(statistic.size for statistic in snapshot.statistics("filename"))

    def shoot(client: Client, number: int) -> None:
        for call in range(calls):
            job = client.submit(f"{number}/{call}", api_name="/greet")
            job.add_done_callback(lambda _: None)
            assert job.result() == f"Hello {number}/{call}!"
            client.submit("x", api_name="/hang").cancel()
            with pytest.raises(AppError):
                client.predict("kaput", api_name="/fail")

    with start_portal() as portal, Client(own_server.url, portal=portal) as client:
        sizes: list[int] = []
        tracemalloc.start()
        try:
            for _ in range(rounds):
                for shooter in [Watched(shoot, client, number) for number in range(4)]:
                    shooter.get()
                own_server.until(lambda server: not server.running)
                sizes.append(measure())
        finally:
            tracemalloc.stop()
    tell(f"\nbytes after each round of {12 * calls} calls:", sizes)
    # Each call that were kept would be a kilobyte at the very least.
    assert sizes[-1] - sizes[1] < 250 * 12 * calls * (rounds - 2), sizes
