"""Opening a client finds out where the app is, what it speaks and what it offers."""

from __future__ import annotations

from typing import Any

import pytest

from tests.servers.faults import Answer
from tests.servers.scripted import ScriptedServer, open_server
from tests.support.opening import PASSWORD, add_functions, hosts, new_client, shown, targets
from triojob import Client, ConnectionFailed, ProtocolError, TriojobError
from triojob.testing._server.description import App


async def opened_and_closed(server: ScriptedServer, url: str | None = None, **options: Any) -> None:
    async with new_client(server, url, **options):
        pass


async def test_opening_asks_for_config_then_endpoints(memory_app):
    await opened_and_closed(memory_app)
    assert targets(memory_app) == ["GET /config", "GET /gradio_api/info?all_endpoints=True"]


async def test_an_open_client_knows_the_app(memory_app: ScriptedServer) -> None:
    async with new_client(memory_app) as client:
        assert client.version == "6.31.0"
        assert client.protocol == "sse_v3"
        assert client.src == "http://scripted.test/"


async def test_what_follows_goes_below_the_prefix(memory_app: ScriptedServer) -> None:
    add_functions(memory_app)
    async with new_client(memory_app) as client:
        await client.predict("a", api_name="/echo")
    session = memory_app.joins[0]["session_hash"]
    assert targets(memory_app)[2:] == [
        "POST /gradio_api/queue/join",
        f"GET /gradio_api/queue/data?session_hash={session}",
    ]


@pytest.mark.parametrize("slash", ["", "/"])
async def test_app_that_is_mounted_at_path(slash: str) -> None:
    async with open_server(App(mount="/apps/demo"), memory=True) as server:
        add_functions(server)
        async with new_client(server, server.url + slash) as client:
            assert await client.predict("a", api_name="/echo") == "a"
        session = server.joins[0]["session_hash"]
    assert targets(server) == [
        "GET /apps/demo/config",
        "GET /apps/demo/gradio_api/info?all_endpoints=True",
        "POST /apps/demo/gradio_api/queue/join",
        f"GET /apps/demo/gradio_api/queue/data?session_hash={session}",
    ]


@pytest.mark.parametrize("told", [None, ""], ids=["absent", "empty"])
async def test_an_app_without_a_prefix(told: str | None) -> None:
    app = App(api_prefix="", config={"api_prefix": told})
    async with open_server(app, memory=True) as server:
        add_functions(server)
        async with new_client(server) as client:
            assert await client.predict("a", api_name="/echo") == "a"
    assert targets(server)[:3] == [
        "GET /config",
        "GET /info?all_endpoints=True",
        "POST /queue/join",
    ]


async def test_an_app_with_another_prefix() -> None:
    async with open_server(App(api_prefix="/some/where"), memory=True) as server:
        await opened_and_closed(server)
    assert targets(server)[1] == "GET /some/where/info?all_endpoints=True"


@pytest.mark.parametrize(
    "prefix",
    ["//evil.test", "http://evil.test", "@evil.test", ".evil.test", ":81", "\\\\evil.test"],
)
async def test_no_prefix_leads_to_another_place(memory_app: ScriptedServer, prefix: str) -> None:
    """The server says what it likes, and the caller's headers go where the caller said."""
    add_functions(memory_app)
    memory_app.app.config_overrides["api_prefix"] = prefix
    async with open_server(memory=True) as evil:
        for name in ("evil.test", "scripted.test.evil.test"):
            memory_app.network.add(name, evil.listener)
        with pytest.raises(TriojobError):
            async with new_client(memory_app, headers={"x-secret": PASSWORD}) as client:
                await client.predict("a", fn_index=0)
        assert evil.listener.connections_made == 0
    assert len(memory_app.requests) >= 2
    assert set(memory_app.network.connects) == {("scripted.test", 80)}


