"""The live view in a notebook: a real kernel runs a cell.  `nox -s notebook` has what it takes."""

from __future__ import annotations

import pytest

nbformat = pytest.importorskip("nbformat", reason="nox -s notebook runs this")
nbclient = pytest.importorskip("nbclient", reason="nox -s notebook runs this")
pytest.importorskip("ipykernel", reason="nox -s notebook runs this")

# The kernel and its client warn of each other; none of it is about us.
pytestmark = pytest.mark.filterwarnings("default")

CELL = """
import trio, triojob
from triojob import JobGroup, report

async def draw(number):
    for row in range(8):
        report.progress((row + 1, 8), desc=f"picture {number}", unit="rows")
        await trio.sleep(0.1)

async def main():
    async with JobGroup(limit=2) as group, triojob.live(group, total=4):
        for number in range(4):
            group.submit(draw, number)
        await trio.sleep(0.5)
        print("printed by the body")

trio.run(main)
"""


def run_cell(source: str) -> list[dict]:
    """Run a cell in a kernel of its own; return its outputs."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    nbclient.NotebookClient(notebook, timeout=100, kernel_name="python3").execute()
    return notebook.cells[0].outputs


def test_cell_shows_the_last_state():
    outputs = run_cell(CELL)
    (shown,) = [item for item in outputs if item.output_type == "display_data"]
    (printed,) = [item for item in outputs if item.output_type == "stream"]
    assert printed.text == "printed by the body\n"
    lines = shown.data["text/plain"].splitlines()
    assert [line.split()[:3] for line in lines[:4]] == [
        [f"#{number}", "draw", "done"] for number in (1, 2, 3, 4)
    ]
    assert lines[4] == "4 done"
    assert "100%  4 of 4 ended" in lines[5]
    assert shown.data["text/html"].startswith("<pre ")
    assert "4 done" in shown.data["text/html"]


def test_it_was_shown_on_the_way_there():
    # What the kernel sent while the cell ran: the first drawing, and the ones that replaced it.
    updates: list[str] = []

    class Watching(nbclient.NotebookClient):
        def process_message(self, msg, cell, cell_index):
            if msg["msg_type"] in ("display_data", "update_display_data"):
                updates.append(msg["content"]["data"]["text/plain"])
            return super().process_message(msg, cell, cell_index)

    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL)])
    Watching(notebook, timeout=100, kernel_name="python3").execute()
    assert any("2 running" in text and "/8 rows" in text for text in updates)
    assert updates[-1].splitlines()[4] == "4 done"
