"""Heartbeats: open while a session that is kept lives, closed last, opened again when lost."""

from __future__ import annotations

import itertools
import logging
import random
from typing import Any

import pytest
import trio
import trio.testing

from tests.servers.faults import Answer, Buffered, Cut, Hold, Lose, Silence
from tests.servers.scripted import ScriptedServer
from tests.support.sessions import (
    add_counter,
    add_sleeper,
    hashes,
    heartbeats,
    opened,
    until,
)
from triojob import ConnectionLost, Limits, Timeouts

Clock = trio.testing.MockClock


@pytest.fixture
def no_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random, "uniform", lambda low, high: high)


async def test_first_stateful_call_opens_heartbeat(memory_app, autojump_clock):
    add_counter(memory_app)
    async with opened(memory_app) as client:
        assert heartbeats(memory_app) == []
        assert [await client.predict(api_name="/bump") for _ in range(3)] == [1, 2, 3]
        await until(lambda: memory_app.heartbeats.open)
        assert heartbeats(memory_app) == [hashes(memory_app)[0]]
        # It lives as long as the session, not as long as its calls.
        await trio.sleep(3600)
        assert memory_app.heartbeats.open == 1
        assert memory_app.log.unloads == []
    await until(lambda: not memory_app.heartbeats.open)
    assert len(heartbeats(memory_app)) == 1
    assert memory_app.log.unloads == [hashes(memory_app)[0]]


async def test_calls_without_state_open_none(memory_app, autojump_clock):
    add_counter(memory_app)
    memory_app.app.add("echo", inputs=["text"])
    async with opened(memory_app) as client:
        assert await client.predict("x", api_name="/echo") == "x"
    assert heartbeats(memory_app) == []


async def test_each_session_has_its_own(memory_app: ScriptedServer, autojump_clock: Clock) -> None:
    add_counter(memory_app)
    async with opened(memory_app) as client:
        async with client.session() as one:
            async with client.session() as two, client.session():
                await one.predict(api_name="/bump")
                await two.predict(api_name="/bump")
                await until(lambda: memory_app.heartbeats.open == 2)
                first, second = hashes(memory_app)
            await until(lambda: memory_app.log.unloads == [second])
            assert await one.predict(api_name="/bump") == 2
        await until(lambda: memory_app.log.unloads == [second, first])
    assert sorted(heartbeats(memory_app)) == sorted([first, second])


@pytest.mark.parametrize("says", [False, True, None])
async def test_app_says_whether_it_wants_one(says, memory_app, autojump_clock):
    add_counter(memory_app)
    memory_app.app.config_overrides["connect_heartbeat"] = says  # None leaves it out
    async with opened(memory_app) as client:
        assert await client.predict(api_name="/bump") == 1
    assert len(heartbeats(memory_app)) == (says is not False)


async def test_closed_after_jobs_and_their_cancel_requests(memory_app, autojump_clock):
    """Cancelled from outside: the app may unload a session only when nothing runs in it."""
    add_sleeper(memory_app, stateful=True)
    told = trio.Event()
    memory_app.fault("POST", "/cancel", Hold(told, handled=False))
    scope = trio.CancelScope()
    ended = trio.Event()

    async def live() -> None:
        with scope:
            async with opened(memory_app) as client:
                client.submit(1000, api_name="/sleep")
                await trio.sleep_forever()
        ended.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(live)
        await until(lambda: memory_app.running and memory_app.heartbeats.open)
        scope.cancel()
        await until(lambda: "POST /cancel" in memory_app.paths())
        await trio.sleep(1)
        assert memory_app.running
        assert memory_app.heartbeats.open == 1
        assert not ended.is_set()
        told.set()
        await ended.wait()
    await until(lambda: not memory_app.heartbeats.open)
    assert [event.state for event in memory_app.events.values()] == ["cancelled"]
    assert memory_app.log.unloads == hashes(memory_app)


