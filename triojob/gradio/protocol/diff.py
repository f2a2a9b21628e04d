"""Applies edits to values: protocols from sse_v2 on send changes to outputs; no I/O.

An edit is ``[action, path, value]``; Gradio makes it in ``gradio/utils.py``, ``diff``.
Applying edits does not change the old value: only the containers along the path are copied,
everything else is shared between the old value and the new one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, final

from .messages import MOST_DEPTH, is_deeper, is_list, is_object


class EditError(Exception):
    """An edit does not fit the value: the stream is out of step with the server."""


@final
class GrowingText:
    """Text to which more can be appended, at a cost that depends only on the appended text.

    An instance is immutable; a text that grows from it shares its parts.
    `str` returns the text.  One thread can read it, or grow it, while another does the same.
    """

    __slots__ = ("_state",)

    def __init__(self, head: str) -> None:
        self._state: tuple[str, list[str], int] = (head, [], 0)
        """The beginning, the following parts, and how many of the parts belong to this text.

        The other parts belong to texts that grew from it.  It is read and replaced as one tuple,
        for other threads.
        """

    def grown(self, more: str) -> GrowingText:
        """Return the text with ``more`` at its end."""
        # Joining from time to time keeps the number of parts small, and the total cost stays
        # linear: at each join, the text is longer by a fixed share than at the last one.
        head, parts, count = self._state
        if len(parts) == count and count <= 512 + len(head) // 64:
            parts.append(more)
            if parts[count] is more:  # otherwise another thread came first
                grown = object.__new__(GrowingText)
                grown._state = (head, parts, count + 1)
                return grown
        return GrowingText(str(self)).grown(more)

    def __str__(self) -> str:
        head, parts, count = self._state
        if count:
            head = "".join((head, *parts[:count]))
            self._state = (head, [], 0)
        return head


def grow_text(text: Any, edits: Any) -> GrowingText | None:
    """Return ``text`` with the edits applied if it is text and they only append; else None."""
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


MOST_MOVED = 2**26
"""How many list items the edits of one message can move from one position to the next.

