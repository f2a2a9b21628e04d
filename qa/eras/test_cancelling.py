"""Cancelling what runs: at once here; and there, as far as the release has a way to."""

from __future__ import annotations

import pytest

from qa.eras.support import Era, assert_stopped, behaviour
from tests.support.real import assert_idle, new_key, opened, probe, probe_until, promptly
from triojob import Client, Job, JobCancelled


async def cancel_running(client: Client, job: Job[str], key: str) -> None:
    """Cancel a job whose run has started; it ends here at once."""
    await probe_until(client, key, started=1)
    job.cancel("enough")
    async with promptly():
        with pytest.raises(JobCancelled, match="enough"):
            await job.result()
    assert job.cancelled


@behaviour("Cancelling", "a generator")
async def test_a_generator(era: Era) -> None:
    async with opened(era.wide) as client:
        key = new_key("generator")
        job = client.submit(1000, 0.1, key, api_name="/ticker")
        await cancel_running(client, job, key)
        await assert_stopped(client, key)
        await assert_idle(client)


@behaviour("Cancelling", "an async generator")
async def test_an_async_generator(era: Era) -> None:
    async with opened(era.wide) as client:
        key = new_key("async-generator")
        job = client.submit(1000, 0.1, key, api_name="/ticker_async")
        await cancel_running(client, job, key)
        await assert_stopped(client, key)
        await assert_idle(client)


@behaviour("Cancelling", "a coroutine")
async def test_a_coroutine(era: Era) -> None:
    async with opened(era.wide) as client:
        key = new_key("coroutine")
        job = client.submit(3, key, api_name="/lone_nap")
        await cancel_running(client, job, key)
        if era.version < (4, 31):
            era.instead(
                "There is no request that cancels, and the app has no function that does: "
                "the call ends here at once and runs to its end there."
            )
            assert await probe_until(client, key, finished=1) == {"started": 1, "finished": 1}
        else:
            assert await probe_until(client, key, cancelled=1) == {"started": 1, "cancelled": 1}
        await assert_idle(client)


@behaviour("Cancelling", "a coroutine, with `cancels=`")
async def test_a_coroutine_that_the_app_can_cancel(era: Era) -> None:
    async with opened(era.wide) as client:
        key = new_key("canceller")
        job = client.submit(600, key, api_name="/nap")
        await cancel_running(client, job, key)
        assert await probe_until(client, key, cancelled=1) == {"started": 1, "cancelled": 1}
        await assert_idle(client)


@behaviour("Cancelling", "a plain function")
async def test_a_plain_function(era: Era) -> None:
    async with opened(era.wide) as client:
        key = new_key("plain")
        job = client.submit(2, key, api_name="/block")
        await cancel_running(client, job, key)
        era.instead(
            "No release can stop a function that runs in a thread: "
            "the call ends here at once and runs to its end there."
        )
        assert await probe_until(client, key, finished=1) == {"started": 1, "finished": 1}
        await assert_idle(client)
        assert await client.predict(0, key, api_name="/block") == f"slept {key}"


@behaviour("Cancelling", "spares the siblings")
@pytest.mark.parametrize("api_name", ["/nap", "/ticker"])
async def test_the_siblings_go_on(era: Era, api_name: str) -> None:
    async with opened(era.wide) as client:
        keys = [new_key("sibling") for _ in range(4)]
        arguments = (1.5,) if api_name == "/nap" else (15, 0.1)
        jobs = [client.submit(*arguments, key, api_name=api_name) for key in keys]
        for key in keys:
            await probe_until(client, key, started=1)
        jobs[1].cancel()
        jobs[2].cancel()
        kept = {"/nap": [f"slept {keys[0]}", f"slept {keys[3]}"], "/ticker": ["14", "14"]}[api_name]
        assert [await jobs[0].result(), await jobs[3].result()] == kept
        assert jobs[1].cancelled
        assert jobs[2].cancelled
        for key in (keys[1], keys[2]):
            assert "finished" not in await probe(client, key)


@behaviour("Cancelling", "the next call works")
async def test_the_next_call_works(era: Era) -> None:
    async with opened(era.wide) as client:
        for api_name, arguments in (("/nap", (600,)), ("/ticker", (1000, 0.1))):
            for _ in range(3):
                key = new_key("next")
                job = client.submit(*arguments, key, api_name=api_name)
                await cancel_running(client, job, key)
                assert await client.predict("Ada", api_name="/greet") == "Hello Ada!"
        await assert_idle(client)
