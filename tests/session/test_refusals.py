"""Servers and proxies that refuse: what is sent again, for how long, and what is not."""

from __future__ import annotations

import math

import pytest
import trio

from tests.servers.faults import Answer, Lose
from tests.servers.faulty import Disconnect
from tests.servers.scripted import Event, ScriptedServer
from tests.support.sessions import add_sleeper, hashes, opened
from triojob import (
    ConnectionLost,
    JobGroup,
    Limits,
    NetworkError,
    QueueFull,
    Status,
    TooManyRequests,
    UnexpectedResponse,
    ValidationError,
)
from triojob.testing._server.http import ServerRequest, ServerResponse, StreamedResponse

HTML = "<html><head><title>503 Busy</title></head>" + "<p>x</p>" * 500
PAGE = Answer(503, HTML, {"content-type": "text/html"})
SLOW_DOWN = Answer(429, b"", {"retry-after": "7"})


@pytest.fixture
def app(memory_app: ScriptedServer) -> ScriptedServer:
    add_sleeper(memory_app)
    return memory_app


@pytest.mark.parametrize("path", ["/queue/join", "/queue/data"])
@pytest.mark.parametrize("answer", [PAGE, SLOW_DOWN], ids=["503", "429"])
async def test_what_is_refused_is_asked_for_again(app, autojump_clock, path, answer):
    app.fault("POST" if path == "/queue/join" else "GET", path, answer, times=2)
    async with opened(app) as client:
        start = trio.current_time()
        assert await client.predict(1, api_name="/sleep") == 1
        waited = trio.current_time() - start
    assert len(app.events) == 1
    assert waited >= (14 if answer is SLOW_DOWN else 1)


async def test_a_refused_call_is_starting_again(app, autojump_clock):
    app.fault("POST", "/queue/join", SLOW_DOWN, times=1)
    async with opened(app) as client:
        job = client.submit(1, api_name="/sleep")
        await trio.sleep(1)
        assert job.status().code is Status.STARTING
        assert client.statistics().in_flight == 0
        assert await job.result() == 1


@pytest.mark.parametrize("path", ["/queue/join", "/queue/data"])
async def test_wait_is_bounded_and_error_names_status(app, autojump_clock, caplog, path):
    app.fault("POST" if path == "/queue/join" else "GET", path, PAGE)
    caplog.set_level("DEBUG", "triojob")
    async with opened(app, limits=Limits(refused_for=20)) as client:
        start = trio.current_time()
        with pytest.raises(
            UnexpectedResponse, match=r"the server responded with status 503: 503 Busy$"
        ) as caught:
            await client.predict(1, api_name="/sleep")
        assert 10 < trio.current_time() - start <= 20
        assert caught.value.status == 503
    assert "<p>" not in caplog.text


async def test_full_app_queue_is_said_immediately(app, autojump_clock):
    full = Answer(503, {"detail": "Queue is full. Max size is 1 and size is 1."})
    app.fault("POST", "/queue/join", full)
    async with opened(app) as client:
        with pytest.raises(QueueFull):
            await client.predict(1, api_name="/sleep")
    assert trio.current_time() == 0


async def test_a_reset_call_is_not_sent_again(app, autojump_clock):
    """Nobody knows whether the server has it."""
    app.fault("POST", "/queue/join", Lose(reset=True), times=3)
    async with opened(app) as client:
        for size in (16, 16, 8):  # two may be chance
            with pytest.raises(ConnectionLost):
                await client.predict(1, api_name="/sleep")
            assert client.statistics().windows["/sleep"].size == size
    assert app.paths().count("POST /queue/join") == 3


async def test_missing_server_is_said_immediately(app, autojump_clock):
    async with opened(app) as client:
        assert await client.predict(0, api_name="/sleep") == 0
        await trio.sleep(10)
        app.die()
        async with JobGroup() as group:
            jobs = [group.submit(client.endpoint("/sleep"), 0) for _ in range(30)]
            start = trio.current_time()
            errors = [await job.wait() or job.exception() for job in jobs]
        assert trio.current_time() == start
        assert all(isinstance(error, NetworkError) for error in errors)


async def test_connections_beyond_limit_are_too_many(app, autojump_clock):
    async with opened(app) as client, JobGroup() as group:
        first = group.submit(client.endpoint("/sleep"), 20)
        await trio.sleep(10)
        app.listener.refusing = True
        second = group.submit(client.endpoint("/sleep"), 1)
        await trio.sleep(3)
        assert second.status().code is Status.STARTING
        app.listener.refusing = False
        assert await second.result() == 1
        assert await first.result() == 20


