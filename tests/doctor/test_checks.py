"""Each finding of the doctor on a scripted app that has its cause, and none on a healthy one."""

from __future__ import annotations

import itertools
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import h11
import pytest
import trio
import trio.testing

from tests.doctor.table import PAGE, page
from tests.servers.direct import go_direct
from tests.servers.faults import Answer, Cut, Delay, Lose, Reply, Silence
from tests.servers.scripted import Event, GradioError, ScriptedServer
from triojob import AppError, Client, Diagnosis, QueueFull, TooManyRequests, diagnose
from triojob._doctor.catalog import CATALOG
from triojob._doctor.registry import CHECKS
from triojob.testing import components
from triojob.testing._server.http import (
    Disconnect,
    ServerConnection,
    ServerRequest,
    ServerResponse,
)

SECRET = "hunter22hunter22"
Prepare = Callable[[ScriptedServer], None]


@dataclass(frozen=True)
class Case:
    """A cause, and what the doctor says about it."""

    prepare: Prepare
    code: str
    saw: str
    """A pattern in what it saw."""
    severity: str
    options: dict[str, Any] = field(default_factory=dict)


def fault(*faults: Any, path: str = "/config", times: float = float("inf")) -> Prepare:
    return lambda server: server.fault("GET", path, *faults, times=times)


def config(**changes: Any) -> Prepare:
    return lambda server: server.app.config_overrides.update(changes)


def answer(status: int, body: Any = b"", **headers: str) -> Answer:
    return Answer(status, body, {name.replace("_", "-"): value for name, value in headers.items()})


def intercepting(
    respond: Callable[[ScriptedServer, ServerRequest], ServerResponse | None],
) -> Prepare:
    """Let a function respond in the place of the server, or return None."""

    def prepare(server: ScriptedServer) -> None:
        handle = server.handle

        async def respond_or_handle(request: ServerRequest) -> Any:
            return respond(server, request) or await handle(request)

        server.handle = respond_or_handle  # type: ignore[method-assign]

    return prepare


def limit_connections(server: ScriptedServer, request: ServerRequest) -> ServerResponse | None:
    is_stream = request.path.startswith("/heartbeat/")
    if is_stream and server.heartbeats.open >= 10:
        return ServerResponse(503, "<title>503 Service Temporarily Unavailable</title>")
    return None


def limit_rate(server: ScriptedServer, request: ServerRequest) -> ServerResponse | None:
    count = sum(known.path == "/app_id" for known in server.requests)
    if request.path == "/app_id" and count > 30:
        return ServerResponse(429, b"slow down", [("retry-after", "7")])
    return None


def two_processes(server: ScriptedServer) -> None:
    ids = itertools.cycle([1, 2])
    server.fault("GET", "/app_id", Reply(lambda _: ServerResponse(200, {"app_id": next(ids)})))


def need_login(server: ScriptedServer) -> None:
    server.app.auth = ("ada", SECRET)


def forget_logins(server: ScriptedServer) -> None:
    need_login(server)
    detail = {"detail": {"error": "Not authenticated", "auth_message": None}}
    server.fault("GET", "/config", Answer(401, detail))


def move_to(path: str) -> Prepare:
    """Let the app's page redirect there, where the app is; at its URL, there is nothing else."""

    def respond(server: ScriptedServer, request: ServerRequest) -> ServerResponse | None:
        if request.target == "/":
            return ServerResponse(307, b"", [("location", path)])
        if request.target == "/config":
            return ServerResponse(404, b"nothing here")
        if request.target == f"{path}config":
            return ServerResponse(200, server.app.config(server.url))
        return None

    return intercepting(respond)


def lose_cookie(server: ScriptedServer) -> None:
    cookie = ("set-cookie", f"route={SECRET}; Path=/elsewhere")
    app = server.app
    server.fault(
        "GET", "/config", Reply(lambda _: ServerResponse(200, app.config(server.url), [cookie]))
    )


def keep_state(server: ScriptedServer) -> None:
    server.app.add("remember", inputs=["text", components.state(0)])


def many_wait(server: ScriptedServer) -> None:
    status = {"msg": "estimation", "queue_size": 3}
    server.fault("GET", "/queue/status", Answer(200, status))


AUTH = {"auth": ("ada", SECRET)}
OLD = {"version": "4.19.2", "protocol": "sse_v2"}

