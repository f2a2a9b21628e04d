"""Write what the runs of the matrix found as tables in Markdown.

Run as ``python write_tables.py RESULTS PAGE``: RESULTS is a folder with one JSON file a release.
It fails, after writing, if a cell was not run or did not end as expected.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

SHORT = {
    "the value": "value",
    "the page, as the file": "page",
    "ConnectionLost": "Lost",
    "ConnectionFailed": "Failed",
    "ConnectionTimeout": "Timeout",
    "JobCancelled": "Cancelled",
    "UnexpectedResponse": "Unexpected",
    "ProtocolError": "Protocol",
    "TooManyRequests": "TooMany",
    "QueueFull": "Full",
}


def row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def table(head: list[str], rows: list[list[str]], *, numbers: bool) -> list[str]:
    rule = [" --- ", *[" ---: " if numbers else " --- "] * (len(head) - 1)]
    return [row(head), f"|{'|'.join(rule)}|", *map(row, rows), ""]


def by_release(results: list[dict[str, Any]]) -> list[str]:
    """Count the cells of each release."""
    rows, sums = [], Counter[str]()
    for result in results:
        counts = Counter(
            "impossible"
            if cell["impossible"]
            else {True: "as expected", False: "not", None: "not run"}[cell["found"]]
            for cell in result["cells"]
        )
        sums += counts
        rows.append([result["release"], f"`{result['protocol']}`", *_counts(counts)])
    rows.append(["all", "", *_counts(sums)])
    head = ["Gradio", "protocol", "cells", "as expected", "not", "not run", "can't be"]
    return table(head, rows, numbers=True)


def _counts(counts: Counter[str]) -> list[str]:
    names = ("as expected", "not", "not run", "impossible")
    return [str(counts.total()), *(str(counts[name]) for name in names)]


def by_outcome(results: list[dict[str, Any]]) -> list[str]:
    """Count the outcomes of each fault, over all releases and moments."""
    counts: dict[str, Counter[str]] = {}
    for result in results:
        for cell in result["cells"]:
            counts.setdefault(cell["fault"], Counter())[cell["expected"] or "can't be"] += 1
    sums = sum(counts.values(), Counter[str]())
    names = [name for name, _ in sums.most_common() if name != "can't be"] + ["can't be"]
    rows = [
        [fault, *(str(count[name] or "") for name in names)]
        for fault, count in [*counts.items(), ("all", sums)]
    ]
    shown = [f"`{name}`" if name[0].isupper() else name for name in names]
    return table(["fault", *shown], rows, numbers=True)


def grid(result: dict[str, Any]) -> list[str]:
    """Show each cell of one release."""
    moments = list(dict.fromkeys(cell["moment"] for cell in result["cells"]))
    rows: dict[str, list[str]] = {}
    for cell in result["cells"]:
        rows.setdefault(cell["fault"], [cell["fault"]]).append(
            SHORT.get(cell["expected"], cell["expected"]) or "–"
        )
    return table(["fault", *moments], list(rows.values()), numbers=False)


def reasons(results: list[dict[str, Any]]) -> list[str]:
    """Say why cells can't be."""
    counts = Counter(
        cell["impossible"] for result in results for cell in result["cells"] if cell["impossible"]
    )
    return table(
        ["why it can't be", "cells"], [[r, str(n)] for r, n in counts.most_common()], numbers=True
    )


def main() -> None:
    folder, page = map(Path, sys.argv[1:])
    results = [json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("*.json")]
    results.sort(key=lambda result: [int(part) for part in result["release"].split(".")])
    lines = ["<!-- Written by qa/reliability/write_tables.py; see `nox -s faults`. -->", ""]
    lines += by_release(results)
    lines += ["How the cells end, by fault, over all releases and moments:", ""]
    lines += by_outcome(results)
    lines += [f"Each cell of Gradio {results[-1]['release']}:", "", *grid(results[-1])]
    lines += ["Why the others can't be:", "", *reasons(results)]
    page.parent.mkdir(exist_ok=True)
    page.write_text("\n".join(lines), encoding="utf-8")
    cells = [
        (f"{result['release']}, {cell['moment']}: {cell['fault']}", cell["found"])
        for result in results
        for cell in result["cells"]
        if not cell["impossible"]
    ]
    bad = [
        f"{name}: {'not run' if found is None else 'failed'}" for name, found in cells if not found
    ]
    if bad:
        failed = f"{len(bad)} of {len(cells)} cells were not run or did not end as expected"
        sys.exit("\n".join([*bad, failed]))


if __name__ == "__main__":
    main()
