"""What the body of a client raises comes out bare; what jobs failed with comes out beside it."""

from __future__ import annotations

import gc
import signal
import sys
import traceback
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing

from tests.servers.faults import Silence
from tests.servers.scripted import ScriptedServer, open_server
from tests.support.jobs import BaseExceptionGroup, Boom, Quit, Thing, leaves
from tests.support.opening import add_functions, new_client, nothing_left_over, wait_until_running
from triojob import AppError, Client, ClientSession, JobGroup


def group_of(*errors: BaseException) -> BaseExceptionGroup[BaseException]:
    return BaseExceptionGroup("of the body", errors)


RAISED = [
    Boom("body"),
    KeyboardInterrupt(),
    SystemExit(3),
    Quit(),
    StopAsyncIteration("body"),
    trio.TooSlowError(),
    group_of(Boom("one")),
    group_of(Boom("one"), Boom("two")),
    group_of(group_of(Boom("deep"))),
    group_of(Boom("one"), KeyboardInterrupt()),
]

Surface = Client | ClientSession


@asynccontextmanager
async def in_session(server: ScriptedServer) -> AsyncIterator[ClientSession]:
    async with new_client(server) as client, client.session() as session:
        yield session


SURFACES = pytest.mark.parametrize("open_surface", [new_client, in_session])


@SURFACES
@pytest.mark.parametrize("error", RAISED, ids=repr)
async def test_bodys_exception_stays_the_same_object(memory_app, open_surface, error):
    async with nothing_left_over(memory_app):
        with pytest.raises(type(error)) as caught:
            async with open_surface(memory_app):
                raise error
    assert caught.value is error
    assert error.__context__ is None
    assert error.__cause__ is None


@SURFACES
async def test_what_the_body_raises_cancels_the_jobs(memory_app, autojump_clock, open_surface):
    add_functions(memory_app)
    async with nothing_left_over(memory_app):
        with pytest.raises(Boom):
            async with open_surface(memory_app) as surface:
                job = surface.submit("a", api_name="/hang")
                await wait_until_running(memory_app, 1)
                raise Boom
        assert job.cancelled
        assert len(memory_app.cancels) == 1


@SURFACES
async def test_bodys_own_group_comes_out_unchanged(memory_app, open_surface):
    """Of a nursery or a job group in the body, where most programs have one."""
    add_functions(memory_app)
    with pytest.RaisesGroup(AppError, match="unhandled errors in a JobGroup"):
        async with open_surface(memory_app) as surface, JobGroup() as group:
            group.submit(surface.endpoint("/fail"), "job")
    with pytest.RaisesGroup(Boom, Boom):
        async with open_surface(memory_app), trio.open_nursery() as nursery:
            for _ in range(2):
                nursery.start_soon(raise_boom)


async def raise_boom() -> None:
    raise Boom


@SURFACES
async def test_retrieved_failure_comes_out_bare(memory_app, open_surface):
    add_functions(memory_app)
    with pytest.raises(AppError, match="job"):
        async with open_surface(memory_app) as surface:
            await surface.submit("job", api_name="/fail").result()


@SURFACES
async def test_failure_of_plain_call_comes_out_bare(memory_app, open_surface):
    add_functions(memory_app)
    with pytest.raises(AppError, match="call"):
        async with open_surface(memory_app) as surface:
            await surface.predict("call", api_name="/fail")


@SURFACES
async def test_unretrieved_failures_come_in_one_group(memory_app, open_surface):
    add_functions(memory_app)
    with pytest.RaisesGroup(
        pytest.RaisesExc(AppError, match="one"), pytest.RaisesExc(AppError, match="two")
    ) as caught:
        async with open_surface(memory_app) as surface:
            surface.submit("one", api_name="/fail")
            surface.submit("two", api_name="/fail")
            seen = surface.submit("seen", api_name="/fail")
            await seen.wait()
            assert isinstance(seen.exception(), AppError)
    assert str(caught.value).startswith("unhandled errors in a JobGroup")


@SURFACES
@pytest.mark.parametrize(
    "error", [Boom("body"), KeyboardInterrupt(), StopAsyncIteration()], ids=repr
)
async def test_bodys_exception_comes_first(memory_app, open_surface, error):
    add_functions(memory_app)
    with pytest.raises(BaseExceptionGroup) as caught:
        async with open_surface(memory_app) as surface:
            await surface.submit("job", api_name="/fail").wait()
            raise error
    first, second = caught.value.exceptions
    assert first is error
    assert isinstance(second, AppError)


@SURFACES
async def test_bodys_group_beside_failures_keeps_its_shape(memory_app, open_surface):
    add_functions(memory_app)
    with pytest.RaisesGroup(pytest.RaisesGroup(Boom, match="of the body"), AppError):
        async with open_surface(memory_app) as surface:
            await surface.submit("job", api_name="/fail").wait()
            raise group_of(Boom("one"))


