"""``verify=``: TLS certificates are verified unless the caller says otherwise.

On a real loopback socket, with certificates made on the spot.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import trio

from tests.servers.faults import Answer
from tests.servers.scripted import ScriptedServer, open_server
from tests.servers.tls import Authority
from tests.support.hanging import SECONDS
from tests.support.opening import (
    EVERY_KIND,
    LOGIN,
    LOOK,
    add_functions,
    login_cookies_of,
)
from triojob import Client, ConnectionFailed, ConnectionLost, UnexpectedResponse


@pytest.fixture
async def secure(authority: Authority) -> AsyncIterator[ScriptedServer]:
    with trio.fail_after(SECONDS):
        async with open_server(tls=authority.server("127.0.0.1")) as server:
            add_functions(server)
            yield server


async def test_certificate_of_unknown_authority_is_refused(secure: ScriptedServer) -> None:
    with pytest.raises(ConnectionFailed, match=r"no connection to https://127.*certificate verify"):
        async with Client(secure.url, headers={"x-secret": "1"}):
            pass
    assert secure.requests == []


async def test_settings_that_know_authority_let_it_through(secure, trusting):
    async with Client(secure.url, verify=trusting) as client, client.session() as session:
        assert client.src.startswith("https://")
        assert await client.predict("a", api_name="/echo") == "a"
        assert await session.predict("b", api_name="/echo") == "b"
        job = client.submit("a", api_name="/hang")
        while not secure.running:  # noqa: ASYNC110 - the server has no way to tell
            await trio.sleep(0.001)
        job.cancel()
    assert set(secure.paths()) - {LOOK} == EVERY_KIND


async def test_verification_may_be_turned_off(secure: ScriptedServer) -> None:
    async with Client(secure.url, verify=False) as client:
        assert await client.predict("a", api_name="/echo") == "a"


@pytest.mark.parametrize("verify", [True, False], ids=["verified", "unverified"])
async def test_a_certificate_for_another_name(authority, trusting, verify):
    """The authority is known, but it never said that this is the host."""
    with trio.fail_after(SECONDS):
        async with open_server(tls=authority.server("other.test")) as server:
            if verify:
                with pytest.raises(ConnectionFailed, match="certificate"):
                    async with Client(server.url, verify=trusting):
                        pass
                assert server.requests == []
            else:
                async with Client(server.url, verify=False) as client:
                    assert client.protocol == "sse_v3"


async def test_a_server_that_speaks_no_tls(scripted: ScriptedServer) -> None:
    with trio.fail_after(SECONDS):
        with pytest.raises(ConnectionFailed, match="no connection to https://"):
            async with Client(scripted.url.replace("http://", "https://")):
                pass


async def test_a_server_that_speaks_nothing_but_tls(secure: ScriptedServer) -> None:
    with pytest.raises(ConnectionLost, match="http://127"):
        async with Client(secure.url.replace("https://", "http://")):
            pass


async def test_both_login_cookies_go_with_requests(secure, trusting):
    """The one that is for https only is sent here, and here only."""
    secure.app.auth = LOGIN
    async with Client(secure.url, auth=LOGIN, verify=trusting) as client:
        await client.predict("a", api_name="/echo")
    login, *others = secure.requests
    assert login.path == "/login"
    assert len(others) == 4
    for request in others:
        assert login_cookies_of(request) == {"access-token", "access-token-unsecure"}


async def test_connection_of_failing_server_is_not_reused(secure, trusting):
    """After a 500 uvicorn drops it unannounced; through TLS we see that as little as without."""
    secure.fault("POST", "/queue/join", Answer(500, b"Internal Server Error"), times=1)
    async with Client(secure.url, verify=trusting) as client:
        with pytest.raises(UnexpectedResponse, match="500"):
            await client.predict("a", api_name="/echo")
        made = secure.listener.connections_made
        assert await client.predict("b", api_name="/echo") == "b"
        assert secure.listener.connections_made > made


async def test_several_clients_may_have_the_same_settings(secure, trusting):
    async with (
        Client(secure.url, verify=trusting) as one,
        Client(secure.url, verify=trusting) as two,
    ):
        assert await one.predict("a", api_name="/echo") == "a"
        assert await two.predict("b", api_name="/echo") == "b"
