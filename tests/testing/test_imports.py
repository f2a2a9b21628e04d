"""What importing costs: nobody pays for tests who runs none."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.hanging import SECONDS


@pytest.mark.parametrize(
    "imported, absent",
    [
        ("triojob", ["triojob.testing", "trio.testing", "pytest"]),
        ("triojob.testing", ["triojob.testing.pytest", "gradio", "triojob._cli"]),
    ],
)
def test_imports_no_more_than_it_needs(imported: str, absent: list[str]):
    code = f"import sys, {imported}; print([name for name in {absent} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=SECONDS, check=True
    )
    assert done.stdout == "[]\n"
