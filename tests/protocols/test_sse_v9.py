"""A protocol is one file: `sse_v9` is registered, and all of triojob speaks it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio
import trio.testing

from tests.protocols.server import NewServer
from tests.protocols.sse_v9 import PROTOCOL
from tests.servers.scripted import Chosen, Event, ScriptedServer, open_server
from tests.support.files import file_data, opened
from tests.support.threads import ServerThread
from triojob import JobCancelled, Status, StatusUpdate, sync
from triojob.gradio.protocol import registry
from triojob.testing._server.description import App
from triojob.testing.components import json_value, number


@pytest.fixture(autouse=True)
def spoken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Chosen, "server", NewServer)
    monkeypatch.setitem(registry._protocols, PROTOCOL.name, PROTOCOL)


@pytest.fixture
async def server(spoken: None) -> AsyncIterator[ScriptedServer]:
    async with open_server(App(protocol=PROTOCOL.name), memory=True) as server:

        @server.app.endpoint(inputs=[number("n")], generator=True, concurrency_limit=1)
        async def count(event: Event) -> None:
            for step in range(int(event.data[0])):
                await event.generating([f"{step}"])
                await trio.sleep(1)

        @server.app.endpoint(inputs=["word"])
        async def echo(event: Event) -> None:
            await event.completed([event.data[0]])

        yield server


async def test_outputs_are_whole(server, autojump_clock):
    async with opened(server) as client:
        assert client.protocol == "sse_v9"
        assert await client.predict("x", api_name="/echo") == "x"
        job = client.submit(3, api_name="/count")
        assert [output async for output in job] == ["0", "1", "2"]


async def test_a_running_call_is_stopped(server, autojump_clock):
    async with opened(server) as client:
        job = client.submit(1000, api_name="/count")
        await anext(aiter(job))
        job.cancel()
        with pytest.raises(JobCancelled):
            await job.result()
        await client.predict(1, api_name="/count")
    assert [request.path for request in server.requests if "stop" in request.path] == ["/stop"]
    assert len(server.cancels) == 1


async def test_a_waiting_call_is_not_dequeued(server, autojump_clock):
    async with opened(server) as client, client.session() as session:
        first = session.submit(5, api_name="/count")
        second = session.submit(5, api_name="/count")
        async for update in second.updates():
            if isinstance(update, StatusUpdate) and update.code is Status.IN_QUEUE:
                break
        second.cancel()
        assert await first.result() == "4"
    assert server.dequeues == []


async def test_files_are_found(server, tmp_path, autojump_clock):
    @server.app.endpoint(outputs=[json_value("out")])
    async def give(event: Event) -> None:
        await event.completed([{"inside": [file_data("/srv/a.txt")]}])

    server.files["/srv/a.txt"] = b"content"
    async with opened(server, download_files=tmp_path) as client:
        value = await client.predict(api_name="/give")
    assert Path(value["inside"][0]).read_bytes() == b"content"


def test_the_bridge_speaks_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Chosen, "protocol", PROTOCOL.name)
    thread = ServerThread()
    try:
        client = sync.Client(thread.url, verbose=False)
        assert client.predict("ada", api_name="/greet") == "Hello ada!"
        assert list(client.submit(3, api_name="/count")) == ["0", "1", "2"]
        job = client.submit("x", api_name="/hang")
        thread.until(lambda server: server.running)
        job.cancel()
        thread.until_told(1)
        client.close()
    finally:
        thread.close()
