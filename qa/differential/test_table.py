"""The table of differences is whole: each has a test that shows both sides, and ids are unique."""

from __future__ import annotations

import re
from pathlib import Path

from qa.differential.differences import DIFFERENCES

SHOWN = re.compile(r'^@shows\("([a-z0-9-]+)"\)$', re.MULTILINE)


def test_ids_and_titles_are_unique_and_plain() -> None:
    ids = [difference.id for difference in DIFFERENCES]
    assert len(set(ids)) == len(ids)
    assert len({difference.title for difference in DIFFERENCES}) == len(ids)
    for difference in DIFFERENCES:
        assert re.fullmatch("[a-z0-9]+(-[a-z0-9]+)*", difference.id)
        assert not difference.title.endswith(".")
        assert difference.reason.endswith(".")


def test_each_difference_is_shown_by_a_test() -> None:
    shown = {
        name
        for path in Path(__file__).parent.glob("test_*.py")
        for name in SHOWN.findall(path.read_text(encoding="utf-8"))
    }
    assert shown == {difference.id for difference in DIFFERENCES}
