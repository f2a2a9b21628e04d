"""What becomes of calls when a replica fails: those that never started go to another."""

from __future__ import annotations

import gc
import weakref
from collections import Counter
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tests.pool.support import FULL, JOIN, TOO_MANY, Replicas
from tests.servers.faults import Answer, Cut, Lose
from tests.servers.scripted import Event
from triojob import (
    ConnectionFailed,
    ConnectionLost,
    EndpointMismatch,
    JobCancelled,
    JobGroup,
    NoReplicaAvailable,
    QueueFull,
    Retry,
    Status,
    StatusUpdate,
    TooManyRequests,
    UnexpectedResponse,
)


@pytest.mark.parametrize("fault", [FULL, TOO_MANY])
async def test_what_was_refused_goes_to_another(autojump_clock, three, fault):
    three[0].fault(*JOIN, fault)
    async with three.pool() as pool:
        for number in range(4):
            assert await pool.predict(str(number), api_name="/echo") == str(number)
        assert len(three[0].joins) == 1  # since then it is left alone
        assert pool.statistics().failovers == 1
        replica = pool.statistics().replicas[0]
        assert isinstance(replica.failure, (QueueFull, TooManyRequests))
        assert replica.cooldown > 0
    assert three.counts == [0, 2, 2]


async def test_unsent_calls_fail_over(autojump_clock, three):
    async with three.pool() as pool:
        three[0].die()
        assert [await pool.predict(str(n), api_name="/echo") for n in range(4)] == list("0123")
        assert isinstance(pool.statistics().replicas[0].failure, ConnectionFailed)
    assert three.counts == [0, 2, 2]


@pytest.mark.parametrize("handled", [True, False])
async def test_possibly_started_calls_stay(autojump_clock, three, handled):
    three[0].fault(*JOIN, Lose(handled=handled), times=1)
    async with three.pool() as pool:
        with pytest.raises(ConnectionLost) as caught:
            await pool.predict("a", api_name="/echo")
        assert not isinstance(caught.value, ConnectionFailed)
        assert pool.statistics().failovers == 0
    assert sum(three.counts) == int(handled)


async def test_gateway_timeout_may_have_started_it(autojump_clock, three):
    three[0].fault(*JOIN, Answer(502, "bad gateway"), times=1)
    async with three.pool() as pool:
        with pytest.raises(UnexpectedResponse):
            await pool.predict("a", api_name="/echo")
    assert three.counts == [0, 0, 0]


async def test_idempotent_calls_go_to_another_whatever_broke(autojump_clock, three):
    three[0].fault(*JOIN, Lose(handled=True), times=1)
    three[1].fault(*JOIN, Answer(502, "bad gateway"), times=1)
    async with three.pool() as pool, JobGroup(retry=Retry(idempotent=True)) as group:
        job = group.submit(pool.endpoint("/echo"), "a")
        assert await job.result() == "a"
        assert pool.statistics().failovers == 2
    assert three.counts == [1, 0, 1]


async def test_broken_stream_with_output_is_not_repeated(autojump_clock, three):
    async def count(event: Event) -> None:
        await event.generating(["0"])
        await trio.sleep(1)
        (server,) = [server for server in three.servers if event in server.running]
        server.kill_connections()
        await trio.sleep(1)

    for server in three.servers:
        server.app.endpoint(generator=True)(count)
    async with three.pool() as pool, JobGroup(retry=Retry(idempotent=True)) as group:
        job = group.submit(pool.endpoint("/count"))
        with pytest.raises(ConnectionLost):
            await job.result()
        assert job.outputs() == ["0"]
        assert pool.statistics().failovers == 0


async def test_no_taker_error_tells_of_each(autojump_clock: MockClock, three: Replicas):
    three[0].fault(*JOIN, FULL)
    three[1].fault(*JOIN, TOO_MANY)
    async with three.pool() as pool:
        three[2].die()
        with pytest.raises(NoReplicaAvailable) as caught:
            await pool.predict("a", api_name="/echo")
    failures = caught.value.failures
    assert {url: type(error) for url, error in failures.items()} == {
        three.urls[0]: QueueFull,
        three.urls[1]: TooManyRequests,
        three.urls[2]: ConnectionFailed,
    }
    for url, error in failures.items():
        assert f"{url}: {type(error).__name__}: {error}" in str(caught.value)
    assert three.counts == [0, 0, 0]


