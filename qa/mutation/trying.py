"""A pytest plugin that runs the tests once, and then some of them for each mutant, in forks.

The process that pytest starts in imports everything and collects the tests; it runs none itself.
Each mutant gets a fork of it, so that a mutant costs no more than the tests that it meets.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import random
import resource
import select
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import coverage
import pytest
import trio

from qa.mutation.mutants import Mutant
from qa.mutation.planting import NotPlantedError, plant

PATIENCE = 6.0
"""Seconds that a test may take in any case before it counts as one that hangs."""

SLOW = 3.0
"""Seconds that a test may take; the few that take more are not used."""

MEMORY = 2 << 30
"""Bytes that a mutant may take beyond what there is before it."""


@dataclass
class Verdict:
    """What became of a mutant."""

    status: str
    """killed, timeout or survived."""
    test: str = ""
    """The one that noticed, or hung."""
    tests: int = 0
    """How many it met."""
    seconds: float = 0.0


@dataclass
class Baseline:
    """What the tests do with the program as it is."""

    seconds: dict[str, float] = field(default_factory=dict)
    """For each test that passed."""
    lines: dict[str, dict[int, list[str]]] = field(default_factory=dict)
    """For each file, the tests that run each line."""

    def tests_for(self, mutant: Mutant, most: float) -> list[str]:
        """Return tests that run the mutant's lines, see `within`.

        Code that runs at import has all tests.
        """
        by_line = self.lines.get(mutant.file, {})
        chosen = {test for line in mutant.lines for test in by_line.get(line, ())}
        if not mutant.function:
            chosen.update(test for tests in by_line.values() for test in tests)
        return self.within(chosen - {""}, most)

    def within(self, chosen: set[str], most: float) -> list[str]:
        """Return the fastest of these tests, ``most`` seconds in all, but at least one.

        Of each function the fastest comes first; what it does with other parameters comes after
        all of those, as they notice much the same.
        """
        tests, total = [], 0.0
        ranks: dict[str, tuple[int, float]] = {}
        seen: Counter[str] = Counter()
        for test in sorted(chosen, key=lambda test: (self.seconds[test], test)):
            function = test.partition("[")[0]
            ranks[test] = seen[function], self.seconds[test]
            seen[function] += 1
        for test in sorted(ranks, key=ranks.__getitem__):
            total += self.seconds[test]
            if total > most and tests:
                break
            tests.append(test)
        return tests


class Trier:
    """The plugin; `main` is called with it once the tests are collected."""

    def __init__(self, main: Callable[[Trier], None], left_out: tuple[str, ...]) -> None:
        self._main = main
        self._left_out = left_out
        self._items: dict[str, pytest.Item] = {}
        self._pipe = -1

    def tests_in(self, paths: Iterable[Path]) -> list[str]:
        """Return the names of the tests in these files and folders."""
        places = set(paths)
        return [
            name
            for name, item in self._items.items()
            if not places.isdisjoint((item.path, *item.path.parents))
        ]

    def pytest_configure(self) -> None:
        # Hypothesis comes to the same examples in each run, and does not look for the smallest.
        # Not imported before pytest is, which rewrites its assertions.
        from hypothesis import Phase, settings

        phases = (Phase.explicit, Phase.generate)
        settings.register_profile("mutation", derandomize=True, database=None, phases=phases)
        settings.load_profile("mutation")

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        if session.testsfailed:
            raise pytest.UsageError("the tests can't even be collected")
        self._items = {
            item.nodeid: item
            for item in session.items
            if not any(word in item.nodeid for word in self._left_out)
        }
        gc.collect()
        gc.freeze()  # else each fork would copy all of it at its first collection
        self._main(self)
        return True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and self._pipe >= 0:
            self._say("failed", report.nodeid)
            os._exit(1)

    def _say(self, *what: Any) -> None:
        os.write(self._pipe, json.dumps(what).encode() + b"\n")

    # In the fork.

    def _run(self, tests: list[str]) -> None:
        items = [self._items[test] for test in tests]
        for item, following in zip(items, [*items[1:], None], strict=True):
            self._say("start", item.nodeid)
            # The same run each time, whatever was run before.
            random.seed(0)
            trio._core._run._r.seed(0)
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        self._say("passed")

    def _fork(self, work: Callable[[], None]) -> tuple[int, int]:
        receiving, sending = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid:
            os.close(sending)
            return pid, receiving
        code = 1
        try:
            os.close(receiving)
            self._pipe = sending
            null = os.open(os.devnull, os.O_RDWR)
            for descriptor in (0, 1, 2):
                os.dup2(null, descriptor)
            # A shell that starts something in the background has it ignore Ctrl-C.
            signal.signal(signal.SIGINT, signal.default_int_handler)
            work()
            code = 0
        except BaseException as exc:  # noqa: BLE001 - the fork ends here, whatever it was
            self._say("broken", f"{type(exc).__name__}: {exc}"[:500])
        finally:
            os._exit(code)

    # Around it.

    def measure(self, files: Iterable[str], package: Path, tests: list[str]) -> Baseline:
        """Run these tests twice: what they take, and which lines of the files each of them runs."""
        baseline = Baseline()

        def work() -> None:
            usable = []
            for test in tests:
                started = time.perf_counter()
                self._run([test])
                seconds = time.perf_counter() - started
                if seconds <= SLOW:
                    usable.append(test)
                    self._say("took", test, seconds)
            # Once more, as this makes some of them many times as slow.
            paths = [str(package.parent / file) for file in files]
            cov = coverage.Coverage(
                data_file=None, config_file=False, include=paths, messages=False
            )
            cov.start()
            for test in usable:
                cov.switch_context(test)
                self._run([test])
            cov.stop()
            data = cov.get_data()
            for file in data.measured_files():
                for line, names in data.contexts_by_lineno(file).items():
                    self._say("line", os.path.relpath(file, package.parent), line, names)
            self._say("all")

        done = False
        for word, *rest in self._listen(*self._fork(work), lambda _: 600.0):
            if word == "took":
                baseline.seconds[rest[0]] = rest[1]
            elif word == "line":
                baseline.lines.setdefault(rest[0], {})[rest[1]] = rest[2]
            elif word in {"failed", "broken", "timeout"}:
                raise pytest.UsageError(f"the tests fail without any mutant: {word} {rest}")
            done = done or word == "all"
        if not done:
            raise pytest.UsageError("the run without any mutant ended early")
        return baseline

    def judge(self, mutant: Mutant | None, tests: list[str], baseline: Baseline) -> Verdict:
        """Run the tests with a mutant until one of them fails; None for the program as it is.

        A mutant that no test runs has survived.
        """
        if not tests:
            return Verdict("survived")

        def work() -> None:
            with contextlib.suppress(ValueError, OSError):
                pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
                most = pages * resource.getpagesize() + MEMORY
                resource.setrlimit(resource.RLIMIT_AS, (most, most))
            if mutant is not None:
                try:
                    plant(_module(mutant.file), mutant.source)
                except NotPlantedError:
                    self._say("not planted")
                    return
            self._run(tests)

        verdict = Verdict("killed", "the process ended")
        started = time.perf_counter()

        def patience(test: str) -> float:
            return PATIENCE + 20 * baseline.seconds.get(test, 0.0)

        for word, *rest in self._listen(*self._fork(work), patience):
            if word == "start":
                verdict.tests += 1
            elif word == "passed":
                verdict.status, verdict.test = "survived", ""
            elif word in {"timeout", "failed", "broken"}:
                verdict.status = "timeout" if word == "timeout" else "killed"
                verdict.test = rest[0]
            elif word == "not planted":
                raise pytest.UsageError(f"no difference: {mutant and mutant.key}")
        verdict.seconds = time.perf_counter() - started
        return verdict

    def _listen(
        self, pid: int, pipe: int, patience: Callable[[str], float]
    ) -> Iterable[tuple[Any, ...]]:
        """Yield what a fork says; end it when a test takes too long."""
        rest, test = b"", ""
        deadline = time.monotonic() + 60
        try:
            while True:
                left = deadline - time.monotonic()
                if left <= 0 or not select.select([pipe], [], [], left)[0]:
                    yield ("timeout", test)
                    return
                if not (data := os.read(pipe, 1 << 20)):
                    return
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    words = json.loads(line)
                    if words[0] == "start":
                        test = words[1]
                    deadline = time.monotonic() + patience(test)
                    yield words
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            os.close(pipe)


def _module(file: str) -> ModuleType:
    return importlib.import_module(file.removesuffix(".py").replace("/", "."))
