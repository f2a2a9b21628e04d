"""Random schedules of calls and cancellations, on the mock clock: each call has its own end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import trio
import trio.testing
from hypothesis import Phase, given, settings, strategies as st

from tests.servers.faults import Delay
from tests.servers.scripted import Event, ScriptedServer, open_server
from tests.support.cancelling import cancel_of, new_client, nothing_left
from tests.wire.strategies import checked
from triojob import CallInterrupted, Client, Job, JobCancelled, JobGroup, Timeouts
from triojob.testing._server.description import App
from triojob.testing.components import number, state

pytestmark = pytest.mark.usefixtures("either_way")

# On this grid, so that much comes at one and the same time.
seconds = st.integers(0, 3)

FUNCTIONS = ["/sleep", "/count_one_at_a_time", "/remember"]


@dataclass(frozen=True)
class Plan:
    """What is done with one call."""

    function: str
    surface: int
    """0 for the client, or the number of a session."""
    start: int
    length: int
    """For how many seconds the function runs."""
    cancel: int | None
    """When it is cancelled, if ever."""
    plain: bool
    """Whether it is a plain call, with a scope around it, and no job."""


plans = st.builds(
    Plan,
    function=st.sampled_from(FUNCTIONS),
    surface=st.sampled_from([0, 1, 1, 2]),
    start=seconds,
    length=seconds,
    cancel=st.none() | seconds,
    plain=st.booleans(),
)

delays = st.fixed_dictionaries(
    {
        ("POST", "/queue/join"): seconds,
        ("GET", "/queue/data"): seconds,
        ("POST", "/cancel"): seconds,
    }
)


def make_app() -> App:
    app = App()
    remembered = state("")

    async def sleep(event: Event) -> None:
        *_, name, length = event.data
        await trio.sleep(length)
        await event.completed([name] * len(event.endpoint.outputs))

    async def count(event: Event) -> None:
        name, length = event.data
        for step in range(length):
            await event.generating([f"{name} {step}"])
            await trio.sleep(1)
        await event.generating([name])

    inputs = ["name", number("length")]
    app.add("sleep", sleep, inputs=inputs)
    app.add("count_one_at_a_time", count, inputs=inputs, generator=True, concurrency_limit=1)
    app.add("remember", sleep, inputs=[remembered, *inputs], outputs=[remembered, "out"])
    return app


@dataclass
class End:
    """How one call ended."""

    value: Any = None
    cancelled: int = 0
    interrupted: int = 0
    """By the cancellation of another call of a generator, in the same session."""
    results: int = 0

    @property
    def stopped(self) -> int:
        return self.cancelled + self.interrupted


async def run_job(group: JobGroup, endpoint: Any, name: str, plan: Plan, end: End) -> None:
    job = group.submit(endpoint, name, plan.length)

    def note(job: Job[Any]) -> None:
        end.results += 1

    job.on_result(note)
    if plan.cancel is not None:
        await trio.sleep(plan.cancel)
        job.cancel()
        now = trio.current_time()
        await job.wait()
        assert trio.current_time() == now
    try:
        end.value = await job.result()
    except JobCancelled:
        end.cancelled += 1
    except CallInterrupted:
        end.interrupted += 1


async def run_plainly(endpoint: Any, name: str, plan: Plan, end: End) -> None:
    with trio.move_on_after(float("inf") if plan.cancel is None else plan.cancel) as scope:
        try:
            end.value = await endpoint(name, plan.length)
        except CallInterrupted:
            end.interrupted += 1
    end.cancelled += scope.cancelled_caught
    end.results += 1


async def run_schedule(
    server: ScriptedServer, client: Client, schedule: list[Plan], ends: list[End]
) -> None:
    """Make the calls, and cancel those that are to be cancelled."""
    async with (
        client.session() as one,
        client.session() as two,
        JobGroup() as group,
        trio.open_nursery() as nursery,
    ):

        async def run(place: int, plan: Plan) -> None:
            await trio.sleep(plan.start)
            endpoint = (client, one, two)[plan.surface].endpoint(plan.function)
            if plan.plain:
                await run_plainly(endpoint, f"call {place}", plan, ends[place])
            else:
                await run_job(group, endpoint, f"call {place}", plan, ends[place])

        for place, plan in enumerate(schedule):
            nursery.start_soon(run, place, plan)


def check_server(server: ScriptedServer, schedule: list[Plan], ends: list[End]) -> None:
    names = {f"call {place}": end for place, end in enumerate(ends)}
    told = [*server.cancels]
    dequeued = {body["event_id"] for body in server.dequeues}
    unheard: set[str] = set()
    for event in server.events.values():
        (name,) = (text for text in event.inputs.body["data"] if text in names)
        if cancel_of(event) in told:
            told.remove(cancel_of(event))
            assert names[name].stopped
        elif event.state == "cancelled":
            # It started just when it was to be taken out, and was stopped with the others.
            assert event.event_id in dequeued
            assert names[name].stopped
        elif event.state == "removed":
            # Out of the way of another one's cancellation: it comes again, or was cancelled itself.
            assert event.event_id in dequeued
            unheard.add(name)
        else:
            assert event.state == "finished"
            unheard.discard(name)
    assert told == []
    assert all(names[name].stopped for name in unheard)


@given(
    schedule=st.lists(plans, min_size=1, max_size=12),
    latencies=delays,
    eager=st.booleans(),
    max_streams=st.integers(3, 6),
)
# Not shrunk: the order in which Trio runs tasks changes with every other schedule.
@settings(checked, max_examples=40, phases=[Phase.generate])
def test_any_schedule_ends_each_call_once(schedule, latencies, eager, max_streams):
    ends = [End() for _ in schedule]

    async def main() -> None:
        async with open_server(make_app(), memory=True) as server:
            server.queue.eager = eager
            for (method, path), delay in latencies.items():
                server.fault(method, path, Delay(delay, handled=delay % 2 == 0))
            client = new_client(server, streams=max_streams, timeouts=Timeouts(cancel=1000))
            async with nothing_left(server), client:
                await run_schedule(server, client, schedule, ends)
                await trio.sleep(100)  # cancel requests take their time, too
                assert f" 0/{max_streams} streams" in repr(client)
            check_server(server, schedule, ends)

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    for place, (plan, end) in enumerate(zip(schedule, ends, strict=True)):
        assert end.results == 1
        assert end.stopped == (end.value is None)
        assert end.value in (None, f"call {place}")
        assert plan.cancel is not None or not end.cancelled
        if end.interrupted:
            assert plan.surface
            assert plan.function == "/count_one_at_a_time"
            assert any(
                (other.function, other.surface) == (plan.function, plan.surface) and ended.cancelled
                for other, ended in zip(schedule, ends, strict=True)
            )
