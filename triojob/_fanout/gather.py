"""`gather`, `first_completed` and `first_success`: several calls at once.

Each call is a function without arguments or a `Job`.
A function runs as a job in a group that the helper opens and closes: cancelling the helper
cancels these jobs, on the server too.
A `Job` that you pass stays in its own group: cancelling the helper does not affect it.
If that group ends while a helper waits for the job, the helper raises the failure.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypedDict, TypeVar, cast, overload

import trio
from outcome import Error

from .._core.call import Batch, Call, Submittable, bind
from .._core.group import JobGroup, start_call
from .._core.job import Job, record_of
from .._core.runs import require_task
from .._exceptions import short_repr
from .as_completed import JobIterator

if sys.version_info < (3, 11):
    from exceptiongroup import ExceptionGroup

if TYPE_CHECKING:
    from typing_extensions import Unpack

T = TypeVar("T")
T1 = TypeVar("T1")
T2 = TypeVar("T2")
T3 = TypeVar("T3")
T4 = TypeVar("T4")
T5 = TypeVar("T5")
T6 = TypeVar("T6")

Startable: TypeAlias = Job[T] | Callable[[], Awaitable[T]] | Callable[[], AsyncIterator[T]]
"""A job, or a function that can be submitted without arguments."""


class GatherOptions(TypedDict, total=False):
    """The options of every `gather`; the docstring of `gather` gives the defaults."""

    limit: float | None
    fail_fast: bool


class GatherResultOptions(GatherOptions, total=False):
    """The options of a `gather` that returns results."""

    return_jobs: Literal[False]


class GatherJobOptions(GatherOptions):
    """The options of a `gather` that returns jobs."""

    return_jobs: Literal[True]


@overload
async def gather(call1: Startable[T1], /, **options: Unpack[GatherResultOptions]) -> tuple[T1]: ...
@overload
async def gather(
    call1: Startable[T1], call2: Startable[T2], /, **options: Unpack[GatherResultOptions]
) -> tuple[T1, T2]: ...
@overload
async def gather(
    call1: Startable[T1],
    call2: Startable[T2],
    call3: Startable[T3],
    /,
    **options: Unpack[GatherResultOptions],
) -> tuple[T1, T2, T3]: ...
@overload
async def gather(
    call1: Startable[T1],
    call2: Startable[T2],
    call3: Startable[T3],
    call4: Startable[T4],
    /,
    **options: Unpack[GatherResultOptions],
) -> tuple[T1, T2, T3, T4]: ...
@overload
async def gather(
    call1: Startable[T1],
    call2: Startable[T2],
    call3: Startable[T3],
    call4: Startable[T4],
    call5: Startable[T5],
    /,
    **options: Unpack[GatherResultOptions],
) -> tuple[T1, T2, T3, T4, T5]: ...
@overload
async def gather(
    call1: Startable[T1],
    call2: Startable[T2],
    call3: Startable[T3],
    call4: Startable[T4],
    call5: Startable[T5],
    call6: Startable[T6],
    /,
    **options: Unpack[GatherResultOptions],
) -> tuple[T1, T2, T3, T4, T5, T6]: ...
@overload
async def gather(*calls: Startable[T], **options: Unpack[GatherResultOptions]) -> tuple[T, ...]: ...
@overload
async def gather(
    *calls: Startable[T], **options: Unpack[GatherJobOptions]
) -> tuple[Job[T], ...]: ...


# Ctrl-C interrupts the jobs, and this code only where it waits: never between making a call and
# starting it, where nothing would discard the call.
@trio.lowlevel.enable_ki_protection
async def gather(
    *calls: Startable[Any],
    limit: float | None = None,
    fail_fast: bool = False,
    return_jobs: bool = False,
) -> tuple[Any, ...]:
    """Run several calls at once and wait for all; return their results in the order given.

    All calls run to their end, even if some fail: no failure hides another, and all are raised
    together, in the order given.  A cancelled job counts as a failure.

    Args:
        calls: Functions without arguments (``functools.partial(endpoint, x)``) and jobs.
            Without any, the result is an empty tuple.
        limit: How many of the functions run at once; None for no limit.
        fail_fast: Whether the first failure cancels the functions that still run, on the server
            too.  Jobs that you pass keep running, and `gather` stops waiting for them.
        return_jobs: Whether to return the finished jobs instead of results: each has its own
            result or failure, and nothing is raised.  (With ``fail_fast``, jobs that you pass
            might not have ended.)

    Returns:
        A tuple as long as ``calls``.

    Raises:
        ExceptionGroup: Some of the calls failed; it holds all failures.
        TypeError: One of the calls is neither a job nor an async function; nothing was started.
        ValueError: ``limit`` is not a positive number.

    Cancelling `gather` cancels the functions, on the server too, but not the jobs that
    you pass.
    """
    group = JobGroup(limit=limit)
    # The caller gets the jobs, and could cancel one of them by itself.
    batch = None if return_jobs else Batch()
    bound = _bind_all("gather", calls, batch)
    started: list[Job[Any]] = []
    stopped: set[Job[Any]] = set()
    try:
        with _claiming(group, bound):
            started, stopped = await _run_all(group, bound, fail_fast=fail_fast)
            if return_jobs:
                return tuple(started)
            errors = _errors(job for job in started if not (job in stopped and job.cancelled))
        if errors:
            raise ExceptionGroup(f"{len(errors)} of {len(started)} gathered calls failed", errors)
        return tuple(record_of(job).unwrap() for job in started)
    finally:
        if batch is not None:
            batch.end()
        del calls, group, bound, started, stopped  # see raise_first


async def _run_all(
    group: JobGroup, bound: list[Call | Job[Any]], *, fail_fast: bool
) -> tuple[list[Job[Any]], set[Job[Any]]]:
    """Run the calls until they have ended; return their jobs, and the cancelled ones."""
    started: list[Job[Any]] = []
    stopped: set[Job[Any]] = set()
    async with group:
        started += _start(group, bound)
        own = [job for job, call in zip(started, bound, strict=True) if job is not call]
        with _completing(started) as ended:
            async for job in ended:
                if fail_fast and _error(job) is not None:
                    stopped |= _cancel(own, "another call of gather failed")
                    break
        for job in own:
            await job.wait()
        _see(group.jobs)
    return started, stopped


@trio.lowlevel.enable_ki_protection
async def first_completed(*calls: Startable[T]) -> Job[T]:
    """Run several calls at once; return the first job to end, with or without success.

    That job has ended: ``await job.result()`` returns its result or raises its failure.
    The other jobs are cancelled, on the server too, including jobs that you pass, and have ended
    when this returns.  A call of an endpoint ends immediately when it is cancelled; a function of
    yours ends when its cleanup has ended.  The failures of the other jobs count as retrieved,
    including those of jobs that you pass.

    Args:
        calls: Functions without arguments (``functools.partial(endpoint, x)``) and jobs.
            Among jobs that have ended already, the first one given counts as the first to end.

    Raises:
        TypeError: One of the calls is neither a job nor an async function; nothing was started.
        ValueError: There are no calls.

    Cancelling `first_completed` cancels the functions, on the server too, but not the jobs that
    you pass.
    """
    bound = _bind_all("first_completed", _some("first_completed", calls))
    first: Job[T] | None = None
    group = JobGroup()
    with _claiming(group, bound):
        async with group:
            jobs = _start(group, bound)
            with _completing(jobs) as ended:
                first = await ended.__anext__()
                await _end(jobs, f"{first.name} completed first")
            _see((*group.jobs, *(job for job in jobs if job is not first)))
    assert first is not None
    return first


@trio.lowlevel.enable_ki_protection
async def first_success(*calls: Startable[T]) -> T:
    """Run several calls at once; return the first result, and cancel the slower calls.

    A call that fails does not count.  Failures are raised only if no call succeeds; otherwise they
    count as retrieved, so that the group of a job that you pass does not raise them.
    The other jobs are cancelled, on the server too, including jobs that you pass, and have ended
    when this returns.  A call of an endpoint ends immediately when it is cancelled; a function of
    yours ends when its cleanup has ended.

    Args:
        calls: Functions without arguments (``functools.partial(endpoint, x)``) and jobs.
            Among jobs that have ended already, the first one given counts as the first to end.

    Raises:
        ExceptionGroup: All calls failed; it holds their failures, in the order given.
        TypeError: One of the calls is neither a job nor an async function; nothing was started.
        ValueError: There are no calls.

    Cancelling `first_success` cancels the functions, on the server too, but not the jobs that
    you pass.
    """
    bound = _bind_all("first_success", _some("first_success", calls))
    started: list[Job[Any]] = []
    winner: Job[T] | None = None
    try:
        started, winner = await _run_race(bound)
        if winner is None:
            raise ExceptionGroup(f"all {len(started)} calls failed", _errors(started))
        value: T = record_of(winner).unwrap()
        return value
    finally:
        del calls, bound, started, winner  # see raise_first


async def _run_race(
    bound: list[Call | Job[Any]],
) -> tuple[list[Job[Any]], Job[Any] | None]:
    """Run the calls until one succeeds, or all have failed; return their jobs and the winner."""
    started: list[Job[Any]] = []
    winner: Job[Any] | None = None
    group = JobGroup()
    with _claiming(group, bound):
        async with group:
            started += _start(group, bound)
            with _completing(started) as ended:
                async for job in ended:
                    if _error(job) is None:
                        winner = job
                        await _end(started, f"{job.name} succeeded first")
                        break
            _see(started)
    return started, winner


def _some(helper: str, calls: Sequence[object]) -> Sequence[object]:
    if not calls:
        raise ValueError(f"{helper} needs at least one call")
    return calls


def _bind_all(
    helper: str, calls: Sequence[object], batch: Batch | None = None
) -> list[Call | Job[Any]]:
    """Make a `Call` of each function; if one can't be, discard all calls and raise."""
    require_task(f"{helper}()")
    coroutines = [call for call in calls if inspect.iscoroutine(call)]
    if coroutines:
        for coroutine in coroutines:
            coroutine.close()  # otherwise Python warns that it was never awaited
        raise TypeError(
            f"{helper} takes functions and jobs, not coroutine objects: "
            f"{helper}(functools.partial(fn, x)), not {helper}(fn(x))"
        )
    bound: list[Call | Job[Any]] = []
    try:
        for call in calls:
            if isinstance(call, Job):
                job: Job[Any] = cast("Any", call)
                record_of(job).require_run()
                bound.append(job)
                continue
            if not (isinstance(call, Submittable) or callable(call)):
                hint = f"; pass them separately: {helper}(*calls)" if _many(call) else ""
                raise TypeError(
                    f"{helper} takes functions without arguments and jobs, "
                    f"not {short_repr(call)}{hint}"
                )
            bound.append(bind(call, (), {}, helper, batch=batch))
    except BaseException:
        for call in bound:
            if isinstance(call, Call):
                call.discard()
        raise
    return bound


