"""Recordings: what is played is what was recorded, and nothing else."""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from tests.servers.faults import Delay
from tests.servers.hub import TOKEN, open_origins
from tests.servers.scripted import open_server
from tests.testing.test_twins import SCRIPTS, Script
from tests.testing.twin import make_twin
from triojob import (
    AppError,
    Client,
    JobCancelled,
    JobGroup,
    Limits,
    Retry,
    TooManyRequests,
    ValidationError,
    gather,
    handle_file,
    sync,
)
from triojob._secrets import Secrets
from triojob.gradio.files.inputs import META
from triojob.testing import CallNotRecorded, RecordedApp, RecordingError, ScriptedApp, record
from triojob.testing._recordings.cleaning import Cleaner
from triojob.testing._recordings.matching import Matcher
from triojob.testing._recordings.recording import RecordedCall
from triojob.testing._server.description import App
from triojob.testing._server.event import Event
from triojob.testing.components import Component, file, number, state, textbox


def run(main: Callable[[], Awaitable[Any]]) -> Any:
    return trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


def recorded(app: ScriptedApp, path: Path, script: Script, **options: Any) -> Any:
    """Record a script's calls of a scripted app; return what the script saw."""

    async def main() -> Any:
        async with app:
            relay = record(app.url, path, transport=app.transport(), **options)
            async with relay.client() as client:
                return await script(client)

    return run(main)


def played(path: Path, script: Script, **options: Any) -> Any:
    async def main() -> Any:
        app = RecordedApp(path, **options)
        async with app.client() as client:
            seen = await script(client)
        app.assert_all_played()
        return seen

    return run(main)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "app.jsonl"


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.__name__)
def test_recording_plays_the_same(script: Script, path: Path) -> None:
    async def direct() -> Any:
        async with make_twin().client() as client:
            return await script(client)

    seen = recorded(make_twin(), path, script)
    assert seen == run(direct)
    assert played(path, script) == seen


def make_app(**options: Any) -> ScriptedApp:
    """Return an app whose outputs differ from call to call."""
    app = ScriptedApp(**options)
    numbers = itertools.count(1)

    @app.endpoint("/ask")
    def ask(text: str, key: str = "") -> str:
        return f"{text} {next(numbers)}"

    @app.endpoint("/wait")
    async def wait(seconds: float) -> AsyncIterator[str]:
        yield "started"
        await trio.sleep(seconds)
        yield "ended"

    @app.endpoint("/echo")
    def echo(value: Any) -> Any:
        return value

    @app.endpoint("/same")
    def same(files: list[Path]) -> list[Path]:
        return files

    @app.endpoint("/drop")
    async def drop() -> None:
        # Before the event stream is open, there is nothing to drop.
        await trio.testing.wait_all_tasks_blocked()
        app.drop_connections()
        await trio.sleep_forever()

    key = Component("textbox", "key", None, {"type": "string"}, "str", props={"type": "password"})

    @app.endpoint("/login", parameters={"key": key})
    def login(key: str) -> str:
        return f"your key is {key}"

    total = state(0)

    @app.endpoint("/add", parameters={"total": total}, returns=[total, number("sum")])
    def add(n: int, total: int) -> tuple[int, int]:
        return total + n, total + n

    return app


async def ask_twice(client: Client) -> list[str]:
    return [await client.predict("a", api_name="/ask") for _ in range(2)]


def test_half_a_surrogate_pair_is_played(path: Path) -> None:
    async def call(client: Client) -> Any:
        return await client.predict(api_name="/half")

    app = make_app()

    @app.endpoint("/half")
    def half() -> str:
        return "\ud800"

    assert recorded(app, path, call) == played(path, call) == "\ud800"


# --- Matching ---


def test_equal_calls_play_in_order(path: Path) -> None:
    assert recorded(make_app(), path, ask_twice) == ["a 1", "a 2"]
    assert played(path, ask_twice) == ["a 1", "a 2"]


def test_last_equal_call_repeats_on_request(path: Path) -> None:
    async def ask_often(client: Client) -> list[str]:
        return [await client.predict("a", api_name="/ask") for _ in range(4)]

    recorded(make_app(), path, ask_twice)
    assert played(path, ask_often, repeats=True) == ["a 1", "a 2", "a 2", "a 2"]


