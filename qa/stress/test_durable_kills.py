"""`durable_map` killed by SIGKILL at any moment, and run again: nothing is lost or repeated."""

from __future__ import annotations

import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.cli.support import environment, needs_signals
from tests.servers.scripted import Event, ScriptedServer
from tests.support.hanging import SECONDS

KILLS = int(os.environ.get("TRIOJOB_KILLS", "2"))
ROWS = 40 * KILLS
PROGRAM = Path(__file__).with_name("durable_program.py")


def stored(store: Path) -> dict[int, Any]:
    """Return what a store has of each row, without changing it, as a kill has left it."""
    if store.suffix == ".sqlite":
        return stored_in_database(store)
    journal = store if store.suffix == ".jsonl" else store.with_name(f"{store.name}.jsonl")
    data = journal.read_bytes() if journal.exists() else b""
    records = [json.loads(line) for line in data[: data.rfind(b"\n") + 1].splitlines()]
    assert len({record["row"] for record in records}) == len(records)
    return {record["row"]: record["result"] for record in records}


def stored_in_database(store: Path) -> dict[int, Any]:
    # A copy: to read a log that a kill has left is to change it.
    copy = store.parent / "copy"
    copy.mkdir(exist_ok=True)
    for file in store.parent.glob(f"{store.name}*"):
        shutil.copy(file, copy)
    with closing(sqlite3.connect(copy / store.name)) as database:
        tables = database.execute("SELECT name FROM sqlite_master").fetchall()
        found: dict[int, Any] = {}
        if ("outcomes",) in tables:
            found = dict(database.execute("SELECT row, result FROM outcomes").fetchall())
    shutil.rmtree(copy)
    return found


class Watch:
    """What the program and the app do."""

    def __init__(self) -> None:
        self.calls: Counter[int] = Counter()
        self.got: dict[int, str] = {}
        """The outcomes of the present process."""
        self.most = 0
        """How many calls can end before the kill."""
        self.killed = trio.Event()
        self._is_over = False
        self._changed = trio.Condition()

    async def call(self, number: int) -> None:
        self.calls[number] += 1
        async with self._changed:
            self._changed.notify_all()

    async def wait_until(self, calls: int) -> None:
        async with self._changed:
            while self.calls.total() < calls:
                assert not self._is_over, "the program ended by itself"
                await self._changed.wait()

    async def _read(self, output: trio.abc.ReceiveStream) -> None:
        rest = b""
        async for chunk in output:
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                word, number, *result = line.decode().split(" ", 2)
                if word == "call":
                    await self.call(int(number))
                else:
                    self.got[int(number)] = result[0]
        self._is_over = True
        async with self._changed:
            self._changed.notify_all()

    @asynccontextmanager
    async def started(self, *words: object) -> AsyncIterator[trio.Process]:
        """Start the program; at the end, wait for it, and read its output to the end."""
        self.got, self._is_over = {}, False
        with trio.fail_after(SECONDS):
            async with trio.open_nursery() as nursery:
                process = await trio.lowlevel.open_process(
                    [sys.executable, str(PROGRAM), *map(str, words)],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    env=environment(),
                )
                assert process.stdout is not None
                nursery.start_soon(self._read, process.stdout)
                try:
                    yield process
                    await process.wait()
                finally:
                    process.kill()
            await process.stdout.aclose()


@needs_signals
@pytest.mark.parametrize("kind", ["jsonl", "sqlite", "parquet"])
@pytest.mark.parametrize("calls_app", [False, True], ids=["function", "endpoint"])
async def test_kills_lose_and_repeat_no_row(
    scripted: ScriptedServer, tmp_path: Path, kind: str, *, calls_app: bool
) -> None:
    if kind == "parquet":
        pytest.importorskip("pyarrow")
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    watch = Watch()

    @scripted.app.endpoint(inputs=["text"])
    async def work(event: Event) -> None:
        number = int(event.data[0])
        await watch.call(number)
        if watch.calls.total() > watch.most:
            await watch.killed.wait()
        await trio.sleep(chance.uniform(0, 0.01))
        await event.completed([f"{number} is done"])

    store = tmp_path / f"run.{kind}"
    url = [scripted.url] if calls_app else []
    for _ in range(KILLS):
        finished, before = stored(store), Counter(watch.calls)
        until, more = chance.randrange(25), chance.randrange(8)
        watch.most, watch.killed = before.total() + until + more, trio.Event()
        async with watch.started(store, ROWS, until + more, *url) as process:
            await watch.wait_until(before.total() + until)
            process.kill()
        watch.killed.set()
        assert process.returncode == -9
        now = stored(store)
        # What was stored stays, is not called again, and has what was handed out.
        assert finished.items() <= now.items(), f"with seed {seed}"
        assert not [n for n in finished if watch.calls[n] != before[n]], f"with seed {seed}"
        assert watch.got.items() <= now.items(), f"with seed {seed}"
    finished, before = stored(store), Counter(watch.calls)
    assert len(finished) < ROWS
    async with watch.started(store, ROWS, ROWS, *url) as process:
        pass
    assert process.returncode == 0
    assert not [n for n in finished if watch.calls[n] != before[n]], f"with seed {seed}"
    wanted = {n: f"{n} is done" for n in range(ROWS)}
    assert watch.got == wanted
    assert stored(store) == wanted
    assert set(watch.calls) == set(range(ROWS))
    # Only what was in flight at a kill is called twice.
    assert watch.calls.total() - ROWS <= KILLS * 8
    if kind == "parquet":
        table = pytest.importorskip("pyarrow.parquet").read_table(store)
        assert table.column("result").to_pylist() == [*wanted.values()]
