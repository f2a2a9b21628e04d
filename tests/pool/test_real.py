"""Three real replicas, one of which is killed while they are at work."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import trio

from tests.support.gradio import GradioProcess
from tests.support.real import SECONDS, new_key
from triojob import (
    Client,
    ClientPool,
    ConnectionFailed,
    ConnectionLost,
    Job,
    JobGroup,
)

CALLS = 300


async def started(url: str, keys: list[str]) -> Counter[str]:
    """Ask one replica how often it has started the call of each key."""
    async with Client(url) as client, JobGroup(limit=50) as group:
        probe = client.endpoint("/probe")
        jobs = {key: group.submit(probe, key) for key in keys}
        return Counter({key: (await job.result()).get("started", 0) for key, job in jobs.items()})


@pytest.mark.full
async def test_killed_replica_leaves_one_outcome_each(gradio_url, start_gradio):
    servers: list[GradioProcess] = []

    async def start() -> None:
        servers.append(await trio.to_thread.run_sync(start_gradio))

    async with trio.open_nursery() as nursery:
        for _ in range(2):
            nursery.start_soon(start)
    killed, other = servers
    urls = [gradio_url, killed.url, other.url]
    keys = [new_key("pool") for _ in range(CALLS)]
    with trio.fail_after(SECONDS):
        async with (
            ClientPool(urls) as pool,
            JobGroup(limit=30) as group,
        ):
            slow = pool.endpoint("/slow")
            jobs = {key: group.submit(slow, 0.1, key) for key in keys}
            for key in keys[:100]:
                await jobs[key].wait()
            before = [replica.sent for replica in pool.statistics().replicas]
            await trio.to_thread.run_sync(killed.kill)
            ends = {key: await end_of(job) for key, job in jobs.items()}
            more = 0
            while not pool.statistics().failovers:
                # What was lost there first has the dead one rest, perhaps for longer than all the
                # others take; then it is tried again.
                await slow(0.01, new_key("more"))
                more += 1
            statistics = pool.statistics()
        # Each call has ended, and once: what was lost had been sent to the one that was killed.
        lost = [key for key, end in ends.items() if end is not None]
        asked = [*lost, *keys[100:200]]
        survivors = [await started(url, asked) for url in (gradio_url, other.url)]
    assert {type(ends[key]) for key in lost} <= {ConnectionLost}
    assert len(lost) <= 15
    runs = survivors[0] + survivors[1]
    assert max(runs.values()) == 1
    assert all(runs[key] == 0 for key in lost)

    # What the dead one never got went to the others.
    assert statistics.failovers >= 1
    assert isinstance(statistics.replicas[1].failure, (ConnectionFailed, ConnectionLost))
    sent = sum(replica.sent for replica in statistics.replicas)
    assert sent == CALLS + more + statistics.failovers

    # All three had got calls.  How many each is this machine's doing: the one that it gives the
    # most time gets the most.
    assert min(before) > 0


async def end_of(job: Job[Any]) -> BaseException | None:
    await job.wait()
    return job.exception()
