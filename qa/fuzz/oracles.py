"""Slow and plain ways to do what triojob does fast: what its answers are compared with."""

from __future__ import annotations

import copy
from typing import Any

MARK = b"\xef\xbb\xbf"


class Refused(Exception):
    """What an oracle says in place of an answer."""


def events_of(stream: bytes, max_size: int) -> tuple[list[tuple[str, bytes]], bool]:
    """Read an event stream byte by byte; return kinds and data, and whether it was refused.

    Lines and their ends count for the size of an event, a byte order mark does not.
    """
    events: list[tuple[str, bytes]] = []
    data: list[bytes] = []
    kind, line, size = b"", b"", 0
    after_cr, first = False, True
    for number in stream:
        byte = bytes([number])
        if after_cr and byte == b"\n":
            after_cr = False
            continue
        after_cr = byte == b"\r"
        if byte not in b"\r\n":
            line += byte
            marked = first and MARK.startswith(line[:3])
            if size + len(line[3:] if marked else line) > max_size:
                return events, True
            continue
        if first:
            line, first = line.removeprefix(MARK), False
        if line:
            size += len(line) + 1
            if size > max_size:
                return events, True
            field, _, value = line.partition(b":")
            value = value[1:] if value.startswith(b" ") else value
            if field == b"data":
                data.append(value)
            elif field == b"event":
                kind = value
        else:
            if data:
                events.append((kind.decode("utf-8", "replace"), b"\n".join(data)))
            data, kind, size = [], b"", 0
        line = b""
    return events, False


def edited(root: Any, edits: Any) -> Any:
    """Apply edits to a copy of everything; raise `Refused` where one doesn't fit."""
    if not isinstance(edits, list):
        raise Refused
    for edit in edits:
        root = copy.deepcopy(root)
        match copy.deepcopy(edit):
            case ["replace", [], value]:
                root = value
            case ["append", [], str(more)] if isinstance(root, str):
                root = root + more
            case [str(action), [*way, last], value]:
                node = root
                for key in way:
                    node = node[_there(node, key)]
                _edit(node, action, last, value)
            case _:
                raise Refused
    return root


def _there(node: Any, key: Any) -> Any:
    if isinstance(node, dict) and isinstance(key, str) and key in node:
        return key
    if isinstance(node, list) and type(key) is int and key in range(len(node)):
        return key
    raise Refused


def _edit(node: Any, action: str, key: Any, value: Any) -> None:
    if action == "add" and isinstance(node, dict) and isinstance(key, str):
        node[key] = value
    elif action == "add" and isinstance(node, list) and key in range(len(node) + 1):
        if type(key) is not int:
            raise Refused
        node.insert(key, value)
    elif action == "replace":
        node[_there(node, key)] = value
    elif action == "delete":
        del node[_there(node, key)]
    elif action == "append" and isinstance(node[_there(node, key)], str):
        if not isinstance(value, str):
            raise Refused
        node[key] += value
    else:
        raise Refused


def outputs_of(messages: list[Any], *, edits: bool) -> list[list[Any]]:
    """Return the outputs that the messages of one event make, up to its end; none for its end.

    Where an edit doesn't fit, no output comes any more.
    """
    outputs: list[list[Any]] = []
    state: list[Any] | None = None
    in_step = True
    for message in messages:
        whole = message["msg"] == "process_streaming"
        output = message.get("output")
        data = output.get("data") if isinstance(output, dict) else None
        if message["msg"] not in ("process_generating", "process_streaming"):
            continue
        if not isinstance(data, list) or message.get("success") is False:
            continue
        if state is None or whole or not edits:
            state = data
        elif in_step:
            try:
                if len(data) < len(state):
                    raise Refused
                padded = state + [None] * (len(data) - len(state))
                state = [edited(old, change) for old, change in zip(padded, data, strict=True)]
            except Refused:
                in_step = False
                continue
        else:
            continue
        outputs.append(state)
    return outputs


def files_of(value: Any, *, by_meta: bool) -> list[Any]:
    """Return the paths of the files in a value: of what is marked, or of what looks like one."""
    found: list[Any] = []
    if isinstance(value, list):
        for item in value:
            found += files_of(item, by_meta=by_meta)
    elif isinstance(value, dict):
        meta = value.get("meta")
        marked = isinstance(meta, dict) and meta.get("_type") == "gradio.FileData"
        if by_meta and marked and isinstance(value.get("path"), str) and value["path"]:
            return [value["path"]]
        for item in value.values():
            found += files_of(item, by_meta=by_meta)
    return found
