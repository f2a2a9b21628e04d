"""``http_client=`` and ``transport=``: httpx objects of the caller's own."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import trio
import trio.testing

from tests.servers.faults import Answer, Delay
from tests.servers.scripted import ScriptedServer, open_server
from tests.support.opening import (
    EVERY_KIND,
    LOGIN,
    LOOK,
    add_functions,
    ask_for_everything,
    causes,
    cookies_of,
    new_client,
    nothing_left_over,
    shown,
    targets,
)
from tests.support.sessions import ROOMY, SECONDS, add_sleeper
from triojob import Client, JobGroup, Limits, ProtocolError, TriojobError


@asynccontextmanager
async def own_client(
    server: ScriptedServer, connections: int | None = 1000, **options: Any
) -> AsyncIterator[httpx.AsyncClient]:
    """Open an httpx client of the caller's own, with a pool of so many connections."""
    limits = httpx.Limits(
        max_connections=connections, max_keepalive_connections=connections, keepalive_expiry=None
    )
    async with httpx.AsyncClient(transport=server.transport(limits=limits), **options) as own:
        yield own


# --- An own client ---


async def test_an_own_client_is_not_closed(memory_app: ScriptedServer) -> None:
    add_functions(memory_app)
    async with own_client(memory_app) as own:
        for _ in range(2):
            async with new_client(memory_app, http_client=own) as client:
                await ask_for_everything(memory_app, client)
        assert not own.is_closed
        assert (await own.get(f"{memory_app.url}/config")).status_code == 200


async def test_own_client_is_not_closed_by_failure(memory_app: ScriptedServer) -> None:
    memory_app.fault("GET", "/info", Answer(500))
    async with own_client(memory_app) as own:
        with pytest.raises(TriojobError):
            async with new_client(memory_app, http_client=own):
                pass
        assert not own.is_closed


async def test_settings_of_own_client_hold(memory_app):
    add_functions(memory_app)
    settings: dict[str, Any] = {
        "headers": {"x-own": "1", "user-agent": "own/1"},
        "cookies": {"own": "1"},
        "params": {"signature": "abc"},
        "auth": httpx.BasicAuth("own", "password"),
    }
    async with (
        own_client(memory_app, **settings) as own,
        new_client(memory_app, http_client=own) as client,
    ):
        await ask_for_everything(memory_app, client)
    assert set(memory_app.paths()) - {LOOK} == EVERY_KIND
    for request in memory_app.requests:
        assert request.headers["x-own"] == "1"
        assert request.headers["user-agent"] == "own/1"
        assert request.headers["authorization"].startswith("Basic ")
        assert cookies_of(request) == {"own": "1"}
        assert request.query["signature"] == "abc"


async def test_clients_headers_win_over_own_clients(memory_app):
    async with (
        own_client(memory_app, headers={"x-both": "own", "x-own": "own"}) as own,
        new_client(memory_app, http_client=own, headers={"X-Both": "ours"}),
    ):
        pass
    for request in memory_app.requests:
        assert request.headers["x-both"] == "ours"
        assert request.headers["x-own"] == "own"


async def test_base_url_of_own_client_is_ignored(memory_app: ScriptedServer) -> None:
    async with (
        own_client(memory_app, base_url="http://other.test/below/") as own,
        new_client(memory_app, http_client=own),
    ):
        pass
    assert targets(memory_app) == ["GET /config", "GET /gradio_api/info?all_endpoints=True"]


async def test_own_client_does_not_follow_our_redirects(memory_app):
    memory_app.fault("GET", "/config", Answer(302, b"", {"location": "http://evil.test/"}))
    async with open_server(memory=True) as evil:
        memory_app.network.add("evil.test", evil.listener)
        async with own_client(memory_app, follow_redirects=True) as own:
            with pytest.raises(TriojobError, match="redirects"):
                async with new_client(memory_app, http_client=own):
                    pass
        assert evil.requests == []


async def test_timeouts_of_own_client_do_not_hold(memory_app, autojump_clock):
    add_sleeper(memory_app)
    for path in ("/config", "/queue/join"):
        memory_app.fault("GET" if path == "/config" else "POST", path, Delay(100))
    async with own_client(memory_app, timeout=1) as own:
        async with new_client(memory_app, http_client=own) as client:
            assert await client.predict(50, api_name="/sleep") == 50
        assert own.timeout == httpx.Timeout(1)


