"""Targets that read what an app says: values, descriptions and files."""

from __future__ import annotations

import email.parser
import email.policy
import json
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from qa.fuzz import oracles
from qa.fuzz.common import check_error, decoded
from triojob import (
    EndpointMismatch,
    EndpointNotFound,
    ProtocolError,
)
from triojob.gradio.files.data import files_by_edits, find_files, replace_files
from triojob.gradio.files.hls import parse_playlist
from triojob.gradio.files.multipart import Multipart
from triojob.gradio.files.names import _DEVICES, MAX_NAME, safe_name
from triojob.gradio.protocol.diff import EditError, apply_edits
from triojob.gradio.protocol.properties import PropertyUpdate, unwrap
from triojob.gradio.protocol.registry import find_protocol
from triojob.gradio.schema.app import AppInfo, EndpointInfo, Render
from triojob.gradio.schema.parameters import Parameter, encode_value
from triojob.gradio.schema.view import describe_app


def edits(data: bytes) -> None:
    """A pair: a value, and edits of it."""
    match decoded(data):
        case [root, changes]:
            before = repr((root, changes))
        case _:
            return
    try:
        expected, refused = oracles.edited(root, changes), False
    except oracles.Refused:
        expected, refused = None, True
    for _ in range(2):
        try:
            made = apply_edits(root, changes)
        except EditError as error:
            assert refused
            assert len(str(error)) < 200  # noqa: PT017 - there is none where it fits
        else:
            assert not refused
            assert repr(made) == repr(expected)
        assert repr((root, changes)) == before, "the old value or the edits were changed"


def objects_in(value: Any) -> Iterator[dict[str, Any]]:
    """Yield all objects in a value, however deep."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            yield item
            waiting += item.values()
        elif isinstance(item, list):
            waiting += item


def file_data(data: bytes) -> None:
    """A pair: a value with files, and edits of it."""
    match decoded(data):
        case [value, changes] if isinstance(changes, list):
            pass
        case _:
            return
    for protocol in ("sse_v3", "sse_v2", "ws"):
        rule = find_protocol(protocol).traits.read_file
        places = find_files(value, rule)
        if protocol == "sse_v3":
            found = [file.path for _, file in places]
            assert sorted(found) == sorted(oracles.files_of(value, by_meta=True))
        before = repr(value)
        replaced = replace_files(value, places, lambda file: [file.path])
        assert repr(value) == before
        for path, file in places:
            node = replaced
            for key in path:
                node = node[key]
            assert node == [file.path]
            assert isinstance(file.size, (int, type(None)))
        changed: list[Any] = []
        try:
            after = apply_edits(value, changes, changed)
        except EditError:
            continue
        # A file is the old one, or was found by the edits, or it was in another file before.
        known = {repr(file) for _, file in places}
        known |= {repr(file) for file in files_by_edits(changes, changed, rule)}
        known |= {repr(rule(item)) for item in objects_in(value)}
        later = {repr(file) for _, file in find_files(after, rule)}
        assert later <= known, "an edit brought a file unseen"


def properties(data: bytes) -> None:
    """One output of one component."""
    value = decoded(data)
    shown = unwrap(value)
    if isinstance(shown, PropertyUpdate):
        assert dict(shown) == {k: v for k, v in value.items() if k != "__type__"}
        assert len(shown) == len(list(shown))
    elif isinstance(value, dict) and value.get("__type__") == "update":
        assert shown is value["value"]
    else:
        assert shown is value


# --- Descriptions ---


def config(data: bytes) -> None:
    """A pair: ``/config`` and ``/info``; a third item is what a render made."""
    match decoded(data):
        case [dict(description), dict(info), *renders]:
            pass
        case _:
            return
    before = repr((description, info))
    try:
        app = AppInfo(description, info)
        app = app.with_renders(
            [Render.from_config(item) for item in renders if isinstance(item, dict)]
        )
    except ProtocolError as error:
        check_error(error)
        return
    names = app.names(all_endpoints=True)
    assert set(app.names()) <= set(names)
    found: list[EndpointInfo] = []
    for name, number in [*((name, None) for name in names), (None, 0), (None, 1), (None, None)]:
        try:
            found.append(app.find(name, number))
        except EndpointNotFound as error:
            check_not_found(error, names)
        except (EndpointMismatch, ProtocolError) as error:
            check_error(error)
    for endpoint in found:
        check_endpoint(endpoint)
    assert app.endpoints(all_endpoints=True).keys() == set(names)
    assert isinstance(describe_app("http://a/", app, all_endpoints=True), str)
    assert repr((description, info)) == before


def check_not_found(error: EndpointNotFound, names: tuple[str, ...]) -> None:
    assert set(error.available) <= set(names)
    assert error.nearest is None or error.nearest in names


def check_endpoint(endpoint: EndpointInfo) -> None:
    assert len(endpoint.signature.parameters) == len(endpoint.parameters)
    assert all(parameter.place < endpoint.input_count for parameter in endpoint.parameters)
    for values in ((), ("x",) * len(endpoint.parameters), (None,) * len(endpoint.parameters)):
        try:
            encoded = endpoint.encode(values, {}, validate=True)
        except (TypeError, ValueError):
            continue
        assert len(json.loads(encoded)) == endpoint.input_count
    width = max(endpoint.shown_outputs, default=-1) + 1
    endpoint.present([None] * width)
    if width:
        with suppress(ProtocolError):
            endpoint.present([None] * (width - 1))
            raise AssertionError("an output with too few values was shown")


def parameters(data: bytes) -> None:
    """A triple: a parameter of ``/info``, its component's props, and an argument for it."""
    match decoded(data):
        case [dict(item), props, value]:
            pass
        case _:
            return
    parameter = Parameter.from_info("x", 0, item, props)
    assert isinstance(str(parameter.as_python(after_optional=False)), str)
    try:
        parameter.check("/app", value)
    except (TypeError, ValueError) as error:
        check_error(error)
    try:
        encoded = encode_value(value, "the argument")
    except (TypeError, ValueError):
        return
    assert repr(json.loads(encoded)) == repr(value)


