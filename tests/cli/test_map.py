"""`triojob map`: what becomes of rows, and how a run ends; `test_map_killed.py` kills it."""

from __future__ import annotations

import json
import random
import shlex
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.lowlevel
from click.testing import CliRunner

from tests.cli.support import (
    SECONDS,
    connection,
    leaf,
    needs_signals,
    read,
    read_lines,
    run,
    started,
    write_rows,
)
from tests.live.pages import Page
from tests.servers.faults import Answer, Lose
from tests.servers.scripted import Event, GradioError, ScriptedServer
from tests.support.files import file_data
from triojob._cli.app import cli
from triojob._cli.ending import CommandError
from triojob._cli.map import MapOptions, make_retry, map_rows
from triojob._cli.plan import PlanOptions
from triojob._cli.rows import Reading
from triojob._durable import outage
from triojob.testing.components import file, json_value, number, state

FULL = Answer(503, {"detail": "Queue is full. Max size is 1 and size is 1."})


def map_options(source: Path, output: Path, *constants: str, **changes: Any) -> MapOptions:
    plan = {name: changes.pop(name, ()) for name in ("columns", "file_columns") if name in changes}
    values: dict[str, Any] = {
        "endpoint": "/work",
        "plan": PlanOptions(
            constants,
            plan.get("columns", ()),
            plan.get("file_columns", ()),
            changes.pop("key", None),
        ),
        "source": str(source),
        "reading": Reading(),
        "output": str(output),
        "files": None,
        "limit": 8,
        "rate": None,
        "retry": make_retry(1, idempotent=False),
        "timeout": None,
        "max_failures": 0,
        "max_outage": 0.0,
        "resume": False,
        "retry_failed": False,
        "allow_url_change": False,
        "quiet": True,
        "as_json": False,
    }
    return MapOptions(**{**values, **changes})


class Work:
    """An app that counts its calls, and fails those whose text says so."""

    def __init__(self, server: ScriptedServer) -> None:
        self.calls: list[str] = []
        self.at_once = self.most = 0

        @server.app.endpoint(inputs=["text", number("n", 1)])
        async def work(event: Event) -> None:
            text = event.data[0]
            self.calls.append(text)
            self.at_once += 1
            self.most = max(self.most, self.at_once)
            try:
                await trio.sleep(0.001)
                if text == "fail":
                    raise GradioError("no")
                if text == "hang":
                    await trio.sleep_forever()
            finally:
                self.at_once -= 1
            await event.completed([f"{text} {event.data[1]}"])


@pytest.fixture
def work(scripted: ScriptedServer) -> Work:
    return Work(scripted)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_rows(tmp_path / "in.jsonl", [{"text": f"t{n}", "id": n} for n in range(30)])


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "out.jsonl"


def by_row(path: Path) -> dict[int, Any]:
    records = read_lines(path)
    found = {record["row"]: record for record in records}
    assert len(found) == len(records)
    return found


# --- Rows ---


async def test_each_row_has_a_line(scripted, work, source, output):
    options = map_options(source, output, "n=5", key="id", limit=4)
    assert await map_rows(connection(scripted.url), options) == 0
    records = by_row(output)
    assert sorted(records) == list(range(30))
    seconds = records[7].pop("seconds")
    assert 0 < seconds < SECONDS
    digest = records[7].pop("input")
    assert len(digest) == 16
    assert records[7] == {"row": 7, "key": 7, "outcome": "ok", "result": "t7 5", "attempts": 1}
    assert len(work.calls) == 30
    assert work.most <= 4


async def test_each_row_keeps_its_own_outcome(scripted, work, tmp_path, output):
    source = tmp_path / "in.csv"
    source.write_text("text,n\nok,2\nfail,1\nhang,1\nok,two\nok\nlast,3\n")
    assert await map_rows(connection(scripted.url), map_options(source, output, timeout=2.0)) == 1
    records = by_row(output)
    assert [records[n]["outcome"] for n in range(6)] == [
        "ok",
        "app_error",
        "timeout",
        "invalid_input",
        "invalid_input",
        "ok",
    ]
    assert records[1]["error"] == {"class": "AppError", "message": "no"}
    assert records[2]["error"]["message"] == "/work took longer than 2 s (--timeout)"
    assert records[3]["error"]["message"] == "column 'n': 'two' is not a number"
    assert "result" not in records[1]
    # A row that makes no sense is not called, and one that took too long is cancelled there too.
    assert sorted(work.calls) == ["fail", "hang", "last", "ok"]
    assert work.at_once == 0


