"""The parameters of an endpoint: checks arguments and encodes them; no I/O.

Only arguments that Gradio itself would refuse or could not interpret are refused here: Gradio
accepts a number for a text box and None for an empty component, and so does triojob.
"""

from __future__ import annotations

import inspect
import json
import keyword
import math
import os
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import NoneType
from typing import Any, TypeGuard, cast, final

from ..._exceptions import short_repr
from ..._lazy import lazy_property
from ..files.inputs import FileInput, FilePlaceholders
from ..protocol.messages import Json, is_list, is_object, is_tuple


class _Required:
    """The default of a required parameter that follows a parameter with a default."""

    def __repr__(self) -> str:
        return "<required>"


REQUIRED = _Required()

_KINDS: dict[str, tuple[tuple[type, ...], str]] = {
    "string": ((str, int, float), "text"),
    "number": ((int, float), "a number"),
    "integer": ((int, float), "a whole number"),
    "boolean": ((bool, int), "True or False"),
    "array": ((list, tuple), "a list"),
    "object": ((dict,), "a dictionary"),
}


@dataclass(frozen=True)
class Parameter:
    """One parameter of an endpoint."""

    name: str
    place: int
    """The index of its slot in the call's ``data``."""
    label: str
    component: str
    python_type: str
    """The app's own description of its type."""
    required: bool
    default: Any = field(compare=False)
    """The value that the app declares to use without an argument; None for a required parameter.

    It is excluded from comparisons: an app may generate it at each start.
    """
    kind: str | None
    """Its JSON schema type, if that is simple."""
    choices: tuple[Any, ...] | None
    """All values that are allowed for it, or for each item of an array; None for no such list."""
    minimum: float | None
    maximum: float | None
    takes_files: bool = False
    """Whether it, or each of its items, is a file."""
    takes_others: bool = False
    """Whether it accepts values that its schema does not list as choices."""
    schema: Json = field(default_factory=dict, repr=False)
    """Its JSON schema, unchanged."""

    @classmethod
    def from_info(cls, name: str, place: int, item: Json, props: Any) -> Parameter:
        """Make a parameter from its item in ``/info`` and its component's props in ``/config``."""
        settings: Json = props if is_object(props) else {}
        described = item.get("type")
        schema: Json = described if is_object(described) else {}
        parts = SchemaParts(schema)
        kind = _kind(schema, item.get("parameter_default"), item.get("example_input"))
        listed = schema.get("items") if kind == "array" else schema
        choices = listed.get("enum") if is_object(listed) else None
        takes_others = bool(settings.get("allow_custom_value"))
        python_type = item.get("python_type")
        words = python_type.get("type") if is_object(python_type) else None
        return cls(
            name=name,
            place=place,
            label=str(item.get("label") or name),
            component=str(item.get("component") or ""),
            python_type=str(words or schema.get("type") or "Any"),
            required=item.get("parameter_has_default") is not True,
            default=item.get("parameter_default"),
            kind=kind,
            # /info also lists the choices of a dropdown that accepts other values.
            choices=tuple(choices) if _are_choices(choices) and not takes_others else None,
            takes_others=takes_others,
            minimum=_number(settings.get("minimum")),
            maximum=_number(settings.get("maximum")),
            takes_files=parts.is_file(schema) or parts.is_file(schema.get("items")),
            schema=schema,
        )

    @property
    def shown_choices(self) -> str:
        """The first of the choices, for people."""
        # A long list is cut off: the choices after the limit cost nothing.
        return short_repr(list((self.choices or ())[:100]), 300)

    @lazy_property
    def choices_by_text(self) -> dict[str, Any]:
        """The choices, by the text of each one."""
        return {str(choice): choice for choice in reversed(self.choices or ())}

    def as_python(self, *, after_optional: bool) -> inspect.Parameter:
        """Return it as `inspect` shows it."""
        missing = REQUIRED if after_optional else inspect.Parameter.empty
        return inspect.Parameter(
            self.name,
            inspect.Parameter.POSITIONAL_OR_KEYWORD,
            # In Gradio, required parameters can follow optional ones; in Python they can't.
            default=missing if self.required else self.default,
            annotation=self.python_type,
        )

    def check(self, endpoint: str, value: Any) -> None:
        """Refuse a value that the app would refuse.

        Raises:
            TypeError: The value has the wrong type.
            ValueError: It is not one of the choices, or out of bounds.
        """
        where = f"parameter {self.name!r} of {endpoint}"
        self._check_files(where, value)
        if value is None or self.kind is None:
            return
        types, words = _KINDS[self.kind]
        if isinstance(value, FileInput) and self.kind in ("object", "array"):
            return
        if not isinstance(value, types):
            raise TypeError(f"{where} takes {words}, not {short_repr(value, 80)}")
        items: Any = value if self.kind == "array" else (value,)
        for item in items:
            if not self._is_choice(item):
                raise ValueError(
                    f"{where} takes one of {self.shown_choices}, not {short_repr(item, 80)}"
                )
        if self.kind in ("number", "integer") and not self._in_bounds(value):
            raise ValueError(f"{where} takes a number {self.bounds}, not {short_repr(value, 80)}")

    def _is_choice(self, value: Any) -> bool:
        if self.choices is None:
            return True
        try:
            return value in self._choices
        except TypeError:  # it has no hash, unlike all of them
            return False

    @lazy_property
    def _choices(self) -> frozenset[Any]:
        return frozenset(self.choices or ())

    def _check_files(self, where: str, value: Any) -> None:
        """Refuse paths that are not marked as files."""
        if self.takes_files:
            items = value if is_list(value) or is_tuple(value) else (value,)
            for item in items:
                path: object = item
                if isinstance(path, (str, bytes, os.PathLike)):
                    shown = short_repr(cast("object", path), 80)
                    raise TypeError(
                        f"{where} takes a file: pass handle_file({shown}); "
                        "triojob reads nothing else from disk"
                    )

    @property
    def contradictory(self) -> bool:
        """Whether the app suggests a value that its own schema does not allow."""
        return self.kind is None and self.schema.get("type") in tuple(_KINDS)

    @property
    def bounds(self) -> str:
        """The bounds of its numbers, for people; empty for no bounds."""
        low = [] if self.minimum is None else [f"from {short_repr(self.minimum, 80)}"]
        high = [] if self.maximum is None else [f"up to {short_repr(self.maximum, 80)}"]
        return " ".join(low + high)

    def _in_bounds(self, value: Any) -> bool:
        above = self.minimum is None or value >= self.minimum
        return above and (self.maximum is None or value <= self.maximum)


