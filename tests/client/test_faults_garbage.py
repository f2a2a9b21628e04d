"""Event streams with garbage in them: what can't be decoded fails all that ride on the stream."""

from __future__ import annotations

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests.servers.scripted import Event, ScriptedServer
from tests.support.faults import (
    RIDES,
    add_endpoints,
    clean_client,
    failures,
    kinds,
    riding,
)
from tests.support.sessions import hashes
from triojob import ConnectionLost, Limits, ProtocolError, ServerStopped

pytestmark = pytest.mark.usefixtures("either_way")

GARBAGE = {
    "no JSON": b"data: nonsense\n\n",
    "nothing": b"data:\n\n",
    "a part of a message": b'data: {"msg": "log", "event_id"\n\n',
    "two messages": b'data: {"msg": "heartbeat"}{"msg": "heartbeat"}\n\n',
    "a list": b'data: [{"msg": "heartbeat"}]\n\n',
    "text": b'data: "process_completed"\n\n',
    "null": b"data: null\n\n",
    "a number with too many digits": b'data: {"msg": ' + b"9" * 10_000 + b"}\n\n",
    "nested too deeply": b'data: {"msg": ' + b"[" * 10**6 + b"]" * 10**6 + b"}\n\n",
    "no UTF-8": b'data: {"msg": "log", "log": "\xff"}\n\n',
    "a torn character": 'data: {"msg": "log", "log": "\u20ac'.encode()[:-1] + b'"}\n\n',
    "UTF-16": b"data: " + '{"msg": "log"}'.encode("utf-16-le") + b"\n\n",
    "Latin-1": b'data: {"msg": "log", "log": "\xe9t\xe9"}\n\n',
    "a web page": b"data: <html>\ndata: <h1>502 Bad Gateway</h1>\n\n",
}

NOBODYS = {
    "no msg": b'data: {"event_id": null}\n\n',
    "msg is a number": b'data: {"msg": 5, "event_id": null}\n\n',
    "msg is null": b'data: {"msg": null}\n\n',
    "msg is a list": b'data: {"msg": ["log"]}\n\n',
    "event_id is a number": b'data: {"msg": "log", "event_id": 5}\n\n',
    "event_id is an object": b'data: {"msg": "log", "event_id": {"a": 1}}\n\n',
    "event_id is false": b'data: {"msg": "log", "event_id": false}\n\n',
}
"""Objects that are no messages, and name no call."""

HARMLESS = {
    "a comment": b": keep alive\n\n",
    "blank lines": b"\n\n\r\n\r\r\n",
    "other fields": b"event: log\nid: 7\nretry: 10\nnonsense: 1\nwithout a colon\n\n",
    "an event without data": b"event: ping\n\n",
    "other line ends": b'data: {"msg": "heartbeat"}\r\n\r\ndata: {"msg": "heartbeat"}\r\r',
    "a message in two lines": b'data: {"msg":\ndata: "heartbeat"}\n\n',
    "no space": b'data:{"msg":"heartbeat"}\n\n',
    "much space": b'data:   {"msg":  "heartbeat"}  \n\n',
    "no event_id": b'data: {"msg": "process_starts", "eta": "soon"}\n\n',
    "an event_id of null": b'data: {"msg": "process_completed", "event_id": null}\n\n',
    "an unknown event": b'data: {"msg": "process_completed", "event_id": "nobody"}\n\n',
    "an unknown kind": b'data: {"msg": "new", "event_id": null, "x": [1]}\n\n',
}


def add_trap(server: ScriptedServer, data: bytes) -> None:
    """Add what puts bytes into its stream, and then completes; and what waits beside it."""
    add_endpoints(server)

    @server.app.endpoint()
    async def trap(event: Event) -> None:
        await event.raw(data)
        await event.completed(["completed"])


def assert_shows(error: BaseException, data: bytes) -> None:
    """Show that an error says what the server sent, cut short."""
    assert type(error) is ProtocolError
    sent = b"\n".join(line[5:].lstrip(b" ") for line in data.splitlines())
    assert sent.strip()[:20].decode(errors="replace") in str(error)
    assert len(str(error)) < 400


@pytest.mark.parametrize("name", GARBAGE)
async def test_undecodable_data_fails_all_on_the_stream(memory_app, autojump_clock, name):
    add_trap(memory_app, GARBAGE[name])
    async with riding(memory_app, "session") as calls:
        jobs = await calls.under_way()
        now = trio.current_time()
        jobs.append(calls.surface.submit(api_name="/trap"))
        for error in await failures(jobs):
            assert_shows(error, GARBAGE[name])
        assert trio.current_time() == now
        assert len(memory_app.joins) == calls.count + 1
        await calls.assert_goes_on()
        assert hashes(memory_app)[0] != hashes(memory_app)[-2]
        # The stream was closed, by which the server knows that nobody listens.
        assert not any(event.alive for event in memory_app.running)


