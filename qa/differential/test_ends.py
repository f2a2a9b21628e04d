"""The differences in how jobs and clients end, both sides of each; see differences.py."""

from __future__ import annotations

import concurrent.futures
import gc
import logging
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

import triojob
import triojob.sync
from qa.differential.differences import shows
from qa.differential.support import (
    SECONDS,
    AnyClient,
    Pair,
    ended,
    fields,
    new_key,
    opened,
    status_when,
    their_client,
    until,
    updates_of,
)
from tests.servers.faults import Answer
from tests.servers.scripted import Event, ScriptedServer
from tests.support.sessions import add_counter, heartbeats
from triojob.testing.components import json_value


def record_of(client: AnyClient, key: str, **expected: int) -> dict[str, Any]:
    """Return the server's record of a key once it has what is expected."""

    def look() -> dict[str, Any] | None:
        record: dict[str, Any] = client.predict(key, api_name="/probe")
        return record if expected.items() <= record.items() else None

    found: dict[str, Any] = until(look)
    return found


def running_job(client: AnyClient, key: str, count: int = 200, delay: float = 0.05) -> Any:
    job = client.submit(count, delay, key, api_name="/ticker_async")
    status_when(job, "ITERATING")
    return job


@shows("cancelled")
def test_cancelled_job(pair: Pair) -> None:
    theirs = running_job(pair.theirs, new_key("cancelled"))
    assert theirs.cancel()
    assert not theirs.cancelled()
    error = theirs.exception(SECONDS)
    # The last when both that and the end of the stream are found at once.
    assert isinstance(error, (KeyError, concurrent.futures.CancelledError, ValueError))
    assert theirs.status().code.name == "CANCELLED"

    ours = running_job(pair.ours, new_key("cancelled"))
    assert ours.cancel()
    assert ours.cancelled()
    assert ours.done()
    assert ours.status().code.name == "CANCELLED"
    with pytest.raises(concurrent.futures.CancelledError):
        ours.exception(0)
    with pytest.raises(concurrent.futures.CancelledError):
        ours.result(0)


@shows("cancel-too-late")
def test_cancel_after_the_end(pair: Pair) -> None:
    theirs, ours = (ended(client.submit("x", api_name="/greet")) for client in pair)
    assert theirs.cancel() is True
    assert theirs.status().code.name == "CANCELLED"
    assert ours.cancel() is False
    assert ours.status().code.name == "FINISHED"
    assert theirs.result() == ours.result() == "Hello x!"


@shows("cancel-exact")
def test_cancel_beside_another_call_of_the_function(gradio_url: str, tmp_path: Path) -> None:
    with opened(gradio_url, tmp_path) as pair:
        keys = [new_key("sibling") for _ in range(2)]
        for client, key in zip(pair, keys, strict=True):
            sibling = running_job(client, key, count=12)
            running_job(client, new_key("other")).cancel()
            if client is pair.theirs:
                # It was killed unfinished, and its job would wait for ever.
                assert "finished" not in record_of(client, key, closed=1)
                assert not sibling.done()
                sibling.cancel()
            else:
                assert sibling.result(SECONDS) == "11"
                assert record_of(client, key, closed=1)["finished"] == 1


@shows("cancel-warnings")
async def test_cancelling_in_an_old_app(scripted: ScriptedServer) -> None:
    scripted.app.version = "4.28.0"

    @scripted.app.endpoint(inputs=[])
    async def go_on(event: Event) -> None:
        await trio.sleep_forever()

    def call(client: AnyClient) -> list[str]:
        job = client.submit(api_name="/go_on")
        status_when(job, "PROCESSING")
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            job.cancel()
        return [str(item.message) for item in warned]

    theirs, ours = await trio.to_thread.run_sync(both_on, scripted.url, call)
    assert len(theirs) == 1
    assert theirs[0].startswith("Cancelling this job will not stop the server")
    assert ours == []


@shows("failures-logged")
def test_failure_that_nobody_asks_for(pair: Pair, caplog: pytest.LogCaptureFixture) -> None:
    for client in pair:
        job = client.submit(api_name="/fail")
        until(job.done)
        del job
        gc.collect()
        messages = [record.getMessage() for record in caplog.records if record.name == "triojob"]
        if client is pair.theirs:
            assert messages == []
        else:
            (message,) = messages
            assert message.endswith(" /fail: it failed, and its failure was never retrieved")
    assert caplog.records[-1].levelno == logging.ERROR


@shows("outputs-copy")
def test_list_of_outputs(pair: Pair) -> None:
    theirs, ours = (ended(client.submit(3, 0, api_name="/count")) for client in pair)
    assert theirs.outputs() is theirs.outputs()
    ours.outputs().clear()
    assert ours.outputs() == theirs.outputs() == ["0", "1", "2"]


