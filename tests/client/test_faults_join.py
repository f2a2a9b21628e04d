"""Every way in which the request that starts a call can go wrong: `/queue/join`."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests.servers.faults import Answer, Lose, Silence
from tests.support.faults import (
    RIDES,
    add_endpoints,
    clean_client,
    failures,
    kinds,
    name_of,
    riding,
)
from tests.support.sessions import hashes
from triojob import (
    AuthenticationError,
    ConnectionFailed,
    ConnectionLost,
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

ELSEWHERE = {"location": "http://elsewhere.test/path?token=secret"}
VALIDATE = {"__type__": "validate", "is_valid": False, "message": "No.", "parameter_name": "text"}
MISSING = {"type": "missing", "loc": ["body", "data"], "msg": "Field required", "input": {}}
PAGE = "<html><h1>Bad Gateway</h1></html>"

REFUSALS: list[tuple[Answer, type[TriojobError], dict[str, Any]]] = [
    *(
        (Answer(status, b"", ELSEWHERE), UnexpectedResponse, {"status": status})
        for status in (301, 302, 303, 307, 308)
    ),
    (Answer(302), UnexpectedResponse, {"status": 302}),
    (Answer(400, {"detail": "Too short."}), ValidationError, {"endpoint": "/echo"}),
    (Answer(400, PAGE), UnexpectedResponse, {"status": 400}),
    (Answer(400, {"detail": {"a": 1}}), UnexpectedResponse, {"status": 400}),
    (Answer(401, {"detail": {"error": "Not authenticated"}}), AuthenticationError, {}),
    (Answer(401, PAGE), AuthenticationError, {}),
    *(
        (Answer(status, body), UnexpectedResponse, {"status": status})
        for status, body in zip(
            (403, 404, 405, 413, 500, 501, 502, 503, 504),
            itertools.cycle((PAGE, {"detail": "Not Found"}, b"Internal Server Error", b"")),
            strict=False,
        )
    ),
    (
        Answer(422, {"detail": [VALIDATE, {"is_valid": True, "message": ""}]}),
        ValidationError,
        {"errors": {"text": "No."}, "endpoint": "/echo"},
    ),
    (
        Answer(422, {"detail": [MISSING]}),
        ValidationError,
        {"errors": {"body.data": "Field required"}, "endpoint": "/echo"},
    ),
    (Answer(422, {"detail": "No."}), UnexpectedResponse, {"status": 422}),
    (Answer(422, PAGE), UnexpectedResponse, {"status": 422}),
    (Answer(429, PAGE), TooManyRequests, {"retry_after": None}),
    (Answer(429, b"", {"retry-after": "7"}), TooManyRequests, {"retry_after": 7.0}),
    (Answer(429, b"", {"retry-after": "soon"}), TooManyRequests, {"retry_after": None}),
    (Answer(429, b"", {"retry-after": "-7"}), TooManyRequests, {"retry_after": None}),
    (
        Answer(429, b"", {"retry-after": "Fri, 31 Dec 1999 23:59:59 GMT"}),
        TooManyRequests,
        {"retry_after": None},
    ),
    (Answer(503, {"detail": "Queue is full. Max size is 1 and size is 1."}), QueueFull, {}),
    (Answer(503, {"detail": "Queue is stopped."}), ServerStopped, {}),
]


@pytest.mark.parametrize("ride", RIDES)
@pytest.mark.parametrize("answer, kind, attributes", REFUSALS, ids=name_of)
async def test_refused_call_fails_with_what_answer_says(
    memory_app, autojump_clock, ride, answer, kind, attributes
):
    add_endpoints(memory_app)
    async with riding(memory_app, ride, limits=Limits(refused_for=0)) as calls:
        now = trio.current_time()
        memory_app.fault("POST", "/queue/join", answer, times=calls.count)
        for error in await failures(calls.start("x", api_name="/echo")):
            assert type(error) is kind
            assert {name: getattr(error, name) for name in attributes} == attributes
            assert str(error).count("/echo") == 1
            assert "secret" not in str(error)
            assert len(str(error)) < 500
        assert trio.current_time() == now
        assert len(memory_app.joins) == calls.count
        # Nobody followed a redirect.
        assert {host for host, _ in memory_app.network.connects} == {"scripted.test"}
        await calls.assert_goes_on()
        # What a proxy says of a call may be wrong: the app behind it may have it.
        unsure = kind is UnexpectedResponse and answer.status >= 500 and answer.status != 503
        assert len(memory_app.cancels) == (1 if unsure else 0)


@pytest.mark.parametrize(
    "detail",
    [
        [],
        [5, None, "x", []],
        [{}],
        [{"loc": 5, "msg": "x"}],
        [{"loc": True, "msg": "x"}],
        [{"loc": "body", "msg": ["x"]}],
        [{"loc": {"body": 1}, "msg": {}}],
        [{"loc": [None, [1]], "msg": 0}],
        [{"parameter_name": ["text"], "message": {"a": 1}, "is_valid": 0}],
        [{"msg": "x" * 10_000}] * 100,
    ],
)
async def test_refusal_of_no_sense_is_still_refusal(memory_app, autojump_clock, detail):
    add_endpoints(memory_app)
    async with clean_client(memory_app) as client:
        memory_app.fault("POST", "/queue/join", Answer(422, {"detail": detail}), times=1)
        [error] = await failures([client.submit("x", api_name="/echo")])
        assert type(error) is ValidationError
        assert len(str(error)) < 1500
        assert await client.predict("again", api_name="/echo") == "again"


@pytest.mark.parametrize(
    "location",
    [
        "http:a:foo",
        "http://xn--/",
        "mailto:x",
        "http://[::1",
        "http://x:99999999/",
        "//a:b",
        "\x7f",
    ],
)
async def test_redirect_to_nowhere_harms_its_call_only(memory_app, autojump_clock, location):
    # httpx looks at the address though it is not to follow it.
    add_endpoints(memory_app)
    async with riding(memory_app, "isolated") as calls:
        [other] = await calls.under_way()
        memory_app.fault("POST", "/queue/join", Answer(302, b"", {"location": location}), times=1)
        [error] = await failures([calls.client.submit("x", api_name="/echo")])
        assert isinstance(error, TriojobError)
        assert not other.done
        other.cancel()
        await calls.assert_goes_on()


@pytest.mark.parametrize("ride", RIDES)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nonsense",
        b'{"event_id": "abc',
        b"\xff\xfe",
        b"[" * 10**6,
        PAGE,
        [],
        "null",
        {},
        {"event_id": None},
        {"event_id": 5},
        {"event_id": ["a"]},
        {"detail": "x" * 10_000},
    ],
)
async def test_acceptance_without_event_is_protocol_error(memory_app, autojump_clock, ride, body):
    add_endpoints(memory_app)
    async with riding(memory_app, ride) as calls:
        memory_app.fault("POST", "/queue/join", Answer(200, body), times=calls.count)
        errors = await failures(calls.start("x", api_name="/echo"))
        assert kinds(errors) == {ProtocolError}
        assert all("the response to /queue/join" in str(error) for error in errors)
        assert all(len(str(error)) < 400 for error in errors)
        assert len(memory_app.joins) == calls.count
        await calls.assert_goes_on()


async def test_acceptance_naming_another_event_harms_nobody(memory_app, autojump_clock):
    add_endpoints(memory_app)
    async with clean_client(memory_app) as client, client.session() as session:
        first = session.submit(api_name="/story")
        await wait_all_tasks_blocked()
        [event] = memory_app.events.values()
        body = {"event_id": event.event_id}
        memory_app.fault("POST", "/queue/join", Answer(200, body), times=1)
        second = session.submit(api_name="/story")
        await wait_all_tasks_blocked()
        await event.completed(["The end"])
        with trio.fail_after(10):
            assert await first.result() == "The end"
            [error] = await failures([second])
            assert type(error) is ProtocolError
            assert "the id of another call's event" in str(error)


@pytest.mark.parametrize("ride", RIDES)
async def test_refused_and_lost_connections_are_told_apart(memory_app, autojump_clock, ride):
    add_endpoints(memory_app)
    async with riding(memory_app, ride) as calls:
        memory_app.listener.refusing = True
        memory_app.kill_connections()
        now = trio.current_time()
        errors = await failures(calls.start("x", api_name="/echo"))
        assert kinds(errors) == {ConnectionFailed}
        assert trio.current_time() == now
        assert memory_app.joins == memory_app.cancels == []
        memory_app.listener.refusing = False
        await calls.assert_goes_on()


@pytest.mark.parametrize("ride", RIDES)
@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("handled", [False, True])
async def test_call_with_lost_answer_is_stopped_once(
    memory_app, autojump_clock, ride, handled, reset
):
    add_endpoints(memory_app)
    async with riding(memory_app, ride) as calls:
        now = trio.current_time()
        memory_app.fault("POST", "/queue/join", Lose(handled=handled, reset=reset), times=1)
        [error] = await failures([calls.surface.submit(api_name="/story")])
        assert type(error) is ConnectionLost
        assert trio.current_time() == now
        await calls.assert_goes_on(stream_may_stay=ride == "session")
        # With the id that the stream told; under a made-up one if the server has no such event.
        [cancel] = memory_app.cancels
        assert cancel["session_hash"] == hashes(memory_app)[0]
        assert (cancel["event_id"] in memory_app.events) is handled
        assert memory_app.running == []
        if ride == "isolated" and not handled:
            # What is late of that call is to meet no other.
            assert hashes(memory_app)[0] not in hashes(memory_app)[1:]
        assert [join["fn_index"] for join in memory_app.joins].count(cancel["fn_index"]) == 1


async def test_stopping_lost_call_spares_another(memory_app, autojump_clock):
    add_endpoints(memory_app)
    async with riding(memory_app, "session") as calls:
        jobs = await calls.under_way()
        memory_app.fault("POST", "/queue/join", Lose(), times=1)
        [error] = await failures([calls.surface.submit(api_name="/story")])
        assert type(error) is ConnectionLost
        await trio.sleep(100)
        assert memory_app.cancels == []
        assert not any(job.done for job in jobs)
        for job in jobs:
            job.cancel()
        await trio.sleep(100)
        assert memory_app.running == []


async def test_session_with_unnamed_event_frees_its_slot(memory_app, autojump_clock):
    # The server never closes the stream of such a session: the event stays pending there.
    add_endpoints(memory_app)
    async with (
        clean_client(memory_app, limits=Limits(streams=1)) as client,
        client.session() as session,
    ):
        memory_app.fault("POST", "/queue/join", Lose(), times=1)
        await failures([session.submit(api_name="/story")])
        assert await session.predict("x", api_name="/echo") == "x"
        with trio.fail_after(1000):
            assert await client.predict("y", api_name="/echo") == "y"


@pytest.mark.parametrize("fault", [Lose(), Silence(), Answer(200, b"nonsense")], ids=repr)
async def test_unsendable_call_names_its_endpoint(memory_app, autojump_clock, fault):
    add_endpoints(memory_app)
    async with clean_client(memory_app) as client:
        memory_app.fault("POST", "/queue/join", fault, times=1)
        [error] = await failures([client.submit("x", api_name="/echo")])
        assert "/echo" in str(error)
