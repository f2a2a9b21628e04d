"""Isolated sessions: which hash a call without State gets, and what becomes of it."""

from __future__ import annotations

import gc
import sys
from collections import Counter

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests.servers.faults import Answer, Cut, HoldFrame, Lose, Silence
from tests.servers.scripted import Event, GradioError, ScriptedServer
from tests.support.sessions import (
    Streams,
    add_sleeper,
    all_tasks,
    hashes,
    opened,
    quiet,
)
from triojob import (
    AppError,
    Client,
    ConnectionLost,
    JobGroup,
    Limits,
    ProtocolError,
    QueueFull,
    Status,
    UnexpectedResponse,
)
from triojob.gradio.session.pending_call import PendingCall

pytestmark = pytest.mark.usefixtures("either_way")


async def test_calls_at_once_have_a_session_each(autojump_clock, memory_app):
    add_sleeper(memory_app, "sleep")
    add_sleeper(memory_app, "doze")
    async with opened(memory_app) as client:
        jobs = [client.submit(1, api_name=name) for name in ("/sleep", "/doze") * 10]
        assert [await job.result() for job in jobs] == [1] * 20
    assert len(set(hashes(memory_app))) == 20


async def test_plain_calls_at_once_have_session_each(autojump_clock, memory_app):
    add_sleeper(memory_app)
    async with opened(memory_app) as client, trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(client.endpoint("/sleep"), 1)
    assert len(set(hashes(memory_app))) == 5


class _Spawned(trio.abc.Instrument):
    def __init__(self) -> None:
        self.names: list[str] = []

    def task_spawned(self, task: trio.lowlevel.Task) -> None:
        self.names.append(task.name)


async def test_one_task_joins_and_reads_the_stream(autojump_clock, memory_app):
    add_sleeper(memory_app)
    async with opened(memory_app) as client:
        spawned = _Spawned()
        trio.lowlevel.add_instrument(spawned)
        jobs = [client.submit(1, api_name="/sleep") for _ in range(2)]
        await wait_all_tasks_blocked()
        trio.lowlevel.remove_instrument(spawned)
        ours = Counter(name for name in spawned.names if name.startswith("<"))
        kinds = ("job", "join")
        assert ours == Counter(f"<{kind} #{job.id} /sleep>" for kind in kinds for job in jobs)
        names = [task.name for task in all_tasks()]
        assert names.count("<event stream>") == 2


def pending_calls() -> set[int]:
    """Return the identities of all calls that are alive in this process."""
    return {id(each) for each in gc.get_objects() if isinstance(each, PendingCall)}


@pytest.mark.skipif(sys.implementation.name != "cpython", reason="needs reference counting")
async def test_a_call_leaves_nothing_for_the_collector(autojump_clock, memory_app):
    add_sleeper(memory_app)
    async with opened(memory_app) as client:
        gc.collect()
        # Another test may have left a call that hangs in a thread of the bridge.
        before = pending_calls()
        gc.disable()
        try:
            assert await client.endpoint("/sleep")(1) == 1
            await wait_all_tasks_blocked()
            assert pending_calls() <= before
        finally:
            gc.enable()


async def test_each_session_has_one_stream_per_call(autojump_clock, memory_app):
    add_sleeper(memory_app)
    streams = Streams(memory_app)
    async with opened(memory_app) as client:
        for _ in range(5):
            client.submit(1, api_name="/sleep")
        await wait_all_tasks_blocked()
        assert memory_app.streams.open == 5
        assert sorted(streams.made) == sorted(hashes(memory_app))
        assert set(streams.made.values()) == {1}


async def test_call_that_ended_leaves_no_stream_open(autojump_clock, memory_app):
    add_sleeper(memory_app)
    async with opened(memory_app) as client:
        for _ in range(5):
            client.submit(1, api_name="/sleep")
        await client.predict(2, api_name="/sleep")
        await quiet(memory_app)
        assert memory_app.streams.open == 0
        assert "0/256 streams" in repr(client)


async def test_calls_under_way_never_exceed_streams(memory_app):
    memory_app.app.add("echo", inputs=["a"])
    async with opened(memory_app, limits=Limits(streams=2)) as client:
        jobs = [client.submit("a", api_name="/echo") for _ in range(100)]
        while not all(job.done for job in jobs):
            codes = [job.status().code for job in jobs if not job.done]
            assert sum(code > Status.STARTING for code in codes) <= 2
            await trio.lowlevel.checkpoint()


