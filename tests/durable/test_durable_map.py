"""`durable_map`: what is called, what is stored, and what comes out, in each run."""

from __future__ import annotations

import datetime as dt
import json
import math
import random
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import MockClock

import triojob
from tests.cli.support import needs_signals
from tests.servers.faults import Answer
from tests.servers.scripted import Event, GradioError, ScriptedServer
from tests.support.files import file_data
from tests.support.hanging import SECONDS
from tests.support.jobs import Wordless
from triojob import (
    Client,
    GroupClosed,
    JobCancelled,
    Retry,
    RowOutcome,
    RunStopped,
    StoreError,
    StoreMismatch,
    durable_map,
    handle_file,
)
from triojob._durable.finished import BLOCK, digest_of
from triojob.testing.components import json_value

KINDS = ["jsonl", "sqlite", "parquet"]


class Work:
    """A function that counts its calls, and fails for some rows."""

    def __init__(self) -> None:
        self.calls: list[Any] = []
        self.seconds: Callable[[Any], float] = lambda _: 0.0
        self.failing: set[Any] = set()

    async def work(self, item: Any) -> Any:
        self.calls.append(item)
        await trio.sleep(self.seconds(item))
        if item in self.failing:
            raise ValueError(f"no {item}")
        return [item, "done"]


@pytest.fixture
def work() -> Work:
    return Work()


@pytest.fixture
def slow(work: Work) -> Work:
    """Return a function whose calls take a second each; with a clock that jumps."""
    work.seconds = lambda _: 1.0
    return work


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param == "parquet":
        pytest.importorskip("pyarrow")
    return tmp_path / f"run.{request.param}"


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    """Return the path of a store of lines of JSON, where the kind does not matter."""
    return tmp_path / "run.jsonl"


async def run(fn: Any, rows: Any, store: Path, **options: Any) -> list[RowOutcome]:
    async with durable_map(fn, rows, store=store, **options) as outcomes:
        return [outcome async for outcome in outcomes]


async def run_some(count: int, fn: Any, rows: Any, store: Path, **options: Any) -> None:
    """Leave the block after some outcomes."""
    async with durable_map(fn, rows, store=store, **options) as outcomes:
        for _ in range(count):
            await anext(outcomes)


# --- Outcomes ---


async def test_rows_are_called_once_over_runs(autojump_clock, slow, store):
    slow.failing = {3}
    first = await run(slow.work, range(10), store, limit=4)
    assert [outcome.row for outcome in first] == list(range(10))
    assert first[2] == RowOutcome(
        row=2,
        key=None,
        outcome="ok",
        result=[2, "done"],
        error_class=None,
        error_message=None,
        attempts=1,
        seconds=1.0,
        input=digest_of({"item": 2}),
    )
    failed = first[3]
    assert (failed.ok, failed.outcome, failed.result) == (False, "error", None)
    assert (failed.error_class, failed.error_message) == ("ValueError", "no 3")
    for ordered in (True, False):
        assert await run(slow.work, range(10), store, ordered=ordered) == first
    assert sorted(slow.calls) == list(range(10))


@pytest.mark.parametrize("ordered", [True, False])
async def test_later_runs_add_what_is_missing(
    autojump_clock: MockClock, slow: Work, store: Path, *, ordered: bool
) -> None:
    slow.seconds = lambda item: 9 if item == 1 else 1
    await run_some(3, slow.work, range(20), store, limit=4, ordered=False)
    before = len(slow.calls)
    outcomes = await run(slow.work, range(20), store, limit=4, ordered=ordered)
    numbers = [outcome.row for outcome in outcomes]
    assert (numbers if ordered else sorted(numbers)) == list(range(20))
    assert all(outcome.result == [outcome.row, "done"] for outcome in outcomes)
    # Only those that were in flight at the end of the first run are called twice.
    again = [item for item in slow.calls[before:] if item in slow.calls[:before]]
    assert 1 in again
    assert len(again) <= 4


