"""Finds the called function and binds its arguments, with gradio_client's rules and messages."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast, final

from .._secrets import scrub
from ..gradio.files.inputs import META, FileInput, handle_file as mark_file
from ..gradio.protocol.messages import is_list, is_object, is_tuple
from ..gradio.schema.app import AppInfo
from .exceptions import EndpointNotFound

_USAGE = "Please click on 'view API' in the footer of the Gradio app to see usage."


def find_function(
    app: AppInfo, api_name: str | None, fn_index: int | None
) -> tuple[str | None, int]:
    """Return the number of the requested function, and its name, if it is requested by name.

    A name takes precedence over a number.

    Raises:
        EndpointNotFound: There is no such function, or the request is ambiguous.
    """
    if api_name is not None:
        named = app.number_of(api_name)
        if named is not None:
            return api_name, named
        hint = "" if api_name.startswith("/") else " Did you mean to use a leading slash?"
        raise EndpointNotFound(
            f"Cannot find a function with `api_name`: {api_name}.{hint}", available=app.names()
        )
    dependencies = _dependencies(app)
    if fn_index is not None:
        found = dependencies.get(fn_index)
        if found is None or _visibility(found) == "private":
            raise EndpointNotFound(f"Invalid function index: {fn_index}.", available=app.names())
        return None, fn_index
    public = [
        number
        for number, dependency in dependencies.items()
        if dependency.get("api_name") is not None
        and dependency.get("backend_fn") is not None
        and _visibility(dependency) == "public"
    ]
    if len(public) != 1:
        raise EndpointNotFound(
            "This Gradio app might have multiple endpoints. "
            "Please specify an `api_name` or `fn_index`",
            available=app.names(),
        )
    return _name(dependencies[public[0]]), public[0]


def _dependencies(app: AppInfo) -> dict[int, Mapping[str, Any]]:
    return {
        dependency.get("id", place): dependency
        for place, dependency in enumerate(app.config["dependencies"])
    }


def _name(dependency: Mapping[str, Any]) -> str | None:
    name = dependency.get("api_name")
    return "/" + name if isinstance(name, str) else None


def _visibility(dependency: Mapping[str, Any]) -> str:
    if "api_visibility" in dependency:
        return str(dependency["api_visibility"])
    if dependency.get("api_name") is False:
        return "private"
    return "undocumented" if dependency.get("show_api") is False else "public"


def parameters_of(app: AppInfo, fn_index: int) -> Sequence[Mapping[str, Any]] | None:
    """Return the app's description of a function's parameters; None if there is none."""
    described = app.description_of(fn_index)
    return None if described is None else described["parameters"]


def bind_arguments(
    parameters: Sequence[Mapping[str, Any]] | None,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
) -> list[Any]:
    """Return the arguments in the order of the parameters, with the app's defaults.

    Raises:
        TypeError: An argument is missing, given twice, or unknown.
        ValueError: The function takes no arguments by name.
    """
    if parameters is None:
        if kwargs:
            raise ValueError(f"This endpoint does not support key-word arguments {_USAGE}")
        return list(args)
    values = dict(enumerate(args))
    places = {
        item["parameter_name"]: place
        for place, item in enumerate(parameters)
        if "parameter_name" in item
    }
    for name, value in kwargs.items():
        place = places.get(name)
        if place is None:
            raise TypeError(f"Parameter `{name}` is not a valid key-word argument. {_USAGE}")
        if place < len(args):
            raise TypeError(f"Parameter `{name}` is already set as a positional argument. {_USAGE}")
        values[place] = value
    for place, item in enumerate(parameters):
        if place not in values:
            if not item.get("parameter_has_default", False):
                name = scrub(item.get("parameter_name", f"argument {place}"), ours=True)
                raise TypeError(f"No value provided for required argument: {name}")
            values[place] = item.get("parameter_default")
    return [values[place] for place in range(len(values))]


# --- Files ---


@final
class FileMark(dict[str, Any]):
    """A file to send, in gradio_client's format; only `handle_file` makes one.

    Its type identifies it, not its content: a dictionary with the same content can come from a
    server, which could otherwise make the client send it files of this machine.
    """


def handle_file(filepath_or_url: str | os.PathLike[str]) -> dict[str, Any]:
    """Mark a file to be sent to an app; it is read when the call runs.

    Args:
        filepath_or_url: A path, or an http(s) URL, which the app itself fetches.

    Returns:
        The value to pass as an argument of a call.

    Raises:
        ValueError: The file does not exist.
    """
    source = str(filepath_or_url)
    mark = FileMark(path=source, meta=dict(META))
    if source.startswith(("http://", "https://")):
        mark |= {"orig_name": source.rsplit("/", maxsplit=1)[-1], "url": source}
    elif Path(source).exists():
        mark["orig_name"] = Path(source).name
    else:
        raise ValueError(
            f"File {source} does not exist on local filesystem and is not a valid URL."
        )
    return mark


def file(filepath_or_url: str | os.PathLike[str]) -> dict[str, Any]:
    """Do the same as `handle_file`; this is its old name."""
    warnings.warn(
        "file() is deprecated and will be removed in a future version. Use handle_file() instead.",
        UserWarning,  # as in gradio_client, so that existing warning filters apply
        stacklevel=2,
    )
    return handle_file(filepath_or_url)


def with_files(value: Any) -> Any:
    """Return an argument in which triojob's own marks replace the file marks."""
    if isinstance(value, FileMark):
        return _to_native(value)
    if is_object(value):
        return {key: with_files(item) for key, item in value.items()}
    if is_list(value) or is_tuple(value):
        return [with_files(item) for item in value]
    return value


def _to_native(mark: FileMark) -> FileInput:
    return mark_file(cast("str", mark["path"]), mark.get("orig_name") or None)
