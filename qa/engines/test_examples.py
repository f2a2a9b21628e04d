"""The examples of docs/examples/engines, on real engines and a real app."""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_examples import DOCS, expected_output

ENGINES = {"ray": "ray_*.py", "dask": "dask_*.py", "pyspark": "spark_*.py"}


def run(example: Path, url: str, tmp_path: Path) -> str:
    """Return what an example prints; what the engine logs meanwhile goes elsewhere."""
    done = subprocess.run(
        [sys.executable, str(example), url],
        env={
            **os.environ,
            "PYSPARK_PYTHON": sys.executable,
            "RAY_AUTH_TOKEN": secrets.token_hex(),
            "RAY_USAGE_STATS_ENABLED": "0",
            "SPARK_LOCAL_IP": "127.0.0.1",
        },
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    # Ray tells of a worker that died in the driver's own output.
    return re.sub(r"^.*\(raylet\).*\n", "", done.stdout, flags=re.MULTILINE)


@pytest.mark.parametrize("engine, pattern", ENGINES.items())
def test_examples_print_what_they_say(engine: str, pattern: str, gradio_url: str, tmp_path: Path):
    pytest.importorskip(engine, reason="nox -s engines runs this")
    examples = sorted((DOCS / "examples" / "engines").glob(pattern))
    assert examples
    for example in examples:
        assert run(example, gradio_url, tmp_path) == expected_output(example)


def test_each_example_is_of_an_engine():
    folder = DOCS / "examples" / "engines"
    found = {path for pattern in ENGINES.values() for path in folder.glob(pattern)}
    assert found == set(folder.iterdir())
