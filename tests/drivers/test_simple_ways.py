"""The ways around the queue, `/run` and `/call`, when things go wrong."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Literal

import httpx
import pytest
import trio
import trio.testing

from tests.drivers.peer import SECONDS, Peer, reply
from triojob import (
    AppError,
    AuthenticationError,
    Client,
    ConnectionFailed,
    ConnectionLost,
    Job,
    JobCancelled,
    JobGroup,
    Limits,
    ProtocolError,
    Retry,
    ServerRestarted,
    ServerStopped,
    Status,
    TooManyRequests,
    TriojobError,
    UnexpectedResponse,
)

CALL = "/call/count"
EVENTS = "/call/count/e1"


@asynccontextmanager
async def called(
    peer: Peer, via: Literal["run", "call"], name: str = "/count"
) -> AsyncIterator[tuple[Client, Job[Any]]]:
    with trio.fail_after(10 * SECONDS):
        async with Client(peer.url, transport=peer) as client, JobGroup() as group:
            yield client, group.submit(client.endpoint(name, via=via), 3)


async def assert_ended(client: Client, job: Job[Any]) -> None:
    with pytest.raises(JobCancelled):
        await job.result()
    await trio.testing.wait_all_tasks_blocked()
    assert f" 0/{client.limits.streams} streams" in repr(client)


# --- /run ---


async def test_run(autojump_clock: Any) -> None:
    peer = Peer("4.31.5")
    peer.says("/run/count", {"data": ["0"], "is_generating": True})
    async with called(peer, "run") as (_, job):
        assert await job.result() == "0"
    assert peer.bodies["/run/count"][0]["data"] == [3]


async def test_run_that_is_cancelled(autojump_clock: Any) -> None:
    peer = Peer("4.31.5")
    peer.hangs("/run/count")
    async with called(peer, "run") as (client, job):
        await peer.asked("/run/count")
        job.cancel()
        await assert_ended(client, job)
    assert set(peer.bodies) == {"/run/count"}


async def test_run_takes_as_long_as_it_takes(autojump_clock: Any) -> None:
    peer = Peer("4.31.5")
    peer.hangs("/run/count")
    async with called(peer, "run") as (_, job):
        await trio.sleep(5 * SECONDS)
        assert not job.done
        job.cancel()


@pytest.mark.parametrize(
    "value, status, error",
    [
        ({"error": "boom"}, 500, AppError),
        ({"error": None}, 500, AppError),
        ({"detail": "no"}, 500, ProtocolError),
        ({"detail": "Not Found"}, 404, ProtocolError),
        ({"data": 3}, 200, ProtocolError),
        ({"data": []}, 200, ProtocolError),
        ([], 200, ProtocolError),
        ({}, 401, TriojobError),
    ],
)
async def test_run_that_goes_wrong(value, status, error, autojump_clock):
    peer = Peer("4.31.5")
    peer.says("/run/count", value, status=status)
    async with called(peer, "run") as (client, job):
        with pytest.raises(error):
            await job.result()
        await trio.testing.wait_all_tasks_blocked()
        assert f" 0/{client.limits.streams} streams" in repr(client)


# --- What calls have of their client ---


@pytest.mark.parametrize("cancelled", [False, True])
async def test_session_is_reused_unless_run_was_cancelled(cancelled, autojump_clock):
    peer = Peer("4.31.5")
    peer.says("/run/count", {"data": ["0"]})
    with trio.fail_after(SECONDS):
        async with Client(peer.url, transport=peer) as client, JobGroup() as group:
            count = client.endpoint("/count", via="run")
            assert await count(3) == "0"
            if cancelled:
                peer.hangs("/run/count")
            job = group.submit(count, 3)
            await peer.asked("/run/count", 2)
            if cancelled:
                job.cancel()
                peer.says("/run/count", {"data": ["0"]})
            await job.wait()
            assert await count(3) == "0"
    first, second, third = (body["session_hash"] for body in peer.bodies["/run/count"])
    assert first == second
    assert (third != first) == cancelled


async def test_run_waits_for_place_in_budget(autojump_clock: Any) -> None:
    peer = Peer("4.31.5")
    under_way = most = 0

    async def answer(_peer: Peer, _body: Any) -> Any:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await trio.sleep(1)
        under_way -= 1
        return reply({"data": ["0"]})

    peer.answers["/run/count"] = answer
    with trio.fail_after(SECONDS):
        async with (
            Client(peer.url, transport=peer, limits=Limits(streams=2)) as client,
            client.session() as session,
            JobGroup() as group,
        ):
            for surface in (client, session, client, session, client, session):
                group.submit(surface.endpoint("/count", via="run"), 3)
            await trio.testing.wait_all_tasks_blocked()
            assert client.statistics().streams == 2
    assert len(peer.bodies["/run/count"]) == 6
    assert most == 2


async def test_waiting_runs_end_with_session(autojump_clock: Any) -> None:
    peer = Peer("4.31.5")
    peer.hangs("/run/count")
    with trio.fail_after(SECONDS):
        async with (
            Client(peer.url, transport=peer, limits=Limits(streams=1)) as client,
            JobGroup() as group,
        ):
            async with client.session() as session:
                count = session.endpoint("/count", via="run")
                jobs = [group.submit(count, 3) for _ in range(3)]
                await peer.asked("/run/count")
                await trio.testing.wait_all_tasks_blocked()
            for number, job in enumerate(jobs):
                with pytest.raises(JobCancelled, match="its session has ended"):
                    await job.result()
                codes = [getattr(update, "code", None) async for update in job.updates()]
                assert (Status.JOINING_QUEUE in codes) == (number == 0)
            await trio.testing.wait_all_tasks_blocked()
            assert len(peer.bodies["/run/count"]) == 1
            assert client.statistics().streams == 0
            peer.says("/run/count", {"data": ["0"]})
            assert await client.endpoint("/count", via="run")(3) == "0"


async def lose(_peer: Peer, _body: Any) -> Any:
    raise httpx.ReadError("reset by peer")


@pytest.mark.parametrize(
    "status, value, error, looks",
    [
        pytest.param(None, None, ConnectionLost, 2, id="lost"),
        (404, {"detail": "Not Found"}, UnexpectedResponse, 2),
        (401, {"detail": "Not authenticated"}, AuthenticationError, 2),
        (429, {"detail": "slow down"}, TooManyRequests, 1),
        (500, {"error": "boom"}, AppError, 1),
        (200, {"data": 3}, ProtocolError, 1),
    ],
)
async def test_failed_run_checks_the_app_next(status, value, error, looks, autojump_clock):
    peer = Peer("4.31.5")
    # An app that doesn't tell its id is asked once, and then if it is suspect.
    peer.says("/app_id", {"detail": "Not Found"}, status=404)
    with trio.fail_after(SECONDS):
        async with Client(peer.url, transport=peer, limits=Limits(refused_for=0)) as client:
            count = client.endpoint("/count", via="run")
            if status is None:
                peer.answers["/run/count"] = lose
            else:
                peer.says("/run/count", value, status=status)
            with pytest.raises(error):
                await count(3)
            peer.says("/run/count", {"data": ["0"]})
            assert await count(3) == "0"
    assert len(peer.bodies["/app_id"]) == looks


async def test_abandoned_run_leaves_its_slot(autojump_clock):
    peer = Peer("4.31.5")
    peer.says("/run/bump", {"data": [None, 1]})
    with trio.fail_after(SECONDS):
        async with Client(peer.url, transport=peer, limits=Limits(streams=1)) as client:
            bump = client.endpoint("/bump", via="run")
            assert await bump() == 1
            peer.answers["/run/bump"] = lose
            with pytest.raises(ConnectionLost):
                await bump()
            peer.says("/run/bump", {"data": [None, 1]})
            peer.says("/app_id", {"app_id": 2})
            peer.described["/config"]["app_id"] = 2
            with pytest.raises(ServerRestarted, match="State"):
                await bump()
            assert len(peer.bodies["/run/bump"]) == 2
            assert client.statistics().streams == 0
            # Calls with State are made one at a time, so this one has both its place and its turn.
            assert await bump() == 1
            assert client.statistics().joining == 0


async def test_log_lines_of_run_name_its_job(autojump_clock, caplog):
    caplog.set_level(logging.DEBUG)
    peer = Peer("4.31.5")
    peer.says("/run/count", {"data": ["0"]})
    async with called(peer, "run") as (_, job):
        assert await job.result() == "0"
    start = f"#{job.id} /count: "
    lines = [record for record in caplog.records if record.getMessage().startswith(start)]
    assert {vars(record)["job"] for record in lines} == {job.id}
    texts = [record.getMessage().removeprefix(start) for record in lines]
    assert "sent on its own connection" in texts


# --- /call ---


async def test_call_that_ends_well_is_not_cancelled(autojump_clock: Any) -> None:
    peer = Peer("4.31.5")
    peer.says(CALL, {"event_id": "e1"})
    stream = peer.streams(EVENTS)
    stream.raw(b'event: complete\ndata: ["0"]\n\n')
    stream.end()
    async with called(peer, "call") as (client, job):
        assert await job.result() == "0"
        await trio.testing.wait_all_tasks_blocked()
        assert client.statistics().joining == client.statistics().streams == 0
    assert set(peer.bodies) == {CALL, EVENTS}


async def test_call_cancelled_before_it_has_a_name(autojump_clock: Any) -> None:
    """The cancellation is held until the server has named the event, as long as may be."""
    peer = Peer("4.31.5")
    named = trio.Event()

    async def answer(peer: Peer, _body: Any) -> Any:
        await named.wait()
        peer.says(CALL, {"event_id": "e1"})
        return await peer.answers[CALL](peer, None)

    peer.answers[CALL] = answer
    peer.says("/cancel", {"success": True})
    peer.streams(EVENTS)
    async with called(peer, "call") as (client, job):
        await peer.asked(CALL)
        job.cancel()
        with pytest.raises(JobCancelled):
            await job.result()
        named.set()
        await peer.asked("/cancel")
        await assert_ended(client, job)
    assert peer.bodies["/cancel"] == [{"session_hash": "e1", "fn_index": 2, "event_id": "e1"}]


async def test_call_cancelled_while_it_runs(autojump_clock: Any) -> None:
    peer = Peer("4.31.5")
    peer.says(CALL, {"event_id": "e1"})
    peer.says("/cancel", {"success": True})
    stream = peer.streams(EVENTS)
    async with called(peer, "call") as (client, job):
        stream.raw(b'event: generating\ndata: ["0"]\n\n')
        async for output in job:
            assert output == "0"
            break
        job.cancel()
        await assert_ended(client, job)
        await stream.closed.wait()
        await peer.asked("/cancel")


async def test_the_clients_end_cancels_a_call(autojump_clock: Any) -> None:
    """Also when both come in the same moment, the server is told."""
    for _ in range(20):
        peer = Peer("4.31.5")
        peer.says(CALL, {"event_id": "e1"})
        peer.says("/cancel", {"success": True})
        peer.streams(EVENTS)
        async with called(peer, "call") as (_, job):
            await peer.asked(EVENTS)
            job.cancel()
        assert len(peer.bodies["/cancel"]) == 1


async def test_call_cancelled_on_a_server_without_cancel(autojump_clock: Any) -> None:
    peer = Peer("4.31.5")
    peer.says(CALL, {"event_id": "e1"})
    peer.says("/reset", {"success": True})
    peer.streams(EVENTS)
    async with called(peer, "call") as (client, job):
        await peer.asked(EVENTS)
        job.cancel()
        await assert_ended(client, job)
        await peer.asked("/reset")
    assert peer.bodies["/reset"] == [{"event_id": "e1"}]


@pytest.mark.parametrize("before", [b"", b'event: generating\ndata: ["0"]\n\n'])
async def test_call_whose_stream_ends_early(before: bytes, autojump_clock: Any) -> None:
    peer = Peer("4.31.5")
    peer.says(CALL, {"event_id": "e1"})
    stream = peer.streams(EVENTS)
    stream.raw(before)
    stream.end()
    async with called(peer, "call") as (_, job):
        with pytest.raises(ConnectionLost):
            await job.result()


async def test_call_that_the_server_cancels(autojump_clock: Any) -> None:
    peer = Peer("4.31.5")
    peer.says(CALL, {"event_id": "e1"})
    stream = peer.streams(EVENTS)
    stream.raw(b"event: complete\ndata: null\n\n")
    stream.end()
    async with called(peer, "call") as (_, job):
        with pytest.raises(JobCancelled):
            await job.result()


@pytest.mark.parametrize(
    "garbage",
    [
        b"event: complete\ndata: {\n\n",
        b"event: complete\ndata: 3\n\n",
        b"event: complete\ndata: []\n\n",
        b"event: other\ndata: []\n\n",
        b"data: []\n\n",
    ],
)
async def test_call_with_garbage(garbage: bytes, autojump_clock: Any) -> None:
    peer = Peer("4.31.5")
    peer.says(CALL, {"event_id": "e1"})
    peer.says("/cancel", {"success": True})
    stream = peer.streams(EVENTS)
    stream.raw(garbage)
    async with called(peer, "call") as (_, job):
        with pytest.raises(ProtocolError):
            await job.result()


@pytest.mark.parametrize(
    "event, error",
    [
        ({"error": "boom"}, AppError),
        ({"error": None}, AppError),
        (None, AppError),  # all that apps say before Gradio 6
        ("404: Not Found", ConnectionLost),
        ("out of memory", ConnectionLost),
        ("", ConnectionLost),
        ("Server stopped unexpectedly.", ServerStopped),
        (3, AppError),
    ],
)
async def test_call_that_fails(event: Any, error: type[Exception], autojump_clock: Any) -> None:
    peer = Peer("4.31.5")
    peer.says(CALL, {"event_id": "e1"})
    stream = peer.streams(EVENTS)
    stream.raw(f"event: error\ndata: {json.dumps(event)}\n\n".encode())
    async with called(peer, "call") as (_, job):
        with pytest.raises(error) as caught:
            await job.result()
    assert type(caught.value) is error
    assert "/count" in str(caught.value) or event in ({"error": "boom"}, 3)


async def refuse_connections(_peer: Peer, _body: Any) -> Any:
    raise httpx.ConnectError("refused")


@pytest.mark.parametrize("status", [None, 401, 404, 422, 429, 503])
async def test_accepted_call_is_not_made_again(status: int | None, autojump_clock: Any) -> None:
    """Whatever becomes of its event stream: the server may be running it."""
    peer = Peer("4.31.5")
    peer.says(CALL, {"event_id": "e1"})
    if status is None:
        peer.answers[EVENTS] = refuse_connections
    else:
        peer.says(EVENTS, {"detail": "the queue is full"}, status=status)
    with trio.fail_after(SECONDS):
        limits = Limits(refused_for=0)
        async with Client(peer.url, transport=peer, limits=limits) as client:
            count = client.endpoint("/count", via="call").with_retry(Retry())
            with pytest.raises(ConnectionLost if status is None else UnexpectedResponse) as caught:
                await count(3)
    assert not isinstance(caught.value, ConnectionFailed)
    assert len(peer.bodies[CALL]) == 1


@pytest.mark.parametrize("value", [{}, {"event_id": 3}, [], None])
async def test_call_that_is_given_no_name(value: Any, autojump_clock: Any) -> None:
    peer = Peer("4.31.5")
    peer.says(CALL, value)
    async with called(peer, "call") as (_, job):
        with pytest.raises(ProtocolError):
            await job.result()


async def test_call_that_never_completes(autojump_clock: Any) -> None:
    peer = Peer("4.31.5")
    peer.says(CALL, {"event_id": "e1"})
    peer.says("/cancel", {"success": True})
    stream = peer.streams(EVENTS)
    async with called(peer, "call") as (_, job):
        for _ in range(12):
            await trio.sleep(15)
            stream.raw(b"event: heartbeat\ndata: null\n\n")
        assert not job.done
        job.cancel()
        await job.wait()