@pytest.mark.parametrize(
    "fault, kind", [(FULL, "rate_limited"), (Answer(401), "auth_error"), (Lose(), "connection")]
)
async def test_a_row_that_never_reached_the_app(scripted, work, source, output, fault, kind):
    scripted.fault("POST", "/queue/join", fault, times=1)
    assert await map_rows(connection(scripted.url), map_options(source, output)) == 1
    assert sorted(record["outcome"] for record in read_lines(output)) == sorted(
        [kind] + ["ok"] * 29
    )


async def test_row_that_never_began_is_called_again(scripted, work, source, output):
    scripted.fault("POST", "/queue/join", FULL, times=2)
    options = map_options(source, output, limit=1, retry=make_retry(5, idempotent=False))
    assert await map_rows(connection(scripted.url), options) == 0
    assert [record["attempts"] for record in read_lines(output)] == [3] + [1] * 29


async def test_deeply_nested_output_fails_its_row_only(scripted, tmp_path, output):
    @scripted.app.endpoint("work", inputs=["text"], outputs=[json_value("out")])
    async def work(event: Event) -> None:
        if event.data[0] == "flat":
            await event.completed(["end"])
            return
        # By hand: the server could not write it either.
        value = b"[" * 600 + b"]" * 600
        message = b'{"msg": "process_completed", "success": true, "event_id": "%s", "output": '
        message += b'{"data": [%s], "is_generating": false}}'
        await event.raw(b"data: " + message % (event.event_id.encode(), value) + b"\n\n")
        event.never_complete()

    source = write_rows(tmp_path / "in.jsonl", [{"text": "deep"}, {"text": "flat"}])
    await map_rows(connection(scripted.url), map_options(source, output))
    records = by_row(output)
    assert records[0]["outcome"] == "connection"
    assert records[1]["result"] == "end"


async def test_columns_of_other_names(scripted, work, source, output):
    options = map_options(source, output, columns=["n=id"])
    assert await map_rows(connection(scripted.url), options) == 0
    assert by_row(output)[9]["result"] == "t9 9"


async def test_files_go_up_and_come_down(scripted, tmp_path, output):
    @scripted.app.endpoint("work", inputs=[file("photo")], outputs=[json_value("out")])
    async def work(event: Event) -> None:
        await event.completed([file_data(event.data[0]["path"])])

    for name in "ab":
        (tmp_path / f"{name}.txt").write_text(f"this is {name}")
    source = tmp_path / "in.csv"
    source.write_text(f"photo\n{tmp_path}/a.txt\n{tmp_path}/b.txt\n{tmp_path}/gone.txt\n")
    folder = tmp_path / "files"
    options = map_options(source, output, file_columns=["photo"], files=str(folder))
    assert await map_rows(connection(scripted.url), options) == 1
    records = by_row(output)
    assert records[1]["result"] == str(folder / "row-1" / "b.txt")
    assert (folder / "row-1" / "b.txt").read_text() == "this is b"
    assert records[2]["outcome"] == "invalid_input"
    assert "gone.txt" in records[2]["error"]["message"]


async def test_stateful_rows_run_one_by_one(scripted, source, output, capfd):
    scripted.app.add("work", inputs=["text", state()], outputs=["out", state()])
    options = map_options(source, output, quiet=False)
    assert await map_rows(connection(scripted.url), options) == 0
    told = capfd.readouterr().err
    assert "unused columns: id" in told
    assert "/work keeps State, so the rows are called one at a time" in told
    assert "30 rows: 30 ok, 0 failed, in " in told


async def test_row_without_column_stops_before_calling(scripted, work, tmp_path, output):
    source = write_rows(tmp_path / "in.jsonl", [{"txt": "a"}, {"text": "b"}])
    with pytest.raises(
        CommandError, match=r"no column 'text' for text of /work \(did you mean 'txt'\?\)"
    ):
        await map_rows(connection(scripted.url), map_options(source, output))
    assert not work.calls
    assert not read_lines(output)


