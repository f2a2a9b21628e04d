"""The rows that a run has yet to call, one by one."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import trio

from .._exceptions import StoreMismatch, raise_first
from .._fanout.inputs import END, Puller
from .finished import BLOCK, FinishedRows, ReadDigests


class Numbered(Protocol):
    """A row of input."""

    @property
    def index(self) -> int:
        """Its number, from 0."""
        ...


R = TypeVar("R", bound=Numbered)


@dataclass(frozen=True)
class Row:
    """An item of an iterable."""

    index: int
    """Its number, from 0."""
    item: Any


async def rows_of(iterable: Any) -> AsyncGenerator[list[Row], None]:
    """Yield the items of a sync or async iterable, each as a batch of one row."""
    index = 0
    async with AsyncExitStack() as stack:
        puller = Puller((iterable,))
        puller.open(stack)
        while (items := await puller.pull()) is not END:
            yield [Row(index, *items)]
            index += 1


class UnfinishedRows(Generic[R]):
    """Iterates over the rows that are not finished yet.

    In a resumed run, the finished rows are compared with the input, block by block, before any row
    of a block is returned.

    Args:
        batches: The input.
        digest: Returns the digest of a row.
        finished: The rows to leave out.
        digests_of: Reads the digests of a block's finished rows.
        store: The name of the store with these rows, for messages.
    """

    def __init__(
        self,
        batches: AsyncGenerator[list[R], None],
        digest: Callable[[R], str],
        finished: FinishedRows,
        *,
        digests_of: ReadDigests,
        store: object,
    ) -> None:
        self.read: int = 0
        """How many rows have been read."""
        self.compared: int = 0
        """Up to which row the finished ones have been compared with the input."""
        self.ended: bool = False
        """Whether no more rows will be read: the input has ended, was refused, or has failed."""
        self.stopped: bool = False
        """Whether to return no more rows."""
        self._batches = batches
        self._digest = digest
        self._finished = finished
        self._digests_of = digests_of
        self._store = store
        self._block: list[R] = []
        self._changed = trio.lowlevel.ParkingLot()

    async def wait_compared(self, row: int) -> None:
        """Wait until a finished row has been compared with the input, or nothing more is read."""
        while self.compared <= row and not self.ended:
            await self._changed.park()

    async def __aiter__(self) -> AsyncGenerator[R, None]:
        """Yield the rows.

        Raises:
            StoreMismatch: The input differs from the earlier run's.
            Exception: The exception of the input, after the rows before it.
        """
        try:
            async with aclosing(self._ready()) as ready:
                async for rows in ready:
                    for row in rows:
                        if self.stopped:
                            return
                        yield row
        finally:
            self.ended = True
            self._changed.unpark_all()

    async def _ready(self) -> AsyncGenerator[list[R], None]:
        failures: list[BaseException] = []
        async with aclosing(self._until_failure(failures)) as batches:
            async for batch in batches:
                for row in batch:
                    self.read += 1
                    number = row.index // BLOCK
                    if self._block and self._block[0].index // BLOCK != number:
                        yield self._passed(await self._compare(), row.index)
                    if number in self._finished.sums:
                        self._block.append(row)
                    else:
                        yield self._passed([row], row.index + 1)
        rest = await self._compare()
        last = self._finished.rows.last
        if last >= self.read and not failures:
            raise self._is_other_input(
                f"the input was shortened: it has {self.read:,} rows, but the store has "
                f"row {last:,} (counted from 0)"
            )
        yield self._passed(rest, self.read)
        raise_first(failures)

    async def _until_failure(self, failures: list[BaseException]) -> AsyncGenerator[list[R], None]:
        """Yield the input; add its exception to ``failures``, as the rows before it come first."""
        async with aclosing(self._batches) as batches:
            try:
                async for batch in batches:
                    yield batch
            except Exception as exc:  # noqa: BLE001 - `_ready` raises it
                failures.append(exc)

    def _passed(self, rows: list[R], compared: int) -> list[R]:
        self.compared = compared
        self._changed.unpark_all()
        return rows

    async def _compare(self) -> list[R]:
        """Compare the finished rows of a block with the input; return the other rows."""
        block, self._block = self._block, []
        if not block:
            return []
        # Reading and comparing millions of rows must not keep other tasks waiting.
        await trio.lowlevel.checkpoint()
        finished = self._finished
        digests = {row.index: self._digest(row) for row in block if row.index in finished.rows}
        number = block[0].index // BLOCK
        if not finished.has_digests(number, [*digests.values()]):
            made_of = await trio.to_thread.run_sync(self._digests_of, number)
            for row, digest in digests.items():
                if made_of.get(row) != digest:
                    raise self._is_other_input(f"row {row:,} (counted from 0) differs")
        return [row for row in block if row.index not in finished.rows]

    def _is_other_input(self, words: str) -> StoreMismatch:
        return StoreMismatch(
            f"{self._store} can't be resumed: {words}; use the inputs of the earlier run"
        )
