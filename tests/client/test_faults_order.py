"""What comes at an odd moment: before the call's answer, after its end, as the stream closes."""

from __future__ import annotations

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests.servers.faults import Answer, Delay, Hold, HoldFrame
from tests.servers.scripted import Event
from tests.support.faults import (
    CLOSE_STREAM,
    RIDES,
    add_endpoints,
    assert_idle,
    clean_client,
    riding,
)
from tests.support.sessions import ROUNDS, Streams, hashes
from triojob import AppError, ConnectionLost, JobGroup, OutputUpdate, Status, StatusUpdate
from triojob.testing.components import number


def completion(event_id: str, text: str) -> dict[str, object]:
    return {
        "msg": "process_completed",
        "event_id": event_id,
        "output": {"data": [text]},
        "success": True,
    }


# --- The stream closes as another call joins ---


@pytest.mark.parametrize("api_name", ["/echo", "/tale"])
async def test_call_joining_during_closing_uses_next_stream(memory_app, autojump_clock, api_name):
    add_endpoints(memory_app)
    memory_app.app.add("tale", inputs=["text"], generator=True)
    gate = trio.Event()
    async with clean_client(memory_app) as client, client.session() as session:
        memory_app.fault("GET", "/queue/data", HoldFrame(gate, msg="close_stream"), times=1)
        assert await session.predict("first", api_name="/echo") == "first"
        # The server has closed the stream, but the word of it is still under way.
        jobs = [session.submit(str(n), api_name=api_name) for n in range(3)]
        await wait_all_tasks_blocked()
        assert [event.state for event in memory_app.events.values()] == ["finished"] * 4
        assert not any(job.done for job in jobs)
        now = trio.current_time()
        gate.set()
        assert [await job.result() for job in jobs] == ["0", "1", "2"]
        assert trio.current_time() == now
        assert memory_app.streams.made == 2
        assert len(memory_app.joins) == 4
        assert len(set(hashes(memory_app))) == 1
        await assert_idle(client, memory_app)


@pytest.mark.parametrize("handled", [False, True])
async def test_call_sent_during_closing_opens_next_stream(memory_app, autojump_clock, handled):
    add_endpoints(memory_app)
    first_gate, second_gate = trio.Event(), trio.Event()
    async with clean_client(memory_app) as client, client.session() as session:
        memory_app.fault("GET", "/queue/data", HoldFrame(first_gate, msg="close_stream"), times=1)
        assert await session.predict("first", api_name="/echo") == "first"
        memory_app.fault("POST", "/queue/join", Hold(second_gate, handled=handled), times=1)
        job = session.submit("second", api_name="/echo")
        await wait_all_tasks_blocked()
        first_gate.set()
        await wait_all_tasks_blocked()
        assert not job.done
        second_gate.set()
        assert await job.result() == "second"
        assert memory_app.streams.made == 2
        await assert_idle(client, memory_app)


async def test_calls_never_meet_a_closing_stream(memory_app, autojump_clock):
    # Trio runs tasks in random order: joins, completions and closings meet in every way.
    add_endpoints(memory_app)
    streams = Streams(memory_app)
    async with clean_client(memory_app, bound=10**6) as client, client.session() as session:
        for _ in range(ROUNDS):
            memory_app.fault("GET", "/queue/data", Delay(0), times=1)
            async with JobGroup() as group:
                jobs = []
                for n in range(10):
                    jobs.append(group.submit(session.endpoint("/echo"), str(n)))
                    if n % 3 == 0:
                        await trio.lowlevel.checkpoint()
            assert [await job.result() for job in jobs] == [str(n) for n in range(10)]
        assert len(memory_app.joins) == 10 * ROUNDS
        assert streams.most_at_once == 1
        await assert_idle(client, memory_app)


async def test_server_closing_each_stream_is_given_up(memory_app, autojump_clock):
    add_endpoints(memory_app)

    @memory_app.app.endpoint(manual=True)
    async def leave(event: Event) -> None:
        for _ in range(1000):
            await event.raw(CLOSE_STREAM)
        event.never_complete()

    async with clean_client(memory_app) as client:
        with pytest.raises(ConnectionLost, match="before /leave had finished"):
            await client.predict(api_name="/leave")
        assert memory_app.streams.made <= 2
        assert await client.predict("again", api_name="/echo") == "again"


# --- Messages come before the answer to the call ---


async def test_what_comes_before_answer_is_not_lost(memory_app, autojump_clock):
    add_endpoints(memory_app)

    @memory_app.app.endpoint(inputs=[number("n")], generator=True)
    async def count(event: Event) -> None:
        await event.log("counting")
        for n in range(event.data[0]):
            await event.generating([str(n)])

    async with clean_client(memory_app) as client, client.session() as session:
        other = session.submit(api_name="/story")
        await wait_all_tasks_blocked()
        gate = trio.Event()
        memory_app.fault("POST", "/queue/join", Hold(gate), times=3)
        jobs = [session.submit(n, api_name="/count") for n in (2, 3, 4)]
        await wait_all_tasks_blocked()
        # All is over on the server, and all of it has been read, but which is whose?
        assert [event.state for event in memory_app.events.values()][1:] == ["finished"] * 3
        assert [job.status().code for job in jobs] == [Status.JOINING_QUEUE] * 3
        gate.set()
        assert [await job.result() for job in jobs] == ["1", "2", "3"]
        for n, job in zip((2, 3, 4), jobs, strict=True):
            assert job.outputs() == [str(i) for i in range(n)]
            updates = [update async for update in job.updates()]
            codes = [u.code for u in updates if isinstance(u, StatusUpdate)]
            assert codes == [
                Status.STARTING,
                Status.JOINING_QUEUE,
                Status.IN_QUEUE,
                Status.PROCESSING,
                Status.ITERATING,
                Status.FINISHED,
            ]
            log = job.status().log
            assert log is not None
            assert log.text == "counting"
        assert memory_app.streams.made == 1
        other.cancel()
        await assert_idle(client, memory_app)


