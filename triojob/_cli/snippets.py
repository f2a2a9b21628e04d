"""Examples of calls to paste, for a shell and for Python; no I/O."""

from __future__ import annotations

import json
import shlex
from typing import Any

from ..gradio.protocol.messages import Json, is_list, is_object
from ..gradio.schema.app import EndpointInfo
from ..gradio.schema.parameters import Parameter

_FILE = "path/to/file"
_PLACEHOLDERS: dict[str | None, Any] = {
    "string": "text",
    "number": 1,
    "integer": 1,
    "boolean": True,
    "array": [],
    "object": {},
}
_SCRIPT = """\
import trio
from triojob import {names}


async def main() -> None:
    async with Client({url}) as client:
        endpoint = client.endpoint({endpoint})
{call}


trio.run(main)
"""
_CALL = "        print(await endpoint({arguments}))"
_STREAM = """\
        async with JobGroup() as group:
            async for output in group.submit(endpoint, {arguments}):
                print(output)"""


def examples(url: str, info: EndpointInfo, described: Json) -> dict[str, str]:
    """Return a call of an endpoint: ``"shell"``, ``"python"``, a script, and ``"python_call"``.

    It passes the required parameters, with the app's example value or with a placeholder.

    Args:
        described: The endpoint's description in ``/info``.
    """
    suggested = {
        item["parameter_name"]: item.get("example_input")
        for item in described.get("parameters") or ()
        if is_object(item) and isinstance(item.get("parameter_name"), str)
    }
    values = {p.name: _example(p, suggested.get(p.name)) for p in info.parameters if p.required}
    parameters = {p.name: p for p in info.parameters}
    words = [_typed(parameters[name], value) for name, value in values.items()]
    shell = shlex.join(["triojob", "call", url, info.name, *words])
    arguments = ", ".join(f"{name}={_in_python(parameters[name], values[name])}" for name in values)
    return {
        "shell": shell,
        "python": _script(url, info, arguments),
        "python_call": f"await client.endpoint({_quoted(info.name)})({arguments})",
    }


def _example(parameter: Parameter, suggested: Any) -> Any:
    """Return a value for a parameter; None if it takes a file of the user."""
    if parameter.takes_files:
        return None
    for value in (suggested, *(parameter.choices or ()), _PLACEHOLDERS.get(parameter.kind)):
        wanted = [value] if parameter.kind == "array" and not is_list(value) else value
        if wanted is not None and _is_allowed(parameter, wanted):
            return wanted
    return parameter.minimum if parameter.minimum is not None else "text"


def _is_allowed(parameter: Parameter, value: Any) -> bool:
    try:
        parameter.check("", value)
    except (TypeError, ValueError):
        return False
    return True


def _typed(parameter: Parameter, value: Any) -> str:
    """Return an argument as it is typed in a shell."""
    name = parameter.name
    if value is None:
        return f"{name}=@{_FILE}"
    if isinstance(value, str) and not value.startswith("@") and parameter.kind == "string":
        return f"{name}={value}"
    if isinstance(value, (bool, int, float)) and parameter.kind in ("number", "integer", "boolean"):
        return f"{name}={json.dumps(value)}"
    return f"{name}:={json.dumps(value, ensure_ascii=False)}"


def _in_python(parameter: Parameter, value: Any) -> str:
    if value is not None:
        return _quoted(value) if isinstance(value, str) else repr(value)
    file = f"handle_file({_quoted(_FILE)})"
    return f"[{file}]" if parameter.kind == "array" else file


def _quoted(text: str) -> str:
    # JSON strings are also valid in Python.
    return json.dumps(text, ensure_ascii=False)


def _script(url: str, info: EndpointInfo, arguments: str) -> str:
    names = ["Client"]
    names += ["JobGroup"] if info.streams else []
    names += ["handle_file"] if "handle_file(" in arguments else []
    call = _STREAM if info.streams else _CALL
    return _SCRIPT.format(
        names=", ".join(names),
        url=_quoted(url),
        endpoint=_quoted(info.name),
        call=call.format(arguments=arguments).replace(", ):", "):"),
    )