async def test_cancelled_refused_call_is_never_sent(app, autojump_clock):
    app.fault("POST", "/queue/join", SLOW_DOWN, times=1)
    async with opened(app) as client, client.session() as session:
        for surface in (client, session):
            job = surface.submit(1, api_name="/sleep")
            await trio.sleep(1)
            job.cancel()
            await job.wait()
            await trio.sleep(20)
            app.fault("POST", "/queue/join", SLOW_DOWN, times=1)
        assert app.cancels == []
    assert not app.events


@pytest.mark.parametrize("via", ["run", "call"])
async def test_other_protocols_calls_are_resent_too(app, autojump_clock, via):
    async with opened(app, limits=Limits(refused_for=5)) as client:
        path = f"/{via}/sleep"
        app.fault("POST", path, SLOW_DOWN)
        with pytest.raises(TooManyRequests):
            await client.endpoint("/sleep", via=via)(1)  # type: ignore[arg-type]
        assert app.paths().count(f"POST {path}") == 1  # five seconds are too few
        app.clear_faults()
        app.fault("POST", path, PAGE, times=2)
        app.fault("POST", path, Answer(400, {"detail": "here"}))
        with pytest.raises(ValidationError, match="here"):
            await client.endpoint("/sleep", via=via)(1)  # type: ignore[arg-type]
        assert app.paths().count(f"POST {path}") == 4


async def test_a_limit_on_connections_loses_no_call(app, autojump_clock):
    """As a proxy's: whoever comes when so many are there is refused."""

    async def nap(event: Event) -> None:
        await trio.sleep(1)
        await event.completed([event.data[0]])

    app.app.add("nap", nap, inputs=["text"], concurrency_limit=None)
    handle = app.handle

    async def limited(request: ServerRequest) -> ServerResponse | StreamedResponse:
        if request.path == "/queue/join" and len(app.running) >= 5:
            return ServerResponse(503, b"busy")
        return await handle(request)

    app.handle = limited  # type: ignore[method-assign]
    async with opened(app) as client, JobGroup() as group:
        jobs = [group.submit(client.endpoint("/nap"), f"{n}") for n in range(100)]
        assert [await job.result() for job in jobs] == [f"{n}" for n in range(100)]
        assert client.statistics().windows["/nap"].size <= 6
    assert len(app.events) == 100


async def test_refused_call_keeps_session_without_stream(app, autojump_clock):
    app.fault("POST", "/queue/join", SLOW_DOWN, times=1)
    async with opened(app, limits=Limits(streams=1)) as client:
        refused = client.submit(1, api_name="/sleep")
        await trio.sleep(1)
        others = [client.submit(number, api_name="/sleep") for number in (2, 3)]
        assert [await job.result() for job in (*others, refused)] == [2, 3, 1]
    first, *between, last = hashes(app)
    assert first == last
    assert first not in between


@pytest.mark.parametrize("told", [True, False])
async def test_complete_reset_stream_is_fine(app, autojump_clock, told):
    """Gradio says each message once; a second stream has heartbeats alone then."""
    handle, streams = app.handle, -math.inf

    async def resetting(request: ServerRequest) -> ServerResponse | StreamedResponse:
        nonlocal streams
        answer = await handle(request)
        if request.path.startswith("/queue/data"):
            streams += 1
            if streams == 1:
                assert not isinstance(answer, ServerResponse)
                if told:
                    async for _ in answer.frames():
                        pass
                raise Disconnect(reset=True)
        return answer

    app.handle = resetting  # type: ignore[method-assign]
    async with opened(app) as client:
        held = client.submit(100, api_name="/sleep")
        await trio.sleep(1)
        streams = 0
        start = trio.current_time()
        job = client.submit(0, api_name="/sleep")
        if told:
            with pytest.raises(ConnectionLost, match="the server's messages about /sleep are lost"):
                await job.result()
            assert trio.current_time() - start < 20  # a heartbeat comes after 15 s
        else:
            assert await job.result() == 0
        assert await client.predict(1, api_name="/sleep") == 1
        assert await held.result() == 100
    assert len(app.events) == 3


async def test_reset_stream_of_call_is_lost(app, autojump_clock):
    """`/call` tells nothing of a call that waits, so nobody can say what was lost."""
    app.fault("POST", "/call/sleep", Answer(200, {"event_id": "e1"}))
    app.fault("GET", "/call/sleep/e1", Lose(handled=False, reset=True))
    async with opened(app) as client, JobGroup() as group:
        group.submit(client.endpoint("/sleep"), 10)
        await trio.sleep(1)
        with pytest.raises(ConnectionLost):
            await client.endpoint("/sleep", via="call")(1)
    assert app.paths().count("GET /call/sleep/e1") == 1
