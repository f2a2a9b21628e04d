"""`map`: calls a function with each item of iterables, which can be unbounded."""

from __future__ import annotations

from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Sequence,
)
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypedDict, TypeVar, overload

from .._core.group import JobGroup
from .._core.instruments import Instrument
from .._core.job import Job
from .._core.retry import Retry
from .inputs import check_function, check_iterable, check_pace
from .results import ResultIterator

if TYPE_CHECKING:
    from typing_extensions import Unpack

T = TypeVar("T")
A = TypeVar("A")
B = TypeVar("B")

Items: TypeAlias = Iterable[A] | AsyncIterable[A]
Mapped: TypeAlias = Callable[[A], Awaitable[T]] | Callable[[A], AsyncIterator[T]]
Mapped2: TypeAlias = Callable[[A, B], Awaitable[T]] | Callable[[A, B], AsyncIterator[T]]
MappedN: TypeAlias = Callable[..., Awaitable[T]] | Callable[..., AsyncIterator[T]]


class MapOptions(TypedDict, total=False):
    """The options of every `map`; the docstring of `map` gives the defaults."""

    limit: int
    ordered: bool
    rate: float | None
    retry: Retry | None
    instruments: Sequence[Instrument]


class MapResultOptions(MapOptions, total=False):
    """The options of a `map` that iterates over results."""

    fail_fast: bool | None
    return_jobs: Literal[False]


class MapJobOptions(MapOptions):
    """The options of a `map` that iterates over pairs of an item and its job."""

    return_jobs: Literal[True]


@overload
def map(
    fn: Mapped[A, T], iterable: Items[A], /, **options: Unpack[MapResultOptions]
) -> ResultIterator[T]: ...
@overload
def map(
    fn: Mapped[A, T], iterable: Items[A], /, **options: Unpack[MapJobOptions]
) -> ResultIterator[tuple[A, Job[T]]]: ...
@overload
def map(
    fn: Mapped2[A, B, T],
    iterable1: Items[A],
    iterable2: Items[B],
    /,
    **options: Unpack[MapResultOptions],
) -> ResultIterator[T]: ...
@overload
def map(
    fn: Mapped2[A, B, T],
    iterable1: Items[A],
    iterable2: Items[B],
    /,
    **options: Unpack[MapJobOptions],
) -> ResultIterator[tuple[tuple[A, B], Job[T]]]: ...
@overload
def map(
    fn: MappedN[T],
    iterable1: Items[Any],
    iterable2: Items[Any],
    iterable3: Items[Any],
    /,
    *iterables: Items[Any],
    **options: Unpack[MapResultOptions],
) -> ResultIterator[T]: ...
@overload
def map(
    fn: MappedN[T],
    iterable1: Items[Any],
    iterable2: Items[Any],
    iterable3: Items[Any],
    /,
    *iterables: Items[Any],
    **options: Unpack[MapJobOptions],
) -> ResultIterator[tuple[tuple[Any, ...], Job[T]]]: ...


def map(
    fn: Callable[..., Any],
    /,
    *iterables: Items[Any],
    limit: int = 32,
    ordered: bool = True,
    rate: float | None = None,
    retry: Retry | None = None,
    instruments: Sequence[Instrument] = (),
    fail_fast: bool | None = None,
    return_jobs: bool = False,
) -> ResultIterator[Any]:
    """Call ``fn`` with each item, ``limit`` calls at once, and iterate over the results.

    ::

        async with triojob.map(translate, lines, limit=8) as results:
            async for text in results:
                print(text)

    Items are read on demand: at most ``limit`` items are ahead of the results that the consumer
    has received, so the iterables can be unbounded, and the consumer slow.
    Each call is a job.  Leaving the block cancels the jobs that still run, on the server too; their
    outcomes, and results that you did not receive, are dropped.
    The block raises its body's exception in an `ExceptionGroup`, as a nursery or a `JobGroup` does,
    together with all other failures so far.

    Args:
        fn: An `Endpoint`, an async function, or an async generator function, whose last yield is
            its result; pass further arguments with ``functools.partial``.
        iterables: Iterables and async iterables; with several, ``fn`` gets one argument from each,
            until the shortest ends.  Generators are closed when the block is left.  If an iterable
            raises, the loop raises that exception after the results of the earlier items.
            The code of a sync iterable runs in the Trio thread: if it blocks, it blocks everything.
        limit: How many calls run at once, and how many items are read ahead of the consumer.
        ordered: Whether results come in the order of the items; otherwise as the calls end.
        rate: Maximum number of calls to start per second, evenly spaced; None for no limit.
        retry, instruments: As for `JobGroup`.
        fail_fast: If True, the default, a failure cancels the calls after it, and the loop raises
            it after the earlier results.  If False, the loop returns results only, and the block
            raises all failures when it ends.  A cancelled call counts as a failure.
        return_jobs: Whether to iterate over ``(item, job)`` instead, with finished jobs, to handle
            each failure: ``await job.result()`` raises it.  The block raises unretrieved failures
            when it ends.  With several iterables the item is a tuple.

    Raises:
        TypeError: ``fn`` can't be called, or there is no iterable, or one is not iterable;
            or both ``fail_fast`` and ``return_jobs`` are given.
        ValueError: ``limit`` is not a positive integer, or ``rate`` is not positive.

    A call whose arguments don't fit fails as any other call does.
    """
    check_function("map", fn, "items")
    if not iterables:
        raise TypeError("map needs at least one iterable after the function: map(fn, items)")
    for iterable in iterables:
        check_iterable("map", iterable)
    check_pace(limit, rate)
    if return_jobs and fail_fast is not None:
        raise TypeError(
            "use return_jobs or fail_fast, not both: with return_jobs=True each job keeps its "
            "failure"
        )
    return ResultIterator(
        fn,
        iterables,
        limit=limit,
        ordered=ordered,
        rate=rate,
        group=JobGroup(retry=retry, instruments=instruments),
        fail_fast=not return_jobs and fail_fast is not False,
        return_jobs=return_jobs,
    )
