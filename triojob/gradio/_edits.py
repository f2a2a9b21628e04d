"""Edits to values: how protocols from sse_v2 on stream what changed; no I/O.

An edit is ``[action, path, value]``; Gradio makes it in ``gradio/utils.py``, ``diff``.
Applying edits leaves the old value as it was: only the containers along the path are copied,
all else is shared between the old value and the new one.
"""

from __future__ import annotations

from typing import Any

from ._wire import is_list, is_object


class EditError(Exception):
    """An edit doesn't fit the value: the stream is out of step with the server."""


def apply_edits(value: Any, edits: Any) -> Any:
    """Return ``value`` with the list of ``edits`` applied in order; ``value`` stays as it was.

    Raises:
        EditError: An edit is malformed, or doesn't fit.
    """
    if not is_list(edits):
        raise EditError("the edits are not a list")
    # The containers copied in this call: they are nobody else's yet, so one copy each is enough.
    # All stay alive in `owned`, so that no identity is used twice.
    owned: dict[int, Any] = {}
    for edit in edits:
        value = _apply(value, edit, owned)
    return value


def _apply(root: Any, edit: Any, owned: dict[int, Any]) -> Any:
    if not is_list(edit) or len(edit) != 3 or not is_list(edit[1]):
        raise EditError("an edit is not an [action, path, value] triple")
    action, path, value = edit
    if not path:
        if action == "replace":
            return value
        if action == "append":
            return _joined(root, value)
        raise EditError(f"{action!r:.50} needs a path")
    root = node = _private(root, owned)
    for key in path[:-1]:
        _check_key(node, key)
        node[key] = node = _private(node[key], owned)
    _change(node, action, path[-1], value)
    return root


def _change(node: Any, action: Any, key: Any, value: Any) -> None:
    if action == "add":
        _check_key(node, key, beyond=1)
        if is_list(node):
            node.insert(key, value)
        else:
            node[key] = value
        return
    _check_key(node, key)
    if action == "replace":
        node[key] = value
    elif action == "append":
        node[key] = _joined(node[key], value)
    elif action == "delete":
        del node[key]
    else:
        raise EditError(f"unknown action {action!r:.50}")


def _private(container: Any, owned: dict[int, Any]) -> Any:
    if id(container) in owned:
        return container
    if is_list(container) or is_object(container):
        copy = container.copy()
        owned[id(copy)] = copy
        return copy
    raise EditError(f"a path leads into a {type(container).__name__}")


def _joined(text: Any, more: Any) -> str:
    if isinstance(text, str) and isinstance(more, str):
        return text + more
    raise EditError("only text can be appended to text")


def _check_key(container: Any, key: Any, beyond: int = 0) -> None:
    """Check that ``key`` is in ``container``; for an addition (``beyond`` 1) that it may be."""
    if is_list(container):
        # A negative index would be valid Python; here it is a sign that the server miscounted.
        if type(key) is int and 0 <= key < len(container) + beyond:
            return
    elif isinstance(key, str) and (beyond or key in container):
        return
    raise EditError(f"a path has {key!r:.50}, which isn't there")
