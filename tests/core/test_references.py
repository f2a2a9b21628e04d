"""No reference cycles: what a job held dies with its last name, with the collector off."""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import trio
import trio.testing

from tests.support.jobs import BaseExceptionGroup, Boom, Thing, count, fail, sleep, succeed
from triojob import Instrument, Job, JobCancelled, JobGroup, JobTimeout, report
from triojob._core.group import follow

pytestmark = [
    pytest.mark.skipif(sys.implementation.name != "cpython", reason="needs reference counting"),
    pytest.mark.usefixtures("no_collector"),
]


class Watched:
    """Weak references to what has to die."""

    def __init__(self) -> None:
        self._references: list[tuple[str, weakref.ref[Any]]] = []

    def watch(self, thing: Any, name: str = "") -> Any:
        self._references.append((name or type(thing).__name__, weakref.ref(thing)))
        return thing

    @property
    def alive(self) -> list[str]:
        return [name for name, reference in self._references if reference() is not None]


async def settle() -> None:
    """Let Trio forget the tasks that have ended."""
    for _ in range(3):
        await trio.lowlevel.checkpoint()


async def test_an_ended_job_dies() -> None:
    watched = Watched()
    async with JobGroup() as group:
        job = group.submit(succeed, watched.watch(Thing()))
        watched.watch(job)
        assert isinstance(await job.result(), Thing)
        del job
        await settle()
        assert watched.alive == []


async def test_the_outputs_die_with_the_job() -> None:
    watched = Watched()

    async def work() -> Any:
        for _ in range(3):
            yield watched.watch(Thing())

    async with JobGroup() as group:
        job = group.submit(work)
        async for output in job:
            assert isinstance(output, Thing)
        del output, job
        await settle()
        assert watched.alive == []


async def failing(watched: Watched) -> None:
    local = watched.watch(Thing(), "local of the function")
    await trio.lowlevel.checkpoint()
    raise watched.watch(Boom(), "exception") from watched.watch(Boom(), "cause")
    del local


async def failing_stream(watched: Watched) -> Any:
    local = watched.watch(Thing(), "local of the function")
    yield watched.watch(Thing(), "output")
    raise watched.watch(Boom(), "exception")
    del local


@pytest.mark.parametrize("fn", [failing, failing_stream])
async def test_unretrieved_failed_job_dies(fn: Any) -> None:
    watched = Watched()
    async with JobGroup() as group:
        job = group.submit(fn, watched)
        watched.watch(job)
        await job.wait()
        job.exception()
        del job
        await settle()
        assert watched.alive == []


@pytest.mark.parametrize("fn", [failing, failing_stream])
async def test_failed_job_dies_after_result(fn: Any) -> None:
    watched = Watched()

    async def ask(job: Job[Any]) -> None:
        try:
            await job.result()
        except Boom:
            del job

    async with JobGroup() as group:
        await ask(watched.watch(group.submit(fn, watched)))
        await settle()
        assert watched.alive == []


async def test_failed_job_dies_after_iteration() -> None:
    watched = Watched()

    async def iterate(job: Job[Any]) -> None:
        iterator = job.__aiter__()
        output = None
        try:
            while True:
                output = await iterator.__anext__()
        except Boom:
            del job, output, iterator

    async with JobGroup() as group:
        await iterate(watched.watch(group.submit(failing_stream, watched)))
        await settle()
        assert watched.alive == []


async def test_failed_job_dies_after_unwrapping() -> None:
    watched = Watched()

    async def unwrap(job: Job[Any]) -> None:
        await job.wait()
        outcome = job.outcome
        assert outcome is not None
        try:
            outcome.unwrap()
        except Boom:
            del job, outcome

    async with JobGroup() as group:
        await unwrap(watched.watch(group.submit(failing, watched)))
        await settle()
        assert watched.alive == []


async def forever(watched: Watched) -> None:
    local = watched.watch(Thing(), "local of the function")
    report.output(watched.watch(Thing(), "output"))
    await trio.sleep_forever()
    del local


async def test_a_cancelled_job_dies() -> None:
    watched = Watched()

    async def ask(job: Job[Any]) -> None:
        try:
            await job.result()
        except JobCancelled as error:
            watched.watch(error)
            del job

    async with JobGroup() as group:
        job = group.submit(forever, watched)
        watched.watch(job)
        await trio.testing.wait_all_tasks_blocked()
        job.cancel("enough")
        await ask(job)
        del job
        await settle()
        assert watched.alive == []


async def test_a_job_cancelled_before_it_started_dies() -> None:
    watched = Watched()
    async with JobGroup() as group:
        job = group.submit(succeed, watched.watch(Thing(), "argument"))
        watched.watch(job).cancel()
        await job.wait()
        del job
        await settle()
        assert watched.alive == []


async def failing_when_cancelled(watched: Watched) -> None:
    local = watched.watch(Thing(), "local of the function")
    try:
        await trio.sleep_forever()
    finally:
        raise watched.watch(Boom(), "exception")
    del local


async def failing_when_cancelled_in_a_nursery(watched: Watched) -> None:
    report.output(watched.watch(Thing(), "output"))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(failing_when_cancelled, watched)
        await trio.sleep_forever()