async def test_outcomes_are_stored_before_they_come(work: Work, lines: Path) -> None:
    async with durable_map(work.work, range(5), store=lines, limit=2) as outcomes:
        async for outcome in outcomes:
            stored = [json.loads(line)["row"] for line in lines.read_text().splitlines()]
            assert outcome.row in stored


async def test_failed_rows_are_retried_on_request(work: Work, store: Path) -> None:
    work.failing = {1, 2}
    await run(work.work, range(4), store)
    work.failing = {2}
    outcomes = await run(work.work, range(4), store, retry_failed=True)
    assert [outcome.ok for outcome in outcomes] == [True, True, False, True]
    assert work.calls == [0, 1, 2, 3, 1, 2]


async def test_runs_can_leave_out_earlier_outcomes(work: Work, store: Path) -> None:
    await run(work.work, range(3), store)
    outcomes = await run(work.work, range(5), store, replay=False)
    assert [outcome.row for outcome in outcomes] == [3, 4]


async def test_earlier_outcomes_do_not_wait_for_calls(autojump_clock, slow, lines):
    await run(slow.work, range(BLOCK), lines, limit=BLOCK)
    began = trio.current_time()
    async with durable_map(slow.work, range(BLOCK + 1), store=lines) as outcomes:
        for row in range(BLOCK):
            assert (await anext(outcomes)).row == row
        assert trio.current_time() == began
        assert (await anext(outcomes)).row == BLOCK


@pytest.mark.parametrize("seed", range(6))
async def test_cancelled_runs_resume(autojump_clock, slow, store, seed):
    chance = random.Random(seed)
    slow.seconds = lambda _: chance.uniform(0, 2)
    rows, ordered = range(40), bool(seed % 2)
    finished: set[int] = set()
    for _ in range(4):
        before, found = len(slow.calls), set[int]()
        with trio.move_on_after(chance.uniform(0, 4)):
            async with durable_map(
                slow.work, rows, store=store, limit=5, ordered=ordered
            ) as outcomes:
                async for outcome in outcomes:
                    found.add(outcome.row)
        assert not finished & set(slow.calls[before:])
        finished |= found
    outcomes_at_last = await run(slow.work, rows, store, ordered=ordered)
    assert sorted(outcome.row for outcome in outcomes_at_last) == list(rows)
    assert set(slow.calls) == set(rows)


async def test_failures_of_cancelled_calls_are_kept(lines: Path) -> None:
    async def fail_when_cancelled(_: int) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            try:
                await trio.sleep_forever()
            finally:
                raise ValueError("clean-up failed")

    with trio.CancelScope() as scope:
        async with durable_map(fail_when_cancelled, [0], store=lines):
            await trio.testing.wait_all_tasks_blocked()
            scope.cancel()
    (outcome,) = await run(fail_when_cancelled, [0], lines)
    assert outcome.outcome == "error"


async def test_tasks_share_the_outcomes(work: Work, lines: Path) -> None:
    await run(work.work, range(3), lines)
    found: list[int] = []
    async with durable_map(work.work, range(20), store=lines) as outcomes:

        async def take() -> None:
            async for outcome in outcomes:
                found.append(outcome.row)

        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(take)
    assert sorted(found) == list(range(20))


async def test_async_rows_and_generators_work(work: Work, lines: Path) -> None:
    async def rows() -> AsyncIterator[str]:
        for row in "ab":
            await trio.lowlevel.checkpoint()
            yield row

    async def stream(text: str) -> AsyncIterator[str]:
        await trio.lowlevel.checkpoint()
        yield text
        yield text * 2

    assert [outcome.result for outcome in await run(stream, rows(), lines)] == ["aa", "bb"]


