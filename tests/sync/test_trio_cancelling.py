"""A cancelled scope frees the threads that wait in it; blocking Trio's thread is refused."""

from __future__ import annotations

import functools
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import trio.testing

from tests.servers.faults import Silence
from tests.servers.scripted import ScriptedServer
from tests.support.hanging import SECONDS
from tests.support.jobs import count, succeed
from tests.support.threads import (
    Watched,
    add_endpoints,
    wait_for,
    wait_until_blocked,
)
from triojob import JobGroup, Status
from triojob.sync import Client, Job, open_portal, start_portal, submit

in_thread = trio.to_thread.run_sync


@pytest.fixture
async def server(scripted: ScriptedServer) -> ScriptedServer:
    """Serve the endpoints in the test's own run."""
    add_endpoints(scripted)
    return scripted


@asynccontextmanager
async def opened(server: ScriptedServer) -> AsyncIterator[Client]:
    """Open a synchronous client over a portal into this run."""
    async with open_portal() as portal:
        client = await in_thread(functools.partial(Client, server.url, portal=portal))
        yield client
        await in_thread(client.close)


async def until(condition: Callable[[], Any]) -> None:
    """Poll for a state of the server, which has no way to tell."""
    with trio.fail_after(SECONDS):
        while not condition():  # noqa: ASYNC110
            await trio.sleep(0.01)


async def cancelled_while(fn: Callable[[], object], blocked: Callable[[], Any]) -> None:
    """Show that cancelling frees ``fn()`` in a thread, once ``blocked`` says that it waits."""
    freed: list[type[BaseException]] = []

    def work() -> None:
        try:
            fn()
        except BaseException as error:
            freed.append(type(error))
            raise

    with trio.fail_after(SECONDS):
        async with trio.open_nursery() as nursery:
            with trio.CancelScope() as scope:

                @nursery.start_soon
                async def cancel() -> None:
                    await blocked()
                    scope.cancel()

                await in_thread(work)
            assert scope.cancelled_caught
    assert freed == [trio.Cancelled]


@pytest.mark.parametrize(
    "wait",
    [Job.result, Job.exception, next, list, lambda job: job.result(1000)],
    ids=["result", "exception", "next", "list", "timeout"],
)
async def test_cancelling_frees_thread_and_leaves_job(wait: Any) -> None:
    go_on = trio.Event()

    async def work() -> str:
        await go_on.wait()
        return "value"

    async with JobGroup() as group:
        job = await in_thread(submit, group, work)
        await cancelled_while(lambda: wait(job), trio.testing.wait_all_tasks_blocked)
        assert not job.done()
        waiters = job._shared.waiters
        assert len(waiters.changed._waiters) == len(waiters.ended._waiters) == 0
        go_on.set()
        assert await in_thread(job.result) == "value"


async def test_cancelling_frees_predict_and_tells_server(server):
    async def running() -> None:
        await until(lambda: server.running)

    async with opened(server) as client:
        await cancelled_while(
            lambda: client.predict("x", api_name="/hang"),
            running,
        )
        await server.settled()
        assert [event.state for event in server.events.values()] == ["cancelled"]


async def test_cancelling_frees_the_opening_of_a_client(server: ScriptedServer) -> None:
    server.fault("GET", "/config", Silence())

    async def asked() -> None:
        await until(lambda: "GET /config" in server.paths())

    async with open_portal() as portal:
        await cancelled_while(lambda: Client(server.url, portal=portal), asked)
        await until(lambda: not server.open_connections)


async def test_cancelling_frees_opening_in_threads(own_server):
    await in_thread(own_server.call, own_server.server.fault, "GET", "/config", Silence())

    async def asked() -> None:
        await in_thread(own_server.until, lambda server: "GET /config" in server.paths())

    await cancelled_while(lambda: Client(own_server.url), asked)
    await in_thread(own_server.until, lambda server: not server.open_connections)


async def test_cancelling_with_block_cancels_jobs(server):
    jobs: list[Job] = []

    async def running() -> None:
        await until(lambda: server.running)

    async with open_portal() as portal:

        def work() -> None:
            with Client(server.url, portal=portal) as client:
                jobs.append(client.submit("x", api_name="/hang"))

        await cancelled_while(work, running)
        await server.settled()
    assert jobs[0].cancelled()
    assert [event.state for event in server.events.values()] == ["cancelled"]


