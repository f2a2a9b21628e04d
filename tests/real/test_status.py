"""What a job tells of itself on its way: the queue, progress, logs."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from tests.real.support import new_key, opened, reach
from triojob import (
    Job,
    JobGroup,
    Limits,
    LogMessage,
    OutputUpdate,
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


async def test_statuses_of_a_plain_call(gradio_url: str) -> None:
    async with opened(gradio_url) as client:
        job = client.submit("Ada", api_name="/greet")
        assert job.status().code is Status.STARTING
        seen = await statuses(job)
        assert [status.code for status in seen] == [
            Status.STARTING,
            Status.JOINING_QUEUE,
            Status.IN_QUEUE,
            Status.PROCESSING,
            Status.FINISHED,
        ]
        assert [status.success for status in seen] == [None] * 4 + [True]
        times = [status.time for status in seen]
        assert times == sorted(times)
        assert job.status() == seen[-1]
        assert job.status().progress_data is None
        assert job.status().log is None


async def test_statuses_of_a_generator(gradio_url: str) -> None:
    async with opened(gradio_url) as client:
        job = client.submit(2, 0.05, api_name="/count")
        updates = [update async for update in job.updates()]
        shown = [u.output if isinstance(u, OutputUpdate) else u.code.name for u in updates]
        assert shown[-4:] == ["ITERATING", "0", "1", "FINISHED"]
        assert job.status().code is Status.FINISHED


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


async def test_progress_of_a_loop(gradio_url: str) -> None:
    async with opened(gradio_url) as client:
        job = client.submit(4, api_name="/progress_tqdm")
        seen = await progress_of(job)
        units = [unit for units in seen for unit in units]
        assert units
        assert all((unit.length, unit.unit, unit.desc) == (4, "files", "loop") for unit in units)
        places = [unit.index or 0 for unit in units]
        assert places == sorted(places)
        assert await job.result() == "done"


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


async def test_progress_between_yields(gradio_url: str) -> None:
    async with opened(gradio_url) as client:
        job = client.submit(6, api_name="/progress_generator")
        last_part = -1
        told = 0
        async for update in job.updates():
            if isinstance(update, OutputUpdate):
                last_part = int(update.output.removeprefix("part "))
            elif isinstance(update, StatusUpdate) and update.code is Status.PROGRESS:
                assert update.progress_data is not None
                (unit,) = update.progress_data
                assert unit.desc is not None
                # Told before the output of the same step, or late if the server is busy.
                assert int(unit.desc.removeprefix("step ")) <= last_part + 1
                told += 1
        assert told
        assert job.outputs() == [f"part {i}" for i in range(6)]
        assert job.status().progress_data is not None


async def test_logs_in_order_with_all_that_they_say(gradio_url: str) -> None:
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


async def test_waiting_jobs_see_their_rank_and_eta(gradio_url: str) -> None:
    async with opened(gradio_url) as client:
        sleeper = client.endpoint("/sleeper")
        # So that the server knows how long one takes.
        await sleeper(0.1, new_key("rank"))
        async with JobGroup() as group:
            first = group.submit(sleeper, 0.4, new_key("rank"))
            await reach(first, Status.PROCESSING)
            waiting: list[Job[Any]] = []
            for place in range(3):
                waiting.append(group.submit(sleeper, 0.2, new_key("rank")))
                queued = await reach(waiting[-1], Status.IN_QUEUE)
                assert queued.rank == place
                assert queued.queue_size == place + 1
                assert queued.eta is not None
        for place, job in enumerate(waiting):
            queued = [s for s in await statuses(job) if s.code is Status.IN_QUEUE]
            ranks = [status.rank for status in queued]
            assert ranks == sorted(ranks, key=lambda rank: -(rank or 0))
            # Each is told whenever one before it starts.
            assert set(range(place + 1)) <= set(ranks)
            etas = [status.eta for status in queued]
            assert all(eta is not None and eta > 0 for eta in etas)
            assert await job.result() == "slept 0.2"


async def test_limit_keeps_jobs_here(gradio_url: str) -> None:
    async with opened(gradio_url) as client:
        sleep = client.endpoint("/parallel_sleep")
        async with JobGroup(limit=2) as group:
            jobs = [group.submit(sleep, 0.2, str(i)) for i in range(6)]
            running: set[int] = set()
            most = 0
            while not all(job.done for job in jobs):
                running = {
                    job.id for job in jobs if Status.STARTING < job.status().code < Status.FINISHED
                }
                most = max(most, len(running))
                await trio.sleep(0.01)
        assert most == 2
        assert [await job.result() for job in jobs] == [str(i) for i in range(6)]


@pytest.mark.parametrize("max_streams", [1, 3])
async def test_few_streams_make_jobs_wait_here(gradio_url: str, max_streams: int) -> None:
    async with opened(gradio_url, limits=Limits(streams=max_streams)) as client:
        jobs = [client.submit(0.1, str(i), api_name="/parallel_sleep") for i in range(8)]
        most = 0
        while not all(job.done for job in jobs):
            codes = [job.status().code for job in jobs]
            most = max(most, sum(Status.STARTING < code < Status.FINISHED for code in codes))
            assert f"/{max_streams} streams" in repr(client)
            await trio.sleep(0.005)
        assert 1 <= most <= max_streams
        assert [await job.result() for job in jobs] == [str(i) for i in range(8)]


async def test_one_stream_is_enough_for_a_session_beside_calls(gradio_url: str) -> None:
    """Neither waits for the other for ever: what holds the one stream gives it back."""
    async with opened(gradio_url, limits=Limits(streams=1)) as client, client.session() as session:
        for i in range(3):
            assert await client.predict(f"a{i}", api_name="/greet") == f"Hello a{i}!"
            assert await session.predict(f"b{i}", api_name="/greet") == f"Hello b{i}!"
        jobs = [session.submit(0.05, str(i), api_name="/parallel_sleep") for i in range(10)]
        jobs += [client.submit(0.05, str(i), api_name="/parallel_sleep") for i in range(10, 15)]
        assert [await job.result() for job in jobs] == [str(i) for i in range(15)]


async def test_status_listener_hears_of_each(gradio_url: str) -> None:
    async with opened(gradio_url) as client:
        heard: list[Status] = []
        job = client.submit(0.05, "x", api_name="/parallel_sleep")
        job.on_status(lambda status: heard.append(status.code))
        await job.wait()
        assert heard[-2:] == [Status.PROCESSING, Status.FINISHED]
        assert heard == sorted(heard)