@pytest.mark.parametrize(
    "result, stored",
    [((1, (2,)), [1, [2]]), ({"a": float("nan")}, {"a": None}), (None, None), ("\u2028", "\u2028")],
)
async def test_results_are_as_the_store_has_them(work, lines, result, stored):
    async def get(_: int) -> Any:
        await trio.lowlevel.checkpoint()
        return result

    for _ in range(2):
        (outcome,) = await run(get, [0], lines)
        assert outcome.ok
        assert outcome.result == stored


async def test_results_without_json_fail_their_rows(work: Work, lines: Path) -> None:
    async def get(item: int) -> object:
        await trio.lowlevel.checkpoint()
        return object() if item else item

    good, bad = await run(get, [0, 1], lines)
    assert good.ok
    assert (bad.outcome, bad.error_class) == ("error", "TypeError")
    assert (bad.error_message or "").startswith("the result is not JSON data: Object of type")


async def test_failures_without_words_are_rows(work: Work, lines: Path) -> None:
    async def fail(item: int) -> None:
        await trio.lowlevel.checkpoint()
        if item:
            raise Wordless

    good, bad = await run(fail, [0, 1], lines)
    assert good.ok
    assert (bad.outcome, bad.error_class) == ("error", "Wordless")
    assert bad.error_message == "<its text raised RuntimeError>"


async def test_keys_are_stored_with_outcomes(work: Work, store: Path) -> None:
    rows = [{"id": "a", "n": 1}, {"id": [2], "n": 2}]

    async def get(n: int) -> int:
        await trio.lowlevel.checkpoint()
        return n

    for _ in range(2):
        outcomes = await run(get, rows, store, key="id", keywords=True)
        assert [(outcome.key, outcome.result) for outcome in outcomes] == [("a", 1), ([2], 2)]


async def test_keys_can_be_functions(work: Work, lines: Path) -> None:
    outcomes = await run(work.work, ["a", "b"], lines, key=str.upper)
    assert [outcome.key for outcome in outcomes] == ["A", "B"]


@pytest.mark.parametrize(
    "row, wrong",
    [({"n": 1}, "row 1 has no item 'id', which key= names"), (5, "row 1 has no item 'id'")],
)
async def test_rows_without_a_key_are_invalid(lines: Path, row: Any, wrong: str) -> None:
    outcomes = await run(other, [{"id": 0}, row], lines, key="id")
    assert [outcome.outcome for outcome in outcomes] == ["ok", "invalid_input"]
    assert wrong in (outcomes[1].error_message or "")


async def test_keywords_need_mappings(lines: Path) -> None:
    (outcome,) = await run(other, [5], lines, keywords=True)
    assert outcome.outcome == "invalid_input"
    assert outcome.error_message == "keywords=True takes mappings, not 5"


async def test_the_group_counts_the_calls(autojump_clock, slow, lines):
    slow.failing = {1}
    await run_some(1, slow.work, range(1), lines)
    async with durable_map(slow.work, range(4), store=lines, limit=2) as outcomes:
        assert (await anext(outcomes)).row == 0
        await trio.sleep(0.5)
        assert [job.name for job in outcomes.group.jobs] == ["Work.work"] * 2
        assert [outcome.row async for outcome in outcomes] == [1, 2, 3]
    statistics = outcomes.group.statistics()
    assert (statistics.submitted, statistics.succeeded, statistics.failed) == (3, 2, 1)


async def test_calls_start_at_the_rate(autojump_clock: MockClock, slow: Work, lines: Path) -> None:
    def seconds(_: object) -> float:
        starts.append(trio.current_time())
        return 1.0

    starts: list[float] = []
    slow.seconds = seconds
    await run(slow.work, range(4), lines)
    await run(slow.work, range(7), lines, rate=0.5)
    # Not the time until the end: while a thread completes the store, the clock can jump.
    assert [after - before for before, after in pairwise(starts[4:])] == [2, 2]


# --- Refused ---


async def other(_: Any) -> None:
    """Do nothing."""


