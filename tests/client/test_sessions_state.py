"""Functions with State: the client's own session, in which each is called one call at a time."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests.servers.faults import Hold
from tests.servers.scripted import Event, GradioError
from tests.support.sessions import ROUNDS, Streams, add_notebook, add_sleeper, hashes, opened
from triojob import AppError, ConnectionLost, JobCancelled, JobGroup, Status
from triojob.testing.components import state


async def test_state_is_kept_across_kinds_of_calls(autojump_clock, memory_app):
    add_notebook(memory_app)
    add_sleeper(memory_app)
    async with opened(memory_app) as client:
        note = client.endpoint("/note")
        assert await note("a") == "a"
        assert await client.predict("b", api_name="/note") == "ab"
        assert await client.submit("c", api_name="/note").result() == "abc"
        assert await client.predict(1, api_name="/sleep") == 1
        async with JobGroup() as group:
            assert await group.submit(note, "d").result() == "abcd"
        # The call after a long silence is of the same session, too.
        await trio.sleep(1000)
        assert await client.endpoint(fn_index=0)("e") == "abcde"
    assert len(set(hashes(memory_app, 0))) == 1


async def test_functions_with_one_state_share_it(autojump_clock, memory_app):
    add_notebook(memory_app, "note", "remark")
    async with opened(memory_app) as client:
        assert await client.predict("a", api_name="/note") == "a"
        assert await client.predict("b", api_name="/remark") == "ab"
        assert await client.predict("c", api_name="/note") == "abc"
    assert len(set(hashes(memory_app))) == 1


@pytest.mark.parametrize("place", ["input", "output"])
async def test_state_on_one_side_is_state(autojump_clock, memory_app, place):
    kept = state("kept")
    inputs, outputs = ([kept], ["out"]) if place == "input" else ([], [kept, "out"])
    memory_app.app.add("peek", inputs=inputs, outputs=outputs)
    async with opened(memory_app) as client:
        for _ in range(3):
            client.submit(api_name="/peek")
    assert len(hashes(memory_app)) == 3
    assert len(set(hashes(memory_app))) == 1


async def test_one_call_of_function_at_a_time(autojump_clock, memory_app):
    running = most = 0
    words = state("")

    @memory_app.app.endpoint(inputs=[words, "word"], outputs=[words, "text"])
    async def note(event: Event) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        text = event.data[0] + event.data[1]
        await trio.sleep(1)
        running -= 1
        await event.completed([text, text])

    async with opened(memory_app) as client:
        jobs = [client.submit("x", api_name="/note") for _ in range(10)]
        await wait_all_tasks_blocked()
        codes = [job.status().code for job in jobs]
        assert codes.count(Status.PROCESSING) == 1
        assert codes.count(Status.STARTING) == 9
        # Not even one more was sent.
        assert len(hashes(memory_app)) == 1
        assert sorted([await job.result() for job in jobs]) == ["x" * n for n in range(1, 11)]
    assert most == 1


async def test_functions_run_together_over_one_stream(autojump_clock, memory_app):
    add_notebook(memory_app, "note", "remark", "aside", seconds=5)
    streams = Streams(memory_app)
    async with opened(memory_app) as client:
        for name in ("/note", "/remark", "/aside") * 2:
            client.submit("x", api_name=name)
        await wait_all_tasks_blocked()
        assert sorted(event.endpoint.name or "" for event in memory_app.running) == [
            "aside",
            "note",
            "remark",
        ]
        assert memory_app.streams.open == 1
    assert streams.most_at_once == 1


async def test_calls_are_made_in_order_of_submission(autojump_clock, memory_app):
    add_notebook(memory_app)
    for _ in range(ROUNDS):
        async with opened(memory_app) as client:
            jobs = [client.submit(letter, api_name="/note") for letter in "abcd"]
            assert [await job.result() for job in jobs] == ["a", "ab", "abc", "abcd"]


async def test_a_failure_does_not_end_the_session(autojump_clock, memory_app):
    words = state("")

    @memory_app.app.endpoint(inputs=[words, "word"], outputs=[words, "text"])
    async def note(event: Event) -> None:
        text, word = event.data
        if word == "bad":
            raise GradioError("no such word")
        await event.completed([text + word, text + word])

    async with opened(memory_app) as client:
        jobs = []
        for word in ("a", "bad", "b", "bad", "c"):
            jobs.append(client.submit(word, api_name="/note"))
            await wait_all_tasks_blocked()
        results: list[Any] = []
        for job in jobs:
            try:
                results.append(await job.result())
            except AppError as error:
                results.append(str(error))
        assert results == ["a", "no such word", "ab", "no such word", "abc"]
    assert len(set(hashes(memory_app))) == 1


async def test_a_cancellation_does_not_end_the_session(autojump_clock, memory_app):
    add_notebook(memory_app, seconds=10)
    async with opened(memory_app) as client:
        assert await client.predict("a", api_name="/note") == "a"
        job = client.submit("lost", api_name="/note")
        await wait_all_tasks_blocked()
        job.cancel()
        await job.wait()
        assert await client.predict("b", api_name="/note") == "ab"
    assert len(memory_app.cancels) == 1
    assert len(set(hashes(memory_app))) == 1


async def test_next_call_follows_the_answered_cancellation(autojump_clock, memory_app):
    """What joined before would be cancelled with the other."""
    add_notebook(memory_app, seconds=10)
    answer = trio.Event()
    memory_app.fault("POST", "/cancel", Hold(answer, handled=False))
    async with opened(memory_app) as client:
        first = client.submit("lost", api_name="/note")
        await wait_all_tasks_blocked()
        second = client.submit("a", api_name="/note")
        first.cancel()
        with pytest.raises(JobCancelled):
            await first.result()
        await wait_all_tasks_blocked()
        assert second.status().code is Status.STARTING
        assert len(hashes(memory_app)) == 1
        answer.set()
        assert await second.result() == "a"


async def test_call_cancelled_while_waiting_is_never_made(autojump_clock, memory_app):
    add_notebook(memory_app, seconds=10)
    async with opened(memory_app) as client:
        jobs = []
        for letter in "abcd":
            jobs.append(client.submit(letter, api_name="/note"))
            await wait_all_tasks_blocked()
        jobs[1].cancel()
        jobs[2].cancel()
        assert await jobs[3].result() == "ad"
    assert memory_app.cancels == []
    assert len(hashes(memory_app)) == 2


async def test_broken_stream_loses_calls_and_state(autojump_clock, memory_app):
    add_notebook(memory_app, "note", "remark", seconds=5)
    async with opened(memory_app) as client:
        assert await client.predict("a", api_name="/note") == "a"
        riding = [client.submit("b", api_name=name) for name in ("/note", "/remark")]
        await wait_all_tasks_blocked()
        waiting = client.submit("c", api_name="/note")
        await wait_all_tasks_blocked()
        memory_app.kill_connections()
        for job in riding:
            with pytest.raises(ConnectionLost):
                await job.result()
        # The server may drop what it has of the old session at any moment: a new one is begun.
        assert await waiting.result() == "c"
        assert await client.predict("d", api_name="/remark") == "cd"
    assert len(set(hashes(memory_app))) == 2
    assert len(set(hashes(memory_app)[3:])) == 1


# --- Whose session it is ---


async def test_each_client_has_own_session_and_state(autojump_clock, memory_app):
    add_notebook(memory_app)
    async with opened(memory_app) as one, opened(memory_app) as two:
        for expected in ("x", "xx"):
            assert await one.predict("x", api_name="/note") == expected
            assert await two.predict("x", api_name="/note") == expected
    async with opened(memory_app) as three:
        assert await three.predict("y", api_name="/note") == "y"
    assert len(set(hashes(memory_app))) == 3


async def test_stateless_calls_leave_the_session_alone(autojump_clock, memory_app):
    add_notebook(memory_app)
    add_sleeper(memory_app)
    async with opened(memory_app) as client:
        for _ in range(3):
            await client.predict("x", api_name="/note")
            await client.predict(0, api_name="/sleep")
    assert set(hashes(memory_app, 0)).isdisjoint(hashes(memory_app, 1))


async def test_session_hashes_cannot_be_guessed(autojump_clock, memory_app):
    """Whoever knows one can cancel what runs in it."""
    add_sleeper(memory_app)
    async with opened(memory_app) as client:
        for _ in range(20):
            client.submit(1, api_name="/sleep")
    assert len(set(hashes(memory_app))) == 20
    assert all(len(each) >= 32 and int(each, 16) for each in hashes(memory_app))
    # Each place of it varies: it is no counter, and no clock.
    varying = [set(letters) for letters in zip(*hashes(memory_app), strict=True)]
    assert sum(len(letters) > 1 for letters in varying) >= 30
