"""Jobs and groups are refused outside their Trio run, and the error says what to do."""

from __future__ import annotations

import asyncio
import gc
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import trio
import trio.testing

import triojob
from tests.support.jobs import Scripted, collect, listeners, sleep, succeed
from triojob import (
    GroupClosed,
    Instrument,
    Job,
    JobGroup,
    as_completed,
    first_completed,
    first_success,
    gather,
    report,
)
from triojob._core.call import Call, Submittable
from triojob._core.group import follow

Use = Callable[[JobGroup, Job[Any]], Any]


async def current_token() -> trio.lowlevel.TrioToken:
    return trio.lowlevel.current_trio_token()


async def enter(manager: Any) -> None:
    async with manager:
        pass


# What needs a Trio task: any, or one of the job's own run.
IN_A_TASK: dict[str, Use] = {
    "JobGroup": lambda *_: enter(JobGroup()),
    "map": lambda *_: enter(triojob.map(succeed, [1])),
    "gather": lambda *_: gather(succeed, partial(sleep, 1)),
    "first_success": lambda *_: first_success(succeed),
    "first_completed": lambda *_: first_completed(succeed),
    "live": lambda *_: enter(triojob.live(JobGroup())),
    "as_completed of none": lambda *_: collect(as_completed([])),
}
IN_ITS_RUN: dict[str, Use] = {
    "wait": lambda _, job: job.wait(),
    "result": lambda _, job: job.result(),
    "result with timeout": lambda _, job: job.result(timeout=1),
    "iteration": lambda _, job: collect(job),
    "updates": lambda _, job: collect(job.updates()),
    "gather of jobs": lambda _, job: gather(succeed, job),
    "first_success of jobs": lambda _, job: first_success(job, succeed),
    "first_completed of jobs": lambda _, job: first_completed(job, succeed),
}
# What changes a job or a group, in a task or not.
IN_ITS_THREAD: dict[str, Use] = {
    "submit": lambda group, _: group.submit(succeed),
    "cancel": lambda _, job: job.cancel(),
    "cancel_scope": lambda group, _: group.cancel_scope,
    "on_status": lambda _, job: job.on_status(print),
    "on_output": lambda _, job: job.on_output(print),
    "on_result": lambda _, job: job.on_result(print),
    "as_completed": lambda _, job: as_completed([job]),
}


async def do(use: Use, group: JobGroup, job: Job[Any]) -> None:
    given = use(group, job)
    if asyncio.iscoroutine(given):
        await given


def in_asyncio(use: Use, group: JobGroup, job: Job[Any]) -> None:
    asyncio.run(do(use, group, job))


def in_another_run(use: Use, group: JobGroup, job: Job[Any]) -> None:
    trio.run(do, use, group, job)


def in_a_thread(use: Use, group: JobGroup, job: Job[Any]) -> None:
    use(group, job)


USES = {**IN_A_TASK, **IN_ITS_RUN, **IN_ITS_THREAD}
CASES = [
    *((in_asyncio, name) for name in USES),
    *((in_another_run, name) for name in (*IN_ITS_RUN, *IN_ITS_THREAD)),
    *((in_a_thread, name) for name in IN_ITS_THREAD),
]


@pytest.mark.parametrize("place, name", CASES)
async def test_wrong_place_is_refused_and_harms_nobody(place, name):
    done = trio.Event()

    async def work() -> str:
        await done.wait()
        return "value"

    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        async with JobGroup() as group:
            job = group.submit(work)
            await trio.testing.wait_all_tasks_blocked()
            with pytest.raises(RuntimeError, match=r"triojob\.sync") as caught:
                await trio.to_thread.run_sync(place, USES[name], group, job)
            assert ". " not in str(caught.value), "one sentence is enough"
            del caught
            gc.collect()  # a coroutine that was never awaited says so now
            assert group.jobs == (job,)
            assert not listeners(job)
            done.set()
        assert await job.result() == "value"
    assert [str(each.message) for each in warned] == []


async def test_refused_group_works_in_its_place() -> None:
    group, results = JobGroup(), triojob.map(succeed, [1])
    for manager in (group, results):
        with pytest.raises(RuntimeError, match=r"trio\.run"):
            await trio.to_thread.run_sync(asyncio.run, enter(manager))
    async with group, results:
        assert await group.submit(succeed).result() == "value"
        assert await collect(results) == [1]


