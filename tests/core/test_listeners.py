"""`on_status`, `on_output`, `on_result`: plain functions, called in the job's own task."""

from __future__ import annotations

import contextvars
import functools
from typing import Any

import pytest
import trio
import trio.testing

from tests.support.jobs import Boom, appending, collect, count, fail, sleep, succeed
from triojob import Job, JobGroup, Status, StatusUpdate, report


async def test_status_listeners_hear_each_status() -> None:
    heard: list[StatusUpdate] = []
    async with JobGroup() as group:
        job = group.submit(count, 1)
        job.on_status(heard.append)
    assert [status.code for status in heard] == [
        Status.PROCESSING,
        Status.ITERATING,
        Status.FINISHED,
    ]
    assert heard[-1] is job.status()


async def test_output_listeners_hear_every_output() -> None:
    heard: list[int] = []
    async with JobGroup() as group:
        group.submit(count, 3).on_output(heard.append)
    assert heard == [0, 1, 2]


async def test_output_listener_hears_plain_result() -> None:
    heard: list[str] = []
    async with JobGroup() as group:
        group.submit(succeed).on_output(heard.append)
    assert heard == ["value"]


async def test_result_listener_is_called_once() -> None:
    heard: list[tuple[Job[Any], bool]] = []
    async with JobGroup() as group:
        job = group.submit(succeed)
        job.on_result(lambda job: heard.append((job, job.done)))
    assert heard == [(job, True)]


@pytest.mark.parametrize("fn", [succeed, fail, trio.sleep_forever])
async def test_result_listener_is_called_however_job_ends(fn: Any) -> None:
    heard: list[Job[Any]] = []
    async with JobGroup() as group:
        job = group.submit(fn)
        job.on_result(heard.append)
        await trio.testing.wait_all_tasks_blocked()
        job.cancel()
        await job.wait()
        job.exception()
    assert heard == [job]


async def test_late_result_listener_is_called_now() -> None:
    heard: list[Job[Any]] = []
    async with JobGroup() as group:
        job = group.submit(succeed)
        await job.wait()
        job.on_result(heard.append)
        assert heard == [job]


async def test_late_result_listeners_exception_is_raised() -> None:
    def listener(_: object) -> None:
        raise Boom

    async with JobGroup() as group:
        job = group.submit(succeed)
        await job.wait()
        with pytest.raises(Boom):
            job.on_result(listener)


async def test_late_listeners_hear_the_rest(autojump_clock):
    outputs: list[Any] = []
    codes: list[Status] = []
    async with JobGroup() as group:
        job = group.submit(count, 4, 1)
        await trio.sleep(2.5)
        job.on_output(outputs.append)
        job.on_status(lambda status: codes.append(status.code))
    assert outputs == [2, 3]
    assert codes == [Status.FINISHED]


@pytest.mark.parametrize("history", [None, 1, 3])
async def test_late_listeners_hear_whole_edited_outputs(autojump_clock, history):
    heard: list[list[int]] = []
    async with JobGroup(history=history) as group:
        job = group.submit(appending(30))
        await trio.sleep(27.5)
        job.on_output(heard.append)
    assert heard == [list(range(n)) for n in (28, 29, 30)]


async def test_second_late_listener_hears_no_older_output(autojump_clock):
    first: list[Any] = []
    second: list[Any] = []
    async with JobGroup() as group:
        job = group.submit(count, 4, 1)
        job.on_output(first.append)
        await trio.sleep(2.5)
        job.on_output(second.append)
    assert first == [0, 1, 2, 3]
    assert second == [2, 3]


async def test_listeners_hear_outputs_beyond_history() -> None:
    heard: list[int] = []
    async with JobGroup(history=0) as group:
        group.submit(count, 3).on_output(heard.append)
    assert heard == [0, 1, 2]


async def test_outputs_sent_before_a_cancellation_are_heard() -> None:
    heard: list[str] = []

    async def work() -> None:
        try:
            await trio.sleep_forever()
        finally:
            report.output("last words")

    async with JobGroup() as group:
        job = group.submit(work)
        job.on_output(heard.append)
        await trio.testing.wait_all_tasks_blocked()
        job.cancel()
    assert heard == ["last words"]
    assert job.outputs() == ["last words"]


def add(job: Job[Any], kind: str, listener: Any) -> None:
    {"status": job.on_status, "output": job.on_output, "result": job.on_result}[kind](listener)


KINDS = pytest.mark.parametrize("kind", ["status", "output", "result"])


@KINDS
async def test_a_listener_that_raises_fails_the_group(autojump_clock, kind):
    error = Boom("listener")

    def listener(_: object) -> None:
        raise error

    with pytest.RaisesGroup(pytest.RaisesExc(Boom, match="listener")):
        async with JobGroup() as group:
            add(group.submit(succeed), kind, listener)
            sibling = group.submit(trio.sleep_forever)
            await trio.sleep_forever()
    assert sibling.cancelled


async def test_listener_that_raises_is_not_called_again() -> None:
    calls: list[object] = []

    def listener(status: object) -> None:
        calls.append(status)
        raise Boom

    with pytest.RaisesGroup(Boom):
        async with JobGroup() as group:
            group.submit(count, 3).on_status(listener)
    assert len(calls) == 1