@shows("outputs-single")
def test_iteration_over_a_single_output(pair: Pair) -> None:
    for _ in range(3):
        # Theirs gives one or none.
        assert list(pair.theirs.submit("x", api_name="/greet")) in ([], ["Hello x!"])
        assert list(pair.ours.submit("x", api_name="/greet")) == ["Hello x!"]


@shows("close")
def test_closed_client(gradio_url: str, tmp_path: Path) -> None:
    with opened(gradio_url, tmp_path) as pair:
        jobs = [running_job(client, new_key("closed"), count=40) for client in pair]
        pair.ours.close()
        pair.ours.close()
        pair.theirs.close()
        assert pair.theirs.predict("x", api_name="/greet") == "Hello x!"
        assert jobs[0].result(SECONDS) == "39"
        assert jobs[1].cancelled()
        with pytest.raises(triojob.ClientClosed):
            pair.ours.submit("x", api_name="/greet")


SCRIPT = """
import sys, time
from {module} import Client
client = Client({url!r}, verbose=False, analytics_enabled=False)
job = client.submit(12, 0.05, {key!r}, api_name="/ticker_async")
while not job.outputs():
    time.sleep(0.01)
"""


@shows("exit")
def test_end_of_the_interpreter(pair: Pair, gradio_url: str) -> None:
    for module, finished in (("gradio_client", True), ("triojob.sync", False)):
        key = new_key("exit")
        script = SCRIPT.format(module=module, url=gradio_url, key=key)
        done = subprocess.run(
            [sys.executable, "-c", script],
            timeout=SECONDS,
            check=True,
            capture_output=True,
            text=True,
        )
        assert (done.stdout, done.stderr) == ("", "")
        assert ("finished" in record_of(pair.ours, key, closed=1)) is finished


@shows("final-update")
def test_last_update(pair: Pair) -> None:
    theirs, ours = (updates_of(client.submit(api_name="/bump"))[-1] for client in pair)
    assert theirs.outputs["data"][0] is None  # the State
    assert {"duration", "average_duration", "is_generating"} <= theirs.outputs.keys()
    assert list(ours.outputs) == ["data"]
    assert ours.outputs["data"] == [int(ours.outputs["data"][0])]
    assert fields(ours) | {"outputs": 0} == fields(theirs) | {"outputs": 0}


@shows("damaged-edits")
def test_edits_that_are_wrong(pair: Pair) -> None:
    jobs = [ended(client.submit(api_name="/corrupting_lists")) for client in pair]
    theirs, ours = ([output["data"] for output in job.outputs()] for job in jobs)
    assert theirs[-1] == [["c"], ["g", "h", "i"]]
    assert ours[-1] == [["a"], ["d"]]
    assert jobs[0].result()["data"] == jobs[1].result()["data"] == [["a"], ["d"]]


@shows("reset-session")
def test_reset_session_during_a_call(gradio_url: str, tmp_path: Path) -> None:
    with opened(gradio_url, tmp_path) as pair:
        for client in pair:
            job = running_job(client, new_key("reset"), count=12)
            client.reset_session()
            other = client.submit("x", api_name="/greet")
            if client is pair.theirs:
                assert isinstance(other.exception(SECONDS), concurrent.futures.CancelledError)
            else:
                assert other.result(SECONDS) == "Hello x!"
                assert job.result(SECONDS) == "11"


@shows("futures")
def test_what_wait_returns(pair: Pair) -> None:
    for client in pair:
        jobs = {client.submit(6, 0.05, api_name="/count") for _ in range(2)}
        done, not_done = concurrent.futures.wait(jobs, timeout=SECONDS)
        if client is pair.theirs:
            assert done.isdisjoint(jobs)
            assert not_done == jobs
        else:
            assert (done, not_done) == (jobs, set())


@shows("more-words")
def test_timeout_of_a_result(pair: Pair) -> None:
    for client in pair:
        job = running_job(client, new_key("words"))
        with pytest.raises(concurrent.futures.TimeoutError) as caught:
            job.result(0.01)
        job.cancel()
        words = "" if client is pair.theirs else "/ticker_async has not ended within 0.01 s"
        assert str(caught.value).startswith(words)
        assert bool(str(caught.value)) is bool(words)


# --- On a server of our own, which can break ---


def both_on(url: str, call: Any) -> list[Any]:
    """Return ``call(client)`` of both clients, in a thread."""
    options = {"verbose": False, "analytics_enabled": False, "download_files": False}
    with their_client(url, **options) as theirs:
        found = [call(theirs)]
    ours = triojob.sync.Client(url, **options)
    try:
        return [*found, call(ours)]
    finally:
        ours.close()