async def test_an_own_client_may_log_in(memory_app: ScriptedServer) -> None:
    memory_app.app.auth = LOGIN
    add_functions(memory_app)
    async with (
        own_client(memory_app) as own,
        new_client(memory_app, http_client=own, auth=LOGIN) as client,
    ):
        assert await client.predict("a", api_name="/echo") == "a"


async def test_two_clients_may_share_an_own_client(memory_app, autojump_clock):
    add_functions(memory_app)
    async with open_server(memory=True) as other:
        add_functions(other)
        memory_app.network.add("other.test", other.listener)
        async with (
            own_client(memory_app) as own,
            Client("http://other.test", http_client=own) as outer,
        ):
            async with Client(memory_app.url, http_client=own) as inner:
                assert await inner.predict("a", api_name="/echo") == "a"
                assert await outer.predict("b", api_name="/echo") == "b"
            assert await outer.predict("c", api_name="/echo") == "c"
        assert (len(memory_app.joins), len(other.joins)) == (1, 2)


@pytest.mark.parametrize("connections", [1, 2, 5, 100, None])
async def test_calls_get_through_pool_of_any_size(memory_app, autojump_clock, connections):
    """A small one makes them slow, and nothing worse."""
    add_sleeper(memory_app)
    with trio.fail_after(SECONDS):
        async with own_client(memory_app, connections) as own, nothing_left_over(memory_app):
            async with new_client(memory_app, http_client=own) as client, JobGroup() as group:
                sleep = client.endpoint("/sleep")
                jobs = [group.submit(sleep, 10 + number) for number in range(20)]
            assert [await job.result() for job in jobs] == [10 + number for number in range(20)]
            assert memory_app.open_connections <= (connections or 1000)
            await own.aclose()


async def test_own_client_has_fewer_streams_by_default(memory_app, autojump_clock):
    """As many as fit into the pool that httpx makes if it isn't told."""
    add_sleeper(memory_app)
    async with own_client(memory_app) as own:
        for options, most in ({}, 32), ({"limits": Limits(streams=50)}, 50):
            async with new_client(memory_app, http_client=own, **options) as client:
                assert client.limits.streams == most
                async with JobGroup() as group:
                    sleep = client.endpoint("/sleep")
                    jobs = [group.submit(sleep, 10) for _ in range(60)]
            assert [await job.result() for job in jobs] == [10] * 60
            assert memory_app.streams.max_open == most


# --- Event hooks ---


async def test_event_hooks_see_and_change_requests(memory_app: ScriptedServer) -> None:
    """As hooks do that renew a token."""
    add_functions(memory_app)
    seen: list[tuple[str, int]] = []

    async def sign(request: httpx.Request) -> None:
        request.headers["x-signed"] = request.url.path

    async def note(response: httpx.Response) -> None:
        seen.append((response.request.url.path, response.status_code))

    async with (
        own_client(memory_app, event_hooks={"request": [sign], "response": [note]}) as own,
        new_client(memory_app, http_client=own) as client,
    ):
        await ask_for_everything(memory_app, client)
    assert [path for path, _ in seen] == [
        request.headers["x-signed"] for request in memory_app.requests
    ]
    assert {status for _, status in seen} == {200}


async def test_a_hook_may_read_the_answer_first(memory_app: ScriptedServer) -> None:
    """As hooks do that log what the server says."""
    add_functions(memory_app)
    bodies: list[bytes] = []

    async def read(response: httpx.Response) -> None:
        bodies.append(await response.aread())

    async with (
        own_client(memory_app, event_hooks={"response": [read]}) as own,
        new_client(memory_app, http_client=own) as client,
    ):
        assert await client.predict("a", api_name="/echo") == "a"
    assert len(bodies) == len(memory_app.requests)
    assert b'"close_stream"' in bodies[-1]


async def raise_for_status(response: httpx.Response) -> None:
    response.raise_for_status()


RAISING = {"event_hooks": {"response": [raise_for_status]}}


@pytest.mark.parametrize("path", ["/config", "/info"])
async def test_hook_that_raises_for_status_ends_opening(memory_app, path):
    memory_app.fault("GET", path, Answer(410))
    async with own_client(memory_app, **RAISING) as own, nothing_left_over(memory_app):
        with pytest.raises((TriojobError, httpx.HTTPStatusError), match="410"):
            async with new_client(memory_app, http_client=own):
                pass
        await own.aclose()


