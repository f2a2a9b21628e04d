"""The lines of jobs of a real Gradio app: its progress, its words, and how jobs end."""

from __future__ import annotations

import re
from typing import Any

import pytest
import trio

import triojob
from tests.live.support import Seen, output, recorder
from tests.support.hanging import SECONDS
from tests.support.jobs import BaseExceptionGroup
from triojob import Client, Job, JobGroup, Status, StatusUpdate
from triojob._live._rendering import log_text


async def reach(job: Job[Any], code: Status) -> None:
    with trio.fail_after(SECONDS):
        async for update in job.updates():
            if isinstance(update, StatusUpdate) and update.code is code:
                return
    raise AssertionError(f"{job!r} never came to {code}")


async def test_progress_and_streams_are_followed(gradio_url: str):
    async with Client(gradio_url) as client, JobGroup() as group:
        seen = Seen(group)
        counted = group.submit(client.endpoint("/progress_tuple"), 1000)
        told = group.submit(client.endpoint("/tokens"), 1000, 0.05)
        await reach(counted, Status.PROGRESS)
        await reach(told, Status.ITERATING)
        first, second, counts, _ = seen.lines()
        assert re.fullmatch(
            r"#\d+ /progress_tuple  running  \S+ s  \d+/1000 pages  [━╌]{16}  counted", first
        )
        assert re.match(r"#\d+ /tokens          running ", second)
        assert second.endswith(f"tok{len(told.outputs()) - 1}")
        assert counts == "2 running, 0 done"
        counted.cancel()
        told.cancel()


async def test_failures_and_lines_for_user_are_shown(gradio_url: str):
    with pytest.raises(BaseExceptionGroup):
        async with Client(gradio_url) as client, JobGroup() as group:
            seen = Seen(group)
            logs = group.submit(client.endpoint("/logs"))
            failing = group.submit(client.endpoint("/fail"))
            await logs.wait()
            await failing.wait()
            assert [log_text(message) for _, message in seen.watch.news if message] == [
                "info: Note: for your information",
                "warning: Careful: mind the gap",
                "success: Success: well done",
            ]
            done, failed, counts, _ = seen.lines()
            assert " /logs  done " in done
            assert re.search(r" /fail  failed  \S+ s  AppError: \w+", failed)
            assert counts == "1 done, 1 failed"


async def test_clients_jobs_are_shown_until_end(gradio_url: str):
    console = recorder()
    async with Client(gradio_url) as client, triojob.live(client, total=2, console=console):
        client.submit("Ada", api_name="/greet")
        async with client.session() as session:
            session.submit("Grace", api_name="/greet")
    assert "2 of 2 ended" in output(console)
