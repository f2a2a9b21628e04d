"""JSON schemas, as apps describe their values by, to Python types as text; no I/O.

The schemas are a server's: nothing of them comes into the text but through `quote` and
`identifier`, and neither their depth nor their size is trusted.
"""

from __future__ import annotations

import json
import keyword
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from ._parameters import is_file_schema
from ._wire import Json, is_list, is_object

Way = Literal["in", "out"]
"""Whether a value goes to the app or comes from it."""

_MOST_DEPTH = 20
_MOST_SCHEMAS = 20_000
"""What is deeper, or more, has the type Any."""
_MOST_CHOICES = 1_000

_SIMPLE = {
    "string": "str",
    "number": "float",
    "integer": "int",
    "boolean": "bool",
    "null": "None",
}

BUILT_IN = frozenset({"str", "float", "int", "bool", "list", "dict", "tuple"})
"""What types are written with, besides names that are imported."""


def quote(text: str) -> str:
    """Return a string literal: what can't be printed is escaped, and so no line ends in it."""
    literal = repr(text)
    # Where there are no double quotes in it, nothing needs other escapes between those.
    return literal if '"' in text else f'"{literal[1:-1]}"'


def is_name(text: str) -> bool:
    """Tell whether Python takes a text for a name, and for this one."""
    return (
        text.isidentifier()
        and not keyword.iskeyword(text)
        and unicodedata.normalize("NFKC", text) == text
    )


def identifier(text: str, otherwise: str) -> str:
    """Return a name that is like a text.

    Args:
        otherwise: The name where nothing of the text can stand in one.
    """
    whole = unicodedata.normalize("NFKC", text)
    name = "".join(char if ("_" + char).isidentifier() else "_" for char in whole).rstrip("_")
    if not name.strip("_"):
        name = otherwise
    if not name.isidentifier():
        name = "_" + name
    # Once more: putting characters together may have made others of them.
    name = unicodedata.normalize("NFKC", name)
    return name + "_" if keyword.iskeyword(name) else name


def free_name(name: str, taken: set[str]) -> str:
    """Return the name, or with a number if it is taken; from now on it is."""
    chosen, number = name, 1
    while chosen in taken:
        number += 1
        chosen = f"{name}_{number}"
    taken.add(chosen)
    return chosen


def union(types: Iterable[str]) -> str:
    """Return the type that is any of these."""
    members = list(dict.fromkeys(part for text in types for part in _members(text)))
    if "Any" in members or not members:
        return "Any"
    if "None" in members:
        members.remove("None")
        members.append("None")
    return " | ".join(members)


def _members(text: str) -> list[str]:
    """Return what a union at the top of a type is of."""
    parts: list[str] = []
    depth, start, quoted, skip = 0, 0, "", False
    for place, char in enumerate(text):
        if skip:
            skip = False
        elif quoted:
            skip = char == "\\"
            quoted = "" if char == quoted else quoted
        elif char in "\"'":
            quoted = char
        elif char in "[]":
            depth += 1 if char == "[" else -1
        elif char == "|" and not depth:
            parts.append(text[start:place].strip())
            start = place + 1
    return [*parts, text[start:].strip()]


def literal(values: Sequence[Any]) -> str:
    """Return the type of which these are all values; without choices, if it can't name them."""
    if not values or len(values) > _MOST_CHOICES:
        return kinds(values)
    shown: list[str] = []
    for value in values:
        if isinstance(value, str):
            shown.append(quote(value))
        elif value is None or isinstance(value, int):
            shown.append(repr(value))
        else:
            return kinds(values)
    return f"Literal[{', '.join(dict.fromkeys(shown))}]"


def kinds(values: Sequence[Any]) -> str:
    """Return the type that these values have, and others of their kinds; `str` of none."""
    names: dict[type, str] = {
        bool: "bool",
        int: "int",
        float: "float",
        str: "str",
        type(None): "None",
    }
    return (
        union(names.get(type(value), "Any") for value in cast("Sequence[object]", values))
        if values
        else "str"
    )


@dataclass(frozen=True)
class Dictionary:
    """A typed dictionary: what is in it, and which of that is always there."""

    fields: dict[str, str]
    """The type of each, as text."""
    needed: frozenset[str]

    def write(self, name: str) -> str:
        """Return the definition, as lines of code."""
        # In the body of a class a name of these would hide the type that another field has.
        plain = all(
            is_name(key) and not key.startswith("_") and key not in BUILT_IN and key[0].islower()
            for key in self.fields
        )
        needed = {key: kind for key, kind in self.fields.items() if key in self.needed}
        others = {key: kind for key, kind in self.fields.items() if key not in self.needed}
        write = _class if plain else _call
        if not others:
            return write(name, needed)
        if not needed:
            return write(name, others, total=False)
        always = f"_{name}Always"
        if plain:
            return f"{write(always, needed)}\n\n\n{_class(name, others, always, total=False)}"
        often = f"_{name}Sometimes"
        return (
            f"{write(always, needed)}\n\n{write(often, others, total=False)}\n\n\n"
            f"class {name}({always}, {often}):\n    pass"
        )


