"""A server that shows what it was sent: no secret gets into an error, a log line or a repr."""

from __future__ import annotations

import itertools
import json
import logging
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import httpx
import pytest
import trio
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.servers.direct import go_direct
from tests.servers.echoing import FORMS, Form, found_in, sent, shown
from tests.servers.faults import Answer, Reply
from tests.servers.scripted import Event, GradioError, ScriptedServer
from tests.support.hanging import SECONDS
from tests.support.opening import add_functions, cookies_of, new_client, wait_until_running
from tests.support.sessions import add_notebook
from triojob import AppError, Client, Instrument, Job, JobGroup, Timeouts, handle_file
from triojob._secrets import MASK
from triojob.opentelemetry import OpenTelemetry
from triojob.sync.exceptions import translate
from triojob.testing._server.http import ServerRequest, ServerResponse
from triojob.testing.components import dropdown, file

if sys.version_info < (3, 11):
    from exceptiongroup import ExceptionGroup


PASSWORD = 'corr3ct&"h0rse+/é \\'
TOKEN, KEY, COOKIE, OAUTH = "t0ken-of-mine", "key/of+mine=", "c00kie%2Fof-mine", "0auth_of-mine"
WORD = "swordfish"
SET_HERE, EVENT = "s3t-by-the-server", "ev3nt-of-a-call"
OPTIONS: dict[str, Any] = {
    "auth": ("ada", PASSWORD),
    "headers": {"Authorization": f"Bearer {TOKEN}", "x-api-key": KEY, "x-word": WORD},
    "cookies": {"mine": COOKIE},
    "oauth_token": OAUTH,
    "timeouts": Timeouts(cancel=1),
}

OUTPUT = {"data": [{"path": "/@", "orig_name": "@", "meta": {"_type": "gradio.FileData"}}]}

Make = Callable[[str], ServerResponse]
Use = Callable[[Client, ScriptedServer], Awaitable[object]]


def text(status: int) -> Make:
    return lambda words: ServerResponse(status, words.encode())


def page(status: int) -> Make:
    return lambda words: ServerResponse(status, f"<h1>{words}</h1>")


def detail(status: int, more: str = "") -> Make:
    return lambda words: ServerResponse(status, {"detail": words + more})


def events(*messages: Callable[[str], Any]) -> Make:
    """Return an event stream of messages, or of bytes that are none."""

    def make(words: str) -> ServerResponse:
        made = [message(words) for message in messages]
        data = [each if isinstance(each, str) else json.dumps(each) for each in made]
        body = "".join(f"data: {each}\n\n" for each in data).encode()
        return ServerResponse(200, body, [("content-type", "text/event-stream")])

    return make


def completed(**more: Any) -> Callable[[str], Any]:
    def make(words: str) -> Any:
        filled = json.loads(json.dumps(more).replace('"@"', json.dumps(words)))
        return {"msg": "process_completed", "event_id": "EVENT", "success": False, **filled}

    return make


async def predict(client: Client, _server: ScriptedServer) -> object:
    return await client.predict("a", api_name="/echo")


async def predict_by_run(client: Client, _server: ScriptedServer) -> object:
    return await client.endpoint("/echo", via="run")("a")


async def predict_by_call(client: Client, _server: ScriptedServer) -> object:
    return await client.endpoint("/echo", via="call")("a")


async def predict_with_token(client: Client, _server: ScriptedServer) -> object:
    return await client.predict("a", api_name="/as_me")


async def cancel(client: Client, server: ScriptedServer) -> None:
    job = client.submit("a", api_name="/hang")
    await wait_until_running(server, 1)
    job.cancel()
    await trio.sleep(5)


async def keep_state(client: Client, _server: ScriptedServer) -> None:
    async with client.session() as session:
        await session.predict("a", api_name="/note")
        await trio.sleep(5)


