"""Five hundred calls at once: all get their own answer, and no more streams than allowed."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import trio.testing

from tests.support.hanging import SECONDS
from tests.support.jobs import tasks_living
from tests.support.real import assert_idle, new_key, opened, probe, probe_until, until
from triojob import Client, Job, JobCancelled, JobGroup, Limits, Timeouts

CALLS = 500

# A server that has so much to do is slow in everything.
PATIENT = Timeouts(
    connect=SECONDS, write=SECONDS, read=SECONDS, stream_idle=SECONDS, cancel=SECONDS
)

# By this header the app counts a client's event streams, see `gradio_app.py`.
COUNT_HEADER = "x-count-streams"


@pytest.fixture(autouse=True)
def enough_files() -> Iterator[None]:
    """Let this process open as many files as the whole budget of streams takes."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4096 if hard == resource.RLIM_INFINITY else min(hard, 4096)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@asynccontextmanager
async def counted(url: str, key: str, **options: Any) -> AsyncIterator[Client]:
    """Open a client whose streams the server counts; show that nothing of it is left over."""
    tasks = tasks_living()
    with trio.fail_after(SECONDS):
        async with Client(url, headers={COUNT_HEADER: key}, timeouts=PATIENT, **options) as client:
            yield client
            assert client.jobs == ()
            await assert_idle(client)
        await trio.testing.wait_all_tasks_blocked()
        assert tasks_living() == tasks


async def streams_of(url: str, key: str) -> dict[str, int]:
    """Return what the server counted, once all streams have ended."""
    async with opened(url) as observer:
        return await probe_until(observer, key, open=0)


@pytest.mark.full
async def test_isolated_jobs_with_the_default_budget(gradio_url: str) -> None:
    key = new_key("isolated sessions")
    async with counted(gradio_url, key) as client:
        assert client.limits.streams == 256
        sleep = client.endpoint("/parallel_sleep")
        async with JobGroup() as group:
            jobs = [group.submit(sleep, 0.2, f"value {i}") for i in range(CALLS)]
        assert [await job.result() for job in jobs] == [f"value {i}" for i in range(CALLS)]
        assert [job.outputs() for job in jobs] == [[f"value {i}"] for i in range(CALLS)]
    streams = await streams_of(gradio_url, key)
    assert streams["streams"] == CALLS
    assert 2 <= streams["most"] <= 256


async def test_jobs_in_one_session(gradio_url: str) -> None:
    key = new_key("session")
    async with counted(gradio_url, key) as client, client.session() as session:
        jobs = [session.submit(0.2, f"value {i}", api_name="/parallel_sleep") for i in range(CALLS)]
        assert [await job.result() for job in jobs] == [f"value {i}" for i in range(CALLS)]
        assert session.jobs == ()
    # All of them over one stream, which may end between two calls and be opened again.
    assert (await streams_of(gradio_url, key))["most"] == 1


@pytest.mark.full
async def test_outputs_of_many_generators_over_one_stream(gradio_url: str) -> None:
    """Each job gets its own, whole and in order."""
    key = new_key("outputs")
    lengths = [1 + number % 7 for number in range(CALLS)]
    async with counted(gradio_url, key) as client, client.session() as session:
        jobs = [session.submit(n, 0.01, api_name="/parallel_count") for n in lengths]
        for job, length in zip(jobs, lengths, strict=True):
            assert [output async for output in job] == [str(n) for n in range(length)]
    assert (await streams_of(gradio_url, key))["most"] == 1


@pytest.mark.full
@pytest.mark.parametrize("in_session", [False, True], ids=["isolated sessions", "session"])
async def test_cancelling_half_spares_the_rest(gradio_url, in_session):
    """At all moments of their lives, and all of one function, which is what Gradio cancels by."""
    dice = random.Random(6)
    key, runs_of_victims = new_key("others"), new_key("victims")
    async with (
        counted(gradio_url, key, limits=Limits(streams=100)) as client,
        client.session() as session,
    ):
        tick = (session if in_session else client).endpoint("/ticker_async")
        victims: list[Job[str]] = []
        others: list[Job[str]] = []

        async def cancel(job: Job[str]) -> None:
            await trio.sleep(dice.uniform(0, 5))
            job.cancel("not needed")

        async with JobGroup() as group, trio.open_nursery() as nursery:
            for number in range(CALLS // 2):
                # Nothing but their cancellation ends the victims.
                victims.append(group.submit(tick, 1_000_000, 0.5, runs_of_victims))
                others.append(group.submit(tick, 1 + number % 5, 0.1, key))
            for job in victims:
                nursery.start_soon(cancel, job)
        for job in victims:
            with pytest.raises(JobCancelled, match="not needed"):
                await job.result()
        results = [await job.result() for job in others]
        assert results == [str(number % 5) for number in range(CALLS // 2)]

    async with opened(gradio_url) as observer:

        async def none_runs() -> bool:
            return bool(await observer.predict(runs_of_victims, api_name="/runs") == 0)

        await until(none_runs)
        record = await probe(observer, runs_of_victims)
        assert record["started"] >= 1
        assert "finished" not in record
        assert (await probe(observer, key))["finished"] == CALLS // 2
    await streams_of(gradio_url, key)
