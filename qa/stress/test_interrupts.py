"""Interrupts, signal handlers and other threads at the instructions of what a job offers.

By default at every seventh of them; `TRIOJOB_INTERRUPTS=1` (`nox -s interrupts`) takes each.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import itertools
import os
import queue
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

import triojob
from tests.support.jobs import Boom, InstructionTracer, at_instruction, fail, succeed
from tests.support.threads import (
    SECONDS,
    Script,
    ServerThread,
    Watched,
    blocked,
    opened_group,
    wait_for,
    wait_until_blocked,
)
from triojob import JobCancelled, JobGroup, JobTimeout, Status
from triojob.sync import Client, Job, Portal, start_portal, submit

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs timers that send signals")

FULL = bool(os.environ.get("TRIOJOB_INTERRUPTS"))
EVERY = 1 if FULL else 7
SIGNALS = 30 if FULL else 5

TRIOJOB = Path(triojob.__file__).parent
FUTURES = Path(concurrent.futures.__file__).parent


class Interrupt(BaseException):
    """What a signal handler raises."""


class Running:
    """A job that has had two outputs, and goes on to its end when it is told to."""

    def __init__(self, portal: Portal, group: JobGroup) -> None:
        self._portal = portal
        self._go_on = trio.Event()
        self.called_back: queue.SimpleQueue[Job] = queue.SimpleQueue()
        ready = threading.Event()

        async def stream() -> Any:
            yield 0
            yield 1
            ready.set()
            await self._go_on.wait()
            yield 2

        self.job = submit(group, stream)
        self.job.add_done_callback(self.called_back.put)
        assert ready.wait(SECONDS)

    def end(self) -> None:
        """Let the job come to its end."""
        trio.from_thread.run_sync(self._go_on.set, trio_token=self._portal._entry.token)
        concurrent.futures.wait([self.job], SECONDS)
        assert self.job.done()

    @contextmanager
    def ended_when_waited_for(self) -> Iterator[None]:
        """End the job as soon as the body waits for it."""
        thread, over = threading.current_thread(), threading.Event()

        def end() -> None:
            while not over.wait(0.0005):
                if blocked(thread, "wait"):
                    self.end()
                    break

        ender = Watched(end)
        try:
            yield
        finally:
            over.set()
            ender.get()

    def use(self) -> None:
        """Do all with the job that neither waits nor takes outputs."""
        job = self.job
        assert isinstance(job.done() or job.running() or job.cancelled(), bool)
        assert job.status().code in (Status.ITERATING, Status.FINISHED, Status.CANCELLED)
        assert job.outputs()[:2] == [0, 1]
        job.add_done_callback(lambda job: None)
        with suppress(JobTimeout, JobCancelled):
            job.result(0)
        concurrent.futures.wait([job], 0)

    def use_everywhere(self) -> None:
        """Do that here and in another thread, and see that the Trio thread runs."""
        self.use()
        Watched(self.use).get()
        assert Watched(self._portal.call, succeed, 1).get() == 1

    def check(self) -> None:
        """See that the job works, that nothing waits for it, and that it ends."""
        job = self.job
        assert not job._shared.waiters.changed._waiters
        assert not job._shared.waiters.ended._waiters
        assert not job._shared.waiters.results
        self.use_everywhere()
        self.end()
        waiting = Watched(concurrent.futures.wait, [job], SECONDS)
        assert self.called_back.get(timeout=SECONDS) is job
        assert waiting.get().done == {job}
        assert self.called_back.empty()
        if not job.cancelled():
            assert Watched(job.result).get() == 2
            assert job.outputs() == [0, 1, 2]
            assert [*job] in ([0, 1, 2], [1, 2], [2], [])

    def interrupt(self) -> None:
        raise Interrupt

    def end_and_interrupt(self) -> None:
        self.end()
        raise Interrupt

    def cancel(self) -> None:
        self.job.cancel()


@pytest.fixture(scope="module")
def portal() -> Iterator[Portal]:
    with start_portal() as portal:
        yield portal


@pytest.fixture
def group(portal: Portal) -> Iterator[JobGroup]:
    with opened_group(portal) as group:
        yield group
        wait_for(lambda: not group.jobs)


def result(job: Job) -> None:
    with suppress(JobCancelled):
        assert job.result() == 2


def result_in_time(job: Job) -> None:
    with suppress(JobCancelled, JobTimeout):
        assert job.result(0) == 2


def third_output(job: Job) -> None:
    assert next(job, 2) == 2


def wait(job: Job) -> None:
    assert concurrent.futures.wait([job]).done == {job}


def as_completed(job: Job) -> None:
    assert [*concurrent.futures.as_completed([job])] == [job]


def add_callback(job: Job) -> None:
    job.add_done_callback(lambda job: None)


WAITING = [result, third_output, wait, as_completed]
OTHERS = [Job.done, Job.running, Job.status, Job.outputs, next, result_in_time, Job.cancel, repr]
BETWEEN = [Running.interrupt, Running.use_everywhere]
AT_THE_END = [Running.end, Running.cancel, Running.end_and_interrupt]


@pytest.mark.usefixtures("no_collector")  # its finalizers would be interrupted
@pytest.mark.parametrize(
    "use, between",
    [
        *itertools.product([*WAITING, *OTHERS, add_callback], BETWEEN),
        *itertools.product([*WAITING, add_callback], AT_THE_END),
    ],
    ids=lambda fn: fn.__name__,
)
def test_job_works_despite_interrupts(portal, group, use, between):
    all_of_them: list[Running] = []  # as for the collector
    passed, number = True, 1
    while passed:
        running = Running(portal, group)
        all_of_them.append(running)
        if use is third_output:
            assert (next(running.job), next(running.job)) == (0, 1)
        waiting = running.ended_when_waited_for() if use in WAITING else nullcontext()
        with suppress(Interrupt), waiting:
            passed = at_instruction(
                number,
                lambda running=running: use(running.job),
                lambda running=running: between(running),
                files=[TRIOJOB, FUTURES],
            )
        running.check()
        number += EVERY
    assert len(all_of_them) > 2


def end_with_others(portal: Portal, group: JobGroup, ends: Any, number: int) -> bool:
    """End a job while others use it at one instruction; return whether there are so many."""
    go_on, called_back = trio.Event(), queue.SimpleQueue[str]()
    waiting: list[Watched] = []
    untraced = threading.Event()

    def use() -> None:
        job.add_done_callback(lambda _: called_back.put("added"))
        if ends is succeed:  # a failure that comes with a cancellation is for the group
            assert job.cancel() is job.cancelled()

    def others() -> None:
        Watched(use).get()
        waiting.extend(Watched(fn) for fn in (end, wait))

    def end() -> None:
        try:
            assert job.result() == "value"
        except JobCancelled:
            assert ends is succeed
        except Boom:
            assert ends is fail

    def wait() -> None:
        assert concurrent.futures.wait([job]).done == {job}

    tracer = InstructionTracer(number, others, files=[TRIOJOB / "sync"])

    async def work() -> Any:
        await go_on.wait()
        before = sys.gettrace()
        sys.settrace(tracer)
        # After the job's end.
        trio.lowlevel.spawn_system_task(untrace, before)
        return await ends()

    async def untrace(before: Any) -> None:
        while not job._shared.end.get():
            await trio.lowlevel.checkpoint()
        sys.settrace(before)
        untraced.set()

    job = submit(group, work)
    job.add_done_callback(lambda _: called_back.put("first"))
    waiting += [Watched(end), Watched(wait)]
    for thread in waiting:
        wait_until_blocked(thread, "wait")
    trio.from_thread.run_sync(go_on.set, trio_token=portal._entry.token)
    assert untraced.wait(SECONDS)
    for thread in waiting:
        thread.get()
    expected = {"first", "added"} if tracer.reached else {"first"}
    assert {called_back.get(timeout=SECONDS) for _ in expected} == expected
    assert called_back.empty()
    return tracer.reached


@pytest.mark.parametrize("ends", [succeed, fail])
def test_job_ends_once_despite_threads(portal, group, ends):
    number = 1
    while end_with_others(portal, group, ends, number):
        number += EVERY
    assert number > 100


class Used:
    """A client, and what there is beside it once nothing is under way."""

    def __init__(self, portal: Portal, server: ServerThread) -> None:
        self.portal, self.server = portal, server
        self.client = Client(server.url, portal=portal)
        self.opened: Client | None = None
        self.client.predict("ada", api_name="/greet")
        self._left = self._leftovers()

    def _leftovers(self) -> tuple[int, int, int]:
        return (
            len(self.portal._entry.unfinished),
            trio.from_thread.run_sync(
                lambda: sum("client" in task.name for task in tasks_of(self.portal)),
                trio_token=self.portal._entry.token,
            ),
            sum(thread.name == "triojob" for thread in threading.enumerate()),
        )

    def check(self) -> None:
        """See that the client works, and that nothing is left of what an interrupt ended."""
        self.opened = None  # not before: an interrupt of its finalizer is ignored
        wait_for(lambda: self._leftovers() == self._left, self._leftovers)
        wait_for(lambda: not self.client._open_client._group.jobs)
        self.server.until(lambda server: not server.running)
        for thread in (Watched(self._greet) for _ in range(2)):
            assert thread.get() == "Hello ada!"

    def _greet(self) -> Any:
        return self.client.predict("ada", api_name="/greet")

    # What is interrupted.

    def call(self) -> None:
        self.portal.call(succeed)

    def submit(self) -> None:
        self.client.submit("ada", api_name="/greet", result_callbacks=[repr])

    def predict(self) -> None:
        with suppress(JobTimeout):
            self.client.predict(0.01, "x", api_name="/pause")

    def reset(self) -> None:
        self.client.reset_session()

    def open(self) -> None:
        self.opened = Client(self.server.url, portal=self.portal)

    def close(self) -> None:
        self.opened = Client(self.server.url, portal=self.portal)
        self.opened.close()

    def start(self) -> None:
        with start_portal() as portal:
            portal.call(succeed)


def tasks_of(portal: Portal) -> frozenset[trio.lowlevel.Task]:
    assert portal._entry.nursery is not None
    return portal._entry.nursery.child_tasks


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize(
    "use, step",
    [
        (Used.call, 1),
        (Used.submit, 11),
        (Used.predict, 11),
        (Used.reset, 1),
        (Used.open, 29),
        (Used.close, 29),
        (Used.start, 3),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_an_interrupt_leaves_nothing_behind(portal, own_server, use, step):
    used = Used(portal, own_server)
    passed, number = True, 1
    while passed:
        with suppress(Interrupt):
            passed = at_instruction(number, partial(use, used), interrupt, files=[TRIOJOB])
        used.check()
        number += step * EVERY
    assert number > 20 * step
    used.client.close()


def interrupt() -> None:
    raise Interrupt


@posix
@pytest.mark.parametrize(
    "waiting",
    [
        "job.exception()",
        "[*job]",
        "concurrent.futures.wait([job])",
        "[*concurrent.futures.as_completed([job])]",
        "asyncio.run(follow())",
    ],
)
def test_signal_handler_may_use_the_job(tmp_path, own_server, waiting):
    code = f"""
