"""Edits that no honest server sends: the job goes on, and its completion has the last word."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing

from tests.servers.scripted import Event
from tests.support.hanging import SECONDS
from triojob import Client
from triojob.testing.components import json_value

HOSTILE: dict[str, Any] = {
    "a path of a hundred thousand steps": [["replace", [0] * 100_000, 1]],
    "a path of keys that are not there": [["replace", ["a"] * 1000, 1]],
    "a place far beyond the end": [["add", [2**70], 1]],
    "a place before the beginning": [["delete", [-1], None]],
    "a place that is no number": [["replace", [1.5], 1]],
    "a place that is true": [["replace", [True], 1]],
    "an action of a megabyte": [["x" * 2**20, [0], 1]],
    "an attribute of Python's": [["replace", ["__class__"], 1]],
    "text into a number": [["append", [0], "x"]],
    "a path through text": [["replace", [1, 0, 0], 1]],
    "no triple": [["replace"]],
    "a path that is text": [["replace", "0", 1]],
    "a path through text that has grown": [["append", [1], "x"], ["replace", [1, "x"], 1]],
}


@pytest.mark.parametrize("sent", HOSTILE.values(), ids=HOSTILE)
async def test_edit_that_can_not_be_harms_nothing(memory_app, autojump_clock, sent):
    @memory_app.app.endpoint(outputs=[json_value("out")], generator=True)
    async def edits(event: Event) -> None:
        await event.generating_raw([[1, "text"]])
        await event.generating_raw([sent])
        await event.generating_raw([[["replace", [0], 2]]])
        await event.completed([["the end"]])

    with trio.fail_after(SECONDS):
        async with Client(memory_app.url, transport=memory_app.transport()) as client:
            job = client.submit(api_name="/edits")
            assert await job.result() == ["the end"]
            # Out of step from there on, as nobody can know what was meant.
            assert job.outputs() == [[1, "text"], ["the end"]]
            assert await client.predict(api_name="/edits") == ["the end"]


async def test_values_built_by_edits_are_shared(memory_app, autojump_clock):
    """A thousand edits of one large value: each output has it, and memory has it once."""
    large = ["x"] * 10_000

    @memory_app.app.endpoint(outputs=[json_value("out")], generator=True)
    async def edits(event: Event) -> None:
        await event.generating_raw([{"large": large, "n": 0}])
        for n in range(1, 1000):
            await event.generating_raw([[["replace", ["n"], n]]])
        await event.completed([{"large": large, "n": 999}])

    async with Client(memory_app.url, transport=memory_app.transport()) as client:
        job = client.submit(api_name="/edits")
        await job.result()
        outputs = job.outputs()
    assert [output["n"] for output in outputs] == list(range(1000))
    assert len({id(output["large"]) for output in outputs}) == 1
