"""Requests that the server refuses, and connections that break: what both raise for each."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
from gradio_client.utils import QueueError

import triojob
import triojob.sync
from qa.differential.differences import shows
from qa.differential.support import (
    COUNTERPARTS,
    SECONDS,
    AnyClient,
    ended,
    failure_of,
    sides,
    their_client,
)
from qa.differential.test_messages import both
from tests.servers.faults import Answer, Cut, Fault, Lose, Silence
from tests.servers.scripted import Event, ScriptedServer
from tests.support.files import file_data, say_ok, serve_files
from triojob.gradio.files import download as downloads
from triojob.gradio.http.errors import MappedErrors
from triojob.gradio.http.sockets import TimedOut
from triojob.testing.components import file

STORED = "/srv/tmp/abc/data.bin"


def upload(client: AnyClient) -> Any:
    return client.predict(sides(client).handle_file(__file__), api_name="/take")


def download(client: AnyClient) -> Any:
    return client.predict(api_name="/give")


WAYS: dict[str, tuple[str, str, Callable[[AnyClient], Any]]] = {
    "join": ("POST", "/queue/join", download),
    "upload": ("POST", "/upload", upload),
    "download": ("GET", f"/file={STORED}", download),
}
STATUSES = (302, 400, 401, 403, 404, 413, 422, 429, 500, 502, 503)
VALIDATION = [{"__type__": "validate", "is_valid": False, "message": "m", "parameter_name": "p"}]


async def refused(
    server: ScriptedServer, way: str, answer: Fault, folder: Path, **options: Any
) -> list[BaseException]:
    """Return what a call raises when that happens to a request of it: theirs, and ours."""
    method, path, call = WAYS[way]
    server.files[STORED] = b"content"
    serve_files(server, file_data(STORED))
    server.app.add("take", say_ok, inputs=[file("file")])

    def run() -> list[BaseException]:
        options.update(download_files=folder, verbose=False)
        with their_client(server.url, **options) as theirs:
            at_once = triojob.sync.Limits(refused_for=0)
            ours = triojob.sync.Client(server.url, limits=at_once, **options)
            try:
                server.fault(method, path, answer)
                return [failure_of(call, theirs), failure_of(call, ours)]
            finally:
                ours.close()

    with trio.fail_after(2 * SECONDS):
        return await trio.to_thread.run_sync(run)


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("way", WAYS)
async def test_refused_requests(scripted, tmp_path, way, status):
    detail: Any = VALIDATION if status == 422 else "the server's words"
    answer = Answer(status, {"detail": detail}, {"location": "/nowhere"} if status == 302 else {})
    theirs, ours = await refused(scripted, way, answer, tmp_path)
    if (way, status) == ("download", 302):
        # Theirs follows it, to a page that is not there either.
        assert isinstance(ours, httpx.HTTPStatusError)
        return
    for base in type(theirs).__mro__:
        assert isinstance(ours, COUNTERPARTS.get(base, base)), base
    assert isinstance(ours, httpx.HTTPError) is isinstance(theirs, httpx.HTTPError)
    assert isinstance(ours, triojob.sync.QueueError) is (type(theirs) is QueueError)
    if isinstance(theirs, httpx.HTTPStatusError):
        assert isinstance(ours, httpx.HTTPStatusError)
        assert ours.response.status_code == theirs.response.status_code == status
        # That of theirs is unread after a download.
        assert ours.response.json() == {"detail": detail}
        assert f"{status} {HTTPStatus(status).phrase}" in str(ours)
    elif status == 422:
        assert str(ours) == str(theirs) == "1 parameter(s) failed validation:\n- p: m"
    assert isinstance(ours, triojob.TriojobError)


@shows("refused-for-now")
@pytest.mark.parametrize("status", [429, 503])
async def test_refusal_that_passes(scripted: ScriptedServer, tmp_path: Path, status: int) -> None:
    serve_files(scripted, "given")

    def call(client: AnyClient) -> Any:
        scripted.fault("POST", "/queue/join", Answer(status, {"detail": "busy"}), times=1)
        return ended(client.submit(api_name="/give")).exception()

    theirs, ours = await both(scripted, call)
    assert isinstance(theirs, (httpx.HTTPStatusError, QueueError))
    assert ours is None


@pytest.mark.parametrize("status", [400, 401, 413, 503])
@pytest.mark.parametrize("way", WAYS)
async def test_copies_of_refusals(scripted, tmp_path, way, status):
    _, error = await refused(scripted, way, Answer(status, {"detail": "words"}), tmp_path)
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
    if isinstance(error, httpx.HTTPStatusError):
        assert again.response.json() == {"detail": "words"}
    assert vars(again).keys() == vars(error).keys()


NETWORK = (
    httpx.ReadError,
    httpx.WriteError,
    httpx.RemoteProtocolError,
    httpx.ReadTimeout,
    httpx.WriteTimeout,
    httpx.ConnectTimeout,
    httpx.ConnectError,
    httpx.NetworkError,
    httpx.TimeoutException,
)


def assert_same_of_network(ours: BaseException, theirs: BaseException) -> None:
    """Show that programs which catch exceptions of httpx can't tell the two from each other."""
    kinds = [[kind for kind in NETWORK if isinstance(error, kind)] for error in (ours, theirs)]
    assert kinds[0] == kinds[1]
    assert kinds[0]
    assert type(pickle.loads(pickle.dumps(ours))) is type(ours)


