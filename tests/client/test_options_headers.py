"""``headers=`` and ``cookies=``: with each request to the app, and with no other."""

from __future__ import annotations

from types import MappingProxyType

import httpx
import pytest

from tests.servers.faults import Answer
from tests.servers.scripted import ScriptedServer, open_server
from tests.support.opening import (
    EVERY_KIND,
    LOGIN,
    LOOK,
    add_functions,
    ask_for_everything,
    cookies_of,
    new_client,
    shown,
)
from tests.support.sessions import ROOMY
from triojob import Client, __version__

pytestmark = pytest.mark.usefixtures("either_way")

TOKEN = "t0ken-of-the-caller"


@pytest.fixture
async def wire(memory_app: ScriptedServer) -> list[httpx.Request]:
    """Collect the requests as they are sent, double headers and all."""
    sent: list[httpx.Request] = []
    transport = memory_app.transport(limits=ROOMY)

    class Recording(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            sent.append(request)
            return await transport.handle_async_request(request)

        async def aclose(self) -> None:
            await transport.aclose()

    memory_app.transport = lambda **_: Recording()  # type: ignore[assignment,method-assign,return-value]
    return sent


def values(request: httpx.Request, name: str) -> list[str]:
    """Return each value of a header: one that stands twice is ambiguous."""
    return request.headers.get_list(name)


async def test_headers_go_with_each_request(memory_app: ScriptedServer) -> None:
    memory_app.app.auth = LOGIN
    add_functions(memory_app)
    headers = {"Authorization": f"Bearer {TOKEN}", "x-more": "1"}
    async with new_client(memory_app, auth=LOGIN, headers=headers) as client:
        await ask_for_everything(memory_app, client)
    assert set(memory_app.paths()) - {LOOK} == {"POST /login", *EVERY_KIND}
    for request in memory_app.requests:
        assert request.headers["authorization"] == f"Bearer {TOKEN}"
        assert request.headers["x-more"] == "1"


async def test_cookies_go_with_each_request(memory_app: ScriptedServer) -> None:
    add_functions(memory_app)
    async with new_client(memory_app, cookies={"one": "1", "two": "b"}) as client:
        await ask_for_everything(memory_app, client)
    assert set(memory_app.paths()) - {LOOK} == EVERY_KIND
    for request in memory_app.requests:
        assert cookies_of(request) == {"one": "1", "two": "b"}


async def test_cookies_join_those_of_login_and_server(memory_app):
    memory_app.app.auth = LOGIN
    add_functions(memory_app)
    async with new_client(memory_app, auth=LOGIN, cookies={"mine": "1"}) as client:
        await ask_for_everything(memory_app, client)
    first, *others = memory_app.requests
    assert cookies_of(first) == {"mine": "1"}
    for request in others:
        assert cookies_of(request)["mine"] == "1"
        assert len(cookies_of(request)) == 2


@pytest.mark.parametrize("kind", [dict, MappingProxyType, httpx.Headers], ids=lambda k: k.__name__)
async def test_mappings_are_taken_and_left_unchanged(memory_app, kind):
    memory_app.app.auth = LOGIN
    add_functions(memory_app)
    headers, cookies = kind({"x-mine": "1"}), kind({"mine": "1"})
    async with new_client(memory_app, auth=LOGIN, headers=headers, cookies=cookies) as client:
        await ask_for_everything(memory_app, client)
    assert memory_app.requests[-1].headers["x-mine"] == "1"
    assert cookies_of(memory_app.requests[-1])["mine"] == "1"
    assert dict(headers) == {"x-mine": "1"}
    assert dict(cookies) == {"mine": "1"}


async def test_what_the_caller_changes_later_changes_nothing(memory_app: ScriptedServer) -> None:
    add_functions(memory_app)
    headers, cookies = {"x-mine": "1"}, {"mine": "1"}
    async with new_client(memory_app, headers=headers, cookies=cookies) as client:
        headers["x-mine"] = cookies["mine"] = "2"
        headers["x-more"] = cookies["more"] = "2"
        await client.predict("a", api_name="/echo")
    for request in memory_app.requests:
        assert request.headers["x-mine"] == "1"
        assert "x-more" not in request.headers
        assert cookies_of(request) == {"mine": "1"}


async def test_requests_own_headers_win(memory_app, wire):
    """As of headers that were copied from a browser's request, all of them."""
    memory_app.app.auth = LOGIN
    add_functions(memory_app)
    headers = {"Content-Type": "text/plain", "Accept": "image/png", "X-Gradio-User": "human"}
    async with new_client(memory_app, auth=LOGIN, headers=headers) as client:
        await ask_for_everything(memory_app, client)
    by_path = {request.url.path.removeprefix("/gradio_api"): request for request in wire}
    assert values(by_path["/login"], "content-type") == ["application/x-www-form-urlencoded"]
    for path in ("/queue/join", "/cancel"):
        assert values(by_path[path], "content-type") == ["application/json"]
        assert values(by_path[path], "x-gradio-user") == ["api"]
    assert values(by_path["/queue/data"], "accept") == ["text/event-stream"]


async def test_app_can_tell_triojob_from_browser(memory_app, wire):
    add_functions(memory_app)
    async with new_client(memory_app) as client:
        await ask_for_everything(memory_app, client)
    for request in wire:
        assert values(request, "user-agent") == [f"triojob/{__version__}"]
    assert {
        request.url.path for request in wire if values(request, "x-gradio-user") == ["api"]
    } == {"/gradio_api/queue/join", "/gradio_api/cancel"}


async def test_the_user_agent_may_be_another(memory_app, wire):
    async with new_client(memory_app, headers={"User-Agent": "mine/1"}):
        pass
    for request in wire:
        assert values(request, "user-agent") == ["mine/1"]


@pytest.mark.parametrize("name", ["Accept-Encoding", "accept-encoding", "ACCEPT-ENCODING"])
async def test_no_compressed_answer_is_asked_for(memory_app, wire, name):
    """Its size could not be bounded before it has been made."""
    add_functions(memory_app)
    async with new_client(memory_app, headers={name: "gzip"}) as client:
        await ask_for_everything(memory_app, client)
    for request in wire:
        assert values(request, "accept-encoding") == ["identity"]


# A token that was read from a file often has a line end.
BAD_VALUES = [f"{TOKEN}\n", f"{TOKEN}\r\nx-injected: 1", f"{TOKEN}\x00", f"\n{TOKEN}"]


@pytest.mark.parametrize("value", BAD_VALUES)
@pytest.mark.parametrize("option", ["headers", "cookies"])
async def test_impossible_header_is_refused_and_not_shown(memory_app, option, value):
    with pytest.raises(ValueError, match="x-secret") as caught:
        async with new_client(memory_app, **{option: {"x-secret": value}}):
            pass
    assert TOKEN not in shown(caught.value)
    assert memory_app.requests == []


async def test_headers_are_in_no_repr_or_message(memory_app: ScriptedServer) -> None:
    add_functions(memory_app)
    options = {"headers": {"authorization": TOKEN}, "cookies": {"session": TOKEN}}
    memory_app.fault("POST", "/queue/join", Answer(500, "no"), times=1)
    async with new_client(memory_app, **options) as client:
        with pytest.raises(ValueError, match="500") as caught:
            await client.predict("a", api_name="/echo")
        assert TOKEN not in shown(caught.value)
        assert TOKEN not in repr(client)
        assert TOKEN not in repr(client.endpoint("/echo"))
    assert TOKEN not in repr(client)


# --- With a client of the caller's own ---


async def test_headers_go_along_with_own_client(memory_app):
    add_functions(memory_app)
    async with httpx.AsyncClient(transport=memory_app.transport(limits=ROOMY)) as own:
        options = {"headers": {"x-mine": "1"}, "cookies": {"mine": "1"}}
        async with Client(memory_app.url, http_client=own, **options) as client:
            await ask_for_everything(memory_app, client)
    assert set(memory_app.paths()) - {LOOK} == EVERY_KIND
    for request in memory_app.requests:
        assert request.headers["x-mine"] == "1"
        assert cookies_of(request) == {"mine": "1"}


async def test_headers_stay_at_host_with_own_client(memory_app: ScriptedServer) -> None:
    """They are for the app, and the own client may be for all the world."""
    async with open_server(memory=True) as other:
        memory_app.network.add("other.test", other.listener)
        async with httpx.AsyncClient(transport=memory_app.transport(limits=ROOMY)) as own:
            options = {"headers": {"x-secret": TOKEN}, "cookies": {"secret": TOKEN}}
            async with Client(memory_app.url, http_client=own, **options):
                await own.get("http://other.test/config")
            await own.get("http://other.test/config")
        assert len(other.requests) == 2
        for request in other.requests:
            assert TOKEN not in str(request.headers)


async def test_own_client_loses_headers_with_the_client(memory_app):
    async with httpx.AsyncClient(transport=memory_app.transport(limits=ROOMY)) as own:
        own.cookies.set("mine", "of the own client")
        options = {"headers": {"x-secret": TOKEN}, "cookies": {"mine": TOKEN}}
        async with Client(memory_app.url, http_client=own, **options):
            pass
        assert dict(own.cookies) == {"mine": "of the own client"}
        assert "x-secret" not in own.headers