import asyncio, concurrent.futures, signal, sys, threading
from triojob.sync import Client

def handle(*_):
    global signals
    signals += 1
    job.done(), job.status(), job.outputs(), job.running(), repr(job)
    job.add_done_callback(lambda job: called_back.release())
    called_back.acquire(blocking=False)
    try:
        job.result(0)
    except (TimeoutError, concurrent.futures.TimeoutError):
        pass
    next(job)
    concurrent.futures.wait([job], 0)
    other = client.submit("ada", api_name="/greet")
    assert other.result() == client.predict("ada", api_name="/greet") == "Hello ada!"
    client.submit("x", api_name="/hang").cancel()
    if signals >= {SIGNALS}:
        job.cancel()
    arm(0 if signals >= {SIGNALS} else 0.001)

def arm(seconds):
    # Again and again: one that comes just before a lock is waited for doesn't end the wait.
    signal.setitimer(signal.ITIMER_REAL, seconds, seconds and 0.5)

async def follow():
    async for _ in job:
        pass

client = Client(sys.argv[1])
job = client.submit("x", api_name="/endless")
called_back, signals = threading.Semaphore(0), 0
next(job)
signal.signal(signal.SIGALRM, handle)
arm(0.001)
try:
    {waiting}
except concurrent.futures.CancelledError:
    pass
