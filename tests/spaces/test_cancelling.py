"""Cancelling at each await on the way to a Space: at once, and nothing is left."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from tests.servers.faults import Silence
from tests.servers.hub import TOKEN, Origins
from tests.spaces.support import SPACE, client_of
from triojob import SpaceStatus


async def assert_cancellable(origins: Origins, at: float) -> None:
    """Enter a client, cancel it `at` seconds later, and look for what is left."""
    connects = len(origins.hub.network.connects)
    start = trio.current_time()
    with trio.CancelScope(deadline=start + at) as scope:
        async with client_of(origins, token=TOKEN):
            raise AssertionError("it was entered")
    assert scope.cancelled_caught
    assert trio.current_time() == pytest.approx(start + at)
    await trio.testing.wait_all_tasks_blocked()
    assert origins.hub.open_connections == origins.host.open_connections == 0
    assert len(origins.hub.network.connects) > connects


async def test_while_connecting_to_the_hub(origins: Origins, autojump_clock) -> None:
    origins.hub.listener.connect_gate = trio.Event()
    await assert_cancellable(origins, at=3)


async def test_while_the_hub_is_asked(origins: Origins, autojump_clock) -> None:
    origins.hub.fault("GET", f"/api/spaces/{SPACE}", Silence())
    await assert_cancellable(origins, at=3)


async def test_between_two_looks(origins: Origins, autojump_clock) -> None:
    origins.space.stages = ["BUILDING"]
    await assert_cancellable(origins, at=100.5)


async def test_while_the_hub_is_asked_again(origins: Origins, autojump_clock) -> None:
    origins.space.stages = ["BUILDING"]
    origins.hub.fault("GET", f"/api/spaces/{SPACE}/runtime", Silence())
    await assert_cancellable(origins, at=3)


async def test_while_space_is_connected_to_be_woken(origins: Origins, autojump_clock) -> None:
    origins.space.stages = ["SLEEPING"]
    origins.host.listener.connect_gate = trio.Event()
    await assert_cancellable(origins, at=0.5)
    assert origins.host.requests == []


async def test_while_the_space_is_woken(origins: Origins, autojump_clock) -> None:
    origins.space.stages = ["SLEEPING"]
    origins.host.fault("GET", "/", Silence())
    await assert_cancellable(origins, at=0.5)
    assert origins.host.paths() == ["GET /"]


async def test_woken_space_is_left_waking(origins: Origins, autojump_clock) -> None:
    origins.space.stages = ["SLEEPING"]
    await assert_cancellable(origins, at=0.5)
    assert origins.host.paths() == ["GET /"]


@pytest.mark.parametrize("path", ["/config", "/info"])
async def test_while_the_app_is_asked(origins: Origins, autojump_clock, path: str) -> None:
    origins.host.fault("GET", path, Silence())
    await assert_cancellable(origins, at=3)


async def test_by_the_listener(origins: Origins, autojump_clock) -> None:
    origins.space.stages = ["BUILDING"]
    start = trio.current_time()
    with trio.CancelScope() as scope:

        def on_wait(status: SpaceStatus) -> None:
            scope.cancel()

        async with client_of(origins, on_wait=on_wait):
            raise AssertionError("it was entered")
    assert scope.cancelled_caught
    assert trio.current_time() == pytest.approx(start)


async def test_cancelled_entering_is_a_checkpoint(origins: Origins) -> None:
    with trio.CancelScope() as scope:
        scope.cancel()
        async with client_of(origins):
            raise AssertionError("it was entered")
    assert origins.hub.requests == []
