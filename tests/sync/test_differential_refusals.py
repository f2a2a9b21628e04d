"""Requests of a call that the server refuses: what both raise for each status."""

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
from tests.files.support import file_data, say_ok, serve_files
from tests.servers.faults import Answer
from tests.servers.scripted import ScriptedServer
from tests.sync.support import (
    COUNTERPARTS,
    SECONDS,
    AnyClient,
    failure_of,
    sides,
    their_client,
)
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
    server: ScriptedServer, way: str, answer: Answer, folder: Path
) -> list[BaseException]:
    """Return what a call raises when a request of it is answered so: theirs, and ours."""
    method, path, call = WAYS[way]
    server.files[STORED] = b"content"
    serve_files(server, file_data(STORED))
    server.app.add("take", say_ok, inputs=[file("file")])

    def run() -> list[BaseException]:
        options = {"download_files": folder, "verbose": False}
        with their_client(server.url, **options) as theirs:
            ours = triojob.sync.Client(server.url, **options)
            try:
                server.fault(method, path, answer)
                return [failure_of(call, theirs), failure_of(call, ours)]
            finally:
                ours.close()

    with trio.fail_after(2 * SECONDS):
        return await trio.to_thread.run_sync(run)


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("way", WAYS)
async def test_refused_requests(
    scripted: ScriptedServer, tmp_path: Path, way: str, status: int
) -> None:
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


@pytest.mark.parametrize("status", [400, 401, 413, 503])
@pytest.mark.parametrize("way", WAYS)
async def test_copies_of_refusals(
    scripted: ScriptedServer, tmp_path: Path, way: str, status: int
) -> None:
    _, error = await refused(scripted, way, Answer(status, {"detail": "words"}), tmp_path)
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
    if isinstance(error, httpx.HTTPStatusError):
        assert again.response.json() == {"detail": "words"}
    assert vars(again).keys() == vars(error).keys()


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
async def test_words_of_other_refusals_of_input(
    scripted: ScriptedServer, tmp_path: Path, detail: Any
) -> None:
    theirs, ours = await refused(scripted, "join", Answer(422, {"detail": detail}), tmp_path)
    if str(theirs).startswith("1 parameter"):
        assert str(ours) == str(theirs)
    else:
        # Theirs counts none, or stumbles over it.
        assert isinstance(ours, ValueError)
        assert "0 parameter" not in str(ours)