CASES = {
    # The connection and the description.
    "refused": Case(lambda server: server.die(), "unreachable", "no connection to", "error"),
    "silent": Case(fault(Silence()), "no-response", "no response within 20", "error"),
    "lost": Case(fault(Lose()), "connection-broken", "without a response", "error"),
    "moved": Case(
        fault(answer(302, location=f"https://login.test/?token={SECRET}")),
        "redirect",
        r"status 302 and redirects to https://login.test/$",
        "error",
    ),
    "to https": Case(
        fault(answer(301, location="https://scripted.test/config")),
        "wrong-scheme",
        "status 301 and redirects to https://scripted.test/config",
        "error",
    ),
    "plain to TLS": Case(
        fault(answer(400, "<title>400 The plain HTTP request was sent to HTTPS port</title>")),
        "wrong-scheme",
        "was sent to HTTPS port",
        "error",
    ),
    "login": Case(need_login, "login-required", "status 401", "error"),
    "wrong login": Case(
        need_login, "login-refused", "user 'eve'", "error", {"auth": ("eve", SECRET)}
    ),
    "lost login": Case(forget_logins, "login-not-kept", "requires a login", "error", AUTH),
    "login of a proxy": Case(
        fault(answer(401, "<h1>who?</h1>", www_authenticate='Basic realm="office"')),
        "proxy-login",
        'Basic realm="office"',
        "error",
    ),
    "forbidden": Case(fault(answer(403, "no bots")), "access-denied", "status 403", "error"),
    "bad gateway": Case(
        fault(answer(502, "<title>502 Bad Gateway</title>", content_type="text/html")),
        "app-down",
        "status 502: 502 Bad Gateway$",
        "error",
    ),
    "broken info": Case(
        fault(answer(500, "Internal Server Error"), path="/info"),
        "description-broken",
        "reading /info.*status 500",
        "error",
    ),
    "another page": Case(
        fault(answer(200, "<title>Shop</title>", content_type="text/html")),
        "not-gradio",
        "status 200: Shop",
        "error",
    ),
    "other JSON": Case(fault(answer(200, {"a": 1})), "not-gradio", "lacks its endpoints", "error"),
    "elsewhere": Case(
        move_to("/app/"), "wrong-path", r"an app at http://scripted.test/app/", "error"
    ),
    "new protocol": Case(config(protocol="sse_v99"), "unknown-protocol", "sse_v99", "error"),
    "limited at once": Case(
        fault(answer(429, "slow down"), path="/info"),
        "rate-limit",
        r"the first request passed.*\(429\): slow down",
        "warning",
    ),
    # The address.
    "wrong host": Case(
        config(root="http://10.0.0.7:7860"), "wrong-root", "http://10.0.0.7:7860", "warning"
    ),
    "wrong path": Case(
        config(root="http://scripted.test/app"), "wrong-root-path", "/app", "warning"
    ),
    "lost cookie": Case(
        lose_cookie, "cookie-lost", r"1 of 1 cookies would not be sent back: 'route'$", "warning"
    ),
    # The app.
    "old": Case(config(**OLD), "old-release", r"Gradio 4\.19\.2", "warning"),
    "hidden errors": Case(config(show_error=False), "errors-hidden", "show_error", "note"),
    "State": Case(keep_state, "state", "1 of 2 endpoints keep State: /remember", "note"),
    "waiting calls": Case(many_wait, "queue-waiting", "queue: 3$", "note"),
    "Node": Case(
        fault(answer(200, "<script src='./_app/immutable/x.js'>"), path="/"),
        "node-server",
        "Node server",
        "note",
    ),
    "replicas": Case(two_processes, "replicas", "10 connections reached 2 processes", "error"),
    # Limits.
    "rate": Case(
        intercepting(limit_rate),
        "rate-limit",
        r"request \d+ of a row was refused.*\(429\): slow down",
        "warning",
    ),
    "connections": Case(
        intercepting(limit_connections),
        "connection-limit",
        "number 11 was refused.*503 Service Temporarily Unavailable",
        "warning",
    ),
    "silent stream": Case(
        fault(Silence(), path="/heartbeat"),
        "buffering",
        r"no event in 17\.0 s .* another request took 0 ms",
        "warning",
    ),
    "cut stream": Case(
        fault(Cut(5), path="/heartbeat"), "stream-cut", r"ended after 0\.0 s", "error"
    ),
}


