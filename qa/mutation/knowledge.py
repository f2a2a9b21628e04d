"""Keeps what is known of mutants between runs, and compares it with the list of explanations."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import tomllib

from qa.mutation.mutants import Mutant
from qa.mutation.trying import Baseline, Verdict

SURVIVORS = Path(__file__).with_name("survivors.toml")
STATUSES = ("killed", "timeout", "survived")


def fingerprint(paths: Iterable[Path]) -> str:
    """Return a hash of what is in these files, and in all Python files of these folders."""
    digest = hashlib.sha256()
    for path in paths:
        for file in sorted(path.rglob("*.py")) if path.is_dir() else (path,):
            digest.update(file.read_bytes())
    return digest.hexdigest()


def text_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


class Knowledge:
    """What earlier runs found out about one module.

    A kill holds as long as the function is what it was: tests are added more often than taken away.
    A survivor meets the tests again when they have changed, or when it may meet more of them.
    """

    def __init__(
        self, folder: Path, file: str, package: Path, tests: list[Path], most: float
    ) -> None:
        folder.mkdir(exist_ok=True)
        self._most = most
        stem = file.replace("/", "-").removesuffix(".py")
        self._tests = fingerprint(tests)
        everything = fingerprint([package, *tests])
        # Modules with the same tests share it.
        self._baseline = folder / f"baseline-{everything[:16]}.json"
        self._verdicts = folder / f"{stem}.jsonl"
        self._known: dict[tuple[str, ...], Verdict] = {}
        if self._verdicts.exists():
            for line in self._verdicts.read_text(encoding="utf-8").splitlines():
                self._recall(json.loads(line))

    def _recall(self, entry: dict[str, Any]) -> None:
        verdict = Verdict(**entry["verdict"])
        holds = verdict.status != "survived" or (
            entry["tests"] == self._tests and entry.get("most", 0) >= self._most
        )
        if holds:
            self._known[(*entry["key"], entry["body"])] = verdict

    def verdict(self, mutant: Mutant) -> Verdict | None:
        """Return what became of the mutant, if that is known."""
        return self._known.get((*mutant.key, text_hash(mutant.body)))

    def keep(self, mutant: Mutant, verdict: Verdict) -> None:
        """Write down what became of the mutant."""
        body = text_hash(mutant.body)
        self._known[(*mutant.key, body)] = verdict
        entry = {
            "key": mutant.key,
            "body": body,
            "tests": self._tests,
            "most": self._most,
            "verdict": asdict(verdict),
        }
        with self._verdicts.open("a", encoding="utf-8") as log:
            log.write(json.dumps(entry) + "\n")

    def baseline(self) -> Baseline | None:
        """Return what the tests do without a mutant, if that is known."""
        if not self._baseline.exists():
            return None
        kept = json.loads(self._baseline.read_text(encoding="utf-8"))
        lines = {
            file: {int(line): tests for line, tests in by_line.items()}
            for file, by_line in kept["lines"].items()
        }
        return Baseline(kept["seconds"], lines)

    def keep_baseline(self, baseline: Baseline) -> None:
        """Write down what the tests do without a mutant."""
        self._baseline.write_text(json.dumps(asdict(baseline)), encoding="utf-8")


@dataclass(frozen=True)
class Summary:
    """How the mutants of one module fared."""

    file: str
    counts: Counter[str]
    complaints: list[str]


def summarize(file: str, mutants: list[Mutant], knowledge: Knowledge) -> Summary:
    """Count, and compare the survivors with the list."""
    explained: dict[tuple[str, str, str, str], dict[str, Any]] = {
        (entry["file"], entry["in"], entry["was"], now): entry
        for entry in tomllib.loads(SURVIVORS.read_text(encoding="utf-8"))["survivor"]
        if entry["file"] == file
        for now in entry["now"]
    }
    counts: Counter[str] = Counter()
    complaints = []
    survivors = set()
    for mutant in mutants:
        verdict = knowledge.verdict(mutant)
        assert verdict is not None
        counts[verdict.status] += 1
        if verdict.status == "survived":
            survivors.add(mutant.key)
            if mutant.key not in explained:
                complaints.append(f"survived: {' | '.join(mutant.key)}")
    complaints += [
        f"no survivor: {' | '.join(key)}"
        for key, entry in explained.items()
        if key not in survivors and not entry.get("some_pythons", False)
    ]
    return Summary(file, counts, complaints)


def table(summaries: list[Summary]) -> list[str]:
    """Return the figures as a table in Markdown."""
    total: Counter[str] = Counter()
    for summary in summaries:
        total += summary.counts
    rows = [
        "| module | mutants | killed | timeout | survived | score |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, counts in [*((f"`{s.file}`", s.counts) for s in summaries), ("all", total)]:
        numbers = " | ".join(str(counts[status]) for status in STATUSES)
        score = (counts["killed"] + counts["timeout"]) / max(1, counts.total())
        rows.append(f"| {name} | {counts.total()} | {numbers} | {score:.1%} |")
    return rows