async def test_iterators_go_on_in_their_run_only() -> None:
    done = trio.Event()
    async with JobGroup() as group, triojob.map(succeed, [1]) as results:
        job = group.submit(done.wait)
        iterators: list[Any] = [aiter(job), job.updates(), as_completed([job]), results]
        for iterator in iterators:
            for run in (trio.run, lambda fn: asyncio.run(fn())):
                with pytest.raises(RuntimeError, match=r"triojob\.sync"):
                    await trio.to_thread.run_sync(run, iterator.__anext__)
        done.set()
        for iterator in iterators:
            assert await collect(iterator)


async def test_ended_job_is_readable_everywhere() -> None:
    async with JobGroup() as group:
        job = group.submit(succeed)
        await job.wait()

    async def read() -> None:
        assert await job.result() == "value"
        assert await gather(job) == ("value",)
        assert await collect(job) == ["value"]
        assert await collect(as_completed([job])) == [job]
        job.cancel()

    await trio.to_thread.run_sync(trio.run, read)


async def test_report_belongs_to_run_of_its_job() -> None:
    """The context of a job goes along to threads, and so to the runs that are started there."""

    async def report_from_afar() -> None:
        report.output("lost")

    async def work() -> str:
        with pytest.raises(RuntimeError, match="belongs to another Trio run"):
            await trio.to_thread.run_sync(trio.run, report_from_afar)
        await trio.to_thread.run_sync(report.output, "from a thread")
        return "value"

    async with JobGroup() as group:
        job = group.submit(work)
    assert job.outputs() == ["from a thread"]


async def test_guests_host_may_submit_not_wait() -> None:
    """Asyncio, in the thread that Trio runs in."""

    async def host() -> None:
        entered = asyncio.Event()
        over = asyncio.get_running_loop().create_future()
        groups: list[JobGroup] = []

        async def guest() -> None:
            async with JobGroup() as group:
                groups.append(group)
                entered.set()
                await trio.sleep_forever()

        trio.lowlevel.start_guest_run(
            guest,
            run_sync_soon_threadsafe=asyncio.get_running_loop().call_soon_threadsafe,
            done_callback=over.set_result,
        )
        await entered.wait()
        ended = asyncio.Event()
        job = groups[0].submit(trio.sleep_forever)
        job.on_result(lambda _: ended.set())
        with pytest.raises(RuntimeError, match=r"triojob\.sync"):
            await job.result()
        job.cancel()
        await ended.wait()
        assert job.cancelled
        groups[0].cancel_scope.cancel()
        await over

    await trio.to_thread.run_sync(asyncio.run, host())


async def test_group_that_has_ended_says_so_everywhere() -> None:
    async with JobGroup() as group:
        pass

    def use() -> None:
        with pytest.raises(GroupClosed, match="has ended"):
            group.submit(succeed)
        assert not group.cancel_scope.cancelled_caught
        follow(group, Instrument())

    await trio.to_thread.run_sync(use)


async def test_call_of_another_run_is_refused() -> None:
    """As that of an endpoint is, whose client lives in another run."""
    script = Scripted(sleep)

    class Foreign(Submittable):
        def bind(self, args: Any, kwargs: Any, **_: Any) -> Call:
            call = script.bind(args, kwargs)
            call.token = token
            return call

    token = await trio.to_thread.run_sync(trio.run, current_token)
    async with JobGroup() as group:
        with pytest.raises(RuntimeError, match=r"^scripted belongs to .*triojob\.sync"):
            group.submit(Foreign())
        assert script.discarded == 1
        assert group.statistics().submitted == 0
        # Where nobody looks at the submit, it is the failure of the call.
        (job,) = await gather(Foreign(), return_jobs=True)
        assert isinstance(job.exception(), RuntimeError)
        assert script.discarded == 2


async def test_group_is_followed_in_its_run_only() -> None:
    async with JobGroup() as group:
        with pytest.raises(RuntimeError, match=r"^this group belongs"):
            await trio.to_thread.run_sync(follow, group, Instrument())
        follow(group, Instrument())


async def test_refusal_names_the_job() -> None:
    async with JobGroup() as group:
        job = group.submit(trio.sleep_forever)
        job._record.stop_listening(print)  # it has no listeners yet
        for use in (job.cancel, lambda: job.wait().send(None)):
            with pytest.raises(RuntimeError, match=rf"^job #{job.id} sleep_forever "):
                await trio.to_thread.run_sync(use)
        job.cancel()