@pytest.mark.parametrize(
    "way, fault",
    [
        (way, fault)
        for way in WAYS
        for fault in (Lose(), Lose(reset=True), Silence(), Cut(3), Cut(3, reset=True))
        # Ours resumes what was cut.
        if not (way == "download" and isinstance(fault, Cut))
    ],
)
async def test_connections_that_break(scripted, tmp_path, monkeypatch, way, fault):
    monkeypatch.setattr(downloads, "PAUSE", 0)
    # No answer within half a second is one that never comes.
    theirs, ours = await refused(
        scripted, way, fault, tmp_path, httpx_kwargs={"timeout": httpx.Timeout(60, read=0.5)}
    )
    assert_same_of_network(ours, theirs)
    assert isinstance(ours, (triojob.sync.ConnectionLost, triojob.sync.ConnectionTimeout))


@shows("resumed")
async def test_download_that_breaks_once(scripted: ScriptedServer, tmp_path: Path) -> None:
    method, path, call = WAYS["download"]
    scripted.files[STORED] = b"content"
    serve_files(scripted, file_data(STORED))

    def run() -> None:
        options = {"download_files": tmp_path}
        with their_client(scripted.url, **options) as theirs:
            scripted.fault(method, path, Cut(3), times=1)
            assert isinstance(failure_of(call, theirs), httpx.RemoteProtocolError)
        with triojob.sync.Client(scripted.url, **options) as ours:
            scripted.fault(method, path, Cut(3), times=1)
            assert Path(call(ours)).read_bytes() == b"content"

    await trio.to_thread.run_sync(run)


@pytest.mark.parametrize("through_httpx", [False, True])
@pytest.mark.parametrize("fault", [Lose(), Lose(reset=True), Silence()])
async def test_connections_that_break_while_a_client_opens(scripted, fault, through_httpx):
    scripted.fault("GET", "/config", fault)
    options: dict[str, Any] = {"timeout": httpx.Timeout(60, read=0.5)}
    if through_httpx:
        options["trust_env"] = False

    def opening(make: Callable[..., Any]) -> BaseException:
        return failure_of(
            lambda _: make(scripted.url, httpx_kwargs=dict(options)).__enter__(), None
        )

    theirs = await trio.to_thread.run_sync(opening, their_client)
    ours = await trio.to_thread.run_sync(opening, triojob.sync.Client)
    assert_same_of_network(ours, theirs)


