"""A function over the items of iterables, however many those have: `map`."""

from __future__ import annotations

import inspect
from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Sequence,
)
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypedDict, TypeVar, cast, overload

from .._core.call import Submittable
from .._core.group import JobGroup
from .._core.instruments import Instrument
from .._core.job import Job
from .._core.retry import Retry
from .._exceptions import short_repr
from .inputs import check_iterable
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
    """The options of every `map`; `map` itself says what they default to."""

    limit: int
    ordered: bool
    rate: float | None
    retry: Retry | None
    instruments: Sequence[Instrument]


class MapResultOptions(MapOptions, total=False):
    """Those of a `map` that iterates over results."""

    fail_fast: bool | None
    return_jobs: Literal[False]


class MapJobOptions(MapOptions):
    """Those of a `map` that iterates over pairs of an item and its job."""

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
    """Call ``fn`` with each item, so many at once, and iterate over the results.

    ::

        async with triojob.map(translate, lines, limit=8) as results:
            async for text in results:
                print(text)

    Items are taken as there is room for them: at most ``limit`` items have been taken whose results
    have not, so the iterables may be endless, and the consumer slow.
    Each call is a job.  Leaving the block cancels those that still run, on the server too; what
    they and those whose results were not taken came to is dropped, as if they had never been
    called.  What the block raises is in an `ExceptionGroup`, as with a nursery or a `JobGroup`,
    together with all other failures so far.

    Args:
        fn: An `Endpoint`, an async function, or an async generator function, whose last yield is
            its result; ``functools.partial`` gives it further arguments.
        iterables: Iterables and async iterables; several give ``fn`` an argument each, until the
            shortest ends.  Generators are closed when the block is left.  What an iterable raises
            comes out of the loop after the results of the items before.
            The code of a plain iterable runs in the Trio thread: one that blocks holds up all.
        limit: How many calls run at once, and how many items are taken ahead of the consumer.
        ordered: Whether results come in the order of the items; otherwise as the calls end.
        rate: How many calls to start per second at most, evenly apart; None for no limit.
        retry, instruments: As for `JobGroup`.
        fail_fast: True, which is the default, has a failure cancel the calls after it and come out
            of the loop, after the results before it.  With False the loop has results only, and
            the block raises all failures when it ends.  A cancelled call counts as a failure.
        return_jobs: Whether to iterate over ``(item, job)`` instead, the job having ended, to look
            at each failure: ``await job.result()`` raises it.  Failures that nobody looks at are
            raised when the block ends.  With several iterables the item is a tuple.

    Raises:
        TypeError: ``fn`` can't be called, or there is no iterable, or what should be one is not;
            or both ``fail_fast`` and ``return_jobs`` are given.
        ValueError: ``limit`` is not a whole number from 1 up, or ``rate`` is not positive.

    A call whose arguments don't fit fails as any other call does.
    """
    given: object = fn
    if inspect.iscoroutine(given):
        given.close()  # or Python would warn that it was never awaited
        raise TypeError("map takes a function and items: map(fn, items), not map(fn(items))")
    if not (isinstance(given, Submittable) or callable(given)):
        raise TypeError(
            f"map takes an async function or an endpoint first, not {short_repr(given)}"
        )
    if not iterables:
        raise TypeError("map needs at least one iterable after the function: map(fn, items)")
    for iterable in iterables:
        check_iterable("map", iterable)
    if not (isinstance(cast("object", limit), int) and limit >= 1):
        raise ValueError(f"limit must be a whole number from 1 up, not {limit!r}")
    if rate is not None and not rate > 0:
        raise ValueError(f"rate must be more than 0 calls per second, or None, not {rate!r}")
    if return_jobs and fail_fast is not None:
        raise TypeError(
            "give return_jobs or fail_fast: with return_jobs=True each job has its own failure"
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
