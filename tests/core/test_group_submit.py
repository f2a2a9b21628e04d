"""What `JobGroup.submit` takes, and what it says of the rest."""

from __future__ import annotations

import contextvars
import functools
from collections.abc import AsyncIterator
from typing import Any

import pytest
import trio
import trio.testing

from tests.support.jobs import collect, count, succeed
from triojob import JobGroup, Status

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


async def test_arguments_reach_the_function() -> None:
    async def work(*args: Any, **kwargs: Any) -> Any:
        return args, kwargs

    async with JobGroup() as group:
        job = group.submit(work, 1, 2, fn=3, self=4)
    assert await job.result() == ((1, 2), {"fn": 3, "self": 4})


async def test_return_value_is_result_and_one_output() -> None:
    async with JobGroup() as group:
        job = group.submit(succeed, (1, 2))
    assert await job.result() == (1, 2)
    assert job.outputs() == [(1, 2)]


async def test_yields_are_outputs_and_last_one_result() -> None:
    async with JobGroup() as group:
        job = group.submit(count, 3)
    assert job.outputs() == [0, 1, 2]
    assert await collect(job) == [0, 1, 2]
    assert await job.result() == 2


async def test_generator_that_yields_nothing_has_no_output() -> None:
    async with JobGroup() as group:
        job = group.submit(count, 0)
    assert job.outputs() == []
    assert await job.result() is None


async def test_methods_partials_and_callable_objects_are_taken() -> None:
    class Callable:
        async def method(self) -> str:
            return "method"

        async def __call__(self) -> str:
            return "call"

    async with JobGroup() as group:
        jobs = [
            group.submit(Callable().method),
            group.submit(Callable()),
            group.submit(functools.partial(succeed, "partial")),
            group.submit(lambda: succeed("lambda")),
        ]
    assert [await job.result() for job in jobs] == ["method", "call", "partial", "lambda"]


async def test_cancelled_job_closes_its_generator() -> None:
    closed_in: list[str] = []

    async def work() -> AsyncIterator[int]:
        try:
            yield 1
            await trio.sleep_forever()
        finally:
            closed_in.append(trio.lowlevel.current_task().name)

    async with JobGroup() as group:
        job = group.submit(work)
        await trio.testing.wait_all_tasks_blocked()
        job.cancel()
    assert [name.endswith(f" {job.name}>") for name in closed_in] == [True]
    assert job.outputs() == [1]


async def test_a_plain_function_is_refused() -> None:
    async with JobGroup() as group:
        with pytest.raises(TypeError, match="takes an async function, but len returned 2"):
            group.submit(len, "ab")
        assert group.jobs == ()


async def test_coroutine_object_is_refused_without_warning() -> None:
    async with JobGroup() as group:
        with pytest.raises(TypeError, match=r"submit\(fn, x\), not submit\(fn\(x\)\)"):
            group.submit(succeed())  # type: ignore[call-overload]
        assert group.jobs == ()


@pytest.mark.parametrize("wrong", [None, 3, "name"])
async def test_what_is_no_function_is_refused(wrong: Any) -> None:
    async with JobGroup() as group:
        with pytest.raises(TypeError, match="takes an async function or an endpoint"):
            group.submit(wrong)


async def test_a_generator_object_is_refused() -> None:
    async with JobGroup() as group:
        with pytest.raises(TypeError, match="takes an async function"):
            group.submit(count(3))


@pytest.mark.parametrize("fn", [succeed, count])
async def test_wrong_arguments_show_at_the_submit(fn: Any) -> None:
    async with JobGroup() as group:
        with pytest.raises(TypeError, match="unexpected keyword argument 'wrong'"):
            group.submit(fn, wrong=1)
        assert group.jobs == ()


async def test_submit_starts_nothing_yet() -> None:
    started: list[bool] = []

    async def work() -> None:
        started.append(True)

    async with JobGroup() as group:
        with trio.testing.assert_no_checkpoints():
            job = group.submit(work)
        assert not started
        assert job.status().code is Status.STARTING
        assert not job.done
        assert job.outcome is None


async def test_the_submitters_context_variables_reach_the_function() -> None:
    async def read() -> str:
        await trio.lowlevel.checkpoint()
        return variable.get()

    async def stream() -> AsyncIterator[str]:
        await trio.lowlevel.checkpoint()
        yield variable.get()

    async with JobGroup() as group:
        values: list[str] = []

        async def submitter(value: str) -> None:
            variable.set(value)
            jobs = [group.submit(read), group.submit(stream)]
            variable.set("too late")
            values.extend([await job.result() for job in jobs])

        async with trio.open_nursery() as nursery:
            nursery.start_soon(submitter, "a")
            nursery.start_soon(submitter, "b")
    assert sorted(values) == ["a", "a", "b", "b"]


async def test_a_job_leaves_the_submitters_context_alone() -> None:
    async def write() -> None:
        variable.set("changed")

    async with JobGroup() as group:
        await group.submit(write).result()
    assert variable.get() == "unset"


async def test_jobs_are_numbered_and_named() -> None:
    async with JobGroup() as group:
        first, second = group.submit(succeed), group.submit(count, 1)
    assert first.name == "succeed"
    assert second.name == "count"
    assert second.id > first.id