async def test_listener_raising_at_end_spares_result() -> None:
    def listener(_: object) -> None:
        raise Boom

    with pytest.RaisesGroup(Boom):
        async with JobGroup() as group:
            job = group.submit(succeed)
            job.on_result(listener)
    assert await job.result() == "value"


async def test_listener_raising_on_output_spares_job() -> None:
    def listener(_: object) -> None:
        raise Boom

    with pytest.RaisesGroup(Boom):
        async with JobGroup() as group:
            job = group.submit(count, 3)
            job.on_output(listener)
    assert not isinstance(job.exception(), Boom)


async def test_other_listeners_are_called_all_same() -> None:
    heard: list[Job[Any]] = []

    def listener(_: object) -> None:
        raise Boom

    with pytest.RaisesGroup(Boom):
        async with JobGroup() as group:
            job = group.submit(succeed)
            job.on_result(listener)
            job.on_result(heard.append)
    assert heard == [job]


async def test_listener_raising_the_failure_fails_group() -> None:
    """To retrieve a failure in a listener, and to raise, is one and the same there."""

    def listener(job: Job[Any]) -> None:
        assert job.outcome is not None
        job.outcome.unwrap()

    with pytest.RaisesGroup(Boom):
        async with JobGroup() as group:
            job = group.submit(fail)
            job.on_result(listener)
    assert isinstance(job.exception(), Boom)


async def test_listener_that_raises_after_another_retrieved_failure() -> None:
    def listener(_: object) -> None:
        raise ZeroDivisionError

    with pytest.RaisesGroup(ZeroDivisionError):
        async with JobGroup() as group:
            job = group.submit(fail)
            job.on_result(lambda job: job.exception())
            job.on_result(listener)


async def test_listeners_exception_joins_jobs_failure() -> None:
    def listener(_: object) -> None:
        raise ZeroDivisionError

    with pytest.RaisesGroup(ZeroDivisionError, Boom):
        async with JobGroup() as group:
            group.submit(fail).on_result(listener)


async def test_a_listener_may_cancel_its_job() -> None:
    async with JobGroup() as group:
        job = group.submit(count, 100)
        job.on_output(lambda output: job.cancel("enough") if output == 3 else None)
    assert job.cancelled
    assert job.outputs()[:4] == [0, 1, 2, 3]


async def test_a_listener_may_cancel_the_group(autojump_clock: trio.testing.MockClock) -> None:
    async with JobGroup() as group:
        slow = group.submit(trio.sleep_forever)
        group.submit(sleep, 1).on_result(lambda _: group.cancel_scope.cancel())
    assert slow.cancelled


class AsyncCallable:
    async def __call__(self, _: object) -> None: ...


async def async_function(_: object) -> None: ...


async def async_generator_function(_: object) -> Any:
    yield


def generator_function(_: object) -> Any:
    yield


@KINDS
@pytest.mark.parametrize(
    "listener",
    [
        async_function,
        functools.partial(async_function),
        AsyncCallable(),
        AsyncCallable().__call__,
        async_generator_function,
        generator_function,
        None,
        3,
    ],
    ids=["function", "partial", "callable", "method", "generator", "plain", "none", "int"],
)
async def test_what_is_no_plain_function_is_refused(kind: str, listener: Any) -> None:
    async with JobGroup() as group:
        job = group.submit(succeed)
        with pytest.raises(TypeError, match="a listener must be a plain function"):
            add(job, kind, listener)


async def test_reporting_listener_keeps_the_order() -> None:
    """A listener may have kept the context of the function, and report as it."""
    inside: list[contextvars.Context] = []
    heard: list[int | None] = []

    async def work() -> None:
        inside.append(contextvars.copy_context())
        report.status(Status.IN_QUEUE, rank=2)
        await trio.lowlevel.checkpoint()

    def go_on(status: StatusUpdate) -> None:
        if status.rank:
            inside[0].run(report.status, Status.IN_QUEUE, rank=status.rank - 1)

    async with JobGroup() as group:
        job = group.submit(work)
        job.on_status(go_on)
        job.on_status(lambda status: heard.append(status.rank))
        await job.wait()
        assert job.status().code is Status.FINISHED
    assert heard == [None, 2, 1, 0, None]


async def test_listeners_run_in_the_jobs_own_task() -> None:
    names: list[str] = []
    async with JobGroup() as group:
        job = group.submit(succeed)
        job.on_result(lambda _: names.append(trio.lowlevel.current_task().name))
    assert names == [f"<job #{job.id} succeed>"]


async def test_listeners_and_iterators_share_outputs() -> None:
    heard: list[int] = []
    async with JobGroup() as group:
        job = group.submit(count, 5)
        job.on_output(heard.append)
        assert await collect(job) == heard == list(range(5))


async def test_listener_may_remove_result_listeners() -> None:
    heard: list[str] = []
    async with JobGroup() as group:
        job = group.submit(succeed)

        def first(_result: object) -> None:
            for listener in (first, second, first):
                job._record.stop_listening(listener)
            heard.append("first")

        def second(_result: object) -> None:
            heard.append("second")

        for listener in (first, second, second):
            job._record.listen("result", listener)
    job._record.stop_listening(first)
    assert heard == ["first", "second"]
