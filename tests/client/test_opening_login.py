"""Logging in: the form, the cookies, and a password that nobody gets to see."""

from __future__ import annotations

import logging
import urllib.parse
from typing import Any

import pytest
import trio
import trio.testing

from tests.servers.faults import Answer, Lose, Silence
from tests.servers.scripted import ScriptedServer, open_server
from tests.support.opening import (
    EVERY_KIND,
    LOGIN,
    LOOK,
    PASSWORD,
    add_functions,
    ask_for_everything,
    cookies_of,
    login_cookies_of,
    must_not_open,
    new_client,
    nothing_left_over,
    shown,
)
from triojob import AuthenticationError, Client, ConnectionLost, ConnectionTimeout, TriojobError
from triojob.testing._server.description import App
from triojob.testing._server.http import ServerRequest

WRONG_PASSWORD = "wr0ng-h0rse"


def form_of(request: ServerRequest) -> dict[str, str]:
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    return dict(urllib.parse.parse_qsl(request.body.decode(), strict_parsing=True))


def guard(server: ScriptedServer) -> None:
    """Let the app ask for a login."""
    server.app.auth = LOGIN
    add_functions(server)


async def test_login_comes_first_and_is_a_form(memory_app: ScriptedServer) -> None:
    guard(memory_app)
    async with new_client(memory_app, auth=LOGIN):
        pass
    assert memory_app.paths() == ["POST /login", "GET /config", "GET /info"]
    # Neither below the prefix, nor with anything in the URL, which others may log.
    assert memory_app.requests[0].target == "/login"
    assert form_of(memory_app.requests[0]) == {"username": "ada", "password": PASSWORD}


@pytest.mark.parametrize(
    "password", ["", "a&b=c", "50% + 50%", "k\u00e4se \U0001f9c0", " spaces ", "\"'\\\r\n\t"]
)
async def test_name_and_password_take_any_characters(memory_app, password):
    memory_app.fault("POST", "/login", Answer(200, {"success": True}))
    async with new_client(memory_app, auth=("k\u00f6nig&co", password)):
        pass
    form = urllib.parse.parse_qs(memory_app.requests[0].body.decode(), keep_blank_values=True)
    assert form == {"username": ["k\u00f6nig&co"], "password": [password]}


async def test_login_to_mounted_app_is_below_mount() -> None:
    async with open_server(App(mount="/apps/demo", auth=LOGIN), memory=True) as server:
        async with new_client(server, auth=LOGIN):
            pass
        assert server.requests[0].target == "/apps/demo/login"


async def test_cookie_goes_with_each_request_that_follows(memory_app: ScriptedServer) -> None:
    guard(memory_app)
    async with new_client(memory_app, auth=LOGIN) as client:
        await ask_for_everything(memory_app, client)
    login, *others = memory_app.requests
    assert "cookie" not in login.headers
    assert {f"{r.method} {r.path}" for r in others} - {LOOK} == EVERY_KIND
    for request in others:
        # The other cookie is for https only.
        assert login_cookies_of(request) == {"access-token-unsecure"}
        assert cookies_of(request) == cookies_of(others[0])


async def test_cookie_of_config_goes_with_requests(memory_app):
    """By it a load balancer brings all that we ask to the one process that knows our session."""
    add_functions(memory_app)
    config = memory_app.app.config(memory_app.url)
    sticky = Answer(200, config, {"set-cookie": "replica=7; Path=/; HttpOnly"})
    memory_app.fault("GET", "/config", sticky)
    async with new_client(memory_app) as client:
        await ask_for_everything(memory_app, client)
    first, *others = memory_app.requests
    assert cookies_of(first) == {}
    assert all(cookies_of(request) == {"replica": "7"} for request in others)


async def test_clients_of_two_users_do_not_mix(memory_app: ScriptedServer) -> None:
    guard(memory_app)
    async with new_client(memory_app, auth=LOGIN) as one, new_client(memory_app, auth=LOGIN) as two:
        await one.predict("one", api_name="/echo")
        await two.predict("two", api_name="/echo")
    joins = [request for request in memory_app.requests if request.path == "/queue/join"]
    assert cookies_of(joins[0]) != cookies_of(joins[1])


async def test_wrong_password_is_reported(memory_app: ScriptedServer) -> None:
    guard(memory_app)
    async with nothing_left_over(memory_app):
        with pytest.raises(AuthenticationError, match=r"refused the login.*'ada'") as caught:
            await must_not_open(new_client(memory_app, auth=("ada", WRONG_PASSWORD)))
    assert isinstance(caught.value, PermissionError)
    assert WRONG_PASSWORD not in shown(caught.value)
    assert memory_app.paths() == ["POST /login"]


async def test_missing_login_says_what_to_do(memory_app: ScriptedServer) -> None:
    guard(memory_app)
    with pytest.raises(AuthenticationError, match=r"pass auth=\(user, password\) to Client"):
        await must_not_open(new_client(memory_app))
    assert memory_app.paths() == ["GET /config"]


async def test_unneeded_login_does_no_harm(memory_app):
    add_functions(memory_app)
    async with new_client(memory_app, auth=LOGIN) as client:
        assert await client.predict("a", api_name="/echo") == "a"


async def test_login_that_is_accepted_and_then_forgotten(memory_app: ScriptedServer) -> None:
    """As of an app behind several processes that know nothing of one another."""
    guard(memory_app)
    memory_app.fault("POST", "/login", Answer(200, {"success": True}))
    with pytest.raises(AuthenticationError):
        await must_not_open(new_client(memory_app, auth=LOGIN))


