"""Runs cases: each client in a process of its own, in turns, on the servers that they need."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ._cases import GRADIO, GRADIO_WIDE, IDEAL, MIB, NODE_PROGRAM, Case, Rival
from ._figures import Metrics, median_of, summary
from ._servers import HERE, ROOT, Server, running

CACHE = HERE / ".cache"
NODE_FOLDER = HERE / "rivals" / "node"
MODULES = {
    "gradio_client_": "gradio_client",
    "noob_client": "noob_gradio",
    "triojob_sync": "triojob.sync",
    "floor_httptools": "httptools",
}
"""What a rival's program needs beside what triojob needs."""
SLOW, PATIENCE = {GRADIO, GRADIO_WIDE}, 3
"""The others have so many times the time that these have for a case."""
ENOUGH = 10
"""A client that has taken so many seconds for a case is not run for it again."""


@dataclass
class Row:
    """What came out of one case for one client."""

    scenario: str
    case: str
    server: str | None
    rival: str
    n: int | None
    metrics: Metrics = field(default_factory=dict)
    runs: list[Metrics] = field(default_factory=list)
    failed: str | None = None
    """Why there are no figures: it took too long, or it broke."""


def client_environment() -> dict[str, str]:
    """Return the environment of a client's process.

    Bytecode may be written there: else a package that was installed without it, as uv does, would
    be compiled at each import, and its rivals not.
    """
    own = {"PYTHONWARNINGS": "ignore", "NO_COLOR": "1"}
    return {
        name: value
        for name, value in {**os.environ, **own}.items()
        if name != "PYTHONDONTWRITEBYTECODE"
    }


class Bench:
    """Runs cases; prints as it goes."""

    def __init__(self, say: Callable[[str], object]) -> None:
        self.say = say
        self.rows: list[Row] = []
        self.notes: list[str] = []
        self._servers: dict[str, Server] = {}
        self._too_slow: dict[tuple[str, str, str | None, str], int] = {}
        self._missing: dict[str, str | None] = {}

    def note(self, text: str) -> None:
        """Say something that belongs in the report."""
        self.notes.append(text)
        self.say(f"note: {text}")

    def run(self, cases: Sequence[Case]) -> None:
        """Run all cases; start servers when they are first needed."""
        with ExitStack() as stack:
            for case in cases:
                server = None
                if case.server is not None and not case.fresh:
                    if case.server not in self._servers:
                        self.say(f"starting the {case.server} server")
                        self._servers[case.server] = stack.enter_context(running(case.server))
                    server = self._servers[case.server]
                with prepared(case) as arguments:
                    self._run_case(case, server, arguments)
                if case.ideal is not None:
                    row = Row(case.scenario, case.name, case.server, IDEAL, case.n)
                    row.metrics["wall"] = case.ideal
                    self.rows.append(row)

    def _run_case(self, case: Case, server: Server | None, arguments: dict[str, Any]) -> None:
        where = f" on the {case.server} server" if case.server else ""
        self.say(f"{case.scenario}: {case.name}{where}")
        if server is not None:
            arguments = {"url": server.url, **arguments}
        rows = [
            Row(case.scenario, case.name, case.server, rival.label, case.n) for rival in case.rivals
        ]
        taking_part: list[tuple[Rival, Row]] = []
        for rival, row in zip(case.rivals, rows, strict=True):
            if (missing := self._what_is_missing(rival.program)) is not None:
                row.failed = missing
                continue
            if (least := self._too_slow.get(growth_of(case, rival))) is not None:
                row.failed = f"not run: too slow for {least:,} already"
                continue
            taking_part.append((rival, row))
        spent = dict.fromkeys((row.rival for _, row in taking_part), 0.0)
        for turn in range(case.rounds):
            # Each goes first once, so that none always has the machine as another left it.
            shift = turn % max(len(taking_part), 1)
            for rival, row in taking_part[shift:] + taking_part[:shift]:
                if row.failed is None and spent[row.rival] < ENOUGH:
                    spent[row.rival] += self._run_once(case, rival, row, server, arguments)
        for row in rows:
            row.metrics = median_of(row.runs)
            self.say(f"  {row.rival:34} {brief(row)}")
        self.rows += [row for row in rows if row.runs or row.failed]

    def _run_once(
        self,
        case: Case,
        rival: Rival,
        row: Row,
        server: Server | None,
        arguments: dict[str, Any],
    ) -> float:
        if case.fresh and server is None:
            assert case.server is not None
            with running(case.server) as new:
                return self._run_once(case, rival, row, new, {"url": new.url, **arguments})
        before = server.cpu() if server else None
        start = time.monotonic()
        timeout = case.timeout * (1 if rival.label in SLOW else PATIENCE)
        try:
            told = run_client(rival, case.run, {**arguments, **rival.arguments}, timeout)
        except TimeoutError:
            row.failed = f"> {timeout:g} s"
            if case.n is not None:
                self._too_slow[growth_of(case, rival)] = case.n
            return timeout
        except ClientError as error:
            row.failed = "failed"
            self.note(f"{rival.label} failed in {case.scenario}, {case.name}: {error}")
            return time.monotonic() - start
        metrics = summary(told)
        calls = rival.arguments.get("calls", arguments.get("calls"))
        if calls and "cpu" in metrics:
            metrics["cpu_a_call"] = metrics["cpu"] / calls
            metrics["calls_a_second"] = calls / metrics["wall"]
            if "grown_kib" in metrics:
                metrics["kib_a_call"] = metrics["grown_kib"] / calls
        after = server.cpu() if server else None
        if before is not None and after is not None:
            metrics["server_cpu"] = after - before
        if failures := told.get("failures"):
            self.note(f"{rival.label} lost calls in {case.scenario}, {case.name}: {failures}")
        row.runs.append(metrics)
        return time.monotonic() - start

    def _what_is_missing(self, program: str) -> str | None:
        if program not in self._missing:
            self._missing[program] = missing = what_is_missing(program)
            if missing is not None:
                self.note(f"{program.strip('_')} is left out: {missing}")
        return self._missing[program]