async def test_calls_in_row_use_one_session_again(autojump_clock, memory_app):
    add_sleeper(memory_app, "sleep")
    add_sleeper(memory_app, "doze")
    streams = Streams(memory_app)
    async with opened(memory_app) as client:
        for _ in range(20):
            for name in ("/sleep", "/doze"):
                await client.predict(0, api_name=name)
                await quiet(memory_app)
    assert len(hashes(memory_app)) == 40
    assert len(set(hashes(memory_app))) == 1
    assert memory_app.streams.made == 40
    assert streams.most_at_once == 1


async def test_many_calls_need_few_sessions(autojump_clock, memory_app):
    add_sleeper(memory_app)
    streams = Streams(memory_app)
    async with opened(memory_app) as client:
        sleep = client.endpoint("/sleep")
        for number in range(100):
            assert await sleep(number / 100) == number / 100
        # The next call starts before the last one's stream has ended: that takes another session.
        assert len(set(hashes(memory_app))) <= 3
        assert memory_app.listener.connections_made <= 4
    assert streams.most_at_once == 1


async def test_calls_after_calls_use_the_same_sessions(autojump_clock, memory_app):
    add_sleeper(memory_app)
    async with opened(memory_app) as client:
        waves = []
        for _ in range(3):
            before = len(hashes(memory_app))
            async with JobGroup() as group:
                for _ in range(10):
                    group.submit(client.endpoint("/sleep"), 1)
            await quiet(memory_app)
            waves.append(set(hashes(memory_app)[before:]))
    assert len(waves[0]) == 10
    assert waves[0] == waves[1] == waves[2]
    # A join and a stream for each of the ten, at most.
    assert memory_app.listener.connections_made <= 20


async def test_app_error_ends_call_by_itself(autojump_clock, memory_app):
    @memory_app.app.endpoint()
    async def fail(event: Event) -> None:
        raise GradioError("boom")

    async with opened(memory_app) as client:
        for _ in range(3):
            with pytest.raises(AppError, match="boom"):
                await client.predict(api_name="/fail")
            await quiet(memory_app)
    assert len(set(hashes(memory_app))) == 1


async def test_refused_call_needs_no_stream(autojump_clock, memory_app):
    add_sleeper(memory_app)
    memory_app.fault("POST", "/queue/join", Answer(503, {"detail": "Queue is full."}), times=3)
    # With one place for a stream, one that was not given back would be missed.
    async with opened(memory_app, limits=Limits(streams=1)) as client:
        for _ in range(3):
            with pytest.raises(QueueFull):
                await client.predict(1, api_name="/sleep")
        assert memory_app.streams.made == 0
        assert await client.predict(1, api_name="/sleep") == 1
    assert len(set(hashes(memory_app))) == 1


# --- Sessions that are not used again ---


async def assert_retired(client: Client, server: ScriptedServer) -> None:
    """Show that the session of the last call is not used again, and that others are."""
    used = hashes(server)[-1]
    await quiet(server)
    assert server.streams.open == 0
    before = len(hashes(server))
    for _ in range(3):
        assert await client.predict(0, api_name="/sleep") == 0
        await quiet(server)
    (after,) = set(hashes(server)[before:])
    assert after != used


async def test_session_is_used_again_after_confirmed_cancellation(autojump_clock, memory_app):
    add_sleeper(memory_app)
    async with opened(memory_app) as client:
        job = client.submit(100, api_name="/sleep")
        await wait_all_tasks_blocked()
        job.cancel()
        await job.wait()
        await quiet(memory_app)
        assert await client.predict(0, api_name="/sleep") == 0
    assert len(memory_app.cancels) == 1
    assert len(set(hashes(memory_app))) == 1


async def test_session_ends_after_an_unanswered_cancellation(autojump_clock, memory_app):
    add_sleeper(memory_app)
    memory_app.fault("POST", "/cancel", Silence())
    async with opened(memory_app) as client:
        with trio.move_on_after(5):
            await client.predict(100, api_name="/sleep")
        await trio.sleep(10)
        await assert_retired(client, memory_app)