async def test_login_lost_in_restart_is_repeated(memory_app: ScriptedServer) -> None:
    guard(memory_app)
    async with new_client(memory_app, auth=LOGIN) as client:
        assert await client.predict("a", api_name="/echo") == "a"
        memory_app.restart()
        assert await client.predict("b", api_name="/echo") == "b"
    assert memory_app.paths().count("POST /login") == 2


async def test_lapsed_login_fails_later_calls(memory_app):
    guard(memory_app)
    async with new_client(memory_app, auth=LOGIN) as client:
        assert await client.predict("a", api_name="/echo") == "a"
        memory_app.fault("POST", "/queue/join", Answer(401, {"detail": "Not authenticated"}))
        for _ in range(2):
            with pytest.raises(AuthenticationError, match="/echo"):
                await client.predict("a", api_name="/echo")


@pytest.mark.parametrize("auth", ["ab", "ada:secret", ("ada",), ("a", "b", "c"), ("ada", None), 3])
def test_invalid_login_is_refused_and_not_shown(auth: Any) -> None:
    with pytest.raises((ValueError, TypeError), match="auth") as caught:
        Client("http://app.test", auth=auth)
    assert "secret" not in str(caught.value)


# --- Secrets ---

# What servers in the debugging mode of their framework do: they show the request.
ECHOES = [
    Answer(500, f"KeyError in login(username='ada', password='{PASSWORD}')"),
    Answer(404, {"detail": f"no route for username=ada&password={PASSWORD}"}),
    Answer(403, {"detail": {"password": PASSWORD}}),
    Answer(422, {"detail": [{"loc": ["body"], "msg": f"bad input {PASSWORD}"}]}),
    Answer(422, {"detail": [f"bad input {PASSWORD}"]}),
    Answer(429, f"too many logins with {PASSWORD}"),
    Answer(503, {"detail": f"The queue is full, {PASSWORD}."}),
    Answer(400, {"detail": f"Incorrect credentials: {PASSWORD}"}),
    Answer(401, {"detail": f"Incorrect credentials: {PASSWORD}"}),
]


@pytest.mark.parametrize("answer", ECHOES, ids=lambda answer: str(answer.status))
async def test_server_that_repeats_password_is_not_quoted(memory_app, answer):
    memory_app.fault("POST", "/login", answer)
    with pytest.raises(TriojobError) as caught:
        await must_not_open(new_client(memory_app, auth=LOGIN))
    assert PASSWORD not in shown(caught.value)


@pytest.mark.parametrize("fault, error", [(Lose(), ConnectionLost), (Silence(), ConnectionTimeout)])
async def test_a_login_that_the_network_loses(memory_app, autojump_clock, fault, error):
    memory_app.fault("POST", "/login", fault)
    with pytest.raises(error, match="POST login") as caught:
        await must_not_open(new_client(memory_app, auth=LOGIN))
    assert PASSWORD not in shown(caught.value)


def everything_logged(caplog: pytest.LogCaptureFixture, *loggers: str) -> str:
    """Return all that these loggers said, by whatever way they said it."""
    records = [record for record in caplog.records if record.name.partition(".")[0] in loggers]
    return "\n".join(f"{record.getMessage()} {record.__dict__}" for record in records)


async def test_password_is_never_shown_or_logged(memory_app, caplog):
    caplog.set_level(logging.DEBUG)
    guard(memory_app)
    memory_app.fault("POST", "/cancel", Answer(500, b"no"), times=1)
    client = new_client(memory_app, auth=LOGIN)
    texts = [repr(client)]
    async with client:
        await ask_for_everything(memory_app, client)
        job = client.submit("a", api_name="/echo")
        texts += [repr(client), repr(client.endpoint("/echo")), repr(job), client.view_api()]
        await job.wait()
    texts.append(repr(client))
    with pytest.raises(AuthenticationError):
        await must_not_open(new_client(memory_app, auth=("bob", PASSWORD)))
    log = everything_logged(caplog, "triojob", "httpx", "httpcore")
    assert "POST" in log
    assert "/cancel" in log
    for text in (*texts, log):
        assert PASSWORD not in text


async def log_a_life(server: ScriptedServer, caplog: pytest.LogCaptureFixture) -> list[str]:
    """Let all that is ever logged be logged; return the session hashes of it."""
    caplog.set_level(logging.DEBUG)
    add_functions(server)
    server.fault("POST", "/cancel", Answer(500, b"no"), times=1)
    async with new_client(server) as client, client.session() as session:
        await ask_for_everything(server, client)
        await session.predict("a", api_name="/echo")
        broken = session.submit("a", api_name="/hang")
        await trio.testing.wait_all_tasks_blocked()
        server.kill_connections()
        with pytest.raises(ConnectionLost) as caught:
            await broken.result()
    hashes = [join["session_hash"] for join in server.joins]
    assert len(set(hashes)) >= 3
    for session_hash in hashes:
        assert session_hash not in shown(caught.value)
    return hashes


async def test_triojob_logs_no_session_hash(memory_app, caplog):
    """Whoever knows it can cancel what runs in the session, without a login."""
    hashes = await log_a_life(memory_app, caplog)
    log = everything_logged(caplog, "triojob")
    assert "a cancel request failed" in log
    for session_hash in hashes:
        assert session_hash not in log


async def test_httpx_logs_no_session_hash(memory_app, caplog):
    """It logs the URL of each request as a mere info, which many programs show."""
    hashes = await log_a_life(memory_app, caplog)
    log = everything_logged(caplog, "httpx")
    assert "/queue/data" in log
    for session_hash in hashes:
        assert session_hash not in log
