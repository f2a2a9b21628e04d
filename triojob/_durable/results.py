"""The iterator over outcomes that `durable_map` returns."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, cast, final

import trio

from .._core.group import JobGroup, start_task
from .._core.job import Job
from .._core.lifetime import NurseryUnwrapper
from .._core.runs import require_task
from .._exceptions import StoreError
from .._fanout.results import ResultIterator
from .outcome import RowOutcome
from .row_call import RowCaller
from .run import Run

SYNC_SECONDS = 1.0
_NO_ROW = sys.maxsize


@final
class DurableResults:
    """The iterator of `triojob.durable_map`: use ``async for`` inside its block.

    Several tasks in the block can share one iterator: each outcome goes to one of them.
    """

    def __init__(self, run: Run[Any], mapped: ResultIterator[tuple[Any, Job[Any]]]) -> None:
        self._run = run
        self._mapped = mapped
        self._handed_out = 0
        self._earlier = iter(run.store.finished.rows if run.settings.replay else ())
        self._earlier_row = next(self._earlier, _NO_ROW)
        """The next row of an earlier run to hand out."""
        self._completed = False
        self._raised = False

    @property
    def group(self) -> JobGroup:
        """The group of the calls' jobs, to count them or to watch them with `triojob.live`.

        The rows of earlier runs have no jobs.
        """
        return self._mapped.group

    def __aiter__(self) -> DurableResults:
        return self

    @trio.lowlevel.enable_ki_protection
    async def __anext__(self) -> RowOutcome:
        """Return the next outcome, which is in the store.

        Raises:
            StopAsyncIteration: There are no more outcomes.
            StoreMismatch: The input differs from that of the store's rows.
            RunStopped: Too many rows failed, or the app was unreachable for too long.
            OSError, StoreError: The store can't be written.
            Exception: The exception of the iterable of rows.
            GroupClosed: The block was left.

        Cancelling the wait loses nothing: the next call returns the outcome.
        """
        require_task("durable_map()", self._mapped.group.trio_token)
        await trio.lowlevel.checkpoint()
        run, ordered = self._run, self._run.settings.ordered
        while True:
            self.check()
            if self._is_due and self._earlier_row < run.rows.compared:
                earlier, self._earlier_row = self._earlier_row, next(self._earlier, _NO_ROW)
                return self._hand_out(run.store.read(earlier))
            if self._is_due and ordered and not run.rows.ended:
                await run.rows.wait_compared(self._earlier_row)
                continue
            try:
                row = await self._next_row()
            except StopAsyncIteration:
                if self._is_due and self._earlier_row < run.rows.compared:
                    continue
                self.check()
                await self._complete()
                raise
            if row is not None:
                return self._hand_out(run.written.pop(row))

    @property
    def _is_due(self) -> bool:
        """Whether the next row of an earlier run is the next one to hand out."""
        last = self._handed_out if self._run.settings.ordered else _NO_ROW - 1
        return self._earlier_row <= last

    async def _next_row(self) -> int | None:
        """Return the next row that has ended in this run; None if the run has failed.

        Raises:
            JobCancelled: The row's job was cancelled.
        """
        with trio.CancelScope() as scope:
            self._run.waiting.add(scope)
            try:
                row, job = await self._mapped.__anext__()
            finally:
                self._run.waiting.discard(scope)
            if row.index in self._run.written:
                index: int = row.index
                return index
            if self._run.failure is None:
                await job.result()
        return None

    async def _complete(self) -> None:
        """Complete the store, after the last outcome."""
        if self._run.gave_up is not None:
            raise self._run.gave_up
        if not self._completed:
            self._completed = True
            await trio.to_thread.run_sync(self._run.store.finish)

    def check(self) -> None:
        """Raise the failure of the run, if there is one that was not raised."""
        if self._run.failure is not None and not self._raised:
            self._raised = True
            raise self._run.failure

    def _hand_out(self, line: str) -> RowOutcome:
        self._handed_out += 1
        return RowOutcome.from_line(line)

    def __repr__(self) -> str:
        return f"<durable_map of {self._run.name}: {self._handed_out} outcomes taken>"


@asynccontextmanager
async def open_results(run: Run[Any]) -> AsyncGenerator[DurableResults, None]:
    """Start a run; at the end of the block, cancel what still runs.

    The exception of the body is raised as it is, not in a group.
    """
    settings = run.settings
    mapped: ResultIterator[tuple[Any, Job[Any]]] = ResultIterator(
        cast("Any", RowCaller(run)),
        (run.rows,),
        limit=settings.limit,
        ordered=settings.ordered,
        rate=settings.rate,
        group=JobGroup(history=1, instruments=settings.instruments),
        fail_fast=False,
        return_jobs=True,
    )
    results = DurableResults(run, mapped)
    syncing = trio.CancelScope()

    async def keep_synced() -> None:
        with syncing:
            while run.failure is None:
                await trio.sleep(SYNC_SECONDS)
                try:
                    await trio.to_thread.run_sync(run.store.sync)
                except (OSError, StoreError) as exc:
                    run.stop(exc)

    with NurseryUnwrapper(nurseries=1) as body:
        async with mapped:
            start_task(mapped.group, keep_synced, f"<sync of {run.name}>")
            try:
                with body.watched():
                    yield results
            finally:
                syncing.cancel(reason="the run has ended")
                if run.batch is not None:
                    run.batch.end()
    # The last sync may have failed after the last outcome.
    results.check()
