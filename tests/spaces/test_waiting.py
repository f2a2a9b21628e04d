"""Waiting for a Space: which stages are waited for, how often, and what ends it."""

from __future__ import annotations

import itertools
import logging
import pickle

import pytest
import trio
import trio.testing

from tests.servers.faults import Answer, Lose, Silence
from tests.servers.hub import TOKEN, Origins
from tests.spaces.support import SPACE, client_of
from triojob import (
    ConnectionFailed,
    ConnectionTimeout,
    Limits,
    ProtocolError,
    SpaceError,
    SpaceStatus,
    UnexpectedResponse,
)

RUNTIME = f"/api/spaces/{SPACE}/runtime"
LONGEST = 15 * 1.2
"""Seconds that may pass between two looks."""


@pytest.mark.parametrize("stage", ["RUNNING", "RUNNING_BUILDING", "RUNNING_APP_STARTING"])
async def test_usable_stages_are_not_waited_for(origins, autojump_clock, stage):
    origins.space.stages = [stage]
    seen: list[SpaceStatus] = []
    async with client_of(origins, on_wait=seen.append):
        pass
    assert seen == []
    assert len(origins.hub.requests) == 1


@pytest.mark.parametrize("asleep", ["SLEEPING", "STOPPED"])
async def test_asleep_then_building_then_running(origins, autojump_clock, caplog, asleep):
    caplog.set_level(logging.INFO, "triojob")
    origins.space.stages = [asleep, "BUILDING", "BUILDING", "APP_STARTING", "STARTING", "RUNNING"]
    seen: list[SpaceStatus] = []
    async with client_of(origins, on_wait=seen.append) as client:
        assert await client.predict("Ada") == "Hello Ada!"
    stages = [asleep, "BUILDING", "BUILDING", "APP_STARTING", "STARTING", "RUNNING"]
    assert [status.stage for status in seen] == stages
    assert [status.ready for status in seen] == [False] * 5 + [True]
    assert seen[0].space == SPACE
    assert seen[0].waited == pytest.approx(0)
    assert seen[-1].next_look is None
    for before, after in itertools.pairwise(seen):
        assert before.next_look == pytest.approx(after.waited - before.waited)
    # One request woke it; the next ones are the client's, once it runs.
    assert origins.host.paths()[:3] == ["GET /", "GET /config", "GET /info"]
    assert origins.host.requests[1].time >= origins.hub.requests[-1].time
    logged = [record.message for record in caplog.records if record.name == "triojob"]
    assert logged[0] == f"the Space {SPACE} is {asleep}; waiting"
    assert logged[-1] == f"the Space {SPACE} is RUNNING"


async def test_looks_come_ever_more_rarely(origins: Origins, autojump_clock) -> None:
    origins.space.stages = ["BUILDING"] * 60 + ["RUNNING"]
    async with client_of(origins):
        pass
    times = origins.hub.looks(SPACE)
    pauses = [after - before for before, after in itertools.pairwise(times)]
    assert len(pauses) == 60
    assert 0.8 <= pauses[0] <= 1.2
    # A pause is longer than the one before, but for chance, up to a bound.
    assert pauses[6] > pauses[3] > pauses[0]
    assert all(12 <= pause <= LONGEST for pause in pauses[8:])
    assert len(set(pauses)) > 10


async def test_a_new_stage_is_looked_at_sooner(origins: Origins, autojump_clock) -> None:
    origins.space.stages = ["BUILDING"] * 20 + ["APP_STARTING", "RUNNING"]
    seen: list[SpaceStatus] = []
    async with client_of(origins, on_wait=seen.append):
        pass
    pauses = {status.stage: status.next_look for status in seen}
    assert pauses["BUILDING"] is not None
    assert pauses["APP_STARTING"] is not None
    assert pauses["BUILDING"] > 10
    assert pauses["APP_STARTING"] <= 1.2


@pytest.mark.parametrize("before", [[], ["SLEEPING", "BUILDING"]])
@pytest.mark.parametrize(
    "stage, words",
    [
        ("NO_APP_FILE", "has to add one"),
        ("CONFIG_ERROR", "README"),
        ("BUILD_ERROR", "log of the build on http://hub.test/spaces/ada/story"),
        ("RUNTIME_ERROR", "restart it on http://hub.test/spaces/ada/story"),
        ("PAUSED", "paused"),
        ("DELETING", "being deleted"),
        ("ON_STRIKE", "this version of triojob doesn't know"),
    ],
)
async def test_stages_that_end_the_wait(origins, autojump_clock, before, stage, words):
    origins.space.stages = [*before, stage]
    origins.space.problem = "exit code 3"
    with pytest.raises(SpaceError, match=f"{SPACE} is in the stage {stage}.*{words}") as caught:
        await client_of(origins).__aenter__()
    assert (caught.value.space, caught.value.stage) == (SPACE, stage)
    assert "exit code 3" in str(caught.value)
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), vars(again)) == (str(caught.value), vars(caught.value))
    assert "GET /config" not in origins.host.paths()
    await trio.testing.wait_all_tasks_blocked()
    assert origins.hub.open_connections == origins.host.open_connections == 0


async def test_the_callers_scope_bounds_the_wait(origins: Origins, autojump_clock) -> None:
    origins.space.stages = ["BUILDING"]
    start = trio.current_time()
    with pytest.raises(trio.TooSlowError), trio.fail_after(3600):
        await client_of(origins).__aenter__()
    assert trio.current_time() - start == pytest.approx(3600)
    # Bounded per second, however long it takes.
    assert 3600 / LONGEST < len(origins.hub.requests) < 3600 / 12 + 20


