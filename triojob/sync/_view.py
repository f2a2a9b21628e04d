"""An app's description for people and for programs, in gradio_client's formats."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .._secrets import scrub_each
from ..gradio.protocol.messages import is_list, is_object
from ..gradio.schema.app import AppInfo


def public_info(app: AppInfo) -> dict[str, Any]:
    """Return the app's description of its public endpoints: the named and the unnamed ones."""
    info = app.public_info
    named, unnamed = info.get("named_endpoints"), info.get("unnamed_endpoints")
    return {
        **info,
        "named_endpoints": _public(named if is_object(named) else {}),
        "unnamed_endpoints": _public(unnamed if is_object(unnamed) else {}),
    }


def _public(endpoints: Mapping[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for name, endpoint in endpoints.items():
        if endpoint.get("api_visibility", "public") == "public" and endpoint.get("show_api", True):
            kept[name] = copy.deepcopy(endpoint)
            for key in ("api_visibility", "show_api", "code_snippets"):
                kept[name].pop(key, None)
    return kept


def describe(info: Mapping[str, Any], *, all_endpoints: bool | None) -> str:
    """Return ``info`` as text.

    Args:
        all_endpoints: Whether to show unnamed endpoints too; None to show them only if there are
            no others.
    """
    named, unnamed = info["named_endpoints"], info["unnamed_endpoints"]
    parts = [
        "Client.predict() Usage Info\n---------------------------\n",
        f"Named API endpoints: {len(named)}\n",
        *(_endpoint(f'api_name="{name}"', endpoint) for name, endpoint in named.items()),
    ]
    if all_endpoints or (all_endpoints is None and not named):
        parts.append(f"\nUnnamed API endpoints: {len(unnamed)}\n")
        parts += (_endpoint(f"fn_index={int(name)}", item) for name, item in unnamed.items())
    elif unnamed:
        parts.append(
            f"\nUnnamed API endpoints: {len(unnamed)}, "
            "to view, run Client.view_api(all_endpoints=True)\n"
        )
    return "".join(scrub_each(parts))


def _endpoint(which: str, endpoint: Mapping[str, Any]) -> str:
    parameters, returns = endpoint["parameters"], endpoint["returns"]
    names = [_name(item) for item in parameters]
    values = [_plain(item["label"]) for item in returns]
    shown = ", ".join(values)
    if len(values) > 1:
        shown = f"({shown})"
    text = f"\n - predict({', '.join([*names, which])}) -> {shown}\n"
    if endpoint.get("oauth_token"):
        text += (
            "    Acts on your behalf: this endpoint takes your Hugging Face "
            f"token ({endpoint['oauth_token']}). Pass it with "
            "Client(..., oauth_token=...) to grant it.\n"
        )
    return text + _lines("Parameters", parameters, _parameter) + _lines("Returns", returns, _return)


def _lines(
    title: str,
    items: Sequence[Mapping[str, Any]],
    describe_one: Callable[[Mapping[str, Any]], str],
) -> str:
    lines = [describe_one(item) for item in items] or ["None"]
    return f"    {title}:\n" + "".join(f"     - {line}\n" for line in lines)


def _parameter(item: Mapping[str, Any]) -> str:
    kind = item["python_type"]["type"]
    default = "(required)"
    if item.get("parameter_has_default", False):
        value = _with_files(item.get("parameter_default"))
        default = f"(not required, defaults to:   {value})"
        if value is None:
            kind += " | None"
    return f"[{item['component']}] {_name(item)}: {kind} {default} {_description(item)} "


def _return(item: Mapping[str, Any]) -> str:
    return (
        f"[{item['component']}] {_plain(item['label'])}: "
        f"{item['python_type']['type']}{_description(item)} "
    )


def _description(item: Mapping[str, Any]) -> str:
    words = item["python_type"].get("description")
    return f" ({words})" if words else ""


def _name(item: Mapping[str, Any]) -> str:
    return _plain(item.get("parameter_name") or item["label"])


def _plain(name: str) -> str:
    kept = "".join(character for character in name if character.isalnum() or character in " _")
    return kept.replace(" ", "_").lower()


def _with_files(value: Any) -> Any:
    """Return a default value with each file replaced by the code to write for it."""
    if is_object(value):
        meta = value.get("meta")
        if (
            isinstance(value.get("path"), str)
            and is_object(meta)
            and meta.get("_type") == "gradio.FileData"
        ):
            return f'handle_file("{value["url"]}")'
        return {key: _with_files(item) for key, item in value.items()}
    return [_with_files(item) for item in value] if is_list(value) else value
