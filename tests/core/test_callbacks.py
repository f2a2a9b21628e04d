"""The end of a job is whole, whatever its callbacks raise or do."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
import trio
import trio.testing
from outcome import Value

from tests.support.jobs import (
    BaseExceptionGroup,
    Boom,
    Quit,
    Scripted,
    collect,
    count,
    fail,
    leaves,
    listeners,
    succeed,
)
from triojob import (
    Instrument,
    Job,
    JobCancelled,
    JobGroup,
    LogMessage,
    Status,
    StatusUpdate,
    as_completed,
    report,
)
from triojob._core.messages import WholeOutput
from triojob._core.sink import ChannelSink

Callback = Callable[[Job[Any]], object]


RAISED = [KeyboardInterrupt, SystemExit, asyncio.CancelledError, GeneratorExit, Quit, Boom]
HOOKS = ["job_submitted", "job_started", "job_update", "job_output", "job_ended"]
STATUSES = ["PROCESSING", "ITERATING", "FINISHED", "CANCELLED"]
PLACES = pytest.mark.parametrize("place", [*HOOKS, *STATUSES, "output", "result", "watcher"])


async def talk() -> str:
    report.log("hello")
    report.output(0)
    await trio.lowlevel.checkpoint()
    report.output(1)
    return "value"


async def speak_last() -> None:
    try:
        await trio.sleep_forever()
    finally:
        report.output("last words")


async def produce(sink: ChannelSink) -> None:
    sink.output(WholeOutput(0))
    await trio.lowlevel.checkpoint()
    sink.output(WholeOutput(1))
    sink.finish(Value("value"))


async def produce_last(sink: ChannelSink) -> None:
    try:
        await trio.sleep_forever()
    finally:
        sink.output(WholeOutput("last words"))


CALLS: list[Any] = [succeed, talk, partial(count, 2), fail, Scripted(produce)]
CANCELLED: list[Any] = [speak_last, Scripted(produce_last)]


def put(place: str, callback: Callback, job: Job[Any]) -> None:
    """Have ``callback`` called there, unless it is an instrument that calls it."""
    if place in STATUSES:
        code = Status[place]
        job.on_status(lambda status: callback(job) if status.code is code else None)
    elif place == "output":
        job.on_output(lambda _: callback(job))
    elif place == "result":
        job.on_result(callback)
    elif place == "watcher":
        job._record.observe().watchers.append(lambda: callback(job))


@dataclass
class Watched:
    """A job with a callback in one place, and all who are to learn how it ends."""

    place: str
    callback: Callback
    calls: int = 0
    heard: list[str] = field(default_factory=list[str])
    raised: list[BaseException] = field(default_factory=list[BaseException])

    def _call_back(self, job: Job[Any], *_: object) -> None:
        self.calls += 1
        self.callback(job)

    def _hear(self, who: str, status: StatusUpdate | None = None) -> None:
        if status is None or status.success is not None:
            self.heard.append(who)

    async def _wait(self, job: Job[Any]) -> None:
        with suppress(JobCancelled, Boom):
            await job.result()
        self.heard.append("waiter")

    async def _iterate(self, job: Job[Any]) -> None:
        with suppress(JobCancelled, Boom):
            await collect(job)
        self.heard.append("iterator")

    async def _follow(self, job: Job[Any]) -> None:
        for update in await collect(job.updates()):
            if isinstance(update, StatusUpdate):
                self._hear("updates", update)

    async def _complete(self, job: Job[Any]) -> None:
        self.heard += ["completed"] * len(await collect(as_completed([job])))

    async def run(self, call: Any, prepare: Callback = bool) -> Job[Any]:
        """Run the job to its end, and see that all is recorded and everybody has heard once."""
        first, last = Instrument(), Instrument()
        last.job_ended = lambda _: self.heard.append("instrument")  # type: ignore[method-assign]
        if self.place in HOOKS:
            setattr(first, self.place, self._call_back)
        with trio.fail_after(1000):
            async with trio.open_nursery() as outside:
                group = JobGroup(instruments=[first, last])
                try:
                    async with group:
                        job = group.submit(call)
                        prepare(job)
                        job.on_status(lambda status: self._hear("status, before", status))
                        job.on_result(lambda _: self._hear("result, before"))
                        put(self.place, self._call_back, job)
                        prepare(job)
                        job.on_status(lambda status: self._hear("status, after", status))
                        job.on_result(lambda _: self._hear("result, after"))
                        for consume in (self._wait, self._iterate, self._follow, self._complete):
                            outside.start_soon(consume, job)
                        if call in CANCELLED:
                            await trio.testing.wait_all_tasks_blocked()
                            job.cancel()
                except BaseExceptionGroup as error:
                    self.raised = leaves(error)
        assert job.done
        assert job.status().code is (Status.CANCELLED if job.cancelled else Status.FINISHED)
        assert sorted(self.heard) == [
            *("completed", "instrument", "iterator", "result, after", "result, before"),
            *("status, after", "status, before", "updates", "waiter"),
        ]
        counts = group.statistics()
        assert counts.submitted == counts.succeeded + counts.failed + counts.cancelled
        assert counts.running == counts.waiting == counts.unretrieved == 0
        assert not listeners(job)
        return job


@PLACES
async def test_a_callback_may_raise_anything(autojump_clock, place):
    called = 0
    for call in (*CALLS, *CANCELLED):
        for kind in RAISED:
            error = kind("from a callback")

            def callback(_: object, error: BaseException = error) -> None:
                raise error

            watched = Watched(place, callback)
            await watched.run(call)
            # An instrument's `Exception` is logged.
            once = watched.calls > 0 and not (place in HOOKS and kind is Boom)
            assert watched.raised == [error] * once
            assert watched.calls <= 1 or place == "watcher"
            called += watched.calls
    assert called >= len(RAISED)


# What callbacks do, with a list that has iterators over the job to begin with.


def make_iterators(job: Job[Any], kept: list[Any]) -> None:
    kept += [as_completed([job]), aiter(job), job.updates()]


def make_and_drop_iterators(job: Job[Any], _: list[Any]) -> None:
    make_iterators(job, [])


def drop_iterators(_: Job[Any], kept: list[Any]) -> None:
    kept.clear()


def collect_iterators(_: Job[Any], kept: list[Any]) -> None:
    """Have the collector come, as it may at any moment."""
    kept.append([*kept])
    kept[-1].append(kept[-1])
    kept.clear()
    gc.collect(0)


def listen_more(job: Job[Any], kept: list[Any]) -> None:
    for listen in (job.on_status, job.on_output, job.on_result):
        listen(kept.append)


def cancel(job: Job[Any], _: list[Any]) -> None:
    job.cancel("enough")


def look(job: Job[Any], kept: list[Any]) -> None:
    kept[:] = [job.outputs(), job.status(), repr(job), job.done and job.exception()]


@PLACES
@pytest.mark.parametrize(
    "act",
    [
        make_iterators,
        make_and_drop_iterators,
        drop_iterators,
        collect_iterators,
        listen_more,
        cancel,
        look,
    ],
)
async def test_callback_may_do_anything_to_its_job(autojump_clock, no_collector, place, act):
    called = 0
    for call in (*CALLS, *CANCELLED):
        kept: list[Any] = []

        def callback(job: Job[Any], kept: list[Any] = kept) -> None:
            act(job, kept)

        watched = Watched(place, callback)
        await watched.run(call, lambda job, kept=kept: kept.append(as_completed([job])))
        assert watched.raised == []
        called += watched.calls
    assert called


@PLACES
@pytest.mark.parametrize("outputs", [0, 2])
async def test_a_callback_may_report_and_then_raise(autojump_clock, place, outputs):
    """A callback may have kept the context of the function, and report as it."""
    inside: list[contextvars.Context] = []
    reported: list[str] = []
    error = Quit()

    async def work() -> str:
        inside.append(contextvars.copy_context())
        for number in range(outputs):
            report.output(number)
            await trio.lowlevel.checkpoint()
        return "value"

    def callback(job: Job[Any]) -> None:
        if not inside or len(reported) == 3 or job.done:
            return
        text = f"line {len(reported)}"
        inside[0].run(report.log, text)
        reported.append(text)
        if len(reported) == 3:
            raise error

    watched = Watched(place, callback)
    job = await watched.run(work)
    updates = await collect(job.updates())
    assert [update.text for update in updates if isinstance(update, LogMessage)] == reported
    assert watched.raised == [error] * (len(reported) == 3)


@pytest.mark.parametrize("line", ["submitted", "started", "succeeded"])
async def test_a_log_filter_may_raise_anything(caplog, monkeypatch, autojump_clock, line):
    error = Quit()

    def refuse(record: logging.LogRecord) -> bool:
        if line in record.getMessage():
            raise error
        return False

    caplog.set_level(logging.DEBUG, "triojob")
    monkeypatch.setattr(logging.getLogger("triojob"), "filters", [refuse])
    watched = Watched("", print)
    await watched.run(Scripted(produce))
    assert watched.raised == [error]


async def test_counts_are_right_when_callbacks_run() -> None:
    counts: list[str] = []

    def count_them(_: object) -> None:
        now = group.statistics()
        counts.append(
            f"{now.running} {now.succeeded} {now.failed} {now.cancelled} {now.unretrieved}"
        )

    async with JobGroup() as group:
        for call in (succeed, fail, trio.sleep_forever):
            job = group.submit(call)
            job.on_result(count_them)
            await trio.testing.wait_all_tasks_blocked()
            job.cancel()
            await job.wait()
            job.exception()
    assert counts == ["0 1 0 0 0", "0 1 1 0 1", "0 1 1 1 0"]


class Broken(WholeOutput):
    """An output that can't be built."""

    def show(self, state: Any, /) -> Any:
        raise Boom


async def test_output_broken_at_end_is_failure() -> None:
    async def break_last(sink: ChannelSink) -> None:
        try:
            await trio.sleep_forever()
        finally:
            sink.output(Broken(1))

    async with JobGroup() as group:
        job = group.submit(Scripted(break_last))
        job.on_output(print)
        await trio.testing.wait_all_tasks_blocked()
        job.cancel()
        await job.wait()
        assert isinstance(job.exception(), Boom)
