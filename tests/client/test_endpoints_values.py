"""What goes in and what comes out: hidden components, several outputs, one and none."""

from __future__ import annotations

from typing import Any

import pytest

from tests.servers.scripted import Event, ScriptedServer
from tests.support.sessions import opened
from triojob import ProtocolError
from triojob.testing.components import Component, button, json_value, number, state


def column() -> Component:
    """Make a layout component, which apps may name as an input or output all the same."""
    return Component("column", skip_api=True)


HIDDEN = [state("kept"), button("go"), column()]


@pytest.mark.parametrize("place", range(3))
async def test_hidden_inputs_are_null_wherever_they_stand(memory_app, place):
    inputs: list[Any] = ["a", "b"]
    inputs[place:place] = HIDDEN
    memory_app.app.add("mixed", inputs=inputs)
    async with opened(memory_app) as client:
        await client.predict("1", "2", api_name="/mixed")
        await client.predict(b="2", a="1", api_name="/mixed")
    expected: list[Any] = ["1", "2"]
    expected[place:place] = [None] * 3
    assert [join["data"] for join in memory_app.joins] == [expected] * 2


@pytest.mark.parametrize("place", range(3))
async def test_hidden_outputs_are_dropped_wherever_they_stand(memory_app, place):
    values: list[Any] = ["1", "2"]
    outputs: list[Any] = ["x", "y"]
    values[place:place] = ["kept", "go", None]
    outputs[place:place] = HIDDEN

    async def answer(event: Event) -> None:
        await event.completed(values)

    memory_app.app.add("mixed", answer, outputs=outputs)
    async with opened(memory_app) as client:
        assert await client.predict(api_name="/mixed") == ("1", "2")
        job = client.submit(api_name="/mixed")
        assert await job.result() == ("1", "2")
        assert job.outputs() == [("1", "2")]


async def test_a_button_as_an_output_is_dropped_beside_one_value(memory_app):
    async def answer(event: Event) -> None:
        await event.completed(["go again", "value", None])

    memory_app.app.add("one", answer, outputs=[button("go"), "x", column()])
    async with opened(memory_app) as client:
        assert await client.predict(api_name="/one") == "value"


async def test_streamed_outputs_drop_the_hidden_ones_too(memory_app: ScriptedServer) -> None:
    async def stream(event: Event) -> None:
        for count in range(3):
            await event.generating([f"state {count}", f"x {count}", "go", f"y {count}"])

    outputs = [state(), "x", button("go"), "y"]
    memory_app.app.add("stream", stream, outputs=outputs, generator=True)
    async with opened(memory_app) as client:
        job = client.submit(api_name="/stream")
        seen = [output async for output in job]
        assert seen == job.outputs() == [(f"x {n}", f"y {n}") for n in range(3)]
        assert await job.result() == ("x 2", "y 2")


@pytest.mark.parametrize("count", [2, 3, 10])
async def test_several_outputs_are_a_tuple(memory_app: ScriptedServer, count: int) -> None:
    names = [f"out {index}" for index in range(count)]
    memory_app.app.add("many", inputs=[f"in_{index}" for index in range(count)], outputs=names)
    async with opened(memory_app) as client:
        result = await client.predict(*names, api_name="/many")
        assert result == tuple(names)


@pytest.mark.parametrize("value", ["x", None, 0, False, [], {}, ["x", "y"], [None]], ids=repr)
async def test_one_output_is_bare(memory_app: ScriptedServer, value: Any) -> None:
    memory_app.app.add("one", inputs=[json_value("a")], outputs=[json_value("x")])
    async with opened(memory_app) as client:
        job = client.submit(value, api_name="/one")
        assert await job.result() == value
        assert job.outputs() == [value]
        assert await client.predict(value, api_name="/one") == value


@pytest.mark.parametrize("outputs", [[], [state()], [button("go"), column()]])
async def test_no_output_is_the_empty_tuple(memory_app, outputs):
    memory_app.app.add("none", inputs=["a"], outputs=outputs)
    async with opened(memory_app) as client:
        assert await client.predict("a", api_name="/none") == ()
        job = client.submit("a", api_name="/none")
        assert await job.result() == ()
        assert job.outputs() == [()]
        assert "/none(a) -> nothing" in client.view_api()


async def test_an_endpoint_without_inputs(memory_app: ScriptedServer) -> None:
    async def answer(event: Event) -> None:
        await event.completed(["x"])

    memory_app.app.add("ask", answer, inputs=[])
    async with opened(memory_app) as client:
        assert await client.predict(api_name="/ask") == "x"
    assert memory_app.joins[0]["data"] == []


async def test_a_state_is_the_servers_and_never_the_callers(memory_app: ScriptedServer) -> None:
    counter = state(0)

    async def count(event: Event) -> None:
        value = event.data[0] + event.data[1]
        await event.completed([value, value])

    memory_app.app.add("count", count, inputs=[counter, number("by")], outputs=[counter, "total"])
    async with opened(memory_app) as client, client.session() as session:
        assert [await client.predict(by, api_name="/count") for by in (1, 2, 3)] == [1, 3, 6]
        assert await session.predict(10, api_name="/count") == 10
    assert [join["data"] for join in memory_app.joins] == [[None, by] for by in (1, 2, 3, 10)]


async def test_a_server_that_sends_too_few_values(memory_app: ScriptedServer) -> None:
    async def answer(event: Event) -> None:
        await event.completed(["x"])

    memory_app.app.add("many", answer, outputs=["x", "y"])
    async with opened(memory_app) as client:
        with pytest.raises(ProtocolError, match="/many has at least 2 outputs"):
            await client.predict(api_name="/many")


async def test_ids_and_places_need_not_agree(memory_app: ScriptedServer) -> None:
    """A function's number is the id that the app gives it, not its place in the list."""
    memory_app.app.add("first", inputs=["a"])
    memory_app.app.add("second", inputs=["a"])
    config = memory_app.app.config(memory_app.url)
    for dependency in config["dependencies"]:
        dependency["id"] += 40
    memory_app.app.config_overrides["dependencies"] = config["dependencies"][::-1]
    async with opened(memory_app) as client:
        assert client.endpoint("/first").fn_index == 40
        assert client.endpoint("/second").fn_index == 41
        assert client.endpoint(fn_index=41).name == "/second"
