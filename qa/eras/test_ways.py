"""The ways around the queue."""

from __future__ import annotations

import pytest

from qa.eras.support import Era, assert_stopped, behaviour
from tests.support.real import assert_idle, new_key, opened, probe_until, promptly
from triojob import AppError, JobGroup, UnexpectedResponse


@behaviour("Ways around the queue", "`queue=False`")
async def test_a_function_outside_the_queue(era: Era) -> None:
    async with opened(era.wide) as client:
        direct = client.endpoint("/direct")
        assert direct.via == "run"
        assert await direct("Ada") == "Hello Ada!"


@behaviour("Ways around the queue", '`via="run"`')
async def test_run(era: Era) -> None:
    async with opened(era.wide) as client:
        assert await client.endpoint("/greet", via="run")("Ada") == "Hello Ada!"
        assert await client.endpoint("/add", via="run")(3, 4) == (7, 12)
        with pytest.raises(AppError, match="boom"):
            await client.endpoint("/fail", via="run")("boom")
        bump = client.endpoint("/bump", via="run")
        assert [await bump(), await bump()] == [1, 2]
        await assert_idle(client)


@behaviour("Ways around the queue", 'JSON `via="run"`')
async def test_run_of_json(era: Era) -> None:
    async with opened(era.wide) as client:
        value = await client.endpoint("/nested", via="run")(1)
        if isinstance(value, str):
            era.instead(
                "Outside the queue the app sends the value of a JSON output as a text of Python's "
                "making (`root={...}`), and that is what comes out."
            )
            assert value == "root={'done': False, 'items': [{'i': 0, 'text': ''}]}"
            assert era.version == (5, 50)
        else:
            assert value == {"done": False, "items": [{"i": 0, "text": ""}]}


@behaviour("Ways around the queue", '`via="call"`')
async def test_call(era: Era) -> None:
    async with opened(era.wide) as client:
        greet = client.endpoint("/greet", via="call")
        if era.version < (4, 20):
            era.instead("There is no such API: `UnexpectedResponse` is raised, with the status.")
            with pytest.raises(UnexpectedResponse) as caught:
                await greet("Ada")
            assert caught.value.status in (404, 405)
            return
        assert await greet("Ada") == "Hello Ada!"
        assert await client.endpoint("/add", via="call")(3, 4) == (7, 12)
        assert await client.endpoint("/tokens", via="call")(3) == "tok0 tok1 tok2"
        with pytest.raises(AppError):
            await client.endpoint("/fail", via="call")("boom")
        await assert_idle(client)


@behaviour("Ways around the queue", 'cancelling `via="call"`')
async def test_cancelling_a_call(era: Era) -> None:
    async with opened(era.wide) as client:
        key = new_key("call")
        if era.version < (4, 20):
            era.instead("There is no such API: `UnexpectedResponse` is raised, with the status.")
            with pytest.raises(UnexpectedResponse):
                await client.endpoint("/ticker", via="call")(1000, 0.1, key)
            return
        async with JobGroup() as group:
            job = group.submit(client.endpoint("/ticker", via="call"), 1000, 0.1, key)
            await probe_until(client, key, started=1)
            job.cancel()
            async with promptly():
                await job.wait()
        await assert_stopped(client, key)
        await assert_idle(client)
