"""Calls, and what comes out of them."""

from __future__ import annotations

import inspect
from typing import Any

from qa.eras.support import Era, behaviour
from tests.support.real import assert_idle, opened
from triojob import JobGroup, LogMessage, Status, StatusUpdate


@behaviour("Calls", "the app's description")
async def test_the_description(era: Era) -> None:
    async with opened(era.wide) as client:
        assert client.version == era.release
        assert client.protocol == era.protocol
        described = client.view_api()
        for name in ("greet", "add", "ticker", "bump", "upper_file", "probe"):
            assert f"/{name}" in described


@behaviour("Calls", "one output")
async def test_one_output(era: Era) -> None:
    async with opened(era.wide) as client:
        job = client.submit("Ada", api_name="/greet")
        assert await job.result() == "Hello Ada!"
        assert job.outputs() == ["Hello Ada!"]
        assert job.status().code is Status.FINISHED
        assert job.status().success is True


@behaviour("Calls", "two outputs")
async def test_two_outputs(era: Era) -> None:
    async with opened(era.wide) as client:
        assert await client.predict(3, 4, api_name="/add") == (7, 12)


@behaviour("Calls", "parameters by name")
async def test_parameters_by_name(era: Era) -> None:
    async with opened(era.wide) as client:
        add = client.endpoint("/add")
        if list(inspect.signature(add).parameters) == ["param_0", "param_1"]:
            assert era.version < (4, 26)
            era.instead(
                "The app does not tell the names of its functions' parameters: "
                "they are `param_0`, `param_1` and so on."
            )
            assert await add(param_1=4, param_0=3) == (7, 12)
        else:
            assert await add(b=4, a=3) == (7, 12)


@behaviour("Calls", "100 at once")
async def test_a_hundred_at_once(era: Era) -> None:
    async with opened(era.wide) as client:
        nap = client.endpoint("/lone_nap")
        async with JobGroup() as group:
            jobs = [group.submit(nap, 0.5, f"hundred {i}") for i in range(100)]
        results = [await job.result() for job in jobs]
        assert results == [f"slept hundred {i}" for i in range(100)]
        await assert_idle(client)


@behaviour("Outputs", "of a generator")
async def test_generator(era: Era) -> None:
    async with opened(era.wide) as client:
        job = client.submit(5, api_name="/tokens")
        expected = ["tok0", "tok0 tok1", "tok0 tok1 tok2"]
        expected += ["tok0 tok1 tok2 tok3", "tok0 tok1 tok2 tok3 tok4"]
        assert [text async for text in job] == expected
        assert job.outputs() == expected
        assert await job.result() == expected[-1]


@behaviour("Outputs", "of an async generator")
async def test_async_generator(era: Era) -> None:
    async with opened(era.wide) as client:
        job = client.submit(4, 0.05, "async", api_name="/ticker_async")
        assert [text async for text in job] == ["0", "1", "2", "3"]
        assert await job.result() == "3"


@behaviour("Outputs", "equal what was yielded")
async def test_a_table_that_grows_and_shrinks(era: Era) -> None:
    async with opened(era.wide) as client:
        job = client.submit(12, api_name="/table")
        expected = [
            [[f"r{row}", f"step {i // 2}"] for row in range(1 + abs(4 - i % 8))] for i in range(12)
        ]
        assert [value["data"] async for value in job] == expected
        assert (await job.result())["data"] == expected[-1]


@behaviour("Outputs", "rows and columns that go at once")
async def test_a_table_that_is_reshaped(era: Era) -> None:
    async with opened(era.wide) as client:
        job = client.submit(12, api_name="/reshaped")
        expected: list[Any] = []
        for i in range(12):
            rows, columns = (1 + i % 4, 1 + (i * 2) % 3)
            expected.append([[f"r{r}c{c}" for c in range(columns)] for r in range(rows)])
        result = await job.result()
        assert result["data"] == expected[-1]
        seen = [value["data"] for value in job.outputs()]
        assert seen[0] == expected[0]
        assert seen[-1] == expected[-1]
        if seen != expected:
            assert era.version >= (4, 17)  # outputs come whole before
            era.instead(
                "The app's own edits are wrong where several items of a list go at once, or lists "
                "in lists: outputs between the first and the last may be missing or wrong, "
                "the result never is."
            )


@behaviour("Outputs", "equal what was yielded")
async def test_an_object_that_grows_inside(era: Era) -> None:
    async with opened(era.wide) as client:
        job = client.submit(10, api_name="/nested")
        items = [{"i": i, "text": "x" * i} for i in range(10)]
        expected = [{"done": False, "items": items[: i + 1]} for i in range(10)]
        expected.append({"done": True, "items": items})
        assert [value async for value in job] == expected


@behaviour("Outputs", "progress")
async def test_progress(era: Era) -> None:
    async with opened(era.wide) as client:
        job = client.submit(4, api_name="/progress")
        seen = [
            update.progress_data[0]
            async for update in job.updates()
            if isinstance(update, StatusUpdate) and update.code is Status.PROGRESS
            if update.progress_data
        ]
        assert await job.result() == "4 steps"
        steps = [unit.index for unit in seen]
        # The server sends what is new when it looks, and so may pass over a step.
        assert steps
        assert steps == sorted(steps, key=lambda step: step or 0)
        assert {(unit.length, unit.unit) for unit in seen} == {(4, "steps")}
        assert {unit.desc for unit in seen} <= {f"step {i}" for i in range(4)}


@behaviour("Outputs", "log lines")
async def test_log_lines(era: Era) -> None:
    async with opened(era.wide) as client:
        job = client.submit("here", api_name="/log")
        assert await job.result() == "here"
        lines = [update async for update in job.updates() if isinstance(update, LogMessage)]
        assert [(line.level, line.text) for line in lines] == [
            ("info", "info here"),
            ("warning", "warning here"),
        ]
