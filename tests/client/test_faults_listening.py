"""Every way in which the request for the event stream can go wrong: `/queue/data`.

By then the server has accepted the call, and may be at work on it.
"""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import trio

from tests.servers.faults import Answer, Delay, Fault, Lose
from tests.support.faults import (
    RIDES,
    TIMES,
    Damage,
    Wire,
    add_endpoints,
    clean_client,
    cut_after,
    failures,
    kinds,
    name_of,
    replaced_by,
    riding,
    stall_after,
)
from tests.support.sessions import hashes
from triojob import (
    AuthenticationError,
    ConnectionFailed,
    ConnectionLost,
    ConnectionTimeout,
    Limits,
    ProtocolError,
    QueueFull,
    ServerStopped,
    TooManyRequests,
    TriojobError,
    UnexpectedResponse,
    ValidationError,
)

pytestmark = pytest.mark.usefixtures("either_way")

PAGE = "<html><h1>Bad Gateway</h1></html>"
ELSEWHERE = {"location": "http://elsewhere.test/path?token=secret"}
STREAM = {"content-type": "text/event-stream"}

REFUSALS = [
    *(Answer(status, b"", ELSEWHERE) for status in (301, 302, 307, 308)),
    *(
        Answer(status, body)
        for status, body in zip(
            (403, 404, 405, 413, 500, 502, 503, 504),
            itertools.cycle((PAGE, {"detail": "Not Found"}, b"")),
            strict=False,
        )
    ),
    Answer(400, PAGE),
    Answer(422, PAGE),
    Answer(404, b"data: {}\n\n", STREAM),
    # Not what was asked for, though it says that all is well.
    Answer(200, PAGE),
    Answer(200, {"msg": "close_stream"}),
    Answer(200, b"data: {}\n\n"),
    Answer(200, "x" * 100_000),
]


@pytest.mark.parametrize("ride", RIDES)
@pytest.mark.parametrize("answer", REFUSALS, ids=name_of)
async def test_refused_stream_fails_all_waiting_calls(memory_app, autojump_clock, ride, answer):
    add_endpoints(memory_app)
    async with riding(memory_app, ride, limits=Limits(refused_for=0)) as calls:
        await calls.connect()
        now = trio.current_time()
        memory_app.fault("GET", "/queue/data", answer, times=1)
        for error in await failures(calls.start(api_name="/story")):
            assert type(error) is UnexpectedResponse
            assert error.status == answer.status
            assert "secret" not in str(error)
            assert len(str(error)) < 500
        assert trio.current_time() == now
        assert len(memory_app.joins) == calls.count
        assert {host for host, _ in memory_app.network.connects} == {"scripted.test"}
        await calls.assert_goes_on()
        assert hashes(memory_app)[-1] != hashes(memory_app)[0]


@pytest.mark.parametrize("ride", RIDES)
async def test_queue_stopped_before_the_stream_has_stopped(memory_app, autojump_clock, ride):
    add_endpoints(memory_app)
    async with riding(memory_app, ride) as calls:
        await calls.connect()
        answer = Answer(503, {"detail": "Queue is stopped."})
        memory_app.fault("GET", "/queue/data", answer, times=1)
        assert kinds(await failures(calls.start(api_name="/story"))) == {ServerStopped}
        await calls.assert_goes_on()


# Of these, users know that the server did nothing, so that calling again does no harm.
NOTHING_DONE = (
    AuthenticationError,
    ConnectionFailed,
    QueueFull,
    TooManyRequests,
    ValidationError,
)


@pytest.mark.parametrize("ride", RIDES)
@pytest.mark.parametrize(
    "answer",
    [
        Answer(400, {"detail": "Session hash not found."}),
        Answer(401, {"detail": {"error": "Not authenticated"}}),
        Answer(422, {"detail": [{"loc": ["query", "session_hash"], "msg": "Field required"}]}),
        Answer(429, b"", {"retry-after": "7"}),
        Answer(503, {"detail": "Queue is full. Max size is 1 and size is 1."}),
    ],
    ids=name_of,
)
async def test_accepted_call_never_fails_as_refused(memory_app, autojump_clock, ride, answer):
    add_endpoints(memory_app)
    async with riding(memory_app, ride, limits=Limits(refused_for=0)) as calls:
        memory_app.fault("GET", "/queue/data", answer, times=1)
        for error in await failures(calls.start(api_name="/story")):
            assert isinstance(error, TriojobError)
            assert not isinstance(error, NOTHING_DONE)
        await calls.assert_goes_on()


