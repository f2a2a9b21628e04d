"""The fan-out helpers on a real app: many calls, in order, and losers that stop on the server."""

from __future__ import annotations

from functools import partial

import pytest
import trio

import triojob
from tests.real.support import assert_idle, assert_stopped, new_key, opened, probe, probe_until
from triojob import AppError, JobGroup, as_completed, first_completed, first_success, gather


async def test_a_map_over_two_hundred_inputs(gradio_url: str) -> None:
    async with opened(gradio_url) as client:
        call = client.endpoint("/parallel_sleep")

        async def say(number: int) -> str:
            text: str = await call(0.01, str(number))
            return text

        async with triojob.map(say, range(200), limit=20) as results:
            got = [result async for result in results]
        assert got == [str(number) for number in range(200)]
        async with triojob.map(partial(call, 0.01), map(str, range(200)), ordered=False) as results:
            got = [result async for result in results]
        assert sorted(got, key=int) == [str(number) for number in range(200)]
        await assert_idle(client)


async def test_the_loser_of_a_race_stops_on_the_server(gradio_url: str) -> None:
    async with opened(gradio_url) as client:
        key, quick = new_key("loser"), client.endpoint("/parallel_sleep")
        slow = client.endpoint("/ticker")

        async def won() -> str:
            await probe_until(client, key, started=1)
            text: str = await quick(0.01, "won")
            return text

        assert await first_success(partial(slow, 1000, 0.1, key), won) == "won"
        await assert_stopped(client, key)
        assert (await probe(client, key))["steps"] < 50
        await assert_idle(client)


async def test_a_given_job_that_comes_second_stops_on_the_server(gradio_url: str) -> None:
    async with opened(gradio_url) as client:
        key = new_key("second")
        slow = client.submit(1000, 0.1, key, api_name="/ticker_async")
        # Before its first output is out, Gradio may stop a generator without closing it.
        await anext(aiter(slow))
        first = await first_completed(slow, partial(client.endpoint("/parallel_sleep"), 0.01, "a"))
        assert await first.result() == "a"
        assert slow.cancelled
        await assert_stopped(client, key)


async def test_leaving_a_map_early_stops_its_calls_on_the_server(gradio_url: str) -> None:
    async with opened(gradio_url) as client:
        keys = [new_key("left") for _ in range(3)]
        call = partial(client.endpoint("/ticker_async"), 1000, 0.1)
        async with triojob.map(call, keys):
            for key in keys:
                await probe_until(client, key, started=1)
        for key in keys:
            await assert_stopped(client, key)
        await assert_idle(client)


async def test_failures_of_an_app_are_kept_beside_its_results(gradio_url: str) -> None:
    async with opened(gradio_url) as client:
        greet, fail = client.endpoint("/greet"), client.endpoint("/fail")
        with pytest.RaisesGroup(AppError, AppError):
            await gather(partial(greet, "Ada"), fail, fail)
        good, bad = await gather(partial(greet, "Ada"), fail, return_jobs=True)
        assert await good.result() == "Hello Ada!"
        assert isinstance(bad.exception(), AppError)


async def test_arguments_that_an_endpoint_refuses_fail_alone(gradio_url: str) -> None:
    async with opened(gradio_url) as client:
        failed: list[object] = []
        items = ["0.01", 0.01, None]
        call = partial(client.endpoint("/parallel_sleep"), value="x")
        async with triojob.map(call, items, return_jobs=True) as results:
            async for item, job in results:
                if job.exception() is None:
                    assert await job.result() == "x"
                else:
                    failed.append(item)
        assert 0.01 not in failed
        assert failed


async def test_jobs_of_an_app_come_as_they_end(gradio_url: str) -> None:
    async with opened(gradio_url) as client, JobGroup() as group:
        call = client.endpoint("/parallel_sleep")
        slow = group.submit(call, 30, "slow")
        quick = group.submit(call, 0.01, "quick")
        async for job in as_completed([slow, quick]):
            assert job is quick
            break
        slow.cancel()
        with trio.fail_after(5):
            await slow.wait()
