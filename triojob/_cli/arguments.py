"""Arguments as they are typed: ``name=text``, ``name:=json``, ``name=@file``.

A text is converted to the type that the app's description gives the parameter; so are the cells of
a CSV.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trio

from triojob import handle_file

from ..gradio.schema.app import EndpointInfo
from ..gradio.schema.parameters import Parameter
from .ending import CommandError
from .exit_codes import LOCAL

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
        """Parse ``name=text`` or ``name:=json``.

        Raises:
            CommandError: It is neither.
        """
        name, equals, text = typed.partition("=")
        is_json = name.endswith(":")
        name = name.removesuffix(":").strip()
        if not equals or not name:
            raise CommandError(f"write arguments as name=value or name:=json, not {typed!r}")
        return cls(name, text, is_json)


async def read_stdin(typed: Sequence[str]) -> bytes | None:
    """Return all of standard input, if one of the arguments uses it.

    Being cancelled ends the wait.

    Raises:
        CommandError: Several arguments use it.
    """
    takers = [word for word in typed if word.partition("=")[2] == "@-" and ":=" not in word]
    if not takers:
        return None
    if len(takers) > 1:
        raise CommandError("only one argument can be read from standard input (@-)")
    return await trio.to_thread.run_sync(_read_all, abandon_on_cancel=True)


def _read_all() -> bytes:
    # With a separate file object: Python locks its own one at exit, which a thread that still waits
    # would block.
    return open(0, "rb", closefd=False).read()


def read_arguments(info: EndpointInfo, typed: Sequence[str], stdin: bytes | None) -> dict[str, Any]:
    """Return the values of a call by parameter; a list combines several arguments of one name.

    Args:
        stdin: The result of `read_stdin`.

    Raises:
        CommandError: An argument is invalid, or a file can't be read.
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
            raise CommandError(f"{name} is given twice; remove one of them")
    return values


def unknown_parameter(info: EndpointInfo, name: str) -> str:
    """Return the message that an endpoint has no such parameter, and which it has."""
    names = [parameter.name for parameter in info.parameters]
    near = difflib.get_close_matches(name, names, 1, 0.5)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"{info.name} has no parameter {name!r}: it takes {', '.join(names) or 'nothing'}{hint}"


def _value_of(
    info: EndpointInfo, parameter: Parameter, argument: Argument, stdin: bytes | None
) -> Any:
    where = f"{argument.name} of {info.name}"
    if argument.is_json:
        try:
            return json.loads(argument.text)
        except ValueError as exc:
            raise CommandError(f"{where}: the value after := is not valid JSON: {exc}") from None
    text = argument.text
    if text.startswith("@@"):
        text = text[1:]
    elif text.startswith("@"):
        return _from_file(parameter, text[1:], where, stdin)
    elif parameter.takes_files and text:
        raise CommandError(f"{where} takes a file; write {argument.name}=@{text}")
    try:
        return from_text(parameter, text)
    except ValueError as exc:
        raise CommandError(f"{where}: {exc}") from None


def _from_file(parameter: Parameter, path: str, where: str, stdin: bytes | None) -> Any:
    if parameter.takes_files:
        file = handle_file(stdin or b"", "stdin") if path == "-" else handle_file(path)
        return [file] if parameter.kind == "array" else file
    try:
        data = (stdin or b"") if path == "-" else Path(path).read_bytes()
        text = data.decode("utf-8-sig")
    except OSError as exc:
        raise CommandError(f"{where}: {exc.strerror}: {path!r}", LOCAL) from None
    except UnicodeDecodeError:
        raise CommandError(f"{where}: {path!r} is not valid UTF-8") from None
    if parameter.kind == "string":
        return text
    try:
        return from_text(parameter, text.strip())
    except ValueError as exc:
        raise CommandError(f"{where}: {path!r}: {exc}") from None


def from_text(parameter: Parameter, text: str) -> Any:
    """Return the value of a text for a parameter.

    Raises:
        ValueError: It is invalid; the message describes valid texts.
    """
    choices = parameter.choices_by_text
    if text in choices:
        return [choices[text]] if parameter.kind == "array" else choices[text]
    return _READERS.get(parameter.kind, _any)(text)


def _number(text: str) -> float:
    try:
        return int(text)
    except ValueError:
        pass
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a number") from None
    # JSON has no such number.
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
    """Return the value of a JSON text, or the text if it is not JSON."""
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
        raise ValueError(f"this is not valid JSON: {exc}") from None


_READERS: dict[str | None, Callable[[str], Any]] = {
    "string": str,
    "number": _number,
    "integer": _number,
    "boolean": _boolean,
    "array": _array,
    "object": _json,
}