CASES: dict[str, tuple[str, str, Make, Use]] = {
    **{f"config {s}": ("GET", "/config", text(s), predict) for s in (401, 404, 429, 500, 503)},
    "config page": ("GET", "/config", page(200), predict),
    "config list": ("GET", "/config", lambda words: ServerResponse(200, [words]), predict),
    "config keys": ("GET", "/config", lambda words: ServerResponse(200, {words: words}), predict),
    "config of a kind": (
        *(
            "GET",
            "/config",
            lambda words: ServerResponse(200, words, [("content-type", "a/b;" + words)]),
        ),
        predict,
    ),
    "info": ("GET", "/info", text(500), predict),
    "info list": (
        "GET",
        "/info",
        lambda words: ServerResponse(200, {"named_endpoints": words}),
        predict,
    ),
    **{f"login {s}": ("POST", "/login", text(s), predict) for s in (401, 403, 422, 500)},
    **{
        f"join {s}": ("POST", "/queue/join", text(s), predict)
        for s in (200, 401, 404, 413, 422, 429, 500, 503)
    },
    "join with a token": ("POST", "/queue/join", text(500), predict_with_token),
    "join full": ("POST", "/queue/join", detail(503, " is full"), predict),
    "join stopped": ("POST", "/queue/join", detail(503, " stopped"), predict),
    "join refused": ("POST", "/queue/join", detail(400), predict),
    "join invalid": (
        *("POST", "/queue/join"),
        lambda words: ServerResponse(
            422, {"detail": [{"parameter_name": words, "message": words}]}
        ),
        predict,
    ),
    "join names": (
        "POST",
        "/queue/join",
        lambda words: ServerResponse(200, {"event": words}),
        predict,
    ),
    "join elsewhere": (
        *("POST", "/queue/join"),
        lambda words: ServerResponse(302, b"", [("location", "/a/" + words.replace(" ", "/"))]),
        predict,
    ),
    "join compressed": (
        *("POST", "/queue/join"),
        lambda words: ServerResponse(200, b"{}", [("content-encoding", words)]),
        predict,
    ),
    **{f"data {s}": ("GET", "/queue/data", text(s), predict) for s in (200, 401, 404, 429, 500)},
    "data garbage": ("GET", "/queue/data", events(str), predict),
    "data kind": ("GET", "/queue/data", events(lambda words: {"msg": [words]}), predict),
    "data failed": (
        *(
            "GET",
            "/queue/data",
            events(lambda words: {"msg": "unexpected_error", "message": words}),
        ),
        predict,
    ),
    "data stopped": (
        *("GET", "/queue/data"),
        events(lambda words: {"msg": "unexpected_error", "message": f"{words} stopped"}),
        predict,
    ),
    "app error": ("GET", "/queue/data", events(completed(output={"error": "@"})), predict),
    "app error title": (
        *("GET", "/queue/data"),
        events(completed(output={"error": "@", "title": "@", "duration": "@"}, title="@")),
        predict,
    ),
    "app error of a kind": (
        *("GET", "/queue/data", events(completed(output={"error": {"@": ["@"]}}))),
        predict,
    ),
    "output": ("GET", "/queue/data", events(completed(output="@", success=True)), predict),
    "output data": (
        *("GET", "/queue/data", events(completed(output={"data": "@"}, success=True))),
        predict,
    ),
    "output of no length": (
        *("GET", "/queue/data", events(completed(output={"data": [], "x": "@"}, success=True))),
        predict,
    ),
    "cancel": ("POST", "/cancel", text(500), cancel),
    "cancel detail": ("POST", "/cancel", detail(422), cancel),
    "heartbeat": ("GET", "/heartbeat", text(404), keep_state),
    "heartbeat list": ("GET", "/heartbeat", events(lambda words: [words]), keep_state),
    **{f"run {s}": ("POST", "/run", text(s), predict_by_run) for s in (200, 404, 500)},
    "run error": (
        "POST",
        "/run",
        lambda words: ServerResponse(500, {"error": words}),
        predict_by_run,
    ),
    **{f"call {s}": ("POST", "/call", text(s), predict_by_call) for s in (200, 404, 500)},
    "call event": ("GET", "/call", text(500), predict_by_call),
    "call garbage": ("GET", "/call", events(str), predict_by_call),
}


FILES: dict[str, tuple[str, str, Make]] = {
    **{f"upload {s}": ("POST", "/upload", text(s)) for s in (200, 401, 413, 500)},
    **{f"download {s}": ("GET", "/file=", text(s)) for s in (401, 403, 404, 500)},
    "download compressed": (
        *("GET", "/file="),
        lambda words: ServerResponse(200, b"x", [("content-encoding", words)]),
    ),
    "download by name": ("GET", "/queue/data", events(completed(output=OUTPUT, success=True))),
}


def prepare(server: ScriptedServer) -> None:
    server.app.auth = ("ada", PASSWORD)
    add_functions(server)
    add_notebook(server)
    server.app.add("as_me", inputs=["a"], oauth_token="required")
    server.app.add("file", inputs=[file("a")])


def answer_with_echo(
    server: ScriptedServer, method: str, path: str, make: Make, form: Form
) -> None:
    """Let requests to a path be answered with what was sent, and with a new cookie."""

    def answer(request: ServerRequest) -> ServerResponse:
        response = make(sent(request, form))
        if isinstance(response.body, bytes):
            event_id = next(iter(server.events), "none")
            response.body = response.body.replace(b"EVENT", event_id.encode())
        response.headers.append(("set-cookie", f"fresh={SET_HERE}; Path=/"))
        return response

    if (method, path) == ("GET", "/call"):
        server.fault("POST", "/call", Answer(200, {"event_id": EVENT}))
    server.fault(method, path, Reply(answer))


