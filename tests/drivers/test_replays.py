"""What real servers of old eras sent, played again: the whole way from bytes to results."""

from __future__ import annotations

import ast
import json
import re
from typing import Any

import httpx
import pytest
import trio

from tests.drivers.peer import TRACES, Peer, SocketPeer, reply
from triojob import AppError, Client, Status, StatusUpdate

CHUNK = re.compile(r"<<< chunk \d+B (b(['\"]).*\2)$")
ASKED = re.compile(r"(?:>>> POST \S+|### POST \S+|>>> WS) (\{.*?\})(?: ->.*)?$")
TOLD = re.compile(r"<<< WS str (\{.*\})$")
NAMED = re.compile(r"(?:<<< HTTP 200|POST /call/\w+ -> 200) (\{\"event_id\".*\})$")

TOKENS = ["tok0", "tok0 tok1", "tok0 tok1 tok2", "tok0 tok1 tok2 tok3"]
CALLS: list[tuple[str, tuple[Any, ...], list[Any]]] = [
    ("greet", ("Bob",), ["Hello Bob!"]),
    ("add", (2, 5), [(7, 10)]),
    ("count", (3,), ["0", "1", "2"]),
    ("tokens", (4,), TOKENS),
    ("slow", (0.8,), ["slept 0.8"]),
]
FAILURES = [("fail", "'boom'"), ("fail_hard", None)]


class Recorded:
    """One call, as recorded."""

    def __init__(self, version: str, name: str) -> None:
        text = (TRACES / version / f"{name}.txt").read_text(encoding="utf-8")
        lines = text.splitlines()
        self.chunks = [ast.literal_eval(m[1]) for line in lines if (m := CHUNK.search(line))]
        self.asked = [json.loads(m[1]) for line in lines if (m := ASKED.search(line))]
        self.told = [m[1] for line in lines if (m := TOLD.search(line))]
        self.named = [json.loads(m[1]) for line in lines if (m := NAMED.search(line))]


def play(peer: Peer, version: str, recorded: Recorded) -> None:
    """Have the peer answer as the server did."""
    if version == "4.0.2":
        stream = peer.streams("/queue/join")
        before = [chunk for chunk in recorded.chunks if b"send_data" in chunk]
        place = recorded.chunks.index(before[0]) + 1

        async def take_data(_peer: Peer, _body: Any) -> httpx.Response:
            for chunk in recorded.chunks[place:]:
                stream.raw(chunk)
            stream.end()
            return reply(None)

        peer.answers["/queue/data"] = take_data
        for chunk in recorded.chunks[:place]:
            stream.raw(chunk)
    else:
        peer.says("/queue/join", recorded.named[0])
        stream = peer.streams("/queue/data")
        for chunk in recorded.chunks:
            stream.raw(chunk)
        stream.end()


async def check(client: Client, name: str, arguments: tuple[Any, ...], outputs: list[Any]) -> None:
    job = client.submit(*arguments, api_name=f"/{name}")
    assert await job.result() == outputs[-1]
    assert job.outputs() == outputs
    codes = [update.code async for update in job.updates() if isinstance(update, StatusUpdate)]
    assert Status.IN_QUEUE in codes
    assert codes[-1] is Status.FINISHED
    assert (Status.PROGRESS in codes) == (name == "slow")


@pytest.mark.parametrize("version", ["4.0.2", "4.14.0", "4.19.2"])
@pytest.mark.parametrize("name, arguments, outputs", CALLS)
async def test_event_streams(version, name, arguments, outputs, autojump_clock):
    peer, recorded = Peer(version), Recorded(version, name)
    play(peer, version, recorded)
    async with Client(peer.url, transport=peer) as client:
        await check(client, name, arguments, outputs)
    sent = peer.bodies["/queue/data" if version == "4.0.2" else "/queue/join"][0]
    for key in ("data", "fn_index", *(["event_id"] if version == "4.0.2" else [])):
        assert sent[key] == recorded.asked[0][key]


@pytest.mark.parametrize("version", ["4.0.2", "4.14.0", "4.19.2"])
@pytest.mark.parametrize("name, message", FAILURES)
async def test_event_streams_of_failures(version, name, message, autojump_clock):
    peer = Peer(version)
    play(peer, version, Recorded(version, name))
    async with Client(peer.url, transport=peer) as client:
        with pytest.raises(AppError) as caught:
            await client.predict(api_name=f"/{name}")
    assert caught.value.message == message


@pytest.mark.parametrize("name, arguments, outputs", CALLS)
async def test_websockets(name: str, arguments: tuple[Any, ...], outputs: list[Any]) -> None:
    peer, recorded = SocketPeer("3.50.2"), Recorded("3.50.2", name)
    asked: list[Any] = []
    peer.script = lambda connection: replay(connection, recorded, asked)
    async with peer.serving(), Client(peer.url, transport=peer) as client:
        await check(client, name, arguments, outputs)
    for got, expected in zip(asked, recorded.asked, strict=True):
        assert got["fn_index"] == expected["fn_index"]
        assert got.get("data") == expected.get("data")


@pytest.mark.parametrize("name, message", FAILURES)
async def test_websockets_of_failures(name: str, message: str | None) -> None:
    peer, recorded = SocketPeer("3.50.2"), Recorded("3.50.2", name)
    peer.script = lambda connection: replay(connection, recorded, [])
    async with peer.serving(), Client(peer.url, transport=peer) as client:
        with pytest.raises(AppError) as caught:
            await client.predict(api_name=f"/{name}")
    assert caught.value.message == message


async def replay(connection: Any, recorded: Recorded, asked: list[Any]) -> None:
    for text in recorded.told:
        await connection.send_message(text)
        if json.loads(text)["msg"] in ("send_hash", "send_data"):
            asked.append(json.loads(await connection.get_message()))
    await connection.aclose()


async def test_the_simple_api(autojump_clock: Any) -> None:
    peer, recorded = Peer("4.31.5"), Recorded("4.31.5", "call_count")
    event_id = recorded.named[0]["event_id"]
    peer.says("/call/count", recorded.named[0])
    stream = peer.streams(f"/call/count/{event_id}")
    for chunk in recorded.chunks:
        stream.raw(chunk)
    stream.end()
    async with Client(peer.url, transport=peer) as client:
        assert await client.endpoint("/count", via="call")(3) == "2"
    assert peer.bodies["/call/count"][0]["data"] == [3]
    assert "session_hash" not in peer.bodies["/call/count"][0]


async def test_the_simple_api_of_a_failure(autojump_clock: Any) -> None:
    peer, recorded = Peer("4.31.5"), Recorded("4.31.5", "call_fail")
    event_id = recorded.named[0]["event_id"]
    peer.says("/call/fail", recorded.named[0])
    stream = peer.streams(f"/call/fail/{event_id}")
    for chunk in recorded.chunks:
        stream.raw(chunk)
    stream.end()
    async with Client(peer.url, transport=peer) as client:
        with trio.fail_after(10), pytest.raises(AppError) as caught:
            await client.endpoint("/fail", via="call")()
    assert caught.value.message is None
