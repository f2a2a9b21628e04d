"""The options that are numbers: what they bound, and what is refused at once."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing

from tests.servers.faults import Hold
from tests.servers.scripted import Event, ScriptedServer
from tests.support.hanging import SECONDS
from tests.support.opening import add_functions, new_client
from tests.support.sessions import add_sleeper
from triojob import Client, JobGroup, Limits, ProtocolError

URL = "http://app.test"


@pytest.mark.parametrize(
    "options, words",
    [
        ({"limit": 0}, "limit must be a positive integer"),
        ({"limit": 1.5}, "limit must be a positive integer"),
        ({"limit": float("nan")}, "limit must be a positive integer"),
        ({"history": -1}, "history must be at least 0"),
    ],
)
def test_senseless_numbers_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        Client(URL, **options)


@pytest.mark.parametrize(
    "name", ["streams", "requests", "transfers", "message_size", "download_size"]
)
@pytest.mark.parametrize("number", [0, -5, 1.5, True, "9", float("inf")])
def test_limits_are_whole_numbers_from_one_up(name: str, number: Any) -> None:
    with pytest.raises(ValueError, match=rf"Limits\.{name} must be a positive integer"):
        Limits(**{name: number})


async def test_a_session_refuses_them_too(memory_app: ScriptedServer) -> None:
    async with new_client(memory_app) as client:
        for options in ({"limit": 0}, {"history": -1}):
            with pytest.raises(ValueError, match="must be"):
                async with client.session(**options):
                    raise AssertionError("it was opened")


def test_options_go_by_name_only() -> None:
    with pytest.raises(TypeError):
        Client(URL, ("ada", "secret"))  # type: ignore[misc]
    with pytest.raises(TypeError, match="proxies"):
        Client(URL, proxies={})  # type: ignore[call-arg]


# --- Limits.streams ---


@pytest.mark.parametrize("most", [1, 2, 7])
async def test_no_more_streams_open_than_allowed(memory_app, autojump_clock, most):
    add_sleeper(memory_app)
    async with new_client(memory_app, limits=Limits(streams=most)) as client:
        assert client.limits.streams == most
        async with JobGroup() as group:
            sleep = client.endpoint("/sleep")
            jobs = [group.submit(sleep, 10) for _ in range(20)]
        assert [await job.result() for job in jobs] == [10] * 20
    assert memory_app.streams.max_open == most


@pytest.mark.parametrize("most", [1, 5, 48, 60])
async def test_no_more_calls_are_sent_than_allowed(memory_app, autojump_clock, most):
    answer = trio.Event()
    add_functions(memory_app)
    memory_app.fault("POST", "/queue/join", Hold(answer, handled=False), times=100)
    async with (
        new_client(memory_app, limits=Limits(requests=most, in_flight=100)) as client,
        client.session() as session,
        JobGroup() as group,
    ):
        jobs = [group.submit(session.endpoint("/echo"), number) for number in range(100)]
        await trio.testing.wait_all_tasks_blocked()
        assert client.statistics().joining == most
        assert client.limits.requests == most
        answer.set()
    assert [await job.result() for job in jobs] == [*range(100)]


async def test_pool_has_room_for_each_of_them(scripted: ScriptedServer) -> None:
    """On a real socket, by the pool that the client makes: all run at once, or none would end."""
    all_run = trio.Event()

    @scripted.app.endpoint()
    async def meet(event: Event) -> None:
        await all_run.wait()
        await event.completed(["met"])

    with trio.fail_after(SECONDS):
        async with Client(scripted.url, limits=Limits(streams=30)) as client, JobGroup() as group:
            jobs = [group.submit(client.endpoint("/meet")) for _ in range(30)]
            while scripted.streams.open < 30:  # noqa: ASYNC110 - the server has no way to tell
                await trio.sleep(0.01)
            all_run.set()
            assert [await job.result() for job in jobs] == ["met"] * 30


@pytest.mark.parametrize(
    "files, streams", [(10_000, 256), (640, 256), (400, 136), (130, 1), (64, 1)]
)
def test_few_descriptors_allow_fewer_streams(files: int, streams: int) -> None:
    """A stream is a socket, and the program has other uses for files."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < files:
        pytest.skip("this process may not open as many files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
    try:
        client, told = Client(URL), Client(URL, limits=Limits(streams=500))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert client.limits.streams == streams
    # Who says a number knows what the process may do.
    assert told.limits.streams == 500


# --- Limits.message_size ---


async def test_answer_may_be_as_large_as_allowed(memory_app):
    add_functions(memory_app)
    async with new_client(memory_app, limits=Limits(message_size=10_000)) as client:
        assert await client.predict("x" * 9000, api_name="/echo") == "x" * 9000
        with pytest.raises(ProtocolError, match=r"more than 10000 bytes .Limits.message_size"):
            await client.predict("x" * 10_000, api_name="/echo")
        # Only that call is lost.
        assert await client.predict("y", api_name="/echo") == "y"
