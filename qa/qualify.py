"""Runs what qualifies a release, one session of nox after another: ``nox -s qualify``.

A step that passed is not run again for the same code, so that a run that was interrupted, or in
which a step failed, continues where it is needed.  `STATE` keeps that; delete it to run all again.

``-- --list`` shows what has passed and what is to run; ``-- STEP...`` runs these steps only.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STATE = ROOT / ".nox" / "qualify.json"

STEPS = {
    "full": "",
    "mutation": "docs/reliability/mutation-figures.md",
    "model": "",
    "fuzz": "",
    "faults": "docs/reliability/matrix.md",
    "soak": "docs/reliability/soak.*",
    "eras": "docs/eras.md",
    "benchmarks": "docs/performance/",
}
"""The sessions in their order, with what each writes."""

CODE = ("triojob", "tests", "qa", "benchmarks", "conftest.py", "noxfile.py", "pyproject.toml")
"""A change of these makes all steps run again; the pages that steps write are not among them."""


def git(*arguments: str) -> str:
    """Return what git prints.

    Raises:
        subprocess.CalledProcessError: This is not a checkout.
    """
    command = ["git", "-C", str(ROOT), *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


class State:
    """Which steps have passed for this code, in how many seconds; kept in a file.

    Args:
        path: The file.
        code: Identifies the code; what the file says of other code does not count.
    """

    def __init__(self, path: Path, code: str) -> None:
        self._path = path
        self._code = code
        kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        self.passed: dict[str, int] = kept["passed"] if kept.get("code") == code else {}

    def add(self, step: str, seconds: int) -> None:
        """Keep that a step has passed, whatever happens to this process next."""
        self.passed[step] = seconds
        self._path.parent.mkdir(exist_ok=True)
        new = self._path.with_suffix(".new")
        new.write_text(json.dumps({"code": self._code, "passed": self.passed}), encoding="utf-8")
        new.replace(self._path)

    def lines(self) -> list[str]:
        """Return a line for each step: what became of it, and what it writes."""
        results = {step: f"passed in {seconds} s" for step, seconds in self.passed.items()}
        return [
            f"{step:10}  {results.get(step, 'to run'):18}  {page}".rstrip()
            for step, page in STEPS.items()
        ]


def qualify(steps: Sequence[str], state: State, run: Callable[[str], int]) -> list[str]:
    """Run the steps that have not passed yet, in their order; return those that fail.

    A step that fails does not prevent the next ones.
    """
    failed = []
    for step in steps:
        if step in state.passed:
            continue
        started = time.monotonic()
        if run(step) == 0:
            state.add(step, round(time.monotonic() - started))
        else:
            failed.append(step)
    return failed


def run_session(step: str) -> int:
    """Run a session of nox; return its exit code."""
    process = subprocess.Popen([sys.executable, "-m", "nox", "-s", step], cwd=ROOT)
    try:
        return process.wait()
    except KeyboardInterrupt:
        process.wait()  # it was interrupted too, and cleans up
        raise


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; return the exit code."""
    parser = argparse.ArgumentParser(prog="nox -s qualify --", description=__doc__)
    parser.add_argument("--list", action="store_true", help="only show what has passed")
    parser.add_argument("steps", nargs="*", metavar="STEP", help=", ".join(STEPS))
    options = parser.parse_args(arguments)
    if unknown := set(options.steps) - STEPS.keys():
        parser.error(f"no such step: {', '.join(sorted(unknown))}")
    if not options.list and git("status", "--porcelain", "--", *CODE):
        parser.error("commit the code first: what passes is kept for a commit")
    state = State(STATE, git("ls-tree", "HEAD", "--", *CODE))
    failed: list[str] = []
    if not options.list:
        steps = [step for step in STEPS if not options.steps or step in options.steps]
        failed = qualify(steps, state, run_session)
    print(*state.lines(), sep="\n")
    if failed:
        print(f"failed: {', '.join(failed)}; `nox -s qualify` runs them again")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
