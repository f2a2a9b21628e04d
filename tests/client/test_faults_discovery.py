"""Every way in which entering a client can go wrong: `/config`, `/info` and `/login`."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests.servers.faults import Answer, Delay, Fault, Lose, Silence
from tests.servers.scripted import ScriptedServer
from tests.support.faults import (
    TIMES,
    Damage,
    Wire,
    add_endpoints,
    clean_client,
    cut_after,
    name_of,
    replaced_by,
    stall_after,
)
from tests.support.jobs import tasks_living
from tests.support.sessions import ROOMY
from triojob import (
    AuthenticationError,
    Client,
    ClientClosed,
    ConnectionFailed,
    ConnectionLost,
    ConnectionTimeout,
    Limits,
    ProtocolError,
    ServerStopped,
    TooManyRequests,
    TriojobError,
    UnexpectedResponse,
)

PASSWORD = "correct horse"
PATHS = ("/config", "/info", "/login")
METHODS = {"/config": "GET", "/info": "GET", "/login": "POST"}
PAGE = "<html><h1>Bad Gateway</h1></html>"
JSON = {"content-type": "application/json"}
ELSEWHERE = {"location": "http://elsewhere.test/path?token=secret"}


async def error_on_entering(server: ScriptedServer, **options: Any) -> Exception:
    """Enter a client; return what that raises, bare, having shown that nothing is left."""
    # A first try leaves nothing behind but connections' tasks, if any; those must go too.
    await wait_all_tasks_blocked()
    before = tasks_living()
    client = Client(server.url, transport=server.transport(limits=ROOMY), **options)
    with trio.fail_after(1000), pytest.raises(Exception) as caught:  # noqa: PT011 - any at all
        async with client:
            raise AssertionError("it was entered")
    await wait_all_tasks_blocked()
    assert server.open_connections == 0
    assert tasks_living() == before
    with pytest.raises(ClientClosed):
        client.endpoint("/echo")
    assert server.joins == []
    assert PASSWORD not in str(caught.value)
    assert "secret" not in str(caught.value)
    assert len(str(caught.value)) < 500
    return caught.value


def set_up(server: ScriptedServer, path: str) -> dict[str, Any]:
    """Make an app, with a login if the fault is to be in that; return the client's options."""
    add_endpoints(server)
    if path != "/login":
        return {}
    server.app.auth = ("ada", PASSWORD)
    return {"auth": ("ada", PASSWORD)}


async def assert_works(server: ScriptedServer, **options: Any) -> None:
    """Show that the app can be called once it is all right again."""
    server.clear_faults()
    async with clean_client(server, **options) as client:
        assert await client.predict("again", api_name="/echo") == "again"


STATUSES = [
    *(
        Answer(status, body)
        for status, body in zip(
            (403, 404, 405, 413, 500, 502, 503, 504),
            itertools.cycle((PAGE, {"detail": "Not Found"}, b"")),
            strict=False,
        )
    ),
    Answer(422, {"detail": "No."}),
]


@pytest.mark.parametrize(
    "path, answer",
    # Gradio before 3.36 has no /info.
    [(p, a) for p in PATHS for a in STATUSES if (p, a.status) != ("/info", 404)],
    ids=name_of,
)
async def test_senseless_status_is_an_unexpected_response(memory_app, autojump_clock, path, answer):
    options = set_up(memory_app, path)
    memory_app.fault(METHODS[path], path, answer)
    error = await error_on_entering(memory_app, **options)
    assert type(error) is UnexpectedResponse
    assert error.status == answer.status
    await assert_works(memory_app, **options)


@pytest.mark.parametrize("path", ["/config", "/info"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirect_is_told_of_and_never_followed(memory_app, autojump_clock, path, status):
    options = set_up(memory_app, path)
    memory_app.fault("GET", path, Answer(status, b"", ELSEWHERE))
    error = await error_on_entering(memory_app, **options)
    assert type(error) is UnexpectedResponse
    assert error.status == status
    assert "http://elsewhere.test/path;" in str(error)
    assert {host for host, _ in memory_app.network.connects} == {"scripted.test"}
    await assert_works(memory_app, **options)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(400, {"detail": "Bad request."}),
        Answer(422, {"detail": [{"loc": ["query", "page"], "msg": "No such page."}]}),
        Answer(503, "<h1>The house is full</h1>"),
    ],
    ids=name_of,
)
async def test_refused_description_is_no_refused_call(memory_app, autojump_clock, answer):
    # No input was validated, and nothing was to be queued.
    add_endpoints(memory_app)
    memory_app.fault("GET", "/config", answer)
    error = await error_on_entering(memory_app)
    assert type(error) is UnexpectedResponse
    assert error.status == answer.status


@pytest.mark.parametrize("path", PATHS)
async def test_a_401_asks_for_a_login(memory_app, autojump_clock, path):
    options = set_up(memory_app, path)
    memory_app.fault(METHODS[path], path, Answer(401, {"detail": {"error": "Not authenticated"}}))
    assert type(await error_on_entering(memory_app, **options)) is AuthenticationError


@pytest.mark.parametrize("options", [{}, {"auth": ("ada", "wrong")}, {"auth": ("bob", PASSWORD)}])
async def test_app_wanting_login_is_not_entered_without(memory_app, autojump_clock, options):
    right = set_up(memory_app, "/login")
    assert type(await error_on_entering(memory_app, **options)) is AuthenticationError
    await assert_works(memory_app, **right)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("headers, seconds", [({}, None), ({"retry-after": "30"}, 30.0)])
