"""`Client.session`: a State of its own, and any number of calls over one event stream."""

from __future__ import annotations

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests.servers.faults import EndAfter, Hold, HoldFrame
from tests.servers.scripted import Event, ScriptedServer
from tests.support.sessions import Streams, add_notebook, add_sleeper, hashes, opened, quiet
from triojob import ConnectionLost, JobGroup, Status
from triojob.testing.components import number


def add_counter(server: ScriptedServer) -> None:
    """Add a generator that yields the numbers up to n, one each second."""

    @server.app.endpoint(inputs=[number("n")], outputs=[number("i")], generator=True)
    async def count(event: Event) -> None:
        for i in range(event.data[0]):
            await trio.sleep(1)
            await event.generating([i])


async def test_session_has_state_of_its_own(autojump_clock, memory_app):
    add_notebook(memory_app, "note", "remark")
    async with opened(memory_app) as client, client.session() as session:
        assert await session.predict("a", api_name="/note") == "a"
        assert await client.predict("x", api_name="/note") == "x"
        assert await session.predict("b", api_name="/remark") == "ab"
        assert await client.predict("y", api_name="/remark") == "xy"
    assert len(set(hashes(memory_app))) == 2


async def test_every_call_of_session_uses_it(autojump_clock, memory_app):
    add_notebook(memory_app)
    add_sleeper(memory_app)
    async with opened(memory_app) as client, client.session() as session:
        note = session.endpoint("/note")
        assert await note("a") == "a"
        assert await session.endpoint(fn_index=0)("b") == "ab"
        assert await session.predict("c", api_name="note") == "abc"
        assert await session.predict("d", fn_index=0) == "abcd"
        assert await session.submit("e", api_name="/note").result() == "abcde"
        async with JobGroup() as group:
            assert await group.submit(note, "f").result() == "abcdef"
        # Functions without State as well.
        assert await session.predict(1, api_name="/sleep") == 1
    assert len(set(hashes(memory_app))) == 1


async def test_clients_endpoint_is_not_the_sessions(autojump_clock, memory_app):
    add_notebook(memory_app)
    async with opened(memory_app) as client:
        free = client.endpoint("/note")
        async with client.session() as session:
            pinned = session.endpoint("/note")
            assert [await pinned("a"), await free("x"), await pinned("b")] == ["a", "x", "ab"]


async def test_any_number_of_calls_share_a_stream(autojump_clock, memory_app):
    add_counter(memory_app)
    add_sleeper(memory_app)
    add_notebook(memory_app, seconds=3)
    async with opened(memory_app) as client, client.session() as session:
        # Something that lasts longer than the others keeps the stream open.
        session.submit(1000, api_name="/sleep")
        counts = [session.submit(n % 7 + 1, api_name="/count") for n in range(100)]
        sleeps = [session.submit(n, api_name="/sleep") for n in range(50)]
        notes = [session.submit("x", api_name="/note") for _ in range(3)]
        await wait_all_tasks_blocked()
        assert len(memory_app.running) == 153
        for n, job in enumerate(counts):
            assert [i async for i in job] == list(range(n % 7 + 1))
        assert [await job.result() for job in sleeps] == list(range(50))
        # Several calls of one function with State run at once here, each on what it found.
        assert [await job.result() for job in notes] == ["x"] * 3
        assert memory_app.streams.made == memory_app.streams.open == 1
    assert len(set(hashes(memory_app))) == 1


async def test_session_needs_few_connections_for_many_calls(autojump_clock, memory_app):
    add_sleeper(memory_app)
    async with opened(memory_app) as client, client.session() as session:
        async with JobGroup() as group:
            for _ in range(200):
                group.submit(session.endpoint("/sleep"), 1)
        await quiet(memory_app)
    assert len(hashes(memory_app)) == 200
    # One for the stream, and one for each of the short requests that are under way at once.
    assert memory_app.listener.connections_made <= 1 + 48
    assert memory_app.streams.made <= 2


async def test_call_after_stream_has_ended_opens_another(autojump_clock, memory_app):
    add_sleeper(memory_app)
    streams = Streams(memory_app)
    async with opened(memory_app) as client, client.session() as session:
        for _ in range(5):
            await session.predict(1, api_name="/sleep")
            await quiet(memory_app)
            assert "0/256 streams" in repr(client)
    assert memory_app.streams.made == 5
    assert streams.most_at_once == 1