def test_concurrent_calls_are_not_mixed_up(path: Path) -> None:
    async def echo_at_once(client: Client) -> Any:
        echo = client.endpoint("/echo")
        async with JobGroup() as group:  # each in its own session
            jobs = [group.submit(echo, n) for n in range(20)]
        in_one = await gather(*(partial(echo, n) for n in range(20)))
        return [await job.result() for job in jobs], list(in_one)

    app = make_app(concurrency_limit=None)
    echoes = list(range(20))
    assert recorded(app, path, echo_at_once) == (echoes, echoes)
    assert played(path, echo_at_once) == (echoes, echoes)


def test_sessions_play_sessions(path: Path) -> None:
    async def add(session: Any) -> int:
        result: int = await session.predict(1, api_name="/add")
        return result

    async def one_after_the_other(client: Client) -> list[int]:
        async with client.session() as first, client.session() as second:
            return [await add(each) for each in (first, first, second, second)]

    async def in_turns(client: Client) -> list[int]:
        async with client.session() as first, client.session() as second:
            return [await add(each) for each in (first, second, first, second)]

    assert recorded(make_app(), path, one_after_the_other) == [1, 2, 1, 2]
    assert played(path, in_turns) == [1, 1, 2, 2]


DIFFERENCE = """\
app.jsonl has no call of /ask with these arguments; the nearest one is number 2 of 2:
--- recorded
+++ called
 {
-  "text": "abc",
+  "text": "b",
   "key": ""
 }"""
MORE_OFTEN = (
    '/ask was called with {"text": "a", "key": ""} more often than the 1 times in app.jsonl; '
    "record again, or use repeats=True"
)


@pytest.mark.parametrize(
    "arguments, options, difference",
    [
        (
            ["/ask", "b"],
            {},
            DIFFERENCE,
        ),
        (["/echo", 1], {}, "app.jsonl has no calls of /echo; it has 2 of /ask"),
        (
            ["/ask", "a"],
            {"times": 2},
            MORE_OFTEN,
        ),
    ],
)
def test_call_not_recorded_shows_difference(path, arguments, options, difference):
    async def ask(client: Client) -> None:
        await client.predict("a", api_name="/ask")
        await client.predict("abc", api_name="/ask")

    async def ask_otherwise(client: Client) -> str:
        name, value = arguments
        for _ in range(options.get("times", 1) - 1):
            await client.predict(value, api_name=name)
        with pytest.raises(AppError) as caught:
            await client.predict(value, api_name=name)
        return str(caught.value.message)

    recorded(make_app(), path, ask)
    seen: list[str] = []

    async def main() -> None:
        async with RecordedApp(path).client() as client:
            seen.append(await ask_otherwise(client))

    # Also if the test itself swallows the failure of the call.
    with pytest.raises(CallNotRecorded) as caught:
        run(main)
    assert seen == [str(caught.value)] == [difference]


def test_calls_not_played_are_told(path: Path) -> None:
    async def nothing(_client: Client) -> None:
        pass

    recorded(make_app(), path, ask_twice)
    with pytest.raises(AssertionError, match=r"calls that were not played:\n  /ask .*\n  /ask "):
        played(path, nothing)


# --- Time and cancellation ---


def test_messages_play_at_recorded_times(path: Path) -> None:
    async def times(client: Client) -> list[Any]:
        job, seen = client.submit(100, api_name="/wait"), []
        start = trio.current_time()
        async for output in job:
            seen.append((output, round(trio.current_time() - start)))
        return seen

    seen = recorded(make_app(), path, times)
    assert seen == [("started", 0), ("ended", 100)]
    assert played(path, times) == seen
    assert played(path, times, speed=2) == [("started", 0), ("ended", 50)]
    assert played(path, times, speed=math.inf) == [("started", 0), ("ended", 0)]


def test_no_waiting_on_real_clock(path: Path) -> None:
    async def wait(client: Client) -> str:
        result: str = await client.predict(3600, api_name="/wait")
        return result

    async def on_real_clock() -> str:
        with trio.fail_after(60):
            async with RecordedApp(path).client() as client:
                return await wait(client)

    assert recorded(make_app(), path, wait) == trio.run(on_real_clock) == "ended"


async def cancel_once_started(client: Client) -> str:
    job = client.submit(100, api_name="/wait")
    await anext(aiter(job))
    job.cancel()
    with pytest.raises(JobCancelled):
        await job.result()
    return str(job.outputs())


