"""Clients and what they give are refused outside their Trio run, and the error says what to do."""

from __future__ import annotations

import asyncio
import gc
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
import trio
import trio.testing

import triojob
from tests.servers.scripted import Event
from tests.support.files import file_data, serve_files
from tests.support.jobs import BaseExceptionGroup, leaves
from triojob import Client, ClientPool, Endpoint, File, InputStream, JobGroup, gather
from triojob.sync import open_portal
from triojob.testing import ScriptedApp


async def enter(manager: Any) -> None:
    async with manager:
        pass


async def submit(endpoint: Endpoint) -> None:
    async with JobGroup() as group:
        group.submit(endpoint, "x")


@dataclass
class Things:
    """What an open client gives."""

    client: Client
    pool: ClientPool
    endpoint: Endpoint
    stream: InputStream
    file: File

    def uses(self) -> dict[str, Callable[[], Any]]:
        return {
            "predict": partial(self.client.predict, "x", api_name="/greet"),
            "call": partial(self.endpoint, "x"),
            "call of a pool": partial(self.pool.predict, "x", api_name="/greet"),
            "stream": lambda: enter(self.client.endpoint("/take").stream_inputs("x")),
            "session": lambda: enter(self.client.session()),
            "session of a pool": lambda: enter(self.pool.session()),
            "add": partial(self.pool.add, "http://replica.test"),
            "remove": partial(self.pool.remove, self.client.src),
            "send": partial(self.stream.send, "x"),
            "send_eof": self.stream.send_eof,
            "save": partial(self.file.save, "nowhere"),
            "open": lambda: enter(self.file.open()),
            "gather": partial(gather, partial(self.endpoint, "x")),
            "submit": partial(submit, self.endpoint),
            "submit of a pool": partial(submit, self.pool.endpoint("/greet")),
        }


NEW: dict[str, Callable[[], Any]] = {
    "Client": lambda: enter(Client("http://nowhere.test")),
    "ClientPool": lambda: enter(ClientPool(["http://nowhere.test"])),
    "ScriptedApp": lambda: enter(ScriptedApp()),
    "serve": lambda: enter(ScriptedApp().serve()),
    "duplicate": partial(triojob.duplicate, "ada/story", token="hf_x"),
    "open_portal": lambda: enter(open_portal()),
}


async def use(make: Callable[[], Any]) -> None:
    await make()


def in_asyncio(make: Callable[[], Any]) -> None:
    asyncio.run(use(make))


def in_another_run(make: Callable[[], Any]) -> None:
    trio.run(use, make)


@pytest.mark.parametrize("name", NEW)
def test_nothing_new_begins_in_asyncio(name: str) -> None:
    with pytest.raises(RuntimeError, match=r"trio\.run\(main\), or use triojob\.sync"):
        in_asyncio(NEW[name])


@pytest.mark.parametrize("place", [in_asyncio, in_another_run])
async def test_wrong_place_is_refused_and_harms_nobody(memory_app, place):
    async def take(event: Event) -> None:
        await event.streaming(event.data)
        await event.next_input(1000)
        await event.completed(event.data)

    memory_app.app.add("take", take, inputs=["text"], extra={"connection": "stream"})
    memory_app.app.add("greet", inputs=["text"])
    memory_app.files["/srv/a.bin"] = b"content"
    serve_files(memory_app, file_data("/srv/a.bin"))

    def make_client(url: str) -> Client:
        return Client(url, transport=memory_app.transport(), download_files=False)

    pool = ClientPool([memory_app.url], make_client)
    async with make_client(memory_app.url) as client, pool:
        file = await client.predict(api_name="/give")
        endpoint = client.endpoint("/greet")
        async with client.endpoint("/take").stream_inputs("a") as stream:
            uses = Things(client, pool, endpoint, stream, file).uses()
            await trio.testing.wait_all_tasks_blocked()
            before = len(memory_app.requests)
            with warnings.catch_warnings(record=True) as warned:
                warnings.simplefilter("always")
                for name, make in uses.items():
                    with pytest.raises((RuntimeError, BaseExceptionGroup)) as caught:
                        await trio.to_thread.run_sync(place, make)
                    (error,) = leaves(caught.value)
                    assert type(error) is RuntimeError, name
                    assert "triojob.sync" in str(error), name
                    del caught, error
                gc.collect()  # a coroutine that was never awaited says so now
            assert [str(each.message) for each in warned] == []
            assert len(memory_app.requests) == before
        assert await endpoint("x") == "x"
        assert await pool.predict("x", api_name="/greet") == "x"