@pytest.mark.parametrize("which", ["first", "last", "fewer", "function", "arguments"])
async def test_other_inputs_are_refused(work: Work, store: Path, which: str) -> None:
    fn: Any = partial(work.work)
    rows = [f"t{n}" for n in range(BLOCK + 5)]
    await run(fn, rows, store, limit=BLOCK)
    before = len(work.calls)
    wrong = {
        "first": "row 0 (counted from 0) differs",
        "last": f"row {BLOCK + 4} (counted from 0) differs",
        "fewer": f"the input was shortened: it has {BLOCK + 4} rows",
        "function": "made with function 'Work.work', but this run has 'other'",
        "arguments": "made with arguments",
    }[which]
    if which == "first":
        rows[0] = "x"
    elif which == "last":
        rows[-1] = "x"
    elif which == "fewer":
        del rows[-1]
    elif which == "function":
        fn = other
    else:
        fn = partial(work.work, item=5)
    with pytest.raises(StoreMismatch) as caught:
        await run(fn, [*rows, "new"] if which != "fewer" else rows, store)
    assert wrong in str(caught.value)
    assert len(work.calls) == before


async def test_rows_can_be_appended(work: Work, store: Path) -> None:
    await run(work.work, range(3), store)
    await run(work.work, range(5), store)
    assert work.calls == list(range(5))


async def test_stores_with_rows_can_be_refused(work: Work, store: Path) -> None:
    await run(work.work, range(3), store)
    with pytest.raises(StoreMismatch, match="already has rows; pass resume=True"):
        await run(work.work, range(3), store, resume=False)


async def test_stores_in_use_are_refused(work: Work, store: Path) -> None:
    async with durable_map(work.work, range(3), store=store):
        with pytest.raises(StoreError, match="another process is writing"):
            await run(work.work, range(3), store)


async def test_rows_that_json_lacks_are_refused(work: Work, lines: Path) -> None:
    endless: list[Any] = []
    endless.append(endless)
    for row in ({1: 2, "a": 3}, {(1, 2): 3}, endless):
        with pytest.raises(TypeError, match=r"^a row can't be recognized by a later run: .* data$"):
            await run(work.work, [row], lines)
    assert not work.calls


@pytest.mark.parametrize("row", [object(), lambda: 0, {1, 2}, [object()], handle_file(b"").source])
async def test_rows_need_texts_that_last(work: Work, lines: Path, row: Any) -> None:
    if isinstance(row, bytes):
        await run(work.work, [row], lines)
        return
    with pytest.raises(TypeError, match="no text that is the same in each process"):
        await run(work.work, [row], lines)
    assert not work.calls


def test_digests_are_the_same_in_each_process() -> None:
    class Array:
        def tolist(self) -> list[int]:
            return [1, 2]

    assert digest_of({"item": Array()}) == digest_of({"item": [1, 2]})
    assert digest_of({"item": dt.date(2026, 1, 2)}) == digest_of({"item": "2026-01-02"})
    assert digest_of({"item": handle_file(b"a")}) != digest_of({"item": handle_file(b"b")})
    assert digest_of({"a": 1, "b": 2}) == digest_of({"b": 2, "a": 1})


@pytest.mark.parametrize(
    "fn, rows, options, wrong",
    [
        (5, [], {}, "takes an async function or an endpoint first, not 5"),
        (other, 5, {}, "takes iterables and async iterables, not 5"),
        (other, [], {"limit": 0}, "limit must be a positive integer, not 0"),
        (other, [], {"rate": 0}, "rate must be more than 0"),
        (other, [], {"timeout": 0}, "timeout must be more than 0"),
        (other, [], {"max_failures": 0}, "max_failures must be at least 1"),
        (other, [], {"max_outage": math.nan}, "max_outage must be at least 0 seconds"),
        (other, [], {"retry": 3}, "retry must be a triojob.Retry or None, not 3"),
        (other, [], {"key": 5}, "key must be the name of an item, a function or None"),
    ],
)
def test_invalid_arguments_are_refused(tmp_path, fn, rows, options, wrong):
    with pytest.raises((TypeError, ValueError), match=wrong):
        durable_map(fn, rows, store=tmp_path / "run.jsonl", **options)


