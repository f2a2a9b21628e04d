"""Writes a typed module for one app, and compares it with a live one; no I/O.

All data from the app is written as a string literal, in a docstring whose every line is escaped, or
as a name that `identifier` made; a number or a bool is written by `repr`.
"""

from __future__ import annotations

import ast
import hashlib
import json
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from ..protocol.messages import is_list
from .app import AppInfo, EndpointInfo, FilesAs
from .parameters import Parameter, SchemaParts, is_name
from .types import BUILT_IN, Names, TypeWriter, identifier, kinds, quote, union
from .view import notes_of

_IMPORTS = {
    "Sequence": "collections.abc",
    "Any": "typing",
    "Literal": "typing",
    "TypedDict": "typing",
    "File": "triojob",
    "FileInput": "triojob",
    "DEFAULT": "triojob.stubs",
    "TypedApp": "triojob.stubs",
    "endpoint": "triojob.stubs",
}
_CLASS_DOC = "The app's endpoints: open a client, pass it to this class, and await the methods."
_WIDTH = 100
_LONGEST_DEFAULT = 60
_MAY_BE_EMPTY = frozenset(
    {
        *("annotatedimage", "audio", "button", "chatbot", "checkbox", "code", "colorpicker"),
        *("datetime", "downloadbutton", "dropdown", "file", "fileexplorer", "gallery"),
        *("highlightedtext", "html", "image", "imageeditor", "imageslider", "json", "label"),
        *("markdown", "model3d", "multimodaltextbox", "number", "paramviewer", "plot", "radio"),
        *("textbox", "uploadbutton", "video"),
    }
)
"""Components whose ``preprocess`` accepts None: the function's argument for an empty component.

Wire source: gradio 6.31, ``components``: all others (slider, checkboxgroup, dataframe, dialogue)
raise.
"""
_STREAMED = ("Audio", "Video")
"""Components whose files can be passed on while they are being made, before a copy exists."""


@dataclass(frozen=True)
class Signature:
    """The parameters and the result of an endpoint, as text."""

    parameters: tuple[tuple[Parameter, str], ...]
    """Each parameter with its type."""
    result: str


def signature_of(info: EndpointInfo, writer: TypeWriter) -> Signature:
    """Return the signature of an endpoint."""
    result = _result(info, writer)
    return Signature(_inputs(info, writer), result)


def _inputs(info: EndpointInfo, writer: TypeWriter) -> tuple[tuple[Parameter, str], ...]:
    return tuple((parameter, _input(parameter, writer)) for parameter in info.parameters)


def _result(info: EndpointInfo, writer: TypeWriter) -> str:
    outputs = [_output(item, writer, streams=info.streams) for item in info.returns]
    if len(outputs) != len(info.shown_outputs):
        # An app does not report it for functions that its documentation hides.
        outputs = ["Any"] * len(info.shown_outputs)
    return outputs[0] if len(outputs) == 1 else f"tuple[{', '.join(outputs) or '()'}]"


def _output(item: dict[str, Any], writer: TypeWriter, *, streams: bool) -> str:
    schema = item.get("type")
    if streams and item.get("component") in _STREAMED and SchemaParts(schema).is_file(schema):
        return union([writer.file, "File"])
    return writer.write(schema, "out", choices=False)


def _input(parameter: Parameter, writer: TypeWriter) -> str:
    # For a file, some releases suggest the URL of a file.
    if parameter.contradictory and not parameter.takes_files:
        return "Any"
    kind = writer.write(parameter.schema, "in", choices=not parameter.takes_others)
    is_default = parameter.default is None and not parameter.required
    none = ["None"] if is_default or parameter.component.lower() in _MAY_BE_EMPTY else []
    return union([kind, *none])


def fingerprint(info: EndpointInfo) -> str:
    """Return a fingerprint that depends only on the types of an endpoint."""
    writer = TypeWriter()
    signature = signature_of(info, writer)
    described = [
        [[parameter.name, kind, parameter.required] for parameter, kind in signature.parameters],
        signature.result,
        {name: [found.fields, sorted(found.needed)] for name, found in writer.dictionaries.items()},
    ]
    text = json.dumps(described, sort_keys=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:16]


