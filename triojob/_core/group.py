"""The job group: the only opener of a nursery for jobs, with one cancel scope per job."""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from types import TracebackType
from typing import Any, ParamSpec, TypeVar, cast, final, overload

import trio
from outcome import Error

from .._exceptions import GroupClosed, direct_exceptions, raise_first
from .call import Call, bind, run_call
from .instruments import GroupStatistics, Instrument, InstrumentDispatcher
from .job import Job
from .limiter import OrderedLimiter
from .messages import Status, now
from .record import JobRecord
from .retry import Retry
from .runner import JobRunner
from .runs import elsewhere, require_run, require_task

if sys.version_info < (3, 11):
    from exceptiongroup import BaseExceptionGroup

T = TypeVar("T")
P = ParamSpec("P")

_ADVICE = "; to retrieve it, await job.result() or call job.exception() before the group ends"
_STEPS = 5
"""Scheduler steps for consumers to retrieve a failure, before the group raises it."""


@final
class JobGroup:
    """A nursery for jobs: ``async with JobGroup() as group: job = group.submit(fn, x)``.

    Leaving the block waits for the jobs.
    If the body raises, or the group is cancelled, the jobs are cancelled, on the server too.
    The group raises unretrieved failures at its end, in an `ExceptionGroup`, together with what the
    body raises.
    `Job.result`, `Job.exception`, `Job.outcome` and iteration retrieve a failure; so does a task
    that waits for the job as the group ends, by one of these or by a helper such as `gather`.
    Anything other than an `Exception`, such as `KeyboardInterrupt`, propagates unwrapped; Ctrl-C
    never interrupts the code that keeps the state of the jobs, only the code in and around them.

    Args:
        limit: How many jobs run at once; the others wait, with status STARTING.
            None for no limit.
        fail_fast: Whether to fail as a nursery does: the first failure cancels the other jobs and
            the body, and the group raises every failure at its end, retrieved or not.
        history: How many of its last outputs, and how many of its other messages, each job
            keeps for late subscribers.  None keeps all.
        retry: How to retry calls of endpoints that never started, unless the endpoint has a policy
            of its own (`Endpoint.with_retry`).  None for no retries.
        instruments: Hooks into the life of each job.

    Raises:
        ValueError: ``limit`` is not a positive number, or ``history`` is negative.
    """

    def __init__(
        self,
        *,
        limit: float | None = None,
        fail_fast: bool = False,
        history: int | None = None,
        retry: Retry | None = None,
        instruments: Sequence[Instrument] = (),
    ) -> None:
        if limit is None:
            limit = math.inf
        if not (limit >= 1 and (limit == math.inf or limit == int(limit))):
            raise ValueError(f"limit must be a positive integer or None, not {limit!r}")
        if history is not None and history < 0:
            raise ValueError(
                f"history must be at least 0, or None to keep everything, not {history!r}"
            )
        self._limit = limit
        self._limiter = OrderedLimiter(limit)
        self._fail_fast = fail_fast
        self._history = history
        self._retry = retry
        self._dispatcher = InstrumentDispatcher(tuple(instruments), self._cancel_and_raise)
        self._submitted = self._succeeded = self._failed = self._cancelled = 0
        self._manager: Any = None
        self._nursery: trio.Nursery | None = None
        self._token: trio.lowlevel.TrioToken | None = None
        self._ending = self._closed = False
        self._accepts_failures = True
        """Whether other groups can move failures here; False once the body has ended normally."""
        self._jobs: dict[JobRecord, Job[Any]] = {}
        """The jobs that have not ended, and those with an unretrieved failure.

        Other threads remove the jobs that they retrieve, so loops go over copies, which are atomic.
        """
        self._fatal: list[BaseException] = []
        """The exceptions that cancelled the group from inside, raised whether retrieved or not."""

    @property
    def limit(self) -> float | None:
        """How many jobs run at once, or None for no limit."""
        return None if self._limit == math.inf else self._limit

    @property
    def fail_fast(self) -> bool:
        """Whether the first failure cancels the group."""
        return self._fail_fast

    @property
    def history(self) -> int | None:
        """How many outputs, and how many other messages, each job keeps; None for all."""
        return self._history

    @property
    def trio_token(self) -> trio.lowlevel.TrioToken:
        """The token of the Trio run that the group lives in, for access from other threads.

        Raises:
            GroupClosed: The group has not been entered.
        """
        self._entered()
        assert self._token is not None
        return self._token

    @property
    def closed(self) -> bool:
        """Whether the group has ended."""
        return self._closed

    @property
    def jobs(self) -> tuple[Job[Any], ...]:
        """The jobs that wait or run, and those with an unretrieved failure; oldest first.

        The group forgets all other jobs, so that it can run millions of them.
        """
        return tuple(self._jobs.copy().values())

    @property
    def cancel_scope(self) -> trio.CancelScope:
        """The cancel scope around the body and all jobs.

        Raises:
            GroupClosed: The group has not been entered.
            RuntimeError: The group lives in another Trio run.
        """
        scope = self._entered().cancel_scope
        if not self._closed:
            assert self._token is not None
            require_run("this group", self._token)
        return scope

    @staticmethod
    def _over() -> GroupClosed:
        return GroupClosed("this group has ended; open a new one for more jobs")

    def _entered(self) -> trio.Nursery:
        if self._nursery is None:
            raise GroupClosed("enter the group first: async with JobGroup() as group")
        return self._nursery

    # The call of a generator is not awaitable, so no type matches both overloads.
    @overload
    def submit(
        self, fn: Callable[P, AsyncIterator[T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> Job[T]: ...

    @overload
    def submit(
        self, fn: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> Job[T]: ...

    @trio.lowlevel.enable_ki_protection
    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Job[Any]:
        """Start ``fn(*args, **kwargs)`` as a job of this group; return it immediately.

        Args:
            fn: An `Endpoint`; or an async function, whose return value is the result; or an
                async generator function, each yield of which is an output, the last one the
                result.  The latter two can report their progress through `report`.

        Raises:
            TypeError: ``fn`` is something else, or the arguments don't fit.
            ValueError: An argument has a value that the endpoint doesn't allow.
            GroupClosed: The group was not entered, or has ended.
            RuntimeError: The group, or the client of the endpoint, lives in another Trio run.
        """
        self._entered()
        if self._closed:
            raise self._over()
        assert self._token is not None
        require_run("this group", self._token)
        call = bind(fn, args, kwargs)
        if call.token is not None and call.token is not self._token:
            call.discard()
            raise elsewhere(call.name)
        return self._start(call)

    @trio.lowlevel.enable_ki_protection
    def _start(self, call: Call) -> Job[Any]:
        """Start a call whose arguments are checked; discard it if the group has ended.

        Raises:
            GroupClosed: The group was not entered, or has ended.
        """
        nursery = self._entered()
        call.retry = call.retry or self._retry
        record = JobRecord(call.name, self._history, self)
        job: Job[Any] = Job._of(record)
        name = f"<job #{record.id} {call.name}>"
        try:
            nursery.start_soon(self._run, record, call, name=name)
        except RuntimeError:
            # The last job has ended, and the group is about to end.
            call.discard()
            raise self._over() from None
        self._jobs[record] = job
        self._submitted += 1
        self._limiter.enqueue(record.id)
        record.url = call.url
        if self._dispatcher.wanted:
            record.emit = self._dispatcher.follower(job)
            record.emit("job_submitted")
        return job

    @trio.lowlevel.enable_ki_protection
    async def _run(self, record: JobRecord, call: Any) -> None:
        try:
            await run_call(call, JobRunner(record), self._limiter)
        finally:
            del record  # see raise_first

    def statistics(self) -> GroupStatistics:
        """Return the number of jobs so far, and their states."""
        jobs = self._jobs.copy()
        alive = [record for record in jobs if record.outcome is None]
        waiting = sum(record.status.code is Status.STARTING for record in alive)
        queued = [record.status for record in alive if record.status.code is Status.IN_QUEUE]
        ranks = Counter(status.rank for status in queued if status.rank is not None)
        time = now()
        return GroupStatistics(
            submitted=self._submitted,
            waiting=waiting,
            running=self._submitted - waiting - self._succeeded - self._failed - self._cancelled,
            succeeded=self._succeeded,
            failed=self._failed,
            cancelled=self._cancelled,
            unretrieved=len(jobs) - len(alive),
            waiting_for_limit=self._limiter.waiting,
            queued=len(queued),
            ranks=dict(sorted(ranks.items())),
            oldest_seconds=max(
                ((time - record.since).total_seconds() for record in alive), default=None
            ),
            idle_seconds=min(
                ((time - record.last_activity).total_seconds() for record in alive), default=None
            ),
        )

    def _forget(self, record: JobRecord) -> None:
        self._jobs.pop(record, None)
        record.unretrieved = False

    # The methods of `Owner`, which a job's record calls.

    def _on_ended(self, record: JobRecord) -> None:  # pyright: ignore[reportUnusedFunction]
        """Count a job that has ended, and keep it only if it failed."""
        if record.failed:
            self._failed += 1
            if self._fail_fast:
                self._cancel_and_raise(cast("Error", record.outcome).error)
            return
        if record.cancelled:
            self._cancelled += 1
        else:
            self._succeeded += 1
        self._forget(record)

    def _adopt(self, job: Job[Any]) -> None:
        """Adopt a finished job of another group: raise its failure if it stays unretrieved."""
        if self._accepts_failures:
            job._record.pass_on(self)
            self._jobs[job._record] = job

    def _on_retrieved(self, record: JobRecord) -> None:  # pyright: ignore[reportUnusedFunction]
        """Forget a job whose outcome is retrieved; safe to call from any thread."""
        self._forget(record)

    def _cancel_and_raise(self, error: BaseException) -> None:
        """Cancel the group, and raise ``error`` at its end."""
        self._fatal.append(error)
        self._entered().cancel_scope.cancel(reason=f"{type(error).__name__} in a job group")

    @trio.lowlevel.enable_ki_protection
    async def __aenter__(self) -> JobGroup:
        if self._manager is not None:
            raise GroupClosed("a JobGroup can be entered only once; create a new one")
        require_task("a JobGroup")
        self._manager = trio.open_nursery()
        self._token = trio.lowlevel.current_trio_token()
        self._nursery = await self._manager.__aenter__()
        return self

    @trio.lowlevel.enable_ki_protection
    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        self._ending = True
        self._accepts_failures = exc is not None
        swallowed = False
        raised: list[BaseException] = []
        try:
            swallowed = await self._manager.__aexit__(exc_type, exc, traceback)
        except BaseException as error:  # noqa: BLE001 - it is re-raised, by itself or in a group
            raised.append(error)
        finally:
            del exc, traceback  # see raise_first
        await self._let_consumers_run()
        raise_first(self._with_failures(raised))
        return swallowed

    async def _let_consumers_run(self) -> None:
        """Let the tasks that ended jobs have woken retrieve the failures."""
        self._closed = True
        left = _STEPS
        while self._jobs and left:
            count = len(self._jobs)
            await trio.lowlevel.cancel_shielded_checkpoint()
            left = left - 1 if len(self._jobs) == count else _STEPS

    def _with_failures(self, raised: list[BaseException]) -> list[BaseException]:
        """Return what to raise: ``raised``, joined with the failures; at most one exception."""
        seen = [inner for error in raised for inner in _error_tree(error)]
        failures: list[BaseException] = []
        for error in self._fatal:
            if not _is_in(error, (*seen, *failures)):
                failures.append(error)
        self._fatal.clear()
        for record in self._take_unretrieved():
            error = cast("Error", record.outcome).error
            if not _is_in(error, (*seen, *failures)):
                record.add_note(_ADVICE)
                failures.append(error)
        if not failures:
            return raised
        if raised:
            failures[:0] = direct_exceptions(raised[0]) or raised
        raised.clear()  # the traceback of its exception holds the caller's frame
        return [BaseExceptionGroup("unhandled errors in a JobGroup", failures)]

    def _take_unretrieved(self) -> list[JobRecord]:
        """Return the jobs whose failures this group must raise; move others to claiming groups."""
        unretrieved: list[JobRecord] = []
        for record in self._jobs.copy():
            job = self._jobs.pop(record, None)
            if job is None:
                continue  # another thread has just retrieved it
            claims = [adopter for adopter in record.claims or () if adopter is not self]
            if not claims:
                unretrieved.append(record)
            elif claims[0] is not None:
                cast("JobGroup", claims[0])._adopt(job)
        return unretrieved

    def __repr__(self) -> str:
        if self._nursery is None:
            state = "not entered"
        elif self._closed:
            state = "closed"
        else:
            jobs = self.jobs
            running = sum(not job.done for job in jobs)
            unretrieved = len(jobs) - running
            state = f"{running} running or waiting" + (
                f", {unretrieved} failed" if unretrieved else ""
            )
        return f"<JobGroup: {state}>"


def start_call(group: JobGroup, call: Call) -> Job[Any]:
    """Start a call whose arguments are checked; discard it if the group has ended.

    Raises:
        GroupClosed: The group was not entered, or has ended.
    """
    return group._start(call)


def start_task(group: JobGroup, fn: Callable[[], Awaitable[object]], name: str) -> None:
    """Start a task that belongs to a group, beside its jobs."""
    group._entered().start_soon(fn, name=name)


def raise_at_end(group: JobGroup, error: BaseException) -> None:
    """Make a group raise ``error`` at its end, together with the failures of its jobs."""
    group._fatal.append(error)


def follow(group: JobGroup, instrument: Instrument) -> None:
    """Add an instrument to a group; it also gets the jobs that exist already.

    Raises:
        RuntimeError: The group lives in another Trio run.
    """
    if group._token is not None and not group.closed:
        require_run("this group", group._token)
    group._dispatcher.add(instrument)
    for record, job in group._jobs.copy().items():
        if record.outcome is None and record.emit is None:
            record.emit = group._dispatcher.follower(job)


def unfollow(group: JobGroup, instrument: Instrument) -> None:
    """Remove an instrument from a group."""
    group._dispatcher.remove(instrument)


def _is_in(error: BaseException, errors: Iterable[BaseException]) -> bool:
    return any(error is known for known in errors)


def _error_tree(error: BaseException) -> list[BaseException]:
    """Return ``error`` and, of a group, every exception in it."""
    return [error, *(leaf for part in direct_exceptions(error) for leaf in _error_tree(part))]
