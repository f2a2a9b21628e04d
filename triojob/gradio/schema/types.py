"""Translates JSON schemas to Python types, as text; no I/O.

The schemas come from a server: their text is inserted only through `quote` and `identifier`, and
neither their depth nor their size is trusted.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast, final

from ..protocol.messages import Json, is_list, is_object
from .parameters import SchemaParts, is_name, is_reserved

Way = Literal["in", "out"]
"""Whether a value goes to the app or comes from it."""

_MOST_DEPTH = 20
"""Deeper parts have the type Any."""
_MOST_BARS = 100
"""A union with more members than that, including nested ones, is Any: Python nests each in the
next.
"""
_MOST_CHOICES = 1_000
_REPETITION = 20
"""How often, on average, the text of definitions can be repeated at their references."""

_SIMPLE = {
    "string": "str",
    "number": "float",
    "integer": "int",
    "boolean": "bool",
    "null": "None",
}

BUILT_IN = frozenset({"str", "float", "int", "bool", "list", "dict", "tuple"})
"""Names that types can use without an import."""


def quote(text: str) -> str:
    """Return a string literal: unprintable characters are escaped, so that no line ends in it."""
    literal = repr(text)
    # Without double quotes in the text, no other characters need escapes between double quotes.
    return literal if '"' in text else f'"{literal[1:-1]}"'


def identifier(text: str, otherwise: str) -> str:
    """Return a name that is similar to a text.

    Args:
        otherwise: The name if no character of the text is valid in a name.
    """
    whole = unicodedata.normalize("NFKC", text)
    name = "".join(char if ("_" + char).isidentifier() else "_" for char in whole).rstrip("_")
    if not name.strip("_"):
        name = otherwise
    if not name.isidentifier():
        name = "_" + name
    # Once more: joining characters may have composed others.
    name = unicodedata.normalize("NFKC", name)
    return name + "_" if is_reserved(name) else name


@final
class Names:
    """The names that are in use in a module.

    Args:
        taken: The names that are in use from the beginning.
    """

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = set(taken)
        self._last: dict[str, int] = {}
        """The last number that was appended to each name: the next search starts there."""

    def take(self, name: str) -> str:
        """Reserve and return the name, with a number if it is already in use."""
        chosen, number = name, self._last.get(name, 1)
        while chosen in self._taken:
            number += 1
            chosen = f"{name}_{number}"
        self._last[name] = number
        self._taken.add(chosen)
        return chosen

    def give_back(self, name: str, chosen: str) -> None:
        """Undo the last `take` of a name."""
        self._taken.discard(chosen)
        self._last[name] -= chosen != name


def union(types: Iterable[str]) -> str:
    """Return the union of these types."""
    members: dict[str, int] = {}
    for text in dict.fromkeys(types):
        members |= _members(text)
    bars = len(members) - 1 + sum(members.values())
    if "Any" in members or not members or bars > _MOST_BARS:
        return "Any"
    if "None" in members:
        members["None"] = members.pop("None")  # at the end
    return " | ".join(members)


def _members(text: str) -> dict[str, int]:
    """Return the members of a union at the top of a type, and how many ``|`` are in each."""
    members: dict[str, int] = {}
    depth = start = bars = 0
    for token in _TOKENS.finditer(text):
        sign = token[0]
        if sign == "|" and not depth:
            members[text[start : token.start()].strip()] = bars
            start, bars = token.end(), 0
        else:
            bars += sign == "|"
            depth += (sign == "[") - (sign == "]")
    members[text[start:].strip()] = bars
    return members


_TOKENS = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'|[\[\]|]')
"""The tokens of a type: its string literals, which may contain anything, and its separators."""


def literal(values: Sequence[Any]) -> str:
    """Return the type of these values; without choices, if it can't list them."""
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
    """Return the union of the types of these values; `str` if there are none."""
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
    """A typed dictionary: its fields, and which of them are always present."""

    fields: dict[str, str]
    """The type of each field, as text."""
    needed: frozenset[str]

    def write(self, name: str) -> str:
        """Return the definition, as lines of code."""
        # In the body of a class, a field with one of these names would hide another field's type.
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
    # The types are in quotes, as some may be defined further down.
    lines = [f"        {quote(key)}: {quote(kind)}," for key, kind in fields.items()]
    end = [] if total else ["    total=False,"]
    return "\n".join(
        [f"{name} = TypedDict(", f'    "{name}",', "    {", *lines, "    },", *end, ")"]
    )


