"""A session is a scope: what happens to the calls in it when it ends."""

from __future__ import annotations

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests.servers.faults import Hold
from tests.servers.scripted import Event, GradioError
from tests.support.jobs import Boom, leaves
from tests.support.sessions import add_notebook, add_sleeper, hashes, opened, quiet, states
from triojob import (
    AppError,
    Client,
    ClientClosed,
    ClientSession,
    JobCancelled,
    JobGroup,
    Limits,
    Status,
)

# --- Jobs of its own ---


async def test_leaving_a_session_waits_for_its_jobs(autojump_clock, memory_app):
    add_sleeper(memory_app)
    async with opened(memory_app) as client:
        async with client.session() as session:
            jobs = [session.submit(n, api_name="/sleep") for n in (3, 1, 2)]
            assert session.jobs == tuple(jobs)
        assert all(job.done for job in jobs)
        assert session.jobs == ()
        assert [await job.result() for job in jobs] == [3, 1, 2]
        await quiet(memory_app)
        assert "0/256 streams" in repr(client)
    assert memory_app.cancels == []


async def test_bodys_exception_cancels_jobs_and_is_bare(autojump_clock, memory_app):
    add_sleeper(memory_app)
    async with opened(memory_app) as client:
        with pytest.raises(Boom, match="body") as caught:
            async with client.session() as session:
                jobs = [session.submit(10**6, api_name="/sleep") for _ in range(3)]
                await wait_all_tasks_blocked()
                raise Boom("body")
        assert caught.value.__context__ is None
        assert all(job.cancelled for job in jobs)
        await quiet(memory_app)
        # The client goes on.
        assert await client.predict(1, api_name="/sleep") == 1
    assert states(memory_app, "sleep") == ["cancelled"] * 3 + ["finished"]


async def test_unretrieved_failure_is_raised_at_end(autojump_clock, memory_app):
    @memory_app.app.endpoint()
    async def fail(event: Event) -> None:
        raise GradioError("boom")

    async with opened(memory_app) as client:
        with pytest.raises(Exception, match="JobGroup") as caught:
            async with client.session() as session:
                session.submit(api_name="/fail")
                seen = session.submit(api_name="/fail")
                with pytest.raises(AppError):
                    await seen.result()
        assert [type(leaf) for leaf in leaves(caught.value)] == [AppError]


async def test_a_failure_does_not_end_the_session(autojump_clock, memory_app):
    add_notebook(memory_app)

    @memory_app.app.endpoint()
    async def fail(event: Event) -> None:
        raise GradioError("boom")

    async with opened(memory_app) as client, client.session() as session:
        assert await session.predict("a", api_name="/note") == "a"
        with pytest.raises(AppError, match="boom"):
            await session.predict(api_name="/fail")
        assert await session.predict("b", api_name="/note") == "ab"
    assert len(set(hashes(memory_app))) == 1


async def test_deadline_around_session_ends_all_in_it(autojump_clock, memory_app):
    add_sleeper(memory_app)
    async with opened(memory_app) as client:
        with trio.move_on_after(5) as scope:
            async with client.session() as session:
                own = session.submit(10**6, api_name="/sleep")
                await session.predict(10**6, api_name="/sleep")
        assert scope.cancelled_caught
        assert own.cancelled
        await quiet(memory_app)
    assert states(memory_app, "sleep") == ["cancelled"] * 2


# --- Those of others that ride on it ---


async def test_ending_session_cancels_other_groups_jobs(autojump_clock, memory_app):
    add_sleeper(memory_app)
    add_notebook(memory_app, seconds=10**6)
    async with opened(memory_app) as client, JobGroup() as group:
        async with client.session() as session:
            riding = [
                group.submit(session.endpoint("/sleep"), 10**6),
                group.submit(session.endpoint("/note"), "x"),
            ]
            free = group.submit(client.endpoint("/sleep"), 3)
            await wait_all_tasks_blocked()
        for job in riding:
            with pytest.raises(JobCancelled, match="its session has ended") as caught:
                await job.result()
            assert caught.value.reason == "its session has ended"
            assert job.cancelled
            assert job.status().code is Status.CANCELLED
        assert await free.result() == 3
        await quiet(memory_app)
        assert "0/256 streams" in repr(client)
    assert sorted(states(memory_app, "sleep")) == ["cancelled", "finished"]
    assert states(memory_app, "note") == ["cancelled"]


