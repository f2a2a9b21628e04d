"""Gradio's diff of two successive stream values, from its description, including its errors.

The scripted server sends the result; a `real` test compares it with Gradio's own.
"""

from __future__ import annotations

from typing import Any

from ...gradio.protocol.messages import is_list, is_object

Edit = list[Any]
Path = list[Any]


def edits_between(old: Any, new: Any) -> list[Edit]:
    """List the edits, ``[action, path, value]``, that turn `old` into `new`, in order.

    Like Gradio's, and for the same inputs, these edits can be wrong: see `_renumber_deletes`.
    """
    return _edits_at([], old, new)


def _edits_at(path: Path, old: Any, new: Any) -> list[Edit]:
    # Python's equality: 1, 1.0 and True are equal, so no edit distinguishes them.
    if old == new:
        return []
    if type(old) is not type(new):
        return [["replace", path, new]]
    if isinstance(old, str) and new.startswith(old):
        return [["append", path, new[len(old) :]]]
    if is_list(old):
        return _list_edits(path, old, new)
    if is_object(old):
        return _dict_edits(path, old, new)
    return [["replace", path, new]]


def _list_edits(path: Path, old: list[Any], new: list[Any]) -> list[Edit]:
    edits: list[Edit] = []
    for index, (before, after) in enumerate(zip(old, new, strict=False)):
        edits += _edits_at([*path, index], before, after)
    edits += [["delete", [*path, index], None] for index in range(len(new), len(old))]
    edits += [["add", [*path, index], new[index]] for index in range(len(old), len(new))]
    _renumber_deletes(edits)
    return edits


def _renumber_deletes(edits: list[Edit]) -> None:
    """Lower the index of each delete by the number of deletes before it.

    That is correct for this list's own items. Gradio also counts deletes inside the items, so a
    list whose items shrink along with it comes out wrong, sometimes with negative indexes. Clients
    must handle that.
    """
    seen = 0
    for action, path, _ in edits:
        if action == "delete" and isinstance(path[-1], int):
            path[-1] -= seen
            seen += 1


def _dict_edits(path: Path, old: dict[Any, Any], new: dict[Any, Any]) -> list[Edit]:
    edits: list[Edit] = []
    for key, before in old.items():
        if key in new:
            edits += _edits_at([*path, key], before, new[key])
        else:
            edits.append(["delete", [*path, key], None])
    edits += [["add", [*path, key], value] for key, value in new.items() if key not in old]
    return edits
