"""The server's death, by SIGKILL: the last of the suite, as it has to be started again after it."""

from __future__ import annotations

import pytest

from qa.eras.support import Era, behaviour
from tests.support.real import new_key, opened, probe_until, promptly, reach
from triojob import ConnectionLost, JobGroup, Status


@behaviour("Failures", "the server's death")
async def test_the_server_dies(era: Era) -> None:
    async with opened(era.wide) as client, opened(era.narrow) as narrow, JobGroup() as group:
        keys = {name: new_key(name) for name in ("nap", "ticker", "run", "call", "ahead", "queued")}
        jobs = {
            "nap": group.submit(client.endpoint("/nap"), 600, keys["nap"]),
            "ticker": group.submit(client.endpoint("/ticker"), 10_000, 0.1, keys["ticker"]),
            "run": group.submit(client.endpoint("/lone_nap", via="run"), 600, keys["run"]),
            "ahead": group.submit(narrow.endpoint("/lone_nap"), 600, keys["ahead"]),
        }
        if era.version >= (4, 20):
            jobs["call"] = group.submit(client.endpoint("/lone_nap", via="call"), 600, keys["call"])
        for name in jobs:
            await probe_until(client, keys[name], started=1)
        jobs["queued"] = group.submit(narrow.endpoint("/lone_nap"), 600, keys["queued"])
        await reach(jobs["queued"], Status.IN_QUEUE)
        era.process.kill()
        async with promptly():
            for name, job in jobs.items():
                with pytest.raises(ConnectionLost):
                    await job.result()
                assert job.done, name