def write_module(
    app: AppInfo, base: str, *, class_name: str, all_endpoints: bool, files: FilesAs
) -> str:
    """Return the text of a Python module with a typed method for each named endpoint.

    Endpoints with an invalid description are omitted, and listed.

    Raises:
        ValueError: ``class_name`` is not a valid name, or ``files`` is invalid.
    """
    if not is_name(class_name) or class_name in BUILT_IN or class_name in _IMPORTS:
        raise ValueError(f"the class can't have the name {class_name!r}; choose another class_name")
    if files not in ("path", "handle"):
        raise ValueError(f'files must be "path" or "handle", not {files!r}')
    endpoints = app.endpoints(all_endpoints=all_endpoints)
    infos = [found for found in endpoints.values() if isinstance(found, EndpointInfo)]
    left_out = [name for name, found in endpoints.items() if not isinstance(found, EndpointInfo)]
    reserved = {*BUILT_IN, *_IMPORTS, class_name}
    taken = Names(reserved)
    methods = [taken.take(_method_name(info, reserved)) for info in infos]
    writer = TypeWriter(taken, "File" if files == "handle" else "str")
    results = [_result(info, writer) for info in infos]  # inputs can use the types of outputs
    signatures = [
        Signature(_inputs(info, writer), result)
        for info, result in zip(infos, results, strict=True)
    ]
    body = [
        "\n".join(_method(class_name, name, info, signature))
        for name, info, signature in zip(methods, infos, signatures, strict=True)
    ]
    names = _names_in(signatures, writer) | {"TypedApp"}
    names |= {"endpoint"} if infos else set()
    names |= {"DEFAULT"} if any("= DEFAULT" in method for method in body) else set()
    link = _link(base)
    options = f" --class-name {class_name}" * (class_name != "App")
    options += " --all" * all_endpoints + f" --files {files}" * (files != "path")
    title = f"the app {quote(app.title)}" if app.title else "an app"
    about = [
        f"Typed calls of {title} at {link}.",
        "",
        "Generated by triojob: don't edit it.  When the app has changed, generate it again:",
        "",
        f"    triojob stubs {link}{options}",
        "",
        "The bodies of the methods never run: `endpoint` replaces them with the app's endpoints.",
        *(
            ["", "Left out, because the app's descriptions of them are invalid:"]
            if left_out
            else []
        ),
        *(f"    {_line(name)}" for name in left_out),
    ]
    own = ['\n    files = "handle"'] if files == "handle" else []
    head = f"class {class_name}(TypedApp):"
    doc = "\n".join(_docstring([_CLASS_DOC], "    "))
    parts = [
        "\n".join(_docstring(about, "")),
        # Stricter modes warn about parameters that no body uses, and about types that an app calls
        # Any.
        "# pyright: basic",
        "from __future__ import annotations",
        "\n".join(_imports(names)),
        *("\n" + found.write(name) for name, found in writer.dictionaries.items()),
        "\n" + "\n\n".join(["\n".join([head, doc, *own]), *body]),
    ]
    text = "\n\n".join(parts) + "\n"
    compile(text, "<stub>", "exec", dont_inherit=True)  # never return invalid Python
    return text


def _method_name(info: EndpointInfo, reserved: set[str]) -> str:
    name = identifier((info.api_name or "").lstrip("/"), "endpoint")
    # Names with a leading underscore are private, and Python would mangle some of them.
    name = f"call{name}" if name.startswith("_") else name
    return name + "_" if name in reserved or name in _OWN else name


_OWN = frozenset({"files"})
"""The attributes of `TypedApp` itself."""


def _names_in(signatures: Iterable[Signature], writer: TypeWriter) -> set[str]:
    """Return the names to import for these types."""
    texts = {kind for signature in signatures for _, kind in signature.parameters}
    texts |= {signature.result for signature in signatures}
    texts |= {kind for found in writer.dictionaries.values() for kind in found.fields.values()}
    found = {
        node.id
        for text in texts
        for node in ast.walk(ast.parse(text, mode="eval"))
        if isinstance(node, ast.Name)
    }
    return (found & _IMPORTS.keys()) | ({"TypedDict"} if writer.dictionaries else set())


def _imports(names: set[str]) -> Iterator[str]:
    modules: dict[str, list[str]] = {}
    for name, module in _IMPORTS.items():
        if name in names:
            modules.setdefault(module, []).append(name)
    for module, found in modules.items():
        if module == "triojob" or (module == "triojob.stubs" and "triojob" not in modules):
            yield ""
        yield f"from {module} import {', '.join(sorted(found))}"


def _link(base: str) -> str:
    """Return the URL without parts that may be secret."""
    parts = urlsplit(base)
    host = parts.netloc.rpartition("@")[2]
    return re.sub(r"[^\x21-\x7e]", "", f"{parts.scheme}://{host}{parts.path}")