Gradio's own edits move none: they add at a list's end, and delete from some item to the end.
"""


def apply_edits(value: Any, edits: Any, changed: list[Any] | None = None) -> Any:
    """Return ``value`` with the list of ``edits`` applied in order; ``value`` does not change.

    The cost is linear in the edits and the containers along their paths, except for moved items,
    whose number is bounded.

    Args:
        changed: Receives the containers that are new because something in them was changed.

    Raises:
        EditError: An edit is malformed, or does not fit, or nests the value too deep, or the edits
            move more than `MOST_MOVED` items.
    """
    if not is_list(edits):
        raise EditError("the edits are not a list")
    work = _Work()
    place = 0
    while place < len(edits):
        action, path, new = _parts(edits[place])
        place += 1
        times = 1
        # One by one would be quadratic: each deletion would move up the items that are deleted
        # next.
        while action == "delete" and place < len(edits) and _deletes(edits[place], path):
            place += 1
            times += 1
        value = work.apply(value, action, path, new, times)
    if changed is not None:
        changed += work.copies
    return work.finish(value)


def _parts(edit: Any) -> list[Any]:
    if not is_list(edit) or len(edit) != 3 or not is_list(edit[1]):
        raise EditError("an edit is not an [action, path, value] triple")
    if isinstance(edit[2], _CONTAINERS) and is_deeper(edit[2], MOST_DEPTH - len(edit[1])):
        raise EditError(f"an edit nests the value more than {MOST_DEPTH} levels deep")
    return edit


def _deletes(edit: Any, path: list[Any]) -> bool:
    """Return whether ``edit`` deletes the item at ``path``."""
    action, other, _ = _parts(edit)
    return (
        action == "delete"
        and len(other) == len(path)
        # Only possible keys are compared: True must not equal 1, and other values may be deep.
        and all(
            type(a) is type(b) in (int, str) and a == b for a, b in zip(other, path, strict=True)
        )
    )


# As in `is_list` and `is_object`, but without a call: this is the innermost loop.
_LIST: type[Any] = list
_CONTAINERS: tuple[type[Any], ...] = (list, dict)


@final
class _Work:
    """The intermediate state of one call of `apply_edits`."""

    __slots__ = ("_growing", "_grown", "_moved", "_owned")

    def __init__(self) -> None:
        self._owned: dict[int, Any] = {}
        """The copies by identity: nothing else refers to them yet, so each container is copied
        once.

        All copies stay alive here, so that no identity is used twice.
        """
        self._grown: set[int] = set()
        """The identities of texts that grew once; if an identity is used twice, only time is lost.
        """
        self._growing: dict[int, Any] = {}
        """The containers that may contain a `GrowingText`, by identity."""
        self._moved = 0

    @property
    def copies(self) -> Iterable[Any]:
        """The containers that were copied because something in them was to be changed."""
        return self._owned.values()

    def apply(self, root: Any, action: Any, path: list[Any], value: Any, times: int) -> Any:
        """Return the root after one edit; a deletion is applied ``times`` times."""
        if not path:
            if action == "replace":
                return value
            if action == "append":
                return self._joined(root, value)
            raise EditError(f"{action!r:.50} needs a path")
        owned = self._owned
        whole = node = [root]
        for key in (0, *path[:-1]):
            _check_key(node, key)
            child = node[key]
            if id(child) not in owned:
                if not isinstance(child, _CONTAINERS):
                    raise EditError(f"a path leads into a {type(settled(child)).__name__}")
                child = node[key] = child.copy()
                owned[id(child)] = child
            node = child
        self._change(node, action, path[-1], value, times)
        return whole[0]

    def finish(self, root: Any) -> Any:
        """Return the root with each `GrowingText` replaced by its text."""
        for node in self._growing.values():
            items: Any = node.items() if is_object(node) else enumerate(node)
            for key, value in items:
                if isinstance(value, GrowingText):
                    node[key] = str(value)
        return settled(root)

    def _change(self, node: Any, action: Any, key: Any, value: Any, times: int) -> None:
        _check_key(node, key, beyond=action == "add")
        if action == "append":  # first, as most edits append
            node[key] = joined = self._joined(node[key], value)
            if isinstance(joined, GrowingText):
                self._growing[id(node)] = node
        elif action == "replace" or (action == "add" and is_object(node)):
            node[key] = value
        elif action == "add":
            self._move(len(node) - key)
            node.insert(key, value)
        elif action == "delete":
            self._delete(node, key, times)
        else:
            raise EditError(f"unknown action {action!r:.50}")

    def _delete(self, node: Any, key: Any, times: int) -> None:
        if is_list(node):
            _check_key(node, key + times - 1)
            self._move(len(node) - key - times)
            del node[key : key + times]
            return
        del node[key]
        if times > 1:
            _check_key(node, key)

    def _move(self, items: int) -> None:
        self._moved += items
        if self._moved > MOST_MOVED:
            raise EditError(f"the edits move more than {MOST_MOVED:,} items of lists")

    def _joined(self, text: Any, more: Any) -> str | GrowingText:
        if isinstance(text, str) and isinstance(more, str):
            if id(text) in self._grown:  # joining it each time would be quadratic
                return GrowingText(text).grown(more)
            joined = text + more
            self._grown.add(id(joined))
            return joined
        if isinstance(text, GrowingText) and isinstance(more, str):
            return text.grown(more)
        raise EditError("only text can be appended to text")


def _check_key(container: Any, key: Any, *, beyond: bool = False) -> None:
    """Check that ``key`` is in ``container``, or with ``beyond`` that it can be added."""
    if isinstance(container, _LIST):
        # A negative index would be valid in Python; here it shows that the server miscounted.
        if type(key) is int and 0 <= key < len(container) + beyond:
            return
    elif isinstance(key, str) and (beyond or key in container):
        return
    raise EditError(f"a path has {key!r:.50}, which doesn't exist")
