"""Whatever any step on a call's way raises is that call's failure, and nobody else's."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import pytest
import trio
import trio.testing

from qa.sabotage.support import (
    EXCEPTIONS,
    Scene,
    call_route,
    heartbeats,
    in_this_thread,
    queue,
    record,
    run_route,
    sabotage,
    socket,
    state_and_inputs,
    stream_for_each_call,
)
from tests.servers.direct import go_direct

EACH = int(os.environ.get("TRIOJOB_SABOTAGES", "1"))
"""How many exceptions each step raises, one after the other; they take turns."""

SCENES: dict[str, Callable[[], AbstractAsyncContextManager[Scene]]] = {
    "streams of their own": lambda: queue(shared=False),
    "one stream": lambda: queue(shared=True),
    "inputs": state_and_inputs,
    "heartbeats": heartbeats,
    "run": run_route,
    "call": call_route,
    "a stream for each call": stream_for_each_call,
    "socket": socket,
}
DIRECT = ("streams of their own", "one stream", "inputs", "heartbeats")
"""Those that can be played over connections of our own, too."""


@pytest.mark.parametrize("cancelling", [False, True], ids=["to its end", "cancelled"])
@pytest.mark.parametrize(
    "name, direct", [*((name, False) for name in SCENES), *((name, True) for name in DIRECT)]
)
def test_raising_step_harms_its_own_call(name, direct, cancelling, monkeypatch):
    monkeypatch.setattr(trio.to_thread, "run_sync", in_this_thread)
    if direct:
        go_direct(monkeypatch)

    async def play() -> None:
        async with SCENES[name]() as scene:
            steps = await record(scene, cancelling=cancelling)
            assert steps
            reached = 0
            for place, step in enumerate(steps):
                for turn in range(EACH):
                    error = EXCEPTIONS[(place + turn) % len(EXCEPTIONS)]()
                    try:
                        reached += await sabotage(scene, step, error, cancelling=cancelling)
                    except (Exception, trio.Cancelled) as exc:
                        raise AssertionError(f"{step} raised {error!r}") from exc
            assert reached > len(steps) * EACH * 0.9
            scene.release.set()
            assert await scene.sibling.result() == "sibling"

    clock = None if name == "socket" else trio.testing.MockClock(autojump_threshold=0)
    trio.run(play, clock=clock)
