"""Cancelling: at once here, really on the server, and at nobody else's expense."""

from __future__ import annotations

import random

import pytest
import trio

from tests.core.support import BaseExceptionGroup
from tests.real.support import (
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

GENERATORS = ["/ticker", "/ticker_async"]


# --- One job ---


async def test_running_function(gradio_url: str) -> None:
    async with opened(gradio_url) as client:
        key = new_key("running")
        job = client.submit(60, key, api_name="/slow")
        await probe_until(client, key, started=1)
        job.cancel("enough")
        async with promptly():
            with pytest.raises(JobCancelled, match="enough") as caught:
                await job.result()
        assert caught.value.reason == "enough"
        assert job.cancelled
        assert job.status().code is Status.CANCELLED
        assert job.status().success is False
        await assert_cancelled(client, key)


@pytest.mark.parametrize("api_name", GENERATORS)
async def test_running_generator(gradio_url: str, api_name: str) -> None:
    async with opened(gradio_url) as client:
        key = new_key("generator")
        job = client.submit(1000, 0.1, key, api_name=api_name)
        seen: list[str] = []
        async with promptly():
            with pytest.raises(JobCancelled):
                async for output in job:
                    seen.append(output)
                    if len(seen) == 3:
                        job.cancel()
        assert seen == job.outputs() == ["0", "1", "2"]
        await assert_stopped(client, key)
        # Not a step after that.
        assert (await probe(client, key))["steps"] < 20


async def test_queued_job_never_starts(gradio_url: str) -> None:
    async with opened(gradio_url) as client:
        keys = [new_key("queued") for _ in range(3)]
        running = client.submit(1.5, keys[0], api_name="/sleeper")
        await reach(running, Status.PROCESSING)
        # One after the other: of requests that are made at once, any may arrive first.
        queued = client.submit(60, keys[1], api_name="/sleeper")
        await reach(queued, Status.IN_QUEUE)
        behind = client.submit(0.01, keys[2], api_name="/sleeper")
        queued.cancel()
        async with promptly():
            await queued.wait()
        assert queued.cancelled
        # The one that runs is left alone, though it is the same function's.
        assert await running.result() == "slept 1.5"
        assert await behind.result() == "slept 0.01"
        assert await probe(client, keys[0]) == {"started": 1, "finished": 1}
        assert await probe(client, keys[1]) == {}


async def test_job_that_was_not_sent_never_starts(gradio_url: str) -> None:
    async with opened(gradio_url) as client:
        key = new_key("unsent")
        async with JobGroup(limit=1) as group:
            first = group.submit(client.endpoint("/parallel_sleep"), 0.3, "first")
            second = group.submit(client.endpoint("/slow"), 60, key)
            assert second.status().code is Status.STARTING
            second.cancel()
            async with promptly():
                await second.wait()
            assert await first.result() == "first"
        assert await probe(client, key) == {}


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


async def test_cancelling_twice_or_after_the_end_does_nothing(gradio_url: str) -> None:
    async with opened(gradio_url) as client:
        job = client.submit("Ada", api_name="/greet")
        assert await job.result() == "Hello Ada!"
        job.cancel()
        assert not job.cancelled
        assert await job.result() == "Hello Ada!"
        assert job.status().code is Status.FINISHED

        again = client.submit(60, new_key("twice"), api_name="/slow")
        again.cancel("one")
        again.cancel("two")
        await again.wait()
        again.cancel("three")
        with pytest.raises(JobCancelled, match="one"):
            await again.result()


async def test_waiting_that_times_out_leaves_the_job(gradio_url: str) -> None:
    async with opened(gradio_url) as client:
        job = client.submit(0.6, "kept", api_name="/parallel_sleep")
        with trio.move_on_after(0.05) as scope:
            await job.result()
        assert scope.cancelled_caught
        assert not job.done
        assert await job.result() == "kept"


# --- Siblings ---


async def test_cancelling_one_function_leaves_its_siblings(gradio_url: str) -> None:
    """Gradio stops all of a function in a session: these ride in sessions of their own."""
    async with opened(gradio_url) as client:
        slow = client.endpoint("/slow")
        keys = [new_key("sibling") for _ in range(8)]
        async with JobGroup() as group:
            jobs = [group.submit(slow, 1 + i / 10, key) for i, key in enumerate(keys)]
            for key in keys:
                await probe_until(client, key, started=1)
            for i in (3, 5):
                jobs[i].cancel()
        for i, (job, key) in enumerate(zip(jobs, keys, strict=True)):
            if i in (3, 5):
                assert job.cancelled
                await assert_cancelled(client, key)
            else:
                assert await job.result() == f"slept {1 + i / 10}"
                assert await probe(client, key) == {"started": 1, "finished": 1}


@pytest.mark.parametrize("api_name", GENERATORS)
async def test_cancelling_one_generator_leaves_its_siblings(gradio_url: str, api_name: str) -> None:
    async with opened(gradio_url) as client:
        ticker = client.endpoint(api_name)
        keys = [new_key("ticking") for _ in range(6)]
        async with JobGroup() as group:
            jobs = [group.submit(ticker, 15, 0.1, key) for key in keys]
            # Gradio never closes a generator that is cancelled before its first output.
            await anext(aiter(jobs[2]))
            jobs[2].cancel()
        for i, (job, key) in enumerate(zip(jobs, keys, strict=True)):
            if i == 2:
                await assert_stopped(client, key)
            else:
                assert job.outputs() == [str(n) for n in range(15)]
                assert (await probe(client, key))["finished"] == 1


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


async def test_timeout_around_a_call(gradio_url: str) -> None:
    async with opened(gradio_url) as client:
        key = new_key("timeout")
        async with promptly():
            with trio.move_on_after(0.4) as scope:
                await client.predict(60, key, api_name="/slow")
        assert scope.cancelled_caught
        await assert_cancelled(client, key)


async def test_timeout_around_a_group(gradio_url: str) -> None:
    async with opened(gradio_url) as client:
        keys = [new_key("group") for _ in range(5)]
        with trio.move_on_after(1) as scope:
            async with JobGroup() as group:
                slow, ticker = client.endpoint("/slow"), client.endpoint("/ticker_async")
                jobs = [group.submit(slow, 60, key) for key in keys[:3]]
                jobs += [group.submit(ticker, 1000, 0.1, key) for key in keys[3:]]
                for key in keys:
                    await probe_until(client, key, started=1)
        assert scope.cancelled_caught or scope.cancel_called
        assert all(job.cancelled for job in jobs)
        for key in keys[:3]:
            await assert_cancelled(client, key)
        for key in keys[3:]:
            await assert_stopped(client, key)


async def test_groups_scope(gradio_url: str) -> None:
    async with opened(gradio_url) as client:
        key = new_key("scope")
        async with JobGroup() as group:
            job = group.submit(client.endpoint("/slow"), 60, key)
            await probe_until(client, key, started=1)
            group.cancel_scope.cancel()
        assert job.cancelled
        await assert_cancelled(client, key)


async def test_exception_in_a_groups_body(gradio_url: str) -> None:
    async with opened(gradio_url) as client:
        key = new_key("body")
        with pytest.raises(BaseExceptionGroup) as caught:
            async with JobGroup() as group:
                group.submit(client.endpoint("/slow"), 60, key)
                await probe_until(client, key, started=1)
                raise LookupError("mine")
        assert caught.group_contains(LookupError, match="mine")
        await assert_cancelled(client, key)


async def test_exception_in_the_clients_body(gradio_url: str) -> None:
    async with opened(gradio_url) as observer:
        key = new_key("client-body")
        async with promptly():
            with pytest.raises(LookupError, match="mine"):
                async with Client(gradio_url) as client:
                    job = client.submit(60, key, api_name="/slow")
                    await probe_until(observer, key, started=1)
                    raise LookupError("mine")
        assert job.cancelled
        await assert_cancelled(observer, key)


async def test_clients_scope(gradio_url: str) -> None:
    async with opened(gradio_url) as observer:
        key = new_key("client-scope")
        async with promptly(), Client(gradio_url) as client:
            job = client.submit(1000, 0.05, key, api_name="/ticker")
            await reach(job, Status.ITERATING)
            client.cancel_scope.cancel()
        assert job.cancelled
        await assert_stopped(observer, key)


async def test_clients_end_cancels_jobs_of_groups_that_outlive_it(gradio_url: str) -> None:
    async with opened(gradio_url) as observer:
        key = new_key("outlived")
        async with JobGroup() as group:
            async with Client(gradio_url) as client:
                job = group.submit(client.endpoint("/slow"), 60, key)
                await probe_until(observer, key, started=1)
            async with promptly():
                with pytest.raises(JobCancelled, match="client was closed"):
                    await job.result()
            with pytest.raises(ClientClosed):
                group.submit(client.endpoint("/slow"), 60, key)
        await assert_cancelled(observer, key)


async def test_clients_end_waits_for_its_own_jobs(gradio_url: str) -> None:
    async with opened(gradio_url) as client:
        jobs = [client.submit(0.3, str(i), api_name="/parallel_sleep") for i in range(5)]
    assert [await job.result() for job in jobs] == [str(i) for i in range(5)]


# --- In a session, where Gradio can't cancel one of several calls of a function ---


async def test_session_ends_a_job_here_and_spares_its_sibling_there(gradio_url: str) -> None:
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


async def test_session_tells_at_once_where_there_is_no_sibling(gradio_url: str) -> None:
    async with opened(gradio_url) as client, client.session() as session:
        keys = [new_key("alone") for _ in range(2)]
        job = session.submit(60, keys[0], api_name="/slow")
        # Of another function: cancelling does it no harm.
        beside = session.submit(20, 0.05, keys[1], api_name="/ticker_async")
        await probe_until(client, keys[0], started=1)
        job.cancel()
        await assert_cancelled(client, keys[0])
        assert await beside.result() == "19"


async def test_sessions_call_made_while_the_server_is_told(gradio_url: str) -> None:
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
