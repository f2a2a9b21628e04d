"""What goes in and what comes out: hidden components, several outputs, one and none."""

from __future__ import annotations

from typing import Any

import pytest

from tests.servers.scripted import Event, ScriptedServer
from tests.support.sessions import opened
from triojob.testing.components import Component, button, number, state


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


async def test_an_endpoint_without_inputs(memory_app: ScriptedServer) -> None:
    async def answer(event: Event) -> None:
        await event.completed(["x"])

    memory_app.app.add("ask", answer, inputs=[])
    async with opened(memory_app) as client:
        assert await client.predict(api_name="/ask") == "x"
    assert memory_app.joins[0]["data"] == []


async def test_state_is_servers_and_never_callers(memory_app: ScriptedServer) -> None:
    counter = state(0)

    async def count(event: Event) -> None:
        value = event.data[0] + event.data[1]
        await event.completed([value, value])

    memory_app.app.add("count", count, inputs=[counter, number("by")], outputs=[counter, "total"])
    async with opened(memory_app) as client, client.session() as session:
        assert [await client.predict(by, api_name="/count") for by in (1, 2, 3)] == [1, 3, 6]
        assert await session.predict(10, api_name="/count") == 10
    assert [join["data"] for join in memory_app.joins] == [[None, by] for by in (1, 2, 3, 10)]


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
