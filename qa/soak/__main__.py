"""Soak: very many jobs of mixed kinds through a proxy that does harm, in one process.

``python -m qa.soak --jobs 200000`` prints how many jobs ended in which way, by kind, and
samples the process's memory, descriptors and threads all the while.  It fails unless the counts
add up exactly, each value is right, each error is one of ours, and nothing is left at the end.
With ``--write`` the figures and a plot go to ``docs/reliability``.
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import platform
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import trio

from benchmarks._servers import ROOT, running
from qa.reliability.faults import PAGE
from triojob import (
    Client,
    Job,
    JobCancelled,
    JobGroup,
    NetworkError,
    ProtocolError,
    QueueFull,
    Timeouts,
    TooManyRequests,
    TriojobError,
    ValidationError,
    handle_file,
)

WORKERS = 48
TIMES = Timeouts(connect=10, write=10, read=10, stream_idle=10, max_stream_idle=10, cancel=3)
"""A request that meets silence waits so long; the others go on meanwhile."""
DOCS = ROOT / "docs" / "reliability"
MIB = 2**20
STEPS = 6
EXPECTED = (
    NetworkError,
    JobCancelled,
    ProtocolError,
    QueueFull,
    TooManyRequests,
    ValidationError,
)
"""What faults may end in; those of `ProtocolError` are pages instead of answers."""
TEXT = "".join(f"word{step} " for step in range(STEPS))


class Soak:
    """The jobs, and what became of them."""

    def __init__(self, client: Client, group: JobGroup, count: int, minutes: float) -> None:
        self.client = client
        self.group = group
        self.count = count
        self.started: Counter[str] = Counter()
        self.ended: Counter[tuple[str, str]] = Counter()
        self.heard = 0
        """How many jobs told a listener of their end."""
        self.samples: list[dict[str, float]] = []
        self.wrong: list[str] = []
        self._dice = random.Random(6)
        self._number = 0
        self._since = time.monotonic()
        self._until = self._since + 60 * minutes

    @property
    def done(self) -> int:
        """How many jobs have ended."""
        return sum(self.ended.values())

    async def run(self) -> None:
        """Make all jobs, so many at once."""
        kinds = [self.echo, self.text, self.chat, self.cancelled, self.hasty, self.upload]
        kinds += [self.download, self.in_session]
        weights = [64, 8, 4, 6, 6, 2, 0.3, 9.7]
        async with self.client.session() as session:
            self.session = session
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._sample)
                async with trio.open_nursery() as workers:
                    for _ in range(WORKERS):
                        workers.start_soon(self._work, kinds, weights)
                nursery.cancel_scope.cancel()

    async def _work(self, kinds: list[Any], weights: list[float]) -> None:
        while self._number < self.count:
            if time.monotonic() > self._until:
                self.count = self._number  # of which each is still seen to its end
                return
            self._number += 1
            [kind] = self._dice.choices(kinds, weights)
            await kind(self._number)

    async def _end(self, kind: str, job: Job[Any], *expected: Any) -> None:
        """Wait for a job, and count how it ended.

        Args:
            expected: The values that it may have; none for a job that is cancelled.
        """
        self.started[kind] += 1
        job.on_result(self._hear)
        await job.wait()
        error = job.exception()
        if error is None:
            value = await job.result()
            if expected and value not in expected:
                self.wrong.append(f"{kind}: {value!r}")
        elif not isinstance(error, EXPECTED):
            self.wrong.append(f"{kind}: {error!r}")
        elif isinstance(error, JobCancelled) and expected:
            self.wrong.append(f"{kind}: cancelled by nobody: {error!r}")
        self.ended[kind, "value" if error is None else type(error).__name__] += 1

    def _hear(self, job: Job[Any]) -> None:
        self.heard += 1

    def _submit(self, name: str, *args: Any) -> Job[Any]:
        return self.group.submit(self.client.endpoint(name), *args)

    async def echo(self, number: int) -> None:
        """Call a plain function."""
        await self._end("plain", self._submit("/echo", f"call {number}"), f"call {number}")

    async def text(self, _number: int) -> None:
        """Follow a generator."""
        await self._end("stream of texts", self._submit("/text", STEPS), TEXT)

    async def chat(self, _number: int) -> None:
        """Iterate over a generator's outputs."""
        job = self._submit("/chat", STEPS)
        try:
            async for _ in job:
                pass
        except TriojobError:
            pass  # counted below
        await self._end("stream of chats", job, *job.outputs()[-1:])

    async def cancelled(self, number: int) -> None:
        """Cancel what runs."""
        job = self._submit("/endless", f"key {number}")
        with trio.move_on_after(1):
            async for _ in job.updates():
                if job.outputs():
                    break
        job.cancel("enough")
        await self._end("cancelled while it ran", job)

    async def hasty(self, number: int) -> None:
        """Cancel at any moment."""
        job = self._submit("/second", f"call {number}")
        await trio.sleep(0.1 * self._dice.random() ** 3)
        job.cancel("in haste")
        await self._end("cancelled at any moment", job)

    async def upload(self, _number: int) -> None:
        """Send a file."""
        size = self._dice.randrange(1, 40_000)
        job = self._submit("/size_of", handle_file(bytes(size), name="data.bin"))
        await self._end("upload", job, size)

    async def download(self, _number: int) -> None:
        """Read a file, in a function of our own as the job."""

        async def fetch() -> int:
            file = await self.client.predict(1, api_name="/make_file")
            size = 0
            async with file.open() as stream:
                async for part in stream:
                    size += len(part)
            return size

        # A gateway's page with status 200 can't be told from a file.
        await self._end("download", self.group.submit(fetch), MIB, len(PAGE))

    async def in_session(self, number: int) -> None:
        """Call in a session that all these calls share."""
        job = self.group.submit(self.session.endpoint("/echo"), f"call {number}")
        await self._end("in a shared session", job, f"call {number}")

    # Figures.

    async def _sample(self) -> None:
        while True:
            self.sample()
            await trio.sleep(1)

    def sample(self) -> dict[str, float]:
        """Note what the process has."""
        rows = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        status = dict(row.split(":", 1) for row in rows)
        sample = {
            "seconds": round(time.monotonic() - self._since, 1),
            "jobs": self.done,
            "rss_mib": round(int(status["VmRSS"].split()[0]) / 1024, 2),
            "threads": int(status["Threads"]),
            "descriptors": len([*Path("/proc/self/fd").iterdir()]),
            "tasks": trio.lowlevel.current_statistics().tasks_living,
        }
        self.samples.append(sample)
        if len(self.samples) % 60 == 0:
            print(json.dumps(sample), file=sys.stderr, flush=True)
        return sample