def _kind(schema: Json, *suggested: Any) -> str | None:
    kind = schema.get("type")
    if not isinstance(kind, str) or kind not in _KINDS:
        return None
    # If the app suggests a value that its schema does not allow, the schema is wrong.
    allowed = (*_KINDS[kind][0], NoneType)
    return kind if all(isinstance(value, allowed) for value in suggested) else None


def is_name(text: str) -> bool:
    """Return whether code can use a text as a name, unchanged."""
    return (
        text.isidentifier()
        and not is_reserved(text)
        and unicodedata.normalize("NFKC", text) == text
    )


def is_reserved(text: str) -> bool:
    """Return whether Python refuses an assignment to the name."""
    return keyword.iskeyword(text) or text == "__debug__"


@final
class SchemaParts:
    """The parts of one JSON schema: their references, and which of them are files.

    Each part is visited once, even if several parts refer to it, or parts refer to one another.

    Args:
        root: The whole schema, which contains the definitions.
    """

    def __init__(self, root: Any) -> None:
        definitions = root.get("$defs") if is_object(root) else None
        self.definitions: Json = definitions if is_object(definitions) else {}
        self._files: dict[int, bool] = {}
        """Whether a part is a file, by its identity."""

    def target(self, reference: str) -> Any:
        """Return the definition that a ``$ref`` refers to; None if there is none."""
        return self.definitions.get(reference.removeprefix("#/$defs/"))

    def is_file(self, part: Any) -> bool:
        """Return whether a part is Gradio's ``FileData``, or similar to it.

        Gradio 3 allows the form that its own client makes of a path, and the form that this
        becomes: one of several alternatives is enough.
        """
        users: dict[int, list[int]] = {}
        """By the identity of a part, the identities of the parts that are files if it is one."""
        found: list[int] = []
        waiting = [part]
        while waiting:
            item = waiting.pop()
            if not is_object(item) or id(item) in self._files:
                continue
            self._files[id(item)] = False
            if _has_file_keys(item):
                found.append(id(item))
            for way in self._alternatives(item):
                if self._files.get(id(way)):
                    found.append(id(item))
                else:
                    users.setdefault(id(way), []).append(id(item))
                    waiting.append(way)
        while found:
            number = found.pop()
            self._files[number] = True
            found += users.pop(number, ())
        return self._files.get(id(part), False)

    def _alternatives(self, part: Json) -> list[Any]:
        reference, ways = part.get("$ref"), part.get("oneOf")
        if isinstance(reference, str):
            return [self.target(reference)]
        return ways if is_list(ways) else []


