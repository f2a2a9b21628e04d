"""Answers to `/queue/join` that are damaged on their way: cut, stalled, endless, nonsense."""

from __future__ import annotations

import pytest
import trio

from tests.servers.faults import Answer
from tests.support.faults import (
    BOTH_WAYS,
    RIDES,
    TIMES,
    Damage,
    SlowNetwork,
    Wire,
    add_endpoints,
    clean_client,
    cut_after,
    failures,
    kinds,
    nothing_left_to_collect,
    replaced_by,
    riding,
    stall_after,
)
from triojob import (
    ConnectionLost,
    ConnectionTimeout,
    Limits,
    ProtocolError,
    TriojobError,
)

pytestmark = BOTH_WAYS

HTTP = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
DAMAGES: list[tuple[str, Damage, type[TriojobError]]] = [
    ("nothing", replaced_by(b""), ConnectionLost),
    ("no HTTP", replaced_by(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"), ConnectionLost),
    ("another version", replaced_by(b"HTTP/3.14 200 OK\r\n\r\n"), ConnectionLost),
    ("a bad header", replaced_by(HTTP + b"no header\r\n\r\n{}"), ConnectionLost),
    (
        "two lengths",
        replaced_by(HTTP + b"content-length: 2\r\ncontent-length: 3\r\n\r\n{}"),
        ConnectionLost,
    ),
    ("headers without an end", replaced_by(HTTP, endless=b"a: b\r\n" * 1000), ConnectionLost),
    ("bad chunks", replaced_by(HTTP + b"transfer-encoding: chunked\r\n\r\nzz\r\n"), ConnectionLost),
    ("compressed", replaced_by(HTTP + b"content-encoding: gzip\r\n\r\nx"), ProtocolError),
    ("too short a body", replaced_by(HTTP + b"content-length: 99\r\n\r\n{}"), ConnectionLost),
    ("a body without an end", replaced_by(HTTP + b"\r\n", endless=b"x" * 1000), ProtocolError),
    ("silence at once", stall_after(0), ConnectionTimeout),
    ("silence in the head", stall_after(30), ConnectionTimeout),
    ("silence in the body", stall_after(100), ConnectionTimeout),
]


@pytest.mark.parametrize("ride", RIDES)
@pytest.mark.parametrize("damage, kind", [pytest.param(*d[1:], id=d[0]) for d in DAMAGES])
async def test_a_damaged_answer_ends_its_call(memory_app, autojump_clock, ride, damage, kind):
    add_endpoints(memory_app)
    wire = Wire(memory_app, "POST /queue/join", damage)
    async with riding(memory_app, ride, limits=Limits(message_size=50_000)) as calls:
        now = trio.current_time()
        errors = await failures(calls.start(api_name="/story"))
        assert kinds(errors) == {kind}
        assert trio.current_time() <= now + TIMES.read + 1
        assert len(memory_app.joins) == calls.count
        wire.broken = False
        await calls.assert_goes_on(stream_may_stay=ride == "session")


@pytest.mark.parametrize(
    "answer",
    [
        HTTP + b"\r\nnonsense",
        HTTP + b"\r\n{}",
        b"HTTP/1.1 502 Bad Gateway\r\n\r\n<html>",
        b"HTTP/1.1 504 Gateway Timeout\r\n\r\n<html>",
    ],
)
async def test_call_accepted_by_bad_answer_is_stopped(memory_app, autojump_clock, answer):
    # A proxy gives up on an app that takes long to accept a call; the app does not.
    add_endpoints(memory_app)
    Wire(memory_app, "POST /queue/join", replaced_by(answer)).once = True
    async with clean_client(memory_app) as client:
        [error] = await failures([client.submit(api_name="/story")])
        assert isinstance(error, ProtocolError)
        await trio.sleep(TIMES.cancel)
        [event] = memory_app.events.values()
        assert event.state == "cancelled"
        assert len(memory_app.joins) == 1


async def test_answer_may_be_cut_after_any_byte(memory_app, autojump_clock):
    add_endpoints(memory_app)
    wire = Wire(memory_app, "POST /queue/join", cut_after(0))
    async with clean_client(memory_app) as client:
        results: list[str] = []
        for size in range(0, 1000, 5):
            wire.damage = cut_after(size)
            job = client.submit("text", api_name="/echo")
            await job.wait()
            error = job.exception()
            results.append(job.outcome.unwrap() if error is None else type(error).__name__)
            if results[-1] == "text":
                break
        # The connection that ends after a whole answer does no harm.
        assert len(results) > 20
        assert results == ["ConnectionLost"] * (len(results) - 1) + ["text"]
        assert len(memory_app.joins) == len(results)


async def test_break_after_headers_leaves_no_generator(memory_app, autojump_clock):
    add_endpoints(memory_app)
    network = memory_app.network = SlowNetwork(memory_app)
    memory_app.fault("GET", "/app_id", Answer(404))  # so that it is asked once
    with nothing_left_to_collect():
        async with clean_client(memory_app) as client:
            await client.predict("x", api_name="/echo")
            network.breaks_in = 1
            with pytest.raises(ConnectionLost):
                await client.predict("x", api_name="/echo")
            assert await client.predict("again", api_name="/echo") == "again"