async def test_retry_begins_again_with_all_of_them(autojump_clock: MockClock, three: Replicas):
    for server in three.servers:
        server.fault(*JOIN, FULL, times=2)
    async with three.pool() as pool:
        patient = Retry(wait_initial=1, wait_jitter=0)
        start = trio.current_time()
        echo = pool.endpoint("/echo").with_retry(patient)
        assert await echo("a") == "a"
        assert trio.current_time() - start == 1 + 2
    assert sum(three.counts) == 1


async def test_last_error_tells_of_each_attempt(autojump_clock, three):
    for server in three.servers:
        server.fault(*JOIN, FULL)
    async with three.pool() as pool:
        with pytest.raises(NoReplicaAvailable, match="QueueFull"):
            await pool.endpoint("/echo").with_retry(Retry(attempts=2))("a")
    assert [len(server.joins) for server in three.servers] == [2, 2, 2]


async def test_begun_call_says_it_may_have_run(autojump_clock, three):
    async with three.pool() as pool:
        three[1].die()
        three[2].die()
        three[0].fault(*JOIN, Lose(handled=True))
        with pytest.raises(ConnectionLost) as caught:
            await pool.endpoint("/echo").with_retry(Retry(attempts=1, idempotent=True))("a")
        assert not isinstance(caught.value, ConnectionFailed)


async def test_the_status_shows_each_replica(autojump_clock: MockClock, three: Replicas):
    three[0].fault(*JOIN, FULL)
    async with three.pool() as pool:
        job = pool.submit("a", api_name="/echo")
        codes = [u.code async for u in job.updates() if isinstance(u, StatusUpdate)]
    assert codes == [
        Status.STARTING,
        Status.JOINING_QUEUE,
        Status.QUEUE_FULL,
        Status.STARTING,
        Status.JOINING_QUEUE,
        Status.IN_QUEUE,
        Status.PROCESSING,
        Status.FINISHED,
    ]


async def test_one_that_comes_back_is_used_again(autojump_clock: MockClock, three: Replicas):
    async with three.pool() as pool:
        three[0].die()
        for number in range(3):
            await pool.predict(str(number), api_name="/echo")
        three[0].restart()
        await trio.sleep(5)
        for number in range(6):
            await pool.predict(str(number), api_name="/echo")
        assert three.counts[0] == 2
        assert pool.statistics().replicas[0].failure is None


async def test_one_call_tries_after_cooldown(autojump_clock: MockClock, three: Replicas):
    three[0].fault(*JOIN, FULL)
    async with three.pool() as pool:
        await pool.predict("a", api_name="/echo")
        await trio.sleep(5)
        async with JobGroup() as group:
            for number in range(30):
                group.submit(pool.endpoint("/echo"), str(number))
        joined = [len(server.joins) for server in three.servers]
        assert joined[0] == 2
        assert pool.statistics().failovers == 2
    assert three.counts[0] == 0
    assert sum(three.counts) == 31


async def test_joint_failures_count_once(autojump_clock, three):
    async with three.pool() as pool, JobGroup() as group:
        jobs = [group.submit(pool.endpoint("/slow"), "50") for _ in range(60)]
        await trio.sleep(1)
        three[0].die()
        await wait_all_tasks_blocked()
        assert 0 < pool.statistics().replicas[0].cooldown <= 1
        ends = Counter[Any]()
        for job in jobs:
            await job.wait()
            ends[type(job.exception())] += 1
    assert ends == {type(None): 40, ConnectionLost: 20}