async def test_session_closes_it_after_its_cancel_requests(memory_app, autojump_clock):
    add_sleeper(memory_app, stateful=True)
    told = trio.Event()
    memory_app.fault("POST", "/cancel", Hold(told, handled=False))
    async with opened(memory_app) as client:
        async with client.session() as session:
            job = session.submit(1000, api_name="/sleep")
            await until(lambda: memory_app.running and memory_app.heartbeats.open)
            job.cancel()
        await until(lambda: "POST /cancel" in memory_app.paths())
        await trio.sleep(1)
        assert memory_app.heartbeats.open == 1
        told.set()
        await until(lambda: not memory_app.heartbeats.open)
        assert [event.state for event in memory_app.events.values()] == ["cancelled"]


@pytest.mark.usefixtures("no_jitter")
async def test_lost_heartbeat_reopens_ever_more_slowly(memory_app, autojump_clock):
    add_counter(memory_app)
    memory_app.fault("GET", "/heartbeat", Lose(handled=False), times=2)
    memory_app.fault("GET", "/heartbeat", Answer(503, "busy"), times=1)
    memory_app.fault("GET", "/heartbeat", Answer(500, "oops"), times=5)
    memory_app.fault("GET", "/heartbeat", Cut(after_bytes=13), times=1)
    async with opened(memory_app) as client:
        assert await client.predict(api_name="/bump") == 1
        await until(lambda: memory_app.heartbeats.open)
        # One that was there for a moment counts as a beginning.
        await until(lambda: len(memory_app.log.unloads) == 1)
        await until(lambda: memory_app.heartbeats.open)
        await trio.sleep(1000)
        assert await client.predict(api_name="/bump") == 2
    asked = [r.time for r in memory_app.requests if r.path.startswith("/heartbeat/")]
    pauses = [round(after - before) for before, after in itertools.pairwise(asked)]
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 1]


async def test_pauses_are_not_the_same_for_all(memory_app, autojump_clock):
    add_counter(memory_app)
    memory_app.fault("GET", "/heartbeat", Answer(502, "busy"))
    async with opened(memory_app) as client:
        await client.predict(api_name="/bump")
        await trio.sleep(1500)
    asked = [r.time for r in memory_app.requests if r.path.startswith("/heartbeat/")]
    pauses = [after - before for before, after in itertools.pairwise(asked)]
    assert all(30 <= pause <= 61 for pause in pauses[6:])
    assert len(set(pauses)) == len(pauses)


@pytest.mark.usefixtures("no_jitter")
async def test_retry_after_is_honoured(memory_app: ScriptedServer, autojump_clock: Clock) -> None:
    add_counter(memory_app)
    later = Answer(429, "slow down", {"retry-after": "300"})
    soon = Answer(429, "slow down", {"retry-after": "0"})
    odd = Answer(429, "slow down", {"retry-after": "Fri, 31 Dec 1999 23:59:59 GMT"})
    for answer in (later, soon, odd):
        memory_app.fault("GET", "/heartbeat", answer, times=1)
    async with opened(memory_app) as client:
        await client.predict(api_name="/bump")
        await until(lambda: memory_app.heartbeats.open)
    asked = [r.time for r in memory_app.requests if r.path.startswith("/heartbeat/")]
    pauses = [round(after - before) for before, after in itertools.pairwise(asked)]
    assert pauses == [300, 2, 4]


@pytest.mark.parametrize(
    "answer",
    [Answer(404, "Not Found"), Answer(401, "who?"), Answer(200, "not a stream"), Answer(302, "")],
    ids=["404", "401", "200", "302"],
)
async def test_other_answers_end_it_and_harm_nothing(answer, memory_app, autojump_clock):
    add_counter(memory_app)
    memory_app.fault("GET", "/heartbeat", answer)
    async with opened(memory_app) as client:
        assert [await client.predict(api_name="/bump") for _ in range(2)] == [1, 2]
        await trio.sleep(3600)
        assert await client.predict(api_name="/bump") == 3
    assert len(heartbeats(memory_app)) == 1


