"""The notebooks of docs/notebooks.md, in real kernels.  `nox -s notebook` has what it takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

nbformat = pytest.importorskip("nbformat", reason="nox -s notebook runs this")
nbclient = pytest.importorskip("nbclient", reason="nox -s notebook runs this")
pytest.importorskip("ipykernel", reason="nox -s notebook runs this")

# The kernel and its client warn of each other; none of it is about us.
pytestmark = pytest.mark.filterwarnings("default")

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
URL = "http://127.0.0.1:7860"


def run(name: str, url: str) -> tuple[str, list[dict[str, Any]]]:
    """Run a file of cells; return what it printed and its last values, and what it displayed."""
    text, _, _ = (EXAMPLES / name).read_text(encoding="utf-8").partition("\n# prints:\n")
    assert URL in text
    cells = [cell.strip() for cell in text.replace(URL, url).split("# %%\n")[1:]]
    notebook = nbformat.v4.new_notebook(cells=list(map(nbformat.v4.new_code_cell, cells)))
    nbclient.NotebookClient(notebook, timeout=100, kernel_name="python3").execute()
    outputs = [output for cell in notebook.cells for output in cell.outputs]
    kinds = {output.output_type for output in outputs}
    assert kinds <= {"stream", "execute_result", "display_data"}
    assert all(output.name == "stdout" for output in outputs if output.output_type == "stream")
    said = [
        output.text if output.output_type == "stream" else output.data["text/plain"] + "\n"
        for output in outputs
        if output.output_type != "display_data"
    ]
    return "".join(said), [o for o in outputs if o.output_type == "display_data"]


def expected(name: str) -> str:
    _, _, block = (EXAMPLES / name).read_text(encoding="utf-8").partition("\n# prints:\n")
    return "".join(line.removeprefix("# > ") + "\n" for line in block.splitlines())


def test_cells_of_trio(gradio_url):
    said, shown = run("notebook_trio.ipy", gradio_url)
    assert said == expected("notebook_trio.ipy")
    (view,) = shown
    assert "3 done" in view.data["text/plain"]


def test_cells_of_asyncio_with_the_bridge(gradio_url):
    said, shown = run("notebook_sync.ipy", gradio_url)
    assert said == expected("notebook_sync.ipy")
    assert not shown
