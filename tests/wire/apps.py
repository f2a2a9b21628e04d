"""Descriptions of apps: the recorded one, and small ones put together by hand."""

from __future__ import annotations

import copy
from functools import cache
from typing import Any

from tests.servers.recorded import load_json
from triojob.gradio.protocol.messages import Json
from triojob.gradio.schema.app import AppInfo, EndpointInfo

CONFIG_FIELDS = {"version", "protocol", "api_prefix", "title", "components", "dependencies"}
# What a description of a component is long with, and no client looks at.
LOOKS = {"container", "elem_classes", "min_width", "preserved_by_key", "show_label", "visible"}


@cache
def _recorded() -> tuple[Json, Json]:
    config = {key: value for key, value in load_json("config").items() if key in CONFIG_FIELDS}
    for component in config["components"]:
        component["props"] = {k: v for k, v in component["props"].items() if k not in LOOKS}
        component.pop("api_info_as_output", None)
    info = load_json("info")
    for endpoint in info["named_endpoints"].values():
        endpoint.pop("code_snippets", None)
    return config, info


def recorded() -> tuple[Json, Json]:
    """Return the recorded ``/config`` and ``/info``, less what nobody looks at, to be changed."""
    return copy.deepcopy(_recorded())


STRING = {"type": "string"}
NUMBER = {"type": "number"}
STATE = object()
"""A hidden component, in a list of inputs or outputs."""


def parameter(name: Any, schema: Any = STRING, **changes: Any) -> Json:
    """Describe a parameter as /info does; ``props`` are its component's, for /config."""
    return {
        "label": f"label of {name}",
        "parameter_name": name,
        "parameter_has_default": False,
        "parameter_default": None,
        "type": schema,
        "python_type": {"type": "str", "description": ""},
        "component": "Textbox",
        "example_input": None,
        **changes,
    }


def optional(name: Any, default: Any, schema: Any = STRING, **changes: Any) -> Json:
    return parameter(name, schema, parameter_has_default=True, parameter_default=default, **changes)


def returned(label: str = "out", **changes: Any) -> Json:
    return {
        "label": label,
        "type": STRING,
        "python_type": {"type": "str", "description": ""},
        "component": "Textbox",
        **changes,
    }


class Description:
    """A ``/config`` and an ``/info``, to which endpoints are added."""

    def __init__(self) -> None:
        self.config: Json = {
            "version": "6.31.0",
            "protocol": "sse_v3",
            "api_prefix": "/gradio_api",
            "title": "made up",
            "components": [],
            "dependencies": [],
        }
        self.info: Json = {"named_endpoints": {}, "unnamed_endpoints": {}}
        self.public_info: Json = copy.deepcopy(self.info)

    def _component(self, item: Any) -> int:
        components = self.config["components"]
        number = 100 + 2 * len(components)
        if item is STATE:
            components.append({"id": number, "type": "state", "props": {}, "skip_api": True})
        else:
            props = {"label": item["label"], **item.pop("props", {})}
            kind = item["component"].lower()
            components.append(
                {
                    "id": number,
                    "type": kind,
                    "props": props,
                    "skip_api": False,
                    "api_info": item["type"],
                    "api_info_as_input": item["type"],
                }
            )
        return number

    def add(
        self, name: Any, inputs: list[Any], outputs: list[Any] | None = None, **changes: Any
    ) -> Description:
        """Add an endpoint; ``changes`` are fields of its dependency."""
        outputs = [returned()] if outputs is None else outputs
        dependency = {
            "id": len(self.config["dependencies"]),
            "inputs": [self._component(item) for item in inputs],
            "outputs": [self._component(item) for item in outputs],
            "api_name": name,
            "api_visibility": "public",
            "api_description": None,
            "backend_fn": True,
            "types": {"generator": False, "cancel": False},
            **changes,
        }
        self.config["dependencies"].append(dependency)
        if isinstance(name, str) and dependency.get("api_visibility") != "private":
            described = {
                "parameters": [item for item in inputs if item is not STATE],
                "returns": [item for item in outputs if item is not STATE],
                "api_visibility": dependency.get("api_visibility"),
                "description": "",
            }
            self.info["named_endpoints"]["/" + name] = described
            if dependency.get("api_visibility") == "public":
                self.public_info["named_endpoints"]["/" + name] = described
        return self

    @property
    def app(self) -> AppInfo:
        """Read it as a client does: with ``/info`` of the public endpoints where that is needed."""
        config, info = copy.deepcopy(self.config), copy.deepcopy(self.info)
        app = AppInfo(config, info)
        return AppInfo(config, info, copy.deepcopy(self.public_info)) if app.hides_public else app


def endpoint(*inputs: Any, outputs: list[Any] | None = None, **changes: Any) -> EndpointInfo:
    """Describe an app's only endpoint, ``/run``."""
    return Description().add("run", [*inputs], outputs, **changes).app.find(None, None)
