"""Which way a client takes to its app, and that both ways say the same."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import trio

from tests.servers.scripted import Event, ScriptedServer, open_server
from tests.support.hanging import SECONDS
from triojob import Client, ConnectionFailed, UnexpectedResponse

pytestmark = pytest.mark.usefixtures("no_proxies")

LOGIN = ("ada", "lovelace")


@pytest.fixture
async def server() -> AsyncIterator[ScriptedServer]:
    with trio.fail_after(SECONDS):
        async with open_server() as server:
            server.app.add("echo", inputs=["a"])

            @server.app.endpoint(inputs=["a"])
            async def hang(event: Event) -> None:
                await trio.sleep_forever()

            yield server


def goes_direct(client: Client) -> bool:
    assert client._registry is not None
    return client._registry.http._direct is not None


async def test_a_client_makes_connections_of_its_own(server: ScriptedServer) -> None:
    async with Client(server.url) as client:
        assert goes_direct(client)
        for _ in range(5):
            assert await client.predict("a", api_name="/echo") == "a"
    assert server.listener.connections_made <= 3


async def test_what_the_caller_brings_is_used(server: ScriptedServer) -> None:
    async with httpx.AsyncClient() as own, Client(server.url, http_client=own) as client:
        assert not goes_direct(client)
        assert await client.predict("a", api_name="/echo") == "a"
    async with Client(server.url, transport=httpx.AsyncHTTPTransport()) as client:
        assert not goes_direct(client)
        assert await client.predict("a", api_name="/echo") == "a"


async def test_a_proxy_is_used(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The scripted server takes no proxy's requests, so that it shows in what it was asked for."""
    monkeypatch.setenv("HTTP_PROXY", server.url)
    with pytest.raises(UnexpectedResponse, match="404"):
        async with Client("http://app.test"):
            pass
    assert server.requests
    assert {request.headers["host"] for request in server.requests} == {"app.test"}
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    async with Client(server.url) as client:
        assert goes_direct(client)


async def test_framing_headers_are_left_to_httpx(server: ScriptedServer) -> None:
    async with Client(server.url, headers={"Connection": "close"}) as client:
        assert not goes_direct(client)
        assert await client.predict("a", api_name="/echo") == "a"


async def live(server: ScriptedServer, **options: Any) -> list[tuple[str, str, dict[str, str]]]:
    """Do all that a client does; return what was asked for, each thing once."""
    server.requests.clear()
    server.app.auth = LOGIN
    async with (
        Client(
            server.url,
            auth=LOGIN,
            headers={"X-Mine": "1", "Accept": "text/mine"},
            cookies={"mine": "2"},
            **options,
        ) as client,
        client.session() as session,
    ):
        assert await client.predict("a", api_name="/echo") == "a"
        assert await session.predict("b", api_name="/echo") == "b"
        job = client.submit("a", api_name="/hang")
        while not server.running:  # noqa: ASYNC110 - the server has no way to tell
            await trio.sleep(0.001)
        job.cancel()
    told: list[tuple[str, str, dict[str, str]]] = []
    for request in server.requests:
        headers = dict(request.headers)
        cookies = headers.pop("cookie", "")
        headers["cookie"] = " ".join(
            sorted(cookie.partition("=")[0] for cookie in cookies.split("; "))
        )
        headers.pop("content-length", None)
        path = request.path.partition("/heartbeat/")
        entry = (request.method, path[0] + path[1], headers)
        # How often the app is asked whether it is the same one depends on the way.
        if entry not in told and not request.path.endswith("/app_id"):
            told.append(entry)
    return sorted(told, key=repr)


async def test_both_ways_say_the_same(server: ScriptedServer) -> None:
    """The same requests with the same headers, cookies of a login among them."""
    direct = await live(server)
    assert {path for _, path, _ in direct} >= {"/login", "/config", "/queue/join", "/cancel"}
    assert direct == await live(server, transport=httpx.AsyncHTTPTransport())


async def test_unusual_path_goes_over_httpx(server: ScriptedServer) -> None:
    async with Client(server.url) as client:
        assert client._registry is not None
        answer = await client._registry.http.request("GET", "/a path/ä")
        assert answer.status == 404
    assert server.requests[-1].target.endswith("/a%20path/%C3%A4")


async def test_nobody_listens() -> None:
    with pytest.raises(ConnectionFailed, match="no connection to http://127"):
        async with Client("http://127.0.0.1:1"):
            pass


async def test_leaving_closes_all_connections(server: ScriptedServer) -> None:
    async with Client(server.url) as client, trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(client.endpoint("/echo"), "a")
    with trio.fail_after(SECONDS):
        while server.open_connections:  # noqa: ASYNC110 - the server has no way to tell
            await trio.sleep(0.001)
