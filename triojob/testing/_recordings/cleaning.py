"""Values as recordings hold them: without secrets and addresses, and with files by their content.

A file is an object as Gradio marks it, whose ``path`` is its path in the recording.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from ..._secrets import scrub_whole
from ...gradio.files.data import find_files, replace_files
from ...gradio.files.inputs import META
from ...gradio.protocol.file_marks import FileData, marked_by_type
from ...gradio.protocol.messages import Json, is_list, is_object
from ...gradio.schema.app import AppInfo, EndpointInfo

ORIGIN = "http://recorded.test"
"""In the place of the app's address."""

_FOR_PAGES = frozenset(
    {"css", "head", "js", "layout", "stylesheets", "theme", "theme_hash", "body_css", "page"}
)
_OF_COMPONENTS = frozenset({"api_info_as_output", "component_class_id", "example_inputs"})
_CHANGING = frozenset({"app_id", "root", "username"})
_OF_MESSAGES = frozenset({"event_id", "time_limit", "used_cache", "cache_duration", "avg_time"})
_OF_OUTPUTS = frozenset(
    {"is_generating", "duration", "average_duration", "changed_state_ids", "used_cache"}
)


class Cleaner:
    """Masks secrets, and replaces the app's address.

    Args:
        addresses: The app's URLs, without a slash at the end.
    """

    def __init__(self, addresses: Collection[str]) -> None:
        self._addresses = sorted(addresses, key=len, reverse=True)

    def clean(self, value: Any) -> Any:
        """Return a copy of a JSON value in which all texts are clean."""
        if isinstance(value, str):
            text = scrub_whole(value)
            for address in self._addresses:
                text = text.replace(address, ORIGIN)
            return text
        if is_list(value):
            return [self.clean(item) for item in value]
        if is_object(value):
            return self._clean_object(value)
        return value

    def _clean_object(self, value: Json) -> Json:
        cleaned: Json = {}
        for key, item in value.items():
            name = base = self.clean(key)
            number = 1
            while name in cleaned:  # of several secrets, each had a value
                number += 1
                name = f"{base} ({number})"
            cleaned[name] = self.clean(item)
        return cleaned

    def description(self, app: AppInfo) -> AppInfo:
        """Return a description without what only pages use, and what changes at each start."""
        dropped = _FOR_PAGES | _CHANGING
        config = {key: item for key, item in app.config.items() if key not in dropped}
        config["components"] = [
            {key: item for key, item in component.items() if key not in _OF_COMPONENTS}
            for component in config["components"]
        ]
        public = None if app.public_info is app.info else self.clean(app.public_info)
        return AppInfo(self.clean(config), self.clean(app.info), public)

    def message(self, message: Json) -> Json:
        """Return a message without what no client uses."""
        kept = {key: item for key, item in message.items() if key not in _OF_MESSAGES}
        output = kept.get("output")
        if is_object(output) and "data" in output:
            kept["output"] = {
                key: item
                for key, item in output.items()
                if key not in _OF_OUTPUTS and (key, item) != ("render_config", None)
            }
        for key, usual in (("success", True), ("title", None)):
            if key in kept and kept[key] is usual:
                del kept[key]
        cleaned: Json = self.clean(kept)
        return cleaned


def restored(message: Json) -> Json:
    """Return a message of a recording with what clients other than triojob expect."""
    whole = {key: item for key, item in message.items() if key != "at"}
    if str(whole["msg"]).startswith("process_"):
        whole.setdefault("success", True)
    output = whole.get("output")
    if is_object(output) and "data" in output:
        defaults: Json = {
            "is_generating": whole["msg"] != "process_completed",
            "duration": 0.0,
            "average_duration": 0.0,
            "render_config": None,
            "changed_state_ids": [],
        }
        whole["output"] = {**defaults, **output}
    return whole


def file_entry(file: FileData, key: str) -> Json:
    """Return the object for a file of an output, with its path in the recording."""
    entry: Json = {"path": key, "meta": META}
    for name, value in (
        ("orig_name", file.orig_name),
        ("mime_type", file.mime_type),
        ("size", file.size),
    ):
        if value is not None:
            entry[name] = value
    return entry


def with_urls(value: Any, files: Collection[str], url_of: Callable[[str], tuple[str, str]]) -> Any:
    """Return a value whose files can be downloaded.

    Args:
        files: The paths of the recording's files.
        url_of: Returns the path and the URL of a file on a server.
    """
    places = [place for place in find_files(value, marked_by_type) if place[1].path in files]

    def show(file: FileData) -> Json:
        path, url = url_of(file.path)
        return {
            "path": path,
            "url": url,
            "size": file.size,
            "orig_name": file.orig_name,
            "mime_type": file.mime_type,
            "is_stream": False,
            "meta": META,
        }

    return replace_files(value, places, show) if places else value


def password_parameters(app: AppInfo, info: EndpointInfo | None) -> list[str]:
    """Return the names of an endpoint's parameters that are password fields."""
    if info is None:
        return []
    props: dict[Any, Any] = {item.get("id"): item.get("props") for item in app.config["components"]}
    slots: list[Any] = next(
        dependency["inputs"]
        for place, dependency in enumerate(app.config["dependencies"])
        if dependency.get("id", place) == info.fn_index
    )
    return [
        parameter.name
        for parameter in info.parameters
        if isinstance(slot := slots[parameter.place], int)
        and is_object(found := props.get(slot))
        and found.get("type") == "password"
    ]
