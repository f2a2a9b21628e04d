"""What a job is told on the way: its statuses, its progress and log lines, in the order sent."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tests.servers.scripted import Event, ScriptedServer
from tests.support.sessions import QUEUED, SENT, add_sleeper, opened, quiet, story
from triojob import LogMessage, ProgressUnit, Status, StatusUpdate


async def test_places_in_the_queue_are_followed(autojump_clock, memory_app):
    add_sleeper(memory_app, concurrency_limit=1)
    async with opened(memory_app) as client:
        jobs = []
        for seconds in (10, 20, 30):
            jobs.append(client.submit(seconds, api_name="/sleep"))
            await wait_all_tasks_blocked()
        assert (jobs[2].status().rank, jobs[2].status().queue_size) == (1, 2)
        await jobs[0].wait()
        await wait_all_tasks_blocked()
        assert (jobs[2].status().rank, jobs[2].status().queue_size) == (0, 1)
        # The app now knows how long a run takes, 10 s, and that its one place is just taken.
        waiting = [("IN_QUEUE", 1, 2, None), ("IN_QUEUE", 0, 1, 20)]
        assert await story(jobs[2]) == [*SENT, *waiting, "PROCESSING", ("output", 30), "FINISHED"]
        assert jobs[2].status().rank is None
        assert jobs[2].status().queue_size is None


async def test_each_estimate_is_told_as_it_came(autojump_clock, memory_app):
    @memory_app.app.endpoint(manual=True)
    async def wait(event: Event) -> None:
        await event.estimation(5, 6, 12.5)
        await event.estimation(3, 9, 7)
        await event.estimation(None, 0, None)
        await event.estimation(0, 1, 0)
        await event.starts(2.5)
        await event.completed(["x"])

    async with opened(memory_app) as client:
        job = client.submit(api_name="/wait")
        queued = [(5, 6, 12.5), (3, 9, 7), (None, 0, None), (0, 1, 0)]
        expected = [*SENT, *(("IN_QUEUE", *place) for place in queued), "PROCESSING"]
        assert await story(job) == [*expected, ("output", "x"), "FINISHED"]
        etas = [
            update.eta
            async for update in job.updates()
            if isinstance(update, StatusUpdate) and update.code is Status.PROCESSING
        ]
        assert etas == [2.5]


PACKING = {"index": 2, "length": 8, "unit": "files", "desc": "packing"}
OUTER = {"index": 1, "length": 2, "desc": "outer"}
INNER = {"index": 4.5, "length": 9.0, "desc": "inner"}
PROGRESS = [
    pytest.param([0.25], [ProgressUnit(None, None, "steps", 0.25)], id="share"),
    pytest.param([(3, 10)], [ProgressUnit(3, 10)], id="steps"),
    pytest.param([(3, None)], [ProgressUnit(3, None)], id="steps of how many"),
    pytest.param([PACKING], [ProgressUnit(2, 8, "files", None, "packing")], id="tqdm"),
    pytest.param(
        [OUTER, INNER],
        [ProgressUnit(1, 2, desc="outer"), ProgressUnit(4.5, 9.0, desc="inner")],
        id="nested",
    ),
    pytest.param([], [], id="the last bar has closed"),
]


@pytest.mark.parametrize("units, told", PROGRESS)
async def test_progress(autojump_clock, memory_app, units, told):
    go_on = trio.Event()

    @memory_app.app.endpoint()
    async def perform(event: Event) -> None:
        await event.progress(units)
        await go_on.wait()
        await event.completed(["done"])

    async with opened(memory_app) as client:
        job = client.submit(api_name="/perform")
        await wait_all_tasks_blocked()
        assert job.status() == StatusUpdate(Status.PROGRESS, progress_data=told)
        go_on.set()
        assert await story(job) == [
            *QUEUED,
            ("PROGRESS", told),
            ("output", "done"),
            "FINISHED",
        ]
        # It stays until there is newer.
        assert job.status().progress_data == told


LOGS = [
    LogMessage("all well", "info", title="Info", duration=10),
    LogMessage("mind the gap", "warning", title="Careful", duration=2.5, visible=False),
    LogMessage("it worked", "success", title="", duration=None),
    LogMessage("no luck\nat all", "error", title="\u2028", duration=0),
]


async def test_log_lines(autojump_clock: MockClock, memory_app: ScriptedServer) -> None:
    @memory_app.app.endpoint(manual=True)
    async def perform(event: Event) -> None:
        await event.starts()
        for line in LOGS:
            await event.log(
                line.text,
                level=line.level,
                title=line.title,
                duration=line.duration,
                visible=line.visible,
            )
            await trio.sleep(1)
        await event.completed(["done"])

    async with opened(memory_app) as client:
        job = client.submit(api_name="/perform")
        await wait_all_tasks_blocked()
        # It says nothing about how far the job is.
        assert job.status() == StatusUpdate(Status.PROCESSING, log=LOGS[0])
        updates = [update async for update in job.updates()]
        assert [update for update in updates if isinstance(update, LogMessage)] == LOGS
        assert job.status() == StatusUpdate(Status.FINISHED, success=True, log=LOGS[-1])


async def test_messages_come_in_order_of_sending(autojump_clock, memory_app):
    @memory_app.app.endpoint(manual=True, generator=True)
    async def perform(event: Event) -> None:
        await event.estimation(2, 3)
        await event.log("waiting")
        await event.estimation(1, 2)
        await event.starts()
        await event.progress([0.1])
        await event.progress([0.2])
        await trio.sleep(1)
        await event.generating(["a"])
        await event.generating(["ab"])
        await event.log("between")
        await event.generating(["abc"])
        await event.progress([0.9])
        await event.log("nearly")
        await event.log("there")
        await event.generating(["abcd"])

    async with opened(memory_app) as client:
        job = client.submit(api_name="/perform")
        live = await story(job)
        assert live == [
            *SENT,
            ("IN_QUEUE", 2, 3, None),
            ("log", "waiting"),
            ("IN_QUEUE", 1, 2, None),
            "PROCESSING",
            ("PROGRESS", [ProgressUnit(progress=0.1)]),
            ("PROGRESS", [ProgressUnit(progress=0.2)]),
            "ITERATING",
            ("output", "a"),
            ("output", "ab"),
            ("log", "between"),
            ("output", "abc"),
            ("PROGRESS", [ProgressUnit(progress=0.9)]),
            ("log", "nearly"),
            ("log", "there"),
            "ITERATING",
            ("output", "abcd"),
            "FINISHED",
        ]
        assert await story(job) == live
        # Later statuses keep the last progress, and the last line.
        assert job.status().progress_data == [ProgressUnit(progress=0.9)]
        assert job.status().log == LogMessage("there", title="Info", duration=10)


async def test_unknown_and_unowned_messages_are_ignored(autojump_clock, memory_app):
    @memory_app.app.endpoint()
    async def perform(event: Event) -> None:
        await event.send({"msg": "news_of_a_later_gradio", "text": "hello"})
        stranger = {"msg": "process_completed", "event_id": "0" * 32, "output": {"data": ["no"]}}
        memory_app.post(event.session_hash, stranger)
        memory_app.post(event.session_hash, {"msg": "heartbeat", "event_id": None})
        await trio.sleep(100)  # and real heartbeats
        await event.completed(["done"])
        # Comes after a cancellation now and then.
        await event.send({"msg": "process_completed", "output": {"data": ["more"]}})

    async with opened(memory_app) as client:
        for _ in range(2):
            job = client.submit(api_name="/perform")
            # The second time the app knows how long it takes.
            heard = [item for item in await story(job) if item[0] != "IN_QUEUE"]
            assert heard == [*SENT, "PROCESSING", ("output", "done"), "FINISHED"]
            assert await job.result() == "done"
            await quiet(memory_app)
