"""docs/check_words.py refuses words in pages and in code; `nox -s lint` runs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parent.parent / "docs" / "check_words.py"

PAGE = """\
The answer is here.

```text
The answer is code.
```

`answer`, [a link](answer.md), and the job goes
on; it goes on.
"""
MODULE = '''\
"""Tell the reply."""

answer = "answer"  # no answer
text = f"{answer} is no answer \\
of {answer!r} or `answer`, and the reply"
'''


def check(*paths: Path, script: Path = SCRIPT) -> tuple[int, list[str]]:
    done = subprocess.run(
        [sys.executable, str(script), *map(str, paths)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    return done.returncode, done.stdout.splitlines()


@pytest.mark.parametrize(
    "name, text, lines",
    [
        ("page.md", PAGE, [(1, "answer"), (8, "goes on")]),
        ("m.py", MODULE, [(1, "reply"), (3, "answer"), (4, "answer"), (4, "is no"), (4, "reply")]),
    ],
    ids=["markdown", "python"],
)
def test_refused_words_are_found_in_prose(name, text, lines, tmp_path):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    code, found = check(path)
    assert code == 1
    places = sorted(line.partition("; ")[0] for line in found)
    assert places == [f"{path}:{number}: '{word}'" for number, word in lines]


def test_page_without_refused_words_passes(tmp_path):
    path = tmp_path / "page.md"
    path.write_text("The job keeps running.\n", encoding="utf-8")
    assert check(path) == (0, ["no word is refused"])


def test_package_is_checked_by_default(tmp_path):
    script, module = tmp_path / "docs" / SCRIPT.name, tmp_path / "triojob" / "_core" / "job.py"
    for path in (script, module):
        path.parent.mkdir(parents=True)
    script.write_text(SCRIPT.read_text("utf-8"), "utf-8")
    module.write_text('raise ValueError("made anew")\n', "utf-8")
    code, found = check(script=script)
    assert (code, len(found)) == (1, 1)
    assert found[0].startswith(f"{module}:1: 'anew'")