async def test_silent_heartbeat_reopens_if_app_is_silent(memory_app, autojump_clock):
    add_counter(memory_app)
    memory_app.fault("GET", "/heartbeat", Silence(), times=1)
    async with opened(memory_app, timeouts=Timeouts(stream_idle=20)) as client:
        # The silent one holds up no call, and ends with the client.
        assert await client.predict(api_name="/bump") == 1
        memory_app.fault("GET", "/app_id", Silence(), times=1)
        assert trio.current_time() < 20
        await until(lambda: memory_app.heartbeats.open)
        assert trio.current_time() > 40


@pytest.mark.parametrize("head", [False, True])
async def test_one_that_proxy_buffers_is_left_open(memory_app, autojump_clock, head):
    add_counter(memory_app)
    memory_app.fault("GET", "/heartbeat", Buffered(10**6, head=head))
    async with opened(memory_app, timeouts=Timeouts(stream_idle=600)) as client:
        assert await client.predict(api_name="/bump") == 1
        await trio.sleep(7_200)
        assert await client.predict(api_name="/bump") == 2
        assert len(heartbeats(memory_app)) == 1
        assert memory_app.log.unloads == []


async def test_silent_one_does_not_hold_up_end(memory_app, autojump_clock):
    add_counter(memory_app)
    memory_app.fault("GET", "/heartbeat", Silence(handled=False))
    async with opened(memory_app, timeouts=Timeouts(stream_idle=None, read=None)) as client:
        assert await client.predict(api_name="/bump") == 1
    assert trio.current_time() < 20


async def test_new_session_after_break_has_new_one(memory_app, autojump_clock):
    add_counter(memory_app)
    memory_app.fault("GET", "/queue/data", Cut(after_bytes=30), times=1)
    async with opened(memory_app) as client:
        with pytest.raises(ConnectionLost):
            await client.predict(api_name="/bump")
        await until(lambda: len(memory_app.log.unloads) == 1)
        assert await client.predict(api_name="/bump") == 1
        await until(lambda: memory_app.heartbeats.open == 1)
        old, new = hashes(memory_app)
        assert old != new
        assert heartbeats(memory_app) == [old, new]
        assert memory_app.log.unloads == [old]


async def test_sessions_beyond_the_places_wait_for_one(memory_app, autojump_clock, caplog):
    add_counter(memory_app)
    async with opened(memory_app, limits=Limits(streams=2)) as client, client.session() as one:
        async with client.session() as two, client.session() as three:
            for session in (one, two, three):
                assert await session.predict(api_name="/bump") == 1
                await trio.testing.wait_all_tasks_blocked(0.01)
            assert memory_app.heartbeats.open == 2
            assert "more than 2 sessions" in caplog.text
        # Those two have ended; whoever comes now finds a place.
        async with client.session() as four:
            assert await four.predict(api_name="/bump") == 1
            await until(lambda: memory_app.heartbeats.open == 2)
    await until(lambda: not memory_app.heartbeats.open)


async def test_nothing_tells_the_session(memory_app, autojump_clock, caplog):
    caplog.set_level(logging.DEBUG, logger="triojob")
    add_counter(memory_app)
    memory_app.fault("GET", "/heartbeat", Lose(), times=1)
    memory_app.fault("GET", "/heartbeat", Answer(503, "busy"), times=1)
    memory_app.fault("GET", "/heartbeat", Answer(404, "none"), times=1)
    async with opened(memory_app) as client:
        await client.predict(api_name="/bump")
        await until(lambda: len(heartbeats(memory_app)) == 3)
    records: list[Any] = [record for record in caplog.records if record.name == "triojob"]
    assert records
    text = "\n".join(record.getMessage() for record in records)
    assert hashes(memory_app)[0] not in text
