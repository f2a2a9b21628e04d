"""The packages of triojob in their order, and what its modules import: for a test and for a page.

``python -m tests.architecture`` writes ``docs/modules.md``.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import triojob

PACKAGE = Path(triojob.__file__).parent
PAGE = Path(__file__).parent.parent / "docs" / "modules.md"

LAYERS: tuple[tuple[str, ...], ...] = (
    ("_version", "_printable", "_lazy", "_interrupt", "_whole_file"),
    ("_secrets",),
    ("_exceptions",),
    ("_core",),
    ("_fanout",),
    ("gradio/http",),
    ("gradio/protocol",),
    ("gradio/files", "gradio/spaces"),
    ("gradio/schema",),
    ("gradio/session",),
    ("gradio",),
    ("gradio/pool",),
    ("opentelemetry", "stubs", "sync", "_live", "_doctor", "testing"),
    ("_durable",),
    ("bulk", "_cli"),
)
"""Each package, or module of its own, imports from itself and from the lines above its own."""

HTTP_LIBRARIES = {"httpcore", "httptools", "httpx"}


def modules() -> list[str]:
    """Return the modules, such as ``gradio/http/client``, in the order of the layers."""
    found = [
        path.relative_to(PACKAGE).as_posix().removesuffix(".py")
        for path in PACKAGE.rglob("*.py")
        if path.name not in ("__init__.py", "__main__.py")
    ]
    order = [package for layer in LAYERS for package in layer]
    return sorted(found, key=lambda module: (order.index(package_of(module)), module))


def package_of(module: str) -> str:
    """Return what of `LAYERS` a module belongs to."""
    packages = {package for layer in LAYERS for package in layer}
    while module not in packages:
        module = module.rpartition("/")[0]
    return module


@cache
def syntax_of(module: str) -> ast.Module:
    """Return a module as a tree, without what only type checkers read."""
    path = PACKAGE / f"{module}.py"
    if not path.exists():
        path = PACKAGE / module / "__init__.py"
    tree = ast.parse(path.read_text(encoding="utf-8"))
    tree.body = [
        node
        for node in tree.body
        if not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    ]
    return tree


def imports_of(module: str) -> set[str]:
    """Return what a module imports, without the standard library: `gradio/http/sse`, `trio`."""
    found = imports_in(syntax_of(module), module.split("/")[:-1])
    return found - set(sys.stdlib_module_names) - {"exceptiongroup"}


def imports_in(tree: ast.Module, package: list[str]) -> set[str]:
    """Return what a module of a package imports."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module != "__future__":
            if node.level:
                base = package[: len(package) - node.level + 1]
                ends = [node.module] if node.module else [alias.name for alias in node.names]
                found.update("/".join([*base, end.replace(".", "/")]) for end in ends)
            else:
                found.add(str(node.module).partition(".")[0])
    return found


def types_of(folder: Path) -> dict[str, set[str]]:
    """Return what the modules of a folder import of each other, for type checkers too."""
    found: dict[str, set[str]] = {}
    for path in folder.rglob("*.py"):
        name = path.relative_to(folder).with_suffix("").as_posix()
        tree = ast.parse(path.read_text(encoding="utf-8"))
        found[name] = imports_in(tree, name.split("/")[:-1])
    return {name: imports & set(found) for name, imports in found.items()}


def own_imports_of(module: str) -> set[str]:
    """Return the modules of triojob that one imports."""
    return {name for name in imports_of(module) if (PACKAGE / name).with_suffix(".py").exists()}


def circles(imports: Mapping[str, set[str]]) -> list[list[str]]:
    """Return a circle of modules, each of which imports the one before it; nothing if none is."""
    # A module and a library may have the same name.
    others = {module: found - {module} for module, found in imports.items()}
    try:
        TopologicalSorter(others).prepare()
    except CycleError as exc:
        return [exc.args[1]]
    return []


def description_of(package: str) -> tuple[str, dict[str, str]]:
    """Return a package's first line, and what it says of each of its modules."""
    text = ast.get_docstring(syntax_of(package)) or ""
    lines = re.findall(r"^- `(\w+)`: (.+)$", text, re.MULTILINE)
    return text.partition("\n")[0], dict(lines)


def first_line(module: str) -> str:
    """Return what a module says of itself."""
    return (ast.get_docstring(syntax_of(module)) or "").partition("\n")[0]


def page() -> str:
    """Return the page of all modules, as Markdown."""
    return "\n".join(_page()) + "\n"


def _page() -> Iterator[str]:
    yield "# The modules\n"
    yield "`python -m tests.architecture` writes this page, and a test compares it with the code.\n"
    yield (
        "A package imports only from packages above it on this page, "
        "and no modules import each other in a circle.\n"
        "Only `gradio/http` imports httpx, httpcore and httptools, "
        "except for `sync`, which takes httpx's options as gradio_client does, "
        "and `testing`, which has a server of its own.\n"
        "The last column leaves out the standard library and what only type checkers import.\n"
    )
    alone = [name for layer in LAYERS for name in layer if (PACKAGE / f"{name}.py").exists()]
    yield "## `triojob`\n"
    yield from _table((name, first_line(name)) for name in alone)
    for package in [name for layer in LAYERS for name in layer if name not in alone]:
        title, told = description_of(package)
        yield f"\n## `{package}`\n\n{title}\n"
        own = [module for module in modules() if package_of(module) == package]
        yield from _table(
            (module, told.get(module.rpartition("/")[2]) or first_line(module)) for module in own
        )


def _table(rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    yield "| module | what it does | imports |\n| --- | --- | --- |"
    for module, text in rows:
        package = f"{package_of(module)}/"
        names = sorted(imports_of(module), key=lambda name: (package_rank(name), name))
        cell = ", ".join(f"`{name.removeprefix(package)}`" for name in names) or "nothing"
        words = text.replace("``", "`").rstrip(".")
        yield f"| `{module.removeprefix(package)}.py` | {words} | {cell} |"


def package_rank(name: str) -> int:
    """Return where in the order a module's package stands; libraries come first."""
    if not any((PACKAGE / f"{name}{end}").exists() for end in (".py", "")):
        return -1
    return [package for layer in LAYERS for package in layer].index(package_of(name))


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