# --- Going on ---


@pytest.mark.parametrize("seed", range(4))
async def test_a_run_that_is_cancelled_goes_on(scripted, work, source, output, seed):
    """At any moment: what is in the output is not called again, and nothing is missing."""
    chance = random.Random(seed)
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:

            async def cancel_at_some_row() -> None:
                until = chance.randrange(1, 25)
                while len(work.calls) < until:
                    await trio.lowlevel.checkpoint()
                for _ in range(chance.randrange(30)):
                    await trio.lowlevel.checkpoint()
                scope.cancel()

            nursery.start_soon(cancel_at_some_row)
            await map_rows(connection(scripted.url), map_options(source, output))
    finished = by_row(output)
    calls = len(work.calls)
    options = map_options(source, output, resume=True)
    assert await map_rows(connection(scripted.url), options) == 0
    assert sorted(by_row(output)) == list(range(30))
    again = set(work.calls[calls:])
    assert not again & {f"t{row}" for row in finished}
    assert len(work.calls) - calls == 30 - len(finished)


async def test_failed_rows_are_called_again_if_told(scripted, work, tmp_path, output):
    source = write_rows(tmp_path / "in.jsonl", [{"text": "a"}, {"text": "b"}])
    scripted.fault("POST", "/queue/join", FULL, times=1)
    assert await map_rows(connection(scripted.url), map_options(source, output, limit=1)) == 1
    options = map_options(source, output, resume=True)
    assert await map_rows(connection(scripted.url), options) == 1
    assert work.calls == ["b"]
    options = map_options(source, output, resume=True, retry_failed=True)
    assert await map_rows(connection(scripted.url), options) == 0
    assert work.calls == ["b", "a"]
    assert [record["row"] for record in read_lines(output)] == [1, 0]


@pytest.mark.parametrize("which", ["first", "last", "fewer", "constant", "column"])
async def test_other_input_is_refused_before_a_call(scripted, work, source, output, which):
    assert await map_rows(connection(scripted.url), map_options(source, output)) == 0
    rows = [json.loads(line) for line in source.read_text().splitlines()]
    options = map_options(source, output, resume=True)
    if which == "first":
        rows[0]["text"] = "other"
    elif which == "last":
        rows[-1]["text"] = "other"
    elif which == "fewer":
        del rows[-1]
    elif which == "constant":
        options = map_options(source, output, "n=2", resume=True)
    else:
        options = map_options(source, output, columns=["n=id"], resume=True)
    write_rows(source, [*rows, {"text": "new"}] if which != "fewer" else rows)
    with pytest.raises(BaseException) as caught:  # noqa: PT011 - in groups
        await map_rows(connection(scripted.url), options)
    reasons = {"fewer": "the input was shortened: it has 29 rows", "last": "row 29 ("}
    wrong = f"can't be resumed: {reasons.get(which, 'row 0 (counted from 0) differs')}"
    assert wrong in str(leaf(caught.value))
    assert len(work.calls) == 30


async def test_input_that_has_grown_goes_on(scripted, work, source, output):
    assert await map_rows(connection(scripted.url), map_options(source, output)) == 0
    with source.open("a") as file:
        file.write('{"text": "new"}\n')
    options = map_options(source, output, resume=True)
    assert await map_rows(connection(scripted.url), options) == 0
    assert work.calls[30:] == ["new"]


@pytest.mark.parametrize("suffix", ["sqlite", "parquet"])
async def test_suffixes_name_other_stores(scripted, work, source, tmp_path, suffix):
    if suffix == "parquet":
        pytest.importorskip("pyarrow")
    output = tmp_path / f"out.{suffix}"
    assert await map_rows(connection(scripted.url), map_options(source, output, key="id")) == 0
    options = map_options(source, output, key="id", resume=True)
    assert await map_rows(connection(scripted.url), options) == 0
    assert len(work.calls) == 30
    if suffix == "parquet":
        parquet = pytest.importorskip("pyarrow.parquet")
        (found,) = parquet.read_table(output).slice(7, 1).to_pylist()
        assert (found["row"], found["key"], found["result"]) == (7, 7, "t7 1")
    else:
        with closing(sqlite3.connect(output)) as database:
            rows = database.execute("SELECT row, result FROM outcomes WHERE key = 7")
            assert rows.fetchall() == [(7, "t7 1")]


