"""What the tests of typed modules share: descriptions of apps, and modules that were written."""

from __future__ import annotations

import ast
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

from triojob.gradio.schema.app import AppInfo
from triojob.gradio.schema.stubs import write_module

TEXT: dict[str, Any] = {"type": "string"}
_numbers = count()


def parameter(name: Any = "x", schema: Any = TEXT, **more: Any) -> dict[str, Any]:
    """Describe a required parameter; with ``parameter_default=`` an optional one."""
    return {
        "label": "label",
        "parameter_name": name,
        "parameter_has_default": "parameter_default" in more,
        "parameter_default": None,
        "type": schema,
        "python_type": {"type": "str", "description": ""},
        "component": "Custom",
        **more,
    }


def output(schema: Any = TEXT, **more: Any) -> dict[str, Any]:
    return {"label": "out", "type": schema, "component": "Custom", **more}


def described(
    *parameters: dict[str, Any], returns: Any = None, description: Any = "", **more: Any
) -> dict[str, Any]:
    """Describe an endpoint; ``props=`` are those of its inputs, ``streams=`` makes a generator."""
    outputs = [output()] if returns is None else list(returns)
    return {
        "parameters": list(parameters),
        "returns": outputs,
        "description": description,
        **more,
    }


def app(endpoints: dict[str, dict[str, Any]], **config: Any) -> AppInfo:
    """Make an app's description of those of its endpoints, by their names without the slash."""
    components: list[dict[str, Any]] = []
    dependencies: list[dict[str, Any]] = []
    for place, (name, endpoint) in enumerate(endpoints.items()):
        slots: dict[str, list[int]] = {"inputs": [], "outputs": []}
        props = endpoint.get("props", [{}] * len(endpoint["parameters"]))
        for slot, items in (("inputs", props), ("outputs", [{}] * len(endpoint["returns"]))):
            for item in items:
                slots[slot].append(len(components))
                components.append({"id": len(components), "type": "textbox", "props": item})
        dependencies.append(
            {
                "id": place,
                "api_name": name,
                "types": {"generator": endpoint.get("streams", False)},
                **slots,
            }
        )
    described = {"version": "6.31.0", "protocol": "sse_v3", "title": "an app", **config}
    named = {"/" + name: endpoint for name, endpoint in endpoints.items()}
    return AppInfo(
        {**described, "components": components, "dependencies": dependencies},
        {"named_endpoints": named, "unnamed_endpoints": {}},
    )


def write(info: AppInfo, base: str = "http://app/", **options: Any) -> str:
    chosen: dict[str, Any] = {"class_name": "App", "all_endpoints": False, "files": "path"}
    return write_module(info, base, **{**chosen, **options})


def header(text: str, method: str) -> str:
    """Return a method's parameters and result, as the module has them, on one line."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.AsyncFunctionDef) and node.name == method:
            return f"({ast.unparse(node.args)}) -> {ast.unparse(node.returns or ast.Constant(0))}"
    raise AssertionError(f"no {method} in\n{text}")


def signature(*parameters: dict[str, Any], **more: Any) -> str:
    """Return what the module of an app makes of one endpoint."""
    return header(write(app({"fn": described(*parameters, **more)})), "fn")


@contextmanager
def loaded(text: str) -> Iterator[Any]:
    """Import a module that was written."""
    module = types.ModuleType(f"written_{next(_numbers)}")
    sys.modules[module.__name__] = module
    try:
        exec(compile(text, module.__name__, "exec", dont_inherit=True), vars(module))
        yield module
    finally:
        del sys.modules[module.__name__]