async def test_a_429_says_when_to_come_back(memory_app, autojump_clock, path, headers, seconds):
    options = set_up(memory_app, path)
    memory_app.fault(METHODS[path], path, Answer(429, PAGE, headers))
    error = await error_on_entering(memory_app, **options)
    assert isinstance(error, TooManyRequests)
    assert error.retry_after == seconds
    await assert_works(memory_app, **options)


@pytest.mark.parametrize("path", PATHS)
async def test_stopping_server_has_stopped(memory_app, autojump_clock, path):
    options = set_up(memory_app, path)
    memory_app.fault(METHODS[path], path, Answer(503, {"detail": "Queue is stopped."}))
    assert type(await error_on_entering(memory_app, **options)) is ServerStopped


@pytest.mark.parametrize("path", ["/config", "/info"])
@pytest.mark.parametrize(
    "answer, kind",
    [
        (Answer(200, PAGE), UnexpectedResponse),
        (Answer(200, b"{}"), UnexpectedResponse),
        (Answer(200, b"{}", {"content-type": "application/jsonp"}), UnexpectedResponse),
        (Answer(200, b"", JSON), ProtocolError),
        (Answer(200, b"nonsense", JSON), ProtocolError),
        (Answer(200, b'{"version": "6.31.0", "compo', JSON), ProtocolError),
        (Answer(200, b"\xff\xfe{}", JSON), ProtocolError),
        (Answer(200, b"[" * 10**6, JSON), ProtocolError),
        (Answer(200, [{}]), ProtocolError),
        (Answer(200, "null", JSON), ProtocolError),
        (Answer(200, {}), ProtocolError),
        (Answer(200, {"dependencies": 5, "named_endpoints": []}), ProtocolError),
        (Answer(200, {"title": "x" * 100_000}), ProtocolError),
    ],
    ids=name_of,
)
async def test_senseless_description_is_a_protocol_error(
    memory_app, autojump_clock, path, answer, kind
):
    options = set_up(memory_app, path)
    memory_app.fault("GET", path, answer)
    error = await error_on_entering(memory_app, limits=Limits(message_size=50_000), **options)
    assert type(error) is kind
    await assert_works(memory_app, **options)


FAULTS: list[tuple[Fault, type[TriojobError], float]] = [
    *(
        (Lose(handled=handled, reset=reset), ConnectionLost, 0)
        for handled in (False, True)
        for reset in (False, True)
    ),
    (Silence(handled=False), ConnectionTimeout, 120),
    (Silence(), ConnectionTimeout, 120),
    (Delay(121), ConnectionTimeout, 120),
]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("fault, kind, seconds", FAULTS)
async def test_lost_or_silent_connection_is_reported(
    memory_app, autojump_clock, path, fault, kind, seconds
):
    options = set_up(memory_app, path)
    memory_app.fault(METHODS[path], path, fault)
    now = trio.current_time()
    error = await error_on_entering(memory_app, **options)
    assert type(error) is kind
    assert path[1:] in str(error)
    assert trio.current_time() == pytest.approx(now + seconds)
    await assert_works(memory_app, **options)


@pytest.mark.parametrize("path", PATHS)
async def test_missing_server_is_reported(memory_app, autojump_clock, path):
    options = set_up(memory_app, path)
    memory_app.listener.refusing = True
    assert type(await error_on_entering(memory_app, **options)) is ConnectionFailed
    memory_app.listener.refusing = False
    memory_app.listener.connect_gate = trio.Event()
    now = trio.current_time()
    assert type(await error_on_entering(memory_app, **options)) is ConnectionFailed
    assert trio.current_time() == pytest.approx(now + TIMES.connect)
    memory_app.listener.connect_gate = None
    await assert_works(memory_app, **options)


HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
DAMAGES: dict[str, tuple[Damage, type[TriojobError]]] = {
    "nothing": (cut_after(0), ConnectionLost),
    "a part of the head": (cut_after(30), ConnectionLost),
    "no HTTP": (replaced_by(b"220 ftp.scripted.test ready\r\n"), ConnectionLost),
    "too short": (replaced_by(HEAD + b"content-length: 99\r\n\r\n{}"), ConnectionLost),
    "silence in the head": (stall_after(30), ConnectionTimeout),
    "without an end": (replaced_by(HEAD + b"\r\n", endless=b"x" * 1000), ProtocolError),
}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("damage, kind", DAMAGES.values(), ids=DAMAGES)
async def test_a_damaged_answer_is_told_of(memory_app, autojump_clock, path, damage, kind):
    options = set_up(memory_app, path)
    wire = Wire(memory_app, f"{METHODS[path]} {path}", damage)
    now = trio.current_time()
    error = await error_on_entering(memory_app, limits=Limits(message_size=50_000), **options)
    assert type(error) is kind
    assert trio.current_time() <= now + TIMES.read
    wire.broken = False
    await assert_works(memory_app, **options)


@pytest.mark.parametrize("path", PATHS)
async def test_entering_silent_server_can_be_cancelled(memory_app, autojump_clock, path):
    options = set_up(memory_app, path)
    memory_app.fault(METHODS[path], path, Silence())
    now = trio.current_time()
    with trio.move_on_after(5) as scope:
        async with Client(memory_app.url, transport=memory_app.transport(), **options):
            raise AssertionError("it was entered")
    assert scope.cancelled_caught
    assert trio.current_time() == pytest.approx(now + 5)
    await wait_all_tasks_blocked()
    assert memory_app.open_connections == 0
    await assert_works(memory_app, **options)