async def test_many_cancelled_calls_need_few_sessions(autojump_clock, memory_app):
    add_sleeper(memory_app)
    async with opened(memory_app) as client:
        for _ in range(10):
            async with JobGroup() as group:
                for _ in range(20):
                    group.submit(client.endpoint("/sleep"), 100)
                await trio.sleep(1)
                group.cancel_scope.cancel()
    assert len(hashes(memory_app)) == 200
    assert len(set(hashes(memory_app))) <= 40


async def test_session_ends_after_its_stream_broke(autojump_clock, memory_app):
    add_sleeper(memory_app)
    memory_app.fault("GET", "/queue/data", Cut(100), times=1)
    async with opened(memory_app) as client:
        with pytest.raises(ConnectionLost):
            await client.predict(3, api_name="/sleep")
        await assert_retired(client, memory_app)


async def test_session_ends_after_its_stream_was_refused(autojump_clock, memory_app):
    add_sleeper(memory_app)
    memory_app.fault("GET", "/queue/data", Answer(404, {"detail": "Not Found"}), times=1)
    async with opened(memory_app) as client:
        with pytest.raises(UnexpectedResponse):
            await client.predict(3, api_name="/sleep")
        await assert_retired(client, memory_app)


NONSENSE = [b"data: {nonsense}\n\n", b"data: []\n\n"]


@pytest.mark.parametrize("frame", NONSENSE)
async def test_session_ends_after_an_impossible_frame(autojump_clock, memory_app, frame):
    add_sleeper(memory_app)

    @memory_app.app.endpoint()
    async def garble(event: Event) -> None:
        await event.raw(frame)
        await trio.sleep(1)

    async with opened(memory_app) as client:
        with pytest.raises(ProtocolError):
            await client.predict(api_name="/garble")
        await assert_retired(client, memory_app)


async def test_session_is_used_again_after_invalid_message(autojump_clock, memory_app):
    add_sleeper(memory_app)

    @memory_app.app.endpoint()
    async def garble(event: Event) -> None:
        await event.send({"msg": "process_generating", "output": {"data": "no list"}})
        await trio.sleep_forever()

    async with opened(memory_app) as client:
        with pytest.raises(ProtocolError, match="not a list"):
            await client.predict(api_name="/garble")
        await quiet(memory_app)
        assert await client.predict(0, api_name="/sleep") == 0
    assert len(set(hashes(memory_app))) == 1
    # For the server the call was still in flight: it is told.
    assert next(iter(memory_app.events.values())).state == "cancelled"


async def test_session_ends_if_call_was_never_named(autojump_clock, memory_app):
    add_sleeper(memory_app)
    memory_app.fault("POST", "/queue/join", Lose(), times=1)
    # The stream that would name it breaks.
    memory_app.fault("GET", "/queue/data", Lose(), times=1)
    async with opened(memory_app) as client:
        with pytest.raises(ConnectionLost):
            await client.predict(100, api_name="/sleep")
        # It had been heard, and ran under a name that never came.
        await assert_retired(client, memory_app)
    assert next(iter(memory_app.events.values())).state == "cancelled"


async def test_session_ends_if_stream_stays_open(autojump_clock, memory_app):
    add_sleeper(memory_app)
    memory_app.fault("GET", "/queue/data", HoldFrame(trio.Event(), "close_stream"), times=1)
    async with opened(memory_app) as client:
        await client.predict(0, api_name="/sleep")
        await assert_retired(client, memory_app)


async def test_session_waits_for_its_streams_end(autojump_clock, memory_app):
    add_sleeper(memory_app)
    end = trio.Event()
    memory_app.fault("GET", "/queue/data", HoldFrame(end, "close_stream"), times=1)
    streams = Streams(memory_app)
    async with opened(memory_app) as client:
        await client.predict(0, api_name="/sleep")
        await client.predict(0, api_name="/sleep")
        assert len(set(hashes(memory_app))) == 2
        end.set()
        await quiet(memory_app)
        async with JobGroup() as group:
            for _ in range(2):
                group.submit(client.endpoint("/sleep"), 0)
    assert len(set(hashes(memory_app))) == 2
    assert streams.most_at_once == 1