# --- Files ---


def file_names(data: bytes) -> None:
    """Names, one a line; surrogates stand for bytes that are no UTF-8."""
    names = data.decode("utf-8", "surrogateescape").split("\n")
    name = safe_name(*names)
    assert name
    assert len(name.encode()) <= MAX_NAME
    assert not re.search(r'[/\\<>:"|?*\x00-\x1f\x7f]', name)
    assert not name.startswith((".", " "))
    assert not name.endswith((".", " "))
    assert name.partition(".")[0].rstrip(" ").upper() not in _DEVICES
    assert safe_name(name) == name, "a safe name is not safe yet"


def hls(data: bytes) -> None:
    """A playlist."""
    try:
        playlist = parse_playlist(data)
    except ProtocolError as error:
        check_error(error)
        return
    assert data.decode("utf-8", "replace").strip().startswith("#EXTM3U")
    for name in playlist.segments:
        assert re.fullmatch(r"[A-Za-z0-9_.~-]{1,200}", name)
        assert name not in (".", "..")


def multipart(data: bytes) -> None:
    """A file's name and type, one a line each, and what it holds."""
    name, _, rest = data.partition(b"\n")
    kind, _, content = rest.partition(b"\n")
    text = name.decode("utf-8", "surrogateescape")
    form = Multipart("files", text, kind.decode("latin-1") or None)
    body = form.head + content + form.tail
    assert form.length(len(content)) == len(body)
    lines = form.head.split(b"\r\n")
    assert len(lines) == 5, "a name or a type has brought a line of its own"
    assert b"\n" not in form.head.replace(b"\r\n", b"")
    assert b"\r" not in form.head.replace(b"\r\n", b"")
    head = f"Content-Type: {form.content_type}\r\n\r\n".encode()
    if b"\r" in content or b"\n" in content:
        return  # the parser of the standard library is for mail, and changes line ends
    parsed = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + body)
    (part,) = parsed.iter_parts()
    assert part.get_param("name", header="content-disposition") == "files"
    assert part.get_payload(decode=True) == content
