"""The task of a `map` that reads items and starts a job for each."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

import trio

from .._core.call import Batch, FunctionCall, bind
from .._core.group import JobGroup, start_call, start_task
from .._core.job import record_of
from .inputs import END, Puller, StartRate
from .result_queue import Entry, ResultQueue


class JobStarter:
    """Reads an item when there is room for its result, and starts a job for it.

    Args:
        fn: The function to call with each item.
        group: The group in which the jobs and the task itself run.
        queue: The queue that gets the jobs.
        rate: Maximum number of starts per second; None for no limit.
        keep_items: Whether the consumer gets the items and the jobs themselves.
    """

    def __init__(
        self,
        fn: Callable[..., Any],
        iterables: tuple[Any, ...],
        group: JobGroup,
        queue: ResultQueue,
        *,
        rate: float | None,
        keep_items: bool,
    ) -> None:
        self.name: str = name_of(fn)
        self._fn = fn
        self._puller = Puller(iterables)
        self._group = group
        self._queue = queue
        self._rate = StartRate(rate)
        self._keep_items = keep_items
        # The consumer gets the jobs, and could cancel one of them by itself.
        self._batch = None if keep_items else Batch()
        self._scope = trio.CancelScope()

    def start(self) -> None:
        """Start the task."""
        start_task(self._group, self._run, f"<items for map of {self.name}>")

    def stop(self, reason: str) -> None:
        """Stop reading items, and close the iterables."""
        self._scope.cancel(reason=reason)

    def close(self) -> None:
        """End the batch of the calls, all of which have ended."""
        if self._batch is not None:
            self._batch.end()

    @trio.lowlevel.enable_ki_protection
    async def _run(self) -> None:
        try:
            with self._scope:
                async with AsyncExitStack() as stack:
                    self._puller.open(stack)
                    while await self._start_one():
                        pass
        except Exception as exc:
            if self._scope.cancel_called:
                # An exception from closing an iterable; the consumer no longer reads results.
                raise
            self._queue.errors.append(exc)
        finally:
            self._queue.complete()

    async def _start_one(self) -> bool:
        """Start a job for the next item when there is room for it; return whether there was one."""
        await self._queue.room.acquire()
        arguments = await self._puller.pull()
        if arguments is END:
            return False
        # Always a checkpoint: after a failure no further job starts.
        await self._rate.wait()
        try:
            call = bind(self._fn, arguments, {}, "map", batch=self._batch)
        except Exception as exc:  # noqa: BLE001 - only the call with this item fails
            call = FunctionCall(self.name, _refuse(exc))
        item: Any = None  # the consumer does not need it, so it is not kept
        if self._keep_items:
            item = arguments[0] if len(arguments) == 1 else arguments
        entry = Entry(item, start_call(self._group, call))
        self._rate.started()
        self._queue.add(entry)
        record_of(entry.job).listen("result", partial(self._ended, entry))
        return True

    def _ended(self, entry: Entry, _: object) -> None:
        """Pass on a finished job; this runs in the job's own task."""
        if self._queue.settle(entry):
            self.stop("a call of map failed")


def name_of(fn: Any) -> str:
    """Return the name of a function or an endpoint, also inside `functools.partial` objects."""
    while isinstance(fn, partial):
        fn = fn.func
    name: str = getattr(fn, "__qualname__", None) or getattr(fn, "name", None) or type(fn).__name__
    return name


async def _refuse(error: Exception) -> None:
    raise error