def _method(class_name: str, name: str, info: EndpointInfo, signature: Signature) -> Iterator[str]:
    yield f'    @endpoint({quote(info.api_name or "")}, "{fingerprint(info)}")'
    shown = [*_parameters(signature, class_name)]
    line = f"    async def {name}({', '.join(shown)}) -> {signature.result}:"
    if len(line) <= _WIDTH:
        yield line
    else:
        yield f"    async def {name}("
        yield from (f"        {item}," for item in shown)
        yield f"    ) -> {signature.result}:"
    yield from _docstring(_about(info))
    yield "        raise NotImplementedError"


def _parameters(signature: Signature, class_name: str) -> Iterator[str]:
    names, own = {parameter.name for parameter, _ in signature.parameters}, "self"
    while own in names:
        own += "_"
    yield own
    taken = {own}
    optional = only_by_name = False
    for parameter, kind in signature.parameters:
        name = parameter.name
        while (known := _in_class(name, class_name)) in taken:
            name += "_"
        taken.add(known)
        if not parameter.required:
            optional = True
            yield f"{name}: {kind} = {_default(parameter, kind)}"
            continue
        if optional and not only_by_name:
            # Python has no other way for a required parameter after an optional one.
            only_by_name = True
            yield "*"
        yield f"{name}: {kind}"


def _in_class(name: str, class_name: str) -> str:
    """Return the name as Python stores it in the body of a class."""
    private = name.startswith("__") and not name.endswith("__")
    return f"_{class_name.lstrip('_')}{name}" if private else name


def _default(parameter: Parameter, kind: str) -> str:
    """Return the default as code, or a substitute for a default that must not be written down."""
    value = parameter.default
    if value is None:
        return "None"
    if is_list(value):
        items = [_code(item) for item in value]
        shown = f"[{', '.join(item or '' for item in items)}]"
        item_kind = kind.removeprefix("Sequence[").removesuffix(" | None").removesuffix("]")
        fits = kind.startswith("Sequence[") and all(
            item is not None and _fits(parameter, one, item_kind)
            for item, one in zip(items, value, strict=True)
        )
    else:
        shown = _code(value) or ""
        nested = kind.startswith(("Sequence[", "dict[", "tuple["))
        fits = bool(shown) and not nested and _fits(parameter, value, kind)
    return shown if fits and len(shown) <= _LONGEST_DEFAULT else "DEFAULT"


def _code(value: Any) -> str | None:
    """Return a text or a number as code; None for any other value."""
    if isinstance(value, str):
        return quote(value)
    is_number = isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))
    return repr(value) if is_number else None


def _fits(parameter: Parameter, value: Any, kind: str) -> bool:
    """Return whether a type allows a text or a number."""
    if kind.startswith("Literal["):
        return any(type(one) is type(value) and one == value for one in parameter.choices or ())
    members = {
        part.id for part in ast.walk(ast.parse(kind, mode="eval")) if isinstance(part, ast.Name)
    }
    simple = kinds([value])
    return simple in members or "Any" in members or (simple == "int" and "float" in members)


def _about(info: EndpointInfo) -> Iterator[str]:
    """Return an app's description of an endpoint, as the lines of a docstring."""
    described = [line.rstrip() for line in info.description.strip().splitlines()]
    yield from described or [f"Call {info.name}."]
    if notes := notes_of(info):
        yield from ("", f"({'; '.join(notes)})")
    if info.parameters:
        yield from ("", "Args:")
        for parameter in info.parameters:
            bounds = f", {parameter.bounds}" if parameter.bounds else ""
            about = f"{_line(parameter.label)} ({_line(parameter.component)}{bounds})"
            yield f"    {parameter.name}: {about}."
    if info.returns:
        yield from ("", "Returns:")
        for place, item in enumerate(info.returns):
            yield f"    {_line(item.get('label') or place)} ({_line(item.get('component'))})."


def _line(text: object) -> str:
    return " ".join(str(text).split())


def _docstring(lines: Iterable[str], indent: str = "        ") -> list[str]:
    """Return the lines of a docstring with exactly this text."""
    shown = [_escape(line) for line in lines]
    if len(shown) == 1:
        return [f'{indent}"""{shown[0]}"""']
    first, *others = shown
    return [
        f'{indent}"""{first}',
        *(f"{indent}{line}".rstrip() for line in others),
        f'{indent}"""',
    ]


def _escape(line: str) -> str:
    text = "".join(
        char if char.isprintable() and char != "\\" else repr(char)[1:-1] for char in line
    )
    # No three quotes in a row, and no quote at the end.
    return re.sub(r'"(?="|$)', r"\"", text)
