"""An app that restarted with its functions in another order: no call goes to another function."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from triojob import Client, JobGroup, ServerRestarted

from .peer import SECONDS, Peer, SocketPeer

WAYS = [
    ("4.31.5", "queue", "/queue/join"),
    ("4.31.5", "call", "/call/count"),
    ("4.31.5", "run", "/run/count"),
    ("4.14.0", "queue", "/queue/join"),
    ("4.0.2", "queue", "/queue/join"),
    ("4.0.2", "run", "/run/count"),
    ("3.50.2", "queue", "/queue/join"),
    ("3.50.2", "run", "/run/count"),
]


def reorder(peer: Peer) -> None:
    """Give the functions of an app other numbers, as a new start of it may."""
    config = peer.described["/config"]
    config["app_id"] += 1
    config["dependencies"].reverse()
    for place, dependency in enumerate(config["dependencies"]):
        if "id" in dependency:
            dependency["id"] = place


@pytest.mark.parametrize("version, via, path", WAYS)
async def test_no_way_sends_call_to_another_function(version, via, path, autojump_clock):
    peer = SocketPeer(version) if version.startswith("3") else Peer(version)
    with trio.fail_after(SECONDS):
        async with Client(peer.url, transport=peer) as client:
            count = client.endpoint("/count", via=via)
            before = count.fn_index
            reorder(peer)
            with pytest.raises(ServerRestarted, match=r"/count was not called.*changed"):
                await count(3)
            assert path not in peer.bodies
            assert not getattr(peer, "handshakes", None)
            # The next call is meant for the app as it is now.
            assert client.endpoint("/count").fn_index != before


@pytest.mark.parametrize("version, via, path", WAYS)
async def test_each_way_asks_before_it_sends(version, via, path, autojump_clock):
    peer = SocketPeer(version) if version.startswith("3") else Peer(version)
    peer.hangs("/app_id")
    with trio.fail_after(SECONDS):
        async with Client(peer.url, transport=peer) as client:
            async with JobGroup() as group:
                job = group.submit(client.endpoint("/count", via=via), 3)
                await trio.testing.wait_all_tasks_blocked()
                job.cancel()
            assert [*peer.bodies] == ["/app_id"]
