"""Both jobs as futures: callbacks, `concurrent.futures`, asyncio, and how many run at once."""

from __future__ import annotations

import asyncio
import concurrent.futures
import queue
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from qa.differential.support import (
    SECONDS,
    AnyClient,
    Pair,
    ended,
    new_key,
    opened,
    status_when,
    until,
)

Callback = Callable[..., None]


def recorder(name: str, calls: queue.SimpleQueue[Any]) -> Callback:
    def record(*values: Any) -> None:
        calls.put((name, values))

    return record


def taken(calls: queue.SimpleQueue[Any], count: int) -> list[Any]:
    """Return what callbacks recorded, which may come after the job's end."""
    return [calls.get(timeout=SECONDS) for _ in range(count)]


# --- Callbacks with the result ---


@pytest.mark.parametrize(
    "name, args, values",
    [
        ("/greet", ("Ada",), ("Hello Ada!",)),
        ("/add", (1, 2), (3, 2)),
        ("/count", (3, 0), ("2",)),
        ("/no_output", ("x",), ()),
        ("/echo", (["a", "b"],), (["a", "b"],)),
    ],
)
def test_result_callback_gets_outputs_as_arguments(pair, name, args, values):
    def call(client: AnyClient) -> list[Any]:
        calls: queue.SimpleQueue[Any] = queue.SimpleQueue()
        client.submit(*args, api_name=name, result_callbacks=recorder("one", calls))
        return taken(calls, 1)

    assert pair.same(call) == [("one", values)]


