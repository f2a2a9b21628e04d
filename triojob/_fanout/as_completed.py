"""`as_completed`: jobs in the order in which they end."""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, Generic, TypeVar, cast, final

import trio

from .._core.job import Job, record_of
from .._core.observers import Listener
from .._core.record import JobRecord
from .._core.runs import require_task
from .._exceptions import short_repr

T = TypeVar("T")


class _Arrivals:
    """The state that an iterator shares with its jobs, which report their ends to it.

    The jobs refer to this object and not to the iterator, so that an unused iterator is freed.
    """

    __slots__ = ("claimed", "ended", "news", "taken", "waiting")

    def __init__(self) -> None:
        self.claimed: set[JobRecord] = set()
        """Jobs whose failures the consumers raise if the group ends before they retrieve them."""
        self.taken: dict[trio.lowlevel.Task, JobRecord] = {}
        """The claimed job that each consumer task currently handles."""
        self.ended: deque[Job[Any]] = deque()
        self.waiting: dict[JobRecord, Listener] = {}
        self.news: trio.lowlevel.ParkingLot = trio.lowlevel.ParkingLot()

    def expect(self, job: Job[Any]) -> None:
        record = record_of(job)
        if record.outcome is not None:
            self.ended.append(job)
            return
        listener = self.waiting[record] = partial(self._arrive, job)
        record.listen("result", listener)

    def _arrive(self, job: Job[Any], _: object) -> None:
        # The iterator can be freed at any moment: in another listener, or by the garbage collector.
        record = record_of(job)
        if self.waiting.pop(record, None) is None:
            return
        self.ended.append(job)
        # A waiting consumer gets the job soon, but possibly only after the group's end.
        if record.failed and (self.news or self.claimed):
            record.claim(None)
            self.claimed.add(record)
        self.news.unpark_all()

    def take(self) -> Job[Any]:
        """Return the next finished job to the current task."""
        job = self.ended.popleft()
        record = record_of(job)
        if record in self.claimed:
            if record.ends_group:
                self.taken[trio.lowlevel.current_task()] = record
            else:
                self._release(record)  # the group still gives time to retrieve it
        return job

    def come_back(self) -> None:
        """Mark the current task as done with the job that it took."""
        record = self.taken.pop(trio.lowlevel.current_task(), None)
        if record is not None:
            self._release(record)

    def _release(self, record: JobRecord) -> None:
        self.claimed.discard(record)
        record.release(None)

    def forget(self) -> None:
        while self.claimed:
            self.claimed.pop().release(None)
        self.taken.clear()
        while self.waiting:
            record, listener = self.waiting.popitem()  # each listener refers to this object
            record.stop_listening(listener)


@final
class JobIterator(Generic[T]):
    """Iterates over jobs in the order in which they end; `as_completed` makes it.

    This is a class and not an async generator, so that leaving the loop early needs no cleanup.
    Several tasks can share one iterator: each job goes to one of them.
    """

    __slots__ = ("_arrivals",)

    @trio.lowlevel.enable_ki_protection
    def __init__(self, jobs: Sequence[Job[T]]) -> None:
        self._arrivals = _Arrivals()
        for job in dict.fromkeys(jobs):
            self._arrivals.expect(job)

    def __aiter__(self) -> JobIterator[T]:
        return self

    @trio.lowlevel.enable_ki_protection
    async def __anext__(self) -> Job[T]:
        """Return the next job that has ended, with or without success.

        Raises:
            StopAsyncIteration: All jobs have been returned.

        Cancelling the wait loses nothing: the next call returns the job.
        """
        arrivals = self._arrivals
        require_task("as_completed()")
        for record in arrivals.waiting:
            record.require_task()
            break  # one is enough: `listen` refuses jobs of another run, so all are of one
        arrivals.come_back()
        if arrivals.ended or not arrivals.waiting:
            await trio.lowlevel.checkpoint()
        while not arrivals.ended:
            if not arrivals.waiting:
                raise StopAsyncIteration
            await arrivals.news.park()
        return arrivals.take()

    def __del__(self) -> None:
        self._arrivals.forget()

    def __repr__(self) -> str:
        arrivals = self._arrivals
        return f"<JobIterator: {len(arrivals.waiting)} running, {len(arrivals.ended)} ended>"


def as_completed(jobs: Iterable[Job[T]], /) -> JobIterator[T]:
    """Iterate over jobs, with ``async for``, in the order in which they end.

    Failed and cancelled jobs come too: ``await job.result()`` in the loop raises.
    Receiving a job does not retrieve its failure: if you never ask for it, the job's group raises
    it.  If a job ends its group while your task waits here, the job is yours: the group leaves the
    failure to your task until the task asks for the next job or leaves the loop.
    Jobs that have ended already come first, in the order given; a job that is given twice comes
    once.  The jobs can belong to several groups and stay in them: leaving the loop, or being
    cancelled in it, ends no job.

    Raises:
        TypeError: An item of ``jobs`` is not a job.
    """
    if not isinstance(cast("object", jobs), Iterable):
        raise TypeError("as_completed takes jobs in an iterable, such as as_completed([job])")
    given = list(jobs)
    wrong = [item for item in cast("list[object]", given) if not isinstance(item, Job)]
    if wrong:
        for item in wrong:
            if inspect.iscoroutine(item):
                item.close()  # otherwise Python warns that it was never awaited
        raise TypeError(
            f"as_completed takes jobs, not {short_repr(wrong[0])}; submit functions to a JobGroup, "
            "or use triojob.map(fn, items, ordered=False)"
        )
    return JobIterator(given)
