"""The iterator over results that `map` returns."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any, Generic, TypeVar, cast, final

import trio
from outcome import Error

from .._core.group import JobGroup, raise_at_end
from .._core.job import record_of
from .._core.runs import require_task
from .._exceptions import GroupClosed, raise_first
from .result_queue import Entry, ResultQueue
from .starter import JobStarter

T = TypeVar("T")


@final
class ResultIterator(Generic[T]):
    """The iterator of `triojob.map`: enter it with ``async with``, then use ``async for``.

    This is a class and not an async generator, so that leaving the loop early needs no cleanup; the
    block is what ends the jobs.  Several tasks in the block can share one iterator: each result
    goes to one of them.
    """

    def __init__(
        self,
        fn: Callable[..., Any],
        iterables: tuple[Any, ...],
        *,
        limit: int,
        ordered: bool,
        rate: float | None,
        group: JobGroup,
        fail_fast: bool,
        return_jobs: bool,
    ) -> None:
        self._group = group
        self._queue = ResultQueue(limit=limit, ordered=ordered, fail_fast=fail_fast)
        self._starter = JobStarter(
            fn, iterables, group, self._queue, rate=rate, keep_items=return_jobs
        )
        self._fail_fast = fail_fast
        self._return_jobs = return_jobs
        self._entered = False
        self._left = False
        self._over = False
        """Whether the consumer received a failure that ends the iteration."""

    @property
    def group(self) -> JobGroup:
        """The group of the calls' jobs, to count them or to watch them with `triojob.live`."""
        return self._group

    # The consumer.

    def __aiter__(self) -> ResultIterator[T]:
        return self

    @trio.lowlevel.enable_ki_protection
    async def __anext__(self) -> T:
        """Return the next result, or the next pair of an item and its finished job.

        Raises:
            StopAsyncIteration: There are no more results.
            Exception: The exception of a call or of an iterable; with ``fail_fast`` it ends the
                iteration, and an exception of an iterable always does.
            JobCancelled: A call was cancelled, which counts as a failure.
            GroupClosed: The block was not entered, or was left.

        Cancelling the wait loses nothing: the next call returns the result.
        """
        if not self._entered:
            raise GroupClosed("enter the block first: async with triojob.map(...) as results")
        require_task("map()", self._group.trio_token)
        queue = self._queue
        if queue.first is not None or queue.exhausted or self._over:
            await trio.lowlevel.checkpoint()
        while not self._left:
            if self._over:
                raise StopAsyncIteration
            if queue.first is not None:
                if queue.first.cancelled:
                    # Its cause, a failed group or Ctrl-C, might have cancelled this task too.
                    await trio.lowlevel.checkpoint_if_cancelled()
                if self._fail_fast or self._return_jobs or not self._pass_by_failure():
                    return self._result_of(queue.take())
            elif queue.exhausted:
                self._over = True
                raise_first(queue.errors)
                raise StopAsyncIteration
            else:
                await queue.wait()
        raise GroupClosed("this map has ended; iterate over its results inside its block")

    def _pass_by_failure(self) -> bool:
        """Drop the first entry if its call failed, so that the group raises the failure later."""
        record = record_of(cast("Any", self._queue.first))
        if not isinstance(record.outcome, Error):
            return False
        if record.cancelled:
            # A group ignores a cancellation; here, a result is missing.
            raise_at_end(self._group, record.outcome.error)
        self._queue.take()
        return True

    def _result_of(self, entry: Entry) -> T:
        if self._return_jobs:
            return cast("T", (entry.item, entry.job))
        record = record_of(entry.job)
        try:
            if isinstance(record.outcome, Error):
                record.add_note()
            return cast("T", record.unwrap())
        except StopAsyncIteration as exc:
            self._over = True
            # As Python does where a generator raises it: a loop would mistake it for the end.
            raise RuntimeError(f"{entry.job.name} raised StopAsyncIteration") from exc
        except Exception:
            self._over = True
            raise
        finally:
            del entry, record  # see raise_first

    # The block.

    @trio.lowlevel.enable_ki_protection
    async def __aenter__(self) -> ResultIterator[T]:
        if self._entered:
            raise GroupClosed("a map can be entered only once; create a new one")
        require_task("map()")
        self._entered = True
        await self._group.__aenter__()
        self._starter.start()
        return self

    @trio.lowlevel.enable_ki_protection
    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Cancel the jobs that still run, on the server too, and wait until they have ended.

        Raises:
            ExceptionGroup: The exception of the body and the unretrieved failures; or the failures
                that were kept.
        """
        self._left = True
        self._starter.stop("the block of map was exited")
        if exc is None:
            # Results that the consumer has not requested are dropped, as in a plain loop.
            self._queue.discard("the block of map was exited")
        while self._queue.errors:
            raise_at_end(self._group, self._queue.errors.pop())
        try:
            await self._group.__aexit__(exc_type, exc, traceback)
        finally:
            self._starter.close()
            del self, exc, traceback  # see raise_first

    def __repr__(self) -> str:
        return f"<map of {self._starter.name}: {self._queue}>"