def _many(call: object) -> bool:
    return isinstance(call, Iterable)


def _start(group: JobGroup, bound: Iterable[Call | Job[Any]]) -> list[Job[Any]]:
    return [call if isinstance(call, Job) else start_call(group, call) for call in bound]


@contextmanager
def _claiming(group: JobGroup, bound: Iterable[Call | Job[Any]]) -> Generator[None, None, None]:
    """Move the failures of jobs that the user passed to ``group``, if their own group ends first.

    ``group`` raises them if the helper ends without having retrieved them: by a cancellation.
    """
    given = [record_of(job) for job in bound if isinstance(job, Job)]
    for record in given:
        record.claim(group)
    try:
        yield
    finally:
        for record in given:
            record.release(group)


@contextmanager
def _completing(jobs: Sequence[Job[T]]) -> Generator[JobIterator[T], None, None]:
    """Give an iterator over the jobs as they end; detach it from the jobs when the block ends."""
    ended = JobIterator(jobs)
    try:
        yield ended
    finally:
        ended._arrivals.forget()


def _cancel(jobs: Iterable[Job[Any]], reason: str) -> set[Job[Any]]:
    """Cancel the jobs that have not ended; return them."""
    alive = {job for job in jobs if not job.done}
    for job in alive:
        job.cancel(reason)
    return alive


async def _end(jobs: Iterable[Job[Any]], reason: str) -> None:
    for job in _cancel(jobs, reason):
        await job.wait()


def _see(jobs: Iterable[Job[Any]]) -> None:
    """Mark the failures of these jobs as retrieved."""
    for job in jobs:
        record_of(job).retrieve()


def _error(job: Job[Any]) -> BaseException | None:
    """Return why a finished job has no result, without retrieving it."""
    outcome = record_of(job).outcome
    return outcome.error if isinstance(outcome, Error) else None


def _errors(jobs: Iterable[Job[Any]]) -> list[Exception]:
    """Return why these jobs have no result, each error once, and mark them as retrieved."""
    errors: dict[int, Exception] = {}
    for job in jobs:
        error = job.exception() if job.done else None
        if error is not None and id(error) not in errors:
            record_of(job).add_note()
            errors[id(error)] = cast("Exception", error)
    return list(errors.values())
