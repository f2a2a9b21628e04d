"""Arguments as they are typed: ``name=text``, ``name:=json``, ``name=@file``.

A text becomes what the app's description says that the parameter takes; so do the cells of a CSV.
"""

from __future__ import annotations

import difflib
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from triojob import handle_file

from ..gradio._config import EndpointInfo
from ..gradio._parameters import Parameter
from .ending import LOCAL, CommandError

_TRUE = frozenset({"true", "yes", "on", "1"})
_FALSE = frozenset({"false", "no", "off", "0"})


@dataclass(frozen=True)
class Argument:
    """One argument as it was typed."""

    name: str
    text: str
    is_json: bool

    @classmethod
    def parse(cls, typed: str) -> Argument:
        """Take ``name=text`` or ``name:=json`` apart.

        Raises:
            CommandError: It is neither.
        """
        name, equals, text = typed.partition("=")
        is_json = name.endswith(":")
        name = name.removesuffix(":").strip()
        if not equals or not name:
            raise CommandError(f"write arguments as name=value or name:=json, unlike {typed!r}")
        return cls(name, text, is_json)


class Stdin:
    """Standard input, which one argument may take."""

    def __init__(self) -> None:
        self._taken = False

    def read(self) -> bytes:
        """Return all of it.

        Raises:
            CommandError: It was taken before.
        """
        if self._taken:
            raise CommandError("only one argument can be @-, standard input")
        self._taken = True
        return sys.stdin.buffer.read()


def read_arguments(info: EndpointInfo, typed: Sequence[str], stdin: Stdin) -> dict[str, Any]:
    """Return the values of a call by parameter; a list takes several arguments of one name.

    Raises:
        CommandError: An argument makes no sense, or a file can't be read.
    """
    parameters = {parameter.name: parameter for parameter in info.parameters}
    values: dict[str, Any] = {}
    for argument in map(Argument.parse, typed):
        name = argument.name
        if name not in parameters:
            raise CommandError(unknown_parameter(info, name))
        value = _value_of(info, parameters[name], argument, stdin)
        if name not in values:
            values[name] = value
        elif parameters[name].kind == "array" and isinstance(value, list):
            values[name] = [*values[name], *value]
        else:
            raise CommandError(f"{name} is given twice")
    return values


def unknown_parameter(info: EndpointInfo, name: str) -> str:
    """Say that an endpoint has no such parameter, and which it has."""
    names = [parameter.name for parameter in info.parameters]
    near = difflib.get_close_matches(name, names, 1, 0.5)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"{info.name} takes {', '.join(names) or 'nothing'}, but not {name!r}{hint}"


def _value_of(info: EndpointInfo, parameter: Parameter, argument: Argument, stdin: Stdin) -> Any:
    where = f"{argument.name} of {info.name}"
    if argument.is_json:
        try:
            return json.loads(argument.text)
        except ValueError as exc:
            raise CommandError(f"{where}: what follows := is no JSON: {exc}") from None
    text = argument.text
    if text.startswith("@@"):
        text = text[1:]
    elif text.startswith("@"):
        return _from_file(parameter, text[1:], where, stdin)
    elif parameter.takes_files and text:
        raise CommandError(f"{where} takes a file: {argument.name}=@{text}")
    try:
        return from_text(parameter, text)
    except ValueError as exc:
        raise CommandError(f"{where}: {exc}") from None


def _from_file(parameter: Parameter, path: str, where: str, stdin: Stdin) -> Any:
    if parameter.takes_files:
        file = handle_file(stdin.read(), "stdin") if path == "-" else handle_file(path)
        return [file] if parameter.kind == "array" else file
    try:
        data = stdin.read() if path == "-" else Path(path).read_bytes()
        text = data.decode("utf-8-sig")
    except OSError as exc:
        raise CommandError(f"{where}: {exc.strerror}: {path!r}", LOCAL) from None
    except UnicodeDecodeError:
        raise CommandError(f"{where}: {path!r} is no UTF-8 text") from None
    if parameter.kind == "string":
        return text
    try:
        return from_text(parameter, text.strip())
    except ValueError as exc:
        raise CommandError(f"{where}: {path!r}: {exc}") from None


def from_text(parameter: Parameter, text: str) -> Any:
    """Return what a text means for a parameter.

    Raises:
        ValueError: It means nothing there; the message says what would.
    """
    for choice in parameter.choices or ():
        if text == str(choice):
            return [choice] if parameter.kind == "array" else choice
    return _READERS.get(parameter.kind, _any)(text)


def _number(text: str) -> float:
    try:
        return int(text)
    except ValueError:
        pass
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"{text!r} is no number") from None
    # What JSON has no number for is none here either.
    json.dumps(value, allow_nan=False)
    return value


def _boolean(text: str) -> bool:
    word = text.strip().lower()
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    raise ValueError(f"write true or false, not {text!r}")


def _array(text: str) -> list[Any]:
    if not text.startswith("["):
        return [text]
    value: list[Any] = _json(text)
    return value


def _any(text: str) -> Any:
    """Return the JSON that a text is, or the text."""
    try:
        return json.loads(text)
    except ValueError:
        if text.startswith(("{", "[", '"')):
            return _json(text)
    return text


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as exc:
        raise ValueError(f"this is no JSON: {exc}") from None


_READERS: dict[str | None, Callable[[str], Any]] = {
    "string": str,
    "number": _number,
    "integer": _number,
    "boolean": _boolean,
    "array": _array,
    "object": _json,
}