class ClientError(Exception):
    """A client's process failed."""


def growth_of(case: Case, rival: Rival) -> tuple[str, str, str | None, str]:
    """Name what differs by n alone."""
    return case.scenario, str(case.arguments.get("fn")), case.server, rival.label


def brief(row: Row) -> str:
    """Say the most of a row in one line."""
    if row.failed:
        return row.failed
    shown: list[str] = []
    for name, unit, factor in (
        ("latency_median", "ms a call", 1e3),
        ("raise_median", "ms to the raise", 1e3),
        ("stop_median", "ms to the stop", 1e3),
        ("wall", "s", 1),
        ("cpu", "s of CPU", 1),
        ("grown_kib", "MiB grown", 1 / 1024),
        ("lost", "lost", 1),
    ):
        if name in row.metrics:
            shown.append(f"{row.metrics[name] * factor:.4g} {unit}")
    return ", ".join(shown)


def what_is_missing(program: str) -> str | None:
    """Say why a client can't be run here; None if it can."""
    if program == NODE_PROGRAM:
        return install_node_client()
    module = MODULES.get(program)
    if module is not None and importlib.util.find_spec(module) is None:
        return f"there is no {module}"
    return None


def install_node_client() -> str | None:
    """Install @gradio/client by npm, once; say why that is impossible, or None."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        return "there is no node and npm"
    folder = CACHE / "node"
    folder.mkdir(parents=True, exist_ok=True)
    wanted = (NODE_FOLDER / "package.json").read_bytes()
    installed = folder / "package.json"
    shutil.copy(NODE_FOLDER / "client.mjs", folder)
    if (
        (folder / "node_modules").exists()
        and installed.exists()
        and installed.read_bytes() == wanted
    ):
        return None
    shutil.copy(NODE_FOLDER / "package.json", folder)
    command = [npm, "install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        shutil.rmtree(folder / "node_modules", ignore_errors=True)
        return "npm could not install it"
    return None


@contextmanager
def prepared(case: Case) -> Generator[dict[str, Any], None, None]:
    """Give the arguments of a case; a file to send exists while the block runs."""
    if case.run != "upload":
        yield case.arguments
        return
    with tempfile.TemporaryDirectory(prefix="triojob-benchmarks-") as folder:
        path = Path(folder) / "file.bin"
        with path.open("wb") as file:
            for _ in range(case.arguments["mib"]):
                # Nothing on the way can make it smaller.
                file.write(os.urandom(MIB))
        yield {"path": str(path)}


def run_client(
    rival: Rival, scenario: str, arguments: dict[str, Any], timeout: float
) -> dict[str, Any]:
    """Run a client's process; return what it told.

    Raises:
        TimeoutError: It took longer than ``timeout`` seconds, and was killed.
        ClientError: It failed.
    """
    command = [sys.executable, "-m", f"benchmarks.rivals.{rival.program}"]
    if rival.program == NODE_PROGRAM:
        command = ["node", "--expose-gc", str(CACHE / "node" / "client.mjs")]
    try:
        done = subprocess.run(
            [*command, scenario, json.dumps(arguments)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            env=client_environment(),
        )
    except subprocess.TimeoutExpired:
        raise TimeoutError from None
    lines = done.stdout.splitlines()
    if done.returncode or not lines:
        raise ClientError(last_error(done.stderr))
    told: dict[str, Any] = json.loads(lines[-1])
    return told


def last_error(stderr: str) -> str:
    """Return the line of a traceback that names the error; of a group, the innermost."""
    lines = [line.strip(" |") for line in stderr.splitlines()]
    errors = [line for line in lines if re.match(r"[\w.]+(Error|Exception|Closed|Timeout)\b", line)]
    return (errors or [line for line in lines if line] or ["it said nothing"])[-1][:200]


def as_json(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Return the rows as they are written down."""
    return [
        {
            **{name: getattr(row, name) for name in ("scenario", "case", "server", "rival", "n")},
            "failed": row.failed,
            "metrics": row.metrics,
            "runs": row.runs,
        }
        for row in rows
    ]