@pytest.mark.parametrize("ride", RIDES)
@pytest.mark.parametrize("name", NOBODYS)
async def test_what_names_no_call_fails_none(memory_app, autojump_clock, caplog, name, ride):
    add_trap(memory_app, NOBODYS[name])
    async with riding(memory_app, ride) as calls:
        jobs = calls.start(api_name="/trap")
        assert [await job.result() for job in jobs] == ["completed"] * calls.count
        assert "for an unknown call" in caplog.text


@pytest.mark.parametrize("name", GARBAGE)
async def test_undecodable_data_spares_other_streams(memory_app, autojump_clock, name):
    add_trap(memory_app, GARBAGE[name])
    async with riding(memory_app, "isolated") as calls:
        [other] = await calls.under_way()
        [error] = await failures([calls.client.submit(api_name="/trap")])
        assert_shows(error, GARBAGE[name])
        assert not other.done
        other.cancel()
        await calls.assert_goes_on()


GARBLED = {
    "nested too deeply": b'{"msg":"%s","event_id":"%s","output":'
    + b"[" * 10**5
    + b"]" * 10**5
    + b"}",
    "no UTF-8": b'{"msg":"%s","event_id":"%s","output":{"data":["\xff"]}}',
    "too many digits": b'{"msg": "%s", "event_id": "%s", "output": ' + b"9" * 10_000 + b"}",
    "cut off": b'{"msg":"%s","event_id":"%s","output":{"data":["event_id',
    "msg is a number": b'{"was":"%s","msg":5,"event_id":"%s"}',
    "msg is a list": b'{"msg":["%s"],"event_id":"%s"}',
    "no msg": b'{"was":"%s","event_id":"%s"}',
}


@pytest.mark.parametrize("kind", ["log", "process_generating", "process_completed"])
@pytest.mark.parametrize("name", GARBLED)
async def test_garbage_naming_its_call_fails_only_that(memory_app, autojump_clock, name, kind):
    add_endpoints(memory_app)

    @memory_app.app.endpoint()
    async def trap(event: Event) -> None:
        await event.raw(
            b"data: " + GARBLED[name] % (kind.encode(), event.event_id.encode()) + b"\n\n"
        )
        await event.completed(["completed"])

    async with riding(memory_app, "session") as calls:
        jobs = await calls.under_way()
        [error] = await failures([calls.surface.submit(api_name="/trap")])
        assert type(error) is ProtocolError
        assert "/trap" in str(error)
        assert len(str(error)) < 400
        assert not any(job.done for job in jobs)
        assert await calls.surface.predict("x", api_name="/echo") == "x"
        assert memory_app.streams.made == 1
        for job in jobs:
            job.cancel()
        await calls.assert_goes_on()


@pytest.mark.parametrize("kind", ["process_generating", "process_completed"])
async def test_too_large_event_fails_only_its_call(memory_app, autojump_clock, kind):
    add_endpoints(memory_app)

    @memory_app.app.endpoint()
    async def trap(event: Event) -> None:
        await event.send({"msg": kind, "output": {"data": ["x" * 100_000]}, "success": True})
        await event.completed(["completed"])

    limits = Limits(message_size=50_000)
    async with riding(memory_app, "session", limits=limits) as calls:
        jobs = await calls.under_way()
        [error] = await failures([calls.surface.submit(api_name="/trap")])
        assert type(error) is ProtocolError
        assert "/trap" in str(error)
        assert "more than 50000 bytes (Limits.message_size" in str(error)
        assert not any(job.done for job in jobs)
        assert await calls.surface.predict("x", api_name="/echo") == "x"
        assert memory_app.streams.made == 1
        for job in jobs:
            job.cancel()
        await calls.assert_goes_on()


@pytest.mark.parametrize("ride", RIDES)
@pytest.mark.parametrize("name", HARMLESS)
async def test_messages_for_nobody_are_passed_over(memory_app, autojump_clock, ride, name):
    add_trap(memory_app, HARMLESS[name])
    async with riding(memory_app, ride) as calls:
        jobs = calls.start(api_name="/trap")
        assert [await job.result() for job in jobs] == ["completed"] * calls.count


