"""What a `ScriptedApp` remembers, and what its assertions say."""

from __future__ import annotations

import re

import pytest
import trio
import trio.testing

from tests.testing.test_app import make_app
from triojob import Client, ConnectionLost, JobGroup
from triojob.testing import ScriptedApp


async def called_app() -> ScriptedApp:
    """Return an app of which two calls have ended and one was cancelled."""
    app = make_app()
    async with app.client() as client:
        await client.predict(1, api_name="/nap")
        await client.predict(0, "x" * 100, api_name="/nap")
        job = client.submit(9, api_name="/ticks")
        await app.wait_running("/ticks")
        job.cancel()
        await app.wait_all_cancelled()
    return app


THERE = """; the calls were:
  1. /nap(seconds=1, text='slept'): finished
  2. /nap(seconds=0, text='xxxxxxxxxxxx...xxxxxxxxxxxxx'): finished
  3. /ticks(n=9): cancelled"""


async def test_assertions_that_hold(autojump_clock):
    app = await called_app()
    app.assert_called("/nap")
    app.assert_called("nap", times=2)
    app.assert_called("/bump", times=0)
    assert app.assert_called_with("/nap", seconds=1) is app.calls[0]
    assert app.assert_called_with("/nap", seconds=0, text="x" * 100).outputs == ["x" * 100]
    app.assert_cancelled("/ticks")
    app.assert_cancelled("/nap", times=0)
    app.assert_no_jobs_left()
    assert app.cancellations == [app.calls[2]]
    assert [call.time - app.calls[0].time for call in app.calls] == [0, 1, 1]


@pytest.mark.parametrize(
    "method, arguments, options, problem",
    [
        ("assert_called", ["bump"], {}, "/bump was called never, not at least once"),
        ("assert_called", ["/nap"], {"times": 3}, "/nap was called twice, not 3 times"),
        (
            "assert_called_with",
            ["/nap"],
            {"seconds": 2, "text": "slept"},
            "/nap was never called with seconds=2, text='slept'",
        ),
        ("assert_called_with", ["/nap"], {"wrong": 2}, "/nap was never called with wrong=2"),
        ("assert_cancelled", ["/nap"], {}, "0 calls of /nap ended as cancelled, not 1"),
    ],
)
async def test_assertions_that_fail_show_what_was_there(
    autojump_clock, method, arguments, options, problem
):
    app = await called_app()
    with pytest.raises(AssertionError) as caught:
        getattr(app, method)(*arguments, **options)
    assert str(caught.value) == problem + THERE


def test_app_that_was_never_called_says_so():
    with pytest.raises(AssertionError, match="there were no calls at all"):
        make_app().assert_called("/nap")


async def test_calls_that_are_left_are_told(autojump_clock):
    app = make_app()
    async with app.client() as client:
        job = client.submit(1000, api_name="/nap")
        await app.wait_running("/nap")
        with pytest.raises(AssertionError, match=r"1 call had not ended; .*\n.*: running$"):
            app.assert_no_jobs_left()
        job.cancel()
    app.assert_no_jobs_left()


async def test_early_end_says_what_was_left(autojump_clock):
    app = make_app()
    async with trio.open_nursery() as nursery, app:
        client = Client(app.url, transport=app.transport())

        async def call() -> None:
            async with client:
                job = client.submit(1000, api_name="/nap")
                await job.wait()
                assert isinstance(job.exception(), ConnectionLost)

        nursery.start_soon(call)
        await trio.testing.wait_all_tasks_blocked()
        await app.wait_running("/nap")
    with pytest.raises(AssertionError, match=r"1 call had not ended.*\n.*left behind"):
        app.assert_no_jobs_left()


async def test_waits_give_up_and_explain(autojump_clock):
    app = make_app()
    async with app.client() as client, JobGroup() as group:
        with pytest.raises(AssertionError, match="no 1 call of /nap running within 10 s"):
            await app.wait_running("/nap")
        group.submit(client.endpoint("/nap"), 3)
        await app.wait_running("/nap")
        with pytest.raises(AssertionError, match=re.escape("1 call not cancelled within 10 s")):
            await app.wait_all_cancelled()
        with pytest.raises(AssertionError, match=r"no 2 calls .* within 1 s; the calls were"):
            await app.wait_running("/nap", 2, seconds=1)
