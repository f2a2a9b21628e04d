"""Derives an app's inputs and outputs from the signature of a function."""

from __future__ import annotations

import collections.abc
import inspect
import itertools
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .components import (
    Component,
    checkbox,
    checkboxgroup,
    dropdown,
    file,
    json_value,
    number,
    textbox,
)

_STREAMS = (
    collections.abc.AsyncGenerator,
    collections.abc.AsyncIterable,
    collections.abc.AsyncIterator,
    collections.abc.Generator,
    collections.abc.Iterable,
    collections.abc.Iterator,
)


@dataclass(frozen=True)
class FunctionSignature:
    """The inputs and outputs of a function."""

    names: tuple[str, ...]
    inputs: tuple[Component, ...]
    outputs: tuple[Component, ...]
    optional: frozenset[str]
    """Parameters whose default is None."""
    paths: frozenset[str]
    """Parameters for files that are passed as a `Path` and not as a `str`."""
    streams: bool
    """Whether it yields its outputs rather than returning them."""
    description: str
    """Its docstring without arguments and returns."""


def read_signature(
    function: Callable[..., Any],
    parameters: Mapping[str, Component],
    returns: Sequence[Component] | None,
) -> FunctionSignature:
    """Return the inputs and outputs of a function, by its annotations.

    Args:
        parameters: Components for parameters of these names; they override the annotations.
        returns: The outputs; they override the annotation; None to use the annotation.

    Raises:
        TypeError: It has parameters that a Gradio function can't have, or ``parameters`` names one
            that it does not have.
    """
    found = inspect.signature(function).parameters
    if unknown := parameters.keys() - found.keys():
        raise TypeError(f"{_name(function)} has no parameter {min(unknown)!r}")
    inputs: list[Component] = []
    optional: set[str] = set()
    paths: set[str] = set()
    for name, parameter in found.items():
        if parameter.kind is not inspect.Parameter.POSITIONAL_OR_KEYWORD:
            raise TypeError(
                f"{_name(function)} takes {parameter}: an app passes its inputs by position, "
                "one for each plain parameter"
            )
        has_default = parameter.default is not inspect.Parameter.empty
        default = parameter.default if has_default else None
        if has_default and default is None:
            optional.add(name)
        hint = _hint(function, name, parameter.annotation)
        if hint in (Path, list[Path]):
            paths.add(name)
        inputs.append(parameters.get(name) or _component(name, hint, default))
    streams = inspect.isasyncgenfunction(function) or inspect.isgeneratorfunction(function)
    return FunctionSignature(
        tuple(found),
        tuple(inputs),
        tuple(_outputs(function, streams=streams) if returns is None else returns),
        frozenset(optional),
        frozenset(paths),
        streams,
        _description(function),
    )


def _name(function: Callable[..., Any]) -> str:
    return getattr(function, "__name__", repr(function))


def _description(function: Callable[..., Any]) -> str:
    """Cut a docstring as Gradio does."""
    lines = (line.strip() for line in (inspect.getdoc(function) or "").splitlines())
    ends = ("Args:", "Parameters:", "Arguments:", "Returns:")
    words = itertools.takewhile(lambda line: not line.startswith(ends), lines)
    return " ".join(line for line in words if line)


def _hint(function: Callable[..., Any], name: str, annotation: Any) -> Any:
    """Evaluate an annotation, without the None of an optional one; Any if that is impossible."""
    if annotation is inspect.Parameter.empty:
        return Any
    holder = types.SimpleNamespace(__annotations__={name: annotation})
    names = getattr(inspect.unwrap(function), "__globals__", {})
    try:
        hint = typing.get_type_hints(holder, globalns=names)[name]
    except NameError:
        # It was imported for type checkers only, or it is local to another function.
        return Any
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        kinds = [kind for kind in typing.get_args(hint) if kind is not type(None)]
        return kinds[0] if len(kinds) == 1 else Any
    return hint


def _component(label: str, hint: Any, value: Any = None) -> Component:
    """Return the component for a type."""
    simple: dict[Any, Callable[[], Component]] = {
        str: lambda: textbox(label, value),
        int: lambda: number(label, value),
        float: lambda: number(label, value),
        bool: lambda: checkbox(label, value=value),
        Path: lambda: file(label),
        list[Path]: lambda: file(label, multiple=True),
    }
    if hint in simple:
        return simple[hint]()
    if choices := _choices(hint):
        return dropdown(label, choices, value)
    if typing.get_origin(hint) is list and (choices := _choices(typing.get_args(hint)[0])):
        return checkboxgroup(label, choices, value)
    return json_value(label, value)


def _choices(hint: Any) -> list[str]:
    if typing.get_origin(hint) is not typing.Literal:
        return []
    choices = typing.get_args(hint)
    return list(choices) if all(isinstance(choice, str) for choice in choices) else []


def _outputs(function: Callable[..., Any], *, streams: bool) -> list[Component]:
    hint = _hint(function, "return", inspect.signature(function).return_annotation)
    if streams and typing.get_origin(hint) in _STREAMS:
        hint = typing.get_args(hint)[0]
    if hint is type(None):
        return []
    kinds = typing.get_args(hint)
    if typing.get_origin(hint) is not tuple or Ellipsis in kinds:
        return [_component("output", hint)]
    # Labelled as in `gr.Interface`.
    return [_component(f"output {place}", kind) for place, kind in enumerate(kinds)]
