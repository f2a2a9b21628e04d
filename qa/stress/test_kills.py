"""`triojob map` killed by SIGKILL at any moment, and gone on with: nothing lost, nothing twice."""

from __future__ import annotations

import os
import random
from collections import Counter
from pathlib import Path

import trio

from tests.cli.support import needs_signals, read_lines, run, started, write_rows
from tests.servers.scripted import Event, ScriptedServer

KILLS = int(os.environ.get("TRIOJOB_KILLS", "8"))
ROWS = 30 * KILLS


@needs_signals
async def test_kills_lose_and_repeat_no_row(scripted: ScriptedServer, tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    calls: Counter[int] = Counter()
    came = trio.Condition()

    @scripted.app.endpoint(inputs=["text"])
    async def work(event: Event) -> None:
        number = int(event.data[0])
        calls[number] += 1
        async with came:
            came.notify_all()
        await trio.sleep(chance.uniform(0, 0.01))
        await event.completed([f"{number} is done"])

    source = write_rows(tmp_path / "rows.jsonl", [{"text": str(n)} for n in range(ROWS)])
    output = tmp_path / "out.jsonl"
    command = ("map", scripted.url, "/work", "--input", source, "--output", output, "--limit", "8")
    kills = 0
    while kills < KILLS:
        finished = {record["row"] for record in read_lines(output)}
        before = Counter(calls)
        until = calls.total() + chance.randrange(1, 25)
        async with started(*command, "--resume") as process, came:
            while calls.total() < until:
                await came.wait()
            process.kill()
        kills += 1
        # What was finished before this run was left alone.
        assert not [n for n in finished if calls[n] != before[n]], f"with seed {seed}"
    finished = {record["row"] for record in read_lines(output)}
    before = Counter(calls)
    done = await run(*command, "--resume")
    assert done.code == 0, done.stderr
    assert not [n for n in finished if calls[n] != before[n]]
    assert 0 < len(finished) < ROWS
    records = read_lines(output)
    assert output.read_bytes().count(b"\n") == len(records)
    assert sorted(record["row"] for record in records) == list(range(ROWS))
    assert all(record["outcome"] == "ok" for record in records)
    assert all(record["result"] == f"{record['row']} is done" for record in records)
    assert set(calls) == set(range(ROWS))
    # Only what was under way at a kill came twice.
    assert calls.total() - ROWS <= KILLS * 8