async def test_exception_through_two_clients_is_bare(memory_app: ScriptedServer) -> None:
    async with nothing_left_over(memory_app):
        with pytest.raises(Boom):
            async with (
                new_client(memory_app),
                new_client(memory_app) as inner,
                inner.session(),
                inner.session(),
            ):
                raise Boom


async def test_outer_client_raises_its_jobs_failure(memory_app):
    add_functions(memory_app)
    with pytest.RaisesGroup(AppError):
        async with new_client(memory_app) as outer:
            async with new_client(memory_app):
                await outer.submit("job", api_name="/fail").wait()
            reached = True
    assert reached


async def test_cancelled_beside_failure_belongs_to_its_scope(memory_app):
    add_functions(memory_app)
    with pytest.RaisesGroup(AppError), trio.CancelScope() as scope:
        async with new_client(memory_app) as client:
            await client.submit("job", api_name="/fail").wait()
            scope.cancel()
            await trio.sleep_forever()
    assert scope.cancelled_caught


async def test_group_comes_out_without_its_cancelled(memory_app):
    """A nursery in the body mixes both; the scope takes its part, and the rest comes out bare."""

    async def clean_up() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise Boom("in the clean-up")

    with pytest.RaisesGroup(Boom), trio.CancelScope() as scope:
        async with new_client(memory_app), trio.open_nursery() as nursery:
            nursery.start_soon(clean_up)
            nursery.start_soon(trio.sleep_forever)
            await trio.testing.wait_all_tasks_blocked()
            scope.cancel()
    assert scope.cancelled_caught


async def test_group_with_own_scope_comes_out_bare(memory_app):
    async def clean_up() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise Boom("in the clean-up")

    with pytest.RaisesGroup(Boom):
        async with new_client(memory_app) as client, trio.open_nursery() as nursery:
            nursery.start_soon(clean_up)
            nursery.start_soon(trio.sleep_forever)
            await trio.testing.wait_all_tasks_blocked()
            client.cancel_scope.cancel()
    assert client.cancel_scope.cancelled_caught


async def test_what_cancelled_body_raises_comes_out_bare(memory_app: ScriptedServer) -> None:
    """As of any clean-up that fails: it takes the place of the cancellation."""
    with pytest.raises(Boom), trio.CancelScope() as scope:
        async with new_client(memory_app):
            scope.cancel()
            try:
                await trio.sleep_forever()
            finally:
                raise Boom


async def test_the_traceback_leads_to_the_body(memory_app: ScriptedServer) -> None:
    def raise_here() -> None:
        raise Boom

    with pytest.raises(Boom) as caught:
        async with new_client(memory_app):
            raise_here()
    names = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert names[0].startswith("test_the_traceback")
    assert names[-1] == "raise_here"


@pytest.mark.skipif(
    sys.version_info >= (3, 12),
    reason="there an asynccontextmanager with any nursery in it keeps what passes through it",
)
async def test_what_was_raised_is_not_kept(memory_app: ScriptedServer) -> None:
    """No reference cycle keeps what the body held until the garbage collector comes by."""
    gc.collect()
    gc.disable()
    try:
        thing = Thing()
        watched = weakref.ref(thing)

        async def body(held: Thing) -> None:
            async with new_client(memory_app):
                raise Boom

        with pytest.raises(Boom):
            await body(thing)
        del thing
        await trio.testing.wait_all_tasks_blocked()
        assert watched() is None
    finally:
        gc.enable()


# --- Ctrl-C ---


async def test_ctrl_c_in_body_comes_out_bare(memory_app, autojump_clock):
    add_functions(memory_app)
    async with nothing_left_over(memory_app):
        with pytest.raises(KeyboardInterrupt):
            async with new_client(memory_app) as client:
                job = client.submit("a", api_name="/hang")
                await wait_until_running(memory_app, 1)
                signal.raise_signal(signal.SIGINT)
        assert job.cancelled


@pytest.mark.parametrize("when", ["opening", "working", "leaving"])
def test_ctrl_c_while_program_waits_ends_client(when: str) -> None:
    """Trio raises it in the main task, wherever that waits."""
    ended = False

    async def interrupt() -> None:
        await trio.sleep(5)
        signal.raise_signal(signal.SIGINT)

    async def main() -> None:
        nonlocal ended
        async with open_server(memory=True) as server:
            add_functions(server)
            if when == "opening":
                server.fault("GET", "/config", Silence())
            # A task of the system's own, as those of the program get it themselves.
            trio.lowlevel.spawn_system_task(interrupt)
            try:
                async with new_client(server) as client:
                    client.submit("a", api_name="/hang")
                    if when == "working":
                        await client.predict("a", api_name="/hang")
            finally:
                await trio.testing.wait_all_tasks_blocked()
                ended = (server.open_connections, server.running) == (0, [])

    with pytest.raises(BaseException) as caught:  # noqa: PT011 - a group, or bare
        trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    assert [type(leaf) for leaf in leaves(caught.value)] == [KeyboardInterrupt]
    assert ended
