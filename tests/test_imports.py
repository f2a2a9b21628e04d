"""What ``import triojob`` imports, and the names that it imports when they are used."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import triojob

LATER: dict[str, str] = vars(triojob)["_LATER"]
INIT = Path(triojob.__file__)
RARE = {
    *(f"triojob{module}" for module in LATER.values()),
    *(f"triojob.gradio.{name}" for name in ("_schema_types", "_space_host", "_stubs", "_view")),
    *("click", "difflib", "email", "h11", "html", "http.cookiejar", "httpcore", "httpx", "rich"),
    "urllib.request",
}
"""What a plain call doesn't need, or not before its client is made."""


def in_new_process(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout


def test_importing_imports_nothing_rare():
    loaded = set(in_new_process("import sys, triojob; print(*sys.modules)").split())
    here = set(in_new_process("import sys, trio; print(*sys.modules)").split())
    assert "triojob.gradio.client" in loaded
    assert RARE & (loaded - here) == set()


def test_type_checkers_see_the_later_names():
    tree = ast.parse(INIT.read_text(encoding="utf-8"))
    (block,) = (
        node
        for node in tree.body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "_TYPE_CHECKING"
    )
    seen = {
        alias.asname: f".{node.module}"
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == LATER


@pytest.mark.parametrize("name", LATER)
def test_later_names_are_like_others(name):
    assert name in dir(triojob)
    assert getattr(triojob, name).__module__ == "triojob"


def test_star_import_gives_every_public_name():
    names: dict[str, object] = {}
    exec("from triojob import *", names)
    assert names["Client"] is triojob.Client
    assert set(LATER) <= set(names)
    assert "gradio" not in names


def test_unknown_names_are_refused():
    with pytest.raises(AttributeError, match="'triojob' has no attribute 'Clint'"):
        vars(triojob)["__getattr__"]("Clint")