@dataclass
class TypeWriter:
    """Writes types, and collects the typed dictionaries that they need.

    Args:
        names: Assigns the names of the dictionaries.
        file: The type of a file that comes from the app.
    """

    names: Names = field(default_factory=Names)
    file: str = "str"
    dictionaries: dict[str, Dictionary] = field(default_factory=dict)
    """Dictionaries by their names, in the order of their discovery; nested ones first."""
    _written: dict[tuple[str, str, str], str] = field(default_factory=dict)
    _parts: SchemaParts = field(default_factory=lambda: SchemaParts(None))
    _definitions: str = ""
    """The definitions of the schema that is being written, as JSON."""
    _types: dict[tuple[str, bool], str] = field(default_factory=dict)
    """The types of the definitions written so far, by reference and by whether choices are
    enforced.
    """
    _room: int = 0
    """How many more characters of definitions can be repeated."""

    def write(self, schema: Any, way: Way, *, choices: bool) -> str:
        """Return the type of a value; takes linear time.

        Args:
            choices: Whether to enforce an ``enum`` at the top; the outputs of a dropdown ignore it.
        """
        self._parts = SchemaParts(schema)
        self._definitions = json.dumps(self._parts.definitions, sort_keys=True)
        self._types.clear()
        self._room = _REPETITION * len(self._definitions)
        return self._write(schema, way, 0, choices=choices)

    def _write(self, schema: Any, way: Way, depth: int, *, choices: bool) -> str:
        if not is_object(schema) or depth > _MOST_DEPTH:
            return "Any"

        def inner(part: Any, *, choices: bool = choices) -> str:
            return self._write(part, way, depth + 1, choices=choices)

        if self._parts.is_file(schema):
            return "FileInput" if way == "in" else self.file
        ref, kind = schema.get("$ref"), schema.get("type")
        values = [schema["const"]] if "const" in schema else schema.get("enum")
        ways = schema.get("anyOf", schema.get("oneOf"))
        if isinstance(ref, str):
            return self._referred(ref, choices, inner)
        if is_list(values):
            return literal(values) if choices else kinds(values)
        if is_list(ways):
            return union([inner(part) for part in ways])
        if is_list(kind):
            several = dict.fromkeys(one if isinstance(one, str) else "" for one in kind)
            return union([self._of_kind(schema, one, way, inner) for one in several])
        return self._of_kind(schema, kind, way, inner)

    def _referred(self, ref: str, choices: bool, inner: Callable[..., str]) -> str:  # noqa: FBT001
        """Return the type of a definition, which is written once, and then repeated."""
        key = (ref, choices)
        text = self._types.get(key)
        if text is None:
            text = self._types[key] = inner(self._parts.target(ref))
        else:
            self._room -= len(text)
        return text if self._room >= 0 else "Any"

    def _of_kind(self, schema: Json, kind: Any, way: Way, inner: Callable[..., str]) -> str:
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
        key, other = (way, text, self._definitions), ("out", text, self._definitions)
        if key in self._written:
            return self._written[key]
        title = _class_name(schema.get("title")) + "Input" * (way == "in")
        name = self.names.take(title)
        self._written[key] = name  # it may contain itself
        fields = {item: inner(part, choices=True) for item, part in properties.items()}
        found = Dictionary(fields, _needed(schema, properties, way))
        given = self._written.get(other) if way == "in" else None
        if given is not None and self.dictionaries.get(given) == found:
            self.names.give_back(title, name)
            name = given
        else:
            self.dictionaries[name] = found
        # A value from the app can be passed back to it.
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
        # An app also sends fields that have a default.
        needed |= {key for key, part in properties.items() if is_object(part) and "default" in part}
    return frozenset(needed & properties.keys())
