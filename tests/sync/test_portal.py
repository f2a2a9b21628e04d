"""Portals: a Trio run in a thread, or a way into one, and what becomes of calls when it closes."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import trio
import trio.testing

from tests.support.hanging import SECONDS
from tests.support.jobs import BaseExceptionGroup, Boom, leaves, succeed
from tests.support.threads import (
    ServerThread,
    Watched,
    frequent_switches,
    threads,
    wait_until_blocked,
)
from triojob import ClientClosed, GroupClosed, JobGroup
from triojob.sync import Client, Portal, open_portal, start_portal, submit

in_thread = trio.to_thread.run_sync


@pytest.fixture(autouse=True)
def _no_thread_left(shared_server: ServerThread) -> Iterator[None]:
    before = threads()
    yield
    # Those that end meanwhile may be anybody's: of tests before these, too.
    assert threads() - before == set()


def test_portal_runs_in_its_own_thread() -> None:
    async def where() -> int:
        await trio.lowlevel.checkpoint()
        return threading.get_ident()

    with start_portal() as portal:
        assert not portal.closed
        assert repr(portal) == "<Portal: open>"
        places = {portal.call(where), Watched(portal.call, where).get()}
        assert len(places) == 1
        assert threading.get_ident() not in places
    assert portal.closed
    assert repr(portal) == "<Portal: closed>"


def test_clients_share_portal_and_end_before_it(shared_server: ServerThread) -> None:
    with start_portal() as portal:
        with Client(shared_server.url, portal=portal) as client:
            other = Client(shared_server.url, portal=portal)
            assert client.predict("ada", api_name="/greet") == "Hello ada!"
        assert other.predict("bob", api_name="/greet") == "Hello bob!"
    with pytest.raises(ClientClosed, match="has been closed"):
        other.submit("eve", api_name="/greet").result()
    other.close()  # there is nothing left to close


def test_portals_may_be_nested_and_are_apart() -> None:
    async def where() -> int:
        await trio.lowlevel.checkpoint()
        return threading.get_ident()

    with start_portal() as outer, start_portal() as inner:
        assert outer.call(where) != inner.call(where)
    assert outer.closed
    assert inner.closed


def test_thread_may_start_portal_inside_call() -> None:
    def nested() -> Any:
        with start_portal() as inner:
            return inner.call(succeed, 1)

    with start_portal() as outer:
        assert outer.call(in_thread, nested) == 1


def test_closing_cancels_jobs_and_tells_server(shared_server: ServerThread) -> None:
    with start_portal() as portal:
        client = Client(shared_server.url, portal=portal)
        job = client.submit("x", api_name="/hang")
        waiting = Watched(job.result)
        shared_server.until(lambda server: server.running)
        wait_until_blocked(waiting)
    assert job.cancelled()
    with pytest.raises(Exception, match="was cancelled"):
        waiting.get()
    shared_server.until(lambda server: not server.running)
    # Before the portal was gone, and not only as its connections broke.
    assert [*shared_server.server.events.values()][-1].state == "cancelled"


def test_closing_ends_the_calls_of_other_threads() -> None:
    stopped = threading.Event()

    async def work() -> None:
        try:
            await trio.sleep_forever()
        finally:
            stopped.set()

    with start_portal() as portal:
        caller = Watched(portal.call, work)
        wait_until_blocked(caller)
    assert stopped.is_set()
    with pytest.raises(GroupClosed, match="the portal has been closed"):
        caller.get()


def test_what_a_body_raises_comes_out_bare() -> None:
    with pytest.raises(Boom), start_portal() as portal:
        raise Boom
    assert portal.closed


@pytest.mark.parametrize("kind", [Boom, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_portal_raises_and_continues(kind):
    async def work() -> None:
        await trio.lowlevel.checkpoint()
        raise kind

    with start_portal() as portal:
        for _ in range(2):
            with pytest.raises(kind):
                portal.call(work)
        assert portal.call(succeed, 1) == 1


def test_failure_beside_cancellation_is_told_without_it() -> None:
    async def fail_when_cancelled() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            try:
                await trio.sleep_forever()
            finally:
                raise Boom

    with start_portal() as portal:
        caller = Watched(portal.call, fail_when_cancelled)
        wait_until_blocked(caller)
    with pytest.raises(BaseExceptionGroup) as caught:
        caller.get()
    assert [type(error) for error in leaves(caught.value)] == [Boom]


def test_a_closed_portal_takes_nothing(shared_server: ServerThread) -> None:
    with start_portal() as portal:
        pass
    with pytest.raises(GroupClosed, match="the portal has been closed"):
        portal.call(succeed)
    with pytest.raises(GroupClosed, match="the portal has been closed"):
        Client(shared_server.url, portal=portal)


def test_portal_starts_once_and_may_restart() -> None:
    manager = start_portal()
    with manager as portal:
        assert portal.call(succeed, 1) == 1
    manager.__exit__(None, None, None)
    assert portal.closed


def test_unopened_portal_takes_no_calls() -> None:
    with pytest.raises(GroupClosed):
        Portal().call(succeed)


def test_threads_close_a_client_once(shared_server: ServerThread) -> None:
    with start_portal() as portal:
        client = Client(shared_server.url, portal=portal)
        job = client.submit("x", api_name="/hang")
        for thread in [Watched(client.close) for _ in range(8)]:
            thread.get()
        client.close()
        assert job.cancelled()
        with pytest.raises(ClientClosed, match="has been closed"):
            client.submit("x", api_name="/greet")


async def test_portals_own_thread_is_refused() -> None:
    async with open_portal() as portal:
        with pytest.raises(RuntimeError, match="await the function"):
            portal.call(succeed)

    async def inside() -> str:
        try:
            other.call(succeed)
        except RuntimeError as error:
            return str(error)
        return ""

    def work() -> None:
        nonlocal other
        with start_portal() as other:
            assert "would block the thread that Trio runs in" in other.call(inside)

    other: Portal = portal
    await in_thread(work)


async def test_open_portal_is_way_into_this_run(shared_server: ServerThread) -> None:
    async with open_portal() as portal:

        async def where() -> int:
            await trio.lowlevel.checkpoint()
            return threading.get_ident()

        assert await in_thread(portal.call, where) == threading.get_ident()
        # A plain thread, which Trio knows nothing of.
        assert await in_thread(Watched(portal.call, where).get) == threading.get_ident()
        client = await in_thread(functools.partial(Client, shared_server.url, portal=portal))
        greet = functools.partial(client.predict, "ada", api_name="/greet")
        assert await in_thread(greet) == "Hello ada!"
        job = client.submit("x", api_name="/hang")
    assert job.cancelled()
    assert portal.closed
    with pytest.raises(GroupClosed):
        await in_thread(portal.call, where)


async def test_raising_body_ends_portals_calls() -> None:
    caller: Any = None
    with pytest.raises(Boom):
        async with open_portal() as portal:
            caller = Watched(portal.call, trio.sleep_forever)
            await in_thread(wait_until_blocked, caller)
            raise Boom("boom")
    with pytest.raises(GroupClosed):
        await in_thread(caller.get)


async def test_cancelled_scope_around_open_portal_ends_calls() -> None:
    with trio.CancelScope() as scope:
        async with open_portal() as portal:
            caller = Watched(portal.call, trio.sleep_forever)
            await in_thread(wait_until_blocked, caller)
            scope.cancel()
            await trio.sleep_forever()
    assert scope.cancelled_caught
    with pytest.raises(GroupClosed):
        await in_thread(caller.get)


async def test_cancelled_call_is_cancelled_on_other_side() -> None:
    stopped = trio.Event()

    async def work() -> None:
        try:
            await trio.sleep_forever()
        finally:
            stopped.set()

    async with open_portal() as portal:
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(in_thread, portal.call, work)
                await trio.testing.wait_all_tasks_blocked()
                scope.cancel()
        assert scope.cancelled_caught
        with trio.fail_after(SECONDS):
            await stopped.wait()


def test_portals_group_takes_jobs_of_threads() -> None:
    opened = threading.Event()
    groups: list[JobGroup] = []

    async def keep_open() -> None:
        async with JobGroup() as group:
            groups.append(group)
            opened.set()
            await trio.sleep_forever()

    with start_portal() as portal:
        keeper = Watched(portal.call, keep_open)
        assert opened.wait(SECONDS)
        callers = [Watched(lambda n: submit(groups[0], succeed, n).result(), n) for n in range(8)]
        assert [caller.get() for caller in callers] == list(range(8))
        late = submit(groups[0], trio.sleep_forever)
    with pytest.raises(GroupClosed):
        keeper.get()
    assert late.cancelled()
    with pytest.raises(GroupClosed):
        submit(groups[0], succeed)


def test_every_call_ends_however_it_meets_closing() -> None:
    """Threads call, submit and leave while the portal closes: who comes too late is told so."""

    def call(portal: Portal) -> int:
        done = 0
        while True:
            try:
                assert portal.call(succeed, 1) == 1
            except GroupClosed:
                return done
            done += 1

    with frequent_switches():
        for _ in range(20):
            with start_portal() as portal:
                callers = [Watched(call, portal) for _ in range(4)]
            for caller in callers:
                caller.get()
            assert not portal._entry.unfinished


def test_jobs_end_however_they_meet_the_closing(shared_server: ServerThread) -> None:
    def work(client: Client, jobs: list[Any]) -> None:
        for _ in range(20):
            try:
                job = client.submit("x", api_name="/hang")
            except (ClientClosed, GroupClosed):
                return
            jobs.append(job)
            if len(jobs) % 2:
                job.cancel()

    with frequent_switches():
        for _ in range(10):
            jobs: list[Any] = []
            with start_portal() as portal:
                client = Client(shared_server.url, portal=portal)
                workers = [Watched(work, client, jobs) for _ in range(4)]
            for worker in workers:
                worker.get()
            for job in jobs:
                assert job.done()
                assert job.cancelled() or isinstance(job.exception(), (ClientClosed, GroupClosed))
            assert not portal._entry.unfinished