async def test_cancelled_session_jobs_are_no_failures(autojump_clock, memory_app):
    add_sleeper(memory_app)
    async with opened(memory_app) as client, JobGroup(fail_fast=True) as group:
        async with client.session() as session:
            job = group.submit(session.endpoint("/sleep"), 10**6)
            await wait_all_tasks_blocked()
        other = group.submit(client.endpoint("/sleep"), 1)
    assert job.cancelled
    assert await other.result() == 1


async def test_plain_call_raises_when_session_ends(autojump_clock, memory_app):
    add_sleeper(memory_app)
    raised: list[BaseException] = []

    async def call(session: ClientSession) -> None:
        try:
            await session.predict(10**6, api_name="/sleep")
        except JobCancelled as error:
            raised.append(error)

    async with opened(memory_app) as client, trio.open_nursery() as nursery:
        async with client.session() as session:
            nursery.start_soon(call, session)
            await wait_all_tasks_blocked()
        await wait_all_tasks_blocked()
        assert [str(error) for error in raised] == ["/sleep was cancelled: its session has ended"]


async def test_job_waiting_for_stream_ends_with_session(autojump_clock, memory_app):
    add_sleeper(memory_app)
    async with opened(memory_app, limits=Limits(streams=1)) as client, JobGroup() as group:
        busy = client.submit(1000, api_name="/sleep")
        await wait_all_tasks_blocked()
        async with client.session() as session:
            waiting = [group.submit(session.endpoint("/sleep"), 1) for _ in range(2)]
            await wait_all_tasks_blocked()
        await wait_all_tasks_blocked()
        # At once, not when the stream's turn has come.
        assert not busy.done
        for job in waiting:
            assert job.done
            with pytest.raises(JobCancelled, match="its session has ended"):
                await job.result()
            # Nor does it say that it was sent.
            codes = [getattr(update, "code", None) async for update in job.updates()]
            assert codes == [Status.STARTING, Status.CANCELLED]
    assert len(hashes(memory_app)) == 1


async def test_job_waiting_in_group_ends_with_session(autojump_clock, memory_app):
    add_sleeper(memory_app)
    async with opened(memory_app) as client, JobGroup(limit=1) as group:
        first = group.submit(client.endpoint("/sleep"), 5)
        async with client.session() as session:
            waiting = group.submit(session.endpoint("/sleep"), 1)
        # It was taken while the session was open: it is cancelled, and has not failed.
        with pytest.raises(JobCancelled, match="its session has ended"):
            await waiting.result()
        assert first.done
    assert len(hashes(memory_app)) == 1


async def test_job_being_sent_ends_with_session(autojump_clock, memory_app):
    add_sleeper(memory_app)
    answer = trio.Event()
    memory_app.fault("POST", "/queue/join", Hold(answer))
    async with opened(memory_app) as client, JobGroup() as group:
        async with client.session() as session:
            job = group.submit(session.endpoint("/sleep"), 10**6)
            await wait_all_tasks_blocked()
        with pytest.raises(JobCancelled, match="its session has ended"):
            await job.result()
        # The app is told once its answer has named the call.
        await wait_all_tasks_blocked()
        assert memory_app.cancels == []
        answer.set()
        await quiet(memory_app)
        (event,) = memory_app.events.values()
        assert event.state == "cancelled"
        assert memory_app.cancels[0]["event_id"] == event.event_id


# --- The server is told ---


async def test_cancel_request_waits_for_other_calls(autojump_clock, memory_app):
    add_sleeper(memory_app, "sleep")
    add_sleeper(memory_app, "doze")
    async with opened(memory_app) as client, client.session() as session:
        doze = session.submit(100, api_name="/doze")
        short, long = [session.submit(n, api_name="/sleep") for n in (5, 10**6)]
        await wait_all_tasks_blocked()
        long.cancel()
        await long.wait()
        await wait_all_tasks_blocked()
        assert memory_app.cancels == []
        assert await short.result() == 5
        await wait_all_tasks_blocked()
        assert len(memory_app.cancels) == 1
        assert await doze.result() == 100
    assert sorted(states(memory_app, "sleep")) == ["cancelled", "finished"]
    assert states(memory_app, "doze") == ["finished"]


async def test_call_waits_for_a_cancel_request(autojump_clock, memory_app):
    add_sleeper(memory_app, "sleep")
    add_sleeper(memory_app, "doze")
    answer = trio.Event()
    memory_app.fault("POST", "/cancel", Hold(answer, handled=False))
    async with opened(memory_app) as client, client.session() as session:
        first = session.submit(10**6, api_name="/sleep")
        await wait_all_tasks_blocked()
        first.cancel()
        await first.wait()
        second = session.submit(1, api_name="/sleep")
        # Another function is none of the cancellation's business.
        assert await session.predict(1, api_name="/doze") == 1
        assert second.status().code is Status.STARTING
        answer.set()
        assert await second.result() == 1
    assert states(memory_app, "sleep") == ["cancelled", "finished"]