def test_cancelled_call_is_cancelled_again(path: Path) -> None:
    seen = recorded(make_app(), path, cancel_once_started)
    assert played(path, cancel_once_started) == seen == "['started']"


def test_cancelled_call_never_completes(path: Path) -> None:
    async def complete(client: Client) -> None:
        await client.predict(100, api_name="/wait")

    recorded(make_app(), path, cancel_once_started)
    with pytest.raises(AppError, match=r"/wait was cancelled after 0 s, and this one was not"):
        played(path, complete)


# --- Refusals and failures ---

IMPATIENT = Limits(refused_for=0)


def test_refusals_are_recorded(path: Path) -> None:
    async def be_refused(client: Client) -> Any:
        with pytest.raises(TooManyRequests) as caught:
            await client.predict("a", api_name="/ask")
        seen = [str(caught.value), caught.value.retry_after]
        return [*seen, await client.endpoint("/ask").with_retry(Retry())("a")]

    async def main() -> Any:
        app = make_app()
        async with app:
            app.refuse(429, times=2, retry_after=3)
            relay = record(app.url, path, transport=app.transport())
            async with relay.client(limits=IMPATIENT) as client:
                return await be_refused(client)

    async def play() -> Any:
        async with RecordedApp(path).client(limits=IMPATIENT) as client:
            return await be_refused(client)

    seen = run(main)
    assert seen[1:] == [3, "a 1"]
    assert run(play) == seen


def test_late_refusal_is_a_refusal(path: Path) -> None:
    async def be_refused(client: Client) -> Any:
        with pytest.raises(ValidationError) as caught:
            await client.predict("a", api_name="/echo")
        return caught.value.errors

    async def main() -> Any:
        async with open_server(memory=True) as server:
            server.app.add(
                "echo", inputs=["text"], validator=lambda _text: [(False, "never valid")]
            )
            server.fault("POST", "/queue/join", Delay(25))
            relay = record(server.url, path, transport=server.transport())
            async with relay.client() as client:
                return await be_refused(client)

    assert run(main) == played(path, be_refused) == {"text": "never valid"}


async def drop(client: Client) -> None:
    with pytest.raises(AppError, match="ConnectionLost"):
        await client.predict(api_name="/drop")


async def upload(client: Client) -> Any:
    files = [handle_file(bytes([n]) * 1000, "same.bin") for n in range(3)]
    return [Path(copy).read_bytes() for copy in await client.predict(files, api_name="/same")]


async def fail(client: Client) -> None:
    raise LookupError


@pytest.mark.parametrize(
    "script, options, error, words",
    [
        (drop, {}, RecordingError, "recording /drop: ConnectionLost: "),
        (
            upload,
            {"max_size": 2000},
            AppError,
            r"larger than 2000 bytes with the file 'same.bin' \(1000 bytes\); max_size= ",
        ),
        (upload, {"max_size": 500}, AppError, r"the whole recording may be; max_size= sets"),
        (fail, {}, LookupError, None),
    ],
)
def test_failed_recording_leaves_old_one(path, script, options, error, words):
    recorded(make_app(), path, upload)
    before = contents_of(path.parent)
    assert len(before) == 4
    with pytest.raises(error, match=words):
        recorded(make_app(), path, script, **options)
    assert contents_of(path.parent) == before


def contents_of(folder: Path) -> dict[Path, bytes]:
    return {each: each.read_bytes() for each in folder.rglob("*") if each.is_file()}