def _has_file_keys(schema: Json) -> bool:
    properties = schema.get("properties")
    return is_object(properties) and (
        {"path", "orig_name"} <= properties.keys() or {"name", "is_file"} <= properties.keys()
    )


def _are_choices(value: Any) -> TypeGuard[list[Any]]:
    # In Gradio, values of other types can't be choices.
    return is_list(value) and not any(is_list(item) or is_object(item) for item in value)


def _number(value: Any) -> float | None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    # An int may be too large for `math.isfinite`.
    return value if is_number and (isinstance(value, int) or math.isfinite(value)) else None


def encode_arguments(
    endpoint: str,
    parameters: tuple[Parameter, ...],
    slots: int,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    *,
    validate: bool,
    placeholders: FilePlaceholders | None = None,
) -> str:
    """Bind arguments to parameters and return the call's ``data`` as JSON.

    It is encoded at once, so that later changes by the caller have no effect.
    Files leave placeholders in it, which are added to ``placeholders``.

    Raises:
        TypeError, ValueError: An argument is wrong or missing; the message names it.
    """
    names = {parameter.name: None for parameter in parameters}
    shown = f"{endpoint}({', '.join(names)})"
    if len(args) > len(names):
        raise TypeError(f"{shown} takes {len(names)} arguments, but {len(args)} were given")
    values = dict(zip(names, args, strict=False))
    for name, value in kwargs.items():
        if name not in names:
            import difflib

            near = difflib.get_close_matches(name, names, 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise TypeError(f"{shown} has no parameter {name!r}{hint}")
        if name in values:
            raise TypeError(f"{shown} got parameter {name!r} twice, by position and by name")
        values[name] = value
    missing = [p.name for p in parameters if p.required and p.name not in values]
    if missing:
        raise TypeError(f"{shown} misses {', '.join(map(repr, missing))}")
    encoded = ["null"] * slots
    for parameter in parameters:
        value = values.get(parameter.name, parameter.default)
        if validate and parameter.name in values:
            parameter.check(endpoint, value)
        encoded[parameter.place] = _encode(endpoint, parameter.name, value, placeholders)
    return f"[{','.join(encoded)}]"


def _encode(endpoint: str, name: str, value: Any, placeholders: FilePlaceholders | None) -> str:
    def mark(file: FileInput) -> str | None:
        return None if placeholders is None else placeholders.mark(file, name)

    return encode_value(value, f"parameter {name!r} of {endpoint}", mark)


_SCALARS = json.JSONEncoder(ensure_ascii=False, allow_nan=False)


def encode_value(
    value: Any, what: str, mark: Callable[[FileInput], str | None] = lambda _: None
) -> str:
    """Return ``value`` as JSON; ``what`` names it in the error.

    Args:
        mark: Returns the placeholder of a file; None if files are not allowed.

    Raises:
        TypeError, ValueError: It can't be sent as JSON.
    """

    def other(item: object) -> str:
        if isinstance(item, FileInput) and (gap := mark(item)) is not None:
            return gap
        kind = type(item).__name__
        hint = "; for a file, handle_file(path)" if isinstance(item, os.PathLike) else ""
        raise TypeError(f"Object of type {kind} is not JSON serializable{hint}")

    try:
        if isinstance(value, (str, int, float)):
            encoded = _SCALARS.encode(value)  # usual case: `dumps` makes an encoder each time
        else:
            encoded = json.dumps(
                value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=other
            )
        encoded.encode()  # raises for a lone surrogate
    except TypeError as exc:
        raise TypeError(f"{what} can't be sent as JSON: {exc}") from None
    except (ValueError, RecursionError) as exc:
        raise ValueError(f"{what} can't be sent as JSON: {exc}") from None
    return encoded
