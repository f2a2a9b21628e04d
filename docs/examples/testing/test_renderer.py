import pytest
import trio
from renderer import render_within
from trio.testing import MockClock

from triojob import JobGroup, JobTimeout, QueueFull
from triojob.testing import ScriptedApp

app = ScriptedApp(concurrency_limit=1, max_queue_size=1)


@app.endpoint("/render")
async def render(rows: int) -> str:
    await trio.sleep(rows)
    return "#" * rows


async def test_fast_rendering_returns(autojump_clock: MockClock) -> None:
    async with app.client() as client:
        assert await render_within(client, 3, seconds=5) == "###"
    app.assert_called_with("/render", rows=3)


async def test_slow_rendering_is_cancelled(autojump_clock: MockClock) -> None:
    async with app.client() as client:
        assert await render_within(client, 60, seconds=5) == "too slow"
        await app.wait_all_cancelled()
    app.assert_cancelled("/render")


async def test_result_timeout_leaves_job_running(autojump_clock: MockClock) -> None:
    async with app.client() as client:
        job = client.submit(60, api_name="/render")
        with pytest.raises(JobTimeout):
            await job.result(timeout=5)
        assert await job.result() == "#" * 60


async def test_full_queue_raises(autojump_clock: MockClock) -> None:
    async with app.client() as client, JobGroup() as group:
        render = client.endpoint("/render")
        group.submit(render, 5)
        await app.wait_running("/render")
        group.submit(render, 5)  # fills the queue
        await trio.sleep(1)
        with pytest.raises(QueueFull):
            await render(5)