@pytest.fixture
def app(memory_app: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> ScriptedServer:
    """Serve a healthy app, which clients reach over connections of their own."""
    go_direct(monkeypatch)
    memory_app.app.config_overrides["show_error"] = True
    memory_app.app.add("greet", inputs=["name"])
    return memory_app


async def examine(server: ScriptedServer, **options: Any) -> Diagnosis:
    return await diagnose(server.url, transport=server.transport(), **options)


async def test_healthy_app_has_no_findings(app, autojump_clock):
    start = trio.current_time()
    diagnosis = await examine(app)
    assert (diagnosis.findings, diagnosis.problems) == ((), ())
    assert [check.name for check in diagnosis.checks] == [check.name for check in CHECKS]
    assert "failed" not in {check.outcome for check in diagnosis.checks}
    assert (diagnosis.title, diagnosis.version) == ("scripted", "6.31.0")
    assert (diagnosis.protocol, diagnosis.server) == ("sse_v3", "uvicorn")
    assert trio.current_time() - start < 30
    await trio.testing.wait_all_tasks_blocked()
    assert app.open_connections == 0


async def test_requests_are_few_and_harmless(app, autojump_clock):
    await examine(app)
    assert len(app.requests) < 70
    assert {request.method for request in app.requests} == {"GET"}
    assert app.events == {}


@pytest.mark.parametrize("name", CASES)
async def test_each_cause_has_its_finding(app, autojump_clock, name):
    case = CASES[name]
    case.prepare(app)
    diagnosis = await examine(app, **case.options)
    (finding,) = diagnosis.findings
    assert (finding.code, finding.severity) == (case.code, case.severity)
    assert re.search(case.saw, finding.saw), finding.saw
    assert finding.means
    assert finding.remedies
    assert SECRET not in repr(diagnosis)
    assert "failed" not in {check.outcome for check in diagnosis.checks}
    assert app.events == {}


@pytest.mark.parametrize(
    "takes_files, passing, severity, saw",
    [
        (True, 1, "warning", "a body of 2 MB is refused by uvicorn with status 413$"),
        (True, 10, "note", "a body of 100 MB .* 413, and one of 10 MB is not$"),
        (False, 1, "note", "a body of 2 MB"),
    ],
)
async def test_limit_of_bodies_is_found(
    app, autojump_clock, monkeypatch, takes_files, passing, severity, saw
):
    next_event = ServerConnection._next_event

    async def refuse_large(connection: ServerConnection) -> Any:
        event = await next_event(connection)
        headers = dict(event.headers) if isinstance(event, h11.Request) else {}
        if b"expect" in headers:
            size = int(headers[b"content-length"])
            status = 413 if size > passing * 1_000_000 else 400
            await connection.send(h11.Response(status_code=status, headers=[("server", "x")]))
            raise Disconnect
        return event

    if takes_files:
        app.app.add("read", inputs=[components.file("path")])
    monkeypatch.setattr(ServerConnection, "_next_event", refuse_large)
    (finding,) = (await examine(app)).findings
    assert (finding.code, finding.severity) == ("body-limit", severity)
    assert re.search(saw, finding.saw)


# --- The call ---


def call(*args: Any) -> Callable[[Client], Awaitable[object]]:
    return lambda client: client.predict(*args, api_name="/greet")


async def test_call_is_made_at_the_end(app, autojump_clock):
    diagnosis = await examine(app, call=call("Ada"))
    assert diagnosis.findings == ()
    assert [event.data for event in app.events.values()] == [["Ada"]]
    assert (diagnosis.checks[-1].name, diagnosis.checks[-1].outcome) == ("call", "done")


@pytest.mark.parametrize(
    "error, code",
    [
        (QueueFull("Queue is full."), "queue-full"),
        (TooManyRequests("slow down", retry_after=7), "rate-limit"),
        (AppError("boom", endpoint="/greet"), "call-failed"),
        (AppError(None, endpoint="/greet"), "call-failed-silently"),
    ],
)
async def test_failed_call_is_a_finding(app, autojump_clock, error, code):
    async def fail(client: Client) -> None:
        raise error

    diagnosis = await examine(app, call=fail)
    assert [finding.code for finding in diagnosis.findings] == [code]


async def test_full_queue_is_seen_by_a_call(app, autojump_clock):
    app.app.max_queue_size = 0
    diagnosis = await examine(app, call=call("Ada"))
    (finding,) = diagnosis.findings
    assert finding.code == "queue-full"
    assert "Max size is 0" in finding.saw


async def test_error_of_the_app_is_shown(app, autojump_clock):
    async def fail(event: Event) -> None:
        raise GradioError("boom")

    app.app.endpoints[0].script = fail
    diagnosis = await examine(app, call=call("Ada"))
    assert [finding.saw for finding in diagnosis.findings] == ["/greet: boom"]


# --- Checks on their own ---


async def test_broken_check_stops_no_other(app, autojump_clock, monkeypatch):
    app.app.config_overrides["show_error"] = False
    app.fault("GET", "/queue/status", Answer(200, b"no JSON"))
    app.fault("GET", "/", Silence())
    diagnosis = await examine(app)
    results = {check.name: check for check in diagnosis.checks}
    assert results["queue"].outcome == results["rendering"].outcome == "failed"
    assert "no JSON" in (results["queue"].reason or "")
    assert results["rendering"].seconds <= 30
    assert results["connections"].outcome == "done"
    assert [finding.code for finding in diagnosis.findings] == ["errors-hidden"]


@pytest.mark.parametrize("seconds", [0, 1, 10, 20])
async def test_cancelled_examination_leaves_nothing(app, autojump_clock, seconds):
    async def call_for_ever(client: Client) -> None:
        await trio.sleep_forever()

    app.fault("GET", "/heartbeat", Delay(0.1))
    with trio.move_on_after(seconds) as scope:
        await examine(app, call=call_for_ever)
    assert scope.cancelled_caught
    await trio.testing.wait_all_tasks_blocked()
    assert app.open_connections == 0


async def test_unload_functions_are_never_run(app, autojump_clock):
    app.app.endpoints[0].extra["targets"] = [[None, "unload"]]
    diagnosis = await examine(app)
    results = {check.name: check for check in diagnosis.checks}
    for name in ("event stream", "connections"):
        assert results[name].outcome == "not_checked"
        assert "when a session ends" in (results[name].reason or "")
    assert app.log.unloads == []


@pytest.mark.parametrize("path", ["/heartbeat", "/app_id"])
@pytest.mark.parametrize("moment", [0, 5, 15, 25])
async def test_passing_trouble_is_no_finding(app, autojump_clock, path, moment):
    count = itertools.count()

    def respond(server: ScriptedServer, request: ServerRequest) -> ServerResponse | None:
        is_due = request.path.startswith(path) and next(count) == moment
        return ServerResponse(503, b"restarting") if is_due else None

    intercepting(respond)(app)
    diagnosis = await examine(app)
    assert diagnosis.findings == ()
    assert "failed" not in {check.outcome for check in diagnosis.checks}


async def test_one_cut_stream_is_no_finding(app, autojump_clock):
    app.fault("GET", "/heartbeat", Cut(5), times=1)
    assert (await examine(app)).findings == ()


async def test_restart_is_not_taken_for_replicas(app, autojump_clock):
    ids = itertools.chain([1] * 4, itertools.repeat(2))
    app.fault("GET", "/app_id", Reply(lambda _: ServerResponse(200, {"app_id": next(ids)})))
    assert (await examine(app)).findings == ()


async def test_own_idle_connections_meet_no_limit(app, autojump_clock):
    """Servers such as uvicorn count idle connections, too."""

    def respond(server: ScriptedServer, request: ServerRequest) -> ServerResponse | None:
        return ServerResponse(503) if server.open_connections > 4 else None

    intercepting(respond)(app)
    diagnosis = await examine(app)
    assert [finding.code for finding in diagnosis.findings] == ["connection-limit"]
    left_out = {check.name for check in diagnosis.checks if "503" in (check.reason or "")}
    assert left_out == set()


async def test_own_heartbeat_interval_is_no_finding(app, autojump_clock):
    app.app.heartbeat_interval = 60
    assert (await examine(app)).findings == ()


async def test_slow_app_is_no_proxy(app, autojump_clock):
    """Without a response to another request either, nothing is known about the stream."""
    app.fault("GET", "/heartbeat", Silence())
    ids = itertools.count()

    def respond(server: ScriptedServer, request: ServerRequest) -> ServerResponse | None:
        if request.path == "/app_id" and next(ids) > 10:
            return ServerResponse(503, b"busy")
        return None

    intercepting(respond)(app)
    diagnosis = await examine(app)
    assert "buffering" not in {finding.code for finding in diagnosis.findings}


async def test_old_release_has_no_heartbeats(app, autojump_clock):
    app.fault("GET", "/heartbeat", answer(404, {"detail": "Not Found"}))
    diagnosis = await examine(app)
    assert diagnosis.findings == ()
    reasons = [check.reason for check in diagnosis.checks if check.name == "connections"]
    assert reasons == ["the app has no heartbeats (status 404)"]


async def test_over_httpx_raw_checks_are_left_out(memory_app, autojump_clock):
    memory_app.app.config_overrides["show_error"] = True
    memory_app.app.add("greet")
    diagnosis = await examine(memory_app)
    assert diagnosis.findings == ()
    left_out = [c.name for c in diagnosis.checks if "proxy of yours" in (c.reason or "")]
    assert left_out == ["idle connections", "request bodies"]


def test_wrong_arguments_are_raised():
    with pytest.raises(ValueError, match="http:// or https://"):
        trio.run(diagnose, "nowhere")


def test_every_entry_says_what_to_do():
    for code, entry in CATALOG.items():
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", code)
        assert entry.severity in ("error", "warning", "note")
        assert entry.means.endswith(".")
        assert entry.remedies
        assert all(not remedy.change.endswith(".") for remedy in entry.remedies)


def test_the_page_lists_every_finding():
    assert PAGE.read_text(encoding="utf-8") == page(), "run python -m tests.doctor.table"
