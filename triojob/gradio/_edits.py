"""Edits to values: how protocols from sse_v2 on stream what changed; no I/O.

An edit is ``[action, path, value]``; Gradio makes it in ``gradio/utils.py``, ``diff``.
Applying edits leaves the old value as it was: only the containers along the path are copied,
all else is shared between the old value and the new one.
"""

from __future__ import annotations

from typing import Any, final

from ._wire import is_list, is_object


class EditError(Exception):
    """An edit doesn't fit the value: the stream is out of step with the server."""


@final
class GrowingText:
    """Text to which more is appended at the cost of what is appended, however long it is.

    One stays what it is, whatever grows from it; what grows from it shares its parts.
    `str` gives the text.
    """

    __slots__ = ("_count", "_head", "_parts")

    def __init__(self, head: str) -> None:
        self._head = head
        self._parts: list[str] = []
        self._count = 0
        """How many of ``_parts`` are this one's: the others belong to what grew from it."""

    def grown(self, more: str) -> GrowingText:
        """Return the text with ``more`` at its end."""
        # Joining now and then keeps the parts few, at a cost that is linear all the same: each
        # time the text is longer by a fixed share than the last time.
        if len(self._parts) != self._count or self._count > 512 + len(self._head) // 64:
            return GrowingText(str(self)).grown(more)
        grown = GrowingText(self._head)
        grown._parts, grown._count = self._parts, self._count + 1
        self._parts.append(more)
        return grown

    def __str__(self) -> str:
        if self._count:
            self._head = "".join((self._head, *self._parts[: self._count]))
            self._parts, self._count = [], 0
        return self._head


def grow_text(text: Any, edits: Any) -> GrowingText | None:
    """Return ``text`` with the edits applied if it is text and they only append, else None."""
    if not (isinstance(text, (str, GrowingText)) and is_list(edits) and edits):
        return None
    for edit in edits:
        if not (is_list(edit) and len(edit) == 3 and edit[0] == "append" and edit[1] == []):
            return None
        if not isinstance(edit[2], str):
            return None
    grown = text if isinstance(text, GrowingText) else GrowingText(text)
    for edit in edits:
        grown = grown.grown(edit[2])
    return grown


def settled(value: Any) -> Any:
    """Return the text of a `GrowingText`, and any other value as it is."""
    return str(value) if isinstance(value, GrowingText) else value


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
    last = len(path) - 1
    for place in range(last):
        key = path[place]
        _check_key(node, key)
        child = node[key]
        if id(child) not in owned:
            child = node[key] = _private(child, owned)
        node = child
    _change(node, action, path[last], value)
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
