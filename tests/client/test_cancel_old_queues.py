"""A cancelled call that waits in a queue of Gradio before 6.14, whose `/cancel` leaves it there.

What takes it out is that the event stream of its session breaks, which the server notices soon.
"""

from __future__ import annotations

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests.support.cancelling import (
    MINE,
    OTHER,
    add_functions,
    assert_idle,
    assert_told,
    opened,
    sent,
)
from triojob import Timeouts


@pytest.mark.parametrize("seconds, pause", [(5.0, 0.25), (0.125, 0.125)])
async def test_stream_closes_before_the_cancel_request(memory_app, autojump_clock, seconds, pause):
    end = trio.Event()
    add_functions(memory_app, end)
    memory_app.app.version = "6.13.1"
    async with opened(memory_app, timeouts=Timeouts(cancel=seconds)) as client:
        running = client.submit(OTHER, api_name="/queued")
        await wait_all_tasks_blocked()
        waiting = client.submit(MINE, api_name="/queued")
        await wait_all_tasks_blocked()
        (event,) = sent(memory_app)
        waiting.cancel()
        await event.finished.wait()
        assert event.state == "removed"
        await trio.sleep(pause * 0.75)
        assert memory_app.cancels == []
        await trio.sleep(pause / 2)
        assert_told(memory_app, [event])
        end.set()
        assert await running.result() == OTHER
        await assert_idle(memory_app, client)


@pytest.mark.parametrize("version, name", [("6.13.1", "/held"), ("6.14.0", "/queued")])
async def test_running_call_is_cancelled_on_server_immediately(
    memory_app, autojump_clock, version, name
):
    end = trio.Event()
    add_functions(memory_app, end)
    memory_app.app.version = version
    async with opened(memory_app) as client:
        other = client.submit(OTHER, api_name=name)
        await wait_all_tasks_blocked()
        job = client.submit(MINE, api_name=name)
        await wait_all_tasks_blocked()
        started = trio.current_time()
        job.cancel()
        await job.wait()
        await wait_all_tasks_blocked()
        assert trio.current_time() == started
        assert_told(memory_app, sent(memory_app))
        end.set()
        assert await other.result() == OTHER
        await assert_idle(memory_app, client)
