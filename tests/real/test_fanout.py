"""The fan-out helpers on a real app: many calls, in order, and losers that stop on the server."""

from __future__ import annotations

from functools import partial

import triojob
from tests.support.real import assert_idle, assert_stopped, new_key, opened, probe, probe_until
from triojob import first_success


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


async def test_loser_of_race_stops_on_server(gradio_url: str) -> None:
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


async def test_leaving_map_stops_calls_on_server(gradio_url: str) -> None:
    async with opened(gradio_url) as client:
        keys = [new_key("left") for _ in range(3)]
        call = partial(client.endpoint("/ticker_async"), 1000, 0.1)
        async with triojob.map(call, keys):
            for key in keys:
                await probe_until(client, key, started=1)
        for key in keys:
            await assert_stopped(client, key)
        await assert_idle(client)
