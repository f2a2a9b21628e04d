"""The protocol `sse` of Gradio 4.0 to 4.8, when things go wrong."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import trio

from tests.drivers.peer import SECONDS, Peer, Stream, reply
from triojob import (
    Client,
    ConnectionLost,
    Job,
    JobCancelled,
    ProtocolError,
    QueueFull,
    TriojobError,
)

STARTS = {"msg": "process_starts"}
ASKS = {"msg": "send_data", "event_id": "e1"}


def completed(*data: Any) -> dict[str, Any]:
    return {"msg": "process_completed", "output": {"data": list(data)}, "success": True}


def generating(*data: Any) -> dict[str, Any]:
    return {"msg": "process_generating", "output": {"data": list(data)}, "success": True}


@asynccontextmanager
async def called(
    peer: Peer, *arguments: Any, api_name: str = "/greet"
) -> AsyncIterator[tuple[Client, Job[Any]]]:
    with trio.fail_after(10 * SECONDS):
        async with Client(peer.url, transport=peer) as client:
            yield client, client.submit(*(arguments or ("Bob",)), api_name=api_name)


async def assert_ended(client: Client, job: Job[Any], stream: Stream) -> None:
    """Show that the job ended as cancelled and that nothing of it is left."""
    with pytest.raises(JobCancelled):
        await job.result()
    await stream.closed.wait()
    await trio.testing.wait_all_tasks_blocked()
    assert f" 0/{client.limits.streams} streams" in repr(client)


async def test_a_call(autojump_clock: Any) -> None:
    peer = Peer("4.0.2")
    stream = peer.streams("/queue/join")
    peer.says("/queue/data", None)
    async with called(peer) as (_, job):
        query = await peer.asked("/queue/join")
        stream.send({"msg": "estimation", "rank": 0, "queue_size": 1, "rank_eta": 1.5})
        stream.send(ASKS)
        body = await peer.asked("/queue/data")
        assert body["event_id"] == "e1"
        assert body["session_hash"] == query["session_hash"]
        stream.send(STARTS)
        stream.send(completed("Hello"))
        stream.end()
        assert await job.result() == "Hello"
    assert stream.closed.is_set()


async def test_cancelled_before_the_answer(autojump_clock: Any) -> None:
    peer = Peer("4.0.2")
    peer.hangs("/queue/join")
    async with called(peer) as (client, job):
        await peer.asked("/queue/join")
        job.cancel()
        with pytest.raises(JobCancelled):
            await job.result()
        await trio.testing.wait_all_tasks_blocked()
        assert f" 0/{client.limits.streams} streams" in repr(client)
    assert set(peer.bodies) == {"/queue/join"}


async def test_cancelled_while_it_waits_in_the_queue(autojump_clock: Any) -> None:
    peer = Peer("4.0.2")
    stream = peer.streams("/queue/join")
    async with called(peer) as (client, job):
        await peer.asked("/queue/join")
        stream.send({"msg": "estimation", "rank": 3, "queue_size": 4, "rank_eta": 1.5})
        await trio.testing.wait_all_tasks_blocked()
        job.cancel()
        await assert_ended(client, job, stream)
    # The server has given it no name, so there is nothing to say.
    assert set(peer.bodies) == {"/queue/join"}


async def test_cancelled_while_it_sends_the_data(autojump_clock: Any) -> None:
    peer = Peer("4.0.2")
    stream = peer.streams("/queue/join")
    peer.hangs("/queue/data")
    peer.says("/reset", {"success": True})
    async with called(peer) as (client, job):
        stream.send(ASKS)
        await peer.asked("/queue/data")
        job.cancel()
        await assert_ended(client, job, stream)
    assert peer.bodies["/reset"] == [{"event_id": "e1"}]


async def test_cancelled_generator_is_reset_until_known(autojump_clock: Any) -> None:
    """Before its first output the server answers that there is none."""
    peer = Peer("4.0.2")
    stream = peer.streams("/queue/join")
    peer.says("/queue/data", None)
    answers = [False, False, True]

    async def reset(_peer: Peer, _body: Any) -> httpx.Response:
        return reply({"success": answers.pop(0)})

    peer.answers["/reset"] = reset
    async with called(peer, 3, api_name="/count") as (client, job):
        stream.send(ASKS)
        await peer.asked("/queue/data")
        stream.send(STARTS)
        await trio.testing.wait_all_tasks_blocked()
        job.cancel()
        await assert_ended(client, job, stream)
        await peer.asked("/reset", times=3)
    assert answers == []
    assert peer.bodies["/reset"] == [{"event_id": "e1"}] * 3


async def test_reset_is_given_up_in_the_end(autojump_clock: Any) -> None:
    peer = Peer("4.0.2")
    stream = peer.streams("/queue/join")
    peer.says("/queue/data", None)
    peer.says("/reset", {"success": False})
    start = trio.current_time()
    async with called(peer, 3, api_name="/count") as (_, job):
        stream.send(ASKS)
        await peer.asked("/queue/data")
        job.cancel()
        await job.wait()
        assert trio.current_time() == start
    assert len(peer.bodies["/reset"]) > 5
    assert trio.current_time() - start <= 5  # what a cancel request may take


async def test_coroutine_is_stopped_by_apps_function(autojump_clock: Any) -> None:
    """`/slow` of the recorded app is in the `cancels` of another function."""
    peer = Peer("4.0.2")
    stream = peer.streams("/queue/join")
    peer.says("/queue/data", None)
    peer.says("/run/predict", {"data": []})
    async with called(peer, 5, api_name="/slow") as (client, job):
        stream.send(ASKS)
        session = (await peer.asked("/queue/data"))["session_hash"]
        stream.send(STARTS)
        await trio.testing.wait_all_tasks_blocked()
        job.cancel()
        await assert_ended(client, job, stream)
    assert peer.bodies["/run/predict"] == [{"data": [], "fn_index": 10, "session_hash": session}]
    assert "/reset" not in peer.bodies


@pytest.mark.parametrize("before", [[], [STARTS], [STARTS, generating("0")]])
async def test_a_stream_that_ends_early(before: list[Any], autojump_clock: Any) -> None:
    peer = Peer("4.0.2")
    stream = peer.streams("/queue/join")
    peer.says("/queue/data", None)
    async with called(peer, 3, api_name="/count") as (_, job):
        for message in before:
            stream.send(message)
        stream.end()
        with pytest.raises(ConnectionLost):
            await job.result()


async def test_a_stream_that_breaks(autojump_clock: Any) -> None:
    peer = Peer("4.0.2")
    stream = peer.streams("/queue/join")
    async with called(peer) as (client, job):
        await peer.asked("/queue/join")
        stream.breaks()
        with pytest.raises(ConnectionLost):
            await job.result()
        await trio.testing.wait_all_tasks_blocked()
        assert f" 0/{client.limits.streams} streams" in repr(client)


async def test_a_server_that_never_completes(autojump_clock: Any) -> None:
    """Signs of life keep it waiting; without any, it is lost."""
    peer = Peer("4.0.2")
    stream = peer.streams("/queue/join")
    peer.says("/queue/data", None)
    async with called(peer) as (_, job):
        stream.send(ASKS)
        stream.send(STARTS)
        for _ in range(12):
            await trio.sleep(15)
            stream.send({"msg": "heartbeat"})
        assert not job.done
        job.cancel()
        await job.wait()
        assert job.cancelled


@pytest.mark.parametrize(
    "garbage",
    [
        b"data: {\n\n",
        b"data: []\n\n",
        b'data: {"msg": 3}\n\n',
        b'data: {"msg": "send_data"}\n\n',
        b'data: {"msg": "process_completed", "output": 3}\n\n',
        b'data: {"msg": "process_completed", "output": {"data": []}, "success": true}\n\n',
    ],
)
async def test_garbage(garbage: bytes, autojump_clock: Any) -> None:
    peer = Peer("4.0.2")
    stream = peer.streams("/queue/join")
    async with called(peer) as (_, job):
        stream.raw(garbage)
        with pytest.raises(ProtocolError):
            await job.result()
        await stream.closed.wait()


async def test_a_full_queue(autojump_clock: Any) -> None:
    peer = Peer("4.0.2")
    stream = peer.streams("/queue/join")
    async with called(peer) as (_, job):
        stream.send({"msg": "queue_full"})
        stream.end()
        with pytest.raises(QueueFull):
            await job.result()


@pytest.mark.parametrize("path", ["/queue/join", "/queue/data"])
async def test_a_refusal(path: str, autojump_clock: Any) -> None:
    peer = Peer("4.0.2")
    stream = peer.streams("/queue/join")
    peer.says("/queue/data", None)
    peer.says(path, {"detail": "no"}, status=403)
    async with called(peer) as (client, job):
        stream.send(ASKS)
        with pytest.raises(TriojobError, match="403"):
            await job.result()
        await trio.testing.wait_all_tasks_blocked()
        assert f" 0/{client.limits.streams} streams" in repr(client)
