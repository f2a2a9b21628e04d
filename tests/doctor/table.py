"""The table of the doctor's findings: ``python -m tests.doctor.table`` writes it to its page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from triojob._doctor.catalog import CATALOG

PAGE = Path(__file__).resolve().parents[2] / "docs" / "doctor.md"
MARK = "<!-- python -m tests.doctor.table writes what follows. -->\n"


def page() -> str:
    """Return the page with the table of today."""
    return PAGE.read_text(encoding="utf-8").partition(MARK)[0] + "".join([MARK, "\n", *_table()])


def _table() -> Iterator[str]:
    yield "| code | severity | what it means | what to change |\n| --- | --- | --- | --- |\n"
    for code, entry in CATALOG.items():
        changes = "<br>".join(f"{remedy.side}: {remedy.change}" for remedy in entry.remedies)
        cells = (_quoted(cell) for cell in (entry.means, changes))
        yield f"| `{code}` | {entry.severity} | {' | '.join(cells)} |\n"


def _quoted(text: str) -> str:
    return text.replace("|", "\\|").replace("_", "\\_").replace("$", "\\$").replace("*", "\\*")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