@pytest.mark.parametrize("fn", [failing_when_cancelled, failing_when_cancelled_in_a_nursery])
async def test_job_failing_while_cancelled_dies(fn: Any) -> None:
    watched = Watched()
    async with JobGroup() as group:
        job = group.submit(fn, watched)
        await trio.testing.wait_all_tasks_blocked()
        job.cancel()
        await job.wait()
        watched.watch(job).exception()
        del job
        await settle()
        # Python's own `Boom.__context__` is a Cancelled, with frames: none of them may hold us.
        assert [name for name in watched.alive if name in ("Job", "output", "exception")] == []


async def test_a_wait_that_timed_out_dies(autojump_clock: trio.testing.MockClock) -> None:
    watched = Watched()

    async def ask(job: Job[Any]) -> None:
        try:
            await job.result(timeout=1)
        except JobTimeout as error:
            watched.watch(error)
            del job

    async with JobGroup() as group:
        job = group.submit(sleep, 5, watched.watch(Thing()))
        watched.watch(job)
        await ask(job)
        await job.wait()
        del job
        await settle()
        assert watched.alive == []


async def test_iterators_die(autojump_clock: trio.testing.MockClock) -> None:
    watched = Watched()
    async with JobGroup() as group:
        job = group.submit(count, 5, 1)
        async for _ in job:
            break
        with trio.move_on_after(0.5):
            async for _ in job:
                pass
        updates = job.updates()
        await updates.__anext__()
        watched.watch(job)
        await job.wait()
        del job, updates
        await settle()
        assert watched.alive == []


async def test_listeners_die_with_the_job() -> None:
    watched = Watched()

    class Listener(Thing):
        def __init__(self, job: Job[Any]) -> None:
            self.job = job

        def __call__(self, _: object) -> None: ...

    async with JobGroup() as group:
        job = group.submit(succeed)
        watched.watch(job)
        for add in (job.on_status, job.on_output, job.on_result):
            add(watched.watch(Listener(job)))
        await job.wait()
        del job, add
        await settle()
        assert watched.alive == []


async def test_listeners_die_though_one_of_them_raised() -> None:
    watched = Watched()

    class Listener(Thing):
        def __init__(self, job: Job[Any]) -> None:
            self.job = job

        def __call__(self, _: object) -> None:
            raise watched.watch(Boom())

    async def run() -> None:
        with pytest.RaisesGroup(Boom):
            async with JobGroup() as group:
                job = group.submit(succeed)
                watched.watch(job)
                job.on_result(watched.watch(Listener(job)))

    await run()
    await settle()
    assert watched.alive == []


async def test_failed_job_dies_despite_late_follower() -> None:
    watched = Watched()

    async def run() -> None:
        with pytest.RaisesGroup(Boom):
            async with JobGroup() as group:
                job = watched.watch(group.submit(fail))
                await job.wait()
                follow(group, Instrument())

    await run()
    await settle()
    assert watched.alive == []


async def run_failing_jobs(watched: Watched) -> None:
    async with JobGroup() as group:
        for _ in range(3):
            watched.watch(group.submit(failing, watched))


async def run_failing_body(watched: Watched) -> None:
    async with JobGroup() as group:
        watched.watch(group.submit(succeed))
        raise watched.watch(Boom(), "the body's exception")


async def run_both(watched: Watched) -> None:
    async with JobGroup() as group:
        await watched.watch(group.submit(failing, watched)).wait()
        raise watched.watch(Boom(), "the body's exception")


async def run_fail_fast(watched: Watched) -> None:
    async with JobGroup(fail_fast=True) as group:
        watched.watch(group.submit(forever, watched))
        watched.watch(group.submit(failing, watched))


@pytest.mark.parametrize("run", [run_failing_jobs, run_failing_body, run_both, run_fail_fast])
async def test_a_failed_group_dies(run: Callable[[Watched], Any]) -> None:
    watched = Watched()

    async def catch() -> None:
        try:
            await run(watched)
        except BaseExceptionGroup as error:
            watched.watch(error, "exception group")

    await catch()
    await settle()
    assert watched.alive == []


async def test_a_cancelled_group_dies(autojump_clock: trio.testing.MockClock) -> None:
    watched = Watched()

    async def run() -> None:
        with trio.move_on_after(1):
            async with JobGroup(limit=1) as group:
                watched.watch(group.submit(forever, watched))
                watched.watch(group.submit(forever, watched))
                await trio.sleep_forever()

    await run()
    await settle()
    assert watched.alive == []


async def test_group_releases_successful_and_retrieved_jobs() -> None:
    watched = Watched()
    async with JobGroup(limit=100) as group:
        for _ in range(3_500):
            watched.watch(group.submit(succeed))
            watched.watch(group.submit(fail)).on_result(Job.exception)
            watched.watch(group.submit(trio.sleep_forever)).cancel()
            if len(group.jobs) > 1000:
                await trio.testing.wait_all_tasks_blocked()
        await trio.testing.wait_all_tasks_blocked()
        await settle()
        assert group.jobs == ()
        assert watched.alive == []
        assert repr(group) == "<JobGroup: 0 running or waiting>"


async def test_ten_thousand_jobs_at_once_leave_nothing(autojump_clock):
    watched = Watched()
    async with JobGroup() as group:
        for _ in range(10_000):
            watched.watch(group.submit(sleep, 1, watched.watch(Thing())))
        await trio.sleep(0.5)
        assert len(group.jobs) == 10_000
    await settle()
    assert watched.alive == []
