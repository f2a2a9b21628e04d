import subprocess
import sys

import pytest
import trio
from trio.testing import MockClock

from triojob import Client, JobGroup, JobTimeout, QueueFull
from triojob.testing import ScriptedApp

app = ScriptedApp(concurrency_limit=1, max_queue_size=1)


@app.endpoint("/render")
async def render(rows: int) -> str:
    await trio.sleep(rows)
    return "#" * rows


# The code to be tested.
async def render_within(client: Client, rows: int, seconds: float) -> str:
    with trio.move_on_after(seconds):
        return await client.predict(rows, api_name="/render")
    return "too slow"


async def test_a_picture_in_time(autojump_clock: MockClock) -> None:
    async with app.client() as client:
        assert await render_within(client, 3, seconds=5) == "###"
    app.assert_called_with("/render", rows=3)


async def test_what_takes_too_long_is_stopped_in_the_app_too(autojump_clock: MockClock) -> None:
    async with app.client() as client:
        assert await render_within(client, 60, seconds=5) == "too slow"
        await app.wait_all_cancelled()
    app.assert_cancelled("/render")


async def test_a_timeout_ends_the_waiting_and_not_the_job(autojump_clock: MockClock) -> None:
    async with app.client() as client:
        job = client.submit(60, api_name="/render")
        with pytest.raises(JobTimeout):
            await job.result(timeout=5)
        assert await job.result() == "#" * 60


async def test_a_full_queue(autojump_clock: MockClock) -> None:
    async with app.client() as client, JobGroup() as group:
        render = client.endpoint("/render")
        group.submit(render, 5)
        await app.wait_running("/render")
        group.submit(render, 5)  # may wait
        await trio.sleep(1)
        with pytest.raises(QueueFull):
            await render(5)


if __name__ == "__main__":
    subprocess.run([sys.executable, "-m", "pytest", "-q", __file__], check=True)

# prints:
# > ...
# > 4 passed in ...