def _class(
    name: str, fields: dict[str, str], base: str = "TypedDict", *, total: bool = True
) -> str:
    lines = [f"    {key}: {kind}" for key, kind in fields.items()]
    return "\n".join([f"class {name}({base}{'' if total else ', total=False'}):", *lines])


def _call(name: str, fields: dict[str, str], *, total: bool = True) -> str:
    # The types in quotes, as some may be defined further down.
    lines = [f"        {quote(key)}: {quote(kind)}," for key, kind in fields.items()]
    end = [] if total else ["    total=False,"]
    return "\n".join(
        [f"{name} = TypedDict(", f'    "{name}",', "    {", *lines, "    },", *end, ")"]
    )


@dataclass
class TypeWriter:
    """Writes types, and notes the typed dictionaries that they need.

    Args:
        taken: Names that those must not have.
        file: The type of a file that comes from the app.
    """

    taken: set[str]
    file: str = "str"
    dictionaries: dict[str, Dictionary] = field(default_factory=dict)
    """By their names, in the order in which they were met; of those in others, these first."""
    _written: dict[tuple[str, str, str], str] = field(default_factory=dict)
    _refs: Json = field(default_factory=dict)
    _refs_text: str = ""
    _count: int = 0

    def write(self, schema: Any, way: Way, *, choices: bool) -> str:
        """Return the type of a value.

        Args:
            choices: Whether an ``enum`` at the top is held to, as it is not by the outputs of
                a dropdown.
        """
        refs = schema.get("$defs") if is_object(schema) else None
        self._refs = refs if is_object(refs) else {}
        try:
            self._refs_text = json.dumps(self._refs, sort_keys=True)
            return self._write(schema, way, 0, choices=choices)
        except RecursionError:
            return "Any"

    def _write(self, schema: Any, way: Way, depth: int, *, choices: bool) -> str:
        self._count += 1
        if not is_object(schema) or depth > _MOST_DEPTH or self._count > _MOST_SCHEMAS:
            return "Any"

        def inner(part: Any, *, choices: bool = choices) -> str:
            return self._write(part, way, depth + 1, choices=choices)

        if is_file_schema(schema):
            return "FileInput" if way == "in" else self.file
        ref, kind = schema.get("$ref"), schema.get("type")
        values = [schema["const"]] if "const" in schema else schema.get("enum")
        ways = schema.get("anyOf", schema.get("oneOf"))
        if isinstance(ref, str):
            return inner(self._refs.get(ref.rpartition("/")[2]))
        if is_list(values):
            return literal(values) if choices else kinds(values)
        if is_list(ways):
            return union([inner(part) for part in ways])
        if is_list(kind):
            return union([inner({**schema, "type": one}) for one in kind])
        if kind == "array":
            return _array(schema, way, inner)
        if kind == "object":
            return self._object(schema, way, inner)
        return _SIMPLE.get(kind, "Any") if isinstance(kind, str) else "Any"

    def _object(self, schema: Json, way: Way, inner: Callable[..., str]) -> str:
        properties = schema.get("properties")
        if not is_object(properties) or not properties:
            more = schema.get("additionalProperties")
            return f"dict[str, {inner(more) if is_object(more) else 'Any'}]"
        text = json.dumps(schema, sort_keys=True)
        key, other = (way, text, self._refs_text), ("out", text, self._refs_text)
        if key in self._written:
            return self._written[key]
        name = free_name(_class_name(schema.get("title")) + "Input" * (way == "in"), self.taken)
        self._written[key] = name  # it may hold itself
        fields = {item: inner(part, choices=True) for item, part in properties.items()}
        found = Dictionary(fields, _needed(schema, properties, way))
        given = self._written.get(other) if way == "in" else None
        if given is not None and self.dictionaries.get(given) == found:
            self.taken.discard(name)
            name = given
        else:
            self.dictionaries[name] = found
        # What the app gave may be given back to it.
        self._written[key] = name if given in (None, name) else f"{name} | {given}"
        return self._written[key]


def _array(schema: Json, way: Way, inner: Callable[..., str]) -> str:
    places = schema.get("prefixItems")
    if is_list(places) and places:
        items = [inner(part) for part in places]
        return f"tuple[{', '.join(items)}]" if way == "in" else f"list[{union(items)}]"
    return f"{'Sequence' if way == 'in' else 'list'}[{inner(schema.get('items'))}]"


def _class_name(title: Any) -> str:
    name = identifier(title if isinstance(title, str) else "", "Value")
    return name if name[0].isupper() else f"Value_{name.lstrip('_')}"


def _needed(schema: Json, properties: Json, way: Way) -> frozenset[str]:
    required = schema.get("required")
    needed = {key for key in required if isinstance(key, str)} if is_list(required) else set[str]()
    if way == "out":
        # An app sends what has a default, too.
        needed |= {key for key, part in properties.items() if is_object(part) and "default" in part}
    return frozenset(needed & properties.keys())
