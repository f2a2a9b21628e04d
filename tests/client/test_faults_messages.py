"""Messages of one event that can't be: they end that event's job, and no other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests.servers.scripted import Event, ScriptedServer
from tests.support.faults import add_endpoints, assert_idle, clean_client, failures
from tests.support.sessions import hashes
from triojob import AppError, Job, JobCancelled, ProtocolError
from triojob.gradio.protocol.messages import MOST_DEPTH

LONG = "x" * 1000
COMPLETED = "process_completed"
GENERATING = "process_generating"

IMPOSSIBLE: dict[str, dict[str, Any]] = {
    "rank is text": {"msg": "estimation", "rank": "first"},
    "rank is true": {"msg": "estimation", "rank": True},
    "size is a list": {"msg": "estimation", "rank": 0, "queue_size": [LONG]},
    "eta of the queue is text": {"msg": "estimation", "rank": 0, "rank_eta": LONG},
    "eta is an object": {"msg": "process_starts", "eta": {"seconds": 1}},
    "no progress": {"msg": "progress"},
    "progress is null": {"msg": "progress", "progress_data": None},
    "progress is an object": {"msg": "progress", "progress_data": {"index": 0}},
    "a unit is a number": {"msg": "progress", "progress_data": [0.5]},
    "index is text": {"msg": "progress", "progress_data": [{"index": LONG}]},
    "length is a list": {"msg": "progress", "progress_data": [{"length": [3]}]},
    "share is text": {"msg": "progress", "progress_data": [{"progress": "half"}]},
    "a step without output": {"msg": GENERATING},
    "output of a step is null": {"msg": GENERATING, "output": None},
    "output of a step is a list": {"msg": GENERATING, "output": [LONG]},
    "data of a step is text": {"msg": GENERATING, "output": {"data": LONG}},
    "data of a step is an object": {"msg": GENERATING, "output": {"data": {}}},
    "data of a step is too short": {"msg": GENERATING, "output": {"data": []}},
    "data of a stream is a number": {"msg": "process_streaming", "output": {"data": 1}},
    "data of a stream is too short": {"msg": "process_streaming", "output": {"data": []}},
    "no output": {"msg": COMPLETED, "success": True},
    "output is null": {"msg": COMPLETED, "output": None, "success": True},
    "output is text": {"msg": COMPLETED, "output": LONG, "success": True},
    "no output of a failure": {"msg": COMPLETED, "success": False},
    "no data": {"msg": COMPLETED, "output": {"is_generating": False, "duration": 1}},
    "data is null": {"msg": COMPLETED, "output": {"data": None}, "success": True},
    "data is text": {"msg": COMPLETED, "output": {"data": LONG}, "success": True},
    "data is a number": {"msg": COMPLETED, "output": {"data": 0}, "success": True},
    "data is too short": {"msg": COMPLETED, "output": {"data": []}, "success": True},
}

# What is only for people, or only for newer clients, may be anything.
POSSIBLE: dict[str, dict[str, Any]] = {
    "nothing about the queue": {"msg": "estimation"},
    "all null": {"msg": "estimation", "rank": None, "queue_size": None, "rank_eta": None},
    "a fraction": {"msg": "estimation", "rank": 0.5, "queue_size": 1e300, "rank_eta": -1},
    "no eta": {"msg": "process_starts"},
    "no units": {"msg": "progress", "progress_data": []},
    "an empty unit": {"msg": "progress", "progress_data": [{}]},
    "unit and desc of no kind": {"msg": "progress", "progress_data": [{"unit": 1, "desc": []}]},
    "an empty log": {"msg": "log"},
    "a log of no kind": {"msg": "log", "log": 5, "level": [], "title": {}, "visible": "no"},
    "a duration of no kind": {"msg": "log", "log": "hello", "duration": LONG},
    "a step that failed": {"msg": GENERATING, "output": {"error": "x"}, "success": False},
    "unknown fields": {"msg": "process_starts", "eta": 1, "new": {"in": ["Gradio", 99]}},
    "an unknown kind": {"msg": "process_teleported", "output": 5},
    "a kind without a name": {"msg": ""},
    "a kind that has a long name": {"msg": LONG},
    "an unexpected error of the event": {"msg": "unexpected_error", "message": "of one event"},
}


def add_trap(server: ScriptedServer, message: dict[str, Any]) -> None:
    """Add what sends a message, and completes when it is told to."""
    add_endpoints(server)

    @server.app.endpoint()
    async def trap(event: Event) -> None:
        await event.send(message)
        await trio.sleep(100)
        await event.completed(["completed"])

    @server.app.endpoint()
    async def wait(event: Event) -> None:
        await trio.sleep(200)
        await event.completed(["waited"])


def parts_of(value: Any) -> Iterator[Any]:
    yield value
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for part in inner:
        yield from parts_of(part)


def assert_shows(error: BaseException, message: dict[str, Any]) -> None:
    """Show that an error shows what is wrong in a message, cut short."""
    assert type(error) is ProtocolError
    assert any(repr(part)[:20] in str(error) for part in parts_of(message))
    assert len(str(error)) < 400


@pytest.mark.parametrize("name", IMPOSSIBLE)
async def test_impossible_message_ends_its_job_immediately(memory_app, autojump_clock, name):
    message = IMPOSSIBLE[name]
    add_trap(memory_app, message)
    async with clean_client(memory_app) as client:
        now = trio.current_time()
        [error] = await failures([client.submit(api_name="/trap")])
        assert trio.current_time() == now
        assert_shows(error, message)
        assert len(memory_app.joins) == 1
        await assert_idle(client, memory_app)
        # The server is told that nobody waits any more, where it doesn't know that itself.
        [event] = memory_app.events.values()
        told = [] if message["msg"] == COMPLETED else [event.event_id]
        assert [cancel["event_id"] for cancel in memory_app.cancels] == told
        assert event.state == ("cancelled" if told else "finished")
        assert await client.predict("again", api_name="/echo") == "again"


@pytest.mark.parametrize("name", IMPOSSIBLE)
async def test_others_in_session_never_hear_of_it(memory_app, autojump_clock, name):
    message = IMPOSSIBLE[name]
    add_trap(memory_app, message)
    async with clean_client(memory_app) as client, client.session() as session:
        others = [session.submit(api_name="/wait") for _ in range(2)]
        await wait_all_tasks_blocked()
        errors = await failures([session.submit(api_name="/trap") for _ in range(2)])
        for error in errors:
            assert_shows(error, message)
        assert [await job.result() for job in others] == ["waited", "waited"]
        assert memory_app.streams.made == 1
        assert await session.predict("again", api_name="/echo") == "again"
        assert len(set(hashes(memory_app))) == 1
        await assert_idle(client, memory_app)


@pytest.mark.parametrize("name", POSSIBLE)
async def test_unusual_message_fails_nothing(memory_app, autojump_clock, name):
    add_trap(memory_app, POSSIBLE[name])
    async with clean_client(memory_app) as client:
        job: Job[Any] = client.submit(api_name="/trap")
        assert await job.result() == "completed"
        assert [update async for update in job.updates()][-1].success is True


@pytest.mark.parametrize(
    "output, message",
    [
        ({"error": {"code": 5}}, '{"code": 5}'),
        ({"error": ["a", 1]}, '["a", 1]'),
        ({"error": 0}, "0"),
        ({"error": "boom", "title": 5, "visible": "x"}, "boom"),
        ({"error": "boom", "duration": "long"}, "boom"),
        ({"error": LONG}, LONG),
    ],
)
async def test_failure_in_odd_words_is_still_apps(memory_app, autojump_clock, output, message):
    add_trap(memory_app, {"msg": COMPLETED, "output": output, "success": False})
    async with clean_client(memory_app) as client:
        [error] = await failures([client.submit(api_name="/trap")])
        assert isinstance(error, AppError)
        assert error.message == message


async def test_empty_output_answers_a_cancellation(memory_app, autojump_clock):
    add_trap(memory_app, {"msg": COMPLETED, "output": {}, "success": True})
    async with clean_client(memory_app) as client:
        job: Job[Any] = client.submit(api_name="/trap")
        with pytest.raises(JobCancelled, match="on the server"):
            await job.result()
        assert memory_app.cancels == []


@pytest.mark.parametrize("edits", [[], [5], ["x"], [[["nonsense", [], 1]]], [[["add", [9], 1]]]])
async def test_misfitting_edits_end_no_job(memory_app, autojump_clock, edits):
    # Gradio's own are wrong at times; the completion brings the value.
    @memory_app.app.endpoint(generator=True)
    async def trap(event: Event) -> None:
        await event.generating_raw(["first"])
        await event.generating_raw(edits)
        await event.generating_raw([[["append", [], "!"]]])
        await event.completed(["last"])

    async with clean_client(memory_app) as client:
        job: Job[Any] = client.submit(api_name="/trap")
        assert await job.result() == "last"
        assert job.outputs() == ["first", "last"]


def deepest() -> int:
    """Return how many lists in one another the JSON decoder takes from here."""
    fits, too_deep = 1, 10**6
    while fits + 1 < too_deep:
        depth = (fits + too_deep) // 2
        try:
            json.loads("[" * depth + "]" * depth)
        except RecursionError:
            too_deep = depth
        else:
            fits = depth
    return fits


@pytest.mark.parametrize(
    "text",
    [
        '{"msg":"process_completed","output":{"error":%s}}',
        '{"msg":"process_completed","output":{"data":{"x":%s}}}',
        '{"msg":"progress","progress_data":%s}',
    ],
)
async def test_deepest_nesting_harms_only_its_job(memory_app, autojump_clock, text):
    # So deep that it is refused, or that the decoder just takes it.
    add_endpoints(memory_app)
    depth = 0

    @memory_app.app.endpoint()
    async def trap(event: Event) -> None:
        nested = text % ("[" * depth + "]" * depth)
        message = f'data: {{"event_id":"{event.event_id}",{nested[1:]}\n\n'
        await event.raw(message.encode())
        await event.completed(["completed"])

    limit = deepest()
    async with clean_client(memory_app, bound=10**6) as client, client.session() as session:
        sibling = session.submit(api_name="/story")
        for depth in (*range(MOST_DEPTH - 4, MOST_DEPTH + 2), limit - 30):  # noqa: B007 - the app reads it
            [error] = await failures([session.submit(api_name="/trap")])
            assert isinstance(error, (AppError, ProtocolError))
        assert "more than 256 levels deep" in str(error)
        assert not sibling.done
        sibling.cancel()


async def test_impossible_message_names_the_endpoint(memory_app, autojump_clock):
    add_trap(memory_app, {"msg": "estimation", "rank": "first"})
    async with clean_client(memory_app) as client:
        [error] = await failures([client.submit(api_name="/trap")])
        assert "/trap" in str(error)
