"""Every kind of message, on a scripted server: each moment is held still until it was looked at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import trio

import triojob.sync
from qa.differential.differences import shows
from qa.differential.support import (
    SECONDS,
    AnyClient,
    assert_same_failure,
    ended,
    failure_of,
    fields,
    status_when,
    their_client,
    updates_of,
)
from tests.servers.faults import Answer
from tests.servers.scripted import Event, GradioError, ScriptedServer
from triojob.testing._server.http import ServerRequest

Call = Callable[[AnyClient], Any]


async def both(server: ScriptedServer, call: Call, **options: Any) -> list[Any]:
    """Return what ``call(client)`` gives with each, in a thread."""
    options = {"verbose": False, "analytics_enabled": False, "download_files": False, **options}

    # Theirs takes the cookies out of the dictionary that it is given.
    own = {"httpx_kwargs": dict(options.get("httpx_kwargs", {}))}

    def run() -> list[Any]:
        with their_client(server.url, **{**options, **own}) as theirs:
            found = [call(theirs)]
        ours = triojob.sync.Client(server.url, **options)
        try:
            return [*found, call(ours)]
        finally:
            ours.close()

    with trio.fail_after(2 * SECONDS):
        return await trio.to_thread.run_sync(run)


async def same(server: ScriptedServer, call: Call, **options: Any) -> Any:
    theirs, ours = await both(server, call, **options)
    assert ours == theirs
    return ours


def all_updates(client: AnyClient) -> list[dict[str, Any]]:
    """Return the updates of a call of the one endpoint, as far as they are to be the same."""
    updates = [fields(update) for update in updates_of(client.submit(api_name="/talk"))]
    if updates and updates[-1].get("final") and updates[-1]["success"]:
        updates[-1]["outputs"] = updates[-1]["outputs"]["data"]
    return updates


async def test_progress_of_every_kind(scripted: ScriptedServer) -> None:
    @scripted.app.endpoint(inputs=[])
    async def talk(event: Event) -> None:
        await event.progress([0.5])
        await event.progress([(3, 10)])
        await event.progress([(4, None)])
        await event.progress([])
        unit = {"index": 1, "length": 2.5, "unit": "pages", "progress": 0.4, "desc": "reading"}
        await event.progress([unit, 0.25])
        await event.completed(["done"])

    found = await same(scripted, all_updates)
    progress = [update["progress_data"] for update in found if update.get("code") == "PROGRESS"]
    assert len(progress) == 5
    assert progress[3] == []
    assert progress[4][0]["desc"] == "reading"


async def test_logs_between_outputs(scripted: ScriptedServer) -> None:
    @scripted.app.endpoint(inputs=[])
    async def talk(event: Event) -> None:
        await event.log("one", level="info")
        await event.generating(["a"])
        await event.log("two", level="warning", title="Careful", duration=None, visible=False)
        await event.log("", level="error")
        await event.generating(["b"])
        await event.progress([0.9])
        await event.log("three", level="success")

    found = await same(scripted, all_updates)
    assert [update["log"] for update in found if update.get("code") == "LOG"] == [
        ("one", "info"),
        ("two", "warning"),
        None,
        ("three", "success"),
    ]


async def test_places_in_the_queue(scripted: ScriptedServer) -> None:
    @scripted.app.endpoint(inputs=[], manual=True)
    async def talk(event: Event) -> None:
        await event.estimation(2, 3, 12.5)
        await event.estimation(1, 2, 6)
        await event.estimation(None, 1)
        await event.starts(3.5)
        await event.completed(["done"])

    def call(client: AnyClient) -> list[Any]:
        job = ended(client.submit(api_name="/talk"))
        return [(u.code.name, u.rank, u.queue_size, u.eta) for u in updates_of(job)[:-1]]

    found = await same(scripted, call)
    queued = [entry for entry in found if entry[0] == "IN_QUEUE"]
    assert queued[-3:] == [
        ("IN_QUEUE", 2, 3, 12.5),
        ("IN_QUEUE", 1, 2, 6),
        ("IN_QUEUE", None, 1, None),
    ]
    # That of the run is no part of a status there.
    assert ("PROCESSING", None, None, None) in found


@pytest.mark.parametrize("moment", ["queue", "start", "progress", "log", "output", "log after"])
async def test_snapshots(scripted: ScriptedServer, moment: str) -> None:
    codes = {"queue": "IN_QUEUE", "start": "PROCESSING", "progress": "PROGRESS", "log": "LOG"}
    code = {**codes, "output": "ITERATING", "log after": "LOG"}[moment]

    @scripted.app.endpoint(inputs=[], manual=True)
    async def talk(event: Event) -> None:
        await event.estimation(4, 9, 2.5)
        if moment != "queue":
            await event.starts()
        if moment in ("progress", "log"):
            await event.progress([(1, 2)])
        if moment in ("output", "log after"):
            await event.generating(["a"])
        if moment in ("log", "log after"):
            await event.log("so far")
        await trio.sleep_forever()

    def call(client: AnyClient) -> Any:
        job = client.submit(api_name="/talk")
        status_when(job, code)
        status = job.status()
        while fields(status)["code"] != code:  # a step further than what was waited for
            status = job.status()
        if moment == "queue":
            # The server tells of the queue by itself first.
            while (status := job.status()).rank != 4:
                pass
        told = fields(status), status.eta, job.outputs(), job.done()
        job.cancel()
        return told

    status, eta, outputs, done = await same(scripted, call)
    assert (status["rank"], eta) == ((4, 2.5) if moment == "queue" else (None, None))
    assert outputs == (["a"] if moment in ("output", "log after") else [])
    assert not done


@pytest.mark.parametrize(
    "output",
    [
        {"error": "plain"},
        {"error": "with all", "title": "T", "duration": 2.5, "visible": False},
        {"error": "with nothing", "title": None, "duration": None, "visible": True},
        {"error": "", "visible": True},
        {"error": None},
    ],
)
async def test_errors_as_the_server_words_them(scripted, output):
    @scripted.app.endpoint(inputs=[])
    async def talk(event: Event) -> None:
        await event.fail(output)

    def call(client: AnyClient) -> Any:
        return failure_of(lambda c: c.predict(api_name="/talk"), client), all_updates(client)

    (theirs, their_updates), (ours, our_updates) = await both(scripted, call)
    assert_same_failure(ours, theirs)
    assert our_updates == their_updates
    assert our_updates[-1]["outputs"] == output


async def test_error_after_outputs(scripted: ScriptedServer) -> None:
    @scripted.app.endpoint(inputs=[])
    async def talk(event: Event) -> None:
        await event.generating(["a"])
        await event.generating(["ab"])
        raise GradioError("late", title="Too late", duration=None)

    def call(client: AnyClient) -> Any:
        job = client.submit(api_name="/talk")
        return list(job), str(ended(job).exception()), job.outputs(), fields(job.status())

    outputs, error, again, status = await same(scripted, call)
    assert outputs == again == ["a", "ab"]
    assert (error, status["success"]) == ("late", False)


@shows("new-messages")
async def test_message_of_an_unknown_kind(scripted: ScriptedServer) -> None:
    @scripted.app.endpoint(inputs=[])
    async def talk(event: Event) -> None:
        await event.send({"msg": "something_new", "more": 1})
        await event.completed(["done"])

    def call(client: AnyClient) -> Any:
        job = ended(client.submit(api_name="/talk"))
        return job.exception() or job.result()

    theirs, ours = await both(scripted, call)
    assert isinstance(theirs, KeyError)
    assert ours == "done"


async def test_where_headers_go(scripted: ScriptedServer) -> None:
    @scripted.app.endpoint(inputs=[])
    async def talk(event: Event) -> None:
        await event.completed(["done"])

    def call(client: AnyClient) -> dict[str, tuple[str | None, str | None]]:
        scripted.requests.clear()
        client.predict(api_name="/talk", headers={"x-call": "a", "x-both": "call"})
        return {request.path.rpartition("/")[2]: _custom(request) for request in scripted.requests}

    found = await same(scripted, call, headers={"x-client": "b", "x-both": "client"})
    assert found == {
        "join": ("a", "b", "client", "api"),
        "data": (None, "b", "client", None),
    }


def _custom(request: ServerRequest) -> tuple[str | None, ...]:
    names = ("x-call", "x-client", "x-both", "x-gradio-user")
    return tuple(request.headers.get(name) for name in names)


async def test_too_many_requests(scripted: ScriptedServer) -> None:
    scripted.fault("GET", "/config", Answer(429, {}))
    url = scripted.url

    def run() -> list[BaseException]:
        def theirs(_: Any) -> None:
            with their_client(url):
                pass

        return [
            failure_of(theirs, None),
            failure_of(lambda _: triojob.sync.Client(url), None),
        ]

    theirs, ours = await trio.to_thread.run_sync(run)
    assert_same_failure(ours, theirs)
    assert isinstance(ours, triojob.sync.TooManyRequestsError)