async def test_a_limit_of_the_hub_is_kept(origins: Origins, autojump_clock, caplog) -> None:
    origins.space.stages = ["BUILDING", "BUILDING", "RUNNING"]
    origins.hub.fault("GET", RUNTIME, Answer(429, "", {"retry-after": "90"}), times=2)
    seen: list[SpaceStatus] = []
    async with client_of(origins, on_wait=seen.append):
        pass
    times = origins.hub.looks(SPACE)
    pauses = [after - before for before, after in itertools.pairwise(times)]
    assert pauses[1:3] == pytest.approx([90, 90])
    assert [status.next_look for status in seen][1:3] == pytest.approx([90, 90])
    # It is kept once, not for ever.
    assert len(pauses) == 4
    assert pauses[3] <= LONGEST
    assert "limits the rate" in caplog.text


async def test_limit_without_time_is_a_stage(origins, autojump_clock):
    origins.space.stages = ["BUILDING", "RUNNING"]
    origins.hub.fault("GET", RUNTIME, Answer(429, ""), times=20)
    async with client_of(origins):
        pass
    assert len(origins.hub.requests) == 22


@pytest.mark.parametrize("fault", [Answer(502, "bad gateway"), Lose(), Lose(reset=True)])
async def test_a_few_lost_looks_are_got_over(origins, autojump_clock, caplog, fault):
    origins.space.stages = ["BUILDING", "RUNNING"]
    origins.hub.fault("GET", RUNTIME, fault, times=4)
    async with client_of(origins, token=TOKEN) as client:
        assert await client.predict("Ada") == "Hello Ada!"
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 4
    assert TOKEN not in caplog.text


async def test_lost_looks_are_counted_in_a_row(origins: Origins, autojump_clock) -> None:
    origins.space.stages = ["BUILDING"] * 3 + ["RUNNING"]
    for _ in range(3):
        origins.hub.fault("GET", RUNTIME, Answer(500), times=4)
        origins.hub.fault("GET", RUNTIME, times=1)
    async with client_of(origins):
        pass
    assert len(origins.hub.requests) == 1 + 3 * 5


async def test_a_hub_that_dies_ends_the_wait(origins: Origins, autojump_clock) -> None:
    origins.space.stages = ["BUILDING"]
    looks = 0

    def on_wait(status: SpaceStatus) -> None:
        nonlocal looks
        looks += 1
        if looks == 3:
            origins.hub.die()

    with pytest.raises(ConnectionFailed, match=r"hub\.test"):
        await client_of(origins, on_wait=on_wait).__aenter__()
    assert looks == 3 + 4


async def test_hub_that_falls_silent_ends_wait(origins: Origins, autojump_clock) -> None:
    origins.space.stages = ["BUILDING"]
    origins.hub.fault("GET", RUNTIME, Silence())
    with pytest.raises(ConnectionTimeout, match="no response within"):
        await client_of(origins).__aenter__()


@pytest.mark.parametrize(
    "answer, error",
    [
        (Answer(200, "<html>"), UnexpectedResponse),
        (Answer(200, {"status": "fine"}), ProtocolError),
        (Answer(302, "", {"location": "http://stranger.test/"}), UnexpectedResponse),
        # Made private, or deleted, meanwhile.
        (Answer(401, {}), SpaceError),
        (Answer(404, {}), SpaceError),
    ],
)
async def test_garbage_ends_the_wait_at_once(origins, autojump_clock, answer, error):
    origins.space.stages = ["BUILDING"]
    origins.hub.fault("GET", RUNTIME, answer)
    with pytest.raises(error, match=SPACE):
        await client_of(origins, token=TOKEN).__aenter__()
    assert len(origins.hub.requests) == 2
    assert origins.stranger.requests == []


@pytest.mark.parametrize("fault", [Lose(), Silence(), Answer(500), Answer(200, b"x" * 2000)])
async def test_only_arrival_of_waking_request_matters(origins, autojump_clock, fault):
    origins.space.stages = ["SLEEPING", "RUNNING"]
    origins.host.fault("GET", "/", fault, times=1)
    async with client_of(origins, limits=Limits(message_size=100_000)) as client:
        assert await client.predict("Ada") == "Hello Ada!"


async def test_waking_goes_on_until_it_works(origins: Origins, autojump_clock) -> None:
    origins.space.stages = ["SLEEPING", "RUNNING"]
    origins.host.fault("GET", "/", Lose(handled=False), times=3)
    async with client_of(origins):
        pass
    assert origins.host.paths().count("GET /") == 4


async def test_what_the_listener_raises_ends_the_wait(origins: Origins, autojump_clock) -> None:
    origins.space.stages = ["BUILDING"]

    def on_wait(status: SpaceStatus) -> None:
        raise LookupError(status.stage)

    with pytest.raises(LookupError, match="BUILDING"):
        await client_of(origins, on_wait=on_wait).__aenter__()
    await trio.testing.wait_all_tasks_blocked()
    assert origins.hub.open_connections == 0


def test_a_status_is_frozen() -> None:
    status = SpaceStatus("ada/story", "BUILDING", ready=False, waited=0.0, next_look=1.0)
    with pytest.raises(AttributeError):
        status.stage = "RUNNING"  # type: ignore[misc]
