"""An app that goes away while rows are called: who asks it, and how long."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from triojob import AuthenticationError, ConnectionFailed, RunStopped
from triojob._durable.outage import Reachability

GONE = ConnectionFailed("no connection to http://app/: Connection refused")


class App:
    """One that fails to describe itself until a time."""

    def __init__(self, back_at: float, *, error: Exception = GONE) -> None:
        self.asked: list[float] = []
        self.said: list[str] = []
        self._back_at = back_at
        self._error = error

    async def ask(self) -> None:
        self.asked.append(trio.current_time())
        await trio.lowlevel.checkpoint()
        if trio.current_time() < self._back_at:
            raise self._error

    def reachability(self, max_outage: float = 60) -> Reachability:
        return Reachability(self.ask, max_outage=max_outage, say=self.said.append, describe=str)


async def test_rows_share_one_question(autojump_clock: MockClock) -> None:
    clock = autojump_clock.current_time()
    app = App(clock + 20)
    reachability = app.reachability()
    found: list[object] = []

    async def confirm() -> None:
        found.append(await reachability.confirm(GONE))

    async def ready() -> None:
        await reachability.ready()
        found.append("called")

    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(confirm)
        await trio.sleep(0.5)
        assert reachability.since is not None
        nursery.start_soon(ready)
    assert found == [True] * 5 + ["called"]
    assert [at - clock for at in app.asked] == [0, 1, 3, 7, 15, 25]
    assert reachability.since is None
    began, ended = app.said
    assert began.endswith(", retrying: no connection to http://app/: Connection refused")
    assert ended == "app reachable again after 25 s"


@pytest.mark.parametrize("error", [GONE, AuthenticationError("log in")])
async def test_apps_that_answer_are_reachable(autojump_clock: MockClock, error: Exception) -> None:
    clock = autojump_clock.current_time()
    app = App(clock + (20 if error is not GONE else 0), error=error)
    reachability = app.reachability()
    assert not await reachability.confirm(GONE)
    assert not await reachability.confirm(GONE)
    assert len(app.asked) == 2
    assert app.said == []


async def test_silent_apps_are_unreachable(autojump_clock: MockClock) -> None:
    clock = autojump_clock.current_time()
    reachability = Reachability(trio.sleep_forever, max_outage=30, say=lambda _: None, describe=str)
    with pytest.raises(RunStopped, match="Connection refused") as caught:
        await reachability.confirm(GONE)
    assert caught.value.outcome == "connection"
    # Rows that waited too don't begin another wait.
    with pytest.raises(RunStopped):
        await reachability.confirm(GONE)
    assert trio.current_time() - clock >= 30