@pytest.mark.parametrize(
    "src, base",
    [
        ("http://app.test", "http://app.test/"),
        ("http://app.test/", "http://app.test/"),
        ("http://app.test:7860", "http://app.test:7860/"),
        ("https://app.test/a/b", "https://app.test/a/b/"),
        ("https://app.test/a/b/", "https://app.test/a/b/"),
        ("https://app.test/?q=1", "https://app.test/"),
        ("https://app.test/a?q=1&r=2", "https://app.test/a/"),
        ("https://app.test/a/#top", "https://app.test/a/"),
        ("https://app.test#top", "https://app.test/"),
        ("HTTP://App.Test/A", "http://app.test/A/"),
        ("http://127.0.0.1:7860", "http://127.0.0.1:7860/"),
        ("http://[::1]:7860/a", "http://[::1]:7860/a/"),
        ("http://app.test/a%20b", "http://app.test/a%20b/"),
    ],
)
def test_the_url_of_an_app(src: str, base: str) -> None:
    client = Client(src)
    assert client.src == base
    assert base in repr(client)


async def test_query_and_fragment_are_not_sent(memory_app: ScriptedServer) -> None:
    await opened_and_closed(memory_app, memory_app.url + "/?token=abc#top")
    assert targets(memory_app) == ["GET /config", "GET /gradio_api/info?all_endpoints=True"]


async def test_a_host_by_its_ipv6_address(memory_app: ScriptedServer) -> None:
    memory_app.network.add("::1", memory_app.listener)
    await opened_and_closed(memory_app, "http://[::1]:7860")
    assert set(memory_app.network.connects) == {("::1", 7860)}
    assert memory_app.requests[0].headers["host"] == "[::1]:7860"


@pytest.mark.parametrize(
    "src",
    [
        "",
        "app.test",
        "localhost:7860",
        "127.0.0.1:7860",
        "//app.test",
        "ftp://app.test",
        "ws://app.test",
        "file:///etc/passwd",
        "http://",
        "http:///config",
        "http://app.test:port",
        "http://[::1",
        "http://app.test\n",
        None,
        7860,
        b"http://app.test",
    ],
    ids=repr,
)
def test_other_urls_are_refused_immediately(src: Any) -> None:
    with pytest.raises(ValueError, match=r"URL"):
        Client(src)


@pytest.mark.parametrize(
    "src",
    [
        "http://ada:{}@app.test",
        "http://:{}@app.test",
        "http://{}@app.test",
        "https://ada:{}@app.test:443/a?q=1",
        # Refused for another reason, which is no reason to show them.
        "ftp://ada:{}@app.test",
        "http://ada:{}@app.test:port",
        "http://ada:{}@app.test\n",
        "http://ada:{}/@app.test",
        "ftp://app.test/?token={}",
    ],
)
def test_password_in_url_is_never_shown(src: str) -> None:
    with pytest.raises(ValueError, match="URL") as caught:
        Client(src.format(PASSWORD))
    assert PASSWORD not in shown(caught.value)


def test_password_in_url_is_refused_with_advice() -> None:
    with pytest.raises(ValueError, match=r"auth=\(user, password\)"):
        Client("http://ada:secret@app.test")


async def test_a_host_that_is_not_there(memory_app: ScriptedServer) -> None:
    with pytest.raises(ConnectionFailed, match=r"no connection to http://nowhere\.test/") as caught:
        await opened_and_closed(memory_app, "http://nowhere.test")
    assert isinstance(caught.value, ConnectionError)


async def test_a_server_that_refuses_connections(memory_app: ScriptedServer) -> None:
    memory_app.listener.refusing = True
    with pytest.raises(ConnectionFailed, match="refused"):
        await opened_and_closed(memory_app)
    assert hosts(memory_app) == {"scripted.test"}


@pytest.mark.parametrize("protocol", ["sse_v4", "SSE_V3", "sse_v3 ", "http", ""])
async def test_a_protocol_that_triojob_does_not_know(memory_app, protocol):
    memory_app.app.protocol = protocol
    with pytest.raises(ProtocolError, match=f"protocol '{protocol}'.*sse_v3"):
        await opened_and_closed(memory_app)


async def test_a_long_protocol_is_cut_short(memory_app: ScriptedServer) -> None:
    memory_app.app.protocol = "x" * 100_000
    with pytest.raises(ProtocolError, match="protocol 'xxx") as caught:
        await opened_and_closed(memory_app)
    assert len(str(caught.value)) < 1000


async def test_app_without_info_is_called_by_number(memory_app: ScriptedServer) -> None:
    """The oldest apps have none; their components say what a function takes."""
    add_functions(memory_app)
    memory_app.fault("GET", "/info", Answer(404, {"detail": "Not Found"}))
    async with new_client(memory_app) as client:
        assert await client.predict("a", fn_index=0) == "a"
