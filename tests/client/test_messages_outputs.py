"""Which messages of the server are outputs of a job, and what its result is."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests.servers.scripted import Event, Message
from tests.support.sessions import QUEUED, SENT, opened, story
from triojob import JobGroup, ProtocolError
from triojob.testing.components import button, state


def streaming(data: list[Any]) -> Message:
    """Make a step of an endpoint with `connection: "stream"`, which is never sent as edits."""
    output = {"data": data, "is_generating": True}
    return {"msg": "process_streaming", "output": output, "success": True, "time_limit": 30.0}


async def test_none_is_an_output(autojump_clock, memory_app):
    @memory_app.app.endpoint()
    async def nothing(event: Event) -> None:
        await event.completed([None])

    async with opened(memory_app) as client:
        job = client.submit(api_name="/nothing")
        assert [output async for output in job] == job.outputs() == [None]
        assert await job.result() is None


async def test_reports_midway_are_outputs_of_functions(autojump_clock, memory_app):
    """The description may be wrong on it: a decorated generator looks like a function."""

    @memory_app.app.endpoint(generator=False)
    async def perform(event: Event) -> None:
        await event.generating(["a"])
        await event.generating(["ab"])

    async with opened(memory_app) as client:
        job = client.submit(api_name="/perform")
        assert await job.result() == "ab"
        assert job.outputs() == ["a", "ab"]


async def test_steps_of_a_streaming_endpoint_are_outputs(autojump_clock, memory_app):
    @memory_app.app.endpoint()
    async def webcam(event: Event) -> None:
        # A list of edits by its looks, but such a step is always whole.
        for value in ("a", [["append", [], "b"]], "c"):
            await event.send(streaming([value]))
            await trio.sleep(1)
        await event.completed(["c"])

    async with opened(memory_app) as client:
        job = client.submit(api_name="/webcam")
        outputs = [("output", "a"), ("output", [["append", [], "b"]]), ("output", "c")]
        assert await story(job) == [*QUEUED, "ITERATING", *outputs, "FINISHED"]
        assert await job.result() == "c"


async def test_cached_call_reports_no_queue(autojump_clock, memory_app):
    memory_app.app.add("look_up", inputs=["key"], cached=True)
    memory_app.app.add("replay", inputs=["a", "b"], generator=True, cached=True)
    async with opened(memory_app) as client:
        job = client.submit("x", api_name="/look_up")
        assert await story(job) == [*SENT, ("output", "x"), "FINISHED"]
        job = client.submit("x", "xy", api_name="/replay")
        outputs = [("output", "x"), ("output", "xy")]
        assert await story(job) == [*SENT, "ITERATING", *outputs, "FINISHED"]
        assert await job.result() == "xy"


@pytest.mark.parametrize(
    "outputs, data, shown",
    [
        ([], [], ()),
        (["a"], ["x"], "x"),
        (["a", "b"], ["x", "y"], ("x", "y")),
        (["a", state(), "b"], ["x", None, "y"], ("x", "y")),
        ([state(), "a", button("b")], [None, "x", "y"], "x"),
        ([state(), state()], [None, None], ()),
        (["a"], [["x", "y"]], ["x", "y"]),
    ],
)
@pytest.mark.parametrize("generator", [False, True])
async def test_hidden_components_are_dropped(
    autojump_clock, memory_app, outputs, data, shown, generator
):
    @memory_app.app.endpoint(outputs=outputs, generator=generator)
    async def perform(event: Event) -> None:
        if generator:
            await event.generating(data)
            await event.generating(data)
        else:
            await event.completed(data)

    async with opened(memory_app) as client:
        job = client.submit(api_name="/perform")
        assert await job.result() == shown
        assert job.outputs() == [shown] * (2 if generator else 1)


async def test_completion_that_says_something_new_is_output(autojump_clock, memory_app):
    @memory_app.app.endpoint(generator=True)
    async def perform(event: Event) -> None:
        await event.generating(["draft"])
        await event.completed(["final"])

    async with opened(memory_app) as client:
        job = client.submit(api_name="/perform")
        assert await job.result() == "final"
        assert job.outputs() == ["draft", "final"]


@pytest.mark.parametrize("live", [True, False])
async def test_outputs_are_there_as_they_come(autojump_clock, memory_app, live):
    steps = [trio.Event() for _ in range(3)]

    @memory_app.app.endpoint(generator=True)
    async def perform(event: Event) -> None:
        for number, step in enumerate(steps):
            await step.wait()
            await event.generating([f"{number}"])
        await trio.sleep(1)

    async with opened(memory_app) as client:
        job = client.submit(api_name="/perform")
        outputs = job.__aiter__()
        for number, step in enumerate(steps):
            step.set()
            if live:
                assert await outputs.__anext__() == f"{number}"
            await wait_all_tasks_blocked()
            assert job.outputs() == [f"{n}" for n in range(number + 1)]
            assert not job.done


@pytest.mark.parametrize("data", [[], ["x"]])
async def test_too_few_outputs_name_the_endpoint(autojump_clock, memory_app, data):
    @memory_app.app.endpoint(outputs=["a", "b"])
    async def perform(event: Event) -> None:
        await event.completed(data)

    async with opened(memory_app) as client, JobGroup() as group:
        job = group.submit(client.endpoint("/perform"))
        with pytest.raises(ProtocolError, match="/perform has at least 2 outputs"):
            await job.result()
        assert job.outputs() == []


async def test_completion_without_data_is_an_error(autojump_clock, memory_app):
    @memory_app.app.endpoint()
    async def perform(event: Event) -> None:
        event.never_complete()
        await event.send({"msg": "process_completed", "output": {"values": [1]}, "success": True})

    async with opened(memory_app) as client:
        with pytest.raises(ProtocolError, match="/perform completed without data"):
            await client.predict(api_name="/perform")