async def test_accepted_call_never_fails_as_unsent(memory_app, autojump_clock):
    add_endpoints(memory_app)

    async def accept_and_refuse_the_rest(stream: trio.abc.Stream, data: bytes) -> None:
        await stream.send_all(data)
        memory_app.listener.refusing = True
        raise trio.BrokenResourceError

    Wire(memory_app, "POST /queue/join", accept_and_refuse_the_rest).once = True
    async with clean_client(memory_app) as client:
        [error] = await failures([client.submit(api_name="/story")])
        assert isinstance(error, ConnectionLost)
        assert not isinstance(error, ConnectionFailed)
        assert len(memory_app.joins) == 1
        memory_app.listener.refusing = False
        assert await client.predict("again", api_name="/echo") == "again"


FAULTS: list[tuple[Fault, type[ConnectionLost], float]] = [
    *(
        (Lose(handled=handled, reset=reset), ConnectionLost, 0)
        for handled in (False, True)
        for reset in (False, True)
    ),
    (Delay(3601, handled=False), ConnectionTimeout, 3600),
    (Delay(3601), ConnectionTimeout, 3600),
]


@pytest.mark.parametrize("ride", RIDES)
@pytest.mark.parametrize("fault, kind, seconds", FAULTS)
async def test_stream_lost_before_opening_fails_waiting_calls(
    memory_app, autojump_clock, ride, fault, kind, seconds
):
    add_endpoints(memory_app)
    async with riding(memory_app, ride) as calls:
        now = trio.current_time()
        memory_app.fault("GET", "/queue/data", fault, times=1)
        assert kinds(await failures(calls.start(api_name="/story"))) == {kind}
        assert trio.current_time() == pytest.approx(now + seconds)
        assert len(memory_app.joins) == calls.count
        await calls.assert_goes_on()


HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
DAMAGES: dict[str, tuple[Damage, type[TriojobError]]] = {
    "nothing": (cut_after(0), ConnectionLost),
    "a part of the head": (cut_after(30), ConnectionLost),
    "no HTTP": (replaced_by(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"), ConnectionLost),
    "bad chunks": (replaced_by(HEAD + b"transfer-encoding: chunked\r\n\r\nzz\r\n"), ConnectionLost),
    "an empty body": (replaced_by(HEAD + b"content-length: 0\r\n\r\n"), ConnectionLost),
    "silence in the head": (stall_after(30), ConnectionTimeout),
    "one event without an end": (
        replaced_by(HEAD + b"\r\ndata: ", endless=b"x" * 1000),
        ProtocolError,
    ),
    "a refusal without an end": (
        replaced_by(b"HTTP/1.1 502 Bad Gateway\r\n\r\n", endless=b"x" * 1000),
        UnexpectedResponse,
    ),
}


@pytest.mark.parametrize("ride", RIDES)
@pytest.mark.parametrize("damage, kind", DAMAGES.values(), ids=DAMAGES)
async def test_damaged_stream_fails_all_waiting_calls(
    memory_app, autojump_clock, ride, damage, kind
):
    add_endpoints(memory_app)
    wire = Wire(memory_app, "GET /queue/data", damage)
    async with riding(memory_app, ride, limits=Limits(message_size=50_000)) as calls:
        now = trio.current_time()
        assert kinds(await failures(calls.start(api_name="/story"))) == {kind}
        assert trio.current_time() <= now + TIMES.max_stream_idle
        assert len(memory_app.joins) == calls.count
        wire.broken = False
        await calls.assert_goes_on()


@pytest.mark.parametrize("ride", RIDES)
async def test_a_stream_may_be_long_in_coming(memory_app, autojump_clock, ride):
    add_endpoints(memory_app)
    async with riding(memory_app, ride) as calls:
        memory_app.fault("GET", "/queue/data", Delay(59), times=1)
        jobs: list[Any] = calls.start("x", api_name="/echo")
        assert [await job.result() for job in jobs] == ["x"] * calls.count