# --- How it ends ---


async def test_it_gives_up_when_nothing_works(scripted, work, source, output):
    scripted.fault("POST", "/queue/join", FULL)
    with pytest.raises(
        CommandError, match=r"stopped after \d+ consecutive failed rows .* with QueueFull"
    ) as caught:
        await map_rows(
            connection(scripted.url), map_options(source, output, max_failures=5, limit=2)
        )
    assert caught.value.exit_code == 6
    assert 5 <= len(read_lines(output)) <= 6


GATEWAY = Answer(502, "Bad Gateway")


def break_at(server: ScriptedServer, call: int, **config: int) -> None:
    """Let the app vanish behind its proxy in the midst of a run, for ``times`` questions."""

    @server.app.endpoint(inputs=["text"])
    async def work(event: Event) -> None:
        await event.completed([event.data[0]])

    server.fault("POST", "/queue/join", times=call)  # nothing goes wrong with these
    server.fault("POST", "/queue/join", GATEWAY, times=1)
    server.fault("GET", "/config", times=1)  # as the client opens
    server.fault("GET", "/config", GATEWAY, **config)


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outage, "FIRST_PAUSE", 0.0)


@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize("idempotent", [True, False])
async def test_outages_pause_the_run(
    scripted: ScriptedServer,
    source: Path,
    output: Path,
    capfd: pytest.CaptureFixture[str],
    *,
    idempotent: bool,
) -> None:
    break_at(scripted, 9, times=5)
    retry = make_retry(1, idempotent=idempotent)
    options = map_options(
        source, output, limit=4, retry=retry, max_failures=1, max_outage=100.0, quiet=False
    )
    code = await map_rows(connection(scripted.url), options)
    outcomes = [record["outcome"] for record in read_lines(output)]
    # Only what may have been begun is lost, and that only if it is not to be repeated.
    assert outcomes.count("ok") == 30 if idempotent else outcomes.count("connection") <= 4
    assert (code, sorted(by_row(output))) == (0 if idempotent else 1, list(range(30)))
    assert {record["attempts"] for record in read_lines(output)} == {1}
    told = capfd.readouterr().err
    assert told.count("app unreachable since ") == told.count("app reachable again after ") == 1


@pytest.mark.usefixtures("no_pauses")
async def test_long_outages_end_the_run(scripted, source, output):
    break_at(scripted, 9)
    retry = make_retry(1, idempotent=True)
    wrong = r"the app has been unreachable since \S+ \(--max-outage\).* to resume, run: triojob "
    with pytest.raises(CommandError, match=wrong) as caught:
        await map_rows(connection(scripted.url), map_options(source, output, retry=retry))
    assert caught.value.exit_code == 3
    assert {record["outcome"] for record in read_lines(output)} == {"ok"}


async def test_rows_before_broken_input_are_kept(scripted, work, tmp_path, output):
    source = tmp_path / "in.csv"
    source.write_bytes(b"text\na\nb\n\xff\n")
    with pytest.raises(CommandError, match="line 4 is not valid UTF-8"):
        await map_rows(connection(scripted.url), map_options(source, output))
    assert sorted(work.calls) == ["a", "b"]
    assert sorted(by_row(output)) == [0, 1]


# --- As a process ---


async def test_process_tells_machines_how_it_went(scripted, work, output):
    rows = b'{"text": "a"}\n{"text": "fail"}\n'
    words = ("map", scripted.url, "work", "--input", "-", "--output", output, "--json")
    done = await run(*words, stdin=rows)
    assert done.code == 1
    (summary,) = done.lines
    assert {**summary, "seconds": 0} == {
        "ok": 1,
        "failed": 1,
        "before": 0,
        "failed_before": 0,
        "seconds": 0,
        "failures": {
            "app_error": {"rows": 1, "first": {"row": 1, "class": "AppError", "message": "no"}}
        },
    }
    done = await run(*words, "--resume", stdin=rows)
    assert (done.code, done.lines[0]["before"], done.lines[0]["failed_before"]) == (1, 2, 1)
    assert sorted(work.calls) == ["a", "fail"]


