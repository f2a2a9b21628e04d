"""A server that falls silent, takes its time, or never says that it is done."""

from __future__ import annotations

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests.servers.faults import Answer, Buffered, Delay, Drip, Interim, Lose, Silence, Stall
from tests.servers.scripted import Event
from tests.support.faults import (
    BOTH_WAYS,
    CLOSE_STREAM,
    RIDES,
    TIMES,
    SlowNetwork,
    add_endpoints,
    assert_idle,
    clean_client,
    failures,
    kinds,
    riding,
)
from tests.support.sessions import hashes
from triojob import (
    Client,
    ConnectionFailed,
    ConnectionLost,
    ConnectionTimeout,
    JobCancelled,
    Limits,
    Status,
    Timeouts,
)

pytestmark = BOTH_WAYS


@pytest.mark.parametrize("ride", RIDES)
@pytest.mark.parametrize("size", [0, 1, 150, 300])
async def test_stalled_stream_is_given_up(memory_app, autojump_clock, ride, size):
    add_endpoints(memory_app)
    async with riding(memory_app, ride) as calls:
        now = trio.current_time()
        memory_app.fault("GET", "/queue/data", Stall(size), times=1)
        errors = await failures(calls.start(api_name="/story"))
        assert trio.current_time() == pytest.approx(now + TIMES.max_stream_idle)
        assert kinds(errors) == {ConnectionTimeout}
        assert all("silent for 3600 s" in str(error) for error in errors)
        assert len(memory_app.joins) == calls.count
        await calls.assert_goes_on()
        assert hashes(memory_app)[-1] != hashes(memory_app)[0]


@pytest.mark.parametrize("ride", RIDES)
@pytest.mark.parametrize("handled", [False, True])
async def test_stream_that_never_begins_is_given_up(memory_app, autojump_clock, ride, handled):
    add_endpoints(memory_app)
    async with riding(memory_app, ride) as calls:
        now = trio.current_time()
        memory_app.fault("GET", "/queue/data", Silence(handled=handled), times=1)
        assert kinds(await failures(calls.start(api_name="/story"))) == {ConnectionTimeout}
        assert trio.current_time() == pytest.approx(now + TIMES.max_stream_idle)
        assert len(memory_app.joins) == calls.count
        await calls.assert_goes_on()


@pytest.mark.parametrize("interval", [0.5, 59, 61])
async def test_any_sign_of_life_breaks_the_silence(memory_app, autojump_clock, interval):
    add_endpoints(memory_app)
    async with clean_client(memory_app, bound=10**6) as client:
        memory_app.fault("GET", "/queue/data", Drip(5, interval), times=1)
        now = trio.current_time()
        assert await client.predict("x", api_name="/echo") == "x"
        assert trio.current_time() > now + 60 * interval


async def test_rare_signs_of_life_are_silence(memory_app, autojump_clock):
    add_endpoints(memory_app)
    async with clean_client(memory_app) as client:
        memory_app.fault("GET", "/queue/data", Drip(5, 3601), times=1)
        with pytest.raises(ConnectionTimeout):
            await client.predict("x", api_name="/echo")
        assert await client.predict("again", api_name="/echo") == "again"


@pytest.mark.parametrize("ride", RIDES)
@pytest.mark.parametrize(
    "fault", [Silence(handled=False), Silence(), Delay(121, handled=False), Delay(121)]
)
async def test_slow_answer_is_not_waited_for(memory_app, autojump_clock, ride, fault):
    add_endpoints(memory_app)
    async with riding(memory_app, ride) as calls:
        now = trio.current_time()
        memory_app.fault("POST", "/queue/join", fault, times=calls.count)
        errors = await failures(calls.start("x", api_name="/echo"))
        assert trio.current_time() == pytest.approx(now + TIMES.read)
        assert kinds(errors) == {ConnectionTimeout}
        assert all("POST /queue/join" in str(error) for error in errors)
        assert len(memory_app.joins) == calls.count
        await calls.assert_goes_on()


@pytest.mark.parametrize("ride", RIDES)
@pytest.mark.parametrize("interval", [0.5, 1, 50])
async def test_interim_responses_are_no_answer(memory_app, autojump_clock, ride, interval):
    add_endpoints(memory_app)
    async with riding(memory_app, ride) as calls:
        now = trio.current_time()
        memory_app.fault("POST", "/queue/join", Interim(interval), times=calls.count)
        errors = await failures(calls.start("x", api_name="/echo"))
        assert trio.current_time() <= now + TIMES.read
        assert kinds(errors) <= {ConnectionTimeout, ConnectionLost}
        assert len(memory_app.joins) == calls.count
        await calls.assert_goes_on()


@pytest.mark.parametrize("ride", RIDES)
@pytest.mark.parametrize("handled", [False, True])
async def test_app_may_take_long_to_accept_call(memory_app, autojump_clock, ride, handled):
    add_endpoints(memory_app)
    async with riding(memory_app, ride) as calls:
        memory_app.fault("POST", "/queue/join", Delay(119, handled=handled), times=calls.count)
        jobs = calls.start("x", api_name="/echo")
        assert [await job.result() for job in jobs] == ["x"] * calls.count