def test_full_disk_leaves_old_recording(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fsync(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    recorded(make_app(), path, upload)
    before = contents_of(path.parent)
    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OSError, match="No space left"):
        recorded(make_app(), path, ask_twice)
    assert contents_of(path.parent) == before


# --- The file ---


def test_recording_again_keeps_the_order(path: Path) -> None:
    async def call_in_any_order(client: Client) -> None:
        async with JobGroup() as group:
            for n in range(10):
                group.submit(client.endpoint("/echo"), n)
            group.submit(client.endpoint("/same"), [handle_file(b"a", "a.txt")])

    calls: list[list[str]] = []
    for _ in range(2):
        recorded(make_app(concurrency_limit=None), path, call_in_any_order)
        calls.append([line for line in path.read_text("utf-8").splitlines() if '"call"' in line])
    assert len(calls[0]) == 11
    assert calls[0] == calls[1]


def test_files_are_kept_beside(path: Path) -> None:
    contents = recorded(make_app(), path, upload)
    assert played(path, upload) == contents
    assert {copy.name for copy in path.with_suffix(".files").rglob("*.bin")} == {"same.bin"}
    recorded(make_app(), path, ask_twice)
    assert sorted(each.name for each in path.parent.iterdir()) == ["app.jsonl"]


def change(path: Path, line: int, text: str) -> None:
    lines = path.read_text("utf-8").splitlines()
    lines[line] = text
    path.write_text("\n".join(lines), "utf-8")


def file_of(path: Path) -> Path:
    return next(path.with_suffix(".files").rglob("*.bin"))


def test_recordings_do_not_share_files(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("app.jsonl", "app.v1", "app.v2", "b.files")]
    for place, each in enumerate(paths):
        recorded(make_app(), each, partial(upload_one, bytes([place])))
    for place, each in enumerate(paths):
        assert played(each, partial(upload_one, bytes([place]))) == bytes([place])


async def upload_one(content: bytes, client: Client) -> bytes:
    [copy] = await client.predict([handle_file(content, "same.bin")], api_name="/same")
    return Path(copy).read_bytes()


@pytest.mark.parametrize(
    "damage, words",
    [
        (lambda path: change(path, 0, '{"triojob_recording": 2}'), "version 2 of the format"),
        (lambda path: change(path, 0, "{}"), "line 1: KeyError: 'triojob_recording'"),
        (lambda path: change(path, 5, '{"half'), "line 6: JSONDecodeError"),
        (lambda path: change(path, 5, '{"other": 1}'), "line 6: ValueError: unknown"),
        (lambda path: change(path, -1, '{"at": 1}'), "ValueError: unknown kind of message"),
        (lambda path: change(path, 5, "5"), "line 6: ValueError: it is not an object"),
        (lambda path: path.write_bytes(b""), "it describes no app"),
        (lambda path: file_of(path).write_bytes(b"other"), "was changed since it was recorded"),
        (lambda path: file_of(path).unlink(), "app.files lacks the file '"),
    ],
)
def test_damaged_recording_is_refused(path, damage, words):
    recorded(make_app(), path, upload)
    damage(path)
    with pytest.raises(RecordingError, match=words):
        RecordedApp(path)


def test_invalid_arguments_are_refused(path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        RecordedApp(path)
    recorded(make_app(), path, ask_twice)
    with pytest.raises(ValueError, match="speed is a positive number, not 0"):
        RecordedApp(path, speed=0)
    with pytest.raises(TypeError, match="secrets is a list of texts, not one text"):
        record("http://app.test", path, secrets="sk-1234")


# --- Other protocols ---


@pytest.mark.parametrize("protocol", ["sse_v1", "sse_v2", "sse_v2.1"])
def test_other_protocols_play_as_sse_v3(path: Path, protocol: str) -> None:
    async def stream(event: Event) -> None:
        shown: list[Any] = []
        fields = dict.fromkeys(("url", "size", "orig_name", "mime_type"))
        for n in range(3):
            shown.append({**fields, "path": f"/srv/{n}.txt", "meta": META})
            await event.generating([f"{n} so far", list(shown)])
        await event.completed(["2 in all", shown])

    async def use(client: Client) -> Any:
        job = client.submit(api_name="/stream")
        outputs = [output async for output in job]
        return [(text, [Path(file).read_bytes() for file in files]) for text, files in outputs]

    async def main() -> Any:
        app = App(protocol=protocol, version="4.19.0")
        outputs = [textbox("text"), file("files", multiple=True)]
        app.add("stream", stream, outputs=outputs, generator=True)
        async with open_server(app, memory=True) as server:
            server.storage.files |= {f"/srv/{n}.txt": b"%d" % n for n in range(3)}
            relay = record(server.url, path, transport=server.transport())
            async with relay.client() as client:
                assert client.protocol == "sse_v3"
                return await use(client)

    seen = run(main)
    assert seen[-1] == ("2 in all", [b"0", b"1", b"2"])
    assert [text for text, _ in seen] == ["0 so far", "1 so far", "2 so far", "2 in all"]
    assert played(path, use) == seen


# --- Secrets ---


def test_recording_holds_no_secrets(path: Path) -> None:
    async def log_in(client: Client) -> list[str]:
        return [
            await client.predict("hunter", api_name="/login"),
            await client.predict("Bearer sk-1234", "a", api_name="/ask"),
        ]

    async def log_in_as_another(client: Client) -> list[str]:
        return [
            await client.predict("anything", api_name="/login"),
            await client.predict("Bearer sk-other", "a", api_name="/ask"),
        ]

    app = make_app(auth=("ada", "l0velace"))
    seen = recorded(app, path, log_in, auth=("ada", "l0velace"), secrets=["sk-1234"])
    assert seen == ["your key is ***", "Bearer *** 1"]
    text = path.read_text("utf-8")
    for secret in ("hunter", "l0velace", "sk-1234", "session_hash", "scripted.test"):
        assert secret not in text
    assert '{"arguments": {"key": "***"}}' in text.replace('"call": 2, "endpoint": "/login", ', "")
    assert played(path, log_in_as_another) == seen


def test_secret_names_are_masked_and_kept_apart() -> None:
    known = Secrets()
    known.add("sk-1234", "sk-5678")
    cleaned = Cleaner([]).clean({"a": {"sk-1234": 1, "sk-5678": 2}, "key sk-1234": 3})
    assert cleaned == {"a": {"***": 1, "*** (2)": 2}, "key ***": 3}


@pytest.mark.parametrize(
    "recorded_text, given, fits",
    [
        ("***", "", True),
        ("a***z", "a secret z", True),
        ("a***z", "az", True),
        ("a***a", "a", False),
        ("a***z", "a secret", False),
        ("a***m***z", "a 1 m 2 z", True),
        ("a***m***z", "a 1 z", False),
        ("***m***", "any m any", True),
        ("*" * 300, "*" * 300, True),
        ("*" * 300 + "y", "*" * 10 + "x", False),
        ("***", 5, False),
    ],
)
def test_mask_stands_for_any_text(recorded_text: str, given: Any, *, fits: bool) -> None:
    calls = [RecordedCall("/ask", {"arguments": {"key": [recorded_text]}})]
    matcher = Matcher("app.jsonl", calls, repeats=False)
    if fits:
        assert matcher.take("/ask", {"arguments": {"key": [given]}}, "session") is calls[0]
    else:
        with pytest.raises(CallNotRecorded):
            matcher.take("/ask", {"arguments": {"key": [given]}}, "session")


def test_equal_call_comes_before_mask() -> None:
    calls = [RecordedCall("/ask", {"arguments": {"key": key}}) for key in ("***", "guest")]
    matcher = Matcher("app.jsonl", calls, repeats=False)
    keys = ("guest", "secret")
    taken = [matcher.take("/ask", {"arguments": {"key": key}}, "session") for key in keys]
    assert taken == calls[::-1]


def test_private_space_plays_without_token(path: Path) -> None:
    async def echo(client: Client) -> Any:
        return await client.predict("a", api_name="/echo")

    async def main() -> Any:
        async with open_origins() as origins:
            origins.space.private = True
            origins.host.app.add("echo", inputs=["text"])
            options = {"hf_endpoint": origins.hub.url, "transport": origins.hub.transport()}
            async with record("ada/story", path, token=TOKEN, **options).client() as client:
                return await echo(client)

    assert run(main) == played(path, echo) == "a"
    assert TOKEN not in path.read_text("utf-8")


# --- Other clients ---


def test_threads_and_scripts_play_it(path: Path) -> None:
    def script(url: str) -> list[Any]:
        with sync.Client(url, verbose=False) as client:
            job = client.submit(0.05, api_name="/wait")
            return [job.result(), job.outputs(), client.predict("a", api_name="/ask")]

    async def main() -> Any:
        app = make_app()
        async with app.serve() as real, record(real, path).serve() as url:
            return await trio.to_thread.run_sync(script, url)

    async def play() -> Any:
        async with RecordedApp(path).serve() as url:
            return await trio.to_thread.run_sync(script, url)

    seen = trio.run(main)
    assert seen == ["ended", ["started", "ended"], "a 1"]
    assert trio.run(play) == seen


def test_app_logs_its_calls(path: Path) -> None:
    async def call(client: Client) -> None:
        await client.predict("a", api_name="/ask")
        await client.predict(1, api_name="/wait")

    recorded(make_app(), path, call)

    async def main() -> None:
        app = RecordedApp(path)
        async with app.client() as client:
            await call(client)
        assert app.assert_called_with("/ask", text="a").outputs == ["a 1"]
        assert app.calls[1].outputs == ["started", "ended"]
        app.assert_no_jobs_left()

    run(main)
