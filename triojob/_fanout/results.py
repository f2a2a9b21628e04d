"""What `map` makes: the task that takes items and starts jobs, and the iterator over results."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any, Generic, TypeVar, cast, final

import trio
from outcome import Error

from .._core.call import Batch, FunctionCall, bind
from .._core.group import JobGroup, raise_at_end, start_call, start_task
from .._core.job import Job, record_of
from .._core.runs import require_task
from .._exceptions import GroupClosed
from .inputs import END, Pace, Puller

T = TypeVar("T")


@dataclass(eq=False)
class _Entry:
    """An item that was taken, and the job that it became."""

    item: Any
    job: Job[Any]


@final
class ResultIterator(Generic[T]):
    """What `triojob.map` makes: enter it by ``async with``, and iterate over it by ``async for``.

    A class and not an async generator, so that leaving the loop early leaves nothing behind; the
    block is what ends the jobs.  Several tasks in the block may share one: each result goes to one
    of them.
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
        self._fn = fn
        self._puller = Puller(iterables)
        self._single = len(iterables) == 1
        self._room = trio.Semaphore(limit)
        self._pace = Pace(rate)
        self._ordered = ordered
        self._fail_fast = fail_fast
        self._return_jobs = return_jobs
        self._group = group
        # With the jobs in hand, one could be cancelled alone.
        self._batch = None if return_jobs else Batch()
        self._pulling = trio.CancelScope()
        self._news = trio.lowlevel.ParkingLot()
        self._line: deque[_Entry] = deque()
        """What the consumer gets, in order: all that were started, or those that have ended."""
        self._running: dict[_Entry, None] = {}
        """Those whose jobs have not ended, in the order of their start."""
        self._beyond: list[_Entry] = []
        """Those after a failure that ends the iteration."""
        self._error: Exception | None = None
        """What an iterable has raised, until the consumer gets it."""
        self._pulled = False
        """Whether the last item has been taken."""
        self._over = False
        """Whether the consumer got a failure that ends the iteration."""
        self._entered = False
        self._left = False
        self._taken = 0

    @property
    def group(self) -> JobGroup:
        """The group of the calls' jobs, to count them or to watch them by `triojob.live`."""
        return self._group

    # The task that takes items and starts jobs.

    @trio.lowlevel.enable_ki_protection
    async def _pull(self) -> None:
        try:
            with self._pulling:
                async with AsyncExitStack() as stack:
                    self._puller.open(stack)
                    while await self._pull_one():
                        pass
        except Exception as exc:
            if self._left or self._pulling.cancel_called:
                # What closing an iterable raised: the consumer asks for nothing any more.
                raise
            self._error = exc
        finally:
            self._pulled = True
            self._news.unpark_all()

    async def _pull_one(self) -> bool:
        """Start a job for the next item when there is room for it; return whether there was one."""
        await self._room.acquire()
        arguments = await self._puller.pull()
        if arguments is END:
            return False
        # A checkpoint in any case: after a failure nothing is started any more.
        await self._pace.turn()
        try:
            call = bind(self._fn, arguments, {}, "map", batch=self._batch)
        except Exception as exc:  # noqa: BLE001 - an item that doesn't fit fails, and no other
            call = FunctionCall(name_of(self._fn), _refuse(exc))
        item: Any = None  # what nobody asks for is not kept
        if self._return_jobs:
            item = arguments[0] if self._single else arguments
        entry = _Entry(item, start_call(self._group, call))
        self._pace.started()
        self._running[entry] = None
        if self._ordered:
            self._line.append(entry)
        record_of(entry.job).listen("result", partial(self._ended, entry))
        return True

    # Called in the jobs' own tasks.

    def _ended(self, entry: _Entry, _: object) -> None:
        del self._running[entry]
        if not self._ordered:
            self._line.append(entry)
        outcome = record_of(entry.job).outcome
        if self._fail_fast and isinstance(outcome, Error) and entry in self._line:
            self._cut(entry)
        self._news.unpark_all()

    def _cut(self, last: _Entry) -> None:
        """Take no more items, and give up on all that comes after ``last``."""
        self._pulling.cancel(reason="a call of map failed")
        while self._line[-1] is not last:
            self._beyond.append(self._line.pop())
        late = self._beyond if self._ordered else self._running
        for entry in tuple(late):
            entry.job.cancel("another call of map failed")

    # The consumer.

    def __aiter__(self) -> ResultIterator[T]:
        return self

    @trio.lowlevel.enable_ki_protection
    async def __anext__(self) -> T:
        """Return the next result, or the next pair of an item and its job, which has ended.

        Raises:
            StopAsyncIteration: There are no more.
            Exception: What a call raised, or an iterable; with ``fail_fast`` the iteration is over
                then, and it is in any case where it was an iterable.
            JobCancelled: A call was cancelled, which counts as a failure.
            GroupClosed: The block was not entered, or was left.

        Being cancelled while waiting loses nothing: the result stays for the next call.
        """
        if not self._entered:
            raise GroupClosed("enter the block first: async with triojob.map(...) as results")
        require_task("map()", self._group.trio_token)
        entry: _Entry | None = None
        try:
            if self._ready or self._over or self._exhausted:
                await trio.lowlevel.checkpoint()
            while not self._left:
                if self._ready and not self._over:
                    if self._line[0].job.cancelled:
                        # By what has cancelled this too?  A failure in the group, or Ctrl-C.
                        await trio.lowlevel.checkpoint_if_cancelled()
                    entry = self._take()
                    if self._return_jobs:
                        return cast("T", (entry.item, entry.job))
                    if self._fail_fast or not self._pass_by(entry):
                        return cast("T", self._result_of(entry))
                elif self._over or self._exhausted:
                    self._raise_error()
                    raise StopAsyncIteration
                else:
                    await self._news.park()
            raise GroupClosed("this map is over: take its results inside its block")
        finally:
            # The traceback of what is raised holds this frame, which must not hold the job.
            del self, entry

    @property
    def _ready(self) -> bool:
        return bool(self._line) and self._line[0].job.done

    @property
    def _exhausted(self) -> bool:
        return self._pulled and not self._line and not self._running

    def _take(self) -> _Entry:
        entry = self._line.popleft()
        self._room.release()
        self._taken += 1
        return entry

    def _pass_by(self, entry: _Entry) -> bool:
        """Return whether the call failed; then the group raises that at the end."""
        record = record_of(entry.job)
        if record.cancelled and isinstance(record.outcome, Error):
            # Of which a group makes nothing; here a result is missing.
            raise_at_end(self._group, record.outcome.error)
        return isinstance(record.outcome, Error)

    def _result_of(self, entry: _Entry) -> Any:
        record = record_of(entry.job)
        try:
            if isinstance(record.outcome, Error):
                record.add_note()
            return record.unwrap()
        except StopAsyncIteration as exc:
            self._over = True
            # As Python itself does where a generator raises it: a loop would take it for the end.
            raise RuntimeError(f"{entry.job.name} raised StopAsyncIteration") from exc
        except Exception:
            self._over = True
            raise
        finally:
            del self, entry, record

    def _raise_error(self) -> None:
        """Raise what an iterable has raised, if it has."""
        error, self._error = self._error, None
        try:
            if error is not None and not self._over:
                self._over = True
                raise error
        finally:
            del self, error

    # The block.

    @trio.lowlevel.enable_ki_protection
    async def __aenter__(self) -> ResultIterator[T]:
        if self._entered:
            raise GroupClosed("a map can be entered only once; make another one")
        require_task("map()")
        self._entered = True
        await self._group.__aenter__()
        start_task(self._group, self._pull, f"<items for map of {name_of(self._fn)}>")
        return self

    @trio.lowlevel.enable_ki_protection
    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Cancel what still runs, on the server too, and wait until it has ended.

        Raises:
            ExceptionGroup: What the body raised, with the failures that nobody has seen; or those
                that were kept.
        """
        self._left = True
        if exc is None:
            self._discard()
        elif self._error is not None:
            raise_at_end(self._group, self._error)
        self._error = None  # its traceback holds this object
        try:
            await self._group.__aexit__(exc_type, exc, traceback)
        finally:
            if self._batch is not None:
                self._batch.end()
            # The traceback of what is raised holds this frame.
            del self, exc, traceback

    def _discard(self) -> None:
        """End what the consumer has not asked for: as in a plain loop, it never happened."""
        self._pulling.cancel(reason="the block of map was left")
        for entry in tuple(self._running):
            entry.job.cancel("the block of map was left")
        for entry in (*self._line, *self._beyond):
            if entry.job.done:
                record_of(entry.job).retrieve()

    def __repr__(self) -> str:
        ready = sum(entry.job.done for entry in self._line)
        counts = f"{len(self._running)} running, {ready} ready, {self._taken} taken"
        return f"<map of {name_of(self._fn)}: {counts}>"


def name_of(fn: Any) -> str:
    while isinstance(fn, partial):
        fn = fn.func
    name: str = getattr(fn, "__qualname__", None) or getattr(fn, "name", None) or type(fn).__name__
    return name


async def _refuse(error: Exception) -> None:
    raise error
