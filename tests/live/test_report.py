"""The report of a run: what it says, that it is bounded, and that it harms nobody."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

import triojob
from tests.live.pages import Page
from tests.live.support import draws, fails, recorder as console
from tests.servers.scripted import Event, ScriptedServer
from tests.support.jobs import BaseExceptionGroup
from triojob import Client, JobGroup
from triojob._live._charts import Axis, number_axis, seconds_axis, time_axis
from triojob._live._load import Load
from triojob._live._recorder import BINS, MOST_GROUPS, SLOWEST, RunRecorder
from triojob._live._report import MARK, Heading, ReportFile, report

HOSTILE = "</title><script>alert(1)</script>\x1b[2J\u202e\"'&amp;\n<img src=http://x.test/>"


def add(recorder: RunRecorder, number: int, outcome: Any = "ok", **changes: Any) -> None:
    title, seconds = lambda: f"#{number}", 1.0 + number % 7
    values: dict[str, Any] = {"name": "/f", "title": title, "seconds": seconds}
    recorder.note_end(outcome, **{**values, **changes})


async def test_memory_of_a_long_run_is_bounded(autojump_clock: MockClock) -> None:
    recorder = RunRecorder(lambda: Load(in_flight=3, refusals=int(trio.current_time())))
    for number in range(5000):
        await trio.sleep(20)
        recorder.sample()
        kind = ("kind", "x") if number % 3 else (f"kind {number}", "x")
        add(recorder, number, "failed", name=f"/f{number}", failure=kind)
    history = recorder.history
    assert BINS / 2 <= len(history.bins) <= BINS
    assert len(history.bins) * history.width == pytest.approx(recorder.seconds, rel=0.02)
    assert sum(each.ends["failed"] for each in history.bins) == 5000
    assert sum(each.latency.count for each in history.bins) == 5000
    assert sum(each.increases.get("refusals", 0) for each in history.bins) == 100_000
    assert len(recorder.slowest) == SLOWEST
    assert len(recorder.failures) == len(recorder.functions) == MOST_GROUPS + 1
    assert sum(each.count for each in recorder.failures.values()) == 5000
    html = report(recorder, Heading("run", "finished"))
    assert len(html) < 300_000
    Page(html)


async def test_a_report_has_charts_and_numbers(autojump_clock: MockClock) -> None:
    load = Load(window=16, in_flight=16, running=10, waiting_there=6, waiting_here=4)
    recorder = RunRecorder(lambda: load)
    for number in range(100):
        await trio.sleep(0.5)
        recorder.sample()
        failure = ("AppError", "no") if number % 10 == 0 else None
        add(recorder, number, "ok" if failure is None else "failed", failure=failure)
    facts = [("App", "http://a.test/")]
    page = Page(report(recorder, Heading("/f", "finished", facts, noun="rows")))
    assert page.inside("h1") == ["/f", "finished"]
    assert page.inside("h2") == [
        *("Summary", "Rows ended per second", "Latency", "Calls in flight and their window"),
        *("Calls that wait here", "Distribution of the latency", "Failures"),
        "The 20 slowest rows",
    ]
    described = page.tags["desc"]
    assert page.tags["svg"] == described == 5
    assert "At most 16 in flight; the window was 16 to 16." in page.inside("desc")
    tips = [text for text in page.inside("rect") if "p99" in text]
    assert re.fullmatch(
        r"[\d.]+ s to [\d.]+ s: p50 [\d.]+ s, p90 [\d.]+ s, p99 [\d.]+ s, longest [\d.]+ s", tips[0]
    )
    numbers = page.inside("tbody")
    assert len(numbers) == page.tags["tr"] * 13 - 13
    assert sum(map(int, numbers[1::13])) == 90
    assert sum(map(int, numbers[2::13])) == 10
    assert "10 rows, the first: " in page.text


async def test_few_jobs_are_drawn_one_by_one(autojump_clock: MockClock) -> None:
    recorder = RunRecorder(Load)
    await trio.sleep(2)
    for number in range(3):
        add(recorder, number)
    page = Page(report(recorder, Heading("f", "finished", load="jobs")))
    assert page.inside("h2")[:2] == ["Summary", "All jobs"]
    assert "Latency" not in page.inside("h2")
    assert page.inside("ol") == ["#2", "3.0 s", "#1", "2.0 s", "#0", "1.0 s"]


async def test_jobs_can_take_no_time(autojump_clock: MockClock) -> None:
    recorder = RunRecorder(Load)
    add(recorder, 0, seconds=0.0)
    assert Page(report(recorder, Heading("f", "finished"))).inside("ol") == ["#0", "0 ms"]


async def test_a_run_without_jobs_has_a_report(autojump_clock: MockClock) -> None:
    page = Page(report(RunRecorder(Load), Heading("f", "interrupted")))
    assert "interrupted" in page.text


async def test_texts_of_others_are_escaped(autojump_clock: MockClock) -> None:
    recorder = RunRecorder(Load)
    for number in range(30):
        await trio.sleep(1)
        failure = (HOSTILE, HOSTILE)
        add(recorder, number, "failed", name=HOSTILE + str(number % 2), title=lambda: HOSTILE,
            failure=failure)  # fmt: skip
    html = report(recorder, Heading(HOSTILE, HOSTILE, [(HOSTILE, HOSTILE)]))
    page = Page(html)
    assert "alert(1)" in page.text
    assert not re.search(r"[\x00-\x08\x0b-\x1f\u202e]", html)
    assert "default-src 'none'; style-src 'unsafe-inline'" in page.metas


async def test_secrets_are_masked(autojump_clock: MockClock, memory_app: ScriptedServer) -> None:
    transport = memory_app.transport()
    headers = {"x-key": "hunter2-hunter2"}
    async with Client(memory_app.url, transport=transport, headers=headers):
        recorder = RunRecorder(Load)
        await trio.sleep(1)
        told = "the key is hunter2-hunter2"
        add(recorder, 1, "failed", name=told, title=lambda: told, failure=(told, told))
        html = report(recorder, Heading(told, told, [("App", told)]))
    assert "hunter2" not in html
    assert "the key is ***" in html


@pytest.mark.parametrize(
    "axis, labels",
    [
        (number_axis(0), "0 1"),
        (number_axis(3, whole=True), "0 1 2 3"),
        (number_axis(1, whole=True), "0 1"),
        (number_axis(0.3), "0 0.1 0.2 0.3"),
        (number_axis(20_000), "0 5,000 10,000 15,000 20,000"),
        (seconds_axis(0.003), "0 ms|1 ms|2 ms|3 ms"),
        (seconds_axis(9), "0 s|5 s|10 s"),
        (seconds_axis(500), "0 min|5 min|10 min"),
        (time_axis(0.1), "0 s|0.02 s|0.04 s|0.06 s|0.08 s|0.1 s"),
        (time_axis(180), "0 s|50 s|100 s|150 s"),
        (time_axis(650), "0 min|2 min|4 min|6 min|8 min|10 min"),
        (time_axis(12 * 3600), "0 h|2 h|4 h|6 h|8 h|10 h|12 h"),
        (time_axis(90 * 86400), "0 d|20 d|40 d|60 d|80 d"),
    ],
)
def test_axes_have_round_numbers(axis: Axis, labels: str) -> None:
    assert [label for _, label in axis.ticks] == labels.split("|" if "|" in labels else " ")
    assert axis.ticks[0][0] == 0
    assert all(0 <= at <= 1 for at, _ in axis.ticks)


# --- The file ---


def test_only_reports_are_replaced(tmp_path: Path) -> None:
    path = tmp_path / "run.html"
    file = ReportFile(path)
    assert not path.exists()
    file.write(MARK + "one")
    ReportFile(path).write(MARK + "two")
    assert path.read_text(encoding="utf-8") == MARK + "two"
    path.write_text("mine", encoding="utf-8")
    with pytest.raises(FileExistsError, match="not a report"):
        ReportFile(path)
    with pytest.raises(FileExistsError, match="not a report"):
        file.write(MARK + "three")
    assert path.read_text(encoding="utf-8") == "mine"
    assert list(tmp_path.iterdir()) == [path]


def test_a_report_needs_a_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        ReportFile(tmp_path / "none" / "run.html")
    with pytest.raises(OSError, match=re.escape(tmp_path.name)):
        ReportFile(tmp_path)


# --- Of the live view ---


async def test_a_live_view_writes_a_report(autojump_clock: MockClock, tmp_path: Path) -> None:
    path = tmp_path / "live.html"
    with pytest.raises(BaseExceptionGroup):
        async with JobGroup() as group, triojob.live(group, console=console(), report=path):
            group.submit(draws)
            group.submit(fails, "<b>no")
            stopped = group.submit(trio.sleep_forever)
            await trio.sleep(3)
            stopped.cancel()
    page = Page(path.read_text(encoding="utf-8"))
    assert page.inside("h1") == ["Jobs", "finished"]
    assert page.inside("ol")[1::2] == ["0.50 s, failed", "3.0 s, cancelled", "10 s"]
    assert "ValueError: <b>no" in page.text
    assert "At most 3 in flight." in page.inside("desc")


async def test_a_report_counts_the_calls_of_clients(autojump_clock, memory_app, tmp_path):
    async def nap(event: Event) -> None:
        await trio.sleep(10)
        await event.completed(["x"])

    memory_app.app.add("nap", nap, inputs=["text"], concurrency_limit=10)
    path = tmp_path / "live.html"
    async with (
        Client(memory_app.url, transport=memory_app.transport()) as client,
        triojob.live(client, console=console(), report=path),
    ):
        for _ in range(30):
            client.submit("x", api_name="/nap")
    page = Page(path.read_text(encoding="utf-8"))
    assert page.inside("h1") == ["/nap", "finished"]
    assert memory_app.url.rstrip("/") in page.inside("header")[-5]
    assert "At most 16 in flight; the window was 16 to 16." in page.inside("desc")
    assert "Calls that wait here" in page.inside("h2")


async def test_interrupted_view_says_so_in_report(autojump_clock, tmp_path):
    path = tmp_path / "live.html"
    with trio.move_on_after(5):
        async with JobGroup() as group, triojob.live(group, console=console(), report=path):
            group.submit(trio.sleep_forever)
            group.submit(trio.sleep, 1)
    page = Page(path.read_text(encoding="utf-8"))
    assert page.inside("h1") == ["Jobs", "interrupted"]


async def test_a_report_that_fails_is_logged(autojump_clock, tmp_path, caplog):
    path = tmp_path / "live.html"
    async with JobGroup() as group, triojob.live(group, console=console(), report=path):
        job = group.submit(draws)
        path.write_text("mine", encoding="utf-8")
    assert await job.result() == "drawn"
    assert path.read_text(encoding="utf-8") == "mine"
    assert "can't be written" in caplog.text


async def test_a_foreign_file_is_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "live.html"
    path.write_text("mine", encoding="utf-8")
    async with JobGroup() as group:
        with pytest.raises(FileExistsError, match="not a report"):
            async with triojob.live(group, console=console(), report=path):
                raise AssertionError("never reached")
