"""Nothing compressed is read: a few bytes of it could become any number before they are counted."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib

import pytest

from tests.servers.faults import Answer
from tests.servers.scripted import Event, ScriptedServer
from triojob import Client, ProtocolError

pytestmark = pytest.mark.usefixtures("either_way")

SIZE = 64 * 2**20


def add_echo(server: ScriptedServer) -> None:
    @server.app.endpoint(inputs=["text"])
    async def echo(event: Event) -> None:
        await event.completed(event.data)


@pytest.mark.parametrize(
    "encoding, bomb",
    [
        ("gzip", gzip.compress(b"[" * SIZE)),
        ("deflate", zlib.compress(b"[" * SIZE)),
        ("br", b"whatever"),
        ("zstd", b"whatever"),
        ("gzip, gzip", gzip.compress(gzip.compress(b"[" * SIZE))),
        ("x-unheard-of" * 10, b"whatever"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.parametrize(
    "path, kind",
    [("/queue/join", "application/json"), ("/queue/data", "text/event-stream")],
)
async def test_a_compressed_answer_is_refused_unread(
    memory_app, autojump_clock, path, kind, encoding, bomb
):
    add_echo(memory_app)
    headers = {"content-encoding": encoding, "content-type": kind}
    method = "POST" if path == "/queue/join" else "GET"
    memory_app.fault(method, path, Answer(200, bomb, headers), times=1)
    async with Client(memory_app.url, transport=memory_app.transport()) as client:
        tracemalloc.start()
        try:
            with pytest.raises(ProtocolError, match="compressed its response") as caught:
                await client.predict("a", api_name="/echo")
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < SIZE / 16
        assert len(str(caught.value)) < 200
        assert await client.predict("b", api_name="/echo") == "b"


@pytest.mark.parametrize("path", ["/config", "/info"])
async def test_a_compressed_description_is_refused(memory_app, autojump_clock, path):
    headers = {"content-encoding": "gzip", "content-type": "application/json"}
    memory_app.fault("GET", path, Answer(200, gzip.compress(b"{}"), headers))
    with pytest.raises(ProtocolError, match="compressed its response"):
        async with Client(memory_app.url, transport=memory_app.transport()):
            pass


async def test_it_is_not_asked_for(memory_app, autojump_clock):
    add_echo(memory_app)
    headers = {"Accept-Encoding": "gzip", "x-own": "1"}
    async with Client(memory_app.url, transport=memory_app.transport(), headers=headers) as client:
        await client.predict("a", api_name="/echo")
    assert {request.headers["accept-encoding"] for request in memory_app.requests} == {"identity"}
    assert {request.headers["x-own"] for request in memory_app.requests} == {"1"}


async def test_identity_by_name_is_fine(memory_app, autojump_clock):
    add_echo(memory_app)
    memory_app.fault(
        "POST",
        "/queue/join",
        Answer(500, {"detail": "x"}, {"content-encoding": "Identity"}),
        times=1,
    )
    async with Client(memory_app.url, transport=memory_app.transport()) as client:
        with pytest.raises(ProtocolError, match="500"):
            await client.predict("a", api_name="/echo")
