"""How a job goes, told by both clients: updates, statuses, outputs, iteration."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest

from qa.differential.support import (
    SECONDS,
    AnyClient,
    Pair,
    ended,
    fields,
    new_key,
    status_when,
    until,
    updates_of,
)

# The calls whose every update is compared: name, arguments, and the codes in their order.
STORIES: list[tuple[str, tuple[Any, ...], str]] = [
    ("/greet", ("Ada",), "IN_QUEUE PROCESSING FINISHED"),
    ("/no_output", ("x",), "IN_QUEUE PROCESSING FINISHED"),
    ("/update_props_only", (), "IN_QUEUE PROCESSING FINISHED"),
    ("/count", (2, 0), "IN_QUEUE PROCESSING ITERATING ITERATING FINISHED"),
    ("/two_streams", (2,), "IN_QUEUE PROCESSING ITERATING ITERATING FINISHED"),
    ("/alternating", (2,), "IN_QUEUE PROCESSING ITERATING ITERATING FINISHED"),
    ("/nothing", (), "IN_QUEUE PROCESSING FINISHED"),
    ("/logs", (), "IN_QUEUE PROCESSING LOG LOG LOG FINISHED"),
    ("/fail", (), "IN_QUEUE PROCESSING FINISHED"),
    ("/fail_hard", (), "IN_QUEUE PROCESSING FINISHED"),
    ("/fail_midway", (), "IN_QUEUE PROCESSING ITERATING ITERATING FINISHED"),
    ("/fail_hard_midway", (), "IN_QUEUE PROCESSING ITERATING FINISHED"),
    ("/direct", ("x",), "IN_QUEUE PROCESSING FINISHED"),
]


@pytest.mark.parametrize("name, args, codes", STORIES)
def test_every_update_in_its_order(pair, name, args, codes):
    def call(client: AnyClient) -> list[dict[str, Any]]:
        updates = [fields(update) for update in updates_of(client.submit(*args, api_name=name))]
        last = updates[-1]
        assert last.get("final")
        if last["success"]:
            # What the server measured is left out by ours; see the table of differences.
            last["outputs"] = last["outputs"]["data"]
        return updates

    updates = pair.same(call)
    assert " ".join(update["code"] for update in updates if "code" in update) == codes


def test_updates_while_they_come(pair: Pair) -> None:
    async def follow(client: AnyClient) -> list[Any]:
        job = client.submit(3, 0.01, api_name="/count")
        return [update async for update in job if update.type == "output"]

    def call(client: AnyClient) -> list[Any]:
        found = asyncio.run(asyncio.wait_for(follow(client), SECONDS))
        return [update.outputs for update in found if not update.final]

    assert pair.same(call) == ["0", "1", "2"]


def test_updates_are_told_once(pair: Pair) -> None:
    def call(client: AnyClient) -> list[int]:
        async def twice(job: Any) -> list[int]:
            first = [update async for update in job]
            second = [update async for update in job]
            return [len(first), len(second)]

        return asyncio.run(twice(ended(client.submit("x", api_name="/greet"))))

    assert pair.same(call) == [4, 0]


# --- Snapshots ---


def test_status_while_queued_and_running(pair: Pair) -> None:
    def call(client: AnyClient) -> list[dict[str, Any]]:
        first, second = new_key("first"), new_key("second")
        running = client.submit(SECONDS, first, api_name="/sleeper")
        processing = status_when(running, "PROCESSING")
        waiting = client.submit(SECONDS, second, api_name="/sleeper")
        queued = status_when(waiting, "IN_QUEUE")
        assert not running.done()
        waiting.cancel()
        running.cancel()
        told = [fields(status) for status in (processing, queued, waiting.status())]
        # One may be told of it before the server has let go of it.
        until(lambda: client.predict(first, api_name="/probe").get("cancelled"))
        return told

    processing, queued, cancelled = pair.same(call)
    assert (processing["code"], queued["code"]) == ("PROCESSING", "IN_QUEUE")
    assert (queued["rank"], queued["queue_size"]) == (0, 1)
    assert (cancelled["code"], cancelled["success"]) == ("CANCELLED", False)


@pytest.mark.parametrize("name", ["/greet", "/fail", "/count", "/fail_midway"])
def test_status_and_outputs_after_the_end(pair: Pair, name: str) -> None:
    args = {"/greet": ("Ada",), "/count": (3, 0)}.get(name, ())

    def call(client: AnyClient) -> Any:
        job = ended(client.submit(*args, api_name=name))
        failed = job.exception() is not None
        return fields(job.status()), job.done(), job.running(), failed, job.outputs()

    status, done, running, failed, _ = pair.same(call)
    assert (status["code"], status["rank"], done, running) == ("FINISHED", 0, True, False)
    assert status["success"] is not failed


# --- Iteration ---


@pytest.mark.parametrize(
    "name, args, count",
    [
        ("/count", (5, 0), 5),
        ("/two_streams", (3,), 3),
        ("/fail_midway", (), 2),
        ("/fail_hard_midway", (), 1),
        ("/pictures", (2,), 2),
    ],
)
def test_iteration_while_it_runs(pair: Pair, name: str, args: tuple[Any, ...], count: int) -> None:
    def call(client: AnyClient) -> Any:
        job = client.submit(*args, api_name=name)
        outputs = list(job)
        ended(job).exception()  # else ours logs that nobody has asked
        return outputs, job.outputs()

    outputs, again = pair.same(call)
    assert len(outputs) == count
    assert outputs == again


@pytest.mark.parametrize("name", ["/greet", "/nothing", "/fail", "/add"])
def test_iteration_after_the_end(pair: Pair, name: str) -> None:
    args = {"/greet": ("Ada",), "/add": (1, 2)}.get(name, ())

    def call(client: AnyClient) -> Any:
        job = ended(client.submit(*args, api_name=name))
        job.exception()
        return list(job), list(job), job.outputs()

    outputs, second, again = pair.same(call)
    assert second == []
    assert outputs == again


def test_iteration_goes_on_where_another_left_it(pair: Pair) -> None:
    def call(client: AnyClient) -> Any:
        job = client.submit(6, 0, api_name="/count")
        one = next(job)
        two = list(itertools.islice(job, 2))
        rest = list(job)
        with pytest.raises(StopIteration):
            next(job)
        return one, two, rest, iter(job) is job, job.outputs()

    one, two, rest, same_object, _ = pair.same(call)
    assert [one, *two, *rest] == ["0", "1", "2", "3", "4", "5"]
    assert same_object


def test_result_of_a_generator_is_last(pair: Pair) -> None:
    def call(client: AnyClient) -> Any:
        job = client.submit(3, 0, api_name="/tokens")
        return job.result(timeout=SECONDS), job.outputs(), job.exception()

    assert pair.same(call) == ("tok0 tok1 tok2", ["tok0", "tok0 tok1", "tok0 tok1 tok2"], None)
