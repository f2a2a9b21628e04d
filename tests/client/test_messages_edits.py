"""Outputs that come as edits of the one before: right, whole and left alone by later edits."""

from __future__ import annotations

import copy
import itertools
from dataclasses import dataclass
from typing import Any

import pytest
import trio
from hypothesis import Phase, example, given, settings, strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from tests.servers.scripted import Event, open_server
from tests.support.sessions import QUEUED, opened, story
from tests.wire.strategies import checked, json_values, successions
from triojob import Job, Status
from triojob.testing._server.edits import edits_between
from triojob.testing.components import json_value, number

# Each example is of several streams, as opening server and client takes a while.
# For the same reason there is no tracing on top of it.
fewer = settings(checked, max_examples=20, phases=(Phase.explicit, Phase.generate, Phase.shrink))


def rebuilt(old: Any, edits: list[Any]) -> Any:
    """Apply edits as simply as can be: to a copy, with hardly a check."""
    root = [copy.deepcopy(old)]
    for action, path, value in copy.deepcopy(edits):
        if any(isinstance(step, int) and step < 0 for step in path):
            raise IndexError(path)
        *way, key = [0, *path]
        parent: Any = root
        for step in way:
            parent = parent[step]
        if action == "delete":
            del parent[key]
        elif action == "add" and isinstance(parent, list):
            parent.insert(key, value)
        else:
            parent[key] = parent[key] + value if action == "append" else value
    return root[0]


def are_rebuilt(old: Any, new: Any) -> bool:
    """Tell whether Gradio's edits are right: it miscounts some deletions in nested lists."""
    try:
        return rebuilt(old, edits_between(old, new)) == new
    except (IndexError, KeyError, TypeError):
        return False


def without_miscounts(values: list[Any]) -> list[Any]:
    """Return the values up to the first that Gradio itself would not send right."""
    pairs = itertools.takewhile(lambda pair: are_rebuilt(*pair), itertools.pairwise(values))
    return [values[0], *(new for _, new in pairs)]


@dataclass
class Heard:
    """What came of one stream."""

    live: list[Any]
    """Its outputs as an iterator gave them."""
    copies: list[Any]
    """Deep copies of them, made when they came."""
    outputs: list[Any]
    """The job's outputs at its end."""
    result: Any


async def listen(job: Job[Any], heard: dict[int, Heard], number: int) -> None:
    live: list[Any] = []
    copies: list[Any] = []
    async for output in job:
        live.append(output)
        copies.append(copy.deepcopy(output))
    heard[number] = Heard(live, copies, job.outputs(), await job.result())


async def _run_streams(streams: list[list[Any]], components: int) -> list[Heard]:
    heard: dict[int, Heard] = {}
    async with open_server(memory=True) as server:
        outputs = [json_value(f"out{n}") for n in range(components)]

        @server.app.endpoint(inputs=[number("n")], outputs=outputs, generator=True)
        async def perform(event: Event) -> None:
            for value in streams[event.data[0]]:
                await event.generating(list(value) if components > 1 else [value])

        async with (
            opened(server) as client,
            client.session() as session,
            trio.open_nursery() as nursery,
        ):
            for n in range(len(streams)):
                nursery.start_soon(listen, session.submit(n, api_name="/perform"), heard, n)
    return [heard[n] for n in range(len(streams))]


def run_streams(streams: list[list[Any]], components: int = 1) -> list[Heard]:
    """Let an app yield values in several streams at once, through a whole client."""
    clock = MockClock(autojump_threshold=0)
    return trio.run(_run_streams, streams, components, clock=clock)


