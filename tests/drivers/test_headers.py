"""`Endpoint.with_headers`, by each way to make a call: which request has them, and which wins."""

from __future__ import annotations

import itertools
import json
from typing import Any

import httpx
import pytest
import trio

from tests.drivers.peer import SECONDS, Peer, SocketPeer
from triojob import Client, Endpoint

OF_CLIENT = {"X-Client": "client", "x-both": "client"}
OF_CALL = {"x-call": "call", "X-Both": "call"}
NAMES = ("x-client", "x-call", "x-both")

WITH = ["client", "call", "call"]
"""The values of the one request whose headers a function of the app sees."""
WITHOUT = ["client", None, "client"]


class _Seeing(Peer):
    """Keeps what each request has of these headers, by path."""

    def __init__(self, version: str) -> None:
        super().__init__(version)
        self.seen: dict[str, list[list[str | None]]] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        values = [",".join(request.headers.get_list(name)) or None for name in NAMES]
        self.seen.setdefault(request.url.path, []).append(values)
        return await super().handle_async_request(request)


def message(kind: str, *data: Any, **words: Any) -> dict[str, Any]:
    output = {"output": {"data": list(data)}, "success": True} if data else {}
    return {"msg": kind, "event_id": "e1", **output, **words}


async def called(peer: Peer, script: Any = None, **options: Any) -> None:
    """Call an endpoint with headers of its own, and then without."""
    with trio.fail_after(SECONDS):
        async with Client(peer.url, transport=peer, headers=OF_CLIENT) as client:
            plain = client.endpoint("/greet", **options)
            for endpoint in (plain.with_headers(OF_CALL), plain):
                await _call(endpoint, script)


async def _call(endpoint: Endpoint, script: Any) -> None:
    async with trio.open_nursery() as nursery:
        if script is not None:
            nursery.start_soon(script)
        assert await endpoint("Bob") == "Hello"


async def test_by_run(autojump_clock: Any) -> None:
    peer = _Seeing("4.31.5")
    peer.says("/run/greet", {"data": ["Hello"]})
    await called(peer, via="run")
    assert peer.seen["/run/greet"] == [WITH, WITHOUT]
    assert peer.seen["/config"] == [WITHOUT]


async def test_by_call(autojump_clock: Any) -> None:
    peer = _Seeing("4.31.5")
    peer.says("/call/greet", {"event_id": "e1"})

    async def talk() -> None:
        peer.streams("/call/greet/e1").raw(b'event: complete\ndata: ["Hello"]\n\n')

    await called(peer, talk, via="call")
    assert peer.seen["/call/greet"] == [WITH, WITHOUT]
    assert peer.seen["/call/greet/e1"] == [WITHOUT, WITHOUT]


@pytest.mark.parametrize("version", ["4.14.0", "4.19.2", "4.31.5", "6.31.0"])
async def test_by_the_queue(version: str, autojump_clock: Any) -> None:
    peer = _Seeing(version)
    prefix = "/gradio_api" if version == "6.31.0" else ""
    if prefix:
        peer.described[prefix + "/info"] = peer.described["/info"]
    peer.says(prefix + "/queue/join", {"event_id": "e1"})

    async def talk() -> None:
        stream = peer.streams(prefix + "/queue/data")
        stream.send(message("process_completed", "Hello"))
        stream.send({"msg": "close_stream", "event_id": None})
        stream.end()

    await called(peer, talk)
    assert peer.seen[prefix + "/queue/join"] == [WITH, WITHOUT]
    assert peer.seen[prefix + "/queue/data"] == [WITHOUT, WITHOUT]


async def test_by_a_stream_for_each_call(autojump_clock: Any) -> None:
    peer = _Seeing("4.0.2")
    peer.says("/queue/data", None)

    calls = itertools.count(1)

    async def talk() -> None:
        stream = peer.streams("/queue/join")
        stream.send(message("send_data"))
        await peer.asked("/queue/data", next(calls))
        stream.send(message("process_completed", "Hello"))
        stream.end()

    await called(peer, talk)
    # It is the request with the data whose headers a function sees.
    assert peer.seen["/queue/data"] == [WITH, WITHOUT]
    assert peer.seen["/queue/join"] == [WITHOUT, WITHOUT]


async def test_by_a_socket() -> None:
    async def script(socket: Any) -> None:
        await socket.send_message(json.dumps({"msg": "send_data"}))
        await socket.get_message()
        await socket.send_message(json.dumps(message("process_completed", "Hello")))

    peer = SocketPeer("3.50.2")
    peer.script = script
    async with peer.serving():
        await called(peer)
    seen = [[sent.get(name) for name in NAMES] for sent in peer.handshakes]
    assert seen == [WITH, WITHOUT]


async def test_headers_add_up_and_the_last_wins(autojump_clock: Any) -> None:
    peer = _Seeing("4.31.5")
    peer.says("/run/greet", {"data": ["Hello"]})
    async with Client(peer.url, transport=peer) as client:
        first = client.endpoint("/greet", via="run").with_headers({"x-call": "1", "x-both": "1"})
        second = first.with_headers({"x-client": "2", "x-both": "2"})
        await second("Bob")
        await first("Bob")
    assert peer.seen["/run/greet"] == [["2", "1", "2"], [None, "1", "1"]]


async def test_event_data_keeps_the_headers(autojump_clock: Any) -> None:
    peer = _Seeing("4.31.5")
    peer.says("/run/greet", {"data": ["Hello"]})
    async with Client(peer.url, transport=peer) as client:
        endpoint = client.endpoint("/greet", via="run").with_headers({"x-call": "kept"})
        await endpoint.with_event_data({"index": 1})("Bob")
    assert peer.seen["/run/greet"] == [[None, "kept", None]]
    assert peer.bodies["/run/greet"][0]["event_data"] == {"index": 1}


@pytest.mark.parametrize("headers", [{"x y": "1"}, {"x": "a\nb"}, {"": "1"}])
async def test_headers_that_can_not_be_sent(headers: dict[str, str], autojump_clock: Any) -> None:
    peer = _Seeing("4.31.5")
    async with Client(peer.url, transport=peer) as client:
        with pytest.raises(ValueError, match="headers"):
            client.endpoint("/greet").with_headers(headers)