@shows("connection-lost")
async def test_connection_that_is_lost(scripted: ScriptedServer) -> None:
    @scripted.app.endpoint(inputs=[])
    async def go_on(event: Event) -> None:
        await event.generating(["some"])
        await trio.sleep_forever()

    def call(client: AnyClient) -> BaseException | None:
        job = client.submit(api_name="/go_on")
        status_when(job, "ITERATING")
        trio.from_thread.run_sync(scripted.kill_connections)
        error: BaseException | None = job.exception(SECONDS)
        return error

    theirs, ours = await trio.to_thread.run_sync(both_on, scripted.url, call)
    assert isinstance(theirs, concurrent.futures.CancelledError)
    assert isinstance(ours, triojob.sync.ConnectionLost)
    assert isinstance(ours, (ConnectionError, httpx.TransportError))
    assert not isinstance(ours, concurrent.futures.CancelledError)


@shows("connection-lost")
async def test_event_stream_that_is_refused(scripted: ScriptedServer) -> None:
    add_counter(scripted)
    scripted.fault("GET", "/queue/data", Answer(403))

    def call(client: AnyClient) -> BaseException | None:
        error: BaseException | None = client.submit(api_name="/bump").exception(SECONDS)
        return error

    theirs, ours = await trio.to_thread.run_sync(both_on, scripted.url, call)
    assert isinstance(theirs, concurrent.futures.CancelledError)
    assert isinstance(ours, triojob.UnexpectedResponse)
    assert isinstance(ours, httpx.HTTPStatusError)


@shows("server-stopped")
async def test_server_that_stops(scripted: ScriptedServer) -> None:
    @scripted.app.endpoint(inputs=[])
    async def stop(event: Event) -> None:
        event.never_complete()
        message = b'{"msg":"unexpected_error","event_id":null,"success":false,'
        message += b'"message":"Server stopped unexpectedly."}'
        await event.raw(b"data: " + message + b"\n\n")

    def call(client: AnyClient) -> BaseException | None:
        error: BaseException | None = client.submit(api_name="/stop").exception(SECONDS)
        return error

    theirs, ours = await trio.to_thread.run_sync(both_on, scripted.url, call)
    assert isinstance(theirs, KeyError)
    assert isinstance(ours, triojob.sync.ServerStopped)
    assert isinstance(ours, ValueError)
    assert str(ours) == "Server stopped."


def add_restarting(server: ScriptedServer) -> None:
    """Add a function with State, so that clients notice a restart, and others without it."""
    add_counter(server)

    @server.app.endpoint(inputs=["name"])
    async def greet(event: Event) -> None:
        await event.completed([f"Hello {event.data[0]}!"])

    @server.app.endpoint(inputs=[], outputs=[json_value("result")])
    async def change(event: Event) -> None:
        await event.completed([{"__type__": "update", "label": "changed"}])


def restart(server: ScriptedServer, client: AnyClient) -> None:
    """Start the app anew, and wait until the client has noticed, if it does."""
    before = heartbeats(server)
    trio.from_thread.run_sync(server.restart)
    if isinstance(client, triojob.sync.Client):
        until(lambda: len(heartbeats(server)) > len(before))


def called(client: AnyClient, *args: Any, **options: Any) -> Any:
    """Return what a call gives or raises, once its event stream has been closed."""
    job = ended(client.submit(*args, **options))
    if not isinstance(client, triojob.sync.Client):
        until(lambda: client.streaming_future is None)  # or the next call might listen to it
    return job.exception() or job.result()


async def test_calls_go_on_after_a_restart(scripted: ScriptedServer) -> None:
    add_restarting(scripted)

    def call(client: AnyClient) -> list[Any]:
        found = [called(client, api_name="/bump")]
        for _ in range(2):
            found += [called(client, "Ada", api_name="/greet"), called(client, api_name="/change")]
            restart(scripted, client)
        return found

    theirs, ours = await trio.to_thread.run_sync(both_on, scripted.url, call)
    assert ours == theirs
    assert ours == [1, *["Hello Ada!", {"__type__": "update", "label": "changed"}] * 2]
    assert "GET /app_id" in scripted.paths()


@shows("restarted")
async def test_state_that_is_lost_in_a_restart(scripted: ScriptedServer) -> None:
    add_restarting(scripted)

    def call(client: AnyClient) -> list[Any]:
        counts = [called(client, api_name="/bump") for _ in range(2)]
        restart(scripted, client)
        return [*counts, *(called(client, api_name="/bump") for _ in range(2))]

    theirs, ours = await trio.to_thread.run_sync(both_on, scripted.url, call)
    assert theirs == [1, 2, 1, 2]
    assert ours[:2] == [1, 2]
    assert isinstance(ours[2], triojob.ServerRestarted)
    assert ours[3] == 1