def several(stream: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(stream, min_size=1, max_size=10)


@fewer
@given(several(successions().map(without_miscounts)))
@example([["", "a", "ab", "b", None, 0], [[1, [2, 3]], [1, [2]], [1], []]])
@example([[{"a": {"b": [1]}}, {"a": {}}, {"c": 1}]])
def test_outputs_stay_what_was_yielded(streams: list[list[Any]]) -> None:
    yielded = copy.deepcopy(streams)
    for heard, values in zip(run_streams(streams), yielded, strict=True):
        assert heard.live == heard.outputs == values
        assert heard.result == values[-1]
        # What was handed out on the way is what it was then, whatever edits came after it.
        assert heard.live == heard.copies


pairs = st.tuples(successions().map(without_miscounts), successions().map(without_miscounts))


@fewer
@given(several(pairs.map(lambda pair: list(zip(*pair, strict=False)))))
def test_each_component_is_edited_on_its_own(streams: list[list[Any]]) -> None:
    for heard, values in zip(run_streams(streams, 2), streams, strict=True):
        assert heard.live == heard.copies == heard.outputs == values
        assert heard.result == values[-1]


@fewer
@given(several(successions() | st.tuples(json_values, json_values)))
@example([[[[1, 2], [3, 4, 5], 6, 7], [[1], [3]]]])
@example([[[{"a": [1, 2, 3, 4]}], [{"a": [1, 2]}]]])
def test_first_and_last_outputs_survive_gradios_miscounts(streams):
    for heard, values in zip(run_streams(streams), streams, strict=True):
        assert heard.live[0] == values[0]
        assert heard.result == heard.live[-1] == values[-1]
        assert heard.live == heard.copies == heard.outputs


# --- Edits that don't fit ---

MISFITS: list[tuple[Any, list[Any]]] = [
    # What came before, and an edit of it.
    (["a"], ["replace", [1], "x"]),
    (["a"], ["replace", [-1], "x"]),
    (["a"], ["replace", ["0"], "x"]),
    (["a"], ["add", [5], "x"]),
    (["a"], ["delete", [3], None]),
    (["a"], ["append", [0, 0], "x"]),
    (["a"], ["append", [], "x"]),
    ({"a": 1}, ["replace", ["b"], "x"]),
    ({"a": 1}, ["append", ["a"], "x"]),
    ({"a": 1}, ["delete", ["b"], None]),
    ({"a": 1}, ["replace", [0], "x"]),
    ("a", ["replace", [0], "x"]),
    ("a", ["delete", [], None]),
    ("a", ["add", [], "x"]),
    (None, ["append", [], "x"]),
    ("a", ["transmogrify", [], "x"]),
    ("a", ["append", []]),
    ("a", ["append", "path", "x"]),
    ("a", "append"),  # type: ignore[list-item]
]


@pytest.mark.parametrize("first, edit", MISFITS)
async def test_outputs_stop_at_misfit_until_completion(autojump_clock, memory_app, first, edit):
    """The job goes on: Gradio's edits are wrong now and then, and its completion is whole."""
    go_on = trio.Event()

    @memory_app.app.endpoint(outputs=[json_value("out")], generator=True)
    async def perform(event: Event) -> None:
        await event.generating([first])
        await event.generating_raw([[edit]])
        await event.log("still here")
        # It would fit what the client has, and the server doesn't have that.
        await event.generating_raw([[["replace", [], "wrong"]]])
        await event.progress([0.5])
        await go_on.wait()
        await event.completed(["last"])

    async with opened(memory_app) as client:
        job = client.submit(api_name="/perform")
        await wait_all_tasks_blocked()
        assert job.outputs() == [first]
        assert job.status().code is Status.PROGRESS
        go_on.set()
        told = await story(job)
        assert [item for item in told if item[0] != "PROGRESS"] == [
            *QUEUED,
            "ITERATING",
            ("output", first),
            ("log", "still here"),
            ("output", "last"),
            "FINISHED",
        ]
        assert await job.result() == "last"


@pytest.mark.parametrize(
    "data", [[], [[]], [[], "no list"], [[], None], [[], [["append", [7], "x"]]]]
)
async def test_edits_fitting_one_component_change_none(autojump_clock, memory_app, data):
    @memory_app.app.endpoint(outputs=["a", "b"], generator=True)
    async def perform(event: Event) -> None:
        await event.generating(["x", "y"])
        await event.generating_raw(data)
        await event.completed(["xx", "yy"])

    async with opened(memory_app) as client:
        job = client.submit(api_name="/perform")
        assert await job.result() == ("xx", "yy")
        assert job.outputs() == [("x", "y"), ("xx", "yy")]


async def test_misfitting_call_can_fail_and_be_cancelled(autojump_clock, memory_app):
    @memory_app.app.endpoint(inputs=["how"], generator=True)
    async def perform(event: Event) -> None:
        await event.generating(["a"])
        await event.generating_raw([[["delete", [], None]]])
        if event.data[0] == "fail":
            await event.fail({"error": "boom"})
        await trio.sleep(10**6)

    async with opened(memory_app) as client:
        fails, hangs = [client.submit(how, api_name="/perform") for how in ("fail", "hang")]
        await wait_all_tasks_blocked()
        assert str(fails.exception()) == "boom"
        hangs.cancel()
        await hangs.wait()
        assert hangs.cancelled
        assert fails.outputs() == hangs.outputs() == ["a"]


async def test_repeated_output_after_misfit_counts_again(autojump_clock, memory_app):
    """Between the two the app had yielded something that nobody knows."""

    @memory_app.app.endpoint(generator=True)
    async def perform(event: Event) -> None:
        await event.generating(["a"])
        await event.generating_raw([[["delete", [3], None]]])
        await event.completed(["a"])

    async with opened(memory_app) as client:
        job = client.submit(api_name="/perform")
        assert await job.result() == "a"
        assert job.outputs() == ["a", "a"]


async def test_misfitting_call_leaves_others_alone(autojump_clock, memory_app):
    @memory_app.app.endpoint(inputs=["how"], generator=True)
    async def perform(event: Event) -> None:
        await event.generating(["a"])
        await trio.sleep(1)
        if event.data[0] == "bad":
            await event.generating_raw([[["append", [9], "x"]]])
        else:
            await event.generating(["ab"])
        await trio.sleep(1)
        await event.completed(["abc"])

    async with opened(memory_app) as client, client.session() as session:
        bad, good = [session.submit(how, api_name="/perform") for how in ("bad", "good")]
        await good.wait()
        await bad.wait()
        assert good.outputs() == ["a", "ab", "abc"]
        assert bad.outputs() == ["a", "abc"]
