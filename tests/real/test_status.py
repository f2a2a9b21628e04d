"""What a job tells of itself on its way: the queue, progress, logs."""

from __future__ import annotations

from typing import Any

from tests.support.real import opened
from triojob import (
    Job,
    Limits,
    LogMessage,
    ProgressUnit,
    Status,
    StatusUpdate,
)


async def statuses(job: Job[Any]) -> list[StatusUpdate]:
    return [u async for u in job.updates() if isinstance(u, StatusUpdate)]


async def progress_of(job: Job[Any]) -> list[list[ProgressUnit]]:
    """Return what the app told of its progress; Gradio leaves steps out when it is busy."""
    return [
        update.progress_data or []
        for update in await statuses(job)
        if update.code is Status.PROGRESS
    ]


async def test_progress_as_a_share(gradio_url: str) -> None:
    async with opened(gradio_url) as client:
        job = client.submit(4, api_name="/progress_float")
        seen = await progress_of(job)
        assert await job.result() == "done"
        assert seen
        for units in seen:
            (unit,) = units
            assert unit.progress is not None
            assert unit.desc == f"step {round(unit.progress * 4)}"
        shares = [units[0].progress or 0 for units in seen]
        assert shares == sorted(set(shares))
        assert set(shares) <= {0, 0.25, 0.5, 0.75}
        assert job.status().progress_data == seen[-1]


async def test_progress_as_a_count(gradio_url: str) -> None:
    async with opened(gradio_url) as client:
        job = client.submit(3, api_name="/progress_tuple")
        seen = await progress_of(job)
        assert await job.result() == "done"
        units = [unit for (unit,) in seen]
        assert units
        counted = [unit for unit in units if unit.desc == "counted"]
        assert all((unit.length, unit.unit) == (3, "pages") for unit in counted)
        assert [unit.index for unit in units] == sorted({unit.index or 0 for unit in units})
        unknown = [unit for unit in units if unit.desc == "of unknown length"]
        assert all((unit.index, unit.length) == (3, None) for unit in unknown)


async def test_progress_of_nested_loops(gradio_url: str) -> None:
    async with opened(gradio_url) as client:
        job = client.submit(2, api_name="/progress_nested")
        seen = await progress_of(job)
        nested = [[unit.desc for unit in units] for units in seen]
        assert ["outer", "inner"] in nested
        assert all(descs in ([], ["outer"], ["outer", "inner"]) for descs in nested)
        lengths = {unit.desc: unit.length for units in seen for unit in units}
        assert lengths == {"outer": 2, "inner": 3}
        assert await job.result() == "done"


async def test_logs_are_complete_and_ordered(gradio_url: str) -> None:
    async with opened(gradio_url) as client:
        job = client.submit(api_name="/logs")
        logged = [update async for update in job.updates() if isinstance(update, LogMessage)]
        assert logged == [
            LogMessage("for your information", "info", title="Note", duration=2),
            LogMessage("mind the gap", "warning", title="Careful", duration=None),
            LogMessage("well done", "success", title="Success", duration=10),
        ]
        assert await job.result() == "logged"
        assert job.status().log == logged[-1]
        assert job.status().code is Status.FINISHED


async def test_one_stream_serves_session_and_calls(gradio_url: str) -> None:
    """Neither waits for the other for ever: what holds the one stream gives it back."""
    async with opened(gradio_url, limits=Limits(streams=1)) as client, client.session() as session:
        for i in range(3):
            assert await client.predict(f"a{i}", api_name="/greet") == f"Hello a{i}!"
            assert await session.predict(f"b{i}", api_name="/greet") == f"Hello b{i}!"
        jobs = [session.submit(0.05, str(i), api_name="/parallel_sleep") for i in range(10)]
        jobs += [client.submit(0.05, str(i), api_name="/parallel_sleep") for i in range(10, 15)]
        assert [await job.result() for job in jobs] == [str(i) for i in range(15)]