async def test_abandoned_thread_waits_for_job() -> None:
    go_on = trio.Event()
    got: list[Any] = []
    over = threading.Event()
    working: list[threading.Thread] = []

    def work(job: Job) -> None:
        working.append(threading.current_thread())
        got.append(job.result())
        over.set()

    async def wait_and_answer() -> str:
        await go_on.wait()
        return "value"

    async with JobGroup() as group:
        job = await in_thread(submit, group, wait_and_answer)
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(functools.partial(in_thread, work, job, abandon_on_cancel=True))
                await in_thread(wait_for, lambda: bool(working))
                await in_thread(wait_until_blocked, working[0])
                scope.cancel()
        assert scope.cancelled_caught
        assert got == []
        go_on.set()
        assert await in_thread(over.wait, 60)
    assert got == ["value"]


def test_thread_abandoned_by_ended_run_is_freed(own_server):
    client = Client(own_server.url)
    job = client.submit("x", api_name="/hang")
    freed: list[type[BaseException]] = []
    over = threading.Event()

    def work() -> None:
        try:
            job.result()
        except BaseException as error:  # noqa: BLE001 - looked at below
            freed.append(type(error))
        over.set()

    async def main() -> None:
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(functools.partial(in_thread, work, abandon_on_cancel=True))
                await trio.testing.wait_all_tasks_blocked()
                scope.cancel()

    trio.run(main)
    assert over.wait(SECONDS)
    assert freed == [trio.Cancelled]
    assert not job.done()
    client.close()
    assert job.cancelled()


async def test_ended_jobs_work_in_cancelled_thread() -> None:
    async with JobGroup() as group:

        def work() -> None:
            job = submit(group, succeed)
            assert job.result() == "value"
            other = submit(group, trio.sleep_forever)
            with pytest.raises(trio.Cancelled):
                other.result()
            assert other.cancel()
            assert job.result() == "value"
            assert list(job) == ["value"]

        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(in_thread, work)
                await trio.testing.wait_all_tasks_blocked()
                scope.cancel()


async def test_blocking_trio_is_refused() -> None:
    async with JobGroup() as group, open_portal() as portal:
        job = await in_thread(submit, group, trio.sleep_forever)
        client = Client.__new__(Client)  # it is refused before anything else
        with pytest.raises(RuntimeError, match=r"use group\.submit"):
            submit(group, succeed)
        for refused in (
            job.result,
            job.exception,
            lambda: job.result(timeout=0),
            lambda: next(job),
            lambda: list(job),
            lambda: Client("http://127.0.0.1:1"),
            lambda: Client("http://127.0.0.1:1", portal=portal),
            lambda: Client.duplicate("ada/story"),
            client.close,
            lambda: client.__exit__(None, None, None),
            lambda: portal.call(succeed),
            lambda: start_portal().__enter__(),
        ):
            with pytest.raises(RuntimeError, match="would block the thread that Trio runs in"):
                refused()
        with pytest.raises(RuntimeError, match="for asyncio"):
            await job.__anext__()
        # What doesn't block is allowed.
        assert job.outputs() == []
        assert job.status().code in (Status.STARTING, Status.PROCESSING)
        assert not job.done()
        assert job.cancel()


async def test_present_values_work_in_trio() -> None:
    async with JobGroup() as group:
        job = await in_thread(submit, group, count, 2)
        await in_thread(job.result)
        assert job.result() == 1
        assert job.exception() is None
        assert list(job) == [0, 1]


async def test_predict_in_trio_is_refused(server):
    async with opened(server) as client:
        with pytest.raises(RuntimeError, match="would block the thread that Trio runs in"):
            client.predict("x", api_name="/hang")
        assert await in_thread(lambda: client.predict("x", api_name="/greet")) == "Hello x!"
        await server.settled()
        states = [event.state for event in server.events.values()]
        assert "running" not in states
        assert states[-1] == "finished"


async def test_end_of_group_frees_plain_threads() -> None:
    async with JobGroup() as group:
        job = await in_thread(submit, group, trio.sleep_forever)
        threads = [Watched(wait, job) for wait in (Job.result, list)]
        for thread in threads:
            await in_thread(wait_until_blocked, thread)
        group.cancel_scope.cancel()
    with pytest.raises(Exception, match="cancelled"):
        threads[0].get()
    assert threads[1].get() == []