async def test_failure_before_the_answer_is_kept(memory_app, autojump_clock):
    add_endpoints(memory_app)

    @memory_app.app.endpoint()
    async def fail(event: Event) -> None:
        await event.fail({"error": "boom", "visible": True})

    async with clean_client(memory_app) as client, client.session() as session:
        other = session.submit(api_name="/story")
        await wait_all_tasks_blocked()
        memory_app.fault("POST", "/queue/join", Delay(30), times=1)
        with pytest.raises(AppError, match="boom"):
            await session.predict(api_name="/fail")
        assert not other.done
        other.cancel()


@pytest.mark.parametrize("ride", RIDES)
async def test_messages_before_the_stream_are_kept(memory_app, autojump_clock, ride):
    add_endpoints(memory_app)
    async with riding(memory_app, ride) as calls:
        memory_app.fault("POST", "/queue/join", Delay(30), times=calls.count)
        memory_app.fault("GET", "/queue/data", Delay(30), times=1)
        jobs = calls.start("x", api_name="/echo")
        assert [await job.result() for job in jobs] == ["x"] * calls.count
        assert [job.outputs() for job in jobs] == [["x"]] * calls.count


# --- Messages come after the end, or are nobody's ---


@pytest.mark.parametrize("ride", RIDES)
async def test_a_second_completion_says_nothing_to_anybody(memory_app, autojump_clock, ride):
    # Gradio sends one now and then after a cancellation.
    add_endpoints(memory_app)

    @memory_app.app.endpoint()
    async def twice(event: Event) -> None:
        await event.completed(["first"])
        memory_app.post(event.session_hash, completion(event.event_id, "second"))
        memory_app.post(
            event.session_hash, {**completion(event.event_id, "third"), "output": {"error": "x"}}
        )
        memory_app.post(event.session_hash, {"msg": "progress", "event_id": event.event_id})

    async with riding(memory_app, ride) as calls:
        for _ in range(3):
            # What is left of the first meets the others: they use the same session.
            job = calls.surface.submit(api_name="/twice")
            assert await job.result() == "first"
            assert job.outputs() == ["first"]
            await trio.sleep(5)
        assert len(set(hashes(memory_app))) == 1
        await calls.assert_goes_on()


async def test_message_for_finished_call_fails_no_other(memory_app, autojump_clock):
    add_endpoints(memory_app)
    async with clean_client(memory_app) as client, client.session() as session:
        other = session.submit(api_name="/story")
        await wait_all_tasks_blocked()
        job = session.submit("x", api_name="/echo")
        assert await job.result() == "x"
        told = [u async for u in job.updates()]
        session_hash = hashes(memory_app)[0]
        for event_id in (list(memory_app.events)[1], "nobody", ""):
            for message in (
                completion(event_id, "again"),
                {**completion(event_id, "again"), "output": "nonsense"},
                {"msg": "process_generating", "event_id": event_id, "output": {"data": [1]}},
                {"msg": "estimation", "event_id": event_id, "rank": "nonsense"},
                {"msg": "unknown", "event_id": event_id},
            ):
                memory_app.post(session_hash, message)
        assert await session.predict("y", api_name="/echo") == "y"
        assert [u async for u in job.updates()] == told
        assert job.outputs() == ["x"]
        assert not other.done
        assert other.outputs() == ["Once", "Once upon"]
        other.cancel()
        await assert_idle(client, memory_app)


async def test_message_for_nobody_is_forgotten(memory_app, autojump_clock):
    add_endpoints(memory_app)
    async with clean_client(memory_app) as client, client.session() as session:
        other = session.submit(api_name="/story")
        await wait_all_tasks_blocked()
        gate = trio.Event()
        memory_app.fault("POST", "/queue/join", Hold(gate, handled=False), times=1)
        job = session.submit("x", api_name="/echo")
        await wait_all_tasks_blocked()
        for n in range(100):
            memory_app.post(hashes(memory_app)[0], completion(f"nobody {n}", "wrong"))
        await wait_all_tasks_blocked()
        gate.set()
        assert await job.result() == "x"
        outputs = [
            u.output for u in [u async for u in job.updates()] if isinstance(u, OutputUpdate)
        ]
        assert outputs == ["x"]
        # What came before, or when nothing was being sent, is not for one that is named so later.
        memory_app.post(hashes(memory_app)[0], completion("late", "wrong"))
        await wait_all_tasks_blocked()
        for name in ("late", "nobody 0"):
            memory_app.fault("POST", "/queue/join", Answer(200, {"event_id": name}), times=1)
            named = session.submit("x", api_name="/echo")
            await wait_all_tasks_blocked()
            assert not named.done
            memory_app.post(hashes(memory_app)[0], completion(name, "right"))
            assert await named.result() == "right"
        other.cancel()