assert job.cancelled()
assert called_back.acquire(timeout={SECONDS})
print("good")
"""
    assert Script(tmp_path, code, own_server.url).end() == (0, "good", "")


@pytest.mark.parametrize("end", ["value", "failure", "cancellation", "late"])
@pytest.mark.parametrize(
    "kind", [Boom, SystemExit, KeyboardInterrupt, GeneratorExit, asyncio.CancelledError, Interrupt]
)
def test_raising_callback_does_not_stop_others(group, caplog, kind, end):
    called: queue.SimpleQueue[str] = queue.SimpleQueue()

    def callback(name: str, job: Job) -> None:
        called.put(name)
        raise kind(name)

    gate = threading.Event()
    work = {"failure": fail, "cancellation": trio.sleep_forever}.get(end, succeed)

    async def gated() -> None:
        await trio.to_thread.run_sync(gate.wait)
        await work()

    job = submit(group, gated if end != "cancellation" else work)
    if end == "late":
        gate.set()
        job.result()
    with pytest.raises(kind) if end == "late" and kind is KeyboardInterrupt else nullcontext():
        for name in "abc":
            job.add_done_callback(partial(callback, name))
    gate.set()
    if end == "cancellation":
        job.cancel()
    elif end == "failure":
        assert isinstance(job.exception(), Boom)
    if end == "late" and kind is KeyboardInterrupt:  # it is for this thread
        assert called.get() == "a"
        return
    assert [called.get(timeout=SECONDS) for _ in "abc"] == ["a", "b", "c"]
    wait_for(lambda: len(caplog.records) == 3)
    logged = [record.exc_info[1] for record in caplog.records if record.exc_info]
    assert [(type(error), str(error)) for error in logged] == [(kind, name) for name in "abc"]
