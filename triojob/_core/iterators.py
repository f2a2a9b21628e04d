"""Iteration over one job: its outputs, or every message."""

from __future__ import annotations

from typing import Generic, TypeVar, final

import trio

from .history import OutputCursor, Update, UpdateCursor
from .record import JobRecord
from .runs import require_task

T = TypeVar("T")


@final
class OutputIterator(Generic[T]):
    """Iterates over the outputs of one job: first the kept ones, then new ones as they come.

    This is a class and not an async generator, so that leaving the loop early needs no cleanup.
    """

    __slots__ = ("_cursor", "_record")

    def __init__(self, record: JobRecord) -> None:
        self._record: JobRecord | None = record
        self._cursor = OutputCursor(record.history)

    @property
    def dropped(self) -> int:
        """How many outputs ``history=`` dropped before this iterator reached them."""
        return self._cursor.dropped

    def __aiter__(self) -> OutputIterator[T]:
        return self

    @trio.lowlevel.enable_ki_protection
    async def __anext__(self) -> T:
        """Return the next output.

        Raises:
            StopAsyncIteration: The job succeeded, and this iterator has returned all outputs.
            JobCancelled: The job was cancelled.
            Exception: The exception of the job.

        Cancelling the wait loses nothing: the next call returns the output.
        """
        record = self._record
        if record is None:
            require_task("a loop over a job")
        else:
            record.require_task()
        if record is None or self._cursor.pending:
            await trio.lowlevel.checkpoint()
        elif record.outcome is not None:
            await record.retrieve_now()
        if record is None:
            raise StopAsyncIteration
        while not self._cursor.pending:
            if record.outcome is not None:
                self._record = None
                try:
                    record.unwrap()
                except StopAsyncIteration as exc:
                    # As Python does where a generator raises it: a loop would mistake it for the
                    # end of the iteration.
                    raise RuntimeError(f"{record.name} raised StopAsyncIteration") from exc
                finally:
                    del self, record  # see raise_first
                raise StopAsyncIteration
            await record.wait_changed()
        value: T = self._cursor.take_value()
        return value


@final
class UpdateIterator:
    """Iterates over every message of one job, in the order in which they were sent."""

    __slots__ = ("_cursor", "_record")

    def __init__(self, record: JobRecord) -> None:
        self._record = record
        self._cursor = UpdateCursor(record.history)

    @property
    def dropped(self) -> int:
        """How many messages ``history=`` dropped before this iterator reached them."""
        return self._cursor.dropped

    def __aiter__(self) -> UpdateIterator:
        return self

    @trio.lowlevel.enable_ki_protection
    async def __anext__(self) -> Update:
        """Return the next message.

        Raises:
            StopAsyncIteration: The job has ended, with or without success.

        Cancelling the wait loses nothing: the next call returns the message.
        """
        self._record.require_task()
        if self._cursor.pending or self._record.outcome is not None:
            await trio.lowlevel.checkpoint()
        while not self._cursor.pending:
            if self._record.outcome is not None:
                raise StopAsyncIteration
            await self._record.wait_changed()
        return self._cursor.take()
