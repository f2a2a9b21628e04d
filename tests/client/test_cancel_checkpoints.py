"""Each `await` of a client is a checkpoint each time, whether it has to wait or not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeAlias

import pytest
import trio
import trio.testing
from trio.testing import assert_checkpoints

from tests.servers.scripted import Event, GradioError, ScriptedServer
from tests.support.cancelling import MINE, add_functions, new_client, nothing_left, opened, sent
from triojob import AppError, Client, ClientSession, Job, JobCancelled, JobTimeout

Surface: TypeAlias = Client | ClientSession
Call = Callable[[Surface, str, str], Awaitable[Any]]
Await = Callable[[Job[Any]], Awaitable[Any]]


@pytest.fixture
def app(memory_app: ScriptedServer) -> ScriptedServer:
    end = trio.Event()
    end.set()
    add_functions(memory_app, end)

    @memory_app.app.endpoint(inputs=["text"])
    async def fails(event: Event) -> None:
        raise GradioError("boom")

    return memory_app


@contextmanager
def assert_schedules() -> Iterator[None]:
    """Show that other tasks get their turn, as at the end of a nursery; a cancellation may wait."""
    task = trio.lowlevel.current_task()
    before = task._schedule_points
    yield
    assert task._schedule_points > before


# --- Clients and sessions ---


async def test_opening_and_closing_let_others_run(app, autojump_clock):
    client = new_client(app)
    async with nothing_left(app):
        with assert_checkpoints():
            await client.__aenter__()
        with assert_schedules():
            await client.__aexit__(None, None, None)


async def test_leaving_a_session_lets_others_run(app, autojump_clock):
    async with opened(app) as client:
        session = client.session()
        await session.__aenter__()
        with assert_schedules():
            await session.__aexit__(None, None, None)


@pytest.mark.parametrize("in_session", [False, True])
async def test_leaving_them_with_job_is_checkpoint(app, autojump_clock, in_session):
    async with nothing_left(app):
        client = await new_client(app).__aenter__()
        manager = client.session() if in_session else client
        surface = await manager.__aenter__() if in_session else client
        job = surface.submit("text", api_name="/held")
        with assert_checkpoints():
            await manager.__aexit__(None, None, None)
        assert await job.result() == "text"
        if in_session:
            await client.__aexit__(None, None, None)


# --- Calls ---


async def predict(surface: Surface, api_name: str, text: str) -> Any:
    return await surface.predict(text, api_name=api_name)


async def call(surface: Surface, api_name: str, text: str) -> Any:
    return await surface.endpoint(api_name)(text)


each_call = pytest.mark.parametrize("make", [predict, call])
each_surface = pytest.mark.parametrize("in_session", [False, True], ids=["client", "session"])


@each_call
@each_surface
@pytest.mark.parametrize("api_name", ["/echo", "/fails", "/kept", "/ticks", "/queued"])
async def test_a_call_is_a_checkpoint(app, autojump_clock, make, in_session, api_name):
    async with opened(app) as client, client.session() as session:
        surface = session if in_session else client
        for _ in range(3):
            with assert_checkpoints(), suppress(AppError):
                await make(surface, api_name, "text")


@each_call
@each_surface
async def test_call_in_cancelled_scope_is_not_made(app, autojump_clock, make, in_session):
    async with opened(app) as client, client.session() as session:
        surface = session if in_session else client
        for api_name in ("/echo", "/kept"):
            with trio.CancelScope() as scope:
                scope.cancel()
                await make(surface, api_name, MINE)
            assert scope.cancelled_caught
    assert sent(app) == []
    assert "POST /queue/join" not in app.paths()


# --- Jobs ---


async def await_result(job: Job[Any]) -> None:
    await job.result()


async def await_result_for_long(job: Job[Any]) -> None:
    await job.result(timeout=1000)


async def await_result_for_no_time(job: Job[Any]) -> None:
    await job.result(timeout=0)


async def await_end(job: Job[Any]) -> None:
    await job.wait()


async def await_outputs(job: Job[Any]) -> None:
    """Take each output, and the end: each step is a checkpoint."""
    iterator = job.__aiter__()
    while True:
        with assert_checkpoints():
            try:
                await iterator.__anext__()
            except StopAsyncIteration:
                return


async def await_updates(job: Job[Any]) -> None:
    iterator = job.updates()
    while True:
        with assert_checkpoints():
            try:
                await iterator.__anext__()
            except StopAsyncIteration:
                return


each_await = pytest.mark.parametrize(
    "wait",
    [
        await_result,
        await_result_for_long,
        await_result_for_no_time,
        await_end,
        await_outputs,
        await_updates,
    ],
)
each_function = pytest.mark.parametrize("api_name", ["/echo", "/fails", "/kept", "/ticks"])


@each_await
@each_surface
@each_function
async def test_waiting_for_running_job_is_a_checkpoint(
    app, autojump_clock, wait, in_session, api_name
):
    async with opened(app) as client, client.session() as session:
        job = (session if in_session else client).submit("text", api_name=api_name)
        with assert_checkpoints(), suppress(AppError, JobTimeout):
            await wait(job)
        await job.wait()
        job.exception()


@each_await
@each_function
async def test_waiting_for_ended_job_is_a_checkpoint(app, autojump_clock, wait, api_name):
    async with opened(app) as client:
        job = client.submit("text", api_name=api_name)
        await job.wait()
        job.exception()
        for _ in range(3):
            with assert_checkpoints(), suppress(AppError):
                await wait(job)


@each_await
async def test_waiting_for_cancelled_job_is_a_checkpoint(app, autojump_clock, wait):
    async with opened(app) as client:
        job = client.submit(MINE, api_name="/ticks")
        await trio.sleep(2.5)
        job.cancel()
        for _ in range(3):
            with assert_checkpoints(), suppress(JobCancelled, JobTimeout):
                await wait(job)


@each_await
async def test_wait_that_is_cancelled_leaves_job_alone(app, autojump_clock, wait):
    async with opened(app) as client:
        job = client.submit(MINE, api_name="/held")
        await trio.sleep(1)
        with trio.move_on_after(1):
            with suppress(JobTimeout):
                await wait(job)
        assert not job.done
        assert app.cancels == []
        job.cancel()
