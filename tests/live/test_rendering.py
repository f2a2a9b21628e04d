"""The lines of the live view, drawn of jobs in every state."""

from __future__ import annotations

import re
from typing import Any

import pytest
import trio
from rich.cells import cell_len
from trio.testing import MockClock, wait_all_tasks_blocked

from tests.live.support import Seen, draws, fails
from tests.servers.faults import Answer
from tests.servers.scripted import Event
from tests.support.jobs import BaseExceptionGroup
from triojob import Client, Job, JobGroup, LogMessage, ProgressUnit, Status, StatusUpdate, report
from triojob._live._rendering import describe, progress
from triojob._live._watch import STEPS


async def waits_in_a_queue() -> None:
    report.status(Status.IN_QUEUE, rank=3, queue_size=9, eta=7.0)
    await trio.sleep(10)


async def logs() -> None:
    report.log("careful", "warning")
    await trio.sleep(10)


async def talks() -> Any:
    text = ""
    for word in ("once", "upon", "a", "time"):
        text = f"{text} {word}".strip()
        yield text
        await trio.sleep(1)


async def test_each_job_has_a_descriptive_line(autojump_clock: MockClock):
    async with JobGroup(limit=4) as group:
        names = {}
        seen = Seen(group, title=names.get)
        for fn in (draws, waits_in_a_queue, logs, talks, draws):
            names[group.submit(fn)] = fn.__name__
        await trio.sleep(2.5)
        # Columns have two spaces or more between them; an empty one leaves no trace here.
        assert [re.split("  +", line) for line in seen.lines()] == [
            ["draws", "running", "2.5 s", "4/8 rows", "━━━━━━━━╌╌╌╌╌╌╌╌", "drawing"],
            ["waits_in_a_queue", "queued, 3 ahead", "2.5 s, eta 4.5 s"],
            ["logs", "running", "2.5 s", "warning: careful"],
            ["talks", "running", "2.5 s", "3 outputs", "once upon a"],
            ["draws", "waiting"],
            ["3 running, 1 queued, 1 waiting, 0 done"],
            ["0 ended", "2.5 s"],
        ]
        assert len({line.index("2.5 s") for line in seen.lines()[:4]}) == 1
        await trio.sleep(10)
        assert seen.lines()[0].split() == ["draws", "done", "10", "s"]


async def test_failures_are_shown_and_stay_unseen(autojump_clock: MockClock):
    with pytest.raises(BaseExceptionGroup) as caught:
        async with JobGroup() as group:
            seen = Seen(group)
            group.submit(fails, "[red]no\x1b[2J\nmore")
            cancelled = group.submit(draws)
            await trio.sleep(1)
            cancelled.cancel()
            await wait_all_tasks_blocked()
            failed, gone, counts, _ = seen.lines()
            assert failed.endswith("fails  failed     0.5 s  ValueError: [red]no\\x1b[2J more")
            assert gone.endswith("draws  cancelled  1.0 s")
            assert counts == "0 done, 1 failed, 1 cancelled"
            assert group.statistics().unretrieved == 1
    assert [str(error) for error in caught.value.exceptions] == ["[red]no\x1b[2J\nmore"]


async def test_earlier_jobs_are_shown_too(autojump_clock: MockClock):
    with pytest.RaisesGroup(ValueError):
        async with JobGroup(limit=2) as group:
            await group.submit(trio.sleep, 1).wait()
            group.submit(fails)
            await trio.sleep(1)
            group.submit(draws)
            group.submit(draws)
            group.submit(draws)
            await trio.sleep(1)
            seen = Seen(group, total=5)
            lines = seen.lines()
            assert [line.split()[2] for line in lines[:4]] == [
                "failed",
                "running",
                "running",
                "waiting",
            ]
            assert lines[4] == "2 running, 1 waiting, 1 done, 1 failed"
            assert "2 of 5 ended" in lines[5]
            await trio.sleep(20)
            assert seen.lines()[-2] == "4 done, 1 failed"


