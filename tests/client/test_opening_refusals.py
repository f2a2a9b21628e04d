"""What is no Gradio app, or doesn't let us in, is said so at once, and nothing is left behind."""

from __future__ import annotations

import logging

import pytest
import trio
import trio.testing

from tests.servers.faults import Answer
from tests.servers.scripted import ScriptedServer, open_server
from tests.support.opening import (
    EVERY_KIND,
    LOGIN,
    LOOK,
    PASSWORD,
    add_functions,
    hosts,
    must_not_open,
    new_client,
    nothing_left_over,
    shown,
)
from triojob import (
    AuthenticationError,
    ClientClosed,
    Limits,
    ProtocolError,
    TooManyRequests,
    TriojobError,
    UnexpectedResponse,
)

HTML = {"content-type": "text/html; charset=utf-8"}
JSON = {"content-type": "application/json"}


@pytest.mark.parametrize("path", ["/config", "/info"])
@pytest.mark.parametrize(
    "answer, error, words",
    [
        (Answer(410, {"detail": "Gone"}), UnexpectedResponse, "status 410: Gone"),
        (Answer(500, b"Internal Server Error"), UnexpectedResponse, "status 500: Internal"),
        (Answer(502, "<h1>Bad gateway</h1>"), UnexpectedResponse, "status 502: <h1>Bad"),
        (Answer(204), UnexpectedResponse, "status 204"),
        (
            Answer(200, "<h1>It works!</h1>"),
            UnexpectedResponse,
            "not the URL of a Gradio app.*text/html.*It wor",
        ),
        (
            Answer(200, b"hello"),
            UnexpectedResponse,
            "not the URL of a Gradio app.*text/plain.*hello",
        ),
        (
            Answer(200, b"{}", {"content-type": ""}),
            UnexpectedResponse,
            "not the URL of a Gradio app.*no type",
        ),
        (Answer(200, {"status": "ok"}), ProtocolError, "is it a Gradio app"),
        (Answer(200, []), ProtocolError, "is not a JSON object"),
        (Answer(200, b"{]", JSON), ProtocolError, "is not JSON"),
        (Answer(200, b"\xff{}", JSON), ProtocolError, "is not JSON"),
        (Answer(200, b"", JSON), ProtocolError, "is not JSON"),
        (Answer(429, "slow down"), TooManyRequests, "rate of requests.*slow down"),
        (Answer(503, {"detail": "The queue is full."}), UnexpectedResponse, "full"),
        (Answer(401, {"detail": {"error": "Not authenticated"}}), AuthenticationError, "auth="),
        # What a private Space says.
        (Answer(401, "<h1>Sign in</h1>"), AuthenticationError, "auth="),
        (Answer(403, {"detail": "Forbidden"}), UnexpectedResponse, "status 403: Forbidden"),
    ],
)
async def test_answer_that_is_no_description_of_app(memory_app, path, answer, error, words):
    memory_app.fault("GET", path, answer)
    async with nothing_left_over(memory_app):
        client = new_client(memory_app)
        with pytest.raises(TriojobError, match=words) as caught:
            await must_not_open(client)
        assert type(caught.value) is error
        if answer.status != 200:
            assert f"reading {path}" in str(caught.value)


async def test_type_of_answer_may_have_parameters(memory_app: ScriptedServer) -> None:
    config = memory_app.app.config(memory_app.url)
    headers = {"content-type": "application/json; charset=utf-8"}
    memory_app.fault("GET", "/config", Answer(200, config, headers))
    async with new_client(memory_app) as client:
        assert client.protocol == "sse_v3"


async def test_server_may_say_when_to_come_back(memory_app: ScriptedServer) -> None:
    memory_app.fault("GET", "/config", Answer(429, b"", {"retry-after": "17"}))
    with pytest.raises(TooManyRequests) as caught:
        await must_not_open(new_client(memory_app))
    assert caught.value.retry_after == 17


async def test_what_has_no_config_is_no_app(memory_app: ScriptedServer) -> None:
    memory_app.fault("GET", "/config", Answer(404, {"detail": "Not Found"}))
    with pytest.raises(UnexpectedResponse, match=r"reading /config.*404: Not Found") as caught:
        await must_not_open(new_client(memory_app))
    assert caught.value.status == 404


@pytest.mark.parametrize("status", [404, 500, 200])
async def test_a_long_answer_is_cut_short(memory_app: ScriptedServer, status: int) -> None:
    memory_app.fault("GET", "/config", Answer(status, "x" * 100_000, HTML))
    with pytest.raises(UnexpectedResponse, match=r"xxx… \(100000 bytes\)") as caught:
        await must_not_open(new_client(memory_app))
    assert caught.value.status == status
    assert len(str(caught.value)) < 1000


async def test_too_large_answer_is_not_read_whole(memory_app):
    memory_app.fault("GET", "/config", Answer(200, b" " * 200_000, JSON))
    async with nothing_left_over(memory_app):
        with pytest.raises(ProtocolError, match=r"more than 1000 bytes.*message_size"):
            await must_not_open(new_client(memory_app, limits=Limits(message_size=1000)))