@pytest.mark.parametrize("ride", RIDES)
async def test_endless_call_lives_on_heartbeats_until_cancelled(memory_app, autojump_clock, ride):
    # A job takes as long as it takes; only silence is a fault.
    @memory_app.app.endpoint(inputs=["text"])
    async def echo(event: Event) -> None:
        await event.completed(event.data)

    @memory_app.app.endpoint()
    async def forget(event: Event) -> None:
        event.never_complete()

    async with riding(memory_app, ride, bound=10**6) as calls:
        jobs = calls.start(api_name="/forget")
        await trio.sleep(10**4)
        assert [job.status().code for job in jobs] == [Status.PROCESSING] * calls.count
        assert memory_app.streams.open == 1
        now = trio.current_time()
        for job in jobs:
            job.cancel()
            with pytest.raises(JobCancelled):
                await job.result()
        assert trio.current_time() == now
        assert len(memory_app.joins) == calls.count
        await calls.assert_goes_on()


@pytest.mark.parametrize("ride", RIDES)
async def test_cancel_request_is_believed_over_open_stream(memory_app, autojump_clock, ride):
    add_endpoints(memory_app)

    @memory_app.app.endpoint()
    async def leave(event: Event) -> None:
        await event.raw(CLOSE_STREAM)
        event.never_complete()

    async with riding(memory_app, ride) as calls:
        now = trio.current_time()
        errors = await failures([calls.surface.submit(api_name="/leave")])
        # Well before the silence would show: the server has a moment to end the answer.
        assert trio.current_time() <= now + 5
        assert ["before /leave had finished" in str(error) for error in errors] == [True]
        await calls.assert_goes_on()


async def test_without_stream_idle_stalls_are_unbounded(memory_app, autojump_clock):
    add_endpoints(memory_app)
    times = Timeouts(stream_idle=None)
    async with clean_client(memory_app, bound=10**6, timeouts=times) as client:
        memory_app.fault("GET", "/queue/data", Stall(200), times=1)
        job = client.submit(api_name="/story")
        await trio.sleep(10**4)
        assert not job.done
        now = trio.current_time()
        job.cancel()
        await job.wait()
        assert trio.current_time() == now
        await assert_idle(client, memory_app)
        assert await client.predict("again", api_name="/echo") == "again"


# --- Is the app gone, or does a proxy hold back what it sends? ---


@pytest.mark.parametrize("ride", RIDES)
@pytest.mark.parametrize("head", [False, True])
@pytest.mark.parametrize("seconds", [61, 1000, 3599])
async def test_buffered_streams_are_waited_for(
    memory_app, autojump_clock, caplog, ride, head, seconds
):
    @memory_app.app.endpoint(inputs=["text"])
    async def echo(event: Event) -> None:
        await event.completed(event.data)

    @memory_app.app.endpoint(generator=True)
    async def work(event: Event) -> None:
        await event.generating(["half"])
        await trio.sleep(seconds)
        await event.completed(["done"])

    async with riding(memory_app, ride) as calls:
        memory_app.fault("GET", "/queue/data", Buffered(10**6, head=head))
        jobs = calls.start(api_name="/work")
        await wait_all_tasks_blocked()
        now, before = trio.current_time(), memory_app.paths().count("GET /app_id")
        assert [await job.result() for job in jobs] == ["done"] * calls.count
        assert trio.current_time() < now + seconds * calls.count + 1
        looks = memory_app.paths().count("GET /app_id") - before
        await calls.assert_goes_on()
    # Asked for all streams together, now and then, and told of once.
    assert 0 < looks <= seconds * calls.count / TIMES.stream_idle
    warnings = [record.getMessage() for record in caplog.records if "buffer" in record.msg]
    assert len(warnings) == 1
    assert "proxy_buffering off" in warnings[0]
    assert "Timeouts.max_stream_idle" in warnings[0]


GONE = {
    "silent": (Silence(), "did not respond to another request"),
    "silent before": (Silence(handled=False), "did not respond to another request"),
    "lost": (Lose(), "did not respond to another request"),
    "slow": (Delay(61), "did not respond to another request"),
    "bad gateway": (Answer(502, "<html>"), "status 502"),
    "gateway timeout": (Answer(504, "<html>"), "status 504"),
    "too large": (Answer(200, b"x" * 70_000), "did not respond to another request"),
    "another app": (Answer(200, {"app_id": 12}), "restarted"),
}


