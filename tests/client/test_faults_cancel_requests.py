"""Every way in which telling the server of a cancellation can go wrong: `/cancel`.

The job has ended by then, so nobody is there to be told but the log.
"""

from __future__ import annotations

import itertools
import re
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests.servers.faults import Answer, Delay, Fault, Lose, Silence
from tests.support.faults import (
    RIDES,
    TIMES,
    Damage,
    Wire,
    add_endpoints,
    clean_client,
    cut_after,
    name_of,
    replaced_by,
    riding,
    stall_after,
)
from tests.support.sessions import hashes
from triojob import Client, JobCancelled, Limits

pytestmark = pytest.mark.usefixtures("either_way")

PAGE = "<html><h1>Bad Gateway</h1></html>"
ELSEWHERE = {"location": "http://elsewhere.test/path?token=secret"}

FAULTS: list[Fault] = [
    *(Lose(handled=handled, reset=reset) for handled in (False, True) for reset in (False, True)),
    Silence(handled=False),
    Silence(),
    Delay(6, handled=False),
    Delay(6),
    *(Answer(status, b"", ELSEWHERE) for status in (301, 302, 307)),
    *(
        Answer(status, body)
        for status, body in zip(
            (400, 401, 403, 413, 422, 500, 502, 503),
            itertools.cycle((PAGE, {"detail": "x" * 10_000}, b"")),
            strict=False,
        )
    ),
    Answer(422, {"detail": [{"loc": ["body", "event_id"], "msg": "Input should be text"}]}),
    Answer(422, {"detail": [{"loc": 5}]}),
    Answer(429, b"", {"retry-after": "7"}),
    Answer(503, {"detail": "Queue is full."}),
    Answer(503, {"detail": "Queue is stopped."}),
    Answer(302, b"", {"location": "http:a:foo"}),
]

HARMLESS: list[Fault] = [
    Delay(4),
    Answer(200, b""),
    Answer(200, PAGE),
    Answer(200, {"success": False}),
]


async def cancel_all(jobs: list[Any]) -> None:
    """Cancel jobs; show that they end at once."""
    now = trio.current_time()
    for job in jobs:
        job.cancel()
    for job in jobs:
        with pytest.raises(JobCancelled):
            await job.result()
    assert trio.current_time() == now


@pytest.mark.parametrize("ride", RIDES)
@pytest.mark.parametrize("fault", FAULTS, ids=name_of)
async def test_cancel_request_that_fails_fails_nothing_else(
    memory_app, autojump_clock, caplog, ride, fault
):
    add_endpoints(memory_app)
    async with riding(memory_app, ride) as calls:
        jobs = await calls.under_way()
        memory_app.fault("POST", "/cancel", fault)
        await cancel_all(jobs)
        await trio.sleep(calls.count * TIMES.cancel + 1)
        asked = memory_app.paths().count("POST /cancel")
        assert asked == calls.count
        # It is said in the log, with the endpoint's name and without what is secret.
        assert len(caplog.messages) == calls.count
        for message in caplog.messages:
            assert re.match(
                r"#\d+ /story: (a cancel request failed|no response to a cancel)", message
            )
            assert hashes(memory_app)[0] not in message
            assert "secret" not in message
            assert len(message) < 500
        memory_app.clear_faults()
        await calls.assert_goes_on(stream_may_stay=ride == "session")
        if ride == "isolated":
            # The server may still be at work in that session: nobody is to meet it there.
            assert hashes(memory_app)[0] not in hashes(memory_app)[1:]
        # Nothing was sent a second time.
        assert memory_app.paths().count("POST /cancel") == asked


@pytest.mark.parametrize("ride", RIDES)
@pytest.mark.parametrize("fault", HARMLESS, ids=name_of)
async def test_answered_cancel_request_is_over(memory_app, autojump_clock, caplog, ride, fault):
    add_endpoints(memory_app)
    async with riding(memory_app, ride) as calls:
        jobs = await calls.under_way()
        memory_app.fault("POST", "/cancel", fault)
        await cancel_all(jobs)
        await trio.sleep(calls.count * TIMES.cancel)
        assert caplog.messages == []
        memory_app.clear_faults()
        await calls.assert_goes_on(stream_may_stay=ride == "session")


HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
DAMAGES: dict[str, Damage] = {
    "nothing": cut_after(0),
    "a part of the head": cut_after(30),
    "no HTTP": replaced_by(b"nonsense\r\n\r\n"),
    "too short a body": replaced_by(HEAD + b"content-length: 99\r\n\r\n{}"),
    "silence in the head": stall_after(30),
    "a body without an end": replaced_by(HEAD + b"\r\n", endless=b"x" * 1000),
    "a slow body without an end": replaced_by(HEAD + b"\r\n", endless=b"x", interval=1),
}


@pytest.mark.parametrize("ride", RIDES)
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
async def test_damaged_answer_to_cancel_request_blocks_nobody(
    memory_app, autojump_clock, caplog, ride, damage
):
    add_endpoints(memory_app)
    wire = Wire(memory_app, "POST /cancel", damage)
    async with riding(memory_app, ride, limits=Limits(message_size=50_000)) as calls:
        await cancel_all(await calls.under_way())
        await trio.sleep(calls.count * TIMES.cancel + 1)
        assert len(caplog.messages) == calls.count
        wire.broken = False
        await calls.assert_goes_on()


@pytest.mark.parametrize("ride", RIDES)
async def test_cancel_requests_continue_after_a_404(memory_app, autojump_clock, ride):
    # Old servers have no such route, but this one says in /config how new it is.
    add_endpoints(memory_app)
    async with riding(memory_app, ride) as calls:
        jobs = await calls.under_way()
        memory_app.fault("POST", "/cancel", Answer(404, PAGE), times=calls.count)
        await cancel_all(jobs)
        await trio.sleep(calls.count * TIMES.cancel + 1)
        job = calls.surface.submit(api_name="/story")
        await wait_all_tasks_blocked()
        await cancel_all([job])
        await trio.sleep(TIMES.cancel)
        assert list(memory_app.events.values())[-1].state == "cancelled"


@pytest.mark.parametrize("ride", RIDES)
async def test_cancel_request_to_dead_server_fails_nothing(memory_app, autojump_clock, ride):
    add_endpoints(memory_app)
    async with riding(memory_app, ride) as calls:
        jobs = await calls.under_way()
        memory_app.die()
        for job in jobs:
            job.cancel()  # at the very moment at which the stream breaks
            await job.wait()
            job.exception()
        memory_app.restart()
        await calls.assert_goes_on()


async def test_same_function_waits_for_cancel_request(memory_app, autojump_clock):
    # If it joined before, the cancel request would stop it too.
    add_endpoints(memory_app)
    async with clean_client(memory_app) as client, client.session() as session:
        job = session.submit(api_name="/story")
        await wait_all_tasks_blocked()
        memory_app.fault("POST", "/cancel", Silence(handled=False), times=1)
        now = trio.current_time()
        job.cancel()
        await wait_all_tasks_blocked()
        next_one = session.submit(api_name="/story")
        assert await session.predict("x", api_name="/echo") == "x"
        assert trio.current_time() == now
        async for output in next_one:
            assert output == "Once"
            break
        assert trio.current_time() == pytest.approx(now + TIMES.cancel)
        next_one.cancel()


@pytest.mark.parametrize("ride", RIDES)
@pytest.mark.parametrize("fault", [Silence(handled=False), Silence(), Lose()])
async def test_leaving_client_waits_briefly_for_cancel_requests(
    memory_app, autojump_clock, ride, fault
):
    add_endpoints(memory_app)
    memory_app.fault("POST", "/cancel", fault)
    with trio.fail_after(100):
        client = Client(memory_app.url, transport=memory_app.transport())
        async with client, client.session() as session:
            surface = client if ride == "isolated" else session
            jobs = [surface.submit(api_name="/story") for _ in range(3)]
            await wait_all_tasks_blocked()
            now = trio.current_time()
            for job in jobs:
                job.cancel()
    assert trio.current_time() <= now + TIMES.cancel + 0.1
    assert memory_app.paths().count("POST /cancel") == 3
    await wait_all_tasks_blocked()
    assert memory_app.open_connections == 0