async def test_unopened_client_is_used_up(memory_app: ScriptedServer) -> None:
    memory_app.fault("GET", "/config", Answer(500), times=1)
    client = new_client(memory_app)
    with pytest.raises(UnexpectedResponse):
        await must_not_open(client)
    for _ in range(2):
        with pytest.raises(ClientClosed):
            await must_not_open(client)
    with pytest.raises(ClientClosed):
        client.endpoint("/echo")
    assert memory_app.paths() == ["GET /config"]
    # Another one is not concerned.
    async with new_client(memory_app) as other:
        assert other.protocol == "sse_v3"


# --- Redirects ---

SECRETS = ["t0ken-of-the-query", "n4me", "p4ssword", "t0ken-of-the-fragment"]
ELSEWHERE = (
    "https://n4me:p4ssword@evil.test:8443/a/b?token=t0ken-of-the-query#access=t0ken-of-the-fragment"
)


def assert_tells_only_where(text: str) -> None:
    assert "evil.test:8443/a/b" in text
    for secret in SECRETS:
        assert secret not in text


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("path", ["/config", "/info"])
async def test_a_redirect_on_opening_is_not_followed(memory_app, status, path):
    memory_app.fault("GET", path, Answer(status, b"", {"location": ELSEWHERE}))
    async with open_server(memory=True) as evil:
        memory_app.network.add("evil.test", evil.listener)
        with pytest.raises(UnexpectedResponse, match=f"redirects.*{status}") as caught:
            await must_not_open(new_client(memory_app, headers={"x-secret": PASSWORD}))
        assert evil.listener.connections_made == 0
    assert caught.value.status == status
    assert_tells_only_where(shown(caught.value))
    assert hosts(memory_app) == {"scripted.test"}


@pytest.mark.parametrize(
    "location",
    [
        "https://evil.test:8443/a/b#access=t0ken-of-the-fragment",
        "https://n4me:p4ssword@evil.test:8443/a/b",
        "https://evil.test:8443/a/b?token=t0ken-of-the-query",
        "//n4me:p4ssword@evil.test:8443/a/b",
        "https://evil.test:8443/a/b#n4me?p4ssword",
    ],
)
async def test_secrets_of_redirect_are_not_shown(memory_app, location):
    memory_app.fault("GET", "/config", Answer(302, b"", {"location": location}))
    with pytest.raises(UnexpectedResponse) as caught:
        await must_not_open(new_client(memory_app))
    assert_tells_only_where(shown(caught.value))


@pytest.mark.parametrize(
    "headers, words",
    [({}, "to nowhere"), ({"location": "/elsewhere/?q=1"}, "to /elsewhere/;")],
)
async def test_local_redirects_are_not_followed_either(memory_app, headers, words):
    memory_app.fault("GET", "/config", Answer(307, b"", headers))
    with pytest.raises(UnexpectedResponse, match=words):
        await must_not_open(new_client(memory_app))
    assert memory_app.paths() == ["GET /config"]


@pytest.mark.parametrize(
    "method, path", [("POST", "/queue/join"), ("GET", "/queue/data")], ids=["join", "stream"]
)
async def test_redirect_of_call_is_not_followed(memory_app, method, path):
    add_functions(memory_app)
    memory_app.fault(method, path, Answer(307, b"", {"location": ELSEWHERE}))
    async with new_client(memory_app, headers={"x-secret": PASSWORD}) as client:
        with pytest.raises(UnexpectedResponse, match="redirects") as caught:
            await client.predict("a", api_name="/echo")
    assert caught.value.status == 307
    assert_tells_only_where(shown(caught.value))
    assert hosts(memory_app) == {"scripted.test"}


async def test_redirect_of_cancellation_is_not_followed(memory_app, caplog):
    add_functions(memory_app)
    memory_app.fault("POST", "/cancel", Answer(308, b"", {"location": ELSEWHERE}))
    with caplog.at_level(logging.WARNING, "triojob"):
        async with new_client(memory_app) as client:
            job = client.submit("a", api_name="/hang")
            await trio.testing.wait_all_tasks_blocked()
            job.cancel()
    assert job.cancelled
    (record,) = caplog.records
    assert "redirects" in record.getMessage()
    assert_tells_only_where(record.getMessage())
    assert hosts(memory_app) == {"scripted.test"}
    assert set(memory_app.paths()) - {LOOK} == EVERY_KIND


@pytest.mark.parametrize("status", [302, 307])
async def test_redirect_of_login_is_not_followed(memory_app, status):
    """It is how an app that asks for no login answers one."""
    memory_app.fault("POST", "/login", Answer(status, b"", {"location": ELSEWHERE}))
    async with new_client(memory_app, auth=LOGIN) as client:
        assert client.protocol == "sse_v3"
    assert hosts(memory_app) == {"scripted.test"}
    assert memory_app.paths() == ["POST /login", "GET /config", "GET /info"]


# --- A later refusal ---
