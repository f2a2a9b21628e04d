"""The rows that ``triojob map`` has yet to call, returned one by one."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping

import trio

from .ending import CommandError
from .ledger import BLOCK, Finished
from .plan import Plan
from .rows import Row, Rows


class Source:
    """Iterates over the rows that are not finished yet.

    In a resumed run, the finished rows are compared with the input, block by block, before any row
    of a block is returned.

    Args:
        finished: The rows to leave out.
        output: The output with these rows, for messages.
        digests_of: Reads the digests of a block's finished rows.
        on_columns: Called once with the names of the columns, if only the rows contain them.
    """

    def __init__(
        self,
        rows: Rows,
        plan: Plan,
        finished: Finished,
        *,
        output: str,
        digests_of: Callable[[int], Mapping[int, str]],
        on_columns: Callable[[Iterable[str]], object],
    ) -> None:
        self.read = 0
        """How many rows have been read."""
        self.stopped = False
        """Whether to return no more rows."""
        self._rows = rows
        self._plan = plan
        self._finished = finished
        self._output = output
        self._digests_of = digests_of
        self._on_columns: Callable[[Iterable[str]], object] | None = on_columns
        if rows.columns is not None:
            self._on_columns = None
        self._ready: deque[Row] = deque()
        self._block: list[Row] = []
        self._ended = False

    def __aiter__(self) -> Source:
        return self

    async def __anext__(self) -> Row:
        """Return the next row.

        Raises:
            StopAsyncIteration: There are no more rows, or it was stopped.
            CommandError: The rest of the input is invalid, or it differs from the earlier run's.
        """
        while not (self._ready or self._ended or self.stopped):
            await self._fill()
        if self.stopped or not self._ready:
            raise StopAsyncIteration
        return self._ready.popleft()

    async def _fill(self) -> None:
        batch = await self._rows.next_batch()
        for row in batch:
            self.read += 1
            if self._on_columns is not None and row.error is None:
                self._on_columns(row.values)
                self._on_columns = None
            block = row.index // BLOCK
            if self._block and self._block[0].index // BLOCK != block:
                await self._pass_on()
            if block in self._finished.sums:
                self._block.append(row)
            else:
                self._ready.append(row)
        if not batch:
            self._ended = True
            await self._pass_on()
            last = self._finished.rows.last
            if last >= self.read:
                raise self._is_other_input(
                    f"the input was shortened: it has {self.read:,} rows, but the output has "
                    f"row {last:,} (counted from 0)"
                )

    async def _pass_on(self) -> None:
        """Compare the finished rows of a block with the input of the earlier run."""
        block, self._block = self._block, []
        if not block:
            return
        digests = {
            row.index: self._plan.digest(row) for row in block if row.index in self._finished.rows
        }
        number = block[0].index // BLOCK
        if not self._finished.has_digests(number, [*digests.values()]):
            made_of = await trio.to_thread.run_sync(self._digests_of, number)
            for row, digest in digests.items():
                if made_of.get(row) != digest:
                    raise self._is_other_input(f"row {row:,} (counted from 0) differs")
        self._ready.extend(row for row in block if row.index not in self._finished.rows)

    def _is_other_input(self, words: str) -> CommandError:
        return CommandError(
            f"{self._output} can't be resumed: {words}; use the input, the columns and the "
            "constants of the earlier run"
        )