@pytest.mark.parametrize(
    "method, path", [("POST", "/queue/join"), ("GET", "/queue/data")], ids=["join", "stream"]
)
async def test_hook_raising_for_status_fails_its_call(memory_app, method, path):
    """Nor does the message that httpx makes of it come out, with the URL's query in it."""
    add_functions(memory_app)
    memory_app.fault(method, path, Answer(404), times=1)
    async with (
        own_client(memory_app, **RAISING) as own,
        new_client(memory_app, http_client=own) as client,
    ):
        with pytest.raises(TriojobError, match="404") as caught:
            await client.predict("a", api_name="/echo")
        assert await client.predict("b", api_name="/echo") == "b"
    session = memory_app.joins[0]["session_hash"]
    assert session not in str(caught.value)


@pytest.mark.parametrize("path", ["/queue/join", "/queue/data", "/cancel"])
async def test_failing_hook_harms_its_call_only(memory_app, caplog, path):
    add_functions(memory_app)
    failing = False

    async def fail(request: httpx.Request) -> None:
        if failing and request.url.path.endswith(path):
            raise ZeroDivisionError

    async with (
        own_client(memory_app, event_hooks={"request": [fail]}) as own,
        new_client(memory_app, http_client=own) as client,
    ):
        sibling, job = (client.submit("a", api_name="/hang") for _ in range(2))
        await trio.testing.wait_all_tasks_blocked()
        failing = True
        if path == "/cancel":
            job.cancel()
            await trio.testing.wait_all_tasks_blocked()
            assert "ZeroDivisionError" in caplog.text
        else:
            with pytest.raises(ProtocolError) as caught:
                await client.predict("a", api_name="/echo")
            assert ZeroDivisionError in {type(error) for error in causes(caught.value)}
        failing = False
        assert await client.predict("b", api_name="/echo") == "b"
        assert not sibling.done
        sibling.cancel()
        job.cancel()


# --- An own transport ---


class Watched(httpx.AsyncBaseTransport):
    """A transport that counts what is asked of it."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner
        self.requests = 0
        self.closed = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests += 1
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        self.closed += 1
        await self._inner.aclose()


async def test_transport_carries_all_requests_and_is_closed(memory_app):
    add_functions(memory_app)
    transport = Watched(memory_app.transport(limits=ROOMY))
    async with nothing_left_over(memory_app):
        async with Client(memory_app.url, transport=transport) as client:
            await ask_for_everything(memory_app, client)
            assert transport.closed == 0
        assert transport.requests == len(memory_app.requests)
        assert transport.closed == 1


@pytest.mark.parametrize("cancelled", [False, True])
async def test_transport_is_closed_however_opening_ends(memory_app, cancelled):
    memory_app.fault("GET", "/info", Answer(500))
    transport = Watched(memory_app.transport(limits=ROOMY))
    async with nothing_left_over(memory_app):
        with trio.CancelScope() as scope:
            if cancelled:
                scope.cancel()
            with pytest.raises(TriojobError) if not cancelled else trio.CancelScope():
                async with Client(memory_app.url, transport=transport):
                    pass
        assert transport.closed == 1


async def test_transport_that_is_no_network_at_all() -> None:
    """Such as an ASGI app's, or one that answers from memory."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/config":
            return httpx.Response(
                200, json={"protocol": "sse_v3", "components": [], "dependencies": []}
            )
        return httpx.Response(200, json={"named_endpoints": {}})

    async with Client("http://app.test", transport=httpx.MockTransport(answer)) as client:
        assert client.protocol == "sse_v3"
        assert "Endpoints: 0" in client.view_api()


# --- Together ---


@pytest.mark.parametrize(
    "options",
    [
        {"transport": httpx.MockTransport(lambda _: httpx.Response(200))},
        {"verify": False},
        {"verify": ssl.create_default_context()},
    ],
    ids=["transport", "verify=False", "verify=context"],
)
async def test_own_client_excludes_other_settings(options: dict[str, Any]) -> None:
    async with httpx.AsyncClient() as own:
        with pytest.raises(ValueError, match=r"transport= and verify= .* own http_client"):
            Client("http://app.test", http_client=own, **options)
        # What is the default anyhow says nothing.
        Client("http://app.test", http_client=own, verify=True, transport=None)


def test_hooks_failure_does_not_show_its_url() -> None:
    """What the tests above take for granted: httpx does show the query."""
    request = httpx.Request("GET", "http://app.test/?q=1")
    with pytest.raises(httpx.HTTPStatusError) as caught:
        httpx.Response(404, request=request).raise_for_status()
    assert "?q=1" in shown(caught.value)