@pytest.mark.parametrize("ride", RIDES)
@pytest.mark.parametrize("answer, words", GONE.values(), ids=GONE)
async def test_streams_of_app_that_is_gone_end(memory_app, autojump_clock, ride, answer, words):
    add_endpoints(memory_app)
    async with riding(memory_app, ride, limits=Limits(message_size=60_000)) as calls:
        now = trio.current_time()
        memory_app.fault("GET", "/queue/data", Stall(100), times=1)
        jobs = calls.start(api_name="/story")
        await wait_all_tasks_blocked()
        memory_app.fault("GET", "/app_id", answer, times=1)
        errors = await failures(jobs)
        assert trio.current_time() <= now + 2 * TIMES.stream_idle
        assert kinds(errors) == {ConnectionTimeout}
        assert all("silent for 60 s" in str(error) for error in errors)
        assert all(words in str(error) for error in errors)
        assert len(memory_app.joins) == calls.count
        await calls.assert_goes_on()


@pytest.mark.parametrize("status", [200, 302, 401, 404, 429, 500, 503])
async def test_any_answer_of_the_app_is_one(memory_app, autojump_clock, status):
    """Apps before 4.11 know no such request; and one that is refused was answered."""
    add_endpoints(memory_app)
    async with clean_client(memory_app, bound=10**6) as client:
        memory_app.fault("GET", "/queue/data", Stall(100), times=1)
        memory_app.fault("GET", "/app_id", Answer(status, b"{}"), times=100)
        now = trio.current_time()
        errors = await failures([client.submit(api_name="/story")])
        assert kinds(errors) == {ConnectionTimeout}
        assert trio.current_time() == pytest.approx(now + TIMES.max_stream_idle)


async def test_stream_arriving_during_the_check_continues(memory_app, autojump_clock):
    @memory_app.app.endpoint()
    async def work(event: Event) -> None:
        await trio.sleep(90)
        await event.completed(["done"])

    memory_app.app.heartbeat_interval = 70
    async with clean_client(memory_app) as client:
        memory_app.fault("GET", "/app_id", Silence(), times=1)
        assert await client.predict(api_name="/work") == "done"


async def test_app_is_asked_however_many_requests_wait(memory_app, autojump_clock):
    """Validators may hold all requests that make calls; that says nothing of a stream."""

    @memory_app.app.endpoint()
    async def work(event: Event) -> None:
        await trio.sleep(300)
        await event.completed(["done"])

    add_endpoints(memory_app)
    async with clean_client(memory_app, limits=Limits(requests=2)) as client:
        memory_app.fault("GET", "/queue/data", Buffered(), times=1)
        job = client.submit(api_name="/work")
        await wait_all_tasks_blocked()
        for _ in range(3):
            memory_app.fault("POST", "/queue/join", Delay(110, handled=False), times=6)
            blocking = [client.submit("x", api_name="/echo") for _ in range(6)]
            await trio.sleep(55)
        assert await job.result() == "done"
        assert [await other.result() for other in blocking] == ["x"] * 6


async def test_connection_never_made_is_given_up(memory_app, autojump_clock):
    add_endpoints(memory_app)
    async with clean_client(memory_app) as client:
        memory_app.kill_connections()
        await wait_all_tasks_blocked()  # they are closed by then
        memory_app.listener.connect_gate = trio.Event()
        now = trio.current_time()
        with pytest.raises(ConnectionFailed, match="within 10 s"):
            await client.predict("x", api_name="/echo")
        assert trio.current_time() == pytest.approx(now + TIMES.connect)
        # The server never saw it.
        assert memory_app.joins == memory_app.cancels == []
        memory_app.listener.connect_gate = None
        assert await client.predict("again", api_name="/echo") == "again"


async def test_server_taking_no_bytes_is_given_up(memory_app, autojump_clock):
    add_endpoints(memory_app)
    network = memory_app.network = SlowNetwork(memory_app)
    async with clean_client(memory_app) as client:
        network.clogged = True
        now = trio.current_time()
        with pytest.raises(ConnectionTimeout, match="accepted no data for 30 s"):
            await client.predict("x", api_name="/echo")
        # On a new connection, the app is first asked whether it is the same one.
        assert trio.current_time() - now in (TIMES.write, TIMES.write + 2 * TIMES.connect)
        network.clogged = False
        assert await client.predict("again", api_name="/echo") == "again"


@pytest.mark.parametrize("ride", RIDES)
async def test_leaving_silent_server_takes_one_cancel_request(memory_app, autojump_clock, ride):
    add_endpoints(memory_app)
    client = Client(memory_app.url, transport=memory_app.transport())
    with trio.fail_after(1000):
        with trio.CancelScope() as scope:
            async with client, client.session() as session:
                surface = client if ride == "isolated" else session
                jobs = [surface.submit(api_name="/story") for _ in range(3)]
                await wait_all_tasks_blocked()
                memory_app.fault("POST", "/queue/join", Silence())
                memory_app.fault("POST", "/cancel", Silence())
                jobs.append(surface.submit("never answered", api_name="/echo"))
                await wait_all_tasks_blocked()
                now = trio.current_time()
                scope.cancel()
        await wait_all_tasks_blocked()
    assert all(job.cancelled for job in jobs)
    assert now + TIMES.cancel <= trio.current_time() <= now + 4 * TIMES.cancel
    assert memory_app.open_connections == 0
