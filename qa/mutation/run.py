"""Mutation testing: which mistakes in the core would the tests notice?

``python run.py [OPTION...] [FILE...]``; see ``nox -s mutation``.
What is known already is kept in ``.mutation``, so that a run that was stopped goes on where it was:
verdicts on a function as it is now, those on survivors only as long as the tests are as they were.

Fails if a mutant survives that ``survivors.toml`` doesn't explain, or if that explains one that
doesn't survive any more.
"""

from __future__ import annotations

import argparse
import gc
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# At the end: the triojob that is tried is the installed one.
sys.path.append(str(ROOT))

import pytest

import triojob
from qa.mutation.knowledge import Knowledge, Summary, summarize, table
from qa.mutation.mutants import mutants_of
from qa.mutation.targets import LEFT_OUT, TARGETS
from qa.mutation.trying import Trier

PACKAGE = Path(triojob.__file__).resolve().parent
SHARED = (ROOT / "conftest.py", ROOT / "tests" / "support", ROOT / "tests" / "servers")
"""What all tests use."""


def main() -> int:
    options = parse()
    wanted = tuple(options.files)
    files = [file for file in TARGETS if not wanted or file.endswith(wanted)]
    summaries: list[Summary] = []

    def judge(trier: Trier) -> None:
        summaries.extend(judge_file(trier, file, options) for file in files)

    paths = {path for file in files for path in paths_of(file)}
    status = pytest.main(
        [
            *("-q", "-s", "--no-header", "-p", "no:cacheprovider", "-o", "faulthandler_timeout=0"),
            *("--config-file", str(ROOT / "pyproject.toml"), "--rootdir", str(ROOT)),
            *("--basetemp", str(ROOT / ".mutation" / "tmp"), *map(str, sorted(paths))),
        ],
        plugins=[Trier(judge, LEFT_OUT)],
    )
    if status != pytest.ExitCode.OK:
        return int(status)
    complaints = [line for summary in summaries for line in summary.complaints]
    print(*table(summaries), *complaints, sep="\n")
    if options.write is not None:
        options.write.write_text("\n".join(table(summaries)) + "\n", encoding="utf-8")
    return 1 if complaints else 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "files",
        nargs="*",
        metavar="FILE",
        help="such as group.py; else all of the core",
    )
    parser.add_argument(
        "--most",
        type=float,
        default=15.0,
        metavar="SECONDS",
        help="how much of its tests a mutant meets, the fastest first (%(default)s)",
    )
    parser.add_argument("--write", type=Path, metavar="PAGE", help="write the figures there")
    return parser.parse_args()


def paths_of(file: str) -> list[Path]:
    """Return the files and folders of a module's tests."""
    return sorted(path for pattern in TARGETS[file] for path in ROOT.glob(pattern))


def judge_file(trier: Trier, file: str, options: argparse.Namespace) -> Summary:
    """Try those mutants of a module of which nothing is known yet."""
    mutants = mutants_of(file, PACKAGE.parent / file)
    tests = trier.tests_in(paths_of(file))
    used = [*paths_of(file), *SHARED]
    knowledge = Knowledge(ROOT / ".mutation", file, PACKAGE, used, options.most)
    left = [mutant for mutant in mutants if knowledge.verdict(mutant) is None]
    print(f"\n{file}: {len(left)} of {len(mutants)} mutants are to be tried", flush=True)
    if left:
        baseline = knowledge.baseline()
        if baseline is None:
            print(f"{len(tests)} tests run twice without any first", flush=True)
            baseline = trier.measure(TARGETS, PACKAGE, tests)
            knowledge.keep_baseline(baseline)
        gc.freeze()  # else each fork would copy what is known of the tests
        control = trier.judge(None, baseline.within(set(baseline.seconds), options.most), baseline)
        if control.status != "survived":
            raise pytest.UsageError(f"without a mutant, in another order: {control}")
    killers: dict[str, list[str]] = {}
    for count, mutant in enumerate(left, 1):
        chosen = baseline.tests_for(mutant, options.most)
        # What noticed the last mistakes in a function is likely to notice the next one.
        likely = killers.setdefault(mutant.function, [])
        chosen.sort(key=lambda test: likely.index(test) if test in likely else len(likely))
        verdict = trier.judge(mutant, chosen, baseline)
        if verdict.test in chosen:
            likely[:] = [verdict.test, *(test for test in likely if test != verdict.test)]
        knowledge.keep(mutant, verdict)
        if verdict.status == "killed":
            print(".", end="", flush=True)
        else:
            print(
                f"\n{file} {count}/{len(left)} {verdict.status} ({verdict.seconds:.1f} s, "
                f"{verdict.tests} tests): {mutant.function}: {mutant.was} => {mutant.now}",
                flush=True,
            )
    return summarize(file, mutants, knowledge)


if __name__ == "__main__":
    sys.exit(main())