def test_coroutines_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"not durable_map\(fn\(rows\)\)"):
        durable_map(other([]), [], store=tmp_path / "run.jsonl")  # type: ignore[arg-type]


async def test_sync_functions_end_the_run(work: Work, lines: Path) -> None:
    with pytest.raises(TypeError, match="durable_map takes an async function, but"):
        await run(lambda item: item, range(5), lines)
    assert lines.read_text() == ""


# --- How it ends ---


async def test_many_failures_stop_the_run(autojump_clock, slow, lines):
    slow.failing = set(range(2, 100))
    found: list[int] = []
    with pytest.raises(
        RunStopped, match=r"after 4 consecutive failed rows .*ValueError: no \d"
    ) as caught:
        async with durable_map(
            slow.work, range(100), store=lines, limit=2, max_failures=4
        ) as outcomes:
            async for outcome in outcomes:
                found.append(outcome.row)
    assert caught.value.outcome == "error"
    # Rows in flight still end, and their outcomes come first.
    assert found == list(range(len(found)))
    assert 6 <= len(found) <= 7
    slow.failing.clear()
    assert len(await run(slow.work, range(100), lines, retry_failed=True)) == 100


async def test_any_number_can_fail(work: Work, lines: Path) -> None:
    work.failing = set(range(150))
    assert len(await run(work.work, range(150), lines, max_failures=None)) == 150


async def test_timeouts_are_outcomes(autojump_clock: MockClock, slow: Work, lines: Path) -> None:
    slow.seconds = lambda item: item
    outcomes = await run(slow.work, [1, 9, 2], lines, timeout=5)
    assert [outcome.outcome for outcome in outcomes] == ["ok", "timeout", "ok"]
    assert outcomes[1].error_message == "Work.work took longer than 5 s (timeout)"
    assert outcomes[1].seconds == 5


async def test_a_full_disk_ends_the_run(autojump_clock, slow, lines, monkeypatch):
    found: list[int] = []
    with pytest.raises(OSError, match=r"No space left on device: .*run\.jsonl"):
        async with durable_map(slow.work, range(50), store=lines, limit=2) as outcomes:
            async for outcome in outcomes:
                found.append(outcome.row)
                monkeypatch.setattr("triojob._durable.jsonl_store.write_all", _fail)
    # What could not be stored was not handed out.
    assert found == [0, 1]
    assert len(slow.calls) <= 6


async def test_a_full_disk_shows_without_a_loop(autojump_clock, slow, lines, monkeypatch):
    monkeypatch.setattr("triojob._durable.jsonl_store.write_all", _fail)
    with pytest.raises(OSError, match="No space left"):
        async with durable_map(slow.work, range(5), store=lines):
            await trio.sleep(5)


def _fail(_descriptor: int, _data: bytes) -> None:
    raise OSError(28, "No space left on device")