def secrets_of(server: ScriptedServer) -> set[str]:
    """Return all that was sent, or set here, and is nobody else's business."""
    sessions = {join["session_hash"] for join in server.joins if "session_hash" in join}
    cookies = {value for request in server.requests for value in cookies_of(request).values()}
    return {PASSWORD, TOKEN, KEY, WORD, COOKIE, OAUTH, SET_HERE, EVENT} | sessions | cookies


@contextmanager
def collecting(texts: list[str]) -> Iterator[None]:
    """Note what there is to see of the exception that the body raises, if it does."""
    try:
        yield
    except Exception as exc:  # noqa: BLE001 - whatever it is
        texts += [shown(exc), shown(translate(exc))]


@asynccontextmanager
async def everything_shown(
    server: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> AsyncIterator[list[str]]:
    """Give a list for what the body is shown; then, nothing of that may hold a secret."""
    caplog.set_level(logging.DEBUG)
    texts: list[str] = []
    yield texts
    lines = {f"{record.getMessage()} {vars(record)}" for record in caplog.records}
    assert not found_in("\n".join(lines), server.events)
    texts += [*lines, caplog.text]
    assert not found_in("\n".join(texts), secrets_of(server))


def each_with_some_forms(cases: Iterable[str]) -> list[Any]:
    """Return each case as it stands, and with two other forms in turn: all pairs take minutes."""
    turn = itertools.cycle(name for name in FORMS if name != "plain")
    return [
        pytest.param(case, FORMS[form], id=f"{case}-{form}")
        for case in cases
        for form in ("plain", next(turn), next(turn))
    ]


@pytest.mark.parametrize("case, form", each_with_some_forms(CASES))
async def test_an_echo_shows_no_secret(memory_app, autojump_clock, caplog, monkeypatch, case, form):
    method, path, make, use = CASES[case]
    if form is not FORMS["plain"]:
        go_direct(monkeypatch)
    prepare(memory_app)
    answer_with_echo(memory_app, method, path, make, form)
    async with everything_shown(memory_app, caplog) as texts:
        with collecting(texts):
            async with new_client(memory_app, **OPTIONS) as client:
                texts.append(repr(client))
                await use(client, memory_app)
    assert f"{method} {path}" in " ".join(memory_app.paths())


@pytest.mark.parametrize("case, form", each_with_some_forms(FILES))
async def test_an_echo_about_files_shows_no_secret(memory_app, caplog, tmp_path, case, form):
    method, path, make = FILES[case]
    prepare(memory_app)
    answer_with_echo(memory_app, method, path, make, form)
    options = {**OPTIONS, "download_files": tmp_path}
    async with everything_shown(memory_app, caplog) as texts:
        with collecting(texts), trio.fail_after(SECONDS):
            async with new_client(memory_app, **options) as client:
                await client.predict(handle_file(b"a", name="a.txt"), api_name="/file")
    assert f"{method} {path}" in " ".join(memory_app.paths())


@pytest.mark.parametrize("stream", [False, True])
async def test_a_file_handle_shows_no_secret(memory_app, caplog, tmp_path, stream):
    prepare(memory_app)

    @memory_app.app.endpoint(inputs=["a"])
    async def make(event: Event) -> None:
        name = f"{WORD} {TOKEN} {PASSWORD}"
        meta = {"_type": "gradio.FileData"}
        path = f"/{name}/x.m3u8"
        file = {"path": path, "orig_name": name, "is_stream": stream, "meta": meta}
        await event.completed([file])

    options = {**OPTIONS, "download_files": False}
    async with (
        everything_shown(memory_app, caplog) as texts,
        new_client(memory_app, **options) as client,
    ):
        handle = await client.predict("a", api_name="/make")
        texts.append(repr(handle))
        with collecting(texts):
            await handle.save(tmp_path)
        with collecting(texts):
            async with handle.open():
                pass
        with collecting(texts):
            async for _ in handle.segments():
                pass
    assert len(texts) > 4


async def test_what_an_app_says_shows_no_secret(memory_app, autojump_clock, caplog):
    prepare(memory_app)

    @memory_app.app.endpoint(inputs=["a"])
    async def tell(event: Event) -> None:
        words = f"{sent(memory_app.requests[-1], str)} {PASSWORD} {TOKEN}"
        await event.send({"msg": words})
        await event.log(words, title=words)
        await event.progress([{"index": 1, "length": 2, "unit": words, "desc": words}])
        raise GradioError(words, title=words)

    telemetry = InMemorySpanExporter()
    tracers = TracerProvider()
    tracers.add_span_processor(SimpleSpanProcessor(telemetry))
    tracing = OpenTelemetry(tracer_provider=tracers, log_text=True)
    async with (
        everything_shown(memory_app, caplog) as texts,
        new_client(memory_app, **OPTIONS) as client,
        JobGroup(instruments=[tracing]) as group,
    ):
        job = group.submit(client.endpoint("/tell"), "a")
        texts += [repr(update) async for update in job.updates()]
        error = job.exception()
        assert isinstance(error, AppError)
        assert MASK in str(error)
        texts += [shown(error), shown(translate(error)), repr([job, job.status()])]
    texts += [span.to_json() for span in telemetry.get_finished_spans()]
    assert len(telemetry.get_finished_spans()) == 1


async def test_names_and_descriptions_show_no_secret(memory_app, autojump_clock, caplog):
    """A server may know what a client sends before it is asked for its description."""
    prepare(memory_app)
    words = f"x_{TOKEN.replace('-', '_')}"
    token = words.removeprefix("x_")
    memory_app.app.add(words, inputs=[dropdown(words, [token, "b"])])
    memory_app.app.title = token
    options = {**OPTIONS, "headers": {"authorization": f"Bearer {token}"}}
    async with (
        everything_shown(memory_app, caplog) as texts,
        new_client(memory_app, **options) as client,
        JobGroup() as group,
    ):
        endpoint = client.endpoint(f"/{words}")
        job = group.submit(endpoint, "b")
        await job.wait()
        for arguments in ({}, {"a": 1, "b": 2}, {words: 3}):
            with collecting(texts):
                endpoint.bind((), arguments)
        with collecting(texts):
            client.endpoint("/nothing")
        texts += [repr([endpoint, client]), client.view_api(), job.name]
    assert not any(token in text for text in texts)


async def set_header(request: httpx.Request) -> None:
    request.headers["authorization"] = f"Bearer {TOKEN}"


@pytest.mark.parametrize(
    "options",
    [
        {"auth": ("ada", PASSWORD)},
        {"headers": {"x-own": TOKEN}},
        {"cookies": {"own": COOKIE}},
        {"params": {"key": KEY}},
        {"event_hooks": {"request": [set_header]}},
    ],
    ids=lambda options: next(iter(options)),
)
async def test_secrets_of_own_http_client_are_known(memory_app, caplog, options):
    add_functions(memory_app)
    answer_with_echo(memory_app, "POST", "/queue/join", text(500), str)
    own = httpx.AsyncClient(transport=memory_app.transport(), **options)
    async with everything_shown(memory_app, caplog) as texts, own:
        with collecting(texts):
            async with Client(memory_app.url, http_client=own) as client:
                await client.predict("a", api_name="/echo")
    assert any(MASK in each for each in texts)


async def test_control_characters_in_log_lines_are_visible(memory_app, autojump_clock, caplog):
    add_functions(memory_app)
    words = "a\nCRITICAL root: forged\r\t\x1b[2J\x7f\x9b2J\u202e\u2066\u2028b"
    memory_app.fault("POST", "/cancel", Answer(500, words))
    async with new_client(memory_app) as client:
        await cancel(client, memory_app)
    [line] = [
        record for record in caplog.records if "a cancel request failed" in record.getMessage()
    ]
    assert line.getMessage().isprintable()
    visible = r"a\nCRITICAL root: forged\x0d\t\x1b[2J\x7f\x9b2J\u202e\u2066\u2028b"
    assert visible in line.getMessage()


class Broken(Instrument):
    """Raises what a job has failed with, among others."""

    def job_ended(self, job: Job[Any]) -> None:
        error = self.failure_of(job)
        assert isinstance(error, AppError)
        raise ExceptionGroup("several", [ValueError("x\ny"), error])


async def test_traceback_in_log_has_no_forged_line(memory_app, autojump_clock, caplog):
    add_functions(memory_app)
    words = "a\nCRITICAL root: forged \x1b[2J"
    async with new_client(memory_app) as client, JobGroup(instruments=[Broken()]) as group:
        job = group.submit(client.endpoint("/fail"), words)
        await job.wait()
        error = job.exception()
    assert isinstance(error, AppError)
    assert error.message == words  # what is data stays as it came
    formatter = logging.Formatter("%(message)s")
    [text] = [formatter.format(record) for record in caplog.records if record.exc_info]
    assert r"AppError: a\nCRITICAL root: forged \x1b[2J" in text
    assert r"ValueError: x\ny" in text
    assert "Traceback" in text