@pytest.mark.parametrize(
    "cause, kind",
    [
        (httpx.ConnectTimeout(""), httpx.ConnectTimeout),
        (httpx.ProxyError(""), httpx.ProxyError),
        (TimedOut("connect"), httpx.ConnectTimeout),
        (TimedOut("write"), httpx.WriteTimeout),
    ],
)
def test_causes_that_are_hard_to_make(cause: Exception, kind: type[Exception]) -> None:
    ours = triojob.sync.exceptions.translate(failure_of(lambda _: raise_as_ours(cause), None))
    assert isinstance(ours, kind)
    assert isinstance(ours, triojob.NetworkError)


def raise_as_ours(cause: Exception) -> None:
    with MappedErrors("http://a/", triojob.Timeouts(), "GET x", "no answer"):
        raise cause


async def test_validator_that_raises(scripted: ScriptedServer, tmp_path: Path) -> None:
    words = "the validator's words " * 20
    theirs, ours = await refused(scripted, "join", Answer(400, {"detail": words}), tmp_path)
    assert isinstance(theirs, httpx.HTTPStatusError)
    assert isinstance(ours, httpx.HTTPStatusError)
    assert theirs.response.json()["detail"] == ours.response.json()["detail"] == words
    assert isinstance(ours, triojob.sync.ValidationError)
    assert isinstance(ours, ValueError)
    assert words in str(ours)


@pytest.mark.parametrize(
    "detail",
    [
        "no list",
        [{"type": "missing", "loc": ["body", "data"], "msg": "Field required"}],
        [{"__type__": "validate", "is_valid": True, "message": "fine", "parameter_name": "p"}],
        [{"__type__": "validate", "is_valid": False, "message": ""}],
        ["odd"],
        [],
    ],
)
async def test_words_of_other_refusals_of_input(scripted, tmp_path, detail):
    theirs, ours = await refused(scripted, "join", Answer(422, {"detail": detail}), tmp_path)
    if str(theirs).startswith("1 parameter"):
        assert str(ours) == str(theirs)
    else:
        # Theirs counts none, or stumbles over it.
        assert isinstance(ours, ValueError)
        assert "0 parameter" not in str(ours)


@shows("failed-downloads")
async def test_output_whose_file_is_refused(scripted: ScriptedServer, tmp_path: Path) -> None:
    scripted.files[STORED] = b"content"

    @scripted.app.endpoint(inputs=[], generator=True)
    async def give(event: Event) -> None:
        await event.generating([file_data("/srv/none.bin")])
        await event.generating([file_data(STORED)])

    def call(client: AnyClient) -> list[Any]:
        job = ended(client.submit(api_name="/give"))
        return [*job.outputs(), job.exception()]

    theirs, ours = await both(scripted, call, download_files=tmp_path)
    assert isinstance(theirs[0][0], httpx.HTTPStatusError)
    assert Path(theirs[1]).read_bytes() == b"content"
    assert theirs[-1] is None
    assert len(ours) == 1
    assert isinstance(ours[-1], httpx.HTTPStatusError)


@shows("protocol-error")
@pytest.mark.parametrize("path, answer", [("/info", {}), ("/queue/join", {}), ("/queue/join", [])])
async def test_answers_that_make_no_sense(scripted, path, answer):
    scripted.fault("POST" if path == "/queue/join" else "GET", path, Answer(200, answer))

    def call(make: Callable[..., Any]) -> Any:
        with make(scripted.url) as client:
            return client.predict(api_name="/give")

    serve_files(scripted, "text")
    theirs = await trio.to_thread.run_sync(failure_of, call, their_client)
    ours = await trio.to_thread.run_sync(failure_of, call, triojob.sync.Client)
    assert isinstance(theirs, (KeyError, TypeError))
    assert isinstance(ours, triojob.ProtocolError)
    assert isinstance(ours, ValueError)