async def test_a_failing_sync_ends_the_run(autojump_clock, slow, lines, monkeypatch):
    def fail(_descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    slow.seconds = lambda item: 100 * item
    with pytest.raises(OSError, match="Input/output error"):
        async with durable_map(slow.work, range(3), store=lines) as outcomes:
            await anext(outcomes)
            monkeypatch.setattr("os.fsync", fail)
            async for _ in outcomes:
                pass
    monkeypatch.undo()


async def test_bodies_raise_as_they_are(work: Work, store: Path) -> None:
    work.failing = {0}
    with pytest.raises(KeyError):
        async with durable_map(work.work, range(9), store=store) as outcomes:
            assert not (await anext(outcomes)).ok
            raise KeyError


async def test_failing_rows_come_before_their_exception(work: Work, lines: Path) -> None:
    def rows() -> Iterator[int]:
        yield 0
        raise LookupError("no more")

    found: list[int] = []
    with pytest.raises(LookupError, match="no more"):
        async with durable_map(work.work, rows(), store=lines) as outcomes:
            async for outcome in outcomes:
                found.append(outcome.row)
    assert found == [0]


async def test_jobs_that_users_cancel_have_no_outcome(autojump_clock, slow, lines):
    with pytest.raises(JobCancelled):
        async with durable_map(slow.work, range(3), store=lines) as outcomes:
            await trio.sleep(0.5)
            outcomes.group.jobs[1].cancel()
            async for _ in outcomes:
                pass
    assert [outcome.row for outcome in await run(slow.work, range(3), lines)] == [0, 1, 2]
    assert slow.calls == [0, 1, 2, 1]


async def test_outcomes_end_with_the_block(work: Work, lines: Path) -> None:
    async with durable_map(work.work, range(3), store=lines) as outcomes:
        assert repr(outcomes) == "<durable_map of Work.work: 0 outcomes taken>"
        await anext(outcomes)
    with pytest.raises(GroupClosed):
        await anext(outcomes)


# --- Endpoints ---


class App:
    """An app whose endpoint counts its calls, and fails if the text says so."""

    def __init__(self, server: ScriptedServer) -> None:
        self.server = server
        self.calls: list[str] = []

        @server.app.endpoint(inputs=["text", "target"])
        async def work(event: Event) -> None:
            text, target = event.data
            self.calls.append(text)
            if text == "fail":
                raise GradioError("no")
            if text == "hang":
                await trio.sleep_forever()
            await event.completed([f"{text} in {target}"])

    async def run(self, rows: Any, store: Path, **options: Any) -> list[RowOutcome]:
        keywords = isinstance(rows[0], dict)
        async with Client(self.server.url) as client:
            fn: Any = client.endpoint("/work")
            if not keywords:
                fn = partial(fn, target="fr")
            return await run(fn, rows, store, keywords=keywords, **options)


@pytest.fixture
def app(scripted: ScriptedServer) -> App:
    return App(scripted)


async def test_endpoints_are_called_by_row(app: App, store: Path) -> None:
    rows = [{"text": "a", "target": "fr"}, {"text": "fail", "target": "de"}, {"txt": 1}]
    for _ in range(2):
        outcomes = await app.run(rows, store)
        assert [outcome.outcome for outcome in outcomes] == ["ok", "app_error", "invalid_input"]
        assert outcomes[0].result == "a in fr"
        assert (outcomes[1].error_class, outcomes[1].error_message) == ("AppError", "no")
        assert "did you mean 'text'" in (outcomes[2].error_message or "")
    assert sorted(app.calls) == ["a", "fail"]


async def test_calls_share_a_session(app: App, lines: Path) -> None:
    await app.run([f"t{n}" for n in range(20)], lines, limit=5)
    assert len({join["session_hash"] for join in app.server.joins}) == 1


async def test_other_apps_are_refused(app: App, lines: Path) -> None:
    await app.run(["a"], lines)
    notes = lines.with_name("run.jsonl.triojob")
    notes.write_text(notes.read_text().replace(app.server.url, "http://other"))
    with pytest.raises(StoreMismatch, match="made with url 'http://other"):
        await app.run(["a", "b"], lines)
    await app.run(["a", "b"], lines, allow_url_change=True)
    assert app.calls == ["a", "b"]


async def test_timeouts_cancel_on_the_server(app: App, lines: Path) -> None:
    outcomes = await app.run(["a", "hang", "b"], lines, timeout=0.5)
    assert [outcome.outcome for outcome in outcomes] == ["ok", "timeout", "ok"]
    with trio.fail_after(SECONDS):
        while app.server.running:  # noqa: ASYNC110 - nothing tells when the server knows
            await trio.sleep(0.01)


@pytest.fixture
def files(scripted: ScriptedServer, tmp_path: Path) -> Path:
    """Serve an endpoint that returns a file, or the path of a missing one; return a folder."""

    @scripted.app.endpoint(inputs=["text"], outputs=[json_value("out")])
    async def give(event: Event) -> None:
        await event.completed([file_data(f"/srv/{event.data[0]}.txt")])

    scripted.storage.files["/srv/kept.txt"] = b"content"
    return tmp_path / "files"


async def test_files_of_results_are_saved(scripted, files, lines):
    async with Client(scripted.url, download_files=False) as client:
        give = client.endpoint("/give")
        kept, missing = await run(give, ["kept", "missing"], lines, files=files)
        assert kept.result == str(files / "row-0" / "kept.txt")
        assert (files / "row-0" / "kept.txt").read_text() == "content"
        # The app has finished the row, so that it is not called again.
        assert not missing.ok
        assert len(scripted.joins) == 2


async def test_files_need_a_client_that_leaves_them(scripted, files, lines):
    async with Client(scripted.url) as client:
        with pytest.raises(ValueError, match="download_files=False"):
            durable_map(client.endpoint("/give"), [], store=lines, files=files)


@needs_signals  # where there are links
async def test_links_to_folders_end_the_run(scripted, files, lines):
    files.mkdir()
    (files / "row-0").symlink_to(files)
    async with Client(scripted.url, download_files=False) as client:
        with pytest.raises(OSError, match="symbolic link"):
            await run(client.endpoint("/give"), ["kept"], lines, files=files)


FULL = Answer(503, {"detail": "Queue is full. Max size is 1 and size is 1."})


@pytest.mark.parametrize("retry, attempts", [(Retry(wait_max=0), 3), (None, 1)])
async def test_calls_that_never_started_are_retried(app, lines, retry, attempts):
    app.server.fault("POST", "/queue/join", FULL, times=2)
    (outcome,) = await app.run(["a"], lines, retry=retry)
    assert outcome.attempts == attempts
    assert outcome.outcome == ("ok" if retry else "rate_limited")


GATEWAY = Answer(502, "Bad Gateway")


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("triojob._durable.outage.FIRST_PAUSE", 0.0)


@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize("idempotent", [True, False])
async def test_outages_pause_the_run(
    app: App, lines: Path, caplog: pytest.LogCaptureFixture, *, idempotent: bool
) -> None:
    app.server.fault("POST", "/queue/join", GATEWAY, times=1)
    app.server.fault("GET", "/app_id", GATEWAY, times=5)
    retry = Retry(attempts=1, idempotent=idempotent)
    outcomes = await app.run(["a", "b"], lines, limit=1, retry=retry, max_failures=1)
    kinds = [outcome.outcome for outcome in outcomes]
    assert kinds == ["ok" if idempotent else "connection", "ok"]
    said = [record.getMessage() for record in caplog.records]
    assert sum("app unreachable since" in line for line in said) == 1
    assert sum("app reachable again" in line for line in said) == 1


@pytest.mark.usefixtures("no_pauses")
async def test_long_outages_stop_the_run(app: App, lines: Path) -> None:
    app.server.fault("POST", "/queue/join", GATEWAY)
    app.server.fault("GET", "/app_id", GATEWAY)
    retry = Retry(attempts=1, idempotent=True)
    with pytest.raises(RunStopped, match=r"unreachable since \S+ \(max_outage\)") as caught:
        await app.run(["a", "b", "c"], lines, retry=retry, max_outage=0.0)
    assert caught.value.outcome == "connection"
    assert lines.read_text() == ""


async def test_pools_are_called_by_row(app: App, lines: Path) -> None:
    async with triojob.ClientPool([app.server.url]) as pool:
        fn = partial(pool.endpoint("/work"), target="fr")
        assert [outcome.result for outcome in await run(fn, ["a"], lines)] == ["a in fr"]
    made_by = json.loads(lines.with_name("run.jsonl.triojob").read_text())
    assert "url" not in made_by
