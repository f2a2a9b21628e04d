"""What the fan-out helpers refuse: at once, with what to do instead, and with nothing started."""

from __future__ import annotations

import gc
import math
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest
import trio
import trio.testing

import triojob
from tests.support.jobs import Scripted, collect, count, succeed, tasks_living
from triojob import JobGroup, first_completed, first_success, gather

Helper = Callable[..., Awaitable[Any]]
HELPERS = pytest.mark.parametrize("helper", [gather, first_completed, first_success])


class Started:
    def __init__(self) -> None:
        self.count = 0

    async def call(self) -> None:
        self.count += 1


@HELPERS
async def test_coroutine_objects_are_closed_and_refused(helper: Helper) -> None:
    started = Started()
    with pytest.raises(TypeError) as caught:
        await helper(started.call, succeed(), partial(succeed, 1), succeed())
    name = helper.__name__
    assert str(caught.value) == (
        f"{name} takes functions and jobs, not coroutine objects: "
        f"{name}(functools.partial(fn, x)), not {name}(fn(x))"
    )
    await trio.testing.wait_all_tasks_blocked()
    gc.collect()  # "never awaited" would be an error here
    assert started.count == 0


@HELPERS
async def test_a_blocking_function_is_refused(helper: Helper) -> None:
    started = Started()
    with pytest.raises(TypeError, match=r"takes an async function, but str.upper returned 'A'"):
        await helper(started.call, partial(str.upper, "a"))
    gc.collect()
    assert started.count == 0


@HELPERS
async def test_list_of_calls_is_refused_with_hint(helper: Helper) -> None:
    name = helper.__name__
    with pytest.raises(TypeError, match=rf"pass them separately: {name}\(\*calls\)$"):
        await helper([succeed, succeed])
    with pytest.raises(TypeError, match=r"not 5$"):
        await helper(5)
    with pytest.raises(TypeError, match="not <async_generator object"):
        await helper(count(3))


@HELPERS
async def test_a_function_with_arguments_is_refused(helper: Helper) -> None:
    async def takes(text: str) -> str:
        return text

    with pytest.raises(TypeError, match="missing 1 required positional argument: 'text'"):
        await helper(succeed, takes)


@HELPERS
async def test_bound_calls_are_discarded_on_refusal(helper: Helper) -> None:
    async def produce(_: Any) -> None:
        raise AssertionError

    script = Scripted(produce)
    with pytest.raises(TypeError):
        await helper(script, None)
    assert script.discarded == 1


@pytest.mark.parametrize("helper", [first_completed, first_success])
async def test_no_calls_have_no_first(helper: Helper) -> None:
    with pytest.raises(ValueError, match=f"^{helper.__name__} needs at least one call$"):
        await helper()


@pytest.mark.parametrize("limit", [0, -1, 1.5, math.nan])
async def test_a_limit_is_a_positive_whole_number(limit: Any) -> None:
    before = tasks_living()
    with pytest.raises(ValueError, match=r"^limit must be a positive integer or None, not"):
        await gather(succeed, limit=limit)
    with pytest.raises(ValueError, match=r"^limit must be a positive integer, not"):
        triojob.map(succeed, [1], limit=limit)
    assert tasks_living() == before


def test_map_has_limit_in_any_case() -> None:
    for limit in (None, math.inf, "3"):
        given: Any = limit
        with pytest.raises(ValueError, match=r"^limit must be a positive integer"):
            triojob.map(succeed, [1], limit=given)


@pytest.mark.parametrize("rate", [0, -1, math.nan])
def test_a_rate_is_positive(rate: float) -> None:
    with pytest.raises(ValueError, match=r"^rate must be more than 0 calls per second, or None"):
        triojob.map(succeed, [1], rate=rate)


async def test_an_infinite_rate_is_none(autojump_clock: trio.testing.MockClock) -> None:
    async with triojob.map(succeed, range(3), rate=math.inf) as results:
        assert await collect(results) == [0, 1, 2]
    assert trio.current_time() == 0


def test_map_of_coroutine_object_is_refused() -> None:
    call: Any = succeed(1)
    with pytest.raises(TypeError, match=r"^map takes a function and items: map\(fn, items\), not"):
        triojob.map(call, [1])
    gc.collect()


def test_map_takes_function_before_iterables() -> None:
    wrong: Any = triojob.map
    with pytest.raises(TypeError, match=r"^map takes an async function or an endpoint first, not"):
        wrong([1, 2], succeed)
    with pytest.raises(TypeError, match=r"^map needs at least one iterable after the function"):
        wrong(succeed)
    with pytest.raises(TypeError, match=r"^map takes iterables and async iterables, not 5$"):
        wrong(succeed, [1], 5)
    with pytest.raises(TypeError, match=r"not <function count at \w+> \(call the function\)$"):
        wrong(succeed, count)
    with pytest.raises(TypeError, match=r"not <coroutine"):
        wrong(succeed, succeed())
    gc.collect()


def test_pairs_and_fail_fast_exclude_each_other() -> None:
    wrong: Any = triojob.map
    for fail_fast in (True, False):
        with pytest.raises(TypeError, match=r"^use return_jobs or fail_fast"):
            wrong(succeed, [1], return_jobs=True, fail_fast=fail_fast)


async def test_error_names_the_partials_function() -> None:
    async def login(password: str) -> str:
        await trio.lowlevel.checkpoint()
        return password

    async with JobGroup() as group:
        job = group.submit(partial(login, "secret"))
    assert job.name.endswith("login")
    with pytest.raises(TypeError) as caught:
        await gather(partial(str.upper, "secret"))
    assert "partial(<" not in str(caught.value)
