"""The components that a scripted app can declare, each as Gradio 6.31 describes it.

An endpoint of a `ScriptedApp` derives its components from the annotations of its function; use
these for components that an annotation can't express.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

_STRING_OR_NULL = [{"type": "string"}, {"type": "null"}]

FILE_SCHEMA: dict[str, Any] = {
    "$defs": {
        "FileDataMeta": {
            "properties": {
                "_type": {"const": "gradio.FileData", "title": "Type", "type": "string"}
            },
            "required": ["_type"],
            "title": "FileDataMeta",
            "type": "object",
        }
    },
    "properties": {
        "path": {"title": "Path", "type": "string"},
        "url": {"anyOf": _STRING_OR_NULL, "default": None, "title": "Url"},
        "size": {
            "anyOf": [{"type": "integer"}, {"type": "null"}],
            "default": None,
            "title": "Size",
        },
        "orig_name": {
            "anyOf": _STRING_OR_NULL,
            "default": None,
            "title": "Orig Name",
        },
        "mime_type": {
            "anyOf": _STRING_OR_NULL,
            "default": None,
            "title": "Mime Type",
        },
        "is_stream": {"default": False, "title": "Is Stream", "type": "boolean"},
        "meta": {"$ref": "#/$defs/FileDataMeta"},
    },
    "required": ["path"],
    "title": "FileData",
    "type": "object",
}


@dataclass(frozen=True, eq=False)
class Component:
    """One component. Two endpoints share it by naming the same object, which matters for State."""

    kind: str
    label: str | None = None
    value: Any = None
    """Its initial value: a State's, or a parameter's default as clients receive it."""
    schema: dict[str, Any] = field(default_factory=dict)
    python_type: str = "Any"
    example: Any = None
    skip_api: bool = False
    props: dict[str, Any] = field(default_factory=dict)

    @property
    def is_state(self) -> bool:
        """Whether it is a gr.State."""
        return self.kind == "state"

    def config(self, component_id: int) -> dict[str, Any]:
        """Return its description in /config."""
        entry: dict[str, Any] = {
            "id": component_id,
            "type": self.kind,
            "props": {"name": self.kind, "visible": True, "_selectable": False, **self.props},
            "skip_api": self.skip_api,
            "component_class_id": hashlib.sha256(self.kind.encode()).hexdigest(),
            "key": None,
        }
        if self.label is not None:
            entry["props"]["label"] = self.label
        # A State's value stays on the server.
        if self.value is not None and not self.is_state:
            entry["props"]["value"] = self.value
        if not self.skip_api:
            entry |= {
                "api_info": self.schema,
                "api_info_as_input": self.schema,
                "api_info_as_output": self.schema,
                "example_inputs": self.example,
            }
        return entry

    def info(self) -> dict[str, Any]:
        """Return its description in /info."""
        return {
            "label": self.label,
            "type": self.schema,
            "python_type": {"type": self.python_type, "description": ""},
            "component": self.kind.capitalize(),
        }


def textbox(label: str, value: str | None = None) -> Component:
    """Return a text field."""
    return Component("textbox", label, value, {"type": "string"}, "str", "Hello!!")


def number(label: str, value: float | None = None) -> Component:
    """Return a field for a number."""
    return Component("number", label, value, {"type": "number"}, "float", 3)


def slider(label: str, minimum: float, maximum: float, value: float) -> Component:
    """Return a slider between two numbers."""
    schema: dict[str, Any] = {
        "type": "number",
        "description": f"numeric value between {minimum} and {maximum}",
    }
    props = {"minimum": minimum, "maximum": maximum, "step": 1}
    return Component("slider", label, value, schema, "float", minimum, props=props)


def checkbox(label: str, *, value: bool | None = None) -> Component:
    """Return a checkbox."""
    return Component("checkbox", label, value, {"type": "boolean"}, "bool", True)


def dropdown(
    label: str,
    choices: Sequence[str],
    value: str | None = None,
    *,
    allow_custom_value: bool = False,
) -> Component:
    """Return a choice of one out of several texts."""
    names = list(choices)
    props = {
        "choices": [[name, name] for name in names],
        "allow_custom_value": allow_custom_value,
    }
    schema: dict[str, Any] = {"type": "string", "enum": names}
    python_type = "Literal[" + ", ".join(map(repr, names)) + "]"
    return Component("dropdown", label, value, schema, python_type, names[0], props=props)


def checkboxgroup(
    label: str, choices: Sequence[str], value: Sequence[str] | None = None
) -> Component:
    """Return a choice of any number out of several texts."""
    names = list(choices)
    items = {"enum": names, "type": "string"}
    schema: dict[str, Any] = {"items": items, "title": "Checkbox Group", "type": "array"}
    python_type = "list[Literal[" + ", ".join(map(repr, names)) + "]]"
    chosen = None if value is None else list(value)
    props = {"choices": [[name, name] for name in names]}
    return Component("checkboxgroup", label, chosen, schema, python_type, names[:1], props=props)


def json_value(label: str, value: Any = None) -> Component:
    """Return a component for any JSON value."""
    schema: dict[str, Any] = {"type": {}, "description": "any valid json"}
    return Component(
        "json", label, value, schema, "str | float | bool | list | dict", {"foo": "bar"}
    )


def chatbot(label: str) -> Component:
    """Return a chat: a list of messages."""
    schema: dict[str, Any] = {"items": {}, "title": "ChatbotDataMessages", "type": "array"}
    return Component("chatbot", label, [], schema, "list[Message | MessageDict]", [])


def dataframe(label: str) -> Component:
    """Return a table: a dict with `headers` and `data`."""
    schema: dict[str, Any] = {
        "properties": {
            "headers": {"items": {}, "title": "Headers", "type": "array"},
            "data": {"items": {"items": {}, "type": "array"}, "title": "Data", "type": "array"},
        },
        "required": ["headers", "data"],
        "title": "DataframeData",
        "type": "object",
    }
    python_type = "dict(headers: list[Any], data: list[list[Any]])"
    return Component("dataframe", label, None, schema, python_type, None)


def file(label: str, *, multiple: bool = False) -> Component:
    """Return a field for a file, or for several."""
    schema: dict[str, Any] = FILE_SCHEMA
    python_type = "filepath"
    if multiple:
        schema = {"items": FILE_SCHEMA, "title": "ListFiles", "type": "array"}
        python_type = "list[filepath]"
    props = {"file_count": "multiple" if multiple else "single"}
    return Component("file", label, None, schema, python_type, None, props=props)


def state(initial: Any = None) -> Component:
    """Return a gr.State: hidden from callers, and kept by the app for each session."""
    return Component("state", None, initial, skip_api=True)


def button(label: str) -> Component:
    """Return a component that is not a State and is also hidden from callers."""
    return Component("button", label, label, skip_api=True)