async def test_calls_in_row_never_have_two_streams(autojump_clock, memory_app):
    add_sleeper(memory_app)
    streams = Streams(memory_app)
    async with opened(memory_app) as client, client.session() as session:
        for n in range(100):
            # The next call joins while the stream of the last one is being closed.
            assert await session.predict(n / 100, api_name="/sleep") == n / 100
    assert streams.most_at_once == 1


async def test_call_joining_closing_stream_is_kept(autojump_clock, memory_app):
    add_sleeper(memory_app)
    end = trio.Event()
    memory_app.fault("GET", "/queue/data", HoldFrame(end, "close_stream"), times=1)
    streams = Streams(memory_app)
    async with opened(memory_app) as client, client.session() as session:
        assert await session.predict(1, api_name="/sleep") == 1
        job = session.submit(2, api_name="/sleep")
        await wait_all_tasks_blocked()
        assert job.status().code is Status.JOINING_QUEUE
        end.set()
        assert await job.result() == 2
    assert memory_app.streams.made == 2
    assert streams.most_at_once == 1


async def test_call_may_end_before_its_answer(autojump_clock, memory_app):
    """On an open stream its messages come before its name does."""
    add_counter(memory_app)
    add_sleeper(memory_app)
    async with opened(memory_app) as client, client.session() as session:
        session.submit(1000, api_name="/sleep")
        await wait_all_tasks_blocked()
        answer = trio.Event()
        memory_app.fault("POST", "/queue/join", Hold(answer), times=1)
        job = session.submit(3, api_name="/count")
        await trio.sleep(10)
        assert any(event.ended for event in memory_app.events.values())
        assert job.status().code is Status.JOINING_QUEUE
        answer.set()
        assert [i async for i in job] == [0, 1, 2]
        assert await job.result() == 2
    assert memory_app.streams.made == 1


async def test_stream_ending_early_fails_its_calls(autojump_clock, memory_app):
    add_sleeper(memory_app)
    memory_app.fault("GET", "/queue/data", EndAfter(11, forget=True), times=1)
    async with opened(memory_app) as client, client.session() as session:
        jobs = [session.submit(n, api_name="/sleep") for n in (1, 5, 10, 10, 10)]
        # Two frames for each at the start, and then the end of the first one.
        assert await jobs[0].result() == 1
        for job in jobs[1:]:
            with pytest.raises(ConnectionLost):
                await job.result()
        assert await session.predict(1, api_name="/sleep") == 1
    assert len(set(hashes(memory_app))) == 2


# --- What a session is given ---


async def test_a_session_may_have_a_limit(autojump_clock, memory_app):
    add_sleeper(memory_app)
    async with opened(memory_app) as client, client.session(limit=2) as session:
        jobs = [session.submit(n, api_name="/sleep") for n in (5, 1, 1)]
        other = client.submit(1, api_name="/sleep")
        await wait_all_tasks_blocked()
        codes = [job.status().code.name for job in (*jobs, other)]
        assert codes == ["PROCESSING", "PROCESSING", "STARTING", "PROCESSING"]
        # It is for `submit` in this session, not for what others call there.
        async with JobGroup() as group:
            assert await group.submit(session.endpoint("/sleep"), 0).result() == 0
        assert [await job.result() for job in jobs] == [5, 1, 1]


async def test_a_session_may_have_a_history(autojump_clock, memory_app):
    add_counter(memory_app)
    async with opened(memory_app) as client, client.session(history=2) as session:
        bounded = session.submit(9, api_name="/count")
        whole = client.submit(9, api_name="/count")
        assert await bounded.result() == await whole.result() == 8
        assert (bounded.outputs(), bounded.dropped) == ([7, 8], 7)
        assert (whole.outputs(), whole.dropped) == (list(range(9)), 0)


@pytest.mark.parametrize("wrong", [{"limit": 0}, {"history": -1}])
async def test_invalid_limit_or_history_is_refused(autojump_clock, memory_app, wrong):
    add_sleeper(memory_app)
    async with opened(memory_app) as client:
        with pytest.raises(ValueError, match=next(iter(wrong))):
            async with client.session(**wrong):
                pass
        assert await client.predict(1, api_name="/sleep") == 1
