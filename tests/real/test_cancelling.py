"""Cancelling: at once here, really on the server, and at nobody else's expense."""

from __future__ import annotations

import random

import pytest
import trio

from tests.support.real import (
    SECONDS,
    assert_cancelled,
    assert_idle,
    assert_stopped,
    new_key,
    opened,
    probe,
    probe_until,
    promptly,
    reach,
    until,
)
from triojob import Client, ClientClosed, JobCancelled, JobGroup, Limits, Status

# --- One job ---


@pytest.mark.parametrize("milliseconds", [0, 1, 2, 4, 8, 16, 32])
async def test_cancelled_while_it_is_being_sent(gradio_url: str, milliseconds: int) -> None:
    """The cancellation is held until the server has named the event."""
    async with opened(gradio_url) as client:
        key = new_key("sending")
        job = client.submit(60, key, api_name="/slow")
        await trio.sleep(milliseconds / 1000)
        job.cancel()
        async with promptly():
            await job.wait()

        async def is_over() -> bool:
            record = await probe(client, key)
            return record.get("started", 0) == record.get("cancelled", 0)

        await assert_idle(client)
        await until(is_over)
        # A call through the same client after it knows of none.
        assert await client.predict("Ada", api_name="/greet") == "Hello Ada!"
        assert "finished" not in await probe(client, key)


# --- Siblings ---


async def test_cancelling_with_state_leaves_those_that_wait(gradio_url: str) -> None:
    async with opened(gradio_url) as client:
        first, second = [client.submit(0.01, api_name="/bump_slow") for _ in range(2)]
        async for value in first:
            if value == 5:
                break
        assert second.status().code is Status.STARTING
        first.cancel()
        outputs = [value async for value in second]
        # It goes on from where the server's State was left.
        assert len(outputs) == 100
        assert outputs == list(range(outputs[0], outputs[0] + 100))
        assert outputs[0] > 5


# --- Cancelled by what is around them ---


# --- In a session, where Gradio can't cancel one of several calls of a function ---


async def test_session_cancels_here_and_spares_siblings(gradio_url: str) -> None:
    async with opened(gradio_url) as client, client.session() as session:
        keys = [new_key("deferred") for _ in range(2)]
        slow = session.endpoint("/ticker_async")
        async with JobGroup() as group:
            cancelled = group.submit(slow, 1000, 0.05, keys[0])
            kept = group.submit(slow, 25, 0.05, keys[1])
            for key in keys:
                await probe_until(client, key, started=1)
            cancelled.cancel()
            async with promptly():
                await cancelled.wait()
            assert not kept.done
            # The server has not been told: it goes on with both.
            steps = (await probe(client, keys[0])).get("steps", 0)

            async def has_gone_on() -> bool:
                return (await probe(client, keys[0])).get("steps", 0) > steps + 2

            with trio.fail_after(SECONDS):
                await until(has_gone_on)
            assert await kept.result() == "24"
            assert kept.outputs() == [str(i) for i in range(25)]
        # Nobody of that function is left to be harmed: now it is told.
        await assert_stopped(client, keys[0])


async def test_lone_session_call_is_cancelled_immediately(gradio_url: str) -> None:
    async with opened(gradio_url) as client, client.session() as session:
        keys = [new_key("alone") for _ in range(2)]
        job = session.submit(60, keys[0], api_name="/slow")
        # Of another function: cancelling does it no harm.
        beside = session.submit(20, 0.05, keys[1], api_name="/ticker_async")
        await probe_until(client, keys[0], started=1)
        job.cancel()
        await assert_cancelled(client, keys[0])
        assert await beside.result() == "19"


async def test_sessions_call_made_while_server_is_told(gradio_url: str) -> None:
    """What joins while its function is being cancelled would be cancelled too."""
    async with opened(gradio_url) as client, client.session() as session:
        slow = session.endpoint("/slow")
        for _ in range(10):
            keys = [new_key("joining") for _ in range(2)]
            async with JobGroup() as group:
                cancelled = group.submit(slow, 60, keys[0])
                await probe_until(client, keys[0], started=1)
                cancelled.cancel()
                await cancelled.wait()
                assert await group.submit(slow, 0, keys[1]).result() == "slept 0"
            await assert_cancelled(client, keys[0])


async def test_sessions_end_stops_what_is_left(gradio_url: str) -> None:
    async with opened(gradio_url) as client:
        keys = [new_key("session-end") for _ in range(4)]
        async with JobGroup() as group:
            async with client.session() as session:
                # In a group that outlives the session.
                slow = group.submit(session.endpoint("/slow"), 60, keys[0])
                tick = group.submit(session.endpoint("/ticker"), 1000, 0.05, keys[1])
                # One that was cancelled, of which the server has not been told.
                for key in keys[2:]:
                    session.submit(1000, 0.05, key, api_name="/ticker_async")
                for key in keys:
                    await probe_until(client, key, started=1)
                session.jobs[0].cancel()
                session.jobs[1].cancel()
            async with promptly():
                for job in (slow, tick):
                    with pytest.raises(JobCancelled, match="session has ended"):
                        await job.result()
            with pytest.raises(ClientClosed):
                session.submit("Ada", api_name="/greet")
        await assert_cancelled(client, keys[0])
        for key in keys[1:]:
            await assert_stopped(client, key)


async def test_queued_job_of_a_session_never_starts(gradio_url: str) -> None:
    async with opened(gradio_url) as client, client.session() as session:
        keys = [new_key("session-queue") for _ in range(2)]
        running = client.submit(0.8, keys[0], api_name="/sleeper")
        await reach(running, Status.PROCESSING)
        queued = session.submit(60, keys[1], api_name="/sleeper")
        await reach(queued, Status.IN_QUEUE)
        queued.cancel()
        async with promptly():
            await queued.wait()
        assert await running.result() == "slept 0.8"
        assert await client.predict(0, new_key("after"), api_name="/sleeper") == "slept 0"
        assert await probe(client, keys[1]) == {}


# --- Many ---


@pytest.mark.parametrize("in_session", [False, True], ids=["isolated sessions", "session"])
async def test_churn_of_cancellations_leaves_nothing(gradio_url: str, in_session: bool) -> None:
    """Cancel at every moment of a call's life; no run goes on, and the client is as new."""
    async with opened(gradio_url) as observer:
        key = new_key("churn")
        dice = random.Random(20)
        async with (
            Client(gradio_url, limits=Limits(streams=10)) as client,
            client.session() as session,
        ):
            slow = (session if in_session else client).endpoint("/slow")

            async def worker() -> None:
                for _ in range(8):
                    with trio.move_on_after(dice.uniform(0, 0.06)):
                        await slow(60, key)

            async with trio.open_nursery() as nursery:
                for _ in range(20):
                    nursery.start_soon(worker)

            async def is_over() -> bool:
                record = await probe(observer, key)
                return record.get("started", 0) == record.get("cancelled", 0)

            await until(is_over)
            async with JobGroup() as group:
                greet = client.endpoint("/greet")
                jobs = [group.submit(greet, str(i)) for i in range(30)]
            assert [await job.result() for job in jobs] == [f"Hello {i}!" for i in range(30)]
            await assert_idle(client)
            await until(is_over)
        assert "finished" not in await probe(observer, key)
