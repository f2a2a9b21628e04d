"""Outputs that are no regular files: FIFOs and devices work, all else is refused at once."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest
import trio

from tests.cli.support import needs_signals, run, write_rows
from tests.servers.scripted import ScriptedServer
from triojob._cli.ending import CommandError
from triojob._cli.streams import Stream, is_stream, open_stream

pytestmark = needs_signals  # where there are FIFOs and links


@pytest.fixture
def words(scripted: ScriptedServer, tmp_path: Path) -> tuple[str, ...]:
    scripted.app.add("echo", inputs=["text"])
    source = write_rows(tmp_path / "in.jsonl", [{"text": "a"}, {"text": "b"}])
    return ("map", scripted.url, "/echo", "--input", str(source), "--output")


@pytest.mark.parametrize("output", ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
async def test_standard_output_by_its_names(words: tuple[str, ...], output: str) -> None:
    done = await run(*words, output)
    assert done.code == 0
    assert sorted(record["row"] for record in done.lines) == [0, 1]


async def test_fifos_get_the_lines(words: tuple[str, ...], tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    found: list[str] = []

    async def read() -> None:
        found.append(await trio.Path(fifo).read_text())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        done = await run(*words, fifo)
    assert done.code == 0
    assert sorted(json.loads(line)["row"] for line in found[0].splitlines()) == [0, 1]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["fifo", "in.jsonl"]


@pytest.mark.parametrize(
    "output, code, told", [("/dev/null", 0, "2 rows: 2 ok"), ("/dev/full", 7, "No space left")]
)
async def test_devices_get_the_lines(words, output, code, told):
    done = await run(*words, output)
    assert done.code == code
    assert told in done.stderr
    assert not Path(f"{output}.triojob").exists()


def test_all_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "dangling").symlink_to("nothing")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        for name, reason in {
            "": "it is a folder",
            "socket": "it is not a regular file",
            "link": "it is a symbolic link; name the file",
            "dangling": "it is a symbolic link",
            "no/out.jsonl": "its folder does not exist",
        }.items():
            with pytest.raises(CommandError, match=reason) as caught:
                is_stream(str(tmp_path / name))
            assert caught.value.exit_code == 7
    assert not is_stream(str(tmp_path / "file"))
    assert not is_stream(str(tmp_path / "new"))


async def test_refusals_come_before_the_app(tmp_path: Path) -> None:
    done = await run("map", "http://127.0.0.1:9", "--input", "in.jsonl", "--output", tmp_path)
    assert (done.code, done.stdout) == (7, "")
    assert done.stderr == f"Error: --output: {str(tmp_path)!r} can't be written: it is a folder\n"


async def test_waiting_for_a_reader_is_cancelled(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    opened: list[Stream] = []
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def _() -> None:
                opened.append(await open_stream(str(fifo)))

            await trio.testing.wait_all_tasks_blocked()
            scope.cancel()
    assert scope.cancelled_caught
    assert not opened
    # Lets the thread end.
    with fifo.open("rb"):
        pass
