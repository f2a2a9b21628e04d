"""Property updates: an output that changes properties of a component; no I/O.

Wire source: gradio 6.31, ``helpers.py`` (``update``): a dictionary with ``"__type__": "update"``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, final

from .messages import is_object


@final
class PropertyUpdate(Mapping[str, Any]):
    """An output that keeps a component's value, and changes other properties of it.

    It is a read-only mapping of the properties' names to their new values, such as ``{"visible":
    False}``; an empty one is the output of ``gr.skip()``.
    An update with a value is shown as that value, as if the app had returned it directly.
    """

    __slots__ = ("_props",)

    def __init__(self, props: Mapping[str, Any]) -> None:
        self._props = dict(props)

    def __getitem__(self, name: str) -> Any:
        return self._props[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._props)

    def __len__(self) -> int:
        return len(self._props)

    def __repr__(self) -> str:
        return f"PropertyUpdate({self._props!r})"


def unwrap(value: Any) -> Any:
    """Return an output of one component as users see it: an update's value, or the update."""
    if not is_object(value) or value.get("__type__") != "update":
        return value
    if "value" in value:
        return value["value"]
    return PropertyUpdate({name: new for name, new in value.items() if name != "__type__"})
