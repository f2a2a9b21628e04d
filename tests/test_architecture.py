"""The layers of the package: who may import what."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from .architecture import (
    HTTP_LIBRARIES,
    LAYERS,
    PACKAGE,
    PAGE,
    circles,
    description_of,
    imports_of,
    modules,
    own_imports_of,
    package_of,
    page,
    syntax_of,
    types_of,
)

MODULES = modules()
RANK = {package: rank for rank, layer in enumerate(LAYERS) for package in layer}


@pytest.mark.parametrize("module", MODULES)
def test_packages_import_from_lower_layers_only(module: str) -> None:
    package = package_of(module)
    for other in own_imports_of(module):
        assert package_of(other) == package or RANK[package_of(other)] < RANK[package]


def test_no_modules_import_each_other() -> None:
    assert circles({module: own_imports_of(module) for module in MODULES}) == []


@pytest.mark.parametrize("folder", [PACKAGE / "testing", PAGE.parent.parent / "benchmarks"])
def test_no_types_need_each_other(folder: Path) -> None:
    """Nor do modules import each other for type checkers only."""
    assert circles(types_of(folder)) == []


def test_http_libraries_are_imported_in_one_package() -> None:
    users = {package_of(module) for module in MODULES if imports_of(module) & HTTP_LIBRARIES}
    # The bridge takes gradio_client's `httpx_kwargs`, and raises what that raises of httpx.
    assert users == {"gradio/http", "sync", "testing"}


def test_the_core_needs_trio_and_outcome_only() -> None:
    needed: set[str] = set()
    for module in MODULES:
        if package_of(module) in ("_core", "_fanout"):
            needed |= {name for name in imports_of(module) if not (PACKAGE / name).exists()}
    libraries = {name for name in needed if not (PACKAGE / f"{name}.py").exists()}
    assert libraries == {"trio", "outcome"}


def test_protocols_open_no_sockets() -> None:
    for module in MODULES:
        if package_of(module) == "gradio/protocol":
            names = {
                node.attr for node in ast.walk(syntax_of(module)) if isinstance(node, ast.Attribute)
            }
            assert not names & {"open_tcp_stream", "SocketStream", "socket", "SSLStream"}


@pytest.mark.parametrize(
    "package",
    [
        "testing/_server",
        *(
            name
            for layer in LAYERS
            for name in layer
            if f"{name}/".startswith(("gradio/", "_core/", "_fanout/"))
        ),
    ],
)
def test_packages_say_what_is_where(package: str) -> None:
    _, told = description_of(package)
    inside = {path.stem for path in (PACKAGE / package).glob("*.py")} - {"__init__"}
    inside |= {path.parent.name for path in (PACKAGE / package).glob("*/__init__.py")}
    assert set(told) == inside


def test_the_page_of_modules_is_as_generated() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run python -m tests.architecture"


def test_only_protocols_tell_protocols_apart() -> None:
    """No other module compares a protocol's name or a release, or asks for the kind of a driver."""
    found: list[str] = []
    for module in MODULES:
        if package_of(module) == "gradio/protocol":
            continue
        for node in ast.walk(syntax_of(module)):
            words = {each.value for each in ast.walk(node) if isinstance(each, ast.Constant)}
            named = any(isinstance(word, str) and word.startswith(("sse", "ws")) for word in words)
            if isinstance(node, ast.Compare) and named:
                found.append(f"{module}:{node.lineno}")
            if isinstance(node, ast.Call) and ast.unparse(node.func) in (
                "isinstance",
                "issubclass",
            ):
                kinds = ast.unparse(node.args[1])
                if "Driver" in kinds or "SessionStream" in kinds:
                    found.append(f"{module}:{node.lineno}")
    assert found == []


def private_names_of(tree: ast.Module) -> set[str]:
    """Return the private names that a module defines, of classes and objects too."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found.add(node.name)
        elif isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) in ("self", "cls"):
            found.add(node.attr)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.add(node.value)  # of `__slots__`
    return {name for name in found if name.startswith("_")}


def test_private_names_stay_in_their_package() -> None:
    """What another package uses has no underscore: its own, not an object's of somewhere else."""
    own: dict[str, set[str]] = {}
    for module in MODULES:
        own.setdefault(package_of(module), set()).update(private_names_of(syntax_of(module)))
    # Of the standard library and of httpcore, which have no other way.
    foreign = {"_replace", "_exit", "_pool"}
    crossing = [
        f"{module}:{node.lineno} {node.attr}"
        for module in MODULES
        for node in ast.walk(syntax_of(module))
        if isinstance(node, ast.Attribute)
        and node.attr.startswith("_")
        and not node.attr.startswith("__")
        and node.attr not in own[package_of(module)] | foreign
    ]
    assert crossing == []
