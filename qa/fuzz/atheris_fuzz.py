"""Fuzz one target with atheris, guided by coverage: ``python atheris_fuzz.py TARGET [OPTION...]``.

The options are libFuzzer's, such as ``-max_total_time=60``; see ``nox -s fuzz``.
What it finds of interest goes to a folder of its own, by default ``.fuzz/TARGET``; a find that
shows a bug belongs into ``corpus/TARGET``, and into a test with a name.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))

with atheris.instrument_imports(include=["triojob"]):
    from qa.fuzz.targets import TARGETS


def main() -> None:
    name, *options = sys.argv[1:]
    target = TARGETS[name]
    found = HERE.parents[1] / ".fuzz" / name
    found.mkdir(parents=True, exist_ok=True)
    atheris.Setup([sys.argv[0], *options, str(found), str(HERE / "corpus" / name)], target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