async def test_each_call_has_one_outcome(autojump_clock, three):
    async with three.pool() as pool, JobGroup(limit=20) as group:
        jobs = [group.submit(pool.endpoint("/slow"), str(1 + n / 1000)) for n in range(200)]
        await trio.sleep(2.5)
        three[1].die()
        ends = Counter[Any]()
        for job in jobs:
            await job.wait()
            ends[type(job.exception())] += 1
    assert sum(ends.values()) == 200
    assert set(ends) == {type(None), ConnectionLost}
    started = Counter(text for url in three.urls for text in three.seen[url])
    assert max(started.values()) == 1  # none was started twice
    assert len(started) == 200
    assert ends[ConnectionLost] <= 7


async def test_replica_of_another_app_gets_no_calls(autojump_clock, three, caplog):
    async with three.pool() as pool:
        echo = pool.endpoint("/echo")
        three[0].die()
        await echo("a")
        script = three[0].app.endpoints[0].script
        three[0].app.endpoints.clear()
        three[0].app.endpoint(name="echo", inputs=["x"], parameter_names=("x",))(script)
        three[0].restart()
        await trio.sleep(5)
        for number in range(9):
            assert await echo(str(number)) == str(number)
        await trio.sleep(5)
        for number in range(9):
            assert await echo(str(number)) == str(number)
        assert three[0].joins == []
        assert "http://r0.test/ receives no calls of /echo" in caplog.text


async def test_all_becoming_another_app_is_said(autojump_clock, three):
    async with three.pool() as pool:
        echo = pool.endpoint("/echo")
        for server in three.servers:
            server.die()
        with pytest.raises(NoReplicaAvailable):
            await echo("a")
        for server in three.servers:
            script = server.app.endpoints[0].script
            server.app.endpoints.clear()
            server.app.endpoint(name="echo", inputs=["x"], parameter_names=("x",))(script)
            server.restart()
        with pytest.raises(NoReplicaAvailable, match="has changed"):
            await echo("a")
        with pytest.raises(EndpointMismatch, match="has other parameters or outputs"):
            await echo("a")
        assert await pool.endpoint("/echo")(x="a") == "a"


async def test_session_stays_with_its_replica(autojump_clock, three):
    async with three.pool() as pool:
        async with pool.session() as session:
            assert await session.predict("a", api_name="/echo") == "a"
            three[0].die()
            with pytest.raises(ConnectionFailed):
                await session.predict("a", api_name="/echo")
        assert await pool.predict("b", api_name="/echo") == "b"


async def test_pool_that_ends_ends_pauses_too(autojump_clock: MockClock, three: Replicas):
    for server in three.servers:
        server.fault(*JOIN, FULL)
    async with JobGroup(retry=Retry(attempts=None, timeout=None)) as group:
        async with three.pool() as pool:
            job = group.submit(pool.endpoint("/echo"), "a")
            await trio.sleep(100)
        with pytest.raises(JobCancelled, match="the pool was closed"):
            await job.result()


async def test_broken_stream_sends_replica_to_rest(autojump_clock, three):
    three[0].fault("GET", "/queue/data", Cut(0), times=1)
    async with three.pool() as pool:
        with pytest.raises(ConnectionLost):
            await pool.predict("a", api_name="/echo")
        assert pool.statistics().replicas[0].cooldown > 0
        assert await pool.predict("b", api_name="/echo") == "b"
    assert three.counts[1:] == [1, 0]


def test_the_error_crosses_process_borders():
    import pickle

    error = NoReplicaAvailable("none", failures={"http://a": QueueFull("full")})
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), list(again.failures)) == ("none", ["http://a"])
    assert isinstance(again, ConnectionFailed)


async def test_call_that_none_took_leaves_no_cycle(autojump_clock: MockClock, three: Replicas):
    async with three.pool() as pool, JobGroup() as group:
        echo = pool.endpoint("/echo")
        for server in three.servers:
            server.die()
        with pytest.raises(NoReplicaAvailable):
            await echo("a")  # from now on a call looks first whether the app is there
        gc.collect()
        gc.disable()
        try:
            job = group.submit(echo, "a")
            await job.wait()
            error = job.exception()
            assert isinstance(error, NoReplicaAvailable)
            gone = weakref.ref(error)
            del job, error
            await wait_all_tasks_blocked()
            assert gone() is None
        finally:
            gc.enable()
