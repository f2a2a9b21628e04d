"""What holds whatever calls come, end and are cancelled, isolated, with State or in sessions."""

from __future__ import annotations

import random

import pytest
import trio

from tests.servers.faults import Cut
from tests.servers.scripted import Event, GradioError, ScriptedServer
from tests.support.sessions import Streams, add_notebook, add_sleeper, opened, quiet
from triojob import Client, ClientSession, ConnectionLost, Job, JobCancelled, JobGroup, Limits

pytestmark = pytest.mark.usefixtures("either_way")

CALLS = 60
BUDGET = 5


def add_app(server: ScriptedServer) -> None:
    add_sleeper(server, "sleep", concurrency_limit=8)
    add_notebook(server, "note", "remark", seconds=2)

    @server.app.endpoint(generator=True)
    async def spell(event: Event) -> None:
        for text in ("a", "ab", "abc"):
            await event.generating([text])
            await trio.sleep(1)

    @server.app.endpoint()
    async def fail(event: Event) -> None:
        await trio.sleep(1)
        raise GradioError("boom")


async def churn(client: Client, seed: int) -> list[Job[object]]:
    """Make calls of all kinds at odd moments, and cancel some of them at others."""
    chance = random.Random(seed)
    jobs: list[Job[object]] = []

    async def cancel(job: Job[object], after: float) -> None:
        await trio.sleep(after)
        job.cancel()

    def submit(group: JobGroup, where: Client | ClientSession) -> Job[object]:
        name = chance.choice(["/sleep", "/sleep", "/note", "/remark", "/spell", "/fail"])
        arguments = {"/sleep": [chance.choice([0, 1, 3])], "/note": ["x"], "/remark": ["y"]}
        return group.submit(where.endpoint(name), *arguments.get(name, []))

    async with JobGroup() as group, trio.open_nursery() as nursery:
        async with client.session() as one, client.session() as two:
            for _ in range(CALLS):
                job = submit(group, chance.choice([client, client, one, two]))
                jobs.append(job)
                if chance.random() < 0.3:
                    nursery.start_soon(cancel, job, chance.choice([0, 0, 0.5, 1, 2.5]))
                await trio.sleep(chance.choice([0, 0, 0, 0.01, 0.7]))
        # The sessions have ended, with calls under way in them; those in isolated sessions go on.
        for job in jobs:
            await job.wait()
            job.exception()
    return jobs


@pytest.mark.parametrize("seed", range(6))
async def test_streams_stay_within_the_budget(autojump_clock, memory_app, seed):
    add_app(memory_app)
    streams = Streams(memory_app)
    async with opened(memory_app, limits=Limits(streams=BUDGET)) as client:
        jobs = await churn(client, seed)
        assert len(jobs) == CALLS
        assert not any(isinstance(job.exception(), ConnectionLost) for job in jobs)
        await quiet(memory_app)
        # Every place was given back, once, and nothing is left under way on the server.
        assert f"0/{BUDGET} streams" in repr(client)
        assert memory_app.running == memory_app.waiting == []
        async with JobGroup() as group:
            for _ in range(2 * BUDGET):
                group.submit(client.endpoint("/sleep"), 1)
        assert await client.predict("x", api_name="/note") != ""
    assert streams.most_at_once == 1
    assert memory_app.streams.max_open <= BUDGET


@pytest.mark.parametrize("seed", range(4))
async def test_so_they_are_when_streams_break(autojump_clock, memory_app, seed):
    add_app(memory_app)
    streams = Streams(memory_app)
    chance = random.Random(seed)
    for _ in range(6):
        memory_app.fault("GET", "/queue/data", Cut(chance.randrange(600)), times=1)
        memory_app.fault("GET", "/queue/data", times=chance.randrange(1, 3))
    async with opened(memory_app, limits=Limits(streams=BUDGET)) as client:
        jobs = await churn(client, seed)
        lost = [job for job in jobs if isinstance(job.exception(), ConnectionLost)]
        assert 1 <= len(lost) < CALLS
        assert not any(isinstance(job.exception(), JobCancelled) for job in lost)
        await trio.sleep(60)
        assert f"0/{BUDGET} streams" in repr(client)
        assert await client.predict(1, api_name="/sleep") == 1
    assert streams.most_at_once == 1
    assert memory_app.streams.max_open <= BUDGET