@pytest.mark.parametrize("ride", RIDES)
@pytest.mark.parametrize(
    "start, part",
    [
        pytest.param(b'data: {"msg": "', b"x" * 1000, id="a line without an end"),
        pytest.param(b"", b"data: " + b"x" * 994 + b"\n", id="lines without an end"),
        pytest.param(b": ", b"x" * 1000, id="a comment without an end"),
        pytest.param(b"", b"id: " + b"x" * 995 + b"\n", id="fields without an end"),
    ],
)
async def test_endless_event_is_given_up_when_large(memory_app, autojump_clock, ride, start, part):
    add_endpoints(memory_app)
    memory_app.app.heartbeat_interval = 10**6  # a heartbeat would end the event
    sent = 0

    @memory_app.app.endpoint()
    async def flood(event: Event) -> None:
        nonlocal sent
        if start:
            await event.raw(start)
        while event.alive:
            await event.raw(part)
            sent += 1
            await trio.sleep(1)

    async with riding(memory_app, ride, limits=Limits(message_size=50_000)) as calls:
        now = trio.current_time()
        errors = await failures([calls.surface.submit(api_name="/flood")])
        assert kinds(errors) == {ProtocolError}
        assert "more than 50000 bytes (Limits.message_size" in str(errors[0])
        assert len(str(errors[0])) < 400
        assert trio.current_time() <= now + 52
        await calls.assert_goes_on()
        assert sent <= 55


@pytest.mark.parametrize("ride", RIDES)
async def test_message_may_reach_the_allowed_size(memory_app, autojump_clock, ride):
    add_endpoints(memory_app)
    async with riding(memory_app, ride, limits=Limits(message_size=50_000)) as calls:
        text = "x" * 49_000
        jobs = calls.start(text, api_name="/echo")
        assert [await job.result() for job in jobs] == [text] * calls.count
        for error in await failures(calls.start("x" * 50_001, api_name="/echo")):
            assert type(error) is ProtocolError
        await calls.assert_goes_on()


UNEXPECTED = [
    ('"message": "Server stopped unexpectedly."', ServerStopped, "Server stopped"),
    ('"message": "404: Not Found", "session_not_found": true', ConnectionLost, "session"),
    ('"message": "out of memory"', ConnectionLost, "out of memory"),
    ('"message": null', ConnectionLost, "no reason given"),
    ('"message": 5, "session_not_found": 0', ConnectionLost, "5"),
    ('"message": {"a": ["stopped"]}', ServerStopped, "stopped"),
    ('"message": "' + "x" * 10_000 + '"', ConnectionLost, "xxx"),
]


@pytest.mark.parametrize("ride", RIDES)
@pytest.mark.parametrize("fields, kind, words", UNEXPECTED)
async def test_unexpected_error_is_everybodys_on_stream(
    memory_app, autojump_clock, ride, fields, kind, words
):
    add_endpoints(memory_app)
    async with riding(memory_app, ride) as calls:
        jobs = await calls.under_way()
        data = f'data: {{"msg": "unexpected_error", "event_id": null, {fields}}}\n\n'
        memory_app.post(hashes(memory_app)[0], data.encode())
        for error in await failures(jobs):
            assert type(error) is kind
            assert words in str(error)
            assert len(str(error)) < 400
        await calls.assert_goes_on()


@pytest.mark.parametrize("ride", RIDES)
async def test_stopped_queue_ends_calls_and_refuses_next(memory_app, autojump_clock, ride):
    add_endpoints(memory_app)
    async with riding(memory_app, ride) as calls:
        jobs = await calls.under_way()
        memory_app.queue.stopped = True
        # The server looks for it only every so often.
        with trio.fail_after(15):
            assert kinds(await failures(jobs)) == {ServerStopped}
        assert kinds(await failures(calls.start("x", api_name="/echo"))) == {ServerStopped}
        memory_app.queue.stopped = False
        await calls.assert_goes_on()


async def test_session_that_server_forgot_is_lost_connection(memory_app, autojump_clock):
    add_endpoints(memory_app)

    @memory_app.app.endpoint()
    async def forget(event: Event) -> None:
        memory_app.queue.clean_session(event.session_hash)
        await trio.sleep_forever()

    async with clean_client(memory_app) as client:
        # Forgotten before the stream is opened, or else there would be nobody to say so.
        [error] = await failures([client.submit(api_name="/forget")])
        await wait_all_tasks_blocked()
        assert type(error) is ConnectionLost
        assert "no longer knows this session" in str(error)
        assert await client.predict("again", api_name="/echo") == "again"