async def test_results_may_go_to_standard_output(scripted, work, source):
    done = await run("map", scripted.url, "/work", "--input", source, "--output", "-")
    assert done.code == 0
    assert sorted(record["row"] for record in done.lines) == list(range(30))


@needs_signals
@pytest.mark.parametrize("number", [2, 15])
async def test_signal_ends_run_naming_how_to_resume(scripted, tmp_path, output, number):
    begun = 0
    waiting, ended = trio.Event(), 0

    @scripted.app.endpoint(inputs=["text"])
    async def work(event: Event) -> None:
        nonlocal begun, ended
        if event.data[0] == "quick":
            await event.completed(["done"])
            return
        begun += 1
        if begun == 2:
            waiting.set()
        try:
            await trio.sleep_forever()
        finally:
            ended += 1

    rows = [{"text": "quick"}, {"text": "slow"}, {"text": "slow"}]
    source = write_rows(tmp_path / "in rows.jsonl", rows)
    words = ["map", scripted.url, "/work", "--input", str(source), "--output", str(output)]
    async with started(*words, "--header", "X-Key: s3cret", "--limit", "3") as process:
        await waiting.wait()
        while not read_lines(output):  # noqa: ASYNC110 - nobody tells us of a file
            await trio.sleep(0.01)
        process.send_signal(number)
        told = await read(process.stderr)
        assert await process.wait() == 128 + number
    command = ["triojob", *words, "--header", "X-Key: ...", "--limit", "3", "--resume"]
    summary, advice = told.splitlines()[-2:]
    assert summary.startswith("1 row: 1 ok, 0 failed, in ")
    assert advice == f"Stopped. To resume, run: {shlex.join(command)}"
    assert [record["row"] for record in read_lines(output)] == [0]
    # The app was told, before the process ended.
    assert ended == 2


@pytest.mark.parametrize(
    "more, wrong",
    [
        (["--output", "-", "--resume"], "--resume needs an --output that is a regular file"),
        (["--output", "/dev/null", "--resume"], "--resume needs an --output that is a regular"),
        (["--output", "/dev/stdout", "--json"], "would both write to standard output"),
        (["--output", "-", "--json"], "would both write to standard output"),
        (
            ["--output", "out", "--retry-failed"],
            "--retry-failed and --allow-url-change need --resume",
        ),
        (["--output", "out", "--limit", "0"], "0 is not in the range"),
        (["--output", "out", "--rate", "0"], "0 is not in the range"),
        ([], "Missing option '--output'"),
    ],
)
def test_options_that_make_no_sense(source, more, wrong):
    words = ["map", "http://127.0.0.1:9", "/work", "--input", str(source), *more]
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 2
    assert wrong in done.output


# --- The report ---


async def test_a_run_has_a_report(scripted, work, source, output, tmp_path):
    rows = [{"text": "fail" if number % 10 == 9 else "t"} for number in range(30)]
    report = tmp_path / "out.html"
    options = map_options(write_rows(source, rows), output, report=str(report))
    assert await map_rows(connection(scripted.url), options) == 1
    page = Page(report.read_text(encoding="utf-8"))
    assert page.inside("h1") == ["/work", "finished"]
    assert scripted.url.rstrip("/") in page.text
    assert "app_error" in page.text
    assert "3 rows, the first: " in page.text
    assert "Rows ended per second" in page.inside("h2")

    # A resumed run replaces it, also if it is interrupted.
    write_rows(source, [*rows, {"text": "hang"}])
    with trio.move_on_after(1):
        await map_rows(
            connection(scripted.url), map_options(source, output, report=str(report), resume=True)
        )
    page = Page(report.read_text(encoding="utf-8"))
    assert page.inside("h1") == ["/work", "interrupted"]
    assert "30 rows were finished by earlier runs" in page.text


async def test_a_report_replaces_no_other_file(scripted, work, source, output):
    with pytest.raises(FileExistsError, match="not a report"):
        await map_rows(connection(scripted.url), map_options(source, output, report=str(source)))
    assert work.calls == []
    assert not output.exists()
