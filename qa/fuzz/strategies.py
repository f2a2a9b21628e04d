"""What Hypothesis makes up for the targets: bytes that are nearly right, and bytes that are not."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from tests.servers.recorded import load, load_json

CORPUS = Path(__file__).parent / "corpus"
RECORDED = Path(__file__).parents[2] / "tests" / "servers" / "traces"

words = st.sampled_from(
    ["", "a", "0", "msg", "data", "value", "path", "meta", "_type", "gradio.FileData", "update"]
) | st.text(max_size=5)
numbers = st.sampled_from([0, 1, -1, 2, True, 0.0, 1.5, 2**63, -(2**70), 1e308, 10**400])
leaves = st.none() | st.booleans() | st.integers() | numbers | words
junk = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=4),
    max_leaves=12,
)


def dumped(values: st.SearchStrategy[Any]) -> st.SearchStrategy[bytes]:
    return values.map(lambda value: json.dumps(value).encode())


@st.composite
def deep(draw: Callable[..., Any]) -> Any:
    """Nest something deeper than most code likes."""
    value = draw(leaves)
    for _ in range(draw(st.sampled_from([50, 300]))):
        value = [value] if draw(st.booleans()) else {"a": value}
    return value


@st.composite
def changed(draw: Callable[..., Any], value: Any) -> Any:
    """Change one thing in a value, anywhere in it; what is not on the way is shared."""
    if not isinstance(value, (list, dict)) or not value or draw(st.integers(0, 7)) == 0:
        return draw(junk | deep()) if draw(st.integers(0, 9)) == 0 else draw(junk)
    keys: list[Any] = list(range(len(value))) if isinstance(value, list) else list(value)
    key = draw(st.sampled_from(keys))
    copy = value.copy()
    what = draw(st.integers(0, 9))
    if what == 0:
        del copy[key]
    elif what == 1 and isinstance(copy, list):
        copy.insert(key, draw(st.sampled_from(copy) | junk))
    elif what == 1:
        copy[draw(words | st.sampled_from(keys))] = copy[key]
    else:
        copy[key] = draw(changed(copy[key]))
    return copy


@st.composite
def mutated(draw: Callable[..., Any], originals: st.SearchStrategy[Any]) -> Any:
    """Change a few things in something real."""
    value = draw(originals)
    for _ in range(draw(st.integers(0, 4))):
        value = draw(changed(value))
    return value


# --- One for each target ---

PIECES = [
    *(b"data", b"data:", b"data: ", b"event: ", b"event", b":", b": ", b" ", b"x", b"xxxxxxxx"),
    *(b"\n", b"\r", b"\r\n", b"\n\n", b"\xef\xbb\xbf", b"\xef", b"\xbb", b"\xff", b"\xe2\x80\xa8"),
]
streams = st.tuples(
    st.binary(min_size=2, max_size=2),
    st.lists(st.sampled_from(PIECES) | st.binary(max_size=3), max_size=40).map(b"".join),
).map(b"".join)


@cache
def recorded_messages() -> list[list[Any]]:
    return [load(name).messages for name in ("greet", "count", "tokens", "fail", "cancel_count")]


KINDS = [
    *("estimation", "process_starts", "progress", "log", "process_generating", "send_data"),
    *("process_streaming", "process_completed", "queue_full", "unexpected_error", "heartbeat"),
]
edits = st.lists(
    st.tuples(
        st.sampled_from(["add", "append", "delete", "replace"]),
        st.lists(st.integers(0, 2) | words, max_size=3),
        junk,
    ).map(list)
    | junk,
    max_size=4,
)
outputs = st.fixed_dictionaries(
    {},
    optional={
        "data": st.lists(edits | junk, max_size=3) | junk,
        "render_config": junk,
        "error": junk,
        "duration": junk,
    },
)
messages = st.fixed_dictionaries(
    {"msg": st.sampled_from(KINDS) | words},
    optional={
        "event_id": st.just("e") | junk,
        "output": outputs | junk,
        "success": st.booleans() | junk,
        "rank": st.integers() | junk,
        "rank_eta": junk,
        "progress_data": st.lists(
            st.dictionaries(st.sampled_from(["index", "length", "unit", "progress"]), junk)
        )
        | junk,
        "log": junk,
        "level": junk,
        "duration": junk,
    },
)
plain_outputs = st.lists(st.lists(edits, max_size=2), max_size=5).map(
    lambda several: [
        {"msg": "process_generating", "output": {"data": data}, "success": True} for data in several
    ]
)
events = st.tuples(
    st.integers(0, 15),
    mutated(st.deferred(lambda: st.sampled_from(recorded_messages())))
    | st.lists(messages, max_size=6)
    | st.tuples(plain_outputs, st.lists(messages, max_size=2)).map(
        lambda both: [*both[0], *both[1]]
    ),
).map(lambda both: [both[0], *both[1]] if isinstance(both[1], list) else [both[0], both[1]])


@cache
def recorded_descriptions() -> list[Any]:
    pairs = []
    for folder in sorted(RECORDED.iterdir()):
        if (folder / "config.json").exists() and (folder / "info.json").exists():
            pairs.append(
                [json.loads((folder / f"{n}.json").read_bytes()) for n in ("config", "info")]
            )
    return pairs


def real_parameters() -> list[Any]:
    named = load_json("info")["named_endpoints"]
    return [item for endpoint in named.values() for item in endpoint["parameters"]]


files = st.fixed_dictionaries(
    {
        "path": st.just("/tmp/a") | junk,
        "meta": st.just({"_type": "gradio.FileData"}) | junk,
    },
    optional={
        "url": junk,
        "size": junk,
        "orig_name": junk,
        "mime_type": junk,
        "is_stream": junk,
        "is_file": junk,
        "name": junk,
    },
)
with_files = st.recursive(
    files | leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=6,
)
file_edits = st.lists(
    st.tuples(
        st.sampled_from(["add", "append", "delete", "replace"]),
        st.lists(
            st.integers(0, 2) | st.sampled_from(["path", "meta", "_type", "a", "is_file", "name"]),
            max_size=3,
        ),
        with_files,
    ).map(list),
    max_size=3,
)
NAME_PIECES = [
    *("/", "\\", ".", "..", " ", ":", "CON", "nul", "com1", "LPT\u00b9", "a", "\x00", "\u202e"),
    *("\U0001f600" * 30, "x" * 199, "x" * 40, ".tar.gz", "\udc80", "\n", "\u2028", "~", "\u0130"),
]
names = st.lists(st.sampled_from(NAME_PIECES) | st.characters(), max_size=10).map("".join)
playlists = st.tuples(
    st.sampled_from([b"#EXTM3U\n", b"#EXTM3U", b"", b" #EXTM3U \r\n"]),
    st.lists(
        st.sampled_from([b"#EXTINF:1\n", b"0.aac\n", b"../x", b"/x\n", b"~a", b"#EXT-X-ENDLIST\n"])
        | st.binary(max_size=4),
        max_size=8,
    ).map(b"".join),
).map(b"".join)

ANSWER_PIECES = [
    *(b"HTTP/1.1 200 OK\r\n", b"HTTP/1.0 200 OK\r\n", b"HTTP/1.1 100 \r\n\r\n", b"\r\n", b"\n"),
    *(b"content-length: 3\r\n", b"content-length: 0\r\n", b"connection: close\r\n", b"0\r\n\r\n"),
    *(
        b"transfer-encoding: chunked\r\n",
        b"3\r\nabc\r\n",
        b"f;a=b\r\n",
        b"abc",
        b"\x00",
        b"\xff: a\r\n",
    ),
]
answers = st.tuples(
    st.binary(min_size=1, max_size=1),
    st.sampled_from([b"HTTP/1.1 200 OK\r\n", b""]),
    st.lists(st.sampled_from(ANSWER_PIECES) | st.binary(max_size=3), max_size=10).map(b"".join),
).map(b"".join)

ways = st.sampled_from(["queue", "call", "run", "sse", "ws"])
named = (
    st.fixed_dictionaries(
        {}, optional={"event_id": st.just("strange") | junk, "data": junk, "error": junk}
    )
    | st.tuples(st.sampled_from([200, 400, 401, 404, 422, 429, 500, 503]), junk).map(list)
    | st.fixed_dictionaries({"detail": st.lists(st.dictionaries(words, junk)) | junk}).map(
        lambda body: [422, body]
    )
)
renders = st.fixed_dictionaries(
    {"components": st.lists(st.dictionaries(words, junk)) | junk},
    optional={"dependencies": st.lists(st.dictionaries(words, junk)) | junk, "render_id": junk},
)
outputs_of_calls = st.fixed_dictionaries(
    {"data": st.lists(with_files, min_size=1, max_size=2) | st.lists(edits, max_size=2) | junk},
    optional={"render_config": renders | junk, "error": junk, "is_generating": junk},
)
messages_of_calls = st.lists(
    messages
    | st.fixed_dictionaries(
        {
            "msg": st.sampled_from(KINDS[-7:]) | junk,
            "output": outputs_of_calls | junk,
        },
        optional={"success": st.booleans() | junk, "event_id": st.just("strange") | junk},
    )
    | junk,
    max_size=6,
)

INPUTS: dict[str, st.SearchStrategy[bytes]] = {
    "sse": streams | st.binary(max_size=80),
    "connections": answers,
    "wire": dumped(
        messages
        | st.deferred(
            lambda: st.sampled_from([m for messages in recorded_messages() for m in messages])
        )
    )
    | st.binary(max_size=40),
    "event": dumped(events),
    "edits": dumped(st.tuples(junk, edits | junk)),
    "file_data": dumped(st.tuples(with_files, file_edits)),
    "properties": dumped(
        st.dictionaries(st.sampled_from(["__type__", "value", "visible"]), junk | st.just("update"))
        | junk
    ),
    "config": dumped(mutated(st.deferred(lambda: st.sampled_from(recorded_descriptions())))),
    "parameters": dumped(
        st.tuples(
            mutated(st.deferred(lambda: st.sampled_from(real_parameters()))),
            st.dictionaries(st.sampled_from(["minimum", "maximum", "allow_custom_value"]), junk)
            | junk,
            junk,
        )
    ),
    "file_names": names.map(lambda name: name.encode("utf-8", "surrogatepass")),
    "calls": dumped(st.tuples(ways, named | junk, messages_of_calls, named | with_files)),
    "descriptions": dumped(mutated(st.deferred(lambda: st.sampled_from(recorded_descriptions())))),
    "hls": playlists,
    "multipart": st.tuples(names, st.text(max_size=9), st.binary(max_size=30)).map(
        lambda parts: b"\n".join(
            [*(part.encode("utf-8", "surrogatepass") for part in parts[:2]), parts[2]]
        )
    ),
}