@contextmanager
def proxied(url: str, percent: float, told: dict[str, Any]) -> Generator[str, None, None]:
    """Run the proxy in front of a server; put into ``told`` what it did, once it has ended."""
    process = subprocess.Popen(
        [sys.executable, "-m", "qa.soak.proxy", url.rpartition(":")[2], str(percent)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            ready = process.stdout.readline().split()
            if ready[:1] != ["READY"]:
                raise RuntimeError("the proxy did not start")
            yield f"http://127.0.0.1:{ready[1]}"
            process.stdin.close()
            told.update(json.loads(process.stdout.readline()))
        finally:
            process.kill()


async def soak(
    url: str, count: int, minutes: float
) -> tuple[Soak, dict[str, float], dict[str, float]]:
    """Make the jobs; return what became of them, and what there was before and after."""
    made: Soak | None = None
    before: dict[str, float] = {}
    before_tasks = trio.lowlevel.current_statistics().tasks_living
    async with Client(url, timeouts=TIMES, download_files=False) as client:
        async with JobGroup(history=8) as group:
            made = Soak(client, group, count, minutes)
            before = made.sample()
            await made.run()
        assert made is not None
        # By then calls that were cancelled as they were sent have an answer or have waited for it,
        # the cancel requests are over, and the streams that lingered are closed.
        assert TIMES.read is not None
        await trio.sleep(TIMES.read + TIMES.cancel + 3)
        shown = repr(client)
        if f"0/{client.limits.streams} streams" not in shown or "0 jobs" not in shown:
            made.wrong.append(f"left: {shown}")
    assert made is not None
    gc.collect()
    await trio.sleep(1)
    after = made.sample()
    if trio.lowlevel.current_statistics().tasks_living != before_tasks:
        made.wrong.append("tasks are left")
    return made, before, after


def check(made: Soak, before: dict[str, float], after: dict[str, float]) -> None:
    """Find what is not as it should be."""
    for kind, count in made.started.items():
        ended = sum(n for (of, _), n in made.ended.items() if of == kind)
        if ended != count:
            made.wrong.append(f"{kind}: {count} were started and {ended} ended")
    totals = {made.count, sum(made.started.values()), made.done, made.heard}
    if totals != {made.count}:
        made.wrong.append(f"the counts differ: {totals}")
    if after["descriptors"] > before["descriptors"]:
        made.wrong.append(f"descriptors: {before['descriptors']}, then {after['descriptors']}")
    if {sample["threads"] for sample in made.samples} != {1}:
        made.wrong.append("there were threads")


def report(made: Soak, told: dict[str, Any]) -> dict[str, Any]:
    """Put the figures together."""
    outcomes: dict[str, dict[str, int]] = {}
    for (kind, outcome), count in sorted(made.ended.items()):
        outcomes.setdefault(kind, {})[outcome] = count
    return {
        "python": platform.python_version(),
        "jobs": made.count,
        "outcomes": outcomes,
        "proxy": told,
        "wrong": made.wrong,
        "samples": made.samples[:: max(1, len(made.samples) // 400)],
    }


def print_table(outcomes: dict[str, dict[str, int]]) -> str:
    """Return the counts as a table in Markdown, with its sums."""
    names = sorted({name for row in outcomes.values() for name in row})
    names.sort(key=lambda name: -sum(row.get(name, 0) for row in outcomes.values()))
    lines = [
        f"| kind of job | {' | '.join(f'`{n}`' if n != 'value' else n for n in names)} | all |",
        f"| --- |{' ---: |' * (len(names) + 1)}",
    ]
    sums: Counter[str] = Counter()
    for kind, row in outcomes.items():
        sums.update(row)
        cells = [f"{row.get(name, 0):,}" for name in names]
        lines.append(f"| {kind} | {' | '.join(cells)} | {sum(row.values()):,} |")
    cells = [f"{sums[name]:,}" for name in names]
    lines.append(f"| all | {' | '.join(cells)} | {sum(sums.values()):,} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=200_000)
    parser.add_argument("--minutes", type=float, default=math.inf, help="start none after those")
    parser.add_argument("--percent", type=float, default=3, help="of requests that meet a fault")
    parser.add_argument("--write", action="store_true", help="write into docs/reliability")
    options = parser.parse_args()
    told: dict[str, Any] = {}
    with (
        running("replay") as server,
        proxied(server.url, options.percent, told) as url,
    ):
        made, before, after = trio.run(soak, url, options.jobs, options.minutes)
    check(made, before, after)
    found = report(made, told)
    print(print_table(found["outcomes"]))
    print(json.dumps({"before": before, "after": after, **told}, indent=1))
    if options.write:
        from .plot import draw

        DOCS.mkdir(exist_ok=True)
        (DOCS / "soak.json").write_text(json.dumps(found) + "\n", encoding="utf-8")
        (DOCS / "soak.md").write_text(print_table(found["outcomes"]), encoding="utf-8")
        draw(found["samples"], DOCS / "soak.svg")
    if made.wrong:
        print(*made.wrong[:20], sep="\n")
        sys.exit(f"{len(made.wrong)} things were wrong")
    print(f"{made.count:,} jobs, all accounted for")


if __name__ == "__main__":
    main()