async def test_end_of_session_tells_of_all_cancellations(autojump_clock, memory_app):
    add_sleeper(memory_app)
    async with opened(memory_app) as client, JobGroup() as group:
        async with client.session() as session:
            riding = group.submit(session.endpoint("/sleep"), 10**6)
            jobs = [session.submit(10**6, api_name="/sleep") for _ in range(3)]
            await wait_all_tasks_blocked()
            for job in jobs:
                job.cancel()
            await wait_all_tasks_blocked()
            assert memory_app.cancels == []
        await quiet(memory_app)
        assert riding.cancelled
        assert len(memory_app.cancels) == 4
        assert "0/256 streams" in repr(client)
    assert states(memory_app, "sleep") == ["cancelled"] * 4


# --- Afterwards ---


async def test_ended_session_starts_nothing(autojump_clock, memory_app):
    add_sleeper(memory_app)
    async with opened(memory_app) as client:
        async with client.session() as session:
            sleep = session.endpoint("/sleep")
        before = len(memory_app.requests)
        with pytest.raises(ClientClosed):
            session.submit(1, api_name="/sleep")
        with pytest.raises(ClientClosed, match=r"session of .* has ended"):
            await session.predict(1, api_name="/sleep")
        with pytest.raises(ClientClosed, match=r"session of .* has ended"):
            await sleep(1)
        async with JobGroup() as group:
            with pytest.raises(ClientClosed, match="session of /sleep has ended"):
                group.submit(sleep, 1)
        assert len(memory_app.requests) == before


async def test_a_session_needs_an_open_client(autojump_clock, memory_app):
    add_sleeper(memory_app)
    closed = Client(memory_app.url, transport=memory_app.transport())
    with pytest.raises(ClientClosed, match="enter the client first"):
        async with closed.session():
            pass
    async with closed:
        pass
    with pytest.raises(ClientClosed):
        async with closed.session():
            pass


# --- Several of them ---


async def test_sessions_may_be_nested(autojump_clock, memory_app):
    add_notebook(memory_app, seconds=1)
    async with opened(memory_app) as client, client.session() as outer:
        assert await outer.predict("a", api_name="/note") == "a"
        async with client.session() as inner:
            jobs = [each.submit("b", api_name="/note") for each in (outer, inner, client)]
            assert [await job.result() for job in jobs] == ["ab", "b", "b"]
        assert await outer.predict("c", api_name="/note") == "abc"
    assert len(set(hashes(memory_app))) == 3


async def test_sessions_in_parallel_do_not_meet(autojump_clock, memory_app):
    add_notebook(memory_app, seconds=1)
    texts: list[str] = []

    async def converse(client: Client, letter: str) -> None:
        async with client.session() as session:
            for _ in range(3):
                text = await session.predict(letter, api_name="/note")
            texts.append(text)

    async with opened(memory_app) as client, trio.open_nursery() as nursery:
        for letter in "abcdefgh":
            nursery.start_soon(converse, client, letter)
    assert sorted(texts) == [letter * 3 for letter in "abcdefgh"]
    assert len(set(hashes(memory_app))) == 8
    assert memory_app.streams.max_open <= 8


async def test_sessions_one_after_other_use_same_connections(autojump_clock, memory_app):
    add_notebook(memory_app, seconds=1)
    async with opened(memory_app) as client:
        for _ in range(20):
            async with client.session() as session:
                assert await session.predict("a", api_name="/note") == "a"
                assert await session.predict("b", api_name="/note") == "ab"
    assert len(set(hashes(memory_app))) == 20
    # A heartbeat has one of its own, which ends with it.
    heartbeats = sum(path.startswith("GET /heartbeat/") for path in memory_app.paths())
    assert memory_app.listener.connections_made - heartbeats <= 4


async def test_one_sessions_end_leaves_the_others_alone(autojump_clock, memory_app):
    add_sleeper(memory_app)
    async with opened(memory_app) as client, client.session() as stays:
        job = stays.submit(100, api_name="/sleep")
        with pytest.raises(Boom):
            async with client.session() as goes:
                goes.submit(100, api_name="/sleep")
                await wait_all_tasks_blocked()
                raise Boom
        assert await job.result() == 100
    assert sorted(states(memory_app, "sleep")) == ["cancelled", "finished"]
