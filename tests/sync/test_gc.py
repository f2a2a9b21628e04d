"""Dropped clients close themselves, dropped jobs log what nobody saw, and no cycles stay."""

from __future__ import annotations

import contextlib
import gc
import logging
import queue
import sys
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
import trio

from tests.servers.scripted import ScriptedServer
from tests.support.jobs import Boom, Thing
from tests.support.threads import SECONDS, ServerThread, wait_for
from triojob import JobCancelled, JobTimeout
from triojob.sync import AppError, Client, Job, Portal, start_portal

pytestmark = pytest.mark.skipif(
    sys.implementation.name != "cpython", reason="needs reference counting"
)


@pytest.fixture
def portal() -> Iterator[Portal]:
    with start_portal() as portal:
        yield portal


@pytest.mark.usefixtures("no_collector")
def test_client_that_is_dropped_closes_its_connections(own_server, portal):
    client = Client(own_server.url, portal=portal)
    assert client.predict("ada", api_name="/greet") == "Hello ada!"
    reference = weakref.ref(client)
    del client
    assert reference() is None
    own_server.until(lambda server: not server.open_connections)


def test_jobs_of_dropped_client_end(own_server, portal):
    jobs = [
        Client(own_server.url, portal=portal).submit(0.1, str(n), api_name="/pause")
        for n in range(3)
    ]
    assert [job.result() for job in jobs] == ["0", "1", "2"]
    own_server.until(lambda server: not server.open_connections)
    own_server.until_states("finished", "finished", "finished")


def test_dropped_client_of_closed_portal_is_fine(own_server: ServerThread) -> None:
    with start_portal() as portal:
        client = Client(own_server.url, portal=portal)
    reference = weakref.ref(client)
    del client
    gc.collect()
    assert reference() is None


def test_dropped_jobs_failure_is_logged_once(own_server, portal, caplog):
    client = Client(own_server.url, portal=portal)
    job = client.submit("kaput", api_name="/fail")
    assert list(job) == []
    assert job.outputs() == []
    assert job.status().success is False
    assert caplog.records == []
    del job
    wait_for(lambda: caplog.records)
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("triojob", logging.ERROR)
    assert record.endpoint == "/fail"
    text = f"#{record.job} /fail: it failed, and its failure was never retrieved"
    assert record.getMessage() == text
    assert isinstance(record.exc_info[1], AppError)


def test_failure_of_job_dropped_before_is_logged(own_server, portal, caplog):
    client = Client(own_server.url, portal=portal)
    client.submit("kaput", api_name="/fail")
    gc.collect()
    wait_for(lambda: caplog.records)
    assert "it failed, and its failure was never retrieved" in caplog.text


def test_callbacks_of_job_dropped_before_are_called(own_server, portal):
    client = Client(own_server.url, portal=portal)
    called: queue.SimpleQueue[str] = queue.SimpleQueue()
    client.submit(0.1, "x", api_name="/pause", result_callbacks=called.put)
    gc.collect()
    assert called.get(timeout=SECONDS) == "x"


@pytest.mark.parametrize("ask", [Job.result, Job.exception])
def test_failure_that_was_seen_is_not_logged(own_server, portal, caplog, ask):
    client = Client(own_server.url, portal=portal)
    job = client.submit("kaput", api_name="/fail")
    with contextlib.suppress(AppError):
        assert isinstance(ask(job), AppError)
    reference = weakref.ref(job)
    del job
    gc.collect()
    wait_for(lambda: reference() is None)
    assert caplog.records == []


@pytest.mark.parametrize("how", ["cancel", "close", "finish"])
def test_no_other_end_is_logged(own_server, portal, caplog, how):
    client = Client(own_server.url, portal=portal)
    job = client.submit("x", api_name="/greet" if how == "finish" else "/hang")
    if how == "cancel":
        job.cancel()
    elif how == "close":
        client.close()
    else:
        assert job.result() == "Hello x!"
    reference = weakref.ref(job)
    del job
    client.close()
    gc.collect()
    wait_for(lambda: reference() is None)
    assert caplog.records == []


class Watched:
    """Weak references to what has to die without the collector."""

    def __init__(self) -> None:
        self._references: list[tuple[str, weakref.ref[Any]]] = []

    def watch(self, thing: Any, name: str = "") -> Any:
        self._references.append((name or type(thing).__name__, weakref.ref(thing)))
        return thing

    def all_dead(self) -> None:
        def alive() -> list[str]:
            return [name for name, reference in self._references if reference() is not None]

        wait_for(lambda: not alive(), alive)


def native_of(job: Job) -> Any:
    native = job._shared.native
    assert native is not None
    return native._job


def finish(client: Client, watched: Watched) -> None:
    job = watched.watch(client.submit("ada", api_name="/greet"))
    assert job.result() == "Hello ada!"


def stream(client: Client, watched: Watched) -> None:
    job = watched.watch(client.submit(3, api_name="/count"))
    assert list(job) == ["0", "1", "2"]
    watched.watch(native_of(job), "native job")


def fail(client: Client, watched: Watched) -> None:
    job = watched.watch(client.submit("kaput", api_name="/fail"))
    for _ in range(3):
        with contextlib.suppress(AppError):
            job.result()
    watched.watch(native_of(job), "native job")
    # The traceback of what was raised holds this frame.
    del job


def cancel(client: Client, watched: Watched) -> None:
    job = watched.watch(client.submit("x", api_name="/hang"))
    job.cancel()
    with contextlib.suppress(JobCancelled):
        job.result()


def wait_too_short(client: Client, watched: Watched) -> None:
    job = watched.watch(client.submit(0.05, "x", api_name="/pause"))
    with contextlib.suppress(JobTimeout):
        job.result(0)
    assert job.result() == "x"


def call_back(client: Client, watched: Watched) -> None:
    job = client.submit("ada", api_name="/greet", result_callbacks=[repr, str])
    watched.watch(job).add_done_callback(lambda job: job.result())
    job.result()


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("use", [finish, stream, fail, cancel, wait_too_short, call_back])
def test_a_job_dies_with_its_last_name(own_server: ServerThread, portal: Portal, use: Any) -> None:
    client = Client(own_server.url, portal=portal)
    watched = Watched()
    use(client, watched)
    watched.all_dead()


@pytest.mark.usefixtures("no_collector")
def test_what_call_by_portal_raises_dies(portal: Portal) -> None:
    watched = Watched()

    async def work(thing: Thing) -> None:
        await trio.lowlevel.checkpoint()
        raise watched.watch(Boom())

    def call() -> None:
        with contextlib.suppress(Boom):
            portal.call(work, watched.watch(Thing()))

    call()
    watched.all_dead()


def test_raising_again_does_not_lengthen_traceback(own_server, portal):
    client = Client(own_server.url, portal=portal)
    job = client.submit("kaput", api_name="/fail")
    lengths = set()
    for _ in range(5):
        with pytest.raises(AppError) as caught:
            job.result()
        lengths.add(len(caught.traceback))
    assert len(lengths) == 1


@pytest.mark.usefixtures("no_collector")
def test_client_that_could_not_be_opened_dies(scripted_url: str, portal: Portal) -> None:
    watched = Watched()

    def open_it() -> None:
        try:
            Client(scripted_url, portal=portal)
        except Exception as error:  # noqa: BLE001 - any will do
            watched.watch(error)

    open_it()
    watched.all_dead()


@pytest.fixture
def scripted_url(own_server: ServerThread) -> str:
    """Give the address of a server that is gone."""
    own_server.call(ScriptedServer.die, own_server.server)
    return own_server.url