def test_result_callbacks_are_called_in_their_order(pair: Pair) -> None:
    def call(client: AnyClient) -> list[Any]:
        calls: queue.SimpleQueue[Any] = queue.SimpleQueue()
        callbacks = [recorder(name, calls) for name in "abc"]
        client.submit("x", api_name="/greet", result_callbacks=callbacks)
        return taken(calls, 3)

    assert [name for name, _ in pair.same(call)] == ["a", "b", "c"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_failure_calls_no_result_callback(pair: Pair) -> None:
    def call(client: AnyClient) -> Any:
        calls: queue.SimpleQueue[Any] = queue.SimpleQueue()
        job = client.submit(api_name="/fail", result_callbacks=recorder("never", calls))
        # Added later, so it is called later.
        job.add_done_callback(lambda job: calls.put(("always", str(job.exception()))))
        return taken(calls, 1)

    assert pair.same(call) == [("always", "boom")]


def test_callback_that_raises_harms_nobody(pair: Pair, caplog: pytest.LogCaptureFixture) -> None:
    def bad(_: Any) -> None:
        raise ZeroDivisionError("in a callback")

    def call(client: AnyClient) -> Any:
        calls: queue.SimpleQueue[Any] = queue.SimpleQueue()
        callbacks = [bad, recorder("good", calls)]
        job = client.submit("x", api_name="/greet", result_callbacks=callbacks)
        found = taken(calls, 1)
        logged = [record.exc_info[1] for record in caplog.records if record.exc_info]
        caplog.clear()
        return found, job.result(), [str(error) for error in logged]

    _, result, logged = pair.same(call)
    assert result == "Hello x!"
    assert logged == ["in a callback"]


def test_done_callbacks_before_and_after_the_end(pair: Pair) -> None:
    def call(client: AnyClient) -> Any:
        calls: queue.SimpleQueue[Any] = queue.SimpleQueue()
        job = client.submit(2, 0, api_name="/count")
        job.add_done_callback(lambda done: calls.put(("early", done.result())))
        job.result()
        early = taken(calls, 1)
        job.add_done_callback(lambda done: calls.put(("late", done.result())))
        return early, taken(calls, 1)

    assert pair.same(call) == ([("early", "1")], [("late", "1")])


def test_done_callback_of_a_failing_job(pair: Pair) -> None:
    def call(client: AnyClient) -> Any:
        calls: queue.SimpleQueue[Any] = queue.SimpleQueue()
        job = client.submit(api_name="/fail")
        job.add_done_callback(lambda done: calls.put(str(done.exception())))
        return taken(calls, 1)

    assert pair.same(call) == ["boom"]


# --- With what takes futures ---


def test_jobs_are_futures(pair: Pair) -> None:
    def call(client: AnyClient) -> bool:
        return isinstance(ended(client.submit("x", api_name="/greet")), concurrent.futures.Future)

    assert pair.same(call)


def test_concurrent_futures_wait_and_as_completed(pair: Pair) -> None:
    def call(client: AnyClient) -> Any:
        jobs = [client.submit(f"{i}", api_name="/greet") for i in range(5)]
        jobs.append(client.submit(api_name="/fail"))
        waited = concurrent.futures.wait(jobs, timeout=SECONDS)
        found = {str(j.exception() or j.result()) for j in concurrent.futures.as_completed(jobs)}
        return len(waited.done), found

    assert pair.same(call)[0] == 6


@pytest.mark.parametrize(
    "when", [concurrent.futures.FIRST_COMPLETED, concurrent.futures.FIRST_EXCEPTION]
)
def test_wait_for_the_first(pair: Pair, when: str) -> None:
    def call(client: AnyClient) -> Any:
        slow = client.submit(100, 0.1, new_key("slow"), api_name="/ticker_async")
        quick = client.submit(api_name="/fail")
        waited = concurrent.futures.wait([slow, quick], timeout=SECONDS, return_when=when)
        are_done = slow.done(), quick.done()
        slow.cancel()
        # Theirs returns another future than that which one waits for.
        return [str(future.exception()) for future in waited.done], *are_done

    assert pair.same(call) == (["boom"], False, True)


def test_asyncio_awaits_a_job(pair: Pair) -> None:
    async def wait_for(client: AnyClient, name: str, *args: Any) -> Any:
        job = client.submit(*args, api_name=name)
        return await asyncio.wait_for(asyncio.wrap_future(job), SECONDS)

    assert pair.same(lambda c: asyncio.run(wait_for(c, "/greet", "Ada"))) == "Hello Ada!"
    pair.same_failure(lambda client: asyncio.run(wait_for(client, "/fail")))


def test_asyncio_gathers_jobs(pair: Pair) -> None:
    async def gather(client: AnyClient) -> list[Any]:
        jobs = [client.submit(i, i, api_name="/add") for i in range(5)]
        return await asyncio.gather(*map(asyncio.wrap_future, jobs))

    found = pair.same(lambda client: asyncio.run(gather(client)))
    assert found == [(2 * i, i * i) for i in range(5)]


# --- How many at once ---


def test_one_worker_works_in_order(gradio_url: str, tmp_path: Path) -> None:
    def call(client: AnyClient) -> Any:
        calls: queue.SimpleQueue[Any] = queue.SimpleQueue()
        blocker = client.submit(20, 0.05, new_key("blocks"), api_name="/ticker_async")
        status_when(blocker, "ITERATING")
        jobs = [
            client.submit(str(i), api_name="/greet", result_callbacks=recorder("", calls))
            for i in range(4)
        ]
        # One could run at once on the server: that they don't is due to the client.
        waiting = [(job.status().code.name, job.done()) for job in jobs]
        assert not blocker.done()
        blocker.cancel()
        return waiting, taken(calls, 4)

    with opened(gradio_url, tmp_path, max_workers=1) as both:
        waiting, order = both.same(call)
    assert waiting == [("STARTING", False)] * 4
    assert [values for _, values in order] == [(f"Hello {i}!",) for i in range(4)]


def test_many_workers_do_many_things_at_once(gradio_url: str, tmp_path: Path) -> None:
    def call(client: AnyClient) -> Any:
        key = new_key("many")
        jobs = [client.submit(100, 0.1, key, api_name="/ticker_async") for _ in range(3)]
        started = until(lambda: client.predict(key, api_name="/probe").get("started") == 3)
        for job in jobs:
            job.cancel()
        return started

    with opened(gradio_url, tmp_path, max_workers=4) as both:
        assert both.same(call)