async def test_running_and_failed_jobs_come_first(autojump_clock):
    async def one(number: int) -> None:
        await trio.sleep(1)
        if number in (3, 5, 11):
            raise ValueError(str(number))

    with pytest.RaisesGroup(*[ValueError] * 3):
        async with JobGroup(limit=10) as group:
            seen = Seen(group, total=1000)
            for number in range(1000):
                group.submit(one, number)
            await trio.sleep(2.5)
            lines = seen.lines(height=16)
            assert len(lines) == 16
            assert [line.split()[2] for line in lines[:-3]] == ["failed"] * 3 + ["running"] * 10
            assert lines[-3] == "10 running, 970 waiting, 17 done, 3 failed"
            assert lines[-2] == "latency: p50 1.0 s, p90 1.0 s, p99 1.0 s, longest 1.0 s"
            assert lines[-1].endswith("2%  20 of 1000 ended  8.0/s  eta 2 min 02 s  2.5 s")
            # With less room, the failures leave at least half of it to those that run.
            lines = seen.lines(height=8)
            assert [line.split()[2] for line in lines[:-2]] == ["failed"] * 3 + ["running"] * 3
            *first, last = (line.rpartition(" ")[2] for line in lines[:3])
            assert (sorted(first), last) == (["3", "5"], "11")  # 3 and 5 failed at one moment
            assert seen.lines(height=2) == [lines[-2], lines[-1]]
            assert len(seen.lines(height=1)) == 1


async def test_queued_jobs_get_the_remaining_room(autojump_clock: MockClock):
    async def queues() -> None:
        report.status(Status.IN_QUEUE, rank=1)
        await trio.sleep(10)

    async with JobGroup(limit=8) as group:
        seen = Seen(group)
        for fn in (queues, draws, queues, draws, queues, queues, *[draws] * 20):
            group.submit(fn)
        await trio.sleep(1)
        assert len(group.jobs) == 26
        states = [line.split()[2].rstrip(",") for line in seen.lines(height=7)[:-2]]
        assert sorted(states) == ["queued"] + ["running"] * 4
        states = [line.split()[2].rstrip(",") for line in seen.lines(height=20)[:-2]]
        assert sorted(states) == ["queued"] * 4 + ["running"] * 4


@pytest.mark.parametrize("width", [1, 7, 20, 43, 79])
async def test_no_line_is_wider_than_the_terminal(autojump_clock: MockClock, width: int):
    async def wide() -> None:
        report.progress(ProgressUnit(1, 3, "日本語", None, "東京" * 50))
        await trio.sleep(5)

    async with JobGroup() as group:
        seen = Seen(group, total=3, title=lambda _: "名前" * 40)
        group.submit(wide)
        group.submit(talks)
        await trio.sleep(2.5)
        assert max(map(cell_len, seen.lines(width=width))) <= width


async def test_outgrown_line_shows_its_end(autojump_clock: MockClock):
    async def long() -> Any:
        yield "start " + "word " * 100 + "end"
        await trio.sleep(5)

    async with JobGroup() as group:
        seen = Seen(group)
        group.submit(long)
        await trio.sleep(1)
        line = seen.lines(width=60)[0]
        assert "start" not in line
        assert line.endswith(" word word end")
        assert "…" in line


async def test_many_outputs_are_caught_up_stepwise(autojump_clock: MockClock):
    async def many() -> Any:
        for number in range(3 * STEPS):
            yield str(number)
        await trio.sleep(5)

    async with JobGroup() as group:
        seen = Seen(group)
        group.submit(many)
        await trio.sleep(1)
        ends = [seen.lines()[0].rpartition(" ")[2] for _ in range(4)]
        assert ends == [str(STEPS - 1), str(2 * STEPS - 1), *[str(3 * STEPS - 1)] * 2]


async def test_bounded_history_is_caught_up(autojump_clock):
    async def many() -> Any:
        for number in range(100):
            yield str(number)
            await trio.sleep(0.1)

    async with JobGroup(history=2) as group:
        seen = Seen(group)
        group.submit(many)
        for second in (1, 5, 9):
            await trio.sleep_until(second + 0.05)
            assert seen.lines()[0].endswith(f" {second * 10}")


