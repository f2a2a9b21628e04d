"""Threads of a Trio application hand calls to a group that lives in the Trio thread."""

from __future__ import annotations

import concurrent.futures
import contextvars
import logging
import queue
import threading
from typing import Any

import pytest
import trio
import trio.testing

from tests.support.hanging import SECONDS
from tests.support.jobs import (
    Boom,
    count,
    fail,
    sleep,
    succeed,
)
from tests.support.threads import Watched, wait_until_blocked
from triojob import Client, GroupClosed, JobCancelled, JobGroup, JobTimeout, Status, report
from triojob.sync import Job, submit

in_thread = trio.to_thread.run_sync


async def test_threads_submit_functions_generators_endpoints(memory_app):
    memory_app.app.add("echo", inputs=["text"])

    def work(group: JobGroup, echo: Any) -> None:
        assert submit(group, succeed, 5).result() == 5
        stream = submit(group, count, 3)
        assert list(stream) == [0, 1, 2]
        assert stream.result() == 2
        assert stream.outputs() == [0, 1, 2]
        assert submit(group, echo, text="hello").result() == "hello"

    async with (
        Client(memory_app.url, transport=memory_app.transport()) as client,
        JobGroup() as group,
    ):
        await in_thread(work, group, client.endpoint("/echo"))


async def test_another_runs_task_may_submit() -> None:
    token, go_on = trio.lowlevel.current_trio_token(), trio.Event()

    async def where() -> int:
        await go_on.wait()
        return threading.get_ident()

    async def other(group: JobGroup) -> None:
        job = submit(group, where)
        with pytest.raises(RuntimeError, match="would block the thread"):
            job.result()
        token.run_sync_soon(go_on.set)
        assert await in_thread(job.result) == home

    home = threading.get_ident()
    async with JobGroup() as group:
        await in_thread(trio.run, other, group)
        with pytest.raises(RuntimeError, match=r"in a Trio task, use group\.submit"):
            submit(group, where)


async def test_job_is_future_that_repeats_itself(autojump_clock: Any) -> None:
    def work(group: JobGroup) -> None:
        jobs = [submit(group, sleep, n, n) for n in range(4)]
        done, waiting = concurrent.futures.wait(jobs)
        assert (done, waiting) == (set(jobs), set())
        assert [job.result() for job in concurrent.futures.as_completed(jobs)] != []
        assert [job.result() for job in jobs] == [0, 1, 2, 3]
        assert [job.exception() for job in jobs] == [None] * 4
        assert all(job.done() and not job.running() and not job.cancelled() for job in jobs)
        assert {job.status().code for job in jobs} == {Status.FINISHED}

    async with JobGroup() as group:
        await in_thread(work, group)


async def test_status_and_outputs_follow_what_job_reports() -> None:
    go_on = trio.Event()

    async def work() -> str:
        report.output("half")
        report.log("so far")
        await go_on.wait()
        return "whole"

    def look(job: Job) -> tuple[list[Any], bool, bool]:
        return job.outputs(), job.running(), job.status().success or False

    async with JobGroup(limit=1) as group:
        job = await in_thread(submit, group, work)
        queued = await in_thread(submit, group, succeed)
        await trio.testing.wait_all_tasks_blocked()
        assert await in_thread(look, job) == (["half"], True, False)
        assert job.status().log == ("so far", "info")
        assert not queued.running()
        assert queued.status().code is Status.STARTING
        go_on.set()
    assert look(job) == (["half"], False, True)
    assert look(queued) == (["value"], False, True)


async def test_list_of_outputs_is_callers_own() -> None:
    def work(group: JobGroup) -> None:
        job = submit(group, count, 2)
        job.result()
        job.outputs().clear()
        assert job.outputs() == [0, 1]

    async with JobGroup() as group:
        await in_thread(work, group)


