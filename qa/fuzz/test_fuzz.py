"""Nothing that a server sends makes anything but the documented exceptions, whatever it is.

Each target in `targets.py` meets what Hypothesis makes up, and the corpus: the inputs under
``corpus/<target>/``, which are those that were of interest once.
``TRIOJOB_FUZZ_EXAMPLES`` says how many inputs to make up for each target; see ``nox -s fuzz``.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings

from qa.fuzz.strategies import CORPUS, INPUTS
from qa.fuzz.targets import TARGETS
from tests.wire.strategies import checked

EXAMPLES = os.environ.get("TRIOJOB_FUZZ_EXAMPLES")
fuzzing = (
    settings(checked, max_examples=25)
    if EXAMPLES is None
    else settings(checked, max_examples=int(EXAMPLES), derandomize=False)
)
KEPT = sorted(path for folder in CORPUS.iterdir() for path in folder.iterdir())


def test_each_target_has_inputs_and_a_corpus() -> None:
    assert TARGETS.keys() == INPUTS.keys() == {path.parent.name for path in KEPT}


@pytest.mark.parametrize("path", KEPT, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_the_corpus(path: Path) -> None:
    TARGETS[path.parent.name](path.read_bytes())


@pytest.mark.parametrize("name", TARGETS)
def test_what_hypothesis_makes_up(name: str) -> None:
    @fuzzing
    @given(INPUTS[name])
    def fuzz(data: bytes) -> None:
        TARGETS[name](data)

    fuzz()
