"""`triojob call`: what it sends, what it prints, and how it ends."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.cli.support import call_options, connection, leaf, needs_signals, read, run, started
from tests.servers.faults import Answer
from tests.servers.scripted import Event, GradioError, ScriptedServer
from tests.support.files import file_data
from triojob import AppError, ConnectionFailed, EndpointNotFound
from triojob._cli.call import call
from triojob._cli.ending import CommandError, code_of
from triojob.testing.components import file, json_value, number

FULL = Answer(503, {"detail": "Queue is full. Max size is 1 and size is 1."})


async def output_of(
    server: ScriptedServer, capfd: pytest.CaptureFixture[str], *words: str, **options: Any
) -> str:
    assert await call(connection(server.url), call_options(*words, **options)) == 0
    return capfd.readouterr().out


def serve_text(server: ScriptedServer, *outputs: Any, name: str = "tell") -> None:
    @server.app.endpoint(name, outputs=[json_value("out")], generator=True)
    async def tell(event: Event) -> None:
        for output in outputs:
            await event.generating([output])


# --- What is printed ---


async def test_a_text_is_printed_as_it_is(scripted, capfd):
    scripted.app.add("echo", inputs=["text"])
    assert (
        await output_of(scripted, capfd, "/echo", "text=é \x1b[31m\u2028") == "é \x1b[31m\u2028\n"
    )
    assert await output_of(scripted, capfd, "/echo", "text=two\nlines\n") == "two\nlines\n"
    assert scripted.joins[-1]["data"] == ["two\nlines\n"]


async def test_the_only_endpoint_needs_no_name(scripted, capfd):
    scripted.app.add("echo", inputs=["text"])
    options = replace(call_options("", "text=hi"), endpoint=None)
    assert await call(connection(scripted.url), options) == 0
    assert capfd.readouterr().out == "hi\n"


async def test_growing_text_prints_only_what_is_new(scripted, capfd):
    serve_text(scripted, "one", "one two", "one two", "one two three")
    assert await output_of(scripted, capfd, "/tell") == "one two three\n"


async def test_other_outputs_get_their_own_lines(scripted, capfd):
    serve_text(scripted, "one", "two", {"n": 1}, 5, 55, None)
    assert await output_of(scripted, capfd, "/tell") == 'one\ntwo\n{"n": 1}\n5\n55\nnull\n'


async def test_several_outputs_are_a_list(scripted, capfd):
    scripted.app.add("both", inputs=["a", number("b")], outputs=["a", number("b")])
    assert await output_of(scripted, capfd, "/both", "a=x", "b=2") == '["x", 2]\n'


async def test_lines_for_machines(scripted, capfd):
    serve_text(scripted, "one", "one\ntwo\u2028", float("nan"))
    printed = await output_of(scripted, capfd, "/tell", as_json=True)
    assert [json.loads(line) for line in printed.split("\n")[:-1]] == [
        {"output": "one"},
        {"output": "one\ntwo\u2028"},
        {"output": None},
        {"result": None},
    ]
    assert "NaN" not in printed


async def test_half_of_a_character_is_escaped(scripted, capfd):
    @scripted.app.endpoint()
    async def odd(event: Event) -> None:
        message = b'{"msg": "process_completed", "success": true, "event_id": "%s", "output": '
        message += b'{"data": ["\\ud800"], "is_generating": false}}'
        await event.raw(b"data: " + message % event.event_id.encode() + b"\n\n")
        event.never_complete()

    printed = await output_of(scripted, capfd, "/odd", as_json=True)
    assert json.loads(printed.splitlines()[-1]) == {"result": "\ud800"}
    assert await output_of(scripted, capfd, "/odd") == "?\n"


async def test_log_lines_go_to_standard_error(scripted, capfd):
    @scripted.app.endpoint()
    async def logs(event: Event) -> None:
        await event.log("mind the \x1b[2J gap", level="warning", title="Careful")
        await event.completed(["done"])

    await call(connection(scripted.url), call_options("/logs", quiet=False))
    printed = capfd.readouterr()
    assert printed.out == "done\n"
    assert printed.err == "warning: Careful: mind the \\x1b[2J gap\n"


# --- Files ---


def serve_files(server: ScriptedServer) -> None:
    server.files["/srv/a.bin"] = b"\x00\xff\n1"
    server.files["/srv/deep/a.bin"] = b"2"
    outputs = [json_value("one"), json_value("many")]

    @server.app.endpoint("give", outputs=outputs)
    async def give(event: Event) -> None:
        first, second = file_data("/srv/a.bin"), file_data("/srv/deep/a.bin")
        await event.completed([first, [first, {"file": second}]])


async def test_files_are_saved_where_it_is_told(scripted, capfd, tmp_path):
    serve_files(scripted)
    folder = tmp_path / "new" / "folder"
    printed = await output_of(scripted, capfd, "/give", files=str(folder), as_json=True)
    first, second = str(folder / "a.bin"), str(folder / "a-2.bin")
    assert json.loads(printed.splitlines()[-1]) == {"result": [first, [first, {"file": second}]]}
    assert (folder / "a.bin").read_bytes() == b"\x00\xff\n1"
    # What is there is never overwritten.
    await output_of(scripted, capfd, "/give", files=str(folder))
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["a-2.bin", "a-3.bin", "a-4.bin", "a.bin"]


async def test_files_go_to_standard_output_unchanged(scripted, capfdbinary):
    serve_files(scripted)
    await call(connection(scripted.url), call_options("/give", files="-"))
    assert capfdbinary.readouterr().out == b"\x00\xff\n1\x00\xff\n12"
    scripted.app.add("text", inputs=["text"])
    with pytest.raises(BaseException) as caught:  # noqa: PT011 - in groups
        await call(connection(scripted.url), call_options("/text", "text=a", files="-"))
    assert "the result contains no files" in str(leaf(caught.value))


async def test_without_folder_files_stay_with_app(scripted, capfd):
    serve_files(scripted)
    printed = await output_of(scripted, capfd, "/give")
    assert json.loads(printed)[0].startswith(f"{scripted.url}/gradio_api/file=")
    assert not [path for path in scripted.paths() if "file=" in path]


async def test_a_file_is_uploaded(scripted: ScriptedServer, tmp_path: Path) -> None:
    scripted.app.add("take", inputs=[file("file")], outputs=[json_value("out")])
    path = tmp_path / "some file.txt"
    path.write_bytes(b"content")
    await call(connection(scripted.url), call_options("/take", f"file=@{path}"))
    (sent,) = scripted.joins[-1]["data"]
    assert sent["orig_name"] == "some file.txt"
    assert scripted.files[sent["path"]] == b"content"


# --- Failures ---


@pytest.mark.parametrize(
    "words, kind, code, wrong",
    [
        (["/tell", "x=1"], CommandError, 2, "/tell has no parameter 'x': it takes text"),
        (["/tell"], CommandError, 2, "misses 'text'"),
        (["/tel"], EndpointNotFound, 2, "did you mean '/tell'?"),
        (["/tell", "text=a", "n=11"], CommandError, 2, "has no parameter 'n'"),
        (["/fail"], AppError, 1, "boom"),
    ],
)
async def test_a_call_that_fails(scripted, words, kind, code, wrong):
    scripted.app.add("tell", inputs=["text"])

    @scripted.app.endpoint()
    async def fail(event: Event) -> None:
        raise GradioError("boom")

    with pytest.raises(BaseException) as caught:  # noqa: PT011 - in groups
        await call(connection(scripted.url), call_options(*words))
    error = leaf(caught.value)
    assert isinstance(error, kind)
    assert wrong in str(error)
    assert code_of(error) == code
    if kind is CommandError:
        assert not scripted.joins


async def test_no_connection() -> None:
    with pytest.raises(ConnectionFailed) as caught:
        await call(connection("http://127.0.0.1:9"), call_options("/tell"))
    assert code_of(caught.value) == 3


async def test_temporary_refusal_is_told_apart(scripted: ScriptedServer) -> None:
    scripted.app.add("echo", inputs=["text"])
    scripted.fault("POST", "/queue/join", FULL)
    with pytest.raises(BaseException) as caught:  # noqa: PT011 - in groups
        await call(connection(scripted.url), call_options("/echo", "text=a"))
    assert code_of(leaf(caught.value)) == 6


async def test_timeout_cancels_call_on_server_too(scripted):
    begun, ended = trio.Event(), trio.Event()

    @scripted.app.endpoint()
    async def slow(event: Event) -> None:
        begun.set()
        try:
            await trio.sleep_forever()
        finally:
            ended.set()

    # So long that the call has begun, whatever the machine does.
    with pytest.raises(BaseException) as caught:  # noqa: PT011 - in groups
        await call(connection(scripted.url), call_options("/slow", timeout=2.0))
    assert str(leaf(caught.value)) == "/slow took longer than 2 s (--timeout)"
    assert code_of(leaf(caught.value)) == 4
    assert begun.is_set()
    await ended.wait()


# --- As a process ---


async def test_as_a_process_it_succeeds(scripted: ScriptedServer) -> None:
    scripted.app.add("echo", inputs=["text"])
    done = await run("call", scripted.url, "echo", "text=@-", stdin="é\x00".encode())
    assert (done.code, done.stdout, done.stderr) == (0, "é\x00\n", "")


async def test_process_fails_in_words_and_for_machines(scripted: ScriptedServer) -> None:
    @scripted.app.endpoint()
    async def fail(event: Event) -> None:
        await event.generating(["so far"])
        raise GradioError("boom \x1b[31m")

    done = await run("call", scripted.url, "/fail", "--json")
    assert (done.code, done.stderr) == (1, "Error: boom \\x1b[31m\n")
    error = {"class": "AppError", "message": "boom \x1b[31m", "exit_code": 1}
    assert done.lines == [{"output": "so far"}, {"error": error}]


async def test_logging_in(scripted: ScriptedServer, tmp_path: Path) -> None:
    scripted.app.auth = ("ada", "s3cret")
    scripted.app.add("echo", inputs=["text"])
    words = ("call", scripted.url, "/echo", "text=in")
    done = await run(*words, env={"TRIOJOB_AUTH": "ada:s3cret"})
    assert (done.code, done.stdout) == (0, "in\n")
    secret = tmp_path / "secret"
    secret.write_text("ada:wrong\n")
    done = await run(*words, "--auth", f"@{secret}", "--verbose")
    assert (done.code, done.stdout) == (5, "")
    assert "wrong" not in done.stderr


@needs_signals
@pytest.mark.parametrize("number", [2, 15])
async def test_signal_cancels_call_on_server_too(scripted, number):
    begun, ended = trio.Event(), trio.Event()

    @scripted.app.endpoint(generator=True)
    async def slow(event: Event) -> None:
        await event.generating(["so far"])
        begun.set()
        try:
            await trio.sleep_forever()
        finally:
            ended.set()

    async with started("call", scripted.url, "/slow") as process:
        await begun.wait()
        # Its answer has come, too: the signal is not for a process that starts.
        assert process.stdout is not None
        assert await process.stdout.receive_some() == b"so far"
        process.send_signal(number)
        assert await read(process.stderr) == "Cancelled.\n"
        assert await process.wait() == 128 + number
    await ended.wait()


@needs_signals
@pytest.mark.parametrize(
    "words",
    [
        ("call", "http://127.0.0.1:9", "/x", "text=@-"),
        ("map", "http://127.0.0.1:9", "/x", "--input", "-", "--format", "csv", "--output", "-"),
    ],
)
async def test_signal_ends_wait_for_standard_input(words: tuple[str, ...]) -> None:
    async with started(*words, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        # It takes from the pipe what is more than that has room for, and so it reads.
        await process.stdin.send_all(b"x" * 2**20)
        process.send_signal(2)
        assert (await read(process.stderr)).splitlines()[-1] in ("Cancelled.", "Stopped.")
        assert await process.wait() == 130


@needs_signals
async def test_reader_that_goes_away_ends_it_quietly(scripted: ScriptedServer) -> None:
    @scripted.app.endpoint(generator=True, outputs=[number("out")])
    async def count(event: Event) -> None:
        for n in range(10_000):
            await event.generating([n])
            await trio.sleep(0.001)

    async with started("call", scripted.url, "/count") as process:
        assert process.stdout is not None
        assert (await process.stdout.receive_some(1)) == b"0"
        await process.stdout.aclose()
        assert await read(process.stderr) == ""
        assert await process.wait() == 141