async def test_timeout_bounds_wait_on_clock_of_run(autojump_clock: Any) -> None:
    go_on = trio.Event()

    async def wait() -> str:
        await go_on.wait()
        return "value"

    def work(group: JobGroup) -> None:
        job = submit(group, wait)
        for timeout in (1000, 0, -1):
            with pytest.raises(JobTimeout):
                job.result(timeout)
        with pytest.raises(JobTimeout):
            job.exception(timeout=1000)
        trio.from_thread.run_sync(go_on.set)
        assert job.result(1000) == "value"

    async with JobGroup() as group:
        began = trio.current_time()
        await in_thread(work, group)
        assert trio.current_time() - began >= 2000


async def test_cancelled_job_ends_at_once(autojump_clock):
    cleaned: list[str] = []
    started = threading.Event()

    async def work() -> None:
        try:
            started.set()
            await trio.sleep_forever()
        finally:
            cleaned.append("up")

    def cancel(group: JobGroup) -> None:
        job = submit(group, work)
        assert started.wait(SECONDS)
        assert job.cancel("enough")
        assert job.cancelled()
        assert job.done()
        assert job.status().code is Status.CANCELLED
        for ask in (job.result, job.exception):
            with pytest.raises(concurrent.futures.CancelledError, match="cancelled") as caught:
                ask()
            assert isinstance(caught.value, JobCancelled)
            assert caught.value.reason == "enough"
        assert list(job) == []

        other = submit(group, work)
        running = Watched(other.result)
        wait_until_blocked(running)
        assert other.cancel()
        with pytest.raises(JobCancelled):
            running.get()

    async with JobGroup() as group:
        await in_thread(cancel, group)
    # The second may have been cancelled before it began.
    assert cleaned in (["up"], ["up", "up"])


async def test_cancelling_an_ended_job_changes_nothing() -> None:
    def work(group: JobGroup) -> None:
        job = submit(group, succeed)
        assert job.result() == "value"
        assert not job.cancel()
        assert job.result() == "value"

    async with JobGroup() as group:
        await in_thread(work, group)


async def test_blocking_callback_hears_each_end_once(caplog: Any) -> None:
    heard: list[tuple[str, bool]] = []
    raised = threading.Event()

    def raise_boom(job: Job) -> None:
        raise Boom

    def work(group: JobGroup) -> None:
        other = submit(group, sleep, 0.01)

        def note(name: str, job: Job) -> None:
            other.result()  # blocks, and nothing else
            heard.append((name, job.cancelled()))
            if len(heard) == 3:
                raised.set()

        jobs = {"good": submit(group, succeed), "bad": submit(group, fail)}
        jobs["cancelled"] = submit(group, trio.sleep_forever)
        for name, job in jobs.items():
            job.add_done_callback(raise_boom)
            job.add_done_callback(lambda job, name=name: note(name, job))
        assert isinstance(jobs["bad"].exception(), Boom)
        jobs["cancelled"].cancel()
        assert raised.wait(SECONDS)
        jobs["good"].add_done_callback(lambda job: note("late", job))

    async with JobGroup() as group:
        await in_thread(work, group)
    assert sorted(heard) == [("bad", False), ("cancelled", True), ("good", False), ("late", False)]
    assert [record.exc_info[0] for record in caplog.records] == [Boom] * 3
    assert {record.levelno for record in caplog.records} == {logging.ERROR}


async def test_server_hears_of_cancellation_before_callbacks_run() -> None:
    stopped = threading.Event()
    seen: queue.SimpleQueue[bool] = queue.SimpleQueue()

    async def work() -> None:
        try:
            await trio.sleep_forever()
        finally:
            stopped.set()

    def cancel(job: Job) -> None:
        job.add_done_callback(lambda job: seen.put(stopped.wait(SECONDS)))
        job.cancel()
        assert seen.get(timeout=SECONDS)

    async with JobGroup() as group:
        job = await in_thread(submit, group, work)
        await trio.testing.wait_all_tasks_blocked()
        await in_thread(cancel, job)


async def test_bounded_group_forgets_in_its_thread() -> None:
    def work(group: JobGroup) -> list[int]:
        job = submit(group, count, 500)
        seen = list(job)
        assert job.result() == 499
        assert job.outputs() == [] or job.outputs()[-1] == 499
        return seen

    async with JobGroup(history=3) as group:
        for _ in range(5):
            seen = await in_thread(work, group)
            assert seen == sorted(set(seen))
            assert seen[-1] == 499


