"""The protocols `sse_v1` and `sse_v2`, whose streams just end and which have no `/cancel`."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from tests.drivers.peer import SECONDS, Peer
from triojob import Client, ConnectionLost, JobCancelled


def message(kind: str, **fields: Any) -> dict[str, Any]:
    return {"msg": kind, "event_id": "e1", **fields}


def output(kind: str, *data: Any) -> dict[str, Any]:
    return message(kind, output={"data": list(data)}, success=True)


@pytest.mark.parametrize("version, second", [("4.14.0", "01"), ("4.19.2", [["append", [], "1"]])])
async def test_outputs_whole_or_as_edits(version: str, second: Any, autojump_clock: Any) -> None:
    peer = Peer(version)
    peer.says("/queue/join", {"event_id": "e1"})
    stream = peer.streams("/queue/data")
    with trio.fail_after(SECONDS):
        async with Client(peer.url, transport=peer) as client:
            job = client.submit(2, api_name="/count")
            stream.send(output("process_generating", "0"))
            stream.send(output("process_generating", second))
            stream.send(output("process_completed", "01"))
            stream.end()
            assert await job.result() == "01"
            assert job.outputs() == ["0", "01"]


@pytest.mark.parametrize("version", ["4.14.0", "4.19.2"])
@pytest.mark.parametrize("started", [False, True])
async def test_a_stream_that_ends_early(version: str, started: bool, autojump_clock: Any) -> None:
    peer = Peer(version)
    peer.says("/queue/join", {"event_id": "e1"})
    stream = peer.streams("/queue/data")
    with trio.fail_after(SECONDS):
        async with Client(peer.url, transport=peer) as client:
            job = client.submit(2, api_name="/count")
            if started:
                stream.send(message("process_starts"))
            stream.end()
            with pytest.raises(ConnectionLost):
                await job.result()


async def test_a_cancelled_generator_is_reset(autojump_clock: Any) -> None:
    """The server answers 404 to a cancellation: it is asked for another way each time."""
    peer = Peer("4.14.0")
    peer.says("/queue/join", {"event_id": "e1"})
    peer.says("/reset", {"success": True})
    with trio.fail_after(SECONDS):
        async with Client(peer.url, transport=peer) as client:
            for times in (1, 2):
                stream = peer.streams("/queue/data")
                job = client.submit(2, api_name="/count")
                stream.send(message("process_starts"))
                await peer.asked("/queue/data", times)
                await trio.testing.wait_all_tasks_blocked()
                job.cancel()
                with pytest.raises(JobCancelled):
                    await job.result()
                await peer.asked("/reset", times)
                await stream.closed.wait()
            await trio.testing.wait_all_tasks_blocked()
            assert f" 0/{client.limits.streams} streams" in repr(client)
    assert len(peer.bodies["/cancel"]) == 2
    assert peer.bodies["/reset"] == [{"event_id": "e1"}] * 2


async def test_cancelled_coroutine_is_stopped_by_apps_function(autojump_clock: Any) -> None:
    peer = Peer("4.14.0")
    peer.says("/queue/join", {"event_id": "e1"})
    peer.says("/run/predict", {"data": []})
    stream = peer.streams("/queue/data")
    with trio.fail_after(SECONDS):
        async with Client(peer.url, transport=peer) as client:
            job = client.submit(2, api_name="/slow")
            session = (await peer.asked("/queue/join"))["session_hash"]
            stream.send(message("process_starts"))
            await trio.testing.wait_all_tasks_blocked()
            job.cancel()
            await job.wait()
            await stream.closed.wait()
    assert peer.bodies["/run/predict"] == [{"data": [], "fn_index": 10, "session_hash": session}]
    assert "/reset" not in peer.bodies


@pytest.mark.parametrize("is_running", [False, True])
async def test_waiting_call_leaves_queue_by_its_stream(is_running, autojump_clock):
    """Gradio's `/cancel` leaves a waiting call in the queue, up to 6.10 at least."""
    peer = Peer("4.31.5")
    peer.says("/queue/join", {"event_id": "e1"})
    peer.says("/cancel", {"success": True})
    stream = peer.streams("/queue/data")
    with trio.fail_after(SECONDS):
        async with Client(peer.url, transport=peer) as client:
            job = client.submit(2, api_name="/count")
            stream.send(message("estimation", rank=0, queue_size=1, rank_eta=None))
            if is_running:
                stream.send(message("process_starts"))
            await trio.testing.wait_all_tasks_blocked()
            start = trio.current_time()
            job.cancel()
            with pytest.raises(JobCancelled):
                await job.result()
            assert trio.current_time() == start
            await trio.testing.wait_all_tasks_blocked()
            assert stream.closed.is_set() or is_running
            assert ("/cancel" in peer.bodies) == is_running
        # The client's end does not cut it short.
        assert len(peer.bodies["/cancel"]) == 1
        assert stream.closed.is_set()
