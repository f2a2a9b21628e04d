"""Measure triojob beside other clients: ``python -m benchmarks [SCENARIO ...]``."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
from pathlib import Path
from typing import Any

from . import _facts, _report
from ._cases import CASES, Case
from ._runner import CACHE, Bench, as_json
from ._servers import COMMANDS, ROOT

DOCS = ROOT / "docs" / "performance"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "scenarios",
        nargs="*",
        metavar="SCENARIO",
        help=f"which to run, by default all: {', '.join(CASES)}",
    )
    parser.add_argument("--quick", action="store_true", help="small sizes, one round; minutes less")
    parser.add_argument("--only", help="only clients whose label has this in it; no goals then")
    parser.add_argument(
        "--server",
        dest="servers",
        action="append",
        choices=COMMANDS,
        help="only cases on this server; may be repeated",
    )
    parser.add_argument(
        "--out",
        type=Path,
        help="folder for results, tables and plots; by default docs/performance for a whole run, "
        "and benchmarks/.cache/results for others",
    )
    options = parser.parse_args()
    if unknown := set(options.scenarios) - set(CASES):
        parser.error(
            f"no such scenario: {', '.join(sorted(unknown))}; there are {', '.join(CASES)}"
        )
    whole = not (options.scenarios or options.quick or options.only or options.servers)
    folder: Path = options.out or (DOCS if whole else CACHE / "results")

    start = time.monotonic()
    facts = _facts.collect()
    bench = Bench(lambda text: print(text, file=sys.stderr, flush=True))
    cases = [
        case
        for name in options.scenarios or CASES
        for case in CASES[name](quick=options.quick)
        if not options.servers or case.server in options.servers
    ]
    if options.only:
        cases = [only(case, options.only) for case in cases]
    try:
        bench.run(cases)
    except KeyboardInterrupt:
        bench.note("the run was interrupted")
    facts["minutes"] = f"{(time.monotonic() - start) / 60:.1f}"
    rows = as_json(bench.rows)
    results: dict[str, Any] = {
        "quick": options.quick,
        "facts": facts,
        "notes": bench.notes,
        "rows": rows,
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    (folder / "tables.md").write_text(_report.markdown(results), encoding="utf-8")
    print(_report.markdown(results))
    try:
        from ._plots import draw
    except ImportError:
        bench.say("no plots: there is no matplotlib")
    else:
        draw(rows, folder)
    bench.say(f"results, tables and plots are in {folder}")


def only(case: Case, part: str) -> Case:
    """Leave out the other clients."""
    rivals = tuple(rival for rival in case.rivals if part in rival.label)
    return dataclasses.replace(case, rivals=rivals)


if __name__ == "__main__":
    main()