async def test_reading_a_job_needs_no_trio_thread() -> None:
    """It is blocked meanwhile."""

    def read(job: Job, failed: Job) -> None:
        assert next(job) == 15
        assert job.outputs() == [15, 16, 17, 18, 19]
        assert job.status().success
        assert job.result() == 19
        assert list(job) == [16, 17, 18, 19]
        assert isinstance(failed.exception(), Boom)
        assert failed.outputs() == []

    async with JobGroup(history=5) as group:
        jobs = [await in_thread(submit, group, *call) for call in ((count, 20), (fail,))]
        await trio.testing.wait_all_tasks_blocked()
        assert len(group.jobs) == 1
        Watched(read, *jobs).get()
        assert group.jobs == ()


async def test_job_has_its_submitters_context() -> None:
    variable = contextvars.ContextVar("variable", default="nobody's")

    async def get() -> str:
        await trio.lowlevel.checkpoint()
        value = variable.get()
        variable.set("the job's")
        return value

    def work(group: JobGroup) -> str:
        assert variable.get() == "the task's"
        variable.set("the thread's")
        value: str = submit(group, get).result()
        assert variable.get() == "the thread's"
        return value

    async with JobGroup() as group:
        variable.set("the task's")
        assert await in_thread(work, group) == "the thread's"
        assert variable.get() == "the task's"


async def test_unopened_group_takes_no_jobs() -> None:
    def work(group: JobGroup, message: str) -> None:
        with pytest.raises(GroupClosed, match=message):
            submit(group, succeed)

    group = JobGroup()
    await in_thread(work, group, "enter the group first")
    async with group:
        pass
    await in_thread(work, group, "has ended")


async def test_wrong_arguments_are_told_by_submit() -> None:
    def work(group: JobGroup) -> None:
        with pytest.raises(TypeError, match="unexpected"):
            submit(group, succeed, wrong=1)
        with pytest.raises(TypeError, match="async function"):
            submit(group, print)

    async with JobGroup() as group:
        await in_thread(work, group)


def test_ended_runs_group_takes_no_jobs() -> None:
    async def main() -> JobGroup:
        async with JobGroup() as group:
            return group

    with pytest.raises(GroupClosed):
        submit(trio.run(main), succeed)


def test_each_run_has_its_own_groups() -> None:
    async def main(n: int) -> Any:
        async with JobGroup() as group:
            return await in_thread(lambda: submit(group, succeed, n).result())

    assert [trio.run(main, n) for n in range(50)] == list(range(50))
    together = [Watched(trio.run, main, n) for n in range(20)]
    assert [thread.get() for thread in together] == list(range(20))


async def test_another_runs_thread_can_be_cancelled() -> None:
    async def wait(job: Job) -> str:
        assert await in_thread(job.result) == "value"
        return "seen"

    def other_run(job: Job) -> str:
        result: str = trio.run(wait, job)
        return result

    async with JobGroup() as group:
        go_on = trio.Event()

        async def work() -> str:
            await go_on.wait()
            return "value"

        job = await in_thread(submit, group, work)
        other = Watched(other_run, job)
        go_on.set()
        assert await in_thread(other.get) == "seen"


async def test_another_runs_thread_retrieves_ended_job() -> None:
    async def look(job: Job) -> None:
        await trio.lowlevel.checkpoint()
        with pytest.raises(Boom):
            job.result()

    async with JobGroup() as group:
        job = await in_thread(submit, group, fail)
        await trio.testing.wait_all_tasks_blocked()
        assert job.done()
        await in_thread(Watched(trio.run, look, job).get)


async def test_the_function_runs_in_the_trio_thread() -> None:
    async def where() -> int:
        await trio.lowlevel.checkpoint()
        return threading.get_ident()

    async with JobGroup() as group:
        job = await in_thread(submit, group, where)
        assert await in_thread(job.result) == threading.get_ident()
