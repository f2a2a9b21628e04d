"""Replicas that are down when the pool opens, come later, join or leave."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tests.pool.support import JOIN, Replicas, replicas
from tests.servers.faults import Hold, Silence
from tests.servers.scripted import ScriptedServer
from triojob import (
    AuthenticationError,
    Client,
    ClientClosed,
    ClientPool,
    ConnectionFailed,
    JobGroup,
    Limits,
    NetworkError,
    NoReplicaAvailable,
    ProtocolError,
)
from triojob.gradio.schema.app import AppInfo


def open_ones(pool: ClientPool) -> list[bool]:
    return [replica.open for replica in pool.statistics().replicas]


async def test_pool_opens_as_long_as_one_answers(autojump_clock, three, caplog):
    three[0].listener.refusing = three[2].listener.refusing = True
    async with three.pool() as pool:
        assert open_ones(pool) == [False, True, False]
        assert "can't open http://r0.test" in caplog.text
        assert isinstance(pool.statistics().replicas[0].failure, ConnectionFailed)
        assert [await pool.predict(str(n), api_name="/echo") for n in range(3)] == list("012")
    assert three.counts == [0, 3, 0]


async def test_broken_replica_ends_no_pool(autojump_clock, three, monkeypatch):
    odd, read, first = ZeroDivisionError(), AppInfo.__init__, three[0].app

    def read_oddly(self: AppInfo, config: Any, info: Any) -> None:
        if config["app_id"] == first.app_id:
            raise odd
        read(self, config, info)

    first.app_id = 12345
    monkeypatch.setattr(AppInfo, "__init__", read_oddly)
    async with three.pool() as pool:
        assert open_ones(pool) == [False, True, True]
        failure = pool.statistics().replicas[0].failure
        assert isinstance(failure, ProtocolError)
        assert failure.__cause__ is odd
        assert [await pool.predict(str(n), api_name="/echo") for n in range(2)] == list("01")


async def test_late_replica_is_used(autojump_clock, three):
    three[0].listener.refusing = True
    async with three.pool() as pool:
        echo = pool.endpoint("/echo")
        await trio.sleep(60)
        assert open_ones(pool) == [False, True, True]
        three[0].listener.refusing = False
        await trio.sleep(60)
        assert open_ones(pool) == [True, True, True]
        assert pool.statistics().replicas[0].failure is None
        for number in range(6):
            await echo(str(number))
    assert three.counts == [2, 2, 2]


async def test_pool_without_answers_tells_of_each(autojump_clock, three):
    for server in three.servers:
        server.listener.refusing = True
    with pytest.raises(NoReplicaAvailable) as caught:
        async with three.pool():
            raise AssertionError
    assert list(caught.value.failures) == three.urls
    assert str(caught.value).startswith("the pool can't be opened: http://r0.test: Connection")


async def test_all_can_be_required(autojump_clock: MockClock, three: Replicas):
    three[1].listener.refusing = True
    with pytest.raises(NoReplicaAvailable) as caught:
        async with three.pool(require_all=True):
            raise AssertionError
    assert list(caught.value.failures) == [three.urls[1]]
    three[1].listener.refusing = False
    async with three.pool(require_all=True) as pool:
        assert open_ones(pool) == [True, True, True]


async def test_replica_of_another_login_is_left_out(autojump_clock: MockClock, three: Replicas):
    three[0].app.auth = ("ada", "l0velace")
    async with three.pool() as pool:
        failure = pool.statistics().replicas[0].failure
        assert isinstance(failure, AuthenticationError)
        assert "l0velace" not in str(failure)
        assert open_ones(pool) == [False, True, True]


async def test_senseless_settings_are_refused(three: Replicas):
    with pytest.raises(ValueError, match=r"Limits\.streams"):
        three.pool(lambda url: Client(url, limits=Limits(streams=0)))


async def test_cancelling_the_opening_ends_it(autojump_clock: MockClock, three: Replicas):
    three[1].fault("GET", "/config", Silence())
    with trio.move_on_after(1) as scope:
        async with three.pool():
            raise AssertionError
    assert scope.cancelled_caught


async def test_pool_closes_despite_opening_replica(autojump_clock, three):
    three[1].listener.refusing = True
    async with three.pool():
        three[1].listener.refusing = False
        three[1].fault("GET", "/config", Silence())
        await trio.sleep(20)
        start = trio.current_time()
    assert trio.current_time() - start < 1


async def test_replicas_join_and_leave(autojump_clock: MockClock, three: Replicas):
    async with ClientPool(three.urls[:1], three.client) as pool:
        echo = pool.endpoint("/echo")
        await echo("a")
        await pool.add(three.urls[1])
        assert pool.sources == tuple(three.urls[:2])
        for _ in range(4):
            await echo("b")
        assert three.counts == [3, 2, 0]
        await pool.remove(three.urls[0])
        for _ in range(4):
            await echo("c")
        assert three.counts == [3, 6, 0]
        assert pool.sources == (three.urls[1],)
        with pytest.raises(ValueError, match=r"already has 'http://r1\.test'"):
            await pool.add(three.urls[1])
        with pytest.raises(ValueError, match="can't remove"):
            await pool.remove(three.urls[1])
        with pytest.raises(ValueError, match=r"can't remove 'http://x\.test'"):
            await pool.remove("http://x.test")
        await pool.add(three.urls[0])
        assert open_ones(pool) == [True, True]
    with pytest.raises(ClientClosed):
        await pool.add(three.urls[2])


async def test_one_that_leaves_ends_its_calls_first(autojump_clock: MockClock, three: Replicas):
    async with three.pool() as pool, JobGroup() as group:
        jobs = [group.submit(pool.endpoint("/slow"), "50") for _ in range(6)]
        await trio.sleep(1)
        start = trio.current_time()
        await pool.remove(three.urls[0])
        assert 48 < trio.current_time() - start < 52
        assert [await job.result() for job in jobs] == ["50"] * 6
    assert three.counts == [2, 2, 2]


async def test_cancelling_a_leave_ends_its_calls(autojump_clock: MockClock, three: Replicas):
    async with three.pool() as pool, JobGroup() as group:
        jobs = [group.submit(pool.endpoint("/slow"), "50") for _ in range(3)]
        await trio.sleep(1)
        with trio.move_on_after(5):
            await pool.remove(three.urls[0])
        for job in jobs:
            await job.wait()
        assert sorted(job.cancelled for job in jobs) == [False, False, True]


async def test_session_on_removed_replica_is_over(autojump_clock: MockClock, three: Replicas):
    async with three.pool() as pool, pool.session() as session:
        echo = session.endpoint("/echo")
        assert await echo("a") == "a"
        await pool.remove(three.urls[0])
        with pytest.raises(ClientClosed):
            await echo("b")


async def test_unopenable_replica_does_not_join(autojump_clock: MockClock, three: Replicas):
    three[2].listener.refusing = True
    async with ClientPool(three.urls[:2], three.client) as pool:
        with pytest.raises(ConnectionFailed):
            await pool.add(three.urls[2])
        assert pool.sources == tuple(three.urls[:2])
        three[2].listener.refusing = False
        three[2].fault("GET", "/config", Silence())
        with trio.move_on_after(1):
            await pool.add(three.urls[2])
        assert pool.sources == tuple(three.urls[:2])
        await trio.sleep(100)
        assert three[2].open_connections == 0


async def test_statistics_tell_who_does_what(autojump_clock: MockClock, three: Replicas):
    gate = trio.Event()
    three[1].fault(*JOIN, Hold(gate))
    async with three.pool() as pool:
        for _ in range(3):
            pool.submit("a", api_name="/echo")
        await wait_all_tasks_blocked()
        statistics = pool.statistics()
        assert [replica.source for replica in statistics.replicas] == three.urls
        assert [replica.sent for replica in statistics.replicas] == [1, 1, 1]
        assert [replica.in_flight for replica in statistics.replicas] == [0, 1, 0]
        assert (statistics.jobs.submitted, statistics.jobs.running) == (3, 1)
        assert statistics.failovers == 0
        gate.set()


async def test_no_replica_is_open_any_more(autojump_clock: MockClock, memory_app: ScriptedServer):
    async with replicas(1) as one, one.pool() as pool:
        echo = pool.endpoint("/echo")
        one[0].die()
        with pytest.raises(NoReplicaAvailable) as caught:
            await echo("a")
        assert isinstance(caught.value, NetworkError)
        one[0].restart()
        # None is sure to answer, so one that is to be left alone is tried all the same.
        assert await echo("a") == "a"
