"""Formats an app's description for people; no I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..._exceptions import TriojobError, short_repr
from ..._secrets import scrub_each
from ..protocol.messages import is_object
from .parameters import Parameter

if TYPE_CHECKING:
    from .app import AppInfo, EndpointInfo

_OAUTH = {
    "required": "acts with your Hugging Face token: Client(oauth_token=...)",
    "optional": "may act with your Hugging Face token: Client(oauth_token=...)",
}


def describe_app(base: str, app: AppInfo, *, all_endpoints: bool) -> str:
    """Return the app's endpoints, as text of several lines."""
    title = f"{app.title} at {base}" if app.title else base
    endpoints = app.endpoints(all_endpoints=all_endpoints)
    lines = [f"{title} (Gradio {app.version}, {app.protocol})", f"Endpoints: {len(endpoints)}"]
    for name, endpoint in endpoints.items():
        if isinstance(endpoint, TriojobError):
            lines += ["", name, f"  ({endpoint})"]
        else:
            names = ", ".join(parameter.name for parameter in endpoint.parameters)
            returns = [
                str(item.get("label") or place) for place, item in enumerate(endpoint.returns)
            ]
            lines += ["", f"{endpoint.name}({names}) -> {', '.join(returns) or 'nothing'}"]
            lines += [f"  {line}".rstrip() for line in _describe(endpoint)]
    return "\n".join(scrub_each(lines))


def describe_endpoint(endpoint: EndpointInfo) -> str:
    """Return what an endpoint does, takes and returns, as text of several lines."""
    return "\n".join(scrub_each(_describe(endpoint)))


def notes_of(endpoint: EndpointInfo) -> list[str]:
    """Return the special properties of an endpoint."""
    return [
        *(["streams: yields several outputs"] if endpoint.streams else []),
        *(["takes a stream of inputs"] if endpoint.takes_stream else []),
        *(["keeps State for each session"] if endpoint.stateful else []),
        *([_OAUTH[endpoint.oauth_token]] if endpoint.oauth_token is not None else []),
        *([endpoint.visibility] if endpoint.visibility != "public" else []),
    ]


def _describe(endpoint: EndpointInfo) -> list[str]:
    lines = endpoint.description.splitlines()
    if notes := notes_of(endpoint):
        lines.append(f"({'; '.join(notes)})")
    lines += [f"- {_parameter(parameter)}" for parameter in endpoint.parameters]
    for item in endpoint.returns:
        python_type = item.get("python_type")
        words = python_type.get("type") if is_object(python_type) else None
        lines.append(f"-> {item.get('label')} ({item.get('component')}): {words or 'Any'}")
    return lines


def _parameter(parameter: Parameter) -> str:
    default = "required" if parameter.required else f"default {short_repr(parameter.default)}"
    allowed = ""
    if parameter.choices is not None:
        allowed = f", one of {parameter.shown_choices}"
    elif parameter.minimum is not None or parameter.maximum is not None:
        allowed = f", {parameter.bounds}"
    return f"{parameter.name} ({parameter.component}): {parameter.python_type}, {default}{allowed}"