async def test_raising_title_is_logged_once(autojump_clock, caplog):
    def broken(job: Job[Any]) -> str:
        raise LookupError("no title")

    async with JobGroup() as group:
        seen = Seen(group, title=broken)
        group.submit(draws)
        await trio.sleep(1)
        assert "draws  running" in seen.lines()[0]
        assert "draws  running" in seen.lines()[0]
    assert [record.message for record in caplog.records] == [
        "title= of the live view raised; it is disabled now"
    ]


async def test_what_has_ended_is_let_go_of(autojump_clock: MockClock):
    async with JobGroup() as group:
        seen = Seen(group)
        for _ in range(300):
            await group.submit(trio.lowlevel.checkpoint).result()
        assert seen.watch.succeeded == 300
        assert len(seen.watch.others) == 100
        assert all(row.job is None for row in seen.watch.others)
        seen.watch.leave()
        changes = seen.changes
        await group.submit(trio.lowlevel.checkpoint).result()
        assert seen.changes == changes


async def test_other_titles_become_text(autojump_clock: MockClock):
    async with JobGroup() as group:
        seen = Seen(group, title=lambda job: ("a", 1))
        group.submit(draws)
        await trio.sleep(1)
        assert seen.lines()[0].startswith("('a', 1)  running")


@pytest.mark.parametrize(
    "status, state",
    [
        (StatusUpdate(Status.JOINING_QUEUE), "sent"),
        (StatusUpdate(Status.QUEUE_FULL), "queue full"),
        (StatusUpdate(Status.IN_QUEUE), "sent"),
        (StatusUpdate(Status.IN_QUEUE, rank=0), "queued, next"),
        (StatusUpdate(Status.SENDING_DATA), "sent"),
        (StatusUpdate(Status.PROCESSING), "running"),
        (StatusUpdate(Status.FINISHED, success=False), "failed"),
        (StatusUpdate(Status.CANCELLED), "cancelled"),
    ],
)
def test_states_are_said_in_words(status, state):
    assert describe(status)[0] == state


@pytest.mark.parametrize(
    "unit, said",
    [
        (ProgressUnit(3, 4, "rows"), (0.75, "3/4 rows")),
        (ProgressUnit(3, None, "rows"), (None, "3 rows")),
        (ProgressUnit(None, None, "steps", 0.5), (0.5, "50%")),
        (ProgressUnit(3, 0, None), (None, "3/0")),
        (ProgressUnit(9, 4, "\x1b[2J"), (1.0, "9/4 \\x1b[2J")),
        (ProgressUnit(None, 4, "rows"), (None, "")),
        (ProgressUnit(float("nan"), 4, "rows", float("inf")), (None, "")),
        (ProgressUnit(-1, 4, "rows"), (0.0, "-1/4 rows")),
    ],
)
def test_senseless_progress_is_ignored(unit, said):
    assert progress(StatusUpdate(Status.PROGRESS, progress_data=[unit]), 0) == said


async def test_log_line_is_an_event(autojump_clock: MockClock):
    async with JobGroup() as group:
        seen = Seen(group)
        group.submit(logs)
        await trio.sleep(1)
        ((_, message),) = seen.watch.news
        assert message == LogMessage("careful", "warning")
        assert seen.watch.news_count == 1


async def test_a_client_shows_what_is_in_flight(memory_app, autojump_clock):
    async def nap(event: Event) -> None:
        await trio.sleep(10)

    memory_app.app.add("nap", nap, inputs=["text"], concurrency_limit=10)
    transport = memory_app.transport()
    async with Client(memory_app.url, transport=transport) as client:
        seen = Seen(client._own_group())
        seen.watch.clients.append(client.statistics)
        for _ in range(100):
            client.submit("x", api_name="/nap")
        await trio.sleep(5)
        window, traffic = seen.lines()[-3:-1]
        assert window == "window 16: 16 in flight, 10 running, 6 queued there, 84 waiting here"
        assert re.fullmatch(r"[\d.]+ kB sent, [\d.]+ kB received", traffic)
        memory_app.fault("POST", "/queue/join", Answer(429, b""), times=2)
        await trio.sleep(10)
        latencies, *_ = [line for line in seen.lines() if line.startswith("latency")]
        assert latencies.startswith("latency: p50 10 s, p90 10 s")
        assert any(line.endswith("received, 2 refusals, 0 retries") for line in seen.lines())
        client.cancel_scope.cancel()
